"""One step of the derivation: a statement, how it was obtained, and the check of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import sympy
from sympy.core.function import AppliedUndef

from scaling.errors import InputError
from scaling.symbolic.notation import NOTATION, code_name
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.proofs.proof import mpmath_functions, right_hand_side

VECTORIAL = (sympy.IndexedBase, sympy.Sum)
NAMES = (sympy.Symbol, sympy.Indexed, AppliedUndef, sympy.Derivative)
Route = Literal["derived", "verified"]


def equation(left: sympy.Expr, right: sympy.Expr) -> sympy.Eq:
    """Return an equation that stays one even where SymPy could decide it.

    Examples
    --------
    >>> equation(sympy.Symbol("s"), sympy.Integer(1))
    Eq(s, 1)
    """
    return sympy.Equality(sympy.sympify(left), sympy.sympify(right), evaluate=False)


@dataclass(frozen=True)
class Remark:
    """What the theory says without a derivation: a conjecture, a limit, a rule of inference.

    Parameters
    ----------
    id : str
        Id of the theory.
    title : str
    words : str
        One paragraph.
    formula : sympy.Eq, optional

    Examples
    --------
    >>> Remark("G", "what is left out", "One step ahead.").theory_id
    'G'
    """

    id: str
    title: str
    words: str
    formula: sympy.Eq | None = None

    def __repr__(self) -> str:
        return f"<Remark {self.id}: {self.title}>"

    @property
    def theory_id(self) -> str:
        """The same as the id: a remark has no parts."""
        return self.id


@dataclass(frozen=True)
class Step:
    """One step of the derivation.

    Parameters
    ----------
    id : str
        Id of the theory; a further statement under the same id has a name after a
        dot, such as ``"A1.decrease"``.
    title : str
        The statement in words.
    statement : sympy.Eq
        What is claimed. For an approximation the right-hand side stands in for the left.
    derive : callable
        Obtains what is claimed from the assumptions and the earlier steps, and never
        looks at the statement.
    method : str
        How: integration, limit, solving, and so on.
    compare : callable, optional
        Takes what ``derive`` returned and the statement (with ``where`` put in);
        returns whether the statement holds.
    where : tuple of sympy.Eq, optional
        Abbreviations in the statement; checked along with it.
    uses : tuple of str, optional
        Ids of the earlier steps on which this one rests.
    assumptions : tuple of str, optional
    route : {"derived", "verified"}, optional
        ``"verified"`` where SymPy cannot derive the result; ``why`` then says so.
    why : str, optional
    error : callable, optional
        Computes the error of an approximation. An exact step has none.
    quantity : sympy.Expr, optional
        What the derived expression is; the statement's left-hand side must be this
        and nothing else. A step whose left-hand side is more than a name has none:
        there ``derive`` returns what the names stand for, and ``compare`` puts it
        into both sides.

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> step = Step("Z1", "the slope of a parabola", equation(y, 2 * x),
    ...             lambda: sympy.diff(x**2, x), "differentiation")
    >>> step.kind, step.verify()
    ('exact', True)
    """

    id: str
    title: str
    statement: sympy.Eq
    derive: Callable[[], Any]
    method: str
    compare: Callable[[Any, sympy.Eq], bool] = right_hand_side
    where: tuple[sympy.Eq, ...] = ()
    uses: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    route: Route = "derived"
    why: str = ""
    error: Callable[[], ApproximationError] | None = None
    quantity: sympy.Expr | None = None

    def __repr__(self) -> str:
        return f"<Step {self.id}: {self.title}>"

    @property
    def theory_id(self) -> str:
        """Id in the theory, without the name of the part."""
        return self.id.partition(".")[0]

    @property
    def kind(self) -> Literal["exact", "approximation"]:
        """``"exact"``, or ``"approximation"`` for a step that states an error."""
        return "exact" if self.error is None else "approximation"

    @property
    def relations(self) -> tuple[sympy.Eq, ...]:
        """The statement and its abbreviations."""
        return (self.statement, *self.where)

    @property
    def expanded(self) -> sympy.Eq:
        """The statement with its abbreviations put in."""
        left, right = self.statement.args
        for abbreviation in self.where:
            left, right = (side.subs(abbreviation.lhs, abbreviation.rhs) for side in (left, right))
        return equation(left, right)

    def verify(self, derived: Any = None) -> bool:
        """Derive again, and tell whether the statement agrees.

        Parameters
        ----------
        derived : object, optional
            What ``derive`` returned earlier, to hold several statements against it.

        Returns
        -------
        bool
        """
        evidence = self.derive() if derived is None else derived
        return self._names_what(evidence) and bool(self.compare(evidence, self.expanded))

    def _names_what(self, evidence: Any) -> bool:
        """Tell whether the left-hand side is the quantity, or is left to the comparison."""
        left = self.statement.lhs
        if self.quantity is not None:
            return bool(left == self.quantity)
        return isinstance(evidence, Mapping | tuple) or isinstance(left, NAMES)

    def closed_form(self, *, definitions: bool = True) -> sympy.Expr:
        """Return the right-hand side as a formula of scalars.

        Parameters
        ----------
        definitions : bool, optional
            Put the abbreviations in; otherwise they stay arguments. Those that are
            sums over coordinates always stay.

        Returns
        -------
        sympy.Expr

        Raises
        ------
        InputError
            If there is none.
        """
        formula = self.statement.rhs
        sums = {part.lhs for part in self.where if part.rhs.has(*VECTORIAL)}
        for abbreviation in self.where if definitions else ():
            if abbreviation.lhs not in sums:
                formula = formula.subs(abbreviation.lhs, abbreviation.rhs)
        under_integral = formula.has(sympy.Integral) and bool(sums & formula.free_symbols)
        if under_integral or formula.has(*VECTORIAL, sympy.Limit, sympy.Derivative, AppliedUndef):
            raise InputError(f"{self.id} has no closed form in scalars")
        return formula

    def arguments(self, *, definitions: bool = True) -> tuple[str, ...]:
        """Return the names of the closed form's arguments, in the order of the notation.

        Parameters
        ----------
        definitions : bool, optional
            As for :meth:`closed_form`.

        Returns
        -------
        tuple of str
            Symbols outside the table of notation come last, by name.

        Raises
        ------
        InputError
            If there is no closed form.
        """
        names = [entry.symbol.name for entry in NOTATION]
        free = sorted(
            self.closed_form(definitions=definitions).free_symbols,
            key=lambda v: (names.index(v.name) if v.name in names else len(names), v.name),
        )
        return tuple(code_name(variable) for variable in free)

    def function(
        self, backend: str = "numpy", digits: int = 50, *, definitions: bool = True
    ) -> Callable[..., Any]:
        """Return the right-hand side as a function.

        Parameters
        ----------
        backend : {"numpy", "mpmath"}, optional
            ``"numpy"`` broadcasts in float64 and may lose digits where the closed form
            cancels; ``"mpmath"`` works with many digits, one point at a time.
        digits : int, optional
            Decimal digits that ``"mpmath"`` works with.
        definitions : bool, optional
            As for :meth:`closed_form`.

        Returns
        -------
        callable
            Takes the arguments named by :meth:`arguments`, in that order or by name.

        Raises
        ------
        InputError
            If the backend is unknown, or the right-hand side is no closed form in it.

        Examples
        --------
        >>> from scaling.symbolic import derivation
        >>> mean = derivation().step("B5").function()
        >>> round(float(mean(signal=1.0, damping=0.5)), 6)
        0.595407
        """
        formula, names = self._renamed(definitions=definitions)
        if backend == "mpmath":
            closed = sympy.lambdify(names, formula, [mpmath_functions(), "mpmath"])
            return _at_precision(closed, [name.name for name in names], digits)
        if backend != "numpy":
            raise InputError(f"{backend!r} is unknown; use 'numpy' or 'mpmath'", "backend")
        return _of_arrays(self._lambdified(formula, names))

    def _lambdified(self, formula: sympy.Expr, names: list[sympy.Symbol]) -> Callable[..., Any]:
        if formula.has(sympy.Integral):
            raise InputError(f"{self.id} is an integral; use the backend 'mpmath'", "backend")
        return sympy.lambdify(names, formula, "scipy")  # type: ignore[no-any-return]

    def _renamed(self, *, definitions: bool = True) -> tuple[sympy.Expr, list[sympy.Symbol]]:
        formula = self.closed_form(definitions=definitions)
        new = {variable: sympy.Symbol(code_name(variable)) for variable in formula.free_symbols}
        names = self.arguments(definitions=definitions)
        return formula.xreplace(new), [sympy.Symbol(name) for name in names]


def _of_arrays(closed: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of arrays take whatever NumPy makes an array of."""
    import numpy as np

    def evaluate(*values: Any, **named: Any) -> Any:
        arrays = {name: np.asarray(value, dtype=float) for name, value in named.items()}
        return closed(*(np.asarray(value, dtype=float) for value in values), **arrays)

    evaluate.__doc__ = closed.__doc__
    return evaluate


def _at_precision(
    closed: Callable[..., Any], names: list[str], digits: int
) -> Callable[..., mpmath.mpf]:
    def evaluate(*values: Any, **named: Any) -> mpmath.mpf:
        with mpmath.workdps(digits):
            positional = [mpmath.mpf(value) for value in values]
            return closed(*positional, **{name: mpmath.mpf(v) for name, v in named.items()})

    evaluate.__doc__ = f"Evaluate at {digits} digits; arguments: {', '.join(names)}."
    return evaluate
