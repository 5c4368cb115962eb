"""Draws of a law, without what they came from, told what further runs say (T-K1)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.family import Design
from scaling.numeric.inference.likelihood import Cells
from scaling.numeric.inference.posterior import STUDENT, Posterior
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.planning.outlook import same_settings

#: Draws that are weighed, those kept of them, and independent ones that they must be worth.
_WEIGHED, _KEPT, _FEWEST = 9000, 1000, 20.0
#: Batch sizes nearer than this, in octaves, are held by one node of the misfit.
_NEAR = 1e-3


def updated(posterior: Posterior, evidence: Evidence) -> Posterior:
    """Return draws as further optima have them, by their likelihood as weights.

    Raises
    ------
    DataError
        If hardly any of the draws agrees with what was found.
    """
    start = np.zeros(1, dtype=np.intp)
    optimum = np.log2(evidence.learning_rate)
    cells = Cells(optimum, evidence.below, evidence.above, np.ones(len(evidence)), start)
    return _weighed(
        posterior, evidence, lambda law, scatter: cells.log_likelihood(law, scatter, None)
    )


def updated_here(
    posterior: Posterior, place: Evidence, likelihood: tuple[FloatArray, FloatArray]
) -> Posterior:
    """The same by the likelihood of one place's optimum, on a grid.

    Raises
    ------
    DataError
        If hardly any of the draws agrees.
    """

    def log_likelihood(law: FloatArray, scatter: FloatArray) -> FloatArray:
        about = law + scatter[:, None] * STUDENT
        return np.asarray(np.log(np.exp(np.interp(about, *likelihood)).mean(axis=1)))

    return _weighed(posterior, place, log_likelihood)


def _weighed(
    posterior: Posterior,
    places: Evidence,
    log_likelihood: Callable[[FloatArray, FloatArray], FloatArray],
) -> Posterior:
    """Weigh draws by the likelihood of their laws at some places, and draw from them.

    What the draws leave open, the misfit at batch sizes and the effects of settings that were not
    tried, is drawn several times over for each, and weighed along.
    """
    rng = np.random.default_rng(0)
    columns = [places.covariates[name] for name in posterior.covariates]
    with np.errstate(divide="ignore"):
        setting = np.log2(np.column_stack([*columns, places.eps]))
    batch = np.log2(places.batch_size) - posterior.center
    design = Design(batch, setting[:, :-1] - posterior.middles, setting[:, -1])
    times = -(-_WEIGHED // len(posterior.draws))
    drawn = replace(
        posterior,
        draws=np.repeat(posterior.draws, times, axis=0),
        effects=np.repeat(posterior.effects, times, axis=0),
    )
    drawn = _with_groups(_with_nodes(drawn, design, rng), setting, rng)
    log = log_likelihood(drawn.law(design), drawn.family.get(drawn.draws, "log_scatter"))
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    # Copies of a draw are hardly more than one.
    whole = weight.reshape(-1, times).sum(axis=1)
    if 1 / (whole**2).sum() < _FEWEST:
        raise DataError("these runs are not what the law's draws expect; fit all runs anew, lr fit")
    points = (np.arange(_KEPT) + rng.random()) / _KEPT
    kept = np.minimum(np.searchsorted(np.cumsum(weight), points), weight.size - 1)
    tried = np.array([[c.min(), c.max()] for c in (places.batch_size, *columns)])
    low, high = np.minimum(drawn.ranges, tried)[:, 0], np.maximum(drawn.ranges, tried)[:, 1]
    return replace(
        drawn,
        draws=drawn.draws[kept],
        effects=drawn.effects[kept],
        ranges=np.column_stack([low, high]),
    )


def _with_nodes(posterior: Posterior, design: Design, rng: np.random.Generator) -> Posterior:
    """Hold the misfit at further batch sizes: by one more independent normal each."""
    family = posterior.family
    nodes = np.array(family.nodes)
    fresh = np.unique(np.round(design.batch, 6))
    fresh = fresh[np.abs(fresh[:, None] - nodes).min(axis=1, initial=np.inf) > _NEAR]
    if not nodes.size or not fresh.size:
        return posterior
    own = rng.standard_normal((len(posterior.draws), fresh.size))
    draws = np.insert(posterior.draws, [family.linear] * fresh.size, own, axis=1)
    return replace(
        posterior, family=replace(family, nodes=(*family.nodes, *fresh.tolist())), draws=draws
    )


def _with_groups(posterior: Posterior, setting: FloatArray, rng: np.random.Generator) -> Posterior:
    """Give settings that were not tried an effect each."""
    if not posterior.family.groups:
        return posterior
    known = posterior.groups[: posterior.effects.shape[1]]
    fresh = np.unique(setting[~same_settings(setting, known).any(axis=1)], axis=0)
    scale = posterior.family.get(posterior.draws, "log_group_scatter")[:, None]
    own = scale * rng.standard_normal((len(scale), len(fresh)))
    return replace(
        posterior,
        groups=np.vstack([known, fresh]),
        effects=np.hstack([posterior.effects, own]),
    )
