"""`NoiseScale` in other people's training loops: callbacks of a few lines.

In one's own loop, and with Accelerate, the two calls are simply written::

    accelerator.backward(loss)
    monitor.micro_batch()
    if accelerator.sync_gradients:
        monitor.step()
"""

from typing import Any

from scaling.errors import InputError, MissingExtraError
from scaling.measure.noise_scale import NoiseScale


class _Holder:
    """What a callback has measured."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self._settings = settings
        self._monitor: NoiseScale | None = None
        self._state: dict[str, Any] | None = None

    @property
    def monitor(self) -> NoiseScale:
        """The monitor, once training has begun."""
        if self._monitor is None:
            raise InputError("training has not begun; there is nothing measured yet")
        return self._monitor

    def _begin(self, model: Any, **known: Any) -> None:
        self._monitor = NoiseScale(model, **(known | self._settings))
        if self._state is not None:
            self._monitor.load_state_dict(self._state)


def trainer_callback(**settings: Any) -> Any:
    """Make a callback for the Trainer of Hugging Face's transformers.

    Parameters
    ----------
    **settings
        For `NoiseScale`, such as ``every``; the model, the optimizer, the scaler and the size of a
        micro-batch come from the Trainer.

    Returns
    -------
    transformers.TrainerCallback
        With an attribute ``monitor``. The Trainer clips before it calls back; gradients are caught
        before that, but where there are several ranks and no accumulation, ``max_grad_norm=0`` is
        needed.

    Raises
    ------
    MissingExtraError
        If transformers is not installed.
    """
    transformers = _library("transformers", "transformers")

    class NoiseScaleCallback(_Holder, transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_train_begin(
            self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **_: Any
        ) -> None:
            del state, control
            self._clipped = bool(args.max_grad_norm)
            if self._clipped and args.world_size > 1 and args.gradient_accumulation_steps < 2:
                raise InputError(
                    "the Trainer clips before ranks can be compared; set max_grad_norm=0, or "
                    "gradient_accumulation_steps=2"
                )
            self._begin(
                model,
                micro_batch=args.train_batch_size,
                optimizer=optimizer,
                scaler=getattr(optimizer, "scaler", None),
            )

        def on_substep_end(self, *_: Any, **__: Any) -> None:
            self.monitor.micro_batch()

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            self.monitor.micro_batch()
            self.monitor.step(clipped=self._clipped)

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.monitor.close()

    return NoiseScaleCallback(**settings)


def lightning_callback(micro_batch: float, **settings: Any) -> Any:
    """Make a callback for the Trainer of Lightning, with automatic optimization.

    Parameters
    ----------
    micro_batch : float
        Examples to a batch on one rank.
    **settings
        For `NoiseScale`, such as ``every``; the model, its one optimizer and the scaler come from
        the Trainer.

    Returns
    -------
    lightning.pytorch.Callback
        With an attribute ``monitor``; it keeps what was measured in Lightning's checkpoints.

    Raises
    ------
    MissingExtraError
        If lightning is not installed.
    """
    lightning = _library("lightning.pytorch", "lightning")

    class NoiseScaleCallback(_Holder, lightning.Callback):  # type: ignore[misc, name-defined]
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            (optimizer,) = trainer.optimizers
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            self._begin(pl_module, micro_batch=micro_batch, optimizer=optimizer, scaler=scaler)

        def on_after_backward(self, *_: Any) -> None:
            self.monitor.micro_batch()

        def on_before_optimizer_step(self, *_: Any) -> None:
            self.monitor.step()

        def on_train_end(self, *_: Any) -> None:
            self.monitor.close()

        def state_dict(self) -> dict[str, Any]:
            return self._monitor.state_dict() if self._monitor else {}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            self._state = state_dict or None

    return NoiseScaleCallback(**settings)


def _library(module: str, distribution: str) -> Any:
    """Import what a callback belongs to; whoever wants one has it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != distribution:
            raise
        raise MissingExtraError(distribution, distribution) from None
