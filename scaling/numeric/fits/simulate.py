"""Sweeps made up from a known law: for tests, and to plan a sweep before paying for it."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.inference.posterior import Posterior
from scaling.numeric.inputs.arrays import FloatArray, as_array, non_negative, positive
from scaling.numeric.laws.law import Law, Provenance
from scaling.numeric.tables.runs import Runs

_OCTAVE = float(np.log(2))
_MOST_RUNS = 1_000_000


def simulate_sweep(
    law: Law,
    batch_sizes: npt.ArrayLike,
    learning_rates: npt.ArrayLike | None = None,
    *,
    covariates: Mapping[str, Sequence[float]] | None = None,
    eps: Sequence[float] | None = None,
    repetitions: int = 1,
    noise: float = 0.001,
    curvature: float = 0.01,
    asymmetry: float = 0.8,
    departure: float = 0.0,
    divergence: float = 0.5,
    missing: float = 0.0,
    seed: int = 0,
) -> Runs:
    """Make up the runs of a sweep whose true law is known.

    Parameters
    ----------
    law : Law
        The truth. One with covariates, or eps, is asked at every combination of them.
    batch_sizes : array_like
        What the grid holds.
    learning_rates : array_like, optional
        Likewise; by default steps of sqrt(2) from 1/8 of the smallest true optimum to 8 times the
        largest.
    covariates : mapping of str to sequence of float, optional
        Values of each covariate of the law; all combinations are run.
    eps : sequence of float, optional
        Values of eps, for a law that depends on it.
    repetitions : int, default 1
        Seeds.
    noise : float, default 0.001
        Relative standard deviation of a loss from seed to seed.
    curvature : float, default 0.01
        Relative rise of the loss one octave below and above the optimum, on average.
    asymmetry : float, default 0.8
        How much faster the loss rises above the optimum: 0 is a parabola in log lr, 1 in lr.
    departure : float, default 0
        Standard deviation, in octaves, of true optima about the law.
    divergence : float, default 0.5
        Relative rise of the loss at which runs begin to diverge.
    missing : float, default 0
        Share of the runs that are missing.
    seed : int, default 0
        Of the random numbers.

    Returns
    -------
    Runs

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> from scaling import BatchSizeLaw
    >>> truth = BatchSizeLaw(256, 1e-3, noise_batch_size=4000, critical_batch_size=400)
    >>> runs = simulate_sweep(truth, [64, 256, 1024], [5e-4, 1e-3, 2e-3], repetitions=2)
    >>> len(runs), sorted(set(runs.batch_size.tolist()))
    (18, [64.0, 256.0, 1024.0])
    """
    sizes = _grid(batch_sizes, "batch_sizes")
    positive(curvature, "curvature")
    for value, name in (
        (noise, "noise"),
        (asymmetry, "asymmetry"),
        (departure, "departure"),
    ):
        non_negative(value, name)
    positive(divergence, "divergence")
    if not 0 <= missing < 1:
        raise InputError(f"must be at least 0 and less than 1, got {missing!r}", "missing")
    if repetitions < 1:
        raise InputError(f"must be at least 1, got {repetitions!r}", "repetitions")
    rng = np.random.default_rng(seed)
    settings, laws = _settings(law, covariates or {}, eps)
    true = np.log([own.learning_rate(sizes) for own in laws])
    true = true + departure * _OCTAVE * rng.normal(size=true.shape)
    log_rates = _log_rates(learning_rates, true, len(laws) * sizes.size * repetitions)
    shape = (len(laws), sizes.size, log_rates.size, repetitions)
    above = log_rates[:, None] - true[:, :, None, None]
    rise = curvature * _rise(above, max(asymmetry, 1e-6))
    floor = 3.0 * (1 + 0.05 * np.arange(len(laws)) / len(laws))[:, None, None, None]
    loss = floor * np.exp(np.minimum(rise, 1.5) + noise * rng.normal(size=shape))
    chance = np.clip((rise - divergence) / divergence, 0, 1) * (above > 0)
    loss = np.where(rng.uniform(size=shape) < chance, np.nan, loss)
    keep = np.flatnonzero(rng.uniform(size=loss.size) >= missing)

    def column(values: FloatArray, axis: int) -> npt.NDArray[np.float64]:
        index = [None] * 4
        index[axis] = slice(None)  # type: ignore[call-overload]
        return np.broadcast_to(values[tuple(index)], shape).reshape(-1)[keep]

    names = list(covariates or {})
    return Runs(
        column(sizes, 1),
        column(np.exp(log_rates), 2),
        loss.reshape(-1)[keep],
        column(np.arange(repetitions, dtype=float), 3) if repetitions > 1 else None,
        None if eps is None else column(settings[:, -1], 0),
        {name: column(settings[:, k], 0) for k, name in enumerate(names)},
        "the simulated sweep",
    )


def _log_rates(learning_rates: npt.ArrayLike | None, true: FloatArray, each: int) -> FloatArray:
    """Learning rates to try, as given or around the true ones; each is tried so many times."""
    given = None if learning_rates is None else np.log(_grid(learning_rates, "learning_rates"))
    low, high, step = true.min() - 3 * _OCTAVE, true.max() + 3 * _OCTAVE, _OCTAVE / 2
    runs = each * ((high - low) / step if given is None else given.size)
    if not runs <= _MOST_RUNS:
        raise InputError(f"a grid of {runs:.3g} runs is too large; at most {_MOST_RUNS} are made")
    return np.arange(low, high, step) if given is None else given


def _rise(above: FloatArray, asymmetry: float) -> FloatArray:
    """Rise of a valley at natural logarithms above its bottom; 1 an octave off, on average."""
    unit = (np.expm1(asymmetry * _OCTAVE) ** 2 + np.expm1(-asymmetry * _OCTAVE) ** 2) / 2
    return np.asarray(np.expm1(np.minimum(asymmetry * above, 20.0)) ** 2 / unit)


def known_law(
    *,
    learning_rate: float,
    reference_batch_size: float,
    noise_batch_size: float,
    critical_batch_size: float,
    covariates: Mapping[str, float] | None = None,
    learning_rate_exponents: Mapping[str, float] | None = None,
    critical_exponents: Mapping[str, float] | None = None,
    eps_scale: float | None = None,
) -> PosteriorLaw:
    """Make T-E2 with log-linear covariates, and eps as in T-E7: the truth of a simulated sweep.

    Parameters
    ----------
    learning_rate : float
        Optimum at the reference batch size and the covariates given, eps being 0.
    reference_batch_size, noise_batch_size, critical_batch_size : float
        All positive and finite; the latter two at the covariates given.
    covariates : mapping, optional
        Values to which the other arguments refer.
    learning_rate_exponents, critical_exponents : mapping, optional
        Exponents of lr_inf, and of both B_crit and B_n, in the covariates; 0 where left out.
    eps_scale : float, optional
        sqrt(v) of a huge batch, in the unit of eps, if the law is to depend on eps.

    Examples
    --------
    >>> law = known_law(
    ...     learning_rate=1e-3, reference_batch_size=256, noise_batch_size=4000,
    ...     critical_batch_size=400, covariates={"N": 1e9},
    ...     learning_rate_exponents={"N": -0.3}, critical_exponents={"N": 0.1},
    ... )
    >>> print(f"{law.at(N=1e9).learning_rate(256):.1e} {law.at(N=4e9).learning_rate(256):.1e}")
    1.0e-03 6.5e-04
    """
    middles = dict(covariates or {})
    exponents = [learning_rate_exponents or {}, critical_exponents or {}]
    for name in {*exponents[0], *exponents[1]} - middles.keys():
        raise InputError(f"there is no covariate {name!r}", "covariates")
    rate, reference, noise, critical = (
        np.log2(positive(value, name))
        for value, name in (
            (learning_rate, "learning_rate"),
            (reference_batch_size, "reference_batch_size"),
            (noise_batch_size, "noise_batch_size"),
            (critical_batch_size, "critical_batch_size"),
        )
    )
    of_limit, of_corner = (np.array([e.get(name, 0.0) for name in middles]) for e in exponents)
    parameters = {
        "level": [rate],
        # lr_inf is C B_crit/sqrt(B_n), and C what the family has log-linear (T-I4).
        "exponent": [of_limit - of_corner / 2],
        "corner": [critical - reference],
        "corner_exponent": [of_corner],
        "ratio": [noise - critical],
    }
    if eps_scale is not None:
        parameters["eps_scale"] = [np.log2(positive(eps_scale, "eps_scale"))]
    posterior = Posterior.of_parameters(
        parameters,
        (reference_batch_size, reference_batch_size),
        {name: (value, value, value) for name, value in middles.items()},
        float(reference),
    )
    return PosteriorLaw(posterior, Provenance("assumed", "parameters as given"))


def _settings(
    law: Law, covariates: Mapping[str, Sequence[float]], eps: Sequence[float] | None
) -> tuple[FloatArray, list[Law]]:
    """All combinations of covariates and eps, and the law at each."""
    values = dict(covariates) | ({} if eps is None else {"eps": eps})
    if not values:
        return np.empty((1, 0)), [law]
    if not law.needs:
        raise InputError("depends neither on covariates nor on eps", "law")
    combinations = list(product(*values.values()))
    if not combinations:
        raise InputError("needs at least one value", "covariates")
    laws = [law.at(**dict(zip(values, combination, strict=True))) for combination in combinations]
    return np.array(combinations, dtype=float), list(laws)


def _grid(values: npt.ArrayLike, name: str) -> FloatArray:
    grid = np.unique(np.atleast_1d(as_array(values, name)))
    if not grid.size or not ((grid > 0) & (grid < np.inf)).all():
        raise InputError("must be positive, finite numbers", name)
    return grid
