"""`lr query` as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scaling import GradientStatistics, Recipe, SecondMoments, TransferLaw
from scaling.data import path
from scaling.data.track_record import track_record
from scaling.numeric.inference.law import PosteriorLaw

RUN = ("--ref-lr", "3e-4", "--ref-batch-size", "32x8", "--noise-scale", "4000")
#: The same by a model of Adam's update alone, with no posterior.
MODEL = (*RUN, "--moments", "mean-field-outside")


def answer(lr, *arguments):
    ran = lr("query", *arguments, "--json")
    assert (ran.status, ran.err) == (0, "")
    return json.loads(ran.out)


@pytest.mark.parametrize(
    ("horizon", "critical", "regimes"),
    [
        ([], 4000, ["sqrt", "flat"]),
        (["--horizon", 1], 4000 / 19, ["falling", "falling"]),
    ],
)
def test_by_a_model_of_the_update(lr, horizon, critical, regimes):
    found = answer(lr, *MODEL, *horizon, "--batch-size", 1024, "--batch-size", "32x8x16")
    law = TransferLaw(
        Recipe(3e-4, 256), GradientStatistics(4000), horizon=horizon[1] if horizon else np.inf
    )
    assert [row["regime"] for row in found["results"]] == regimes
    assert [row["batch_size"] for row in found["results"]] == [1024, 4096]
    for row in found["results"]:
        batch = row["batch_size"]
        assert row["learning_rate"] == law.learning_rate(batch)
        assert row["ratio"] == pytest.approx(law.learning_rate(batch) / 3e-4)
        assert row["exponent"] == law.exponent(batch)
        assert row["steps_factor"] == pytest.approx(1 + critical / batch)
        assert row["examples_factor"] == pytest.approx(1 + batch / critical)
        assert row["rules"]["sqrt"] == pytest.approx(3e-4 * np.sqrt(batch / 256))
        assert row["rules"]["linear"] == pytest.approx(3e-4 * batch / 256)
        assert row["interval"] is None
        assert row["eps"] == 0
        assert row["warnings"] == []
    assert found["law"]["source"] == "assumed"
    assert found["law"]["moments"] == "mean-field-outside"
    assert found["law"]["noise_batch_size"] == 4000
    assert found["law"]["critical_batch_size"] == pytest.approx(critical)
    assert found["law"]["peak_batch_size"] == (pytest.approx(4000 / 17) if horizon else None)


BARE = ("--ref-lr", "3e-4", "--ref-batch-size", "32x8")


@pytest.mark.parametrize(
    ("noise_scale", "text"), [(None, None), (4e3, "4e3"), ((1e3, 1e4), "1e3..1e4")]
)
def test_from_a_tuned_run(lr, noise_scale, text, tmp_path):
    given = ("--noise-scale", text) if text else ()
    path = tmp_path / "law.json"
    ask = (*BARE, *given, "--batch-size", 1024)
    found = answer(lr, *ask, "--save", path)
    law = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256), noise_scale)
    (row,) = found["results"]
    assert row["learning_rate"] == law.learning_rate(1024)
    assert row["level"] == 0.9
    assert row["interval"] == list(law.interval(1024, 0.9))
    assert row["law_interval"] == list(law.law_interval(1024, 0.9))
    assert found["law"]["source"] == "assumed"
    assert "posterior" not in found["law"]["definition"]
    assert answer(lr, "--law", path, "--batch-size", 1024) == found
    first, second, *_ = lr("query", *ask).out.splitlines()
    assert first.startswith(f"learning rate {law.learning_rate(1024):.2g} at batch size 1024 (90%")
    wide = answer(lr, *ask, "--level", 0.99)["results"][0]
    assert wide["interval"] == list(law.interval(1024, 0.99))
    assert second.split()[:2] == ["narrow", "measure"]


@pytest.mark.parametrize(
    "given",
    [
        ("--moments", "sign"),
        ("--population", "gaussian"),
        ("--curvature-ratio", 2),
        ("--horizon", 1),
        ("--grad-rms", 1e-6),
        ("--beta2", 0.95),
    ],
)
@pytest.mark.parametrize("noise_scale", [(), ("--noise-scale", "1e3..1e4")])
def test_the_theory_needs_a_noise_scale(lr, given, noise_scale):
    ran = lr("query", *BARE, *noise_scale, *given, "--batch-size", 1024)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"lr: {given[0]}: ")
    assert "needs --noise-scale, as one number" in ran.err


def test_what_the_reference_ran_with_changes_nothing(lr):
    more = ("--eps", 1e-5, "--ref-eps", 1e-5, "--beta1", 0.8)
    plain, other = (answer(lr, *BARE, *given, "--batch-size", 64) for given in ((), more))
    assert plain["results"] == other["results"]


def test_null_stands_for_infinite_or_absent(lr):
    law = answer(lr, *MODEL, "--batch-size", 1, "--beta1", 0.2)["law"]
    assert law["peak_batch_size"] is None
    assert answer(lr, *RUN, "--batch-size", 1, "--moments", "sgd")["law"]["noise_batch_size"] == 0


def test_eps_enters_with_the_size_of_the_gradient(lr):
    gradient = ("--grad-rms", "2e-6")
    both = ("--eps", "1e-6", "--ref-eps", "1e-6")
    row = answer(lr, *RUN, *gradient, *both, "--batch-size", 1024)["results"][0]
    statistics = GradientStatistics(4000, 2e-6)
    law = TransferLaw(Recipe(3e-4, 256, eps=1e-6), statistics)
    assert row["learning_rate"] == law.learning_rate(1024)
    assert row["eps"] == 1e-6
    changed = answer(lr, *RUN, *gradient, "--eps", "1e-6", "--batch-size", 1024)
    law = TransferLaw(Recipe(3e-4, 256, eps=1e-8), statistics, eps=1e-6)
    assert changed["results"][0]["learning_rate"] == law.learning_rate(1024)


def test_eps_by_second_moments(lr, tmp_path):
    moments = SecondMoments.from_arrays([1e-12, 4e-10, 1e-8])
    (tmp_path / "moments.json").write_text(moments.to_json())
    known = ("--second-moments", tmp_path / "moments.json")
    ran = lr("query", *RUN, *known, "--eps", "1e-5", "--batch-size", 256)
    factor = moments.eps_shift(1e-5, 1e-8)
    head = float(ran.out.split()[2])
    assert head == pytest.approx(3e-4 * factor, rel=0.05)
    first = " ".join(ran.out.split("\n\n")[0].split())
    assert f"eps 1e-05 lies above sqrt(v) of 33 % of the parameters: {factor:.3g} x" in first
    row = answer(lr, *RUN, *known, "--eps", "1e-5", "--batch-size", 1024)["results"][0]
    law = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256), 4e3, eps=1e-5, second_moments=moments)
    assert row["learning_rate"] == law.learning_rate(1024)
    row = answer(lr, *MODEL, *known, "--eps", "1e-5", "--batch-size", 1024)["results"][0]
    law = TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000), eps=1e-5, second_moments=moments)
    assert row["learning_rate"] == law.learning_rate(1024)


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ((), 2, "--eps: 1e-05, the tuned run had 1e-08; to know what"),
        (("--second-moments", "no.json"), 1, "no.json: cannot be read"),
        (("--second-moments", "law.json"), 1, "law.json: second moments: not second moments"),
        (("--second-moments", "/dev/zero"), 1, "/dev/zero: not a regular file; give a checkpoint"),
        (("--second-moments", "no.pt"), 1, "no.pt: there is no such file"),
        (("--second-moments", "m.json", "--grad-rms", "1e-6"), 2, "--second-moments: take the"),
        (("--second-moments", "m.json", "--moments", "sign"), 2, "--second-moments: moments"),
    ],
)
def test_a_change_of_eps_needs_to_be_explained(lr, more, status, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "law.json").write_text("{}")
    (tmp_path / "m.json").write_text(SecondMoments.from_arrays([1e-12, 1e-8]).to_json())
    ran = lr("query", *RUN, *more, "--eps", "1e-5", "--batch-size", 1024)
    assert (ran.status, ran.out, ran.err.count("\n")) == (status, "", 1)
    assert says in ran.err


@pytest.mark.torch
def test_second_moments_of_a_checkpoint(lr, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
    weights = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.AdamW([weights], betas=(0.9, 0.999))
    weights.grad = torch.tensor([1e-6, 2e-5, 1e-4])
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    moments = SecondMoments.from_arrays([1e-12, 4e-10, 1e-8])
    given = ("--second-moments", tmp_path / "optimizer.pt", "--eps", "1e-5", "--batch-size", 1024)
    row = answer(lr, *RUN, *given)["results"][0]
    law = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256), 4e3, eps=1e-5, second_moments=moments)
    assert row["learning_rate"] == pytest.approx(law.learning_rate(1024), rel=1e-3)


@pytest.mark.parametrize(
    ("given", "route"),
    [
        (BARE, "tuned run"),
        (RUN, "noise scale"),
        ((*BARE, "--second-moments", "m.json", "--eps", "1e-5"), "second moments"),
        ((*RUN, "--second-moments", "m.json", "--eps", "1e-5"), "second moments, noise scale"),
        ((*RUN, "--second-moments", "m.json"), "noise scale"),
        (("--points", path("marek_adam_1d")), "optima"),
    ],
)
def test_it_says_how_near_its_route_came_on_real_trainings(lr, given, route, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.json").write_text(SecondMoments.from_arrays([1e-12, 1e-8]).to_json())
    said = " ".join(lr("query", *given, "--batch-size", 1024).out.split())
    told = track_record(route)
    assert f"record this route was off by {told['octaves']:.2f} octave" in said
    assert f"on {told['trainings']} trainings that it had not seen" in said
    assert f"the square root rule by {told['sqrt']:.2f}" in said


def test_laws_of_one_step_have_no_record(lr):
    assert " record " not in lr("query", *MODEL, "--batch-size", 1024).out


def test_beta1_of_target_and_reference(lr):
    ask = (*MODEL, "--beta1", 0.95, "--ref-beta1", 0.8, "--batch-size", 64)
    row = answer(lr, *ask)["results"][0]
    law = TransferLaw(Recipe(3e-4, 256, beta1=0.8), GradientStatistics(4000), beta1=0.95)
    assert row["learning_rate"] == law.learning_rate(64)


@pytest.mark.parametrize(
    "moments", ["sgd", "sign", "sign-isru", "clip", "article", "mean-field", "mean-field-outside"]
)
def test_every_moment_model(lr, moments):
    found = answer(
        lr, *RUN, "--moments", moments, "--population", "uniform", "--curvature-ratio", 3,
        "--eps", "1e-8", "--grad-rms", "2e-6", "--batch-size", 256,
    )  # fmt: skip
    assert found["results"][0]["learning_rate"] == pytest.approx(3e-4, rel=1e-14)
    assert found["law"]["moments"] == moments


def test_from_published_optima(lr, marek):
    found = answer(lr, "--points", marek, "--batch-size", 4, "--batch-size", 2048)
    law, (small, large) = found["law"], found["results"]
    assert law["source"] == "fitted"
    assert 64 < law["peak_batch_size"] < 1024
    assert small["exponent"] > 0.25
    assert small["regime"] == "sqrt"
    assert large["exponent"] < -0.2
    assert large["regime"] == "falling"
    for row in found["results"]:
        low, high = row["interval"]
        assert low < row["learning_rate"] < high
    assert law["level"] == 0.9
    assert len(law["verdicts"]) == 3


def test_saved_laws_answer_the_same(lr, marek, tmp_path):
    for number, source in enumerate(
        (RUN, (*RUN, "--grad-rms", "2e-6", "--eps", "1e-6"), ("--points", marek))
    ):
        path = tmp_path / f"law{number}.json"
        saved = answer(lr, *source, "--batch-size", 512, "--save", path)
        assert answer(lr, "--law", path, "--batch-size", 512) == saved


def test_optimizer_of_a_saved_transfer_can_be_changed(lr, tmp_path):
    path = tmp_path / "law.json"
    answer(lr, *RUN, "--grad-rms", "2e-6", "--batch-size", 512, "--save", path)
    changed = answer(lr, "--law", path, "--eps", "1e-5", "--beta1", 0.5, "--batch-size", 512)
    law = TransferLaw(
        Recipe(3e-4, 256, beta1=0.9), GradientStatistics(4000, 2e-6), eps=1e-5, beta1=0.5
    )
    assert changed["results"][0]["learning_rate"] == law.learning_rate(512)


def test_warnings(lr, marek):
    (row,) = answer(lr, "--points", marek, "--batch-size", 40000)["results"]
    assert "extrapolated" in row["warnings"][0]
    (row,) = answer(lr, *RUN, "--eps", 1e-4, "--grad-rms", 2e-6, "--batch-size", 64)["results"]
    assert "acts as SGD" in row["warnings"][0]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_words_fit_the_terminal(lr, marek, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(marek.parent)
    for source in (RUN, (*MODEL, "--eps", "1e-8"), ("--points", marek.name)):
        ran = lr("query", *source, "--batch-size", 512, "--batch-size", "1e6")
        assert ran.status == 0
        assert max(len(line) for line in ran.out.splitlines()) <= columns
        for said in ("learning rate", "sqrt would say", "B_crit", "assumed", "route"):
            assert said in ran.out
    assert "WARNING" in ran.out
    assert "as in the tuned run" in lr("query", *MODEL, "--batch-size", 512).out.replace(
        "\n" + " " * 12, " "
    )


USAGE = {
    "zero": (["--ref-lr", "0"], "--ref-lr"),
    "negative": (["--ref-lr", "-1e-3"], "--ref-lr"),
    "nan": (["--ref-lr", "nan"], "--ref-lr"),
    "infinite": (["--ref-lr", "inf"], "--ref-lr"),
    "word": (["--ref-lr", "fast"], "--ref-lr"),
    "batch nan": (["--batch-size", "nan"], "--batch-size"),
    "batch zero": (["--batch-size", "0"], "--batch-size"),
    "dangling": (["--batch-size", "32x"], "--batch-size"),
    "zero factor": (["--batch-size", "0x8"], "--batch-size"),
    "overflow": (["--batch-size", "1e999"], "--batch-size"),
    "empty": (["--batch-size", ""], "--batch-size"),
    "reference": (["--ref-batch-size", "x8"], "--ref-batch-size"),
    "noise": (["--noise-scale", "-4000"], "--noise-scale"),
    "noise nan": (["--noise-scale", "nan"], "--noise-scale"),
    "falling range": (["--ref-lr", "1", "--ref-lr", "2"], "--ref-lr is given twice"),
    "half a range": (["--noise-scale", "1e3.."], "--noise-scale"),
    "eps": (["--eps", "-1e-8"], "--eps"),
    "ref eps": (["--ref-eps", "-1"], "--ref-eps"),
    "beta1": (["--beta1", "1"], "--beta1"),
    "beta1 negative": (["--beta1", "-0.1"], "--beta1"),
    "ref beta1": (["--ref-beta1", "1.5"], "--ref-beta1"),
    "grad rms": (["--grad-rms", "0"], "--grad-rms"),
    "curvature": (["--curvature-ratio", "0"], "--curvature-ratio"),
    "moments": (["--moments", "adam"], "--moments"),
    "population": (["--population", "mixed"], "--population"),
    "no momentum": (["--moments", "article", "--beta1", "0.9"], "--beta1"),
    "beta2": (["--moments", "exact-adam", "--beta2", "1"], "--beta2"),
    "beta2 nowhere": (["--beta2", "0.95"], "--beta2"),
    "ref beta2": (["--moments", "clip", "--ref-beta2", "0.95"], "--ref-beta2"),
    "step": (["--moments", "exact-adam", "--step", "0.5"], "--step"),
    "step zero": (["--moments", "exact-adam", "--step", "0"], "--step"),
    "step nowhere": (["--step", "3"], "--step"),
    "half a horizon": (["--horizon", "1.5"], "--horizon"),
    "some steps of exact Adam": (["--moments", "exact-adam", "--horizon", "9"], "--horizon"),
    "two sources": (["--law", "law.json"], "--ref-lr"),
    "another two": (["--points", "optima.csv"], "--ref-lr"),
    "no name": (["--points", ""], "--points"),
    "reference without momentum": (["--moments", "sign", "--ref-beta1", ".9"], "--ref-beta1"),
    "script digits": (["--ref-lr", "\uff11"], "--ref-lr"),
    "unknown option": (["--batchsize", "3"], "--batchsize"),
    "no value": (["--eps"], "--eps"),
    "argument": (["512"], "512"),
}


@pytest.mark.parametrize("name", list(USAGE))
def test_wrong_calls_are_one_line_and_status_2(lr, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, names = USAGE[name]
    given = [*RUN, "--batch-size", "512", "--save", "law.json", *arguments]
    ran = lr("query", *given)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert names in ran.err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "--ref-lr"),
        (["--batch-size", "512"], "--points"),
        (["--noise-scale", "512", "--batch-size", "512"], "--ref-lr is missing"),
        (["--ref-lr", "1e-3", "--noise-scale", "512", "--batch-size", "5"], "--ref-batch-size"),
        (list(RUN), "--batch-size"),
    ],
)
def test_what_is_missing_is_named(lr, arguments, names):
    ran = lr("query", *arguments)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert names in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ref-lr", "1e-50", "--ref-batch-size", "1e50", "--batch-size", "1e-50"],
        ["--ref-lr", "1e-300", "--ref-batch-size", "1e300", "--batch-size", "1"],
        ["--ref-lr", "1", "--ref-batch-size", "1", "--noise-scale", "1e50", "--batch-size", "1"],
        [*RUN, "--grad-rms", "1e-300", "--batch-size", "5"],
        [*RUN, "--grad-rms", "1", "--eps", "1e50", "--batch-size", "5"],
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_extreme_numbers_give_an_answer_or_one_line(lr, arguments, more):
    ran = lr("query", *arguments, *more)
    if ran.status:
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    else:
        assert ran.err == ""
        assert "nan" not in ran.out.lower()


@pytest.mark.parametrize(
    "more",
    [
        ["--moments", "exact-adam", "--beta2", ".95", "--population", "gaussian"],
        ["--moments", "exact-adam", "--beta2", ".95", "--population", "uniform"],
        ["--moments", "exact-softsign", "--population", "gaussian"],
        ["--moments", "exact-adam-inside", "--step", "10", "--ref-beta2", "0.9"],
        ["--population", "gaussian"],
    ],
)
@pytest.mark.parametrize("eps", [[], ["--eps", "1e-6", "--grad-rms", "2e-6"]])
def test_exact_models_and_populations_answer(lr, more, eps, tmp_path):
    path = tmp_path / "law.json"
    result = answer(lr, *RUN, "--batch-size", "1024", *more, *eps, "--save", path)
    assert 0 < result["results"][0]["learning_rate"] < 1e-2
    again = answer(lr, "--law", path, "--batch-size", "1024")
    assert again["results"][0]["learning_rate"] == result["results"][0]["learning_rate"]
    end = result["law"]["surge_end_eps"]
    assert (end is None) == (not eps)
    said = lr("query", "--law", path, "--batch-size", "1024").out
    assert ("surge" in said) == bool(eps)
    if "--population" in more:
        assert f"{more[more.index('--population') + 1]} population" in " ".join(said.split())
    if "--step" in more:
        assert "step 10" in said


def test_exact_and_default_model_agree_where_the_default_is_good(lr):
    # beta2 near 1: true Adam is the mean field.
    exact = answer(lr, *RUN, "--batch-size", "1024", "--moments", "exact-adam", "--beta2", ".9999")
    default = answer(lr, *MODEL, "--batch-size", "1024")
    rates = [found["results"][0]["learning_rate"] for found in (exact, default)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-3)


def test_one_optimum_or_two_are_enough(lr, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("batch_size,learning_rate\n64,1e-3\n")
    one = answer(lr, "--points", path, "--batch-size", 1024)["results"][0]
    run = answer(lr, "--ref-lr", "1e-3", "--ref-batch-size", 64, "--batch-size", 1024)["results"][0]
    assert one["learning_rate"] == pytest.approx(run["learning_rate"], rel=1e-6)
    path.write_text("batch_size,learning_rate\n64,1e-3\n256,1.8e-3\n")
    two = answer(lr, "--points", path, "--batch-size", 1024)["results"][0]
    assert np.ptp(np.log(two["law_interval"])) < np.ptp(np.log(one["law_interval"]))
    known = ("--points", path, "--noise-scale", "3e3")
    assert "noise scale 3000, good to a factor of 2" in " ".join(
        lr("query", *known, "--batch-size", 1024).out.split()
    )


def test_answer_that_cannot_be_written():
    command = [Path(sys.executable).with_name("lr"), "query", *RUN, "--batch-size", "1024"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "cannot write the answer" in ran.stderr


def test_token_counts_keep_their_digits(lr):
    ran = lr("query", *RUN, "--batch-size", 1048577)
    assert "at batch size 1048577" in ran.out


def test_fitted_laws_have_no_eps(lr, marek, tmp_path):
    path = tmp_path / "law.json"
    answer(lr, "--points", marek, "--batch-size", 5, "--save", path)
    for source in (("--law", path), ("--points", marek)):
        ran = lr("query", *source, "--eps", "1e-6", "--batch-size", 512)
        assert (ran.status, ran.out) == (2, "")
        assert "--eps" in ran.err


FILES = {
    "missing": None,
    "empty": b"",
    "binary": b"\x80\x04\x95\x00\xff",
    "header only": b"batch_size,learning_rate\n",
    "missing column": b"batch_size,rate\n1,2\n2,3\n3,4\n",
    "duplicate column": b"batch_size,learning_rate,learning_rate\n1,2,3\n",
    "bad cell": b"batch_size,learning_rate\n1,1e-3\n2,oops\n4,1e-3\n",
}


@pytest.mark.parametrize("option", ["--points", "--law"])
@pytest.mark.parametrize("name", list(FILES))
def test_bad_files_are_one_line_and_status_1(lr, name, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if FILES[name] is not None:
        Path("file").write_bytes(FILES[name])
    before = os.listdir()
    ran = lr("query", option, "file", "--batch-size", 512, "--save", "law.json")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "file: " in ran.err
    if (name, option) == ("bad cell", "--points"):
        assert "row 2 (line 3)" in ran.err
    assert os.listdir() == before


def test_directories_are_no_files(lr, tmp_path):
    for option in ("--points", "--law"):
        ran = lr("query", option, tmp_path, "--batch-size", 512)
        assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert "directory" in ran.err


def test_save_that_fails_prints_nothing_else(lr, tmp_path):
    ran = lr("query", *RUN, "--batch-size", 512, "--save", tmp_path / "no" / "law.json")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "cannot be written" in ran.err


def test_as_a_process_of_its_own():
    command = [Path(sys.executable).with_name("lr"), "query", *RUN, "--batch-size", "1024"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("learning rate 0.0005")
    closed = subprocess.run(
        f"'{command[0]}' query {' '.join(RUN)} --batch-size 1024 | true",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert closed.stderr == ""
