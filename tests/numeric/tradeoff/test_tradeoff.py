"""The cost law for every group of a table, and across sizes."""

import csv

import numpy as np
import pytest

from scaling import DataError, InputError, fit_tradeoff
from scaling.numeric.facts import fact

BATCH = np.array([64.0, 256.0, 1024.0, 4096.0, 16384.0])


def sweep(sizes, *, error=0.0, rng=None, scatter=0.0):
    """Columns of a table whose critical batch size grows as the root of the size."""
    table = {"model": [], "bs": [], "steps_to_target": []}
    for size in sizes:
        critical = 2000 * (size / 1e9) ** 0.5 * np.exp(scatter * rng.normal() if scatter else 0)
        noise = np.exp(error * rng.normal(size=BATCH.size)) if error else 1.0
        table["model"] += [f"{size / 1e6:g}M"] * BATCH.size
        table["bs"] += BATCH.tolist()
        table["steps_to_target"] += (1000 * (1 + critical / BATCH) * noise).tolist()
    return table


def test_truth_is_recovered():
    found = fit_tradeoff(sweep([1e8, 4e8, 16e8]))
    assert found.columns == {
        "batch_size": "bs",
        "steps": "steps_to_target",
        "group": "model",
        "covariate": "model",
    }
    assert [group.name for group in found.groups] == ["100M", "400M", "1600M"]
    assert [group.covariate for group in found.groups] == [1e8, 4e8, 16e8]
    assert [group.runs for group in found.groups] == [5, 5, 5]
    trends = found.trends
    assert trends["critical_batch_size"].exponent == pytest.approx(0.5, abs=1e-6)
    assert trends["examples_min"].exponent == pytest.approx(0.5, abs=1e-6)
    assert trends["steps_min"].exponent == pytest.approx(0, abs=1e-6)
    assert trends["critical_batch_size"].value(1e10) == pytest.approx(2000 * 10**0.5, rel=1e-5)
    assert found.warnings(8e9) == ()
    assert found.warnings(1e11)[0].key == "extrapolated"
    assert found.notes == ()
    assert not any(group.problem or group.law.fit.has_error for group in found.groups)


def test_zhang(zhang):
    found = fit_tradeoff(zhang)
    assert [group.name for group in found.groups] == ["85M", "151M", "302M", "604M", "1.2B"]
    assert all(group.is_usable and not group.problem for group in found.groups)
    sizes = np.log([group.covariate for group in found.groups])
    for name, trend in found.trends.items():
        values = np.log([getattr(group.law, name) for group in found.groups])
        plain = np.polyfit(sizes, values, 1)[0]
        low, high = trend.exponent_interval()
        assert low < plain < high
        assert trend.exponent == pytest.approx(plain, abs=0.02)
    # The law through the table's smallest and largest batch size alone, by hand.
    with zhang.open() as file:
        rows = list(csv.DictReader(file))
    many, few = (
        np.array([float(row["steps"]) for row in rows if row["batch_size"] == batch])
        for batch in ("64", "16384")
    )
    examples = (many - few) / (1 / 64 - 1 / 16384)
    crude = np.polyfit(sizes, np.log(examples / (few - examples / 16384)), 1)[0]
    low, high = found.trends["critical_batch_size"].exponent_interval()
    assert low < crude < high


def test_size_left_out_is_predicted(zhang):
    """The largest model from the smaller four: within the interval."""
    largest = fit_tradeoff(zhang, where="model == '1.2B'").groups[0].law
    trend = fit_tradeoff(zhang, where="model != '1.2B'").trends["critical_batch_size"]
    low, high = trend.interval(1.2e9)
    assert low < largest.critical_batch_size < high
    assert trend.value(1.2e9) == pytest.approx(largest.critical_batch_size, rel=0.25)


def test_new_sizes_are_covered():
    rng = np.random.default_rng(8)
    tables, held = 40, np.zeros(2)
    for _ in range(tables):
        found = fit_tradeoff(sweep([1e8, 3e8, 1e9, 3e9], error=0.05, rng=rng))
        trend = found.trends["critical_batch_size"]
        bounds = [trend.exponent_interval(0.9), trend.interval(1e10, 0.9)]
        truth = (0.5, 2000 * 10**0.5)
        held += [low <= value <= high for (low, high), value in zip(bounds, truth, strict=True)]
    # Three standard errors of a share of 0.9 are 0.14.
    assert np.all(np.abs(held / tables - 0.9) < 0.14), held / tables


def test_columns_are_chosen_or_guessed():
    table = sweep([1e8, 4e8])
    table["tokens"] = [2e9] * 5 + [8e9] * 5
    table["N"] = table["model"]
    with pytest.raises(InputError, match="model, N may all be meant") as caught:
        fit_tradeoff(table)
    assert caught.value.parameter == "group_column"
    found = fit_tradeoff(table, group_column="model", covariate="tokens")
    assert found.columns["covariate"] == "tokens"
    assert found.trends["critical_batch_size"].exponent == pytest.approx(0.5, abs=1e-6)
    assert fit_tradeoff(table, covariate="N").columns["group"] == "model"
    del table["model"]
    assert fit_tradeoff(table, group_column="tokens").columns["covariate"] == "tokens"
    del table["N"]
    (everything,) = fit_tradeoff(table, where="tokens == 2e9").groups
    assert (everything.name, everything.covariate) == ("", None)
    assert fit_tradeoff(table, covariate="tokens").columns["group"] == "tokens"
    found = fit_tradeoff(
        {"a": BATCH, "b": 1000 + 1e6 / BATCH}, batch_size_column="a", steps_column="b"
    )
    assert found.groups[0].law.critical_batch_size == pytest.approx(1000)


GOOD = [17000, 5000, 2000, 1250, 1063]
FLAT = [1000, 1010, 1003, 1000, 1001]


def mixed(**groups):
    rows = [
        (name, b, s) for name, steps in groups.items() for b, s in zip(BATCH, steps, strict=False)
    ]
    return {
        name: list(column)
        for name, column in zip(("model", "bs", "steps"), zip(*rows, strict=True), strict=True)
    }


def test_bad_groups_do_not_hide_the_others():
    found = fit_tradeoff(
        mixed(good=GOOD, one=[1000], two=[9000, 4000], flat=FLAT, line=(1e6 / BATCH).tolist())
    )
    good, one, two, flat, line = found.groups
    assert good.law.critical_batch_size == pytest.approx(1024, rel=0.01)
    assert good.problem == ""
    assert one.law is None
    assert "cannot determine 2 parameters" in one.problem
    assert (two.problem, two.law.fit.degrees_of_freedom) == ("", 0)
    assert flat.problem == "steps do not fall with the batch size"
    assert not flat.is_usable
    assert (line.is_usable, line.law.critical_batch_size) == (True, np.inf)
    assert found.trends == {}
    assert found.notes == (fact("groups without size", column="model"),)


def test_groups_without_a_finite_size_are_not_in_the_trend():
    sizes = {"1M": GOOD, "4M": [2 * s for s in GOOD], "9M": FLAT, "16M": (1e6 / BATCH).tolist()}
    found = fit_tradeoff(mixed(**sizes))
    assert found.trends["critical_batch_size"].groups == 2
    assert found.trends["steps_min"].groups == 2
    assert found.trends["examples_min"].groups == 3
    assert [note["group"] for note in found.notes[:2]] == ["9M", "16M"]
    assert [note.key for note in found.notes[1:]] == ["not in the trend", "trend of two"]


def test_one_size_gives_no_trend():
    found = fit_tradeoff(mixed(**{"1M": GOOD}))
    assert found.trends == {}
    assert found.notes == (fact("no trend", covariate="model"),)


def test_runs_that_never_arrived_are_left_out_and_counted():
    table = mixed(a=GOOD)
    table["steps"][4] = None
    found = fit_tradeoff(table)
    assert found.groups[0].runs == 4
    assert found.notes[0] == fact("never reached", column="steps", rows=1, total=5)
    with pytest.raises(DataError, match="no row has a number of steps"):
        fit_tradeoff(table | {"steps": [float("nan")] * 5})


def test_learning_rates_that_were_not_chosen_are_pointed_out():
    table = mixed(a=GOOD)
    table["lr"] = [1e-3] * 5
    several = fact("several rates", column="lr")
    assert several not in fit_tradeoff(table).notes
    twice = {name: 2 * column for name, column in table.items()}
    twice["lr"] = [1e-3] * 5 + [2e-3] * 5
    assert several in fit_tradeoff(twice).notes


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": [1000, 0, 1, 1, 1]}, "index 1: steps must be a number, positive"),
        ({"steps": [1000, -3, 1, 1, 1]}, "index 1: steps must be a number, positive"),
        ({"steps": ["1,000", 1, 1, 1, 1]}, "index 0: steps must be .*thousands"),
        ({"bs": [1, 2, None, 3, 4]}, "index 2: bs must be"),
        ({"steps": FLAT}, "no group can be fitted: a: steps do not fall"),
        ({"bs": [64] * 5}, "no group can be fitted: a: .*cannot determine"),
    ],
)
def test_bad_tables(change, says):
    with pytest.raises(DataError, match=says):
        fit_tradeoff(mixed(a=GOOD) | change)


def test_a_group_has_one_size():
    table = mixed(a=GOOD, b=GOOD)
    table["N"] = [1e6] * 3 + [2e6] * 7
    with pytest.raises(DataError, match="index 3: N differs from that of the table: index 0"):
        fit_tradeoff(table, group_column="model", covariate="N")


def test_many_bad_groups_are_one_line():
    with pytest.raises(DataError, match="and so on") as caught:
        fit_tradeoff(mixed(**{f"m{i}": [1000] for i in range(9)}))
    assert "\n" not in str(caught.value)
