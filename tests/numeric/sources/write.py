"""Write the sweep of `SWEEP` with the real tools, as text, into written.json.

    python tests/numeric/sources/write.py mlflow dvc transformers lightning

Each tool is needed only for its own name; pip install mlflow-skinny sqlalchemy alembic,
dvc dvclive, transformers, lightning. The tests read what is kept and need none of them.
"""

import contextlib
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).with_name("written.json")
SWEEP = [
    (batch_size, lr, round(3 + 0.1 * math.log2(lr / (1e-3 * (batch_size / 64) ** 0.5)) ** 2, 6))
    for batch_size in (64, 256)
    for lr in (1e-3, 4e-3)
]


def texts(folder, *patterns):
    """Texts of files by their path in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text().replace(str(folder), "/runs")
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def mlflow(folder):
    import mlflow

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    for uri in (f"file:{folder}/mlruns", f"sqlite:///{folder}/mlflow.db"):
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("sweep")
        for batch_size, lr, loss in SWEEP:
            with mlflow.start_run():
                mlflow.log_params({"batch_size": batch_size, "learning_rate": lr})
                for step, early in enumerate((1.0, 0.0)):
                    mlflow.log_metric("val_loss", loss + early, step=step)
                    mlflow.log_metric("train_loss", loss + early - 0.1, step=step)
        with contextlib.suppress(RuntimeError), mlflow.start_run(run_name="crash"):
            mlflow.log_params({"batch_size": 64, "learning_rate": 2e-3})
            mlflow.log_metric("val_loss", 9.0)
            raise RuntimeError
        with contextlib.suppress(RuntimeError), mlflow.start_run(run_name="nan"):
            mlflow.log_params({"batch_size": 64, "learning_rate": 0.1})
            mlflow.log_metric("val_loss", math.nan)
            raise RuntimeError
    frame = mlflow.search_runs()
    with sqlite3.connect(folder / "mlflow.db") as database:
        kept = ("experiments", "runs", "params", "latest_metrics")
        dump = [x for x in database.iterdump() if x.split('"')[1:2] in [[name] for name in kept]]
    frame = frame.filter(regex="^(?!tags)")
    patterns = ("meta.yaml", "*/meta.yaml", "*/params/*", "*/metrics/*")
    return texts(folder, *(f"mlruns/*/{pattern}" for pattern in patterns)) | {
        "mlflow.sql": "\n".join(dump).replace(str(folder), "/runs"),
        "search_runs.csv": frame.to_csv(index=False).replace(str(folder), "/runs"),
    }


def dvc(folder):
    def sh(command):
        subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    sh("git init -q . && git config user.email a@b.c && git config user.name a && dvc init -q")
    (folder / "params.yaml").write_text("train:\n  lr: 0.002\n  batch_size: 64\n")
    (folder / "train.py").write_text(
        "import math, yaml\nfrom dvclive import Live\n"
        "p = yaml.safe_load(open('params.yaml'))['train']\n"
        "with Live(report=None, save_dvc_exp=False) as live:\n"
        "    x = math.log2(p['lr'] / (1e-3 * (p['batch_size'] / 64) ** 0.5))\n"
        "    live.log_metric('val/loss', round(3 + 0.1 * x ** 2, 6))\n"
        "    live.next_step()\n"
    )
    sh("dvc stage add -q -n train -d train.py -p train.lr,train.batch_size -M dvclive/metrics.json "
       f"'{sys.executable} train.py'")  # fmt: skip
    sh("git add -A && git commit -qm first")
    for batch_size, lr, _ in SWEEP:
        sh(f"dvc exp run -q -S train.lr={lr} -S train.batch_size={batch_size}")
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "show", "--csv"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return {"exp_show.csv": ran.stdout.decode()} | texts(
        folder, "dvclive/metrics.json", "params.yaml"
    )


def transformers(folder):
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

    class Model(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self, config):
            super().__init__(config)
            self.layer = torch.nn.Linear(4, 1)
            self.post_init()

        def forward(self, x, labels=None):
            found = self.layer(x).squeeze(-1)
            return {"loss": ((found - labels) ** 2).mean() + 3, "logits": found}

    torch.manual_seed(0)
    data = [{"x": torch.randn(4), "labels": torch.tensor(1.0)} for _ in range(64)]
    for number, (per_device, accumulation, lr) in enumerate(
        [(8, 1, 1e-3), (8, 4, 1e-3), (8, 4, 2e-3)]
    ):
        arguments = TrainingArguments(
            str(folder / f"run-{number}"), max_steps=4, logging_steps=1, eval_steps=2, save_steps=2,
            eval_strategy="steps", per_device_train_batch_size=per_device, learning_rate=lr,
            gradient_accumulation_steps=accumulation, report_to=[], use_cpu=True,
        )  # fmt: skip
        trainer = Trainer(
            Model(PretrainedConfig()), arguments, train_dataset=data, eval_dataset=data
        )
        trainer.train()
        trainer.save_state()
        trainer.create_model_card()
    return texts(folder, "run-*/README.md", "run-*/trainer_state.json",
                 "run-*/checkpoint-*/trainer_state.json")  # fmt: skip


def lightning(folder):
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    class Model(LightningModule):
        def __init__(self, lr, batch_size, loss):  # noqa: ARG002 - saved by their names
            super().__init__()
            self.save_hyperparameters("lr", "batch_size")
            self.layer, self.loss = torch.nn.Linear(1, 1), loss

        def training_step(self, batch, _):
            self.log("train_loss", self.loss - 0.1, on_epoch=True, on_step=False)
            return self.layer(batch[0]).mean()

        def validation_step(self, _batch, _):
            self.log("val_loss", self.loss)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 1)))
    for batch_size, lr, loss in SWEEP:
        quiet = ("enable_progress_bar", "enable_checkpointing", "enable_model_summary")
        trainer = Trainer(max_epochs=1, logger=CSVLogger(folder), **dict.fromkeys(quiet, False))
        trainer.fit(Model(lr, batch_size, loss), data, data)
    return texts(folder, "**/metrics.csv", "**/hparams.yaml")


if __name__ == "__main__":
    written = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for tool in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            written[tool] = globals()[tool](Path(name))
    KEPT.write_text(json.dumps(dict(sorted(written.items())), indent=1) + "\n")
