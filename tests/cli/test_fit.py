"""`lr fit` and `lr simulate` as a user meets them."""

import json
import math
import os
import subprocess
import sys

import pytest

from scaling import load_law

PLAN = (
    "simulate", "--lr", "3e-4", "--critical-batch-size", 200, "--noise-batch-size", 2000,
    "--batch-size", 16, "--batch-size", "8x8", "--batch-size", 256, "--batch-size", 1024,
    "--batch-size", 4096,
)  # fmt: skip
SIZES = (
    "--covariate", "N=100M", "--covariate", "N=1B", "--covariate", "N=400M",
    "--lr-exponent", "N=-0.3", "--critical-exponent", "N=0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two sweeps, one with a covariate."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def sweep(lr, runs):
    path = runs / "runs.csv"
    if not path.exists():
        assert lr(*PLAN, "--out", path).status == 0
    return path


@pytest.fixture
def joint(lr, runs):
    path = runs / "joint.csv"
    if not path.exists():
        assert lr(*PLAN, *SIZES, "--repetitions", 2, "--out", path).status == 0
    return path


def test_simulated_runs_go_to_standard_output(lr):
    ran = lr(*PLAN, "--learning-rate", "1e-4", "--learning-rate", "4e-4")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0] == "batch_size,learning_rate,loss"
    assert len(lines) == 11


def test_who_reads_the_answer_may_leave_before_its_end(sweep, tmp_path):
    law, plot = tmp_path / "law.json", tmp_path / "valleys.svg"
    reads, writes = os.pipe()
    os.close(reads)
    program = [sys.executable, "-m", "scaling", "fit", sweep, "--save", law, "--plot", plot]
    with os.fdopen(writes, "w") as pipe:
        ran = subprocess.run(program, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.stderr.count("\n") <= 1
    assert load_law(law).learning_rate(256) > 0
    assert plot.exists()


def test_a_saved_law_answers_with_intervals(lr, joint, tmp_path):
    law = tmp_path / "law.json"
    ran = lr("fit", joint, "--covariate", "N", "--save", law)
    assert (ran.status, ran.err) == (0, "")
    for said in (
        "guessed: batch size from column 'batch_size'",
        "3 groups",
        "B_crit",
        "(90% of",
    ):
        assert said in ran.out
    setting = ("--covariate", "N=1B", "--batch-size", 512)
    found = json.loads(lr("query", "--law", law, *setting, "--json").out)
    row = found["results"][0]
    own = load_law(law).at(N=1e9)
    assert row["learning_rate"] == own.learning_rate(512)
    assert row["interval"] == list(own.interval(512))
    assert found["law"]["intervals"].keys() == own.parameter_intervals().keys()
    text = lr("query", "--law", law, *setting).out
    assert "90% of new sweeps" in text
    assert "at N = 1e+09" in text
    assert lr("compare", "--law", law, "--covariate", "N=1B").status == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--covariate: the law needs N too"),
        (("--covariate", "N"), "--covariate: must be NAME=NUMBER, as model=3B, got 'N'"),
        (("--covariate", "N=x"), "--covariate: N must be"),
        (("--covariate", "N=1e9", "--covariate", "N=2e9"), "N is given twice"),
        (("--covariate", "Q=1e9"), "the law has no 'Q'; it has N"),
        (("--covariate", "N=1e9", "--eps", "1e-8"), "--eps: cannot be changed"),
        (("--covariate", "N=1e9", "--beta1", "0.9"), "--beta1: cannot be changed"),
    ],
)
def test_bad_settings(lr, joint, tmp_path, options, says):
    law = tmp_path / "law.json"
    lr("fit", joint, "--covariate", "N", "--save", law)
    ran = lr("query", "--law", law, "--batch-size", 64, *options)
    assert ran.status == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_covariates_belong_to_laws_of_sweeps(lr, marek):
    run = ("--ref-lr", "3e-4", "--ref-batch-size", 256, "--noise-scale", 4000)
    for source in (("--points", marek), run):
        ran = lr("query", *source, "--batch-size", 64, "--covariate", "N=1")
        assert ran.status == 2
        assert "--covariate: " in ran.err


def test_json_has_everything(lr, sweep):
    ran = lr("fit", sweep, "--json")
    found = json.loads(ran.out)
    assert len(found["optima"]) == 5
    score = found["scores"]["batch_size"]
    assert {*score["rmse_octaves"]} == {
        "law", "constant", "linear", "sqrt", "power", "SGD", "OpenAI",
    }  # fmt: skip
    assert score["rmse_octaves"]["law"] < 0.5
    assert found["middle"]["source"] == "fitted"
    (low, high), (law_low, law_high) = (found["result"][n] for n in ("interval", "law_interval"))
    assert low < law_low < found["result"]["learning_rate"] < law_high < high
    assert found["result"]["level"] == 0.9
    wider = json.loads(lr("fit", sweep, "--json", "--level", 0.99).out)["result"]["interval"]
    assert wider[0] < low
    assert high < wider[1]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_summary_fits_the_terminal(lr, sweep, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    ran = lr("fit", sweep)
    longest = max(len(line.rstrip()) for line in ran.out.splitlines())
    assert longest <= max(width, 80)


def test_an_interrupted_fit_writes_nothing(lr, sweep, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scaling.numeric.fits.sweep.read_valleys", stop)
    ran = lr("fit", sweep, "--save", tmp_path / "law.json")
    assert (ran.status, ran.out) == (130, "")
    assert not list(tmp_path.iterdir())


def test_the_same_runs_give_the_same_answer(lr, sweep):
    one, two = (lr("fit", sweep, "--json").out for _ in range(2))
    assert one == two


def test_a_noise_scale_and_a_prior_are_taken(lr, sweep, tmp_path):
    ran = lr("fit", sweep, "--noise-scale", "1e3..4e3")
    assert "the noise scale lies between 1000 and 4000" in " ".join(ran.out.split())
    bad = tmp_path / "prior.json"
    bad.write_text('{"scales": {"corners": [0, 4]}}')
    ran = lr("fit", sweep, "--prior", bad)
    assert (ran.status, ran.out) == (1, "")
    assert "the prior has an unknown 'corners'" in ran.err


def spoilt(path, change):
    header, *rows = path.read_text().splitlines()
    return "\n".join(change(header, rows)) + "\n"


@pytest.mark.parametrize(
    ("change", "says", "status"),
    [
        (lambda head, rows: [head, *rows[:3], "16,abc,3"], "row 4 (line 5): learning_rate must", 1),
        (lambda head, rows: [head, *rows[:3], '"1,024",1e-3,3'], "thousands separators", 1),
        (lambda head, rows: [head, *rows[:3], "16,1e-3,-3"], "row 4 (line 5): loss is -3", 1),
        (lambda head, rows: [head, *rows[:3], "16,1e-3"], "row 4 (line 5)", 1),
        (lambda head, _: [head], "no row", 1),
        (lambda head, rows: [head.replace("loss", "cost"), *rows], "--loss-column: ", 2),
        (lambda head, rows: [head, rows[0]], "bad.csv: no batch size has runs at two", 1),
    ],
)
def test_bad_files_are_one_line(lr, sweep, tmp_path, change, says, status):
    path = tmp_path / "bad.csv"
    path.write_text(spoilt(sweep, change))
    ran = lr("fit", path)
    assert (ran.status, ran.out) == (status, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_draws_beyond_all_numbers_are_one_line(lr, marek, tmp_path):
    law = tmp_path / "law.json"
    assert lr("query", "--points", marek, "--batch-size", 512, "--save", law).status == 0
    document = json.loads(law.read_text())
    for draw in document["posterior"]["draws"][:100]:
        draw[0] = 1e4
    law.write_text(json.dumps(document))
    for form in ([], ["--json"]):
        ran = lr("query", "--law", law, "--batch-size", 512, *form)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("lr: the numbers given are so large or so small")


def test_standard_input_is_called_so():
    program = [sys.executable, "-m", "scaling", "fit", "-"]
    table = "batch_size,lr,loss\n0,1e-3,3\n"
    ran = subprocess.run(program, input=table, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("lr: standard input: row 1 (line 2): batch_size must be")


def test_studies_and_products(lr, tmp_path):
    """A study is named where there are several, and a batch size may be a product of columns."""
    optuna = pytest.importorskip("optuna", reason="needs the extra sweeps")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=0)
    for name in ("one", "two"):
        study = optuna.create_study(
            storage=f"sqlite:///{tmp_path}/study.db", study_name=name, sampler=sampler
        )

    def objective(trial):
        size = 16 * 4 ** trial.suggest_int("size", 0, 3)
        trial.set_user_attr("batch_size", size // 8)
        trial.set_user_attr("grad_accum", 8)
        rate = trial.suggest_float("lr", 1e-4, 1e-2, log=True)
        return 3 + 0.1 * math.log2(rate / 1e-3) ** 2

    study.optimize(objective, n_trials=24)
    path = tmp_path / "study.db"
    assert "has several: one, two; choose one" in lr("fit", path).err
    ran = lr("fit", path, "--study", "two")
    assert ran.status == 2
    assert ran.err.startswith("lr: --batch-size-column: in ")
    assert "may or may not include" in ran.err
    product = "user_attrs_batch_size*user_attrs_grad_accum"
    ran = lr("fit", path, "--study", "two", "--batch-size-column", product, "--json")
    assert ran.status == 0, ran.err
    assert 16 < json.loads(ran.out)["result"]["batch_size"] < 1024


def test_semicolons_and_byte_order_marks_are_fine(lr, sweep, tmp_path):
    path = tmp_path / "semicolons.csv"
    path.write_text("\ufeff" + sweep.read_text().replace(",", ";"), encoding="utf-8")
    one, two = (json.loads(lr("fit", p, "--json").out) for p in (sweep, path))
    assert one["optima"] == two["optima"]


def test_one_batch_size_has_nothing_to_leave_out(lr, sweep):
    ran = lr("fit", sweep, "--where", "batch_size == 64")
    assert ran.status == 0
    assert "one batch size only" in ran.out
    assert "octaves" not in ran.out
    assert ran.out.rstrip().endswith("that it rests on")


def test_settings_that_nothing_names_are_named(lr, joint):
    text = "not used, though varied at one batch size: 'N'"
    rows = [line.rsplit(",", 2) for line in joint.read_text().splitlines()]
    unseeded = joint.with_name("unseeded.csv")  # seeds would show the contradiction
    unseeded.write_text("".join(f"{settings},{loss}\n" for settings, _, loss in rows))
    for call, named in (
        (("fit", unseeded), "N"),
        (("plan", "--law", unseeded, "--target-batch-size", 512), "N=1B"),
    ):
        assert text in " ".join(lr(*call).out.split())
        assert text not in " ".join(lr(*call, "--covariate", named).out.split())


def test_bad_plans(lr):
    for options, says in (
        (("--lr-exponent", "N=1"), "--lr-exponent: must be NAME=NUMBER with NAME one of"),
        (("--covariate", "N=1e9", "--critical-exponent", "N=x"), "N must be a number"),
        (("--missing", 1), "--missing: "),
    ):
        ran = lr(*PLAN, *options)
        assert ran.status == 2
        assert says in ran.err


def test_a_plan_that_cannot_be_written_leaves_nothing(lr, tmp_path):
    ran = lr(*PLAN, "--out", tmp_path / "missing" / "runs.csv")
    assert ran.status == 1
    assert "cannot be written" in ran.err


def test_a_prior_beyond_arithmetic_is_refused_and_not_waited_for(lr, sweep, tmp_path):
    prior = tmp_path / "prior.json"
    prior.write_text('{"scales": {"corner": [0, 1e300]}}')
    ran = lr("fit", sweep, "--prior", prior, "--noise-scale", 256)
    assert (ran.status, "arithmetic fails" in ran.err) == (2, True)


def test_the_unit_of_batch_sizes_goes_with_the_law(lr, tmp_path):
    table, law = tmp_path / "runs.csv", tmp_path / "law.json"
    rows = [
        f"{bs},{1e-3 * (bs / 64) ** 0.5 * f:g},{3 + abs(f - 1):g}"
        for bs in (64, 128, 256)
        for f in (0.5, 1, 2)
    ]
    table.write_text("\n".join(["tokens_per_step,lr,loss", *rows]))
    fit = lr("fit", table, "--save", law)
    assert "at batch size 128 tokens" in fit.out
    assert load_law(law).provenance.unit == "tokens"
    ask = ["--target-batch-size", 512, "--budget", 1]
    optima = tmp_path / "optima.csv"
    optima.write_text("\n".join(["tokens_per_step,lr,loss", *rows[1::3]]))
    for source in (["--law", law], ["--points", optima]):
        query = lr("query", *source, "--batch-size", 512).out
        assert "at batch size 512 tokens" in query
        assert "at batch size 128 tokens" in " ".join(lr("compare", *source).out.split())
        swept = lr("sweep", *source, "--batch-size", 512, "--engine", "hydra")
        assert "batch sizes are in tokens" in swept.err
        tuned = ["--from", "lr=1e-3,batch_size=64", "--batch-size", 512]
        assert "batch sizes are in tokens" in lr("recipe", *source, *tuned).out
        assert "at batch size 512 tokens" in lr("plan", *source, *ask).out
    assert "at batch size 512 tokens" in lr("plan", "--law", table, *ask).out
    found = json.loads(lr("query", "--law", law, "--batch-size", 512, "--json").out)
    assert found["law"]["unit"] == "tokens"
    law.write_text(law.read_text().replace('"tokens"', '"furlongs"'))
    assert "must be one of examples, sequences, tokens" in lr("query", "--law", law).err
