"""`lr recipe` as a user meets it."""

import json

import pytest
from scaling.cli.report.sentences import say_all

from scaling import GradientStatistics, Recipe, TransferLaw, load_law, recipe
from scaling.numeric.inference.law import PosteriorLaw

TUNED = "lr=3e-4,batch_size=32x8,beta1=0.9,beta2=0.95,weight_decay=0.1"
KNOWN = Recipe(3e-4, 256, beta1=0.9, beta2=0.95, weight_decay=0.1)
LAW = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256, beta1=0.9), 4000.0)


def answer(lr, *arguments, tuned=TUNED):
    ran = lr("recipe", "--from", tuned, *arguments, "--json")
    assert (ran.status, ran.err) == (0, "")
    return json.loads(ran.out)


def test_it_is_the_library_s(lr):
    rules = ("law+half-life+weight-decay", "sqrt-sde")
    asked = [word for rule in rules for word in ("--rule", rule)]
    found = answer(lr, "--batch-size", 1024, "--noise-scale", 4000, *asked)
    assert [row["rule"] for row in found["results"]] == list(rules)
    for row in found["results"]:
        wanted = recipe(KNOWN, 1024, row["rule"], law=LAW)
        for name in ("learning_rate", "eps", "beta1", "beta2", "weight_decay", "batch_size"):
            assert row[name] == getattr(wanted, name)
        assert row["warnings"] == say_all(wanted.warnings)
        assert row["sources"] == [rule.source for rule in wanted.rules]
        assert set(row["lines"]) == {"torch", "optax"}
    assert found["from"]["batch_size"] == 256


def test_by_default_every_rule_that_has_what_it_needs(lr):
    def rules(*arguments, tuned=TUNED):
        found = answer(lr, "--batch-size", 1024, *arguments, tuned=tuned)
        return [row["rule"] for row in found["results"]]

    bare = "lr=3e-4,batch_size=256"
    assert rules(tuned=bare) == ["law", "sqrt-sde", "half-life"]
    assert rules() == ["law+weight-decay", "sqrt-sde", "half-life"]
    assert rules("--eps", "1e-8") == ["law+weight-decay", "half-life"]
    ran = lr("recipe", "--from", bare, "--batch-size", 1024)
    assert "take      law: the law aims at the best learning rate" in ran.out
    assert "weight-decay: left out, needs weight_decay" in ran.out
    assert "beta1 = 0.9, the default of PyTorch and optax" in ran.out


def test_laws_from_files(lr, marek, tmp_path):
    ask = ("--batch-size", 1024, "--rule", "law")
    by_table = answer(lr, *ask, "--points", marek)
    path = tmp_path / "law.json"
    assert lr("query", "--points", marek, "--batch-size", 1, "--save", path).status == 0
    assert answer(lr, *ask, "--law", path) == by_table


def test_laws_of_several_sizes_and_eps(lr, tmp_path):
    """What a law needs is taken from the recipe, or given; the change of eps enters."""
    table, path = tmp_path / "runs.csv", tmp_path / "law.txt"
    rows = [
        f"{bs},{rate:.6g},{n:g},{eps:g},{3 + u * u / 50:g}"
        for bs in (64, 256)
        for n, eps, shift in ((1e7, 1e-8, 1), (1e7, 1e-4, 4), (1e8, 1e-8, 0.5), (1e8, 1e-4, 2))
        for u, rate in ((u, shift * 1e-3 * (bs / 64) ** 0.5 * 2**u) for u in (-1, 0, 1))
    ]
    table.write_text("\n".join(["bs,lr,N,eps,loss", *rows]))
    assert lr("fit", table, "--covariate", "N", "--save", path).status == 0
    ask = ("--law", path, "--covariate", "N=1e7", "--batch-size", 256, "--rule", "law")
    (row,) = answer(lr, *ask, "--eps", "1e-4", tuned="lr=1e-3,batch_size=64")["results"]
    law = load_law(path)
    ratio = law.at(N=1e7, eps=1e-4).learning_rate(256) / law.at(N=1e7, eps=1e-8).learning_rate(64)
    assert row["learning_rate"] == pytest.approx(1e-3 * ratio)
    assert row["warnings"] == []
    asked = ("--covariate", "N=1e7", "--eps", "1e-8", "--target-batch-size", 256, "--budget", 1)
    assert lr("plan", "--law", path, *asked).status == 0


def test_which_eps_is_meant(lr):
    ask = ("--batch-size", 1024, "--noise-scale", 4000, "--rule", "law")
    (outside,) = answer(lr, *ask)["results"]
    assert "eps=1e-08" in outside["lines"]["torch"]
    assert "outside the root" in outside["lines"]["torch"]
    (inside,) = answer(lr, *ask, "--moments", "mean-field")["results"]
    assert list(inside["lines"]) == ["optax"]
    assert "eps=0.0, eps_root=1e-16" in inside["lines"]["optax"]
    ran = lr("recipe", "--from", TUNED, *ask, "--moments", "mean-field")
    assert "PyTorch has no eps inside the root" in ran.out


def test_eps_and_beta2_enter_where_the_model_has_them(lr):
    ask = ("--batch-size", 1024, "--noise-scale", 4000, "--rule", "law")
    (plain,) = answer(lr, *ask)["results"]
    gradient = (*ask, "--grad-rms", "1e-8")
    (with_eps,) = answer(lr, *gradient)["results"]
    assert with_eps["learning_rate"] != plain["learning_rate"]
    (exact,) = answer(lr, *gradient, "--moments", "exact-adam")["results"]
    law = TransferLaw(
        Recipe(3e-4, 256, beta1=0.9, beta2=0.95),
        GradientStatistics(4000, 1e-8),
        moments="exact-adam",
    )
    assert exact["learning_rate"] == pytest.approx(law.learning_rate(1024))


def test_where_a_rule_ends_there_is_no_optimizer(lr):
    ran = lr("recipe", "--from", TUNED, "--batch-size", 4096, "--rule", "sqrt-sde")
    assert ran.status == 0
    assert "beta1 = -0.6 is below 0" in ran.out
    assert "no optimizer can be made of this" in ran.out
    (row,) = answer(lr, "--batch-size", 4096, "--rule", "sqrt-sde")["results"]
    assert row["lines"] == {}


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_words_fit_the_terminal(lr, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    rules = ("--rule", "law+half-life+weight-decay", "--rule", "sqrt-sde")
    ran = lr("recipe", "--from", TUNED, "--batch-size", 4096, "--noise-scale", 4000, *rules)
    for line in ran.out.splitlines():
        pasted = line.startswith(("  torch.", "  optax."))
        assert pasted or len(line) <= max(columns, 80)
    for said in ("law keeps optimality", "equivalence", "arXiv 2205.10287", "WARNING"):
        assert said in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--from: missing"),
        (["--from", TUNED], "--batch-size: missing"),
        (["--from", "lr=3e-4", "--batch-size", 512], "--from: batch_size is missing"),
        (["--from", "lr=3e-4,batch_size=x", "--batch-size", 512], "--from: batch_size must"),
        (["--from", TUNED, "--batch-size", 0], "--batch-size"),
        (["--from", TUNED, "--batch-size", 512, "--rule", "linear"], "--rule: must be one of"),
        (["--from", TUNED, "--batch-size", 512, "--eps", "1e-6"], "--eps: 1e-06, the tuned run"),
        (
            ["--from", TUNED, "--batch-size", 5, "--eps", 1, "--rule", "sqrt-sde"],
            "--rule: sqrt-sde sets eps itself",
        ),
        (
            ["--from", "lr=1,batch_size=2", "--batch-size", 5, "--rule", "weight-decay"],
            "--rule: weight-decay needs weight_decay in --from",
        ),
        (
            ["--from", TUNED, "--batch-size", 5, "--rule", "half-life+sqrt-sde"],
            "--rule: half-life and sqrt-sde both set",
        ),
        (["--from", TUNED, "--batch-size", 5, "--grad-rms", 3], "--grad-rms: needs --noise-scale"),
        (["--from", TUNED, "--batch-size", 5, "--moments", "adam", "--noise-scale", 3], "adam"),
        (["--from", TUNED, "--batch-size", 5, "--law", "x", "--noise-scale", 3], "--noise-scale"),
        (
            ["--from", TUNED, "--batch-size", 5, "--moments", "sign", "--noise-scale", 3],
            "--from: beta1 must be 0 with moments 'sign'",
        ),
    ],
)
def test_wrong_calls_are_one_line_and_status_2(lr, arguments, says):
    ran = lr("recipe", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_a_range_of_the_noise_scale_will_do(lr):
    (row,) = answer(lr, "--batch-size", 1024, "--noise-scale", "1e3..1e4", "--rule", "law")[
        "results"
    ]
    law = PosteriorLaw.of_tuned_run(KNOWN, (1e3, 1e4))
    assert row["learning_rate"] == pytest.approx(
        3e-4 * law.learning_rate(1024) / law.learning_rate(256)
    )


def test_every_batch_size_given_and_another_eps(lr):
    known = ("--noise-scale", 4000, "--grad-rms", "1e-8", "--eps", "1e-6", "--rule", "law")
    found = answer(lr, "--batch-size", "1k", "--batch-size", "32x8", *known)
    law = TransferLaw(
        Recipe(3e-4, 256, beta1=0.9), GradientStatistics(4000, grad_rms=1e-8), eps=1e-6
    )
    assert [row["batch_size"] for row in found["results"]] == [1000, 256]
    for row in found["results"]:
        assert row["eps"] == 1e-6
        assert row["learning_rate"] == pytest.approx(law.learning_rate(row["batch_size"]))
    assert found["best"]["rule"] == "law+weight-decay"
    ran = lr("recipe", "--from", TUNED, "--batch-size", 512, "--batch-size", 1024)
    assert ran.out.count("# batch size 1024") == 3


def test_a_rule_that_knows_no_eps_says_so(lr):
    moments = ("--noise-scale", 4000, "--grad-rms", "1e-8", "--rule", "half-life")
    (row,) = answer(lr, "--batch-size", 512, "--eps", "1e-6", *moments)["results"]
    assert "the change of eps does not enter the learning rate" in row["warnings"]
