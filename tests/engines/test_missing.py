"""An engine that is not installed is one line that names the extra."""

import subprocess
import sys

import pytest

from scaling import MissingExtraError, schedule
from scaling.engines import optuna, ray, schedules, wandb
from scaling.numeric.laws import SearchSpace

SPACE = SearchSpace(512, 0.006, 0.004, 0.008, 0.9)


@pytest.fixture
def missing(monkeypatch):
    """Pretend that a library is not installed."""

    def hide(*modules):
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return hide


@pytest.mark.parametrize(
    ("modules", "call", "extra"),
    [
        (["optuna", "optuna.distributions"], lambda _: optuna.form([SPACE]), "sweeps"),
        (["yaml"], lambda _: wandb.form([SPACE]), "sweeps"),
        (["ray", "ray.tune"], lambda law: ray.param_space(law, 512), "ray"),
        (
            ["jax", "jax.numpy"],
            lambda law: schedules.optax_schedule(schedule(law, {0: 16})),
            "optax",
        ),
        (
            ["torch", "torch.optim.lr_scheduler"],
            lambda law: schedules.lambda_lr(None, schedule(law, {0: 16})),
            "torch",
        ),
    ],
)
def test_missing_engine(law, missing, modules, call, extra):
    missing(*modules)
    with pytest.raises(MissingExtraError, match=rf"adam-lr-scaling\[{extra}\]") as caught:
        call(law)
    assert "\n" not in str(caught.value)
    assert modules[0] in str(caught.value).lower()


def test_on_the_command_line(lr, marek, missing):
    missing("optuna", "optuna.distributions")
    ran = lr("sweep", "--engine", "optuna", "--points", marek, "--batch-size", 512)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "adam-lr-scaling[sweeps]" in ran.err


def test_what_an_engine_lacks_itself_is_not_hidden(monkeypatch, tmp_path):
    (tmp_path / "yaml.py").write_text("import a_module_that_yaml_needs")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "yaml", raising=False)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_yaml_needs") as caught:
        wandb.form([SPACE])
    assert not isinstance(caught.value, MissingExtraError)


def test_engines_are_imported_late():
    code = (
        "import sys, scaling.engines.optuna, scaling.engines.ray, scaling.engines.wandb, "
        "scaling.engines.hydra, scaling.engines.schedules; "
        "assert not {'optuna', 'ray', 'yaml', 'hydra', 'torch', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
