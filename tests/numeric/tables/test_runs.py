"""Runs are validated once; cells are what the fits see."""

import numpy as np
import pytest

from scaling import DataError, InputError
from scaling.numeric.tables import Runs
from scaling.numeric.tables.runs import cells_of

BATCH, RATE, LOSS = [8, 8, 8, 16], [1.0, 2.0, 4.0, 1.0], [3.0, 2.0, 2.5, 1.0]


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf, 2e4])
def test_what_diverged_is_marked_and_counted(loss):
    runs = Runs([8, 8, 8], [1.0, 2.0, 4.0], [3.0, 2.0, loss])
    assert runs.diverged.tolist() == [False, False, True]
    assert len(runs) == 3


def test_a_huge_loss_is_huge_beside_its_own_cell():
    runs = Runs([8, 8, 16, 16], [1.0, 2.0, 1.0, 2.0], [1e-3, 2e-3, 50.0, 60.0])
    assert not runs.diverged.any()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": [8, 8, -8, 16]}, "the runs: row 3: batch_size is -8"),
        ({"learning_rate": [1, 0, 1, 1]}, "row 2: learning_rate is 0"),
        ({"learning_rate": [1, np.nan, 1, 1]}, "row 2: learning_rate is nan"),
        ({"loss": [1, 1, 1, 0]}, "row 4: loss is 0; it must be positive, or not finite"),
        ({"eps": [1, 1, -1, 1]}, "row 3: eps is -1"),
        ({"covariates": {"N": [1, 0, 1, 1]}}, "row 2: N is 0"),
    ],
)
def test_bad_values_are_named(change, says):
    columns = {"batch_size": BATCH, "learning_rate": RATE, "loss": LOSS} | change
    with pytest.raises(DataError, match=says):
        Runs(**columns)


def test_columns_are_vectors_of_one_length():
    for change in ({"loss": LOSS[1:]}, {"seed": [1]}, {"eps": [1.0]}, {"batch_size": [BATCH]}):
        with pytest.raises(InputError, match="same length"):
            Runs(**({"batch_size": BATCH, "learning_rate": RATE, "loss": LOSS} | change))
    with pytest.raises(DataError, match="no runs"):
        Runs([], [], [])


def test_rows_that_contradict_each_other_are_both_named():
    with pytest.raises(DataError, match=r"row 2 and .*row 5 contradict.* 2 and 2.1"):
        Runs([*BATCH, 8], [*RATE, 2.0], [*LOSS, 2.1], seed=list("aaaaa"))
    with pytest.raises(DataError, match=r"row 2 and .*row 5 contradict"):
        Runs([*BATCH, 8], [*RATE, 2.0], [*LOSS, np.nan], seed=list("aaaaa"))
    assert len(Runs([*BATCH, 8], [*RATE, 2.0], [*LOSS, 2.1], seed=list("aaaab"))) == 5
    # Other eps, other covariate: another run.
    other = {"eps": [0, 0, 0, 0, 1]}, {"covariates": {"N": [1, 1, 1, 1, 2]}}
    for change in other:
        Runs([*BATCH, 8], [*RATE, 2.0], [*LOSS, 2.1], seed=list("aaaaa"), **change)


def test_rows_that_are_there_twice_count_once():
    runs = Runs([*BATCH, 8], [*RATE, 2.0], [*LOSS, 2.0], seed=[0] * 5)
    assert len(runs) == 4
    assert runs.loss.tolist() == LOSS


def test_cells_hold_every_run_once():
    rng = np.random.default_rng(0)
    batch, rate = rng.choice([8.0, 16, 32], 200), rng.choice([1.0, 2, 4], 200)
    size, loss = rng.choice([1e8, 1e9], 200), rng.uniform(2, 3, 200)
    cells = cells_of(Runs(batch, rate, loss, covariates={"N": size}))
    assert len(cells) == 6
    assert cells.count.sum() == 200
    assert np.nansum(cells.log_loss * cells.count) == pytest.approx(np.log(loss).sum())
    for i in range(6):
        mine = (batch == cells.batch_size[i]) & (size == cells.covariates[i, 0])
        assert cells.count[i].sum() == mine.sum()


def test_many_learning_rates_are_joined_where_nothing_is_lost():
    rng = np.random.default_rng(1)
    rate = np.exp(rng.uniform(-9, -3, 5000))
    cells = cells_of(Runs(np.full(5000, 8.0), rate, 1 + np.log(rate) ** 2))
    assert cells.count.shape[1] < 1200
    # A bin's mean learning rate and mean log loss lie on the curve, but for the bin's width.
    there = cells.count[0] > 3
    curve = np.log(1 + cells.log_rate[0] ** 2)
    assert np.abs(curve - cells.log_loss[0])[there].max() < 0.02


def test_where_every_run_diverged_there_is_no_cell():
    cells = cells_of(Runs([8, 8, 16], [1.0, 2.0, 1.0], [3.0, 2.0, np.nan]))
    assert cells.batch_size.tolist() == [8]
    with pytest.raises(DataError, match="every one of the 1 runs diverged"):
        cells_of(Runs([8], [1.0], [np.nan]))


def test_divergence_is_a_ceiling_only_above_all_that_worked():
    losses = [3.0, np.nan, 2.5, np.nan]
    cells = cells_of(Runs([8] * 4, [1.0, 2.0, 4.0, 8.0], losses))
    assert cells.ceiling[0] == np.log(8.0)
    assert cells_of(Runs(BATCH, RATE, LOSS)).ceiling.tolist() == [np.inf, np.inf]
