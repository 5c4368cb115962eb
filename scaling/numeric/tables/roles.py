"""Which column plays which role: the names that sweeps, trackers and frameworks use."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Role(NamedTuple):
    """What messages call a role, the parameter that names its column, names that it goes by.

    The names come in classes, the best first: a validation loss before a training loss.
    """

    title: str
    parameter: str
    names: tuple[str, ...]


ROLES = {
    "batch_size": Role(
        "batch size",
        "batch_size_column",
        (
            # What one step of the optimizer sees, whatever else is in the table.
            "global_bs gbs global_batch_size global_train_batch_size total_batch_size "
            "total_train_batch_size effective_batch_size tokens_per_step tokens_per_iter "
            "tokens_per_iteration tokens_per_batch batch_tokens batch_size_tokens "
            "batch_size_in_tokens",
            "b bs batch batchsize batch_size train_batch_size",
        ),
    ),
    # The factors of a batch size: what one device sees at a time, how often, how many devices.
    "per_device": Role(
        "batch size of one device",
        "batch_size_column",
        (
            "per_device_train_batch_size per_device_batch_size device_batch_size local_batch_size "
            "per_gpu_batch_size batch_size_per_device batch_size_per_gpu device_train_batch_size "
            "micro_batch_size microbatch_size train_micro_batch_size_per_gpu",
        ),
    ),
    "accumulation": Role(
        "number of accumulated batches",
        "batch_size_column",
        (
            "gradient_accumulation_steps gradient_accumulation grad_accumulation_steps "
            "grad_accum_steps grad_accum grad_acc_steps accumulate_grad_batches accumulation_steps "
            "accum_steps accumulation",
        ),
    ),
    "devices": Role(
        "number of devices",
        "batch_size_column",
        (
            "num_devices n_devices devices world_size num_gpus n_gpus n_gpu ngpus gpus "
            "data_parallel_size dp_size dp_world_size num_processes",
        ),
    ),
    "learning_rate": Role(
        "learning rate",
        "lr_column",
        (
            "lr learning_rate learningrate max_lr peak_lr base_lr init_lr initial_lr "
            "max_learning_rate peak_learning_rate base_learning_rate",
        ),
    ),
    "loss": Role(
        "loss",
        "loss_column",
        (
            "val_loss valid_loss validation_loss eval_loss evaluation_loss final_val_loss "
            "final_eval_loss loss_val loss_eval lm_loss_validation val_bpb validation_epoch_loss "
            "eval_languagecrossentropy eval_crossentropy",
            "test_loss",
            "loss final_loss smooth_loss smoothed_loss value objective_value",
            "train_loss training_loss final_train_loss loss_train_total lm_loss",
        ),
    ),
    "eps": Role("value of epsilon", "eps_column", ("eps epsilon adam_eps adam_epsilon",)),
    "seed": Role("seed", "seed_column", ("seed random_seed rng_seed",)),
    "steps": Role(
        "number of steps",
        "steps_column",
        (
            "steps step num_steps n_steps total_steps train_steps training_steps optimizer_steps "
            "steps_to_target iterations num_iterations iters updates",
        ),
    ),
    "group": Role(
        "group",
        "group_column",
        ("model model_name model_size size n n_params num_params params parameters group",),
    ),
}

#: What tools put before the name that a user gave to a setting, or to a result.
_PREFIXES = re.compile(
    r"(config|params|hparams|hparam|hyperparameters|args|summary|optimizer|optim|run|user_attrs|"
    r"user_config|data|metrics|metric|train_loop_config|train|training|trainer)_"
)
#: Before a learning rate, they say that it was logged on the way: a schedule's last, not its peak.
_LOGGED = ("summary_", "metrics_", "metric_", "train_", "training_")
#: What W&B puts after it.
_SUFFIXES = re.compile(r"_(value|last)$")


def candidates(role: str, names: Sequence[str]) -> list[str]:
    """Return the names that may be meant by a role, such as ``params_lr`` or ``Batch Size``."""
    return [name for name in names if _rank(role, name) is not None]


def best_candidates(role: str, names: Sequence[str]) -> list[str]:
    """Return those of the candidates that no other has precedence over."""
    ranks = {name: rank for name in names if (rank := _rank(role, name)) is not None}
    return [name for name in names if name in ranks and ranks[name] == min(ranks.values())]


def _rank(role: str, name: str) -> int | None:
    """Say how good a name is, 0 for the best, or None where it is none of the role's."""
    # DVC writes the file before a colon.
    plain = re.sub(r"[^a-z0-9]+", "_", name.rpartition(":")[2].lower()).strip("_")
    logged = False
    for _ in range(plain.count("_") + 1):
        for rank, known in enumerate(ROLES[role].names):
            if plain in known.split():
                return 2 * rank + logged
        shorter = _PREFIXES.sub("", plain, count=1) if _PREFIXES.match(plain) else plain
        if shorter == plain:
            shorter = _SUFFIXES.sub("", plain)
        logged = logged or (role != "loss" and plain.startswith(_LOGGED))
        plain = shorter
    return None


def is_whole(name: str) -> bool:
    """Whether a column of batch sizes is by its name what one step of the optimizer sees."""
    rank = _rank("batch_size", name)
    return rank is not None and rank < 2


_UNITS = {
    "tokens": r"tok(en)?s?",
    "sequences": r"seq(uence)?s?",
    "examples": r"(example|sample|image)s?",
}


#: A factor that makes tokens of sequences.
_LENGTH = re.compile(r"seq(uence)?_?len(gth)?|block_size|context_len(gth)?")


def unit_of(name: str) -> str | None:
    """Return the unit of a batch size that its column's name tells, or None."""
    if _LENGTH.search(name.lower()):
        return "tokens"
    words = re.split(r"[^a-z]+", name.lower())
    for unit, pattern in _UNITS.items():
        if any(re.fullmatch(pattern, word) for word in words):
            return unit
    return None
