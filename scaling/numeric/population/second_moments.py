"""What epsilon does to the best learning rate, from Adam's own second moment (T-J1).

With t = sqrt(v_hat), u = t/(t + eps) (or t/sqrt(t^2 + eps^2), inside the root) and H_ii ~ t, the
shift (T-J1) is sum t u / sum t u^2. Since u < 1:

- it is **never below 1**: f = 1 + eps/M, where M = sum u^2 t/sum u^2 is a mean of t, which rises
  with eps from mean(t) to sum t^3/sum t^2. Hence 1 + eps sum t^2/sum t^3 <= f <= 1 + eps/mean(t),
  and f = 1 + eps/mean(t) - (eps/mean(t))^2 2 (mean(t) mean(1/t) - 1) + ...;
- it **falls** where M rises faster than eps: where the mean of u weighted by t u^2 exceeds that
  weighted by u^2 by more than 1/2. That is impossible if the density of log t is log-concave
  (log-normal, of any width) or if max t/min t <= 17 + 12 sqrt(2) = 33.97, the best such constant:
  216 times t = 1 and one t = 36 give f(5) = 2706/1351 > f(6) = 2. The fall can be deep: 10^9
  times t = 1 and one t = 10^6 give f = 16.3 at eps = 30 and 1.11 at eps = 10^4.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray, Real, as_non_negative, positive
from scaling.numeric.inputs.documents import open_document
from scaling.numeric.population._coordinates import Coordinates, stretches
from scaling.numeric.population.optimizer_state import adam_groups

IntArray: TypeAlias = npt.NDArray[np.int64]

_FORMAT = "adam-lr-scaling second moments"
_VERSION = 1
_WHERE = "second moments"
#: Longer than any text of ours.
_LONGEST = 10_000_000
#: The largest whole number up to which floats count.
_MOST = 2**53
#: float64 has 52 bits of mantissa; the upper 6 are kept: 64 cells to an octave of v_hat.
_SHIFT = 52 - 6
#: Numbers held at a time when many eps are asked for.
_CHUNK = 2**20
#: The inverse stops at this relative change, or after so many steps.
_STILL, _MOST_STEPS = 1e-13, 10_000


@dataclass(frozen=True, eq=False, repr=False)
class SecondMoments:
    """The distribution of t = sqrt(v_hat) over the parameters of a tuned run at a small eps.

    v_hat is Adam's ``exp_avg_sq / (1 - beta2**step)``. Made by `from_optimizer`, `from_arrays` or
    `from_chunks`, in one pass and in flat memory; two are merged by ``+``.

    Attributes
    ----------
    counts : ndarray of int64, shape (C,)
        How many values lie in each occupied cell, of which there are 64 to an octave of v_hat.
    sums : ndarray, shape (C,)
        The sums of v_hat over the cells, in ascending order of their means.
    zeros, negatives, nans, infinities : int
        Values that were counted and left out: exactly 0, below 0, NaN, plus infinity.

    Notes
    -----
    T-J1 takes the signal-to-noise ratio and H_ii/t as alike for all coordinates. On trainings of
    four kinds it was off by 0.07 to 0.36 octave RMSE over eps from 1e-8 to 0.1, with v_hat taken
    half-way through the tuned run, and by 0.21 (0.80 at most) on scikit-learn's digits at three
    batch sizes with and without decay; ignoring eps is off by 0.9 to 1.8. v_hat at the start or at
    convergence misleads.

    A cell's mean is exact, so that a sum of Phi(v_hat) is off by at most w^2/8 max|v^2 Phi''/Phi|
    with the relative width w <= 1/64 of a cell: 8.6e-6 for sum t^2/(t + eps), 2.3e-5 for
    sum t^3/(t + eps)^2, 7.6e-6 for the mean of t, whatever the distribution; `eps_shift` to 3.3e-5
    (measured: 2.3e-5 with all values at the ends of their cells, 1e-6 for a log-normal).

    Examples
    --------
    >>> moments = SecondMoments.from_arrays([1e-12, 1e-10, 4e-10, 0.0])
    >>> moments
    <SecondMoments of 3 values in 3 cells, mean root 1.03e-05; left out: 1 zeros>
    >>> moments.eps_shift([0.0, 1e-8, 1e-5]).round(3).tolist()
    [1.0, 1.001, 1.617]
    """

    counts: IntArray
    sums: FloatArray
    zeros: int = 0
    negatives: int = 0
    nans: int = 0
    infinities: int = 0

    @classmethod
    def from_arrays(cls, *v_hat: Coordinates) -> "SecondMoments":
        """Summarise arrays, such as one for each parameter tensor.

        Parameters
        ----------
        *v_hat : array_like or path-like
            Bias-corrected second moments, of any shape: float16, bfloat16 (of ml_dtypes), float32,
            float64, integers, a memory map, or the path of a .npy file.

        Returns
        -------
        SecondMoments

        Raises
        ------
        InputError
            If an array does not hold real numbers.
        DataError
            If a file cannot be read, or values near 1e308 overflow when they are added up.

        Examples
        --------
        >>> SecondMoments.from_arrays([1.0, 4.0], [[9.0]]).mean_root
        2.0
        """
        return cls.from_chunks(v_hat)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Coordinates]) -> "SecondMoments":
        """Summarise a stream of arrays, each of which is forgotten before the next is asked for.

        Parameters
        ----------
        chunks : iterable of array_like or path-like
            As `from_arrays` takes them.

        Returns
        -------
        SecondMoments
            An empty one, which adds nothing to others, where there is no value.

        Raises
        ------
        InputError, DataError
            As `from_arrays`.

        Examples
        --------
        >>> SecondMoments.from_chunks(np.full(1000, 10.0**-k) for k in range(4)).count
        4000
        """
        counter = _Counter()
        for chunk in chunks:
            for values in stretches(chunk, "v_hat"):
                counter.add(values)
        return cls(*counter.cells(), *counter.left_out)

    @classmethod
    def from_optimizer(cls, optimizer: Any) -> "SecondMoments":
        """Summarise the second moments of an optimizer of PyTorch, while it trains.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer or mapping
            Adam, AdamW or another that keeps ``exp_avg_sq`` and ``step``, on any device and of any
            type; or its ``state_dict()``. Each parameter is corrected by its own number of steps.
            With amsgrad, ``max_exp_avg_sq`` is taken, by which that divides. Of tensors that are
            sharded over ranks, the share of this rank: add up those of all.

        Returns
        -------
        SecondMoments

        Raises
        ------
        InputError
            If it is no optimizer.
        DataError
            If it is not Adam's, or has made no step.

        Examples
        --------
        After one step with beta2 = 0.999, v_hat is v/0.001:

        >>> state = {"exp_avg_sq": np.array([1e-3, 4e-3]), "step": 1}
        >>> group = {"params": [0], "betas": (0.9, 0.999)}
        >>> SecondMoments.from_optimizer({"state": {0: state}, "param_groups": [group]})
        <SecondMoments of 2 values in 2 cells, mean root 1.5>
        """
        return cls.from_chunks(
            values for group in adam_groups(optimizer) for values in group.v_hat()
        )

    def __add__(self, other: object) -> "SecondMoments":
        if not isinstance(other, SecondMoments):
            return NotImplemented
        counts = np.concatenate([self.counts, other.counts])
        sums = np.concatenate([self.sums, other.sums])
        cells, index = np.unique(_cell(sums / counts), return_inverse=True)
        merged, totals = np.zeros(cells.size, np.int64), np.zeros(cells.size)
        np.add.at(merged, index, counts)
        np.add.at(totals, index, sums)
        left_out = map(int.__add__, self._left_out, other._left_out)
        return SecondMoments(merged, totals, *left_out)

    def __repr__(self) -> str:
        said = f"{self.count} values in {self.counts.size} cells"
        if self.count:
            said += f", mean root {self.mean_root:.3g}"
        names = "zeros", "negatives", "NaN", "infinities"
        left_out = [f"{n} {name}" for n, name in zip(self._left_out, names, strict=True) if n]
        if left_out:
            said += f"; left out: {', '.join(left_out)}"
        return f"<SecondMoments of {said}>"

    @property
    def count(self) -> int:
        """Number of values, those left out not counted."""
        return int(self.counts.sum())

    @property
    def mean_root(self) -> float:
        """Mean of t = sqrt(v_hat); epsilon begins to matter where it is comparable with it (T-J1).

        Raises
        ------
        DataError
            If no value is positive.
        """
        roots = self._roots
        return float(self.counts @ roots / self.count)

    def share_below(self, eps: npt.ArrayLike) -> Real:
        """Share of the values whose root t is below eps; those left out are not counted.

        Parameters
        ----------
        eps : array_like
            Adam's epsilon, at least 0.

        Returns
        -------
        numpy.float64 or ndarray
            From 0 to 1, of the shape of ``eps``; NaN where that is negative or not finite. The
            cell in which eps lies, 1/128 octave wide, counts as below if its mean is.

        Raises
        ------
        DataError
            If no value is positive.

        Examples
        --------
        >>> SecondMoments.from_arrays([1e-12, 1e-10, 4e-10, 1e-8]).share_below([1e-9, 1.5e-5])
        array([0. , 0.5])
        """
        epsilon = as_non_negative(eps, "eps")
        below = np.append(0, np.cumsum(self.counts))[np.searchsorted(self._roots, epsilon)]
        return np.where(np.isnan(epsilon), np.nan, below / self.count)[()]

    def eps_shift(
        self, eps: npt.ArrayLike, eps_ref: npt.ArrayLike = 0.0, *, inside: bool = False
    ) -> Real:
        """Factor on the best learning rate when epsilon changes at the same batch size (T-J1).

        Parameters
        ----------
        eps, eps_ref : array_like
            The new epsilon and that of the tuned run, in units of t, at least 0.
        inside : bool, default False
            Whether epsilon stands inside the root, m/sqrt(v + eps^2), and not, as in PyTorch,
            outside, m/(sqrt(v) + eps).

        Returns
        -------
        numpy.float64 or ndarray
            lr*(eps)/lr*(eps_ref), of the broadcast shape; at least 1 where eps_ref is 0. NaN where
            an epsilon is negative or not finite.

        Raises
        ------
        InputError
            If the shapes do not fit.
        DataError
            If no value is positive.

        Examples
        --------
        With all t alike the shift is 1 + eps/t:

        >>> SecondMoments.from_arrays(np.full(9, 4e-10)).eps_shift([1e-8, 2e-5], 2e-5).round(4)
        array([0.5002, 1.    ])
        """
        new, old = as_non_negative(eps, "eps"), as_non_negative(eps_ref, "eps_ref")
        try:
            np.broadcast_shapes(new.shape, old.shape)
        except ValueError as error:
            raise InputError(f"does not fit eps: {error}", "eps_ref") from None
        shift = (1 + self._excess(new, inside=inside)) / (1 + self._excess(old, inside=inside))
        return shift[()]

    def eps_for_shift(self, factor: npt.ArrayLike, *, inside: bool = False) -> Real:
        """Smallest epsilon that multiplies the best learning rate by a factor.

        Parameters
        ----------
        factor : array_like
            Of the rate at eps = 0, at least 1.
        inside : bool, default False
            As in `eps_shift`.

        Returns
        -------
        numpy.float64 or ndarray
            Of the shape of ``factor``; NaN where that is below 1 or not finite. Where `eps_shift`
            rises, falls and rises again, a factor has three epsilons: this is the first.

        Raises
        ------
        DataError
            If no value is positive.

        Notes
        -----
        Outside the root, f - 1 = eps/M(eps), so eps is a fixed point of (factor - 1) M(eps), and M
        rises. From the lower bound (factor - 1) mean(t) the iterates rise to the first fixed point
        and cannot pass it. Inside, d log(f - 1)/d log(eps) < 2: a step of half the distance in logs
        cannot pass it either.

        Examples
        --------
        >>> SecondMoments.from_arrays(np.full(9, 4e-10)).eps_for_shift(2.0).round(12)
        np.float64(2e-05)
        """
        wanted = as_non_negative(factor, "factor") - 1
        wanted = np.where(wanted >= 0, wanted, np.nan)
        eps = np.where(wanted > 0, wanted, np.nan) * self.mean_root
        power = 0.5 if inside else 1.0
        for _ in range(_MOST_STEPS):
            step = (wanted / self._excess(eps, inside=inside)) ** power
            eps = eps * step
            if not (np.abs(step - 1) > _STILL).any():
                break
        return np.where(wanted == 0, 0.0, eps)[()]

    def at_batch_size(
        self, batch_size: float, reference: float, noise_scale: float
    ) -> "SecondMoments":
        """Second moments of the same model at another batch size (T-J2).

        Parameters
        ----------
        batch_size, reference : float
            The new batch size, and that at which v_hat was taken.
        noise_scale : float
            B_n, in the same unit; infinity where gradients are all noise.

        Returns
        -------
        SecondMoments
            With every v_hat times (1/B + 1/B_n)/(1/B_ref + 1/B_n).

        Raises
        ------
        InputError
            If an argument is not positive.

        Examples
        --------
        >>> moments = SecondMoments.from_arrays([1.0, 4.0])
        >>> moments.at_batch_size(400, 100, noise_scale=float("inf")).mean_root
        0.75
        """
        batch = np.asarray(positive(batch_size, "batch_size"))
        ratio = root_ratio(batch, positive(reference, "reference"), noise_scale)
        return replace(self, sums=self.sums * ratio**2)

    def shift_over_batch_sizes(
        self,
        batch_size: FloatArray,
        eps: npt.ArrayLike,
        *,
        reference: tuple[float, float],
        noise_scale: float,
        inside: bool = False,
    ) -> Real:
        """What epsilon adds to a law over batch sizes (T-J3); see `eps_shift` for the factor.

        Parameters
        ----------
        batch_size : ndarray
            Batch sizes, NaN where they are malformed.
        eps : array_like
            Epsilons, at least 0.
        reference : tuple of float
            Batch size and epsilon of the tuned run in which v_hat was taken.
        noise_scale : float
            B_n, in the unit of the batch size.
        inside : bool, default False
            As in `eps_shift`.

        Returns
        -------
        numpy.float64 or ndarray
            The shift at each batch size over that of the tuned run.

        Examples
        --------
        >>> moments = SecondMoments.from_arrays(np.full(9, 4e-10))
        >>> run = {"reference": (256, 0.0), "noise_scale": np.inf}
        >>> moments.shift_over_batch_sizes(np.array([256.0, 1024.0]), 2e-5, **run).round(3)
        array([2., 3.])
        """
        # Epsilon over the scaled t (T-J2) is the scaled epsilon over t.
        scaled = np.asarray(eps) / root_ratio(batch_size, reference[0], noise_scale)
        return self.eps_shift(scaled, reference[1], inside=inside)

    def to_json(self) -> str:
        """Return a text that `from_json` reads, of some 30 bytes for each cell.

        Returns
        -------
        str
            One JSON object, versioned, with the fields of this class.
        """
        import msgspec

        fields = {
            "format": _FORMAT,
            "version": _VERSION,
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
            **dict(zip(_LEFT_OUT, self._left_out, strict=True)),
        }
        return msgspec.json.encode(fields).decode()

    @classmethod
    def from_json(cls, text: str) -> "SecondMoments":
        """Read what `to_json` has written.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        SecondMoments

        Raises
        ------
        DataError
            If the text is malformed or comes from a newer version.

        Examples
        --------
        >>> SecondMoments.from_json(SecondMoments.from_arrays([1.0, 4.0]).to_json())
        <SecondMoments of 2 values in 2 cells, mean root 1.5>
        """
        import msgspec

        if not isinstance(text, str) or len(text) > _LONGEST:
            raise DataError(f"{_WHERE}: must be a text of at most 10 MB, as to_json returns")
        missing = "not second moments; SecondMoments.to_json writes them"
        document, _ = open_document(_WHERE, text, form=_FORMAT, newest=_VERSION, missing=missing)
        try:
            fields = msgspec.convert(document, _fields())
        except msgspec.ValidationError as error:
            raise DataError(f"{_WHERE}: not valid: {error}") from None
        counts, sums, *left_out = msgspec.structs.astuple(fields)
        if len(counts) != len(sums):
            raise DataError(f"{_WHERE}: {len(counts)} counts, but {len(sums)} sums")
        if sum(counts) > _MOST:
            raise DataError(f"{_WHERE}: more than {_MOST:g} values")
        read = cls(np.array(counts, np.int64), np.array(sums, np.float64), *left_out)
        means = read.sums / read.counts
        if not (np.isfinite(means).all() and (np.diff(means, prepend=0.0) > 0).all()):
            raise DataError(f"{_WHERE}: the means of the cells do not ascend from above 0")
        return read

    @property
    def _left_out(self) -> tuple[int, int, int, int]:
        return self.zeros, self.negatives, self.nans, self.infinities

    @cached_property
    def _roots(self) -> FloatArray:
        """The root of each cell's mean, ascending."""
        if not self.counts.size:
            raise DataError("no second moment is positive; there is nothing that eps could shift")
        roots: FloatArray = np.sqrt(self.sums / self.counts)
        return roots

    def _excess(self, eps: FloatArray, *, inside: bool) -> FloatArray:
        """The shift less 1: sum t u (1 - u)/sum t u^2."""
        t = self._roots
        weight = self.counts * (t / t[-1])
        flat = eps.reshape(-1, 1)
        result = np.empty(eps.size)
        rows = max(1, _CHUNK // t.size)
        for start in range(0, eps.size, rows):
            e = flat[start : start + rows]
            size = np.hypot(t, e) if inside else t + e
            # Relative to that of the largest t, u does not vanish for a large eps.
            largest = t[-1] / size[:, -1]
            u = t / size / largest[:, None]
            rest = e / size * (e / (size + t)) if inside else e / size
            result[start : start + rows] = (u * rest) @ weight / ((u * u) @ weight) / largest
        return result.reshape(eps.shape)


def root_ratio(batch_size: FloatArray, reference: float, noise_scale: float) -> FloatArray:
    """Return t at a batch size over t at the reference (T-J2); the sizes are checked before."""
    signal = 0.0 if noise_scale == np.inf else 1 / positive(noise_scale, "noise_scale")
    return np.asarray(np.sqrt((1 / batch_size + signal) / (1 / reference + signal)))


_LEFT_OUT = ("zeros", "negatives", "nans", "infinities")


def _fields() -> Any:
    """The fields of the text, as msgspec checks them."""
    from typing import Annotated

    import msgspec

    count = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
    total = Annotated[float, msgspec.Meta(gt=0)]
    left_out = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
    return msgspec.defstruct(
        "Fields",
        [("counts", list[count]), ("sums", list[total]), *((name, left_out) for name in _LEFT_OUT)],
        forbid_unknown_fields=True,
    )


class _Range(NamedTuple):
    """Counts and sums of the cells from a first one on."""

    first: int
    counts: FloatArray
    sums: FloatArray


class _Counter:
    """Counts blocks of values into cells.

    The leading bits of a floating-point number are the index of its cell: no logarithm is taken.
    """

    def __init__(self) -> None:
        self.left_out = [0, 0, 0, 0]
        self._held = _Range(0, np.zeros(0), np.zeros(0))

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count a vector of any type."""
        if values.dtype == np.float16 or values.dtype.name == "bfloat16":
            # There are no more than 65,536 of them.
            times = np.bincount(values.view(np.uint16))
            patterns = np.flatnonzero(times)
            values = patterns.astype(np.uint16).view(values.dtype).astype(np.float64)
            self._add(values, times[patterns])
        else:
            self._add(values, None)

    def cells(self) -> tuple[IntArray, FloatArray]:
        """Return the counts and the sums of the cells that are occupied."""
        occupied = np.flatnonzero(self._held.counts)
        sums = self._held.sums[occupied]
        if not np.isfinite(sums).all():
            raise DataError("v_hat: too large to be added up")
        return self._held.counts[occupied].astype(np.int64), sums

    def _add(self, values: npt.NDArray[Any], times: IntArray | None) -> None:
        """Count values, each so many times."""
        # NaN, if there is one, fails the comparison.
        if not (values.min() > 0 and values.max() < np.inf):
            values, times = self._positive(values, times)
            if not values.size:
                return
        values = np.ascontiguousarray(values, dtype=np.float64)
        index = _cell(values)
        first = int(index.min())
        index -= first
        with np.errstate(over="ignore"):  # refused by `cells`
            if times is None:
                counts, sums = np.bincount(index), np.bincount(index, values)
            else:
                counts, sums = (np.bincount(index, w) for w in (times, times * values))
            held = self._reach(first, first + counts.size)
            at = slice(first - held.first, first - held.first + counts.size)
            held.counts[at] += counts
            held.sums[at] += sums

    def _positive(
        self, values: npt.NDArray[Any], times: IntArray | None
    ) -> tuple[npt.NDArray[Any], IntArray | None]:
        """Count what is left out, and return the rest."""
        kinds = values == 0, values < 0, np.isnan(values), values == np.inf
        for i, kind in enumerate(kinds):
            self.left_out[i] += int(np.count_nonzero(kind) if times is None else times[kind].sum())
        rest = np.flatnonzero((values > 0) & (values < np.inf))
        return values[rest], None if times is None else times[rest]

    def _reach(self, first: int, end: int) -> _Range:
        """Widen what is held to these cells."""
        held = self._held
        if not held.counts.size:
            held = held._replace(first=first)
        before = max(0, held.first - first)
        after = max(0, end - held.first - held.counts.size)
        if before or after:
            counts, sums = (np.pad(x, (before, after)) for x in held[1:])
            self._held = held = _Range(held.first - before, counts, sums)
        return held


def _cell(values: FloatArray) -> IntArray:
    """Index of the cells in which positive numbers lie."""
    return values.view(np.int64) >> _SHIFT
