"""Cells' optima: recovered, calibrated, and bounds where they are not known."""

import numpy as np
import pytest

from scaling import BatchSizeLaw, DataError, simulate_sweep
from scaling.numeric.fits.valleys.fits import find_valleys
from scaling.numeric.tables import Runs
from scaling.numeric.tables.runs import cells_of

TRUTH = BatchSizeLaw.from_limit(1e-3, noise_batch_size=1800, critical_batch_size=300)
BATCH = 2.0 ** np.arange(4, 14)
OCTAVE = np.log(2)


def sweeps(count, **options):
    for seed in range(count):
        cells = cells_of(simulate_sweep(TRUTH, BATCH, seed=seed, **options))
        yield cells, find_valleys(cells)


@pytest.mark.parametrize("route", ["surface", "cells"])
@pytest.mark.parametrize("options", [{}, {"asymmetry": 0.3}, {"noise": 0.003, "repetitions": 2}])
def test_optima_are_unbiased_and_as_far_off_as_they_say(route, options):
    errors, scores = [], []
    for cells, valleys in sweeps(6, **options):
        found = valleys[route]
        error = (found.optimum - np.log(TRUTH.learning_rate(cells.batch_size)))[found.known]
        errors.append(error)
        scores.append(error / found.standard_error[found.known])
    errors, scores = np.concatenate(errors), np.concatenate(scores)
    # 60 optima: the mean is good to a standard error of their spread/8, the spread to 9 %.
    assert abs(errors.mean()) < 3.5 * errors.std() / np.sqrt(errors.size) + 0.01 * OCTAVE
    assert 0.6 < np.sqrt(np.mean(scores**2)) < 1.4


def test_noise_is_measured():
    noises = [valleys["surface"].noise.mean() for _, valleys in sweeps(4, noise=0.002)]
    assert np.mean(noises) == pytest.approx(0.002, rel=0.3)


def test_exact_losses_give_exact_optima():
    for cells, valleys in sweeps(1, noise=0.0):
        error = valleys["surface"].optimum - np.log(TRUTH.learning_rate(cells.batch_size))
        assert np.abs(error).max() < 0.01 * OCTAVE


def test_the_edge_of_the_grid_is_a_bound():
    truth = np.log(TRUTH.learning_rate(BATCH))
    low = np.exp(truth.min() - np.arange(4) * OCTAVE)  # all at or below the lowest optimum
    inside = simulate_sweep(TRUTH, BATCH, seed=1)
    cut = simulate_sweep(TRUTH, BATCH, low, seed=1)
    both = Runs(
        np.concatenate([inside.batch_size, cut.batch_size]),
        np.concatenate([inside.learning_rate, cut.learning_rate]),
        np.concatenate([inside.loss, cut.loss]),
        covariates={"N": np.repeat([1.0, 2.0], [len(inside), len(cut)])},
    )
    cells = cells_of(both)
    found = find_valleys(cells)["cells"]
    edge = cells.covariates[:, 0] == 2.0
    assert (found.bound[edge] == 1).sum() >= 8
    assert (found.bound[~edge] == 0).all()
    # The truth is never excluded by such a cell.
    for i in np.flatnonzero(edge & (found.bound == 1)):
        true = np.log(TRUTH.learning_rate(cells.batch_size[i]))
        assert np.interp(true, found.grid, found.cost[i]) < 9


def test_divergence_makes_an_upper_end():
    rates = 1e-3 * 2.0 ** np.arange(-4, 3)
    loss = 3 * np.exp(0.02 * np.log(rates / 1e-3) ** 2)
    loss[5:] = np.nan
    cells = cells_of(Runs(np.full(7, 8.0), rates, loss))
    found = find_valleys(cells)["cells"]
    assert found.known.all()
    beyond = found.grid > np.log(rates[5]) + 2 * OCTAVE
    assert (found.cost[0, beyond] > 30).all()


def test_regret_never_undercuts_the_best_measured_and_interpolates():
    rates = 1e-3 * 2.0 ** np.arange(-3, 4)
    loss = 3 * np.exp(0.02 * np.log(rates / 1e-3) ** 2)
    found = find_valleys(cells_of(Runs(np.full(7, 8.0), rates, loss)))["cells"]

    def regret(rate):
        return found.regret(np.log([rate]))[0]

    assert regret(1e-3) == 0
    assert regret(2e-3) == pytest.approx(loss[4] / 3 - 1, rel=1e-9)
    assert 0 <= regret(1.2e-3) < regret(2e-3)
    assert regret(32e-3) > regret(8e-3)
    assert np.isnan(found.regret(np.array([np.nan]))).all()


def test_no_interior_optimum_anywhere():
    runs = simulate_sweep(TRUTH, BATCH, [1e-6, 2e-6, 4e-6, 8e-6], noise=0.0)
    with pytest.raises(DataError, match="every optimum is at an edge"):
        find_valleys(cells_of(runs))
