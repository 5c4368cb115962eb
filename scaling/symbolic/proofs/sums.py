"""Sums over coordinates, written for any number of them and proved for a few.

Every identity of the argument couples at most two coordinates, i and j, so that
three coordinates exhibit each kind of term (i = j, i != j, and a bystander). A second
number of coordinates tells n from a 3.
"""

from collections.abc import Callable

import sympy

SIZES = (2, 3)


def at_sizes(
    formula: Callable[[int], sympy.Expr], sizes: tuple[int, ...] = SIZES
) -> dict[int, sympy.Expr]:
    """Return a formula for several numbers of coordinates.

    Examples
    --------
    >>> at_sizes(sympy.Integer)
    {2: 2, 3: 3}
    """
    return {count: formula(count) for count in sizes}


def index() -> tuple[sympy.Idx, sympy.Idx, sympy.Symbol]:
    """Return the two indices and the number of coordinates.

    Examples
    --------
    >>> index()
    (i, j, n)
    """
    i, j = sympy.symbols("i j", integer=True)
    return i, j, sympy.Symbol("n", integer=True, positive=True)


def indexed(name: str) -> sympy.IndexedBase:
    """Return a real vector or matrix of unspecified size.

    Examples
    --------
    >>> indexed("g")[1]
    g[1]
    """
    return sympy.IndexedBase(name, real=True)


def dot(left: str, right: str) -> sympy.Sum:
    """Return the inner product of two vectors.

    Examples
    --------
    >>> dot("mu", "g")
    Sum(g[i]*mu[i], (i, 1, n))
    """
    i, _, n = index()
    return sympy.Sum(indexed(left)[i] * indexed(right)[i], (i, 1, n))


def trace(matrix: str, scale: sympy.Expr | int = 1) -> sympy.Sum:
    """Return the trace of a matrix times the Hessian.

    Examples
    --------
    >>> trace("M")
    Sum(H[i, j]*M[i, j], (j, 1, n), (i, 1, n))
    """
    i, j, n = index()
    return sympy.Sum(scale * indexed(matrix)[i, j] * indexed("H")[i, j], (j, 1, n), (i, 1, n))


def quadratic(vector: str) -> sympy.Sum:
    """Return the quadratic form of the Hessian on a vector.

    Examples
    --------
    >>> quadratic("g")
    Sum(H[i, j]*g[i]*g[j], (j, 1, n), (i, 1, n))
    """
    i, j, n = index()
    base = indexed(vector)
    return sympy.Sum(base[i] * base[j] * indexed("H")[i, j], (j, 1, n), (i, 1, n))


def hessian_trace() -> sympy.Sum:
    """Return the trace of the Hessian.

    Examples
    --------
    >>> hessian_trace()
    Sum(H[i, i], (i, 1, n))
    """
    i, _, n = index()
    return sympy.Sum(indexed("H")[i, i], (i, 1, n))


def explicit(expression: sympy.Expr, coordinates: int = 3) -> sympy.Expr:
    """Write sums out for a given number of coordinates, with symmetric matrices.

    Parameters
    ----------
    expression : sympy.Expr
    coordinates : int, optional

    Returns
    -------
    sympy.Expr
        Free of sums and of indexed objects: ``H[2, 1]`` has become the symbol ``H12``.

    Examples
    --------
    >>> explicit(hessian_trace(), 2)
    H11 + H22
    """
    _, _, n = index()
    written = expression.subs(n, coordinates).replace(
        sympy.Sum, lambda *parts: sympy.Sum(*parts).doit()
    )
    names = {}
    for entry in written.atoms(sympy.Indexed):
        digits = "".join(str(number) for number in sorted(entry.indices, key=int))
        sign = {"positive": True} if entry.is_positive else {"real": True}
        names[entry] = sympy.Symbol(f"{entry.base.label}{digits}", **sign)
    return written.xreplace(names)


def entry(name: str, *position: int) -> sympy.Symbol:
    """Return the symbol that :func:`explicit` puts for an entry.

    Examples
    --------
    >>> entry("H", 2, 1)
    H12
    """
    return sympy.Symbol(name + "".join(str(number) for number in sorted(position)), real=True)


def replaced(expression: sympy.Expr, base: str, coordinates: int, value: object) -> sympy.Expr:
    """Replace the entries of a vector or matrix in an explicit expression.

    Parameters
    ----------
    expression : sympy.Expr
        As :func:`explicit` returns it.
    base : str
        Name of the vector or matrix.
    coordinates : int
    value : callable
        Takes one index (vector) or two (matrix), returns the value.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> replaced(explicit(hessian_trace(), 2), "H", 2, lambda i, j: i * j)
    5
    """
    assert callable(value)  # noqa: S101 (for the type checker)
    numbers = range(1, coordinates + 1)
    new = {entry(base, i): value(i) for i in numbers if expression.has(entry(base, i))}
    new |= {
        entry(base, i, j): value(i, j)
        for i in numbers
        for j in numbers
        if j >= i and expression.has(entry(base, i, j))
    }
    return expression.xreplace(new) if new else expression
