"""Run the pages of notebooks/guides as a reader would: commands, snippets, and what they print."""

import contextlib
import doctest
import io
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scaling import save_law

from ..numeric.sources.logs import nanogpt

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "notebooks" / "guides"
_BLOCK = re.compile(r"^```(\w+) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_page(page, folder, lr, law, names=None):
    """Run the blocks of a page, in order and in a folder; return what the snippets define."""
    _prepare(folder, law)
    names = {"__name__": "page"} | (names or {})
    printed = None
    for language, needs, text in _BLOCK.findall(page.read_text()):
        if needs:
            pytest.importorskip(needs, reason=f"needs the extra {needs}")
        if language == "console":
            command, wanted = text.split("\n", 1)
            ran = lr(*shlex.split(command.removeprefix("$ lr ")))
            assert ran.status == 0, ran.err
            check(wanted, ran.out, page)
        elif language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, str(page), "exec"), names)  # noqa: S102 - our own page
            printed = out.getvalue()
        elif language == "output":
            check(text, printed, page)
        else:
            assert language == "sh", f"{page}: {language} is not run"
            _run_in_shell(text, folder)
    return names


def check(wanted, found, page):
    """Compare as doctests do; `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(wanted, found, flags), f"{page}:\n{found}"


def _prepare(folder, law):
    shutil.copy(ROOT / "scaling" / "data" / "marek_adam_1d.csv", folder / "optima.csv")
    shutil.copy(PAGES / "many_machines.py", folder)
    save_law(law, folder / "law.json")
    _put_runs(folder, law)


def _put_runs(folder, law):
    """A sweep around the law, as W&B, MLflow, the Trainer of Hugging Face and nanoGPT keep it."""
    table = ["Name,State,batch_size,lr,train/loss,eval/loss"]
    texts = {"mlruns/1/meta.yaml": "name: sweep\nexperiment_id: '1'\nlifecycle_stage: active\n"}
    for size in (16, 64, 256, 1024):
        for octaves in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5):
            lr = float(f"{law.learning_rate(size) * 2**octaves:.3g}")
            loss = round(3 + 0.1 * math.log2(lr / law.learning_rate(size)) ** 2, 4)
            run = f"b{size}-lr{lr}"
            table.append(f"{run},finished,{size},{lr},{loss - 0.1:.4f},{loss}")
            mlflow = {
                "meta.yaml": f"run_name: {run}\nstatus: 3\nlifecycle_stage: active\n",
                "params/batch_size": f"{size}",
                "params/lr": f"{lr}",
                "metrics/val_loss": f"1700000000000 {loss + 1} 0\n1700000000001 {loss} 100\n",
            }
            texts |= {f"mlruns/1/{run}/{name}": text for name, text in mlflow.items()}
            log = [{"learning_rate": lr, "loss": loss, "step": 1}, {"eval_loss": loss, "step": 9}]
            state = {"train_batch_size": 8, "global_step": 9, "max_steps": 9, "log_history": log}
            texts[f"output/{run}/trainer_state.json"] = json.dumps(state)
            texts[f"output/{run}/README.md"] = (
                "The following hyperparameters were used during training:\n"
                f"- learning_rate: {lr}\n- train_batch_size: 8\n- num_devices: 2\n"
                f"- gradient_accumulation_steps: {size // 16}\n- total_train_batch_size: {size}\n"
            )
            texts[f"out/{run}.log"] = nanogpt(size, lr, loss)
    texts["wandb.csv"] = "\n".join([*table, ""])
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _run_in_shell(text, folder):
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = subprocess.run(
        text,
        shell=True,
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
