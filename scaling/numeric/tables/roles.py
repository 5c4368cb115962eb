"""Which column plays which role: names that sweeps use."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Role(NamedTuple):
    """What messages call a role, the parameter that names its column, names that it goes by."""

    title: str
    parameter: str
    names: str


ROLES = {
    "batch_size": Role(
        "batch size",
        "batch_size_column",
        "b bs batch batchsize batch_size global_bs gbs global_batch_size total_batch_size "
        "effective_batch_size train_batch_size",
    ),
    "learning_rate": Role(
        "learning rate",
        "lr_column",
        "lr learning_rate learningrate max_lr peak_lr base_lr init_lr initial_lr "
        "max_learning_rate peak_learning_rate base_learning_rate",
    ),
    "loss": Role(
        "loss",
        "loss_column",
        "loss final_loss smooth_loss smoothed_loss val_loss valid_loss validation_loss eval_loss "
        "evaluation_loss test_loss train_loss training_loss final_val_loss final_eval_loss "
        "final_train_loss value objective_value",
    ),
    "eps": Role("value of epsilon", "eps_column", "eps epsilon adam_eps adam_epsilon"),
    "seed": Role("seed", "seed_column", "seed random_seed rng_seed"),
    "steps": Role(
        "number of steps",
        "steps_column",
        "steps step num_steps n_steps total_steps train_steps training_steps optimizer_steps "
        "steps_to_target iterations num_iterations iters updates",
    ),
    "group": Role(
        "group",
        "group_column",
        "model model_name model_size size n n_params num_params params parameters group",
    ),
}

#: What tools put before the name that a user gave.
_PREFIXES = r"(config|params|hparams|hyperparameters|args|summary|optimizer|optim|train)_"


def candidates(role: str, names: Sequence[str]) -> list[str]:
    """Return the names that may be meant by a role, such as ``params_lr`` or ``Batch Size``."""
    known = set(ROLES[role].names.split())
    found = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        while plain not in known and re.match(_PREFIXES, plain):
            plain = re.sub(_PREFIXES, "", plain, count=1)
        if plain in known:
            found.append(name)
    return found
