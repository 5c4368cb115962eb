"""Evidence and prior make a posterior, and the posterior answers (T-K1 to T-K4).

The answer is the posterior median of the law. Two intervals go with it: of the optimum that a new
sweep would find, which is what users compare with, and of the law.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inference.evidence.cells import gather
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.family import LENGTH, Design, Family
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inference.sampler import Diagnostics, Sampled, sample
from scaling.numeric.inference.target import Target
from scaling.numeric.inputs.arrays import FloatArray, Real, as_array
from scaling.numeric.laws.law import finite_or_none

#: The median of a law known to a factor of 2 is good to 5 %.
DRAWS = 500
#: Batch sizes among which a peak is looked for.
_PLACES = 129
#: Octaves that a law falls at least if it has a peak.
_FALL = 0.1
#: Logarithm of a scale, in octaves, that is as good as none.
_NOTHING = -12.0
#: Nodes of the misfit: as many batch sizes, at most.
_MOST_NODES = 10
#: Middles of 25 equal parts of Student's t with 5 degrees of freedom, the upper 12; written out,
#: since a posterior is to answer without SciPy.
_UPPER = np.array(
    [
        0.10561, 0.21265, 0.32267, 0.4375, 0.55943, 0.69157,
        0.83847, 1.00735, 1.21102, 1.47588, 1.87268, 2.75651,
    ]
)  # fmt: skip
STUDENT = np.concatenate([-_UPPER[::-1], [0.0], _UPPER])


class Answer(NamedTuple):
    """Learning rates, each of the shape that was asked for.

    Attributes
    ----------
    learning_rate : ndarray
        Posterior median of the law.
    low, high : ndarray
        Interval of the optimum that a new sweep would find.
    law_low, law_high : ndarray
        Interval of the law.
    """

    learning_rate: Real
    low: Real
    high: Real
    law_low: Real
    law_high: Real


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of the law, equally weighted; made by `infer`.

    Attributes
    ----------
    family : Family
        What the columns of the draws are.
    draws : ndarray, shape (P, d)
    center : float
        log2 of the middle batch size.
    covariates : tuple of str
    middles : ndarray, shape (K,)
        log2 of the middle covariates.
    groups : ndarray, shape (G, K + 1)
        Settings that were tried: log2 of the covariates and eps.
    effects : ndarray, shape (P, G)
        Their effects in octaves; no columns without groups.
    reading : float
        Error, in octaves, with which a sweep like those given reads an optimum.
    ranges : ndarray, shape (K + 1, 2)
        Smallest and largest batch size and covariates tried.
    diagnostics : Diagnostics
        How well the draws were made.
    """

    family: Family
    draws: FloatArray
    center: float
    covariates: tuple[str, ...]
    middles: FloatArray
    groups: FloatArray
    effects: FloatArray
    reading: float
    ranges: FloatArray
    diagnostics: Diagnostics

    @classmethod
    def of_parameters(
        cls,
        parameters: Mapping[str, npt.ArrayLike],
        batch_sizes: tuple[float, float],
        covariates: Mapping[str, tuple[float, float, float]],
        center: float,
    ) -> Self:
        """Make a posterior of draws whose parameters are known, with no misfit and no groups.

        Parameters
        ----------
        parameters : mapping of str to array_like, shape (P,) or (P, K)
            By the names of `Family`; what is left out is T-E2's, with no scatter.
        batch_sizes : tuple of float
            Smallest and largest that were tried.
        covariates : mapping of str to (float, float, float)
            Middle, smallest and largest of each that was tried.
        center : float
            log2 of the batch size to which the parameters refer.
        """
        family = Family(len(covariates), eps="eps_scale" in parameters, nodes=(0.0,))
        size = np.shape(parameters["level"])[0]
        columns = []
        for name in dict.fromkeys(family.names):
            nothing = _NOTHING if name.startswith("log_") and name != "log_sharpness" else 0.0
            width = family.names.count(name)
            column = np.asarray(parameters.get(name, nothing), dtype=float)
            column = column[:, None] if column.ndim == 1 else column
            columns.append(np.broadcast_to(column, (size, width)))
        middles, low, high = np.array([*covariates.values()]).reshape(-1, 3).T
        return cls(
            family,
            np.hstack(columns),
            center,
            tuple(covariates),
            np.log2(middles),
            np.empty((0, len(covariates) + 1)),
            np.empty((size, 0)),
            float(np.exp(_NOTHING)),
            np.array([batch_sizes, *zip(low, high, strict=True)]),
            Diagnostics(float(size), 1, 1.0, -np.inf, 0.0),
        )

    def answer(
        self,
        batch_size: npt.ArrayLike,
        *,
        level: float = 0.9,
        eps: npt.ArrayLike = 0.0,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Answer:
        """Optimal learning rates, with both intervals.

        Parameters
        ----------
        batch_size : array_like
            Positive, in the unit of the evidence.
        level : float, default 0.9
            Of the intervals, between 0 and 1.
        eps : array_like, default 0
            Adam's epsilon; it matters only if it was varied or sqrt(v) was given.
        covariates : mapping of str to array_like, optional
            All those of the evidence, by name.

        Returns
        -------
        Answer

        Raises
        ------
        InputError
            If a covariate is missing or unknown, or the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"must be between 0 and 1, got {level!r}", "level")
        arrays = self._broadcast(batch_size, eps, covariates)
        law = self.law(self._design(arrays))
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = quantiles(self.new_optimum(law), tails)
        law_low, law_high = quantiles(law, tails)
        # Where the law is hardly known the two agree to within the noise of the draws.
        low, high = np.minimum(low, law_low), np.maximum(high, law_high)
        shape = arrays[0].shape
        (middle,) = quantiles(law, [0.5])
        found = (middle, low, high, law_low, law_high)
        return Answer(*(np.exp2(each).reshape(shape)[()] for each in found))

    def learning_rate(
        self,
        batch_size: npt.ArrayLike,
        *,
        eps: npt.ArrayLike = 0.0,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Real:
        """Posterior median of the law alone, as `answer` has it."""
        arrays = self._broadcast(batch_size, eps, covariates)
        (median,) = quantiles(self.law(self._design(arrays)), [0.5])
        return np.exp2(median).reshape(arrays[0].shape)[()]

    def law(self, design: Design) -> FloatArray:
        """Draws of log2 of the law, shape (P, n).

        Where a setting of covariates and eps was tried, its own effect is in it; elsewhere that
        of a group like them.
        """
        value = self.family.evaluate(self.draws, design)
        rng = np.random.default_rng(0)
        apart, fresh = rng.standard_normal((2, len(self.draws), 1))
        scale = self.family.get(self.draws, "log_misfit")[:, None]
        value += scale * self.family.unheld(design.batch) * apart
        if self.family.groups:
            fresh = self.family.get(self.draws, "log_group_scatter")[:, None] * fresh
            effects = np.hstack([self.effects, fresh])[:, self._group(design)]
            value += effects * np.sqrt(1 + self._outside(design) / LENGTH)
        return value

    def _outside(self, design: Design) -> FloatArray:
        """Octaves that settings lie outside the covariates tried, (n,): groups vary with them."""
        low, high = (np.log2(end) - self.middles for end in self.ranges[1:].T)
        at = design.covariates
        return np.asarray(np.maximum(np.maximum(low - at, at - high), 0.0).sum(axis=1))

    def new_optimum(self, law: FloatArray) -> FloatArray:
        """What sweeps would find about draws (P, n) of the law, shape (25 P, n)."""
        scatter = np.hypot(self.family.get(self.draws, "log_scatter"), self.reading)
        found = law[:, None, :] + scatter[:, None, None] * STUDENT[:, None]
        return np.asarray(found.reshape(len(law) * len(STUDENT), law.shape[1]))

    def parameters(self, covariates: Mapping[str, float] | None = None) -> dict[str, FloatArray]:
        """Draws of what describes the law (T-I4) at some covariates, each of shape (P,).

        Returns
        -------
        dict
            ``critical_batch_size``, ``noise_batch_size``, ``sharpness``, and in octaves
            ``scatter`` of single optima, ``misfit`` and, with groups, ``group_scatter``.
        """
        arrays = self._broadcast(1.0, 0.0, covariates)
        at = np.log2([float(each) for each in arrays[2:]]) - self.middles
        critical, noise = (x[:, 0] for x in self.family.corners(self.draws, at[None]))
        sharpness = self.family.get(self.draws, "log_sharpness")
        found = {
            "critical_batch_size": np.exp2(critical + self.center),
            "noise_batch_size": np.exp2(noise + self.center),
            "sharpness": sharpness,
            "scatter": self.family.get(self.draws, "log_scatter"),
            "misfit": self.family.get(self.draws, "log_misfit"),
        }
        if self.family.groups:
            found["group_scatter"] = self.family.get(self.draws, "log_group_scatter")
        return found

    def exponent(
        self,
        batch_size: npt.ArrayLike,
        *,
        eps: npt.ArrayLike = 0.0,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
    ) -> FloatArray:
        """Draws of the law's exponent d log lr/d log B (T-E5), misfit and all, shape (P, n).

        It is the mean over two octaves, below which the misfit is not resolved.
        """
        batch = np.ravel(batch_size)
        ends = (self._design(self._broadcast(x * batch, eps, covariates)) for x in (2.0, 0.5))
        upper, lower = (self._smooth(end) for end in ends)
        return np.asarray((upper - lower) / 2)

    def peaks(
        self, *, eps: float = 0.0, covariates: Mapping[str, float] | None = None
    ) -> FloatArray:
        """Draws of the batch size at which the law is largest, among those tried, shape (P,).

        Infinite where it has hardly fallen at the largest, by less than 0.1 octave.
        """
        low, high = self.ranges[0].tolist()
        batch = np.geomspace(low, high, _PLACES)
        value = self._smooth(self._design(self._broadcast(batch, eps, covariates)))
        top = np.argmax(value, axis=1)
        falls = value.max(axis=1) - value[:, -1] > _FALL
        return np.where(falls, batch[top], np.inf)

    def _smooth(self, design: Design) -> FloatArray:
        """Draws of the law but for what is the same at all batch sizes, shape (P, n)."""
        return self.family.evaluate(self.draws, design)

    def beyond(self, batch_size: float, **covariates: float) -> dict[str, float]:
        """By which factor a setting lies outside what was tried, by name; 1 is inside."""
        values = [batch_size, *(covariates[name] for name in self.covariates)]
        names = ["batch_size", *self.covariates]
        return {
            name: float(max(low / value, value / high, 1.0))
            for name, value, (low, high) in zip(names, values, self.ranges, strict=True)
        }

    def to_dict(self, draws: int = DRAWS) -> dict[str, Any]:
        """Return what defines the posterior, as JSON values, with so many of its draws."""
        rows = np.linspace(0, len(self.draws) - 1, min(draws, len(self.draws))).astype(int)
        # Effects of very many groups are left out: those groups are then answered like new ones.
        kept = self.groups[: self.effects.shape[1]]
        if kept.shape[0] * rows.size > _MOST_EFFECTS:
            kept = kept[:0]
        return {
            "groups_differ": self.family.groups,
            "eps_matters": self.family.eps,
            "nodes": list(self.family.nodes),
            "covariates": list(self.covariates),
            "center": self.center,
            "middles": self.middles.tolist(),
            "ranges": self.ranges.tolist(),
            "reading": self.reading,
            "groups": [[x if np.isfinite(x) else None for x in row] for row in kept.tolist()],
            "draws": _rounded(self.draws[rows]),
            "effects": _rounded(self.effects[rows, : len(kept)]),
            "diagnostics": {
                name: finite_or_none(x) for name, x in self.diagnostics._asdict().items()
            },
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Rebuild a posterior from `to_dict`.

        Raises
        ------
        DataError
            If it is malformed.
        """
        try:
            names = tuple(str(name) for name in found["covariates"])
            nodes = tuple(float(x) for x in found["nodes"])
            family = Family(
                len(names), bool(found["groups_differ"]), bool(found["eps_matters"]), nodes
            )
            draws = np.array(found["draws"], dtype=float).reshape(-1, len(family))
            rows = [[-np.inf if x is None else float(x) for x in row] for row in found["groups"]]
            groups = np.array(rows, dtype=float).reshape(-1, len(names) + 1)
            effects = np.array(found["effects"], dtype=float).reshape(len(draws), len(groups))
            middles = np.array(found["middles"], dtype=float).reshape(len(names))
            ranges = np.array(found["ranges"], dtype=float).reshape(len(names) + 1, 2)
            center, reading = float(found["center"]), float(found["reading"])
            diagnostics = _diagnostics(found["diagnostics"])
        except (KeyError, TypeError, ValueError):
            raise DataError("the draws of the law are malformed; fit it again") from None
        numbers = np.concatenate([draws.ravel(), effects.ravel(), middles, ranges.ravel()])
        if not len(draws) or not np.isfinite([*numbers, center, reading]).all():
            raise DataError("the draws of the law are malformed; fit it again")
        return cls(
            family, draws, center, names, middles, groups, effects, reading, ranges, diagnostics
        )

    def _broadcast(
        self,
        batch_size: npt.ArrayLike,
        eps: npt.ArrayLike,
        covariates: Mapping[str, npt.ArrayLike] | None,
    ) -> list[FloatArray]:
        """Batch size, eps and covariates in their order, of one shape."""
        given = dict(covariates or {})
        for name in given:
            if name not in self.covariates:
                known = ", ".join(self.covariates) or "none"
                raise InputError(f"the law has no {name!r}; it has {known}", "covariate")
        missing = [name for name in self.covariates if name not in given]
        if missing:
            raise InputError(f"the law needs {', '.join(missing)} too", "covariate")
        values = [as_array(batch_size, "batch_size"), as_array(eps, "eps")]
        values += [as_array(given[name], name) for name in self.covariates]
        return [np.asarray(each) for each in np.broadcast_arrays(*values)]

    def _design(self, arrays: list[FloatArray]) -> Design:
        """Batch size, eps and covariates, each of one shape, in octaves."""
        with np.errstate(divide="ignore", invalid="ignore"):
            batch, eps, *covariates = (np.log2(array.reshape(-1)) for array in arrays)
        at = np.column_stack([batch, *covariates])
        return Design(at[:, 0] - self.center, at[:, 1:] - self.middles, eps)

    def _group(self, design: Design) -> npt.NDArray[np.intp]:
        """Column of the effect of each setting; the last is a new group's."""
        count = self.effects.shape[1]
        setting = np.column_stack([design.covariates + self.middles, design.eps])
        if not count:
            return np.zeros(len(setting), dtype=np.intp)
        with np.errstate(invalid="ignore"):
            distance = np.abs(setting[:, None] - self.groups)
        same = np.all(np.nan_to_num(distance, nan=0.0) < _SAME, axis=2)
        return np.asarray(np.where(np.any(same, axis=1), np.argmax(same, axis=1), count))


#: Settings closer than this, in octaves, are one.
_SAME = 1e-6
#: Numbers in a file, of the groups' effects.
_MOST_EFFECTS = 12_000


def infer(
    evidence: Evidence, prior: Prior | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Posterior:
    """Draw laws from the posterior.

    Parameters
    ----------
    evidence : Evidence
        At least one optimum that is not a bound.
    prior : Prior, optional
        What is believed before; learned from real sweeps by default.
    draws : int, default 500
    seed : int, default 0
        Of the random numbers; the same evidence, in any order, gives the same draws.

    Returns
    -------
    Posterior

    Raises
    ------
    DataError
        If there are bounds only.
    ArithmeticError
        If the scales of the prior are absurd.

    Notes
    -----
    theory.md T-K1 to T-K4; `sampler` has the method.

    Examples
    --------
    >>> tuned = Evidence([256], [3e-4])
    >>> found = infer(tuned).answer(1024)
    >>> bool(3e-4 < found.learning_rate < 6e-4), bool(found.low < found.law_low)
    (True, True)
    """
    target = target_of(evidence, prior)
    rng = np.random.default_rng(seed)
    found = sample(target, draws, rng)
    return posterior_of(target, found, rng)


def target_of(evidence: Evidence, prior: Prior | None = None) -> Target:
    """Return the density that `infer` draws from."""
    gathered = gather(evidence)
    several_eps = bool(gathered.design.eps.min() < gathered.design.eps.max())
    family = Family(
        len(evidence.covariates),
        len(gathered.groups) > 1,
        several_eps or evidence.root_second_moment is not None,
        _nodes(gathered.design.batch),
    )
    prior = Prior.load() if prior is None else prior
    return Target(family, gathered, prior, evidence.noise_scale, evidence.root_second_moment)


def posterior_of(target: Target, found: Sampled, rng: np.random.Generator) -> Posterior:
    """Return draws as a posterior; those of the groups' effects are made here."""
    cells, design = target.gathered.cells, target.gathered.design
    effects = np.empty((len(found.draws), 0))
    scatter, group_scatter = target.scatters(found.draws)
    if group_scatter is not None:
        law = target.family.evaluate(found.draws, design)
        effects = cells.draw_groups(law, scatter, group_scatter, rng)
    return Posterior(
        target.family,
        found.draws,
        target.gathered.center,
        target.gathered.names,
        target.gathered.middles,
        target.gathered.groups,
        effects,
        target.gathered.reading,
        target.gathered.ranges,
        found.diagnostics,
    )


def _nodes(batch: FloatArray) -> tuple[float, ...]:
    """Where the misfit is held: at the batch sizes tried, or evenly between them."""
    different = sorted({round(x, 3) for x in batch.tolist()})
    if len(different) > _MOST_NODES:
        different = np.linspace(different[0], different[-1], _MOST_NODES).tolist()
    return tuple(different)


def quantiles(
    values: FloatArray,
    levels: list[float],
    method: Literal["linear", "inverted_cdf"] = "linear",
) -> FloatArray:
    """Quantiles along the first axis, as NumPy's, which takes 20 ms to begin with."""
    ordered, last = np.sort(values, axis=0), len(values) - 1
    if method == "inverted_cdf":
        places = np.ceil(np.array(levels) * (last + 1)).astype(int) - 1
        return np.asarray(ordered[np.clip(places, 0, last)])
    place = np.array(levels) * last
    low = np.floor(place).astype(int)
    share = (place - low).reshape(-1, *[1] * (ordered.ndim - 1))
    return np.asarray(ordered[low] * (1 - share) + ordered[np.minimum(low + 1, last)] * share)


def _diagnostics(found: Mapping[str, Any]) -> Diagnostics:
    """Read what `to_dict` wrote; only the tail's shape may be infinite, where there is no tail."""
    shape = found["pareto_k"]
    return Diagnostics(
        _number(found["effective"]),
        int(_number(found["stages"])),
        _number(found["acceptance"]),
        -np.inf if shape is None else _number(shape),
        _number(found["log_evidence"]),
    )


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _rounded(values: FloatArray) -> list[list[float]]:
    return [[float(f"{x:.5g}") for x in row] for row in values.tolist()]
