"""Laws in files: what goes in comes out, and nothing malformed comes in."""

import copy
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scaling import (
    BatchSizeLaw,
    DataError,
    GradientStatistics,
    Recipe,
    TransferLaw,
    data,
    fit_optima,
    fit_sweep,
    load_law,
    save_law,
    simulate_sweep,
)
from scaling.numeric.fits import known_law
from scaling.numeric.tables import read_optima


@pytest.fixture(scope="module")
def laws():
    statistics = GradientStatistics(4000, 2e-6, 1.5)
    return {
        "plain": BatchSizeLaw(256, 3e-4, 4000.0, 200.0),
        "corner": BatchSizeLaw(256, 3e-4, np.inf, np.inf),
        "transfer": TransferLaw(Recipe(3e-4, 256, beta1=0.8), statistics, eps=1e-7),
        "one step": TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000), horizon=1),
        "bare": TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000), moments="sign"),
        "exact": TransferLaw(
            Recipe(3e-4, 256, beta2=0.95),
            statistics,
            beta2=0.99,
            moments="exact-adam",
            population="gaussian",
            step=100,
        ),
        "fitted": fit_optima(*read_optima(data.path("marek_adam_1d")), name="marek"),
        "sweep": swept(),
    }


def swept():
    """Two covariates, at a setting."""
    truth = known_law(
        learning_rate=1e-3,
        reference_batch_size=256,
        noise_batch_size=4000,
        critical_batch_size=400,
        covariates={"N": 1e9, "D": 1e10},
    )
    runs = simulate_sweep(
        truth, [16, 64, 256], covariates={"N": [1e9, 4e9], "D": [1e10, 4e10]}, seed=1
    )
    return fit_sweep(runs, scores=False).law.at(N=1e9, D=2e10)


@pytest.mark.parametrize(
    "name", ["plain", "corner", "transfer", "bare", "exact", "fitted", "sweep"]
)
def test_what_goes_in_comes_out(name, laws, tmp_path):
    law, path = laws[name], tmp_path / "law.json"
    save_law(law, path)
    again = load_law(path)
    assert again.to_dict() == law.to_dict()
    assert again.provenance == law.provenance
    assert os.listdir(tmp_path) == ["law.json"]
    assert path.stat().st_size < 200_000
    batch = np.logspace(0, 5, 7)
    np.testing.assert_array_equal(again.learning_rate(batch), law.learning_rate(batch))
    if name in ("fitted", "sweep"):
        np.testing.assert_array_equal(again.interval(batch), law.interval(batch))


# What a posterior's file refuses is in inference/test_law.py.
@pytest.fixture(params=["plain", "transfer", "exact"])
def document(request, laws, tmp_path):
    path = tmp_path / "good.json"
    save_law(laws[request.param], path)
    return json.loads(path.read_text())


def places(value, path=()):
    """Every key and index of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def changed(document, path, change):
    result = copy.deepcopy(document)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return result


def refuse(tmp_path, text):
    path = tmp_path / "law.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        load_law(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


# A text field accepts any text, and null stands for infinite, absent or default in these.
TEXTS = {"description"}
NULLABLE = {
    "second_moments",
    "horizon",
    "noise_batch_size",
    "critical_batch_size",
    "grad_rms",
    "eps",
    "beta1",
    "beta2",
    "step",
    "batch_size_range",
    "weight_decay",
}


@pytest.mark.parametrize(
    "value",
    [None, True, "text", -1.0, [], {}, [[]], "NaN", "Infinity", "-Infinity", "1e999", 10**400],
)
def test_every_field_refuses_what_it_is_not(document, value, tmp_path):
    for path in places(document):
        name = path[-1]
        if (value is None and name in NULLABLE and path != ("recipe", "eps")) or (
            isinstance(value, str) and name in TEXTS
        ):
            continue
        spoilt = changed(document, path, lambda inner, key: inner.__setitem__(key, "SPOILT"))
        literal = value if value in ("NaN", "Infinity", "-Infinity", "1e999") else json.dumps(value)
        refuse(tmp_path, json.dumps(spoilt).replace('"SPOILT"', literal))


def test_every_field_is_needed_and_no_other(document, tmp_path):
    for path in places(document):
        if not isinstance(path[-1], str):
            continue
        missing = changed(document, path, lambda inner, key: inner.pop(key))
        message = refuse(tmp_path, json.dumps(missing))
        assert path[-1] in message or path[-1] == "format"
        extra = changed(document, path, lambda inner, _: inner.__setitem__("extra", 1))
        assert "extra is unknown" in refuse(tmp_path, json.dumps(extra))


def test_no_key_twice(document, tmp_path):
    text = json.dumps(document)
    assert "stands twice" in refuse(tmp_path, text[:-1] + ', "kind": "fitted"}')


def test_unknown_keys_are_shown_harmless(document, tmp_path):
    message = refuse(tmp_path, json.dumps(document | {"\x1b[31m": 1}))
    assert "\\x1b[31m' is unknown" in message
    assert message.isprintable()


@pytest.mark.parametrize("text", ["\ud800", "\x1b[31m", "two\nlines"])
def test_descriptions_are_one_printable_line(document, text, tmp_path):
    document["provenance"]["description"] = text
    assert "printable" in refuse(tmp_path, json.dumps(document))


OLD = Path(__file__).parents[1] / "golden" / "laws"


def test_optima_of_a_file_of_before_are_evidence_again(marek):
    """Up to version 3 a file held the optima and the fit of three parameters to them."""
    law = load_law(OLD / "optima.json")
    fresh = fit_optima(*read_optima(marek))
    batch = np.array([1.0, 64.0, 4096.0])
    np.testing.assert_array_equal(law.learning_rate(batch), fresh.learning_rate(batch))
    assert law.optima == fresh.optima


def test_replicates_of_a_file_of_before_are_draws(tmp_path):
    """T-E2 with B_crit and B_n/B_crit, natural logarithms; here worked out by hand."""
    law = load_law(OLD / "sweep.json")
    document = json.loads((OLD / "sweep.json").read_text())
    table = np.array([row["parameters"] for row in document["replicates"]])
    reference = document["reference_batch_size"]
    for batch in (16.0, 256.0, 8192.0):  # to e^-12 octaves, of a misfit that is not there
        x, critical = batch / reference, np.exp(table[:, 1])
        noise = critical * np.exp(table[:, 2])
        shape = np.sqrt(x * (x + noise)) / (x + critical)
        at_reference = np.sqrt(1 + noise) / (1 + critical)
        rates = np.exp(table[:, 0]) * shape / at_reference
        assert law.learning_rate(batch) == pytest.approx(np.median(rates), rel=2e-5)
    low, high = law.interval(256.0)
    assert np.log2(high / low) > 2 * 1.6 * document["error"]
    ragged = document | {"replicates": [*document["replicates"], {"parameters": [1.0]}]}
    assert "replicates must have" in refuse(tmp_path, json.dumps(ragged))
    document["eps_form"], document["eps_range"] = "gaussian", [0.0, 1.0]
    assert "fit the runs again" in refuse(tmp_path, json.dumps(document))


def test_laws_of_version_1_are_read(laws, tmp_path):
    path = tmp_path / "law.json"
    save_law(laws["transfer"], path)
    document = json.loads(path.read_text())
    # Version 1 knew neither beta2, nor step, nor weight decay.
    del document["beta2"], document["step"]
    del document["recipe"]["beta2"], document["recipe"]["weight_decay"]
    del document["horizon"]
    path.write_text(json.dumps(document | {"version": 1}))
    assert load_law(path) == replace(laws["transfer"], horizon=1)


def test_laws_of_version_2_keep_their_answers(laws, tmp_path):
    path = tmp_path / "law.json"
    save_law(laws["one step"], path)
    document = json.loads(path.read_text())
    del document["horizon"]  # which version 2 did not know: it answered for one step
    path.write_text(json.dumps(document | {"version": 2}))
    assert load_law(path) == laws["one step"]


def test_truncated_files_are_refused(document, tmp_path):
    text = json.dumps(document)
    for length in range(0, len(text), 7):
        refuse(tmp_path, text[:length])


def test_newer_versions_say_so(document, tmp_path):
    document["version"] = 5
    assert "written in version 5" in refuse(tmp_path, json.dumps(document))
    assert "update adam-lr-scaling" in refuse(tmp_path, json.dumps(document))


def test_what_is_not_a_number_is_named(document, tmp_path):
    text = json.dumps(document | {"kind": "SPOILT"}).replace('"SPOILT"', "NaN")
    assert "holds NaN" in refuse(tmp_path, text)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '"law"', "{}", "[" * 100_000, "9" * 5000, '{"format": "other"}']
)
def test_other_documents_are_refused(text, tmp_path):
    refuse(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_law("a\0b")
    (tmp_path / "binary").write_bytes(b"\x80\x04\x95\x00")
    for name, says in (("missing", "No such file"), (".", "directory"), ("binary", "not a text")):
        with pytest.raises(DataError, match=says):
            load_law(tmp_path / name)


def test_files_that_cannot_be_written(tmp_path):
    law = BatchSizeLaw(256, 3e-4, 4000.0, 200.0)
    (tmp_path / "folder").mkdir()
    for name in ("missing/law.json", "folder"):
        with pytest.raises(DataError, match="cannot be written"):
            save_law(law, tmp_path / name)
    assert os.listdir(tmp_path) == ["folder"]


def test_only_regular_files_are_replaced(tmp_path):
    law = BatchSizeLaw(256, 3e-4, 4000.0, 200.0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        save_law(law, tmp_path / "pipe")
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to("old.json")
    save_law(law, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert load_law(tmp_path / "old.json") == law
    assert sorted(os.listdir(tmp_path)) == ["link.json", "old.json", "pipe"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    law, path = BatchSizeLaw(256, 3e-4, 4000.0, 200.0), tmp_path / "law.json"
    save_law(law, path)
    before = path.read_bytes()
    for error, seen in (
        (OSError(28, "No space"), DataError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(seen):
            save_law(BatchSizeLaw(1, 1, 1, 1), path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["law.json"]
