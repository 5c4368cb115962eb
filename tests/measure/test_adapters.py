"""The callbacks in the training loops that they are for."""

import copy

import pytest

pytest.importorskip("torch", reason="needs the extra torch")

import torch

from scaling import SecondMoments
from scaling.errors import InputError
from scaling.measure import NoiseScale, lightning_callback, read_checkpoint, trainer_callback

from .trainings import data, loss_of, network

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),  # theirs
]

SIZE, ACCUMULATION, STEPS, RATE = 16, 4, 16, 1e-3


class Examples(torch.utils.data.Dataset):
    """The examples in the order in which all loops are given them."""

    def __init__(self):
        self.x, self.y = data()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "labels": self.y[i]}


def loader():
    return torch.utils.data.DataLoader(Examples(), batch_size=SIZE)


def epochs(number):
    for _ in range(number):
        yield from loader()


def plain(clip=None):
    """The plain loop: 16 steps of 4 micro-batches, in two epochs."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    monitor = NoiseScale(model, SIZE, optimizer=optimizer)
    for i, batch in enumerate(epochs(2), 1):
        (loss_of(model, (batch["x"], batch["labels"])) / ACCUMULATION).backward()
        monitor.micro_batch()
        if i % ACCUMULATION == 0:
            monitor.step()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()
    return model, monitor


def assert_same(found, wanted, rel=1e-4):
    for metric in ("l2", "adam"):
        a, b = found.estimate(metric), wanted.estimate(metric)
        assert a.steps == b.steps
        assert a.trace == pytest.approx(b.trace, rel=rel)
        assert a.gradient_square == pytest.approx(b.gradient_square, rel=rel, abs=1e-4 * b.trace)


@pytest.fixture(scope="module")
def wanted():
    return plain(clip=0.5)


def assert_trained_alike(model, other):
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_measuring_does_not_change_training():
    model, examples = network(), epochs(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    for i, batch in enumerate(examples, 1):
        (loss_of(model, (batch["x"], batch["labels"])) / ACCUMULATION).backward()
        if i % ACCUMULATION == 0:
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(model.parameters(), plain()[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_trainer_of_hugging_face(tmp_path, wanted):
    transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
    pytest.importorskip("accelerate", reason="needs the extra transformers")

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x, labels):
            return {"loss": loss_of(self.net, (x, labels))}

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    model, callback = Wrapped(), trainer_callback()
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=SIZE,
        gradient_accumulation_steps=ACCUMULATION,
        num_train_epochs=2,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_grad_norm=0.5,
        report_to=[],
        save_strategy="steps",
        save_steps=STEPS,
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = InOrder(model, arguments, train_dataset=Examples(), callbacks=[callback])
    trainer.train()
    assert_trained_alike(model.net, wanted[0])
    assert_same(callback.monitor, wanted[1])
    assert callback.monitor.groups == ("0", "1")  # with and without weight decay
    saved = read_checkpoint(tmp_path / f"checkpoint-{STEPS}" / "optimizer.pt")
    assert [group.steps for group in saved.groups] == [(STEPS, STEPS)] * 2
    live = SecondMoments.from_optimizer(trainer.optimizer)
    assert saved.moments.sums == pytest.approx(live.sums)


def lit(lightning):
    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, _):
            return loss_of(self.net, (batch["x"], batch["labels"]))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=RATE, weight_decay=0.0)

    return Lit()


def fit(lightning, folder, callback, epochs, **more):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accumulate_grad_batches=ACCUMULATION,
        gradient_clip_val=0.5,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        callbacks=[callback],
    )
    model = lit(lightning)
    trainer.fit(model, loader(), **more)
    return trainer, model


def test_lightning(tmp_path, wanted):
    lightning = pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")
    callback = lightning_callback(SIZE)
    _, model = fit(lightning, tmp_path, callback, 2)
    assert_trained_alike(model.net, wanted[0])
    assert_same(callback.monitor, wanted[1])


def test_lightning_resumes(tmp_path, wanted):
    lightning = pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")
    trainer, _ = fit(lightning, tmp_path, lightning_callback(SIZE), 1)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    callback = lightning_callback(SIZE)
    fit(lightning, tmp_path, callback, 2, ckpt_path=tmp_path / "half.ckpt")
    assert_same(callback.monitor, wanted[1])


def test_accelerate(wanted):
    accelerate = pytest.importorskip("accelerate", reason="needs accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATION)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    model, optimizer, batches = accelerator.prepare(model, optimizer, loader())
    monitor = NoiseScale(model, SIZE, optimizer=optimizer, scaler=accelerator.scaler)
    for _ in range(2):
        for batch in batches:
            with accelerator.accumulate(model):
                accelerator.backward(loss_of(model, (batch["x"], batch["labels"])))
                monitor.micro_batch()
                if accelerator.sync_gradients:
                    monitor.step()
                    accelerator.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                optimizer.zero_grad()
    assert_trained_alike(model, wanted[0])
    assert_same(monitor, wanted[1])


def test_a_callback_that_has_not_begun():
    pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")
    with pytest.raises(InputError, match="training has not begun"):
        lightning_callback(SIZE).monitor  # noqa: B018


def test_copies_of_a_model_are_not_watched():
    """A copy, as evaluation makes one, carries no hooks that count its gradients."""
    model, monitor = plain()
    before = monitor.estimate()
    other = copy.deepcopy(model)
    batch = next(iter(loader()))
    loss_of(other, (batch["x"], batch["labels"])).backward()
    assert monitor.estimate() == before
