"""The derivation: all steps in the order of the argument, and the check of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from scaling.errors import InputError
from scaling.symbolic import closed_forms as substitution
from scaling.symbolic.exact import adam
from scaling.symbolic.exact import gaussian_population as population
from scaling.symbolic.exact import softsign as exact
from scaling.symbolic.parts import a_descent as descent
from scaling.symbolic.parts import a_sign as sign
from scaling.symbolic.parts import b_epsilon as epsilon
from scaling.symbolic.parts import b_law as law
from scaling.symbolic.parts import b_stand_ins as stand_ins
from scaling.symbolic.parts import c_mean_field as mean_field
from scaling.symbolic.parts import d_momentum as momentum
from scaling.symbolic.parts import e_joint as joint
from scaling.symbolic.parts import i_many_steps as many_steps
from scaling.symbolic.parts import j_second_moment as second_moment
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.remarks import remarks
from scaling.symbolic.step import Remark, Step


@dataclass(frozen=True)
class Verdict:
    """Outcome of checking one step.

    Parameters
    ----------
    id : str
    verified : bool or None
        None if only the error was computed.
    seconds : float
        Time that the derivation, the comparison and the error took.
    error : ApproximationError or None
        Of an approximation.
    problem : str
        What went wrong, if the check itself failed to run.

    Examples
    --------
    >>> Verdict("A1", True, 0.1).verified
    True
    """

    id: str
    verified: bool | None
    seconds: float
    error: ApproximationError | None = None
    problem: str = ""


@dataclass(frozen=True)
class Derivation:
    """The steps in the order of the argument.

    Parameters
    ----------
    steps : tuple of Step
    remarks : tuple of Remark, optional
        What the theory says without a derivation.

    Examples
    --------
    >>> derivation().step("B9").title
    'the law: the optimal learning rate at batch size B and epsilon'
    """

    steps: tuple[Step, ...]
    remarks: tuple[Remark, ...] = ()

    def __repr__(self) -> str:
        return f"<Derivation of {len(self.steps)} steps and {len(self.remarks)} remarks>"

    @property
    def entries(self) -> tuple[Step | Remark, ...]:
        """Steps and remarks together, in the order of the argument."""
        return tuple(sorted((*self.remarks, *self.steps), key=_position))

    def step(self, identifier: str) -> Step:
        """Return the step with this id.

        Parameters
        ----------
        identifier : str

        Returns
        -------
        Step

        Raises
        ------
        InputError
            If there is none.
        """
        for step in self.steps:
            if step.id == identifier:
                return step
        raise InputError(self._unknown(identifier))

    def select(self, identifiers: Sequence[str]) -> "Derivation":
        """Return the steps with these ids; an id of the theory selects all its parts.

        Parameters
        ----------
        identifiers : sequence of str
            ``"A1"``, ``"a1"`` or ``"T-A1"`` selects A1, A1.minimum and A1.decrease; none
            selects everything.

        Returns
        -------
        Derivation
            In the order of the argument.

        Raises
        ------
        InputError
            If an id is unknown.
        """
        chosen = {name.lower().removeprefix("t-"): name for name in identifiers}
        known = {name.lower() for entry in self.entries for name in (entry.id, entry.theory_id)}
        for identifier in chosen.keys() - known:
            raise InputError(self._unknown(chosen[identifier]))
        if not identifiers:
            return self

        def is_chosen(entry: Step | Remark) -> bool:
            return not chosen.keys().isdisjoint({entry.id.lower(), entry.theory_id.lower()})

        return Derivation(
            tuple(filter(is_chosen, self.steps)), tuple(filter(is_chosen, self.remarks))
        )

    def theory_ids(self) -> tuple[str, ...]:
        """Return the ids of the theory, each once, in the order of the argument.

        Returns
        -------
        tuple of str
        """
        return tuple(dict.fromkeys(entry.theory_id for entry in self.entries))

    def verdicts(self, processes: int = 1) -> Iterator[Verdict]:
        """Check every step; yield the verdicts in the order of the steps.

        Parameters
        ----------
        processes : int, optional
            More than 1 checks in parallel.

        Yields
        ------
        Verdict
        """
        identifiers = [step.id for step in self.steps]
        if processes < 2 or len(identifiers) < 2:
            yield from (check(step) for step in self.steps)
            return
        context = get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_quiet) as pool:
            try:
                yield from pool.map(check_by_id, identifiers)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def errors(self) -> Iterator[Verdict]:
        """Compute the errors of the approximations, and check nothing.

        Yields
        ------
        Verdict
            One per step, with ``verified`` None.
        """
        for step in self.steps:
            error = None if step.error is None else step.error()
            yield Verdict(step.id, verified=None, seconds=0.0, error=error)

    def _unknown(self, identifier: str) -> str:
        known = ", ".join(self.theory_ids())
        return f"there is no step {identifier!r}; the theory's ids here are {known}"


def derivation() -> Derivation:
    """Return the whole derivation.

    The steps are stated, not yet checked; that takes :meth:`Derivation.verdicts`.

    Returns
    -------
    Derivation

    Examples
    --------
    >>> derivation().theory_ids()[:3]
    ('A1', 'A2', 'A3')
    """
    parts = (
        descent,
        sign,
        stand_ins,
        epsilon,
        law,
        mean_field,
        momentum,
        joint,
        substitution,
        exact,
        population,
        adam,
        many_steps,
        second_moment,
    )
    steps = [step for part in parts for step in part.steps()]
    return Derivation(tuple(sorted(steps, key=_position)), remarks())


def _position(entry: Step | Remark) -> tuple[str, int]:
    """Return letter and number; sorting is stable, so that within them the modules' order stays."""
    return entry.id[0], int(entry.theory_id[1:] or 0)


def check(step: Step, clock: Callable[[], float] = time.perf_counter) -> Verdict:
    """Derive a step again, compare, and compute its error.

    Parameters
    ----------
    step : Step
    clock : callable, optional
        Returns seconds.

    Returns
    -------
    Verdict
        A check that raises counts as failed.

    Examples
    --------
    >>> check(derivation().step("A4.steps")).verified
    True
    """
    start = clock()
    try:
        verified = step.verify()
        error = None if step.error is None else step.error()
    except Exception as problem:  # noqa: BLE001 (whatever it is, nothing is proved)
        words = " ".join(f"{type(problem).__name__}: {problem}".split())
        return Verdict(step.id, verified=False, seconds=clock() - start, problem=words)
    return Verdict(step.id, verified, clock() - start, error)


def check_by_id(identifier: str) -> Verdict:
    """Check one step of the whole derivation; for worker processes.

    Examples
    --------
    >>> check_by_id("E5.small").verified
    True
    """
    return check(derivation().step(identifier))


def _quiet() -> None:
    """Leave an interrupt to the parent process, so that Ctrl-C prints nothing."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
