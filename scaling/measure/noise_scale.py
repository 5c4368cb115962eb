"""The gradient noise scale of a model while it trains, with an interval."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from scaling.errors import DataError, InputError
from scaling.measure._micro_batches import METRICS, MicroBatches, Totals
from scaling.measure.noise_average import BlockAverage, NoiseEstimate
from scaling.numeric.inputs.arrays import positive

Metric: TypeAlias = Literal["l2", "adam"]

_VERSION = 1


class NoiseScale:
    """Measures |g|^2, tr(Sigma) and the noise scale tr(Sigma)/|g|^2 of a model in training.

    It needs two or more gradients of each step: of micro-batches whose gradients accumulate, of
    data-parallel ranks, or of both; who has neither gives `backward` the losses of the examples.
    Gradients are caught on their way into ``.grad``, before they are clipped; no copy is kept.

    Parameters
    ----------
    model : torch.nn.Module
        As it is trained, wrapped or not in DistributedDataParallel; of FSDP, one-dimensional
        meshes of `torch.distributed.fsdp.fully_shard`, for which one running copy of this rank's
        share of the gradients is kept.
    micro_batch : float
        Examples (or tokens; the noise scale is in the same unit) to a micro-batch on one rank.
    optimizer : torch.optim.Optimizer, optional
        Adam or one of its kin: its groups are then told apart, and ``metric="adam"`` is measured.
    scaler : torch.amp.GradScaler, optional
        Needed where the loss is scaled: what is measured is divided by its scale.
    half_life : float, optional
        Steps after which a step counts half; by default all steps count alike.
    every : int, default 1
        Measure every so many steps.

    Raises
    ------
    InputError
        If an argument is malformed, or gradients cannot be measured as the model is wrapped.

    Notes
    -----
    Of n contributions c_k to the gradient, of b_k examples each, w_k = b_k/sum b, the products of
    different ones, and the squares, give unbiased

    |g|^2 = sum_{j != k} c_j c_k / (1 - sum w^2),
    tr(Sigma) = (sum_k |c_k|^2/w_k - |g|^2) sum b / n (McCandlish et al. 2018, appendix A).

    Both are averaged over steps before their ratio is taken, and nothing is cut off at 0. Errors
    come from the scatter of blocks of steps.

    ``metric="adam"`` weights each parameter's square by 1/(sqrt(v_hat) + eps): by T-A1, with a
    curvature proportional to sqrt(v) (T-J1), it is this noise against this gradient that a step of
    Adam sees. Parameters whose v is 0 do not count.

    Steps whose gradients are not finite, which loss scaling skips, are left out and counted in
    ``skipped``.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Linear(8, 1, bias=False)
    >>> optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    >>> monitor = NoiseScale(model, micro_batch=32)
    >>> for step in range(200):
    ...     optimizer.zero_grad()
    ...     for _ in range(4):
    ...         x = torch.randn(32, 8)
    ...         loss = (model(x) - x.sum(1, keepdim=True) - torch.randn(32, 1)).square().mean() / 4
    ...         loss.backward()
    ...         monitor.micro_batch()
    ...     monitor.step()
    ...     optimizer.step()
    >>> found = monitor.estimate()
    >>> found.interval[0] < found.noise_scale < found.interval[1] < 20
    True
    """

    def __init__(
        self,
        model: torch.nn.Module,
        micro_batch: float,
        *,
        optimizer: Any = None,
        scaler: Any = None,
        half_life: float | None = None,
        every: int = 1,
    ) -> None:
        self._size = positive(micro_batch, "micro_batch")
        if half_life is not None:
            half_life = positive(half_life, "half_life")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"must be a whole number from 1, got {every!r}", "every")
        self._every = every
        self._scaler = scaler
        self._optimizer = optimizer
        self._gradients = MicroBatches(model, optimizer)
        self._averages = {metric: BlockAverage(half_life) for metric in METRICS}
        self._steps = 0
        self.skipped = 0
        self._scaled = 0
        self._warned = False

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of parameters that are told apart: the optimizer's."""
        return self._gradients.groups

    @property
    def measuring(self) -> bool:
        """Whether the present step is one of those measured."""
        return self._gradients.measuring

    def micro_batch(self, size: float | None = None) -> None:
        """Count a micro-batch; call it after its backward.

        Parameters
        ----------
        size : float, optional
            Its examples, if they are not as many as in others; the loss has to weight examples
            alike.

        Raises
        ------
        InputError
            If there was no backward since the last call, or more than one; if a gradient is sparse
            or has vanished.
        """
        self._gradients.count(self._size if size is None else positive(size, "size"))

    def backward(self, losses: torch.Tensor) -> None:
        """Run the backward of the mean loss in two halves, which are then two micro-batches.

        For who has neither micro-batches nor ranks. In steps that are measured it takes a second
        pass backward through the whole batch: measure every tenth.

        Parameters
        ----------
        losses : torch.Tensor
            The loss of each example, shape (examples,), two at least.

        Raises
        ------
        InputError
            If it is not such a vector.
        """
        if losses.ndim != 1 or losses.numel() < 2:
            raise InputError(
                f"must be a vector of the losses of two or more examples, got {losses.ndim} "
                f"dimensions and {losses.numel()} values; leave the mean to this",
                "losses",
            )
        if not self.measuring:
            torch.autograd.backward(losses.mean())
            return
        # Each half is in the unit of micro_batch, which may be tokens.
        unit = self._size / losses.numel()
        first, second = losses.tensor_split(2)
        for half, keep in ((first, True), (second, False)):
            torch.autograd.backward(half.sum() / losses.numel(), retain_graph=keep)
            self.micro_batch(half.numel() * unit)

    def step(self, *, clipped: bool = False) -> None:
        """Close a step; call it before the optimizer's, and before clipping.

        Parameters
        ----------
        clipped : bool, default False
            Whether ``.grad`` has been clipped or otherwise changed already. Micro-batches are
            measured all the same, but ranks can then not be compared.

        Raises
        ------
        InputError
            If there was no micro-batch, loss scaling is undone unnoticed, or ranks hold different
            gradients.
        """
        if self.measuring:
            self._check_scaling(clipped=clipped)
            self._scaled += self._scaler is None and self._gradients.looks_scaled()
            totals = self._gradients.close(self._scale(), clipped=clipped)
            self._add(totals)
        self._steps += 1
        self._gradients.measuring = self._steps % self._every == 0

    def estimate(
        self, metric: Metric = "l2", group: str | None = None, level: float = 0.95
    ) -> NoiseEstimate:
        """Estimate gradient, noise and noise scale from the steps so far.

        Parameters
        ----------
        metric : {"l2", "adam"}
            How parameters are weighted: alike, or by 1/(sqrt(v_hat) + eps).
        group : str, optional
            One of ``groups``; by default all together.
        level : float, default 0.95
            Of the interval.

        Returns
        -------
        NoiseEstimate

        Raises
        ------
        InputError
            If an argument is not one of these.
        DataError
            If no step could be measured, or the loss was scaled without the scaler being given.
        """
        if metric not in METRICS:
            raise InputError(f"must be one of {', '.join(METRICS)}, got {metric!r}", "metric")
        if group is not None and group not in self.groups:
            raise InputError(f"must be one of {', '.join(self.groups)}, got {group!r}", "group")
        if not 0 < level < 1:
            raise InputError(f"must be between 0 and 1, got {level!r}", "level")
        chosen = range(len(self.groups)) if group is None else [self.groups.index(group)]
        found = self._averages[metric].estimate(chosen, level)
        if found is None:
            raise DataError(self._why_nothing(metric))
        if self._scaled > found.steps / 2:
            raise DataError(
                "gradients are thousands of times sqrt(v): the loss is scaled, and NoiseScale was "
                "not given the scaler (scaler=)"
            )
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured, as plain numbers, to resume from or to merge."""
        return {
            "version": _VERSION,
            "groups": list(self.groups),
            "steps": self._steps,
            "skipped": self.skipped,
            "averages": {name: average.state() for name, average in self._averages.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, forgetting what was measured here.

        Raises
        ------
        InputError
            If it is malformed, or of other groups of parameters.
        """
        steps, skipped, averages = self._read(state)
        self._steps, self.skipped, self._averages = steps, skipped, averages
        self._gradients.measuring = self._steps % self._every == 0

    def merge(self, state: Mapping[str, Any]) -> None:
        """Count as well what another monitor has measured: of another rank, or before a restart.

        Parameters
        ----------
        state : mapping
            What its `state_dict` returned. Ranks whose gradients are averaged hold the same
            measurements already.

        Raises
        ------
        InputError
            If it is malformed, or of other groups of parameters.
        """
        _, skipped, averages = self._read(state)
        self.skipped += skipped
        for name, average in self._averages.items():
            average.merge(averages[name])

    def close(self) -> None:
        """Stop watching the model's gradients; what was measured stays."""
        self._gradients.close_hooks()

    def _read(self, state: Mapping[str, Any]) -> tuple[int, int, dict[str, BlockAverage]]:
        try:
            version, groups = state["version"], tuple(state["groups"])
            steps, skipped = int(state["steps"]), int(state["skipped"])
            kept = {name: state["averages"][name] for name in METRICS}
        except (KeyError, TypeError, ValueError):
            raise InputError("not what state_dict() returned", "state") from None
        if version != _VERSION:
            raise InputError(f"of version {version!r}; this program reads {_VERSION}", "state")
        if groups != self.groups:
            raise InputError(
                f"of the groups {', '.join(groups)}; here they are {', '.join(self.groups)}",
                "state",
            )
        averages = {name: BlockAverage.from_state(kept[name], len(groups)) for name in METRICS}
        return steps, skipped, averages

    def _scale(self) -> float:
        """By how much the loss is scaled."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def _check_scaling(self, *, clipped: bool) -> None:
        """Refuse gradients that were, or were not, unscaled behind our back."""
        if self._scaler is not None and self._scaler.is_enabled():
            if self._gradients.ranks > 1 and not clipped and not self._unscaled():
                raise InputError(
                    "the gradients are still scaled; call scaler.unscale_(optimizer) before step()"
                )
        elif not clipped and (factor := self._gradients.unscaled_by()) is not None:
            raise InputError(
                f"the gradients were divided by {factor:g} since backward: where the loss is "
                "scaled, give NoiseScale the scaler (scaler=)"
            )

    def _unscaled(self) -> bool:
        """Whether the scaler has unscaled the optimizer's gradients in this step."""
        optimizer = self._optimizer
        while not isinstance(optimizer, torch.optim.Optimizer) and hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        states = getattr(self._scaler, "_per_optimizer_states", {})
        stages = [states[id(optimizer)]] if id(optimizer) in states else list(states.values())
        return any(getattr(state.get("stage"), "name", "") == "UNSCALED" for state in stages)

    def _add(self, totals: Totals | None) -> None:
        """Count the totals of a step, or say why there are none."""
        if totals is None:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    "one micro-batch on one rank tells no noise scale: accumulate two or more, or "
                    "call backward(losses)",
                    stacklevel=3,
                )
            return
        if not all(np.isfinite(values).all() for values in totals.values()):
            self.skipped += 1
            return
        for metric, values in totals.items():
            self._averages[metric].add(values)

    def _why_nothing(self, metric: str) -> str:
        if self.skipped:
            return f"no gradient of {self.skipped} steps was finite"
        if metric == "adam":
            return "nothing measured in units of Adam; give NoiseScale the optimizer (optimizer=)"
        return "nothing measured: no step had two or more micro-batches or ranks"
