"""What to train: a configuration in TOML, and the cells that it asks for."""

import os
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from math import ceil, log2, sqrt
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from scaling.errors import DataError
from scaling.lab.schedule import Decay
from scaling.numeric.inputs.files import read_text

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Rate: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
Fraction: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
ProblemName: TypeAlias = Literal["quadratic", "logistic", "network", "transformer"]

#: Learning rates are powers of two with half-whole exponents.
RATES_PER_OCTAVE = 2
#: What a step costs beyond its examples, in examples; measured.
_OVERHEAD = {"quadratic": 200, "logistic": 60, "network": 60, "transformer": 2}


class Measure(Struct, frozen=True, forbid_unknown_fields=True):
    """What to measure along the first seed's run at a cell's best learning rate.

    Attributes
    ----------
    fractions : tuple of float
        When, as shares of the run.
    small, parts, draws : int
        See `scaling.lab.measure_noise`.
    """

    fractions: tuple[Fraction, ...] = (0.05, 0.25, 0.5, 1.0)
    small: Count = 8
    parts: Annotated[int, Meta(ge=2)] = 64
    draws: Annotated[int, Meta(ge=2)] = 16


class Guess(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the best learning rates are looked for: T-J3 with one t for all coordinates.

    Attributes
    ----------
    learning_rate, batch_size : float
        A good pair at a small epsilon.
    noise_scale : float
        Batch size at which the rise ends.
    root_second_moment : float
        t = sqrt(v_hat) at this batch size.
    """

    learning_rate: Positive
    batch_size: Positive
    noise_scale: Positive
    root_second_moment: Positive

    def at(self, batch_size: float, eps: float) -> float:
        """Learning rate in the middle of those tried.

        Examples
        --------
        >>> Guess(0.01, 16, 1e9, 0.1).at(64, 0.0).__round__(9)
        0.02
        """

        def noise(size: float) -> float:
            return 1 / size + 1 / self.noise_scale

        fall = sqrt(noise(batch_size) / noise(self.batch_size))
        return self.learning_rate / fall * (1 + eps / (self.root_second_moment * fall))


class Arm(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings, all combinations of which are trained.

    Attributes
    ----------
    steps, examples, target : optional
        The budget, one of three: steps, or examples, each a number of them; or the loss to which
        to train, within ``most_steps``.
    """

    batch_size: Annotated[tuple[Count, ...], Meta(min_length=1)]
    steps: Count | None = None
    examples: Count | None = None
    target: Positive | None = None
    most_steps: Count | None = None
    eps: tuple[NonNegative, ...] = (1e-8,)
    beta1: tuple[Rate, ...] = (0.9,)
    beta2: tuple[Rate, ...] = (0.999,)
    weight_decay: tuple[NonNegative, ...] = (0.0,)
    warm_up: tuple[Rate, ...] = (0.0,)
    decay: tuple[Decay, ...] = ("linear",)
    eps_inside: bool = False

    def __post_init__(self) -> None:
        if sum(budget is not None for budget in (self.steps, self.examples, self.target)) != 1:
            raise ValueError("needs one budget: steps, examples, or target")
        if (self.target is None) != (self.most_steps is None):
            raise ValueError("most_steps goes with a target, and only with it")
        if self.target is not None and set(self.decay) != {"constant"}:
            raise ValueError('a target needs decay = ["constant"]: a decay needs to know the end')


class Cell(Struct, frozen=True, forbid_unknown_fields=True):
    """A setting, at which learning rates and seeds are trained; the unit of work.

    Attributes
    ----------
    problem : str
    budget : {"steps", "examples", "target"}
        What batch sizes have in common.
    steps : int
        How many, or how many at most.
    target : float or None
    middle : int
        The learning rates start around 2^(middle/2).
    rates : int
        How many learning rates at first.
    """

    problem: ProblemName
    budget: Literal["steps", "examples", "target"]
    target: float | None
    decay: Decay
    warm_up: float
    weight_decay: float
    eps_inside: bool
    beta1: float
    beta2: float
    eps: float
    batch_size: int
    steps: int
    seeds: tuple[int, ...]
    rates: int
    middle: int
    measure: Measure | None

    @property
    def cost(self) -> int:
        """How long it takes, in no unit."""
        return self.steps * (self.batch_size + _OVERHEAD[self.problem])


class Configuration(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of what to train.

    Attributes
    ----------
    description : str
        One line.
    problem : {"quadratic", "logistic", "network", "transformer"}
    guess : Guess
    arm : tuple of Arm
    seeds : tuple of int
    learning_rates : int
        How many at first, half an octave apart; more are tried where the best is at the edge.
    measure : Measure, optional
        Nothing is measured without it.
    """

    description: str
    problem: ProblemName
    guess: Guess
    arm: Annotated[tuple[Arm, ...], Meta(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1)] = (0, 1, 2)
    learning_rates: Annotated[int, Meta(ge=5)] = 15
    measure: Measure | None = None

    def cells(self) -> list[Cell]:
        """Every setting once, in the order of the table that comes of them."""
        cells = {cell for arm in self.arm for cell in self._cells(arm)}
        return sorted(cells, key=lambda cell: (cell.budget, cell.target or 0, *_order(cell)))

    def _cells(self, arm: Arm) -> Iterator[Cell]:
        for size, eps, beta1, beta2, weight_decay, warm_up, decay in product(
            arm.batch_size,
            arm.eps,
            arm.beta1,
            arm.beta2,
            arm.weight_decay,
            arm.warm_up,
            arm.decay,
        ):
            budget: Literal["steps", "examples", "target"] = "steps"
            steps = arm.steps or arm.most_steps or 0
            if arm.examples is not None:
                budget, steps = "examples", ceil(arm.examples / size)
            elif arm.target is not None:
                budget = "target"
            yield Cell(
                problem=self.problem,
                budget=budget,
                target=arm.target,
                decay=decay,
                warm_up=warm_up,
                weight_decay=weight_decay,
                eps_inside=arm.eps_inside,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                batch_size=size,
                steps=steps,
                seeds=self.seeds,
                rates=self.learning_rates,
                middle=round(RATES_PER_OCTAVE * log2(self.guess.at(size, eps))),
                measure=None if arm.target is not None else self.measure,
            )


def _order(cell: Cell) -> tuple[object, ...]:
    """What a table is sorted by within a budget."""
    optimizer = (cell.weight_decay, cell.eps_inside, cell.beta1, cell.beta2, cell.eps)
    return (cell.decay, cell.warm_up, *optimizer, cell.steps, cell.batch_size)


def read_configuration(path: str | os.PathLike[str]) -> Configuration:
    """Read a configuration, of a file or one of those shipped.

    Parameters
    ----------
    path : str or path
        A file, or a name that `shipped_configurations` gives.

    Raises
    ------
    DataError
        If the file cannot be read, is no TOML, or asks for what there is not; the message says
        where.

    Examples
    --------
    >>> read_configuration("network").problem
    'network'
    """
    if str(path) in shipped_configurations():
        text = files("scaling.lab").joinpath("configs", f"{path}.toml").read_text("utf-8")
    else:
        text = read_text(path)
    try:
        return msgspec.convert(tomllib.loads(text), Configuration)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: {error}") from None


def shipped_configurations() -> list[str]:
    """Names of the configurations that come with the package.

    Examples
    --------
    >>> shipped_configurations()
    ['logistic', 'network', 'transformer']
    """
    configs = files("scaling.lab").joinpath("configs")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in configs.iterdir()
        if entry.name.endswith(".toml")
    )
