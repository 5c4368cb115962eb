"""Calls of `lr` that nobody would make, drawn from a seed, and what must never come of one.

`make fuzz` makes 10,000 of them and looks at the clock; a test makes 1,000 and does not. The
commands and their options are those that `lr` has: what is added is tried without being named here.

    python tests/fuzz/fuzz.py --calls 10000 --seed 1
"""

import argparse
import gzip
import io
import json
import os
import random
import re
import shlex
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import typer
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from scaling.cli.main import main, make_app

from scaling import GradientPopulation, SecondMoments

optuna.logging.set_verbosity(optuna.logging.WARNING)

#: What answers must not contain: control characters, and numbers that are none (in quotes: names).
_STEERS = re.compile(r"[^\n\x20-\x7e\x80-\uffff]|[\x7f-\x9f]|[\u202a-\u202e\u2066-\u2069]")
_NO_NUMBER = re.compile(r"(?<![\w'\"])[-+.]?(?:nan|inf)(?![\w'\"])", re.IGNORECASE)
_LONGEST_ERROR = 5000
_SLOW = 5.0
#: Seconds on the clock, after which a call is given up, and said to be wrong.
_LONGEST_CALL = 300

_COMMON = ["1", "2", "16", "64", "256", "1024", "4096", "0.5", "0.9", "0.999", "1e-3", "3e-4", "4k"]
_ODD = [
    *("0", "-1", "-0", "1e-300", "1e300", "1e-50", "1e50", "1e-40", "1e40", "5e-324", "1e999"),
    *("nan", "inf", "-inf", "NaN", "1e3..1e4", "1e4..1e3", "..", "1..", "1e-50..1e50", "32x8"),
    *("32x", "x", "4kx2", "1.2B", "1T", "7G", "1,024", "0,5", "1_000", "0x10", "١٢", "true"),
    *(
        "",
        " ",
        "\x1b[31mred",
        "\x9b2J",
        "a\u202eb",
        "\udcff",
        "a" * 3000,
        "9" * 400,
        "=1+1",
        "[/x]",
    ),
    *("$\\frac{$", "{}", "%s", "../..", "-", "--", "--json", "0.9999999999999999", "1e-17", "1e9"),
]
#: What is accepted, and as far as arithmetic goes.
_EXTREME = ["1e-50", "1e50", "1e-40", "1e40", "1e-17", "1e17", "1e-9", "1e9", "1e-8..1e8"]
_DECAY_RATES = ["0", "0.5", "0.9", "0.95", "0.999", "0.9999999999999999", "1e-17", "1"]
_WHOLE = ["1", "2", "3", "16", "200", "1000000"]
_NAMES = ["N", "D", "model", "batch_size", "lr", "learning_rate", "loss", "eps", "seed", "bs", "x"]
_WORDS = {
    "MODEL": ["sgd", "sign", "sign-isru", "clip", "article", "mean-field", "exact-softsign"],
    "NAME": ["sgd", "sign", "mean-field"],
    "NAME|FILE.json": ["uniform", "gaussian"],
    "RULE": ["law", "sqrt-sde", "half-life", "weight-decay", "law+half-life", "law+law", "+"],
    "TYPE": ["float32", "bfloat16", "float16"],
    "RECIPE": [
        "lr=3e-4,batch_size=256",
        "lr=3e-4,batch_size=32x8,beta2=0.95,weight_decay=0.1,eps=1e-6",
        "lr=1e-50,batch_size=1e50,beta1=0",
        "lr=1,batch_size=1,beta1=0.9999999999999999,weight_decay=1e50",
    ],
    "CONDITION": ["D == 1e10", "seed < 3 and N > 1", "model == '85M'", "batch_size >= 4k", "and"],
    "COLUMN": _NAMES,
    "[ID]...": ["B9", "T-A1", "A1.decrease", "Z9"],
    "CONFIG": ["nothing", "/dev/zero"],
}
_PLACES = [
    "out.json",
    "out.csv",
    "out.png",
    "out.svg",
    "/dev/stdout",
    "/dev/full",
    ".",
    "no/out.csv",
]
_OF_NAME = dict.fromkeys(("save", "out", "plot"), _PLACES)
_FILE_OF = {"law": "optima.json", "prior": "prior.json", "second_moments": "moments.json"}
_FILES = ["/dev/zero", "/dev/null", "/dev/stdin", ".", "none.csv", "a\x1b[2J.csv", "n" * 300]

#: Calls that answer, by command; odd values come on top. ``FILE:`` stands before files, which may
#: be damaged. Every option of every command is in one.
_TUNED = ["--ref-lr", "3e-4", "--ref-batch-size", "256"]
_LAWS = [
    _TUNED,
    [*_TUNED, "--noise-scale", "4k"],
    [*_TUNED, "--noise-scale", "1k..8k", "--prior", "FILE:prior.json"],
    [*_TUNED, "--eps", "1e-6", "--ref-eps", "1e-7", "--second-moments", "FILE:moments.json"],
    ["--points", "FILE:marek_adam_1d.csv"],
    ["--points", "FILE:marek_adam_1d.csv", "--noise-scale", "4k"],
    ["--law", "FILE:optima.json"],
    ["--law", "FILE:joint.json", "--covariate", "N=1e9"],
]
_MODEL = [*_TUNED, "--noise-scale", "4k", "--moments"]
#: Laws that know no interval.
_MODELS = [
    [*_MODEL, "exact-adam", "--beta1", "0.5", "--beta2", "0.95", "--ref-beta2", "0.9"],
    [*_MODEL, "exact-adam", "--step", "100", "--beta1", "0"],
    [*_MODEL, "mean-field", "--horizon", "1", "--curvature-ratio", "0.5", "--ref-beta1", "0.5"],
    [*_MODEL, "mean-field-outside", "--eps", "1e-6", "--grad-rms", "1e-6"],
    [*_TUNED, "--population", "FILE:sketch.json"],
    ["--law", "FILE:exact.json"],
    ["--law", "FILE:batch-size-law.json"],
]
_RECIPE = ["--batch-size", "1024", "--from"]
_TARGET = ["--target-batch-size", "4096"]
_GRID = ["--batch-size", "16", "--batch-size", "64", "--batch-size", "512"]
_TRUTH = ["--lr", "3e-4", "--critical-batch-size", "200", "--noise-batch-size", "2000", *_GRID]
_COLUMNS = ["--batch-size-column", "batch_size", "--lr-column", "lr", "--loss-column", "loss"]
BASES: dict[str, list[list[str]]] = {
    "query": [
        *([*law, "--batch-size", "512"] for law in [*_LAWS, *_MODELS]),
        [*_TUNED, "--batch-size", "512", "--level", "0.5", "--save", "out.json", "--json"],
        [*_TUNED, "--batch-size", "512", "--plot", "out.png"],
    ],
    "compare": [
        *_LAWS,
        *_MODELS,
        [*_TUNED, "--min-batch-size", "16", "--max-batch-size", "1k", "--alpha", "0.6", "--json"],
        [*_TUNED, "--csv"],
    ],
    "sweep": [
        *([*law, "--batch-size", "512", "--engine", "optuna"] for law in _LAWS),
        [*_TUNED, *_GRID, "--engine", "wandb", "--level", "0.8"],
        [*_TUNED, *_GRID, "--engine", "ray"],
        [*_TUNED, *_GRID, "--engine", "hydra", "--out", "out.csv", "--force"],
    ],
    "recipe": [
        *([*_RECIPE, recipe] for recipe in _WORDS["RECIPE"][:2]),
        [*_RECIPE, _WORDS["RECIPE"][1], "--rule", "law+half-life", "--eps", "1e-6", "--json"],
        [*_RECIPE, _WORDS["RECIPE"][0], "--noise-scale", "4k", "--moments", "sign"],
        [*_RECIPE, _WORDS["RECIPE"][0], "--points", "FILE:marek_adam_1d.csv"],
    ],
    "fit": [
        ["FILE:small.csv"],
        ["FILE:small.csv", *_COLUMNS, "--seed-column", "seed", "--where", "seed < 3"],
        ["FILE:joint.csv", "--covariate", "N", "--eps-column", "eps"],
        ["FILE:records.json", "--noise-scale", "4k", "--prior", "FILE:prior.json", "--json"],
        ["FILE:study.log", "--study", "mine", "--save", "out.json", "--level", "0.5"],
        ["FILE:runs.csv", "--batch-size-column", "per_device_batch_size*accumulation*8"],
        ["FILE:small.csv", "--plot", "out.png"],
        ["trainings"],
    ],
    "plan": [
        *([*law, *_TARGET, "--budget", "2"] for law in [*_LAWS[:2], *_LAWS[4:]]),
        ["--law", "FILE:small.csv", *_TARGET, *_GRID, "--cost", "examples", "--least", "1"],
        ["--law", "FILE:joint.csv", *_TARGET, "--covariate", "N=1e10", "--eps", "1e-8", "--json"],
        ["--law", "trainings", *_TARGET, "--out", "out.csv", "--budget", "3", "--at-once", "2"],
        [*_TUNED, *_TARGET, "--enqueue", "sqlite:///plan.db", "--study", "mine"],
    ],
    "tradeoff": [
        ["FILE:zhang_steps_to_target.csv", "--batch-size", "512", "--csv"],
        ["FILE:groups.csv", "--batch-size", "512", "--group-column", "model", "--json"],
        ["FILE:groups.csv", "--where", "batch_size >= 64"],
        [
            *("FILE:sizes.csv", "--batch-size-column", "batch_size", "--steps-column", "steps"),
            *("--group-column", "N", "--covariate", "N", "--at", "N=1e9"),
        ],
    ],
    "simulate": [
        _TRUTH,
        [
            *(*_TRUTH, "--covariate", "N=1e8", "--covariate", "N=1e9", "--lr-exponent", "N=-0.2"),
            *("--critical-exponent", "N=0.3", "--learning-rate", "1e-3", "--repetitions", "2"),
            *("--noise", "0.01", "--curvature", "0.02", "--departure", "0.1", "--missing", "0.1"),
            *("--seed", "3", "--out", "out.csv"),
        ],
    ],
    "doctor": [
        ["--lr", "3e-4", "--batch-size", "512", "--eps", "1e-8", "--beta2", "0.95"],
        [
            *("FILE:adam.safetensors", "--lr", "3e-4", "--batch-size", "512", "--beta1", "0.8"),
            *(
                "--beta2",
                "0.9",
                "--noise-scale",
                "4k",
                "--accumulation",
                "4",
                "--precision",
                "bfloat16",
                "--json",
            ),
        ],
    ],
    "measure": [
        ["FILE:adam.safetensors", "--eps", "1e-8", "--beta2", "0.95", "--step", "100"],
        [
            *("FILE:adam.safetensors", "--beta2", "0.9", "--step", "10", "--save", "out.json"),
            *("--batch-size", "512", "--json"),
        ],
    ],
    "derive": [["A1"], ["B9", "--format", "latex"], ["A1", "--check"], ["A1", "--json"]],
    "plot": [["beta", "--out", "out.svg"], ["mean-update", "--dpi", "50"], ["--list"]],
    "lab list": [[]],
}
#: A call that is refused, lest one trains for a week by chance.
_REFUSED = {"lab run": [["nothing", "--out", "out.csv", "--jobs", "2", "--backend", "loky"]]}
#: How often each is called; the slow ones less.
_WEIGHTS = {"query": 30, "fit": 12, "plan": 12, "compare": 12, "sweep": 12, "recipe": 12}
_SELDOM = {"plot": 1, "derive": 1, "lab list": 0.5, "lab run": 0.5}


@dataclass(frozen=True)
class Call:
    """A call, and what is wrong with what came of it (nothing, if all is well)."""

    arguments: list[str]
    status: int
    seconds: float
    wrong: str

    def __str__(self) -> str:
        return f"{self.wrong}\n    lr {shlex.join(self.arguments)}"


class Fuzzer:
    """Draws calls and makes them, in a folder of files that are damaged as it goes."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.folder = folder
        self.tree = commands()
        write_sound_files(folder)
        self.sound = sorted(path for path in folder.iterdir() if path.is_file())
        self.count = 0

    def calls(self, number: int, only: Collection[str] = ()) -> Iterator[Call]:
        """Make so many calls, of these commands only if any are named."""
        names = sorted(only or self.tree)
        weights = [_WEIGHTS.get(name, _SELDOM.get(name, 4)) for name in names]
        with chdir(self.folder):
            for _ in range(number):
                (name,) = self.random.choices(names, weights)
                yield make([*name.split(), *self.arguments(name)])

    def arguments(self, name: str) -> list[str]:
        """Draw the arguments of a command."""
        base = self.random.choice((BASES | _REFUSED).get(name, [[]]))
        found = [self.file(text[5:]) if text.startswith("FILE:") else text for text in base]
        if name != "derive" and self.random.random() < 0.03:
            found = []
        options = self.tree[name].params
        if name in {"derive", "plot"}:  # all derivations, or figures, take their time
            options = [option for option in options if not getattr(option, "is_flag", False)]
        for _ in range(self.random.choice([0, 1, 1, 2, 3])):
            if not options:
                break
            given = [option for option in options if set(option.opts) & set(found)]
            is_given = given and self.random.random() < 0.6  # what is added is mostly refused
            name_and_value = self.option(self.random.choice(given if is_given else options))
            if name_and_value[0] in found[:-1] and self.random.random() < 0.9:
                at = found.index(name_and_value[0])  # in its place, for most take one value
                found[at : at + 2] = name_and_value
            else:
                found += name_and_value
        if found and self.random.random() < 0.1:
            at = self.random.randrange(len(found))
            found[at] = self.random.choice(_ODD)
        if found and self.random.random() < 0.05:
            self.random.shuffle(found)
        return found

    def option(self, option: Any) -> list[str]:
        """Draw an option with its value."""
        if getattr(option, "is_flag", False):
            return [option.opts[0]]
        named = option.opts[:1] if option.param_type_name == "option" else []
        return [*named, self.value(option)]

    def value(self, option: Any) -> str:
        """Draw a value for an option."""
        kind, choices = option.metavar or "", getattr(option.type, "choices", None)
        words = _OF_NAME.get(option.name) or _WORDS.get(kind) or [*(choices or ())]
        if self.random.random() < 0.12:
            return self.random.choice(_ODD)
        if "int" in option.type.name:
            return self.random.choice(_WHOLE)
        if "beta" in option.name:
            return self.random.choice(_DECAY_RATES)
        if words:
            return self.random.choice(words)
        if "FILE" in kind or kind in {"RUNS", "CHECKPOINT", "[CHECKPOINT]"}:
            return self.file(_FILE_OF.get(option.name, "small.csv"), other=0.4)
        name = f"{self.random.choice(_NAMES)}=" if kind.startswith("NAME=") else ""
        return name + self.number()

    def number(self) -> str:
        """Draw a number."""
        (source,) = self.random.choices([_COMMON, _EXTREME, _ODD], [70, 20, 10])
        return self.random.choice(source)

    def file(self, name: str, other: float = 0.2) -> str:
        """Draw a file for this one: sound, damaged, another, or none at all."""
        if self.random.random() < 0.08:
            return self.random.choice(_FILES)
        path = self.folder / name
        if self.random.random() < other:
            alike = [sound for sound in self.sound if sound.suffix == path.suffix]
            path = self.random.choice(self.sound if self.random.random() < 0.2 else alike)
        if self.random.random() < 0.5:
            return path.name
        data = path.read_bytes()
        for _ in range(self.random.choice([1, 1, 2, 4])):
            data = self.damaged(data)
        self.count += 1
        damaged = self.folder / f"damaged{self.count % 20}{path.suffix}"
        damaged.write_bytes(gzip.compress(data) if self.random.random() < 0.05 else data)
        return damaged.name

    def damaged(self, data: bytes) -> bytes:
        """Damage a file: another number, name, character, or half of it."""
        how = self.random.randrange(7)
        if how < 3:
            numbers = list(re.finditer(rb"-?\b\d[\d.]*(?:e[-+]?\d+)?", data))
            if numbers:
                found = self.random.choice(numbers)
                odd = self.random.choice([*_ODD, *_COMMON]).encode("utf-8", "surrogateescape")
                return data[: found.start()] + odd + data[found.end() :]
        if how == 3:
            words = list(re.finditer(rb"[A-Za-z_]+", data))
            if words:
                found = self.random.choice(words[:40])
                odd = self.random.choice([*_ODD, *_NAMES]).encode("utf-8", "surrogateescape")
                return data[: found.start()] + odd + data[found.end() :]
        if how == 4:
            return data[: self.random.randrange(len(data) + 1)]
        if how == 5:
            lines = data.splitlines(keepends=True)
            return b"".join(self.random.choices(lines, k=len(lines))) if lines else data
        at = self.random.randrange(len(data) + 1)
        return data[:at] + bytes([self.random.randrange(256)]) + data[at + 1 :]


class _TooLongError(BaseException):
    """A call went on and on; no handler of errors is to catch this."""


def _give_up(*_: Any) -> None:
    raise _TooLongError


def make(arguments: list[str]) -> Call:
    """Make a call in this process, by the entry that the command has."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    plain = {name: text for name, text in os.environ.items() if "COLOR" not in name}
    began = time.process_time()  # a machine that does other things as well stands still at times
    wrong, status = "", -1
    with (
        patch.dict(os.environ, plain | {"COLUMNS": "80"}, clear=True),
        patch("sys.argv", ["lr", *arguments]),
        patch("sys.stdin", io.StringIO("")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(_LONGEST_CALL)
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        except BaseException:  # noqa: BLE001 - whatever it is, a user would see it
            wrong, status = f"traceback:\n{traceback.format_exc(limit=-4)}", 70
        finally:
            signal.alarm(0)
    seconds = time.process_time() - began
    texts = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err)]
    return Call(arguments, status, seconds, wrong or _wrong(arguments, status, *texts))


def _wrong(arguments: list[str], status: int, out: str, err: str) -> str:
    """Say what is wrong with an answer."""
    is_answer = "Usage" not in out and arguments[0] != "derive"
    steering = [found[0] for text in (out, err) if (found := _STEERS.search(text))]
    # In runs that `lr simulate` makes up, nan is the loss of one that diverged.
    no_number = is_answer and arguments[0] != "simulate" and _NO_NUMBER.search(out)
    if no_number and Path(no_number[0]).is_file():  # which an earlier call may have saved
        no_number = None
    one_line = not err or (err.startswith("lr: ") and err.count("\n") == 1)
    left = [name for name in os.listdir() if name.endswith(".part")]
    found = {
        f"exit status {status}": status not in {0, 1, 2},
        f"control characters {steering}": steering,
        f"status {status}, and an answer": status and out and is_answer,
        f"an error that is not one line: {err[:300]!r}": status and not one_line,
        f"an error of {len(err)} characters": len(err) > _LONGEST_ERROR,
        f"an answer with {no_number and no_number[0]!r}": no_number,
        f"left over: {left}": left,
    }
    return "; ".join(what for what, wrong in found.items() if wrong)


def commands() -> dict[str, Any]:
    """Every command, by what one types to reach it; the figures of `plot` count as one."""
    return {" ".join(path): one for path, one in _commands(typer.main.get_command(make_app()), [])}


def _commands(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    inner = {} if path == ["plot"] else getattr(command, "commands", {})
    for name, one in inner.items():
        yield from _commands(one, [*path, name])
    if not inner:
        yield path, command


_ROWS = [
    (batch, rate * batch**0.5, 2 + (k - 2) ** 2 * 0.01, k % 2)
    for batch in (16, 64, 256, 1024)
    for k, rate in enumerate((1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4))
]
_MADE = {
    "small.csv": "batch_size,lr,loss,seed\n"
    + "".join(",".join(map(str, row)) + "\n" for row in _ROWS),
    "joint.csv": "batch_size,lr,loss,seed,N,eps\n"
    + "".join(
        f"{batch},{rate * (size / 1e8) ** -0.2},{loss},{seed},{size},{eps}\n"
        for batch, rate, loss, seed in _ROWS[5:]
        for size, eps in ((1e8, 1e-8), (1e9, 1e-8), (1e9, 1e-6))
    ),
    "runs.csv": "per_device_batch_size,accumulation,lr,loss\n"
    + "".join(f"{batch // 16},2,{rate},{loss}\n" for batch, rate, loss, _ in _ROWS),
    "records.json": json.dumps(
        [{"bs": b, "config": {"lr": r}, "loss": x, "seed": n} for b, r, x, n in _ROWS]
    ),
    "prior.json": json.dumps({"scales": {"corner": [0, 4]}}),
    "hostile.csv": 'batch_size,learning_rate,"\x1b]0;x\x07","=1+1"\n16,1e-3,\x1b[2J,=1+1\n'
    "64,2e-3,[/red],@x\n256,3e-3,a,b\n1024,2e-3,c,d\n",
    "groups.csv": "model,batch_size,steps\n"
    + "".join(
        f"{name},{batch},{1000 * (1 + 500 / batch) * (1 + 0.01 * (batch % 7)):.0f}\n"
        for name in ("\x1b[31m85M", "[bold]1B", "=1+1", "m" * 2000)
        for batch in (16, 64, 256, 1024)
    ),
    "sizes.csv": "N,batch_size,steps\n"
    + "".join(
        f"{size},{batch},{1000 * (1 + size**0.3 / batch):.0f}\n"
        for size in (1e7, 1e8, 1e9)
        for batch in (16, 64, 256, 1024)
    ),
    **{
        f"trainings/{i}/{name}": json.dumps(content)
        for i, (batch, rate, loss, _) in enumerate(_ROWS)
        for name, content in (
            ("config.json", {"batch_size": batch, "lr": rate}),
            ("metrics.json", {"val_loss": loss}),
        )
    },
}


def write_sound_files(folder: Path) -> None:
    """Write files that can be read: what is shipped, old laws, and what tools would write."""
    for name in ("marek_adam_1d.csv", "zhang_steps_to_target.csv", "digits_sweep.csv"):
        (folder / name).write_bytes((files("scaling.data") / name).read_bytes())
    for law in sorted((Path(__file__).parents[1] / "golden" / "laws").glob("*.json")):
        (folder / law.name).write_bytes(law.read_bytes())
    for name, text in (_MADE | _written()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


@cache
def _written() -> dict[str, bytes | str]:
    """What is written by the tools themselves, once."""
    random = np.random.default_rng(0)
    gradients, roots = random.normal(size=1000), random.exponential(size=1000)
    moments = (roots**2 * 1e-12).astype("<f4").tobytes()
    entry = {"dtype": "F32", "shape": [1000], "data_offsets": [0, len(moments)]}
    count = {"dtype": "F32", "shape": [], "data_offsets": [len(moments), len(moments) + 4]}
    header = json.dumps({"state.0.exp_avg_sq": entry, "state.0.step": count}).encode()
    data = len(header).to_bytes(8, "little") + header + moments + struct.pack("<f", 100)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "study.log"
        storage = JournalStorage(JournalFileBackend(str(log)))
        study = optuna.create_study(storage=storage, study_name="mine")
        for batch, rate, loss, _ in _ROWS:
            settings = {"batch_size": batch, "lr": rate}
            study.add_trial(optuna.create_trial(value=loss, user_attrs=settings))
        return {
            "study.log": log.read_bytes(),
            "adam.safetensors": data,
            "moments.json": SecondMoments.from_arrays(roots**2 * 1e-12).to_json(),
            "sketch.json": GradientPopulation.from_arrays(gradients, roots * 1e3).to_json(),
        }


def run(number: int, seed: int, only: Collection[str] = ()) -> Iterator[Call]:
    """Make calls from a seed, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        yield from Fuzzer(seed, Path(folder)).calls(number, only)


def _report() -> int:
    """Make the calls that were asked for, print what was wrong, and count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="commands (default: all)")
    asked = parser.parse_args()
    found: dict[str, list[Call]] = {}
    bad = 0
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # /dev/stdin is among the files that are read
    for call in run(asked.calls, asked.seed, asked.only):
        found.setdefault(call.arguments[0], []).append(call)
        if call.wrong or call.seconds > _SLOW:
            bad += 1
            sys.stdout.write(f"{call.seconds:.1f} s: {call}\n")
            sys.stdout.flush()
    for name, calls in sorted(found.items()):
        counts = Counter(call.status for call in calls)
        said = ", ".join(f"{counts[status]} with status {status}" for status in sorted(counts))
        longest = max(call.seconds for call in calls)
        sys.stdout.write(f"{name}: {len(calls)} calls, {said}; the longest took {longest:.1f} s\n")
    sys.stdout.write(f"bad: {bad}\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(_report())
