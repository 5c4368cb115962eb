"""A summary of gradients and noise over any number of coordinates, and the law from it.

The best learning rate (T-A1, T-A2) is a ratio of sums over coordinates. To know them at every
batch size and epsilon, the gradients themselves are not needed: how many coordinates there are
with about which |gradient| and about which noise is enough.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import (
    FloatArray,
    IntArray,
    Real,
    as_array,
    as_non_negative,
    positive,
)
from scaling.numeric.moments.models import DEFAULT_MODEL, MomentModel, Update, moment_model
from scaling.numeric.population import _json as _population_json
from scaling.numeric.population._coordinates import Chunk, Coordinates, blocks
from scaling.numeric.population._histogram import Counter, Histogram, combine
from scaling.numeric.population.points import NOISELESS, PointAverage, WeightedPoints

#: Relative error of the sums, by the parts of an octave; see the notes of `GradientPopulation`.
_ACCURACY = {8: 2e-4, 4: 2e-4, 2: 6e-3, 1: 2e-2}
#: Binary orders of magnitude below the root mean square that numbers have.
_DEEPEST = 1000


@dataclass(frozen=True, eq=False, repr=False)
class GradientPopulation:
    """How gradients and their noise are distributed over the coordinates of a model.

    Made by `from_arrays` or `from_chunks`, in one pass and in the memory of one block, whatever
    the number of coordinates; two are merged by ``+``. Coordinates are counted in cells of the
    plane of gradient (its size) and noise, four to an octave, that keep their exact means.

    Attributes
    ----------
    cells : Histogram
        The cells; how they are laid out is private to this package.
    nans, infinities : int
        Coordinates left out because their gradient, noise or curvature is NaN, or else infinite.

    Notes
    -----
    There are four cells to an octave each way, or fewer (`cells_per_octave`) if 80,000 kept
    numbers do not allow them; a hundred million coordinates, log-normal over 6 decades in gradient
    and noise alike, still get 4. They follow from the coordinates alone: in whatever order and
    however grouped, chunks give the same cells, and sums that differ by rounding only.

    The learning rate was within 4e-5 of the full sum over coordinates for smooth populations,
    1.5e-4 with a curvature that varies with the gradient, and 2e-4 where a few values share a
    cell; with 2 to an octave the latter are off by up to 6e-3, with 1 by up to 2e-2. (Measured
    from 1e-3 to 1e6 noise scales and eps up to 1e3 times the RMS.) The moments "clip" have a
    kink, which is rounded off within a cell: up to 5e-4.

    Exact zeros have cells of their own. A coordinate without gradient moves at random and adds
    to the curvature; one without noise moves by the noiseless update, at every batch size; one
    with neither does not move, not even at eps = 0, where Adam's update of it is 0/0.

    Examples
    --------
    >>> population = GradientPopulation.from_arrays([1e-3, -2e-3, 0.0], [0.1, 0.4, 0.2])
    >>> print(f"{population.noise_scale:.0f}")
    42000
    >>> population.learning_rate([1e3, 1e5], eps=1e-8).round(5).tolist()
    [0.0023, 0.00156]
    """

    cells: Histogram
    nans: int = 0
    infinities: int = 0

    @classmethod
    def from_arrays(
        cls, gradient: Coordinates, noise: Coordinates, curvature: Coordinates | None = None
    ) -> "GradientPopulation":
        """Summarise arrays.

        Parameters
        ----------
        gradient : array_like or path-like
            True gradient g of each coordinate, of any shape and either sign: float16, bfloat16
            (of ml_dtypes), float32, float64, integers, a memory map, or the path of a .npy
            file, which is read a block at a time. A torch tensor must be on the CPU and detached;
            one of bfloat16 must be upcast by ``.float()``.
        noise : array_like or path-like
            Standard deviation sigma of one example's gradient, at least 0, of the same shape.
        curvature : array_like or path-like, optional
            Diagonal H_ii of the Hessian, of the same shape and either sign. Without it H_ii = 1,
            and the learning rate is known but for a factor.

        Returns
        -------
        GradientPopulation

        Raises
        ------
        InputError
            If shapes differ or there is no real number in an array.
        DataError
            If a noise is negative or a file cannot be read.

        Examples
        --------
        >>> GradientPopulation.from_arrays([1.0, 2.0], [3.0, 3.0], curvature=[0.5, 1.5]).trace
        2.0
        """
        return cls.from_chunks([(gradient, noise, curvature)])

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[Chunk],
    ) -> "GradientPopulation":
        """Summarise a stream of chunks, such as the parameters of a model one after the other.

        Parameters
        ----------
        chunks : iterable of tuple
            ``(gradient, noise)`` or ``(gradient, noise, curvature)``, each as `from_arrays`
            takes them; curvature in all chunks or in none. Every chunk is forgotten before the
            next is asked for.

        Returns
        -------
        GradientPopulation
            An empty one, which adds nothing to others, where there is no chunk.

        Raises
        ------
        InputError, DataError
            As `from_arrays`.

        Examples
        --------
        >>> chunks = ((np.full(1000, size), np.ones(1000)) for size in (0.1, 0.2, 0.4))
        >>> GradientPopulation.from_chunks(chunks).count
        3000
        """
        counter: Counter | None = None
        for chunk in chunks:
            if not isinstance(chunk, tuple | list) or len(chunk) not in {2, 3}:
                raise InputError(
                    "must be (gradient, noise) or (gradient, noise, curvature)", "chunks"
                )
            gradient, noise, curvature = (*chunk, None)[:3]
            counter = counter or Counter(has_curvature=curvature is not None)
            if counter.has_curvature != (curvature is not None):
                raise InputError("must be given for all coordinates or for none", "curvature")
            for block in blocks(gradient, noise, curvature):
                counter.add(block)
        counter = counter or Counter(has_curvature=False)
        return cls(counter.histogram(), counter.nans, counter.infinities)

    def __add__(self, other: object) -> "GradientPopulation":
        if not isinstance(other, GradientPopulation):
            return NotImplemented
        parts = [part.cells for part in (self, other) if part.cell_count]
        if len({part.has_curvature for part in parts}) > 1:
            raise InputError("must be known in both populations or in neither", "curvature")
        return GradientPopulation(
            combine(parts or [self.cells]),
            self.nans + other.nans,
            self.infinities + other.infinities,
        )

    def __repr__(self) -> str:
        return f"<GradientPopulation of {self.count} coordinates in {self.cell_count} cells>"

    @property
    def count(self) -> int:
        """Number of coordinates, those left out not counted."""
        return int(self.cells.sums[:, 0].sum())

    @property
    def cell_count(self) -> int:
        """Number of cells that are occupied."""
        return self.cells.rows.size

    @property
    def cells_per_octave(self) -> tuple[int, int]:
        """How fine the cells are, along the gradient and along the noise: 4, or 1 at worst."""
        bits = self.cells.bits
        return 2 ** bits[0], 2 ** bits[1]

    @property
    def has_curvature(self) -> bool:
        """Whether H is known."""
        return self.cells.has_curvature

    @property
    def without_gradient(self) -> int:
        """Coordinates with noise whose gradient is exactly 0."""
        return self.cells.count(zero_gradient=True, zero_noise=False)

    @property
    def without_noise(self) -> int:
        """Coordinates with a gradient whose noise is exactly 0."""
        return self.cells.count(zero_gradient=False, zero_noise=True)

    @property
    def without_both(self) -> int:
        """Coordinates whose gradient and noise are exactly 0."""
        return self.cells.count(zero_gradient=True, zero_noise=True)

    @property
    def trace(self) -> float:
        """T = tr H, or the number of coordinates where H is not known."""
        return float(self.cells.sums[:, 6 if self.has_curvature else 0].sum())

    @property
    def noise_scale(self) -> float:
        """B_simple = tr(Sigma)/||g||^2, exactly.

        Raises
        ------
        DataError
            If no coordinate has a gradient, or the ratio is out of the range of numbers.
        """
        self._require_gradient()
        (gradient, low), (noise, high) = (self.cells.squares(axis) for axis in (0, 1))
        with np.errstate(over="ignore", under="ignore"):
            scale = float(np.ldexp(noise / gradient, 2 * (high - low)))
        if scale == np.inf or (noise and not scale):
            raise DataError(
                f"the noise is 2^{high - low} times the gradient; the noise scale is not a number"
            )
        return scale

    @property
    def grad_rms(self) -> float:
        """gamma = ||g||/sqrt(number of coordinates), exactly; the coordinates include zeros.

        Raises
        ------
        DataError
            If there is no coordinate.
        """
        if not self.count:
            raise DataError("the population is empty; it has no gradient")
        return float(np.ldexp(*self._rms(0)))

    def learning_rate(
        self,
        batch_size: npt.ArrayLike,
        eps: npt.ArrayLike = 0.0,
        beta1: float | None = None,
        *,
        beta2: float | None = None,
        step: float | None = None,
        curvature_ratio: float = 1.0,
        moments: str = DEFAULT_MODEL,
    ) -> Real:
        """Best learning rate of one step, from the cells alone (T-A1, T-A2).

        Parameters
        ----------
        batch_size, eps : array_like
            In examples, if the noise is that of one example's gradient (infinity: without noise),
            and in units of the gradient; they are broadcast. Models without epsilon ignore it.
        beta1, beta2, step : float, optional
            Adam's decay rates and the number of the step; see `update_moments`.
        curvature_ratio : float, default 1
            R0 = sign(g)^T H sign(g)/tr H; 1 for a diagonal Hessian. The part of H off the
            diagonal is taken to be (R0 - 1) tr H times the squared mean update.
        moments : str, default "mean-field-outside"
            Moment model; see `update_moments`.

        Returns
        -------
        numpy.float64 or ndarray
            Of the broadcast shape; but for a factor, where no curvature is known. NaN where the
            curvature is not positive, a batch size is not, or an eps is negative or not finite.

        Raises
        ------
        InputError
            As `update_moments`, or if the shapes do not fit.
        DataError
            If no coordinate has a gradient.
        """
        model = moment_model(moments)
        update = model.bind(beta1, beta2, step)
        batch, epsilon = as_array(batch_size, "batch_size"), as_non_negative(eps, "eps")
        try:
            np.broadcast_shapes(batch.shape, epsilon.shape)
        except ValueError as error:
            raise InputError(f"does not fit the batch size: {error}", "eps") from None
        mean = self.average(model, update, positive(curvature_ratio, "curvature_ratio"))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            signal = np.minimum(np.sqrt(batch / self.noise_scale), NOISELESS)
            alignment, curvature = mean.sums(signal, signal * (epsilon / self.grad_rms))
            # SGD's update is in units of the noise sigma/sqrt(B), which is gamma/signal.
            unit = signal if model.in_gradient_units else self.grad_rms
            return alignment / curvature * unit * (self.count / self._trace_unit)

    def average(self, model: MomentModel, update: Update, curvature_ratio: float) -> PointAverage:
        """Averages of an update over the coordinates, as `scaling.numeric.population.averages`.

        Raises
        ------
        DataError
            If no coordinate has a gradient.
        """
        self._require_gradient()
        accuracy = _ACCURACY[min(self.cells_per_octave)]
        if model.name == "clip":  # whose kink the points do not see
            accuracy = 3e-2
        return PointAverage(model, update, curvature_ratio, self._points, accuracy)

    def to_json(self) -> str:
        """Return the population as a text of less than 1 MB, which `from_json` reads.

        Returns
        -------
        str
            One JSON object, versioned; the cells are in it as compressed numbers, exactly.
        """
        contents = _population_json.Contents(self.cells, self.nans, self.infinities)
        return _population_json.write(contents)

    @classmethod
    def from_json(cls, text: str) -> "GradientPopulation":
        """Read a population that `to_json` has written.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        GradientPopulation

        Raises
        ------
        DataError
            If the text is malformed or comes from a newer version.

        Examples
        --------
        >>> text = GradientPopulation.from_arrays([1.0, 2.0], [3.0, 3.0]).to_json()
        >>> GradientPopulation.from_json(text)
        <GradientPopulation of 2 coordinates in 2 cells>
        """
        return cls(*_population_json.read(text))

    @cached_property
    def _points(self) -> WeightedPoints:
        """Weighted points in units of the root mean squares."""
        points = self.cells.points()
        gradient = self._in_units(points.gradient, points.gradient_octave, 0)
        noise = self._in_units(points.noise, points.noise_octave, 1)
        return WeightedPoints.of(
            gradient, noise, points.number / self.count, points.curvature / self._trace_unit
        )

    @property
    def _trace_unit(self) -> float:
        """Size of the trace, or the number of coordinates if it is 0."""
        return abs(self.trace) or self.count

    def _in_units(self, values: FloatArray, octaves: IntArray, axis: int) -> FloatArray:
        """Gradients (axis 0) or noise (1) in units of their root mean square."""
        size, octave = self._rms(axis)
        octaves = octaves - octave
        if np.any((values > 0) & (octaves < -_DEEPEST)):
            raise DataError(
                f"the {('gradients', 'noise')[axis]} are spread over more than {_DEEPEST} octaves, "
                "far more than a model's are; leave the smallest out"
            )
        return np.ldexp(values, octaves) / (size or 1.0)

    def _rms(self, axis: int) -> tuple[float, int]:
        """Root mean square of the gradients (axis 0) or the noise (1), divided by 2^n, and n."""
        squares, octave = self.cells.squares(axis)
        return float(np.sqrt(squares / self.count)), octave

    def _require_gradient(self) -> None:
        if not self.cells.squares(0)[0]:
            raise DataError("no coordinate has a nonzero gradient; there is nothing to descend")
