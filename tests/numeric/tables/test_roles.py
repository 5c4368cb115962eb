"""Columns known by their names."""

import pytest

from scaling import InputError
from scaling.numeric.tables import as_table


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("batch_size", "bs BS B batch_size batch-size Batch_Size config.batch_size train/bs"),
        ("batch_size", "params_batch_size global_batch_size hparams/global_batch_size"),
        (
            "learning_rate",
            "lr LR learning_rate max_lr config.optimizer.lr params_lr peak_lr config.lr.value",
        ),
        ("learning_rate", "hparam/lr run.hparams.lr user_attrs_lr params.yaml:train.lr"),
        ("loss", "loss final_loss val_loss eval/loss summary.val/loss value train/loss"),
        ("eps", "eps adam_eps epsilon optimizer.eps"),
        ("seed", "seed config.seed params_seed"),
        ("steps", "steps step num_steps train_steps"),
        ("group", "model model_size N size group"),
    ],
)
def test_usual_names(role, names):
    for name in names.split():
        table = as_table({"other": [1], name: [1], "lr_schedule": [1], "beta1": [1], "D": [1]})
        assert table.guess(role) == name
    assert as_table({"Batch Size": [1], "smooth loss": [1]}).guess("batch_size") == "Batch Size"
    assert as_table({"Batch Size": [1], "smooth loss": [1]}).guess("loss") == "smooth loss"


@pytest.mark.parametrize(
    ("role", "names", "parameter"),
    [
        ("loss", ["eval_loss", "val_loss"], "loss_column"),
        ("learning_rate", ["lr", "max_lr"], "lr_column"),
        ("batch_size", ["B", "batch_size"], "batch_size_column"),
    ],
)
def test_two_candidates_are_named(role, names, parameter):
    table = as_table({name: [i] for i, name in enumerate(["seed", *names])})
    assert table.candidates(role) == names
    with pytest.raises(InputError, match=f"{names[0]}, {names[1]} may all be meant") as caught:
        table.guess(role)
    assert caught.value.parameter == parameter


def test_none_is_said_with_what_there_is():
    table = as_table({"rate": [1], "batch_norm": [1]})
    for role in ("batch_size", "learning_rate", "loss", "eps", "seed", "steps", "group"):
        assert table.candidates(role) == []
        with pytest.raises(InputError, match="of rate, batch_norm"):
            table.guess(role)
