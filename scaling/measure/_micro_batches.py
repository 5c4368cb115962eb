"""Catching the gradients of micro-batches and ranks, and what their squares and products tell."""

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaling.errors import InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
#: |g|^2 and tr(Sigma), shape (groups, 2), by metric.
Totals: TypeAlias = dict[str, FloatArray]

#: Numbers still on their devices, by metric, group, and whether they are squares or products.
_Pending: TypeAlias = dict[tuple[int, int, int], list[Tensor]]

METRICS = ("l2", "adam")
#: Values of a gradient looked at in one go: on a CPU what stays in its cache.
_CPU_PIECE, _DEVICE_PIECE = 1 << 17, 1 << 26
#: Beyond a rounding error, the gradients of ranks agree.
_AGREE = 1e-6
#: No gradient is so many times its root mean square for long, unless the loss is scaled.
_SCALED = 1000


@dataclass(eq=False)
class _Watched:
    """A parameter."""

    name: str
    parameter: Tensor
    group: int
    optimizer: Any
    sharded: bool
    #: Whether this micro-batch has reached it.
    reached: bool = False
    #: The gradient before this micro-batch, of a sharded one only.
    before: Tensor | None = None
    #: Own sums of squares and products, to notice unscaling.
    sums: list[Tensor] = field(default_factory=list)

    def gradient(self) -> Tensor | None:
        gradient: Any = self.parameter.grad
        found: Tensor | None = (
            gradient.to_local() if self.sharded and gradient is not None else gradient
        )
        return found


class MicroBatches:
    """The gradients of one step, as sums of squares and products."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        self.measuring = True
        self.groups, self._watched = _watch(model, optimizer)
        self.sharded = any(watched.sharded for watched in self._watched)
        if self.sharded and not all(watched.sharded for watched in self._watched):
            raise InputError("shards some parameters and not others; that is not measured", "model")
        self._metrics = METRICS if optimizer is not None else METRICS[:1]
        self._sizes: list[float] = []
        self._pending: _Pending = {}
        self._sums: FloatArray = np.zeros(0)
        self._complete: list[bool] = []
        self._problem: str | None = None
        self._hooks = [
            torch.Tensor.register_hook(watched.parameter, self._hook(watched))  # type: ignore[no-untyped-call]
            for watched in self._watched
            if not watched.sharded
        ]
        self._reset()

    @property
    def ranks(self) -> int:
        """Ranks whose gradients are averaged."""
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return 1
        return int(distributed.get_world_size())

    def close_hooks(self) -> None:
        """Let go of the model."""
        for hook in self._hooks:
            hook.remove()
        self.measuring = False

    def count(self, size: float) -> None:
        """Close a micro-batch of so many examples."""
        if not self.measuring:
            return
        if self.sharded:
            self._compare_shards()
        problem = self._problem
        if problem is None and not any(watched.reached for watched in self._watched):
            problem = "no backward since the last micro_batch(); call it after each"
        if problem is not None:
            self._reset()
            raise InputError(problem)
        if self.sharded:  # ranks are averaged before anybody can look
            size *= self.ranks
        self._sizes.append(size)
        for watched in self._watched:
            watched.reached = False
        squares = self._drain()
        # |c|^2 and |c|^2/b of the micro-batch, and its products with those before, in turn.
        self._sums[0] += squares[0]
        self._sums[1] += squares[0] / size
        self._sums[2] += squares[1]

    def close(self, scale: float, *, clipped: bool) -> Totals | None:
        """Close the step; None if it had one gradient only."""
        if not self._sizes:
            raise InputError("step() without micro_batch(); call that after each backward")
        sizes, sums = np.array(self._sizes), self._sums / scale**2
        if self.sharded:
            values = _from_products(sizes, _all_reduced(sums))
        elif self.ranks > 1:
            values = self._over_ranks(sizes, sums, clipped=clipped)
        else:
            values = _from_products(sizes, sums)
        # Adam's metric is missing before its first step.
        known = zip(
            self._metrics, values if values is not None else (), self._complete, strict=False
        )
        totals = {name: found for name, found, complete in known if complete}
        self._reset()
        return totals or None

    def unscaled_by(self) -> float | None:
        """Power of two by which gradients were divided since backward, as loss scaling does."""
        if self.ranks > 1 or self.sharded:
            return None
        watched = next((w for w in self._watched if w.sums), None)
        if watched is None or watched.parameter.grad is None:
            return None
        expected = float(torch.stack(watched.sums).sum())
        now = float(torch.linalg.vector_norm(watched.parameter.grad.float()).square())
        if not (0 < now < expected < math.inf):
            return None
        factor = math.sqrt(expected / now)
        power = 2.0 ** round(math.log2(factor))
        return power if power > 1 and math.isclose(factor, power, rel_tol=1e-4) else None

    def looks_scaled(self) -> bool:
        """Whether gradients are thousands of times what Adam has seen so far."""
        watched = self._watched[0]
        if watched.optimizer is None or self.sharded or not watched.sums:
            return False
        state = watched.optimizer.state.get(watched.parameter, {})
        if state.get("exp_avg_sq") is None:
            return False
        beta2 = float(watched.optimizer.param_groups[watched.group]["betas"][1])
        seen = float(state["exp_avg_sq"].float().sum()) / (1 - beta2 ** float(state["step"]))
        return bool(float(torch.stack(watched.sums).sum()) > _SCALED**2 * seen > 0)

    def _over_ranks(self, sizes: FloatArray, sums: FloatArray, *, clipped: bool) -> FloatArray:
        """Compare ranks, or where that cannot be any more, average what each has found."""
        ranks = self.ranks
        if clipped:
            own = _from_products(sizes, sums)
            if own is None:
                raise InputError(
                    "one micro-batch to a rank, and gradients that are clipped already, tell no "
                    "noise scale: accumulate two or more, or measure before clipping"
                )
            return _all_reduced(own) / ranks
        mean = self._squares_of_mean()
        counts = _all_reduced(np.array([sizes.sum(), (sizes**2).sum(), sizes.size]))
        squares = _all_reduced(np.stack([sums[0], sums[1], mean, mean**2])) / ranks**2
        mean, spread = squares[2] * ranks, squares[3] * ranks
        if (spread - mean**2 > _AGREE * mean**2).any():
            raise InputError(
                "ranks hold different gradients; call step() after the backward that averages "
                "them, and before anything else changes them"
            )
        total, square_sizes, number = counts
        gradient = (mean - squares[0]) / (1 - square_sizes / total**2)
        trace = (squares[1] * total - gradient) * (total / number)
        return np.stack([gradient, trace], axis=-1)

    def _hook(self, watched: _Watched) -> Any:
        def catch(gradient: Tensor) -> None:
            if not self.measuring:
                return
            if gradient.layout is not torch.strided:
                self._problem = (
                    f"the gradient of {watched.name} is sparse; make its embedding with "
                    "sparse=False"
                )
            elif watched.reached:
                self._problem = (
                    "backward ran twice since the last micro_batch(); call it after each"
                )
            else:
                watched.reached = True
                before = watched.parameter.grad if self._sizes else None
                self._look(watched, gradient.detach(), before)

        return catch

    def _compare_shards(self) -> None:
        """Look at what a micro-batch has added to the gradients of sharded parameters."""
        for watched in self._watched:
            gradient = watched.gradient()
            if gradient is None:
                continue
            watched.reached = True
            before = watched.before if self._sizes else None
            self._look(watched, gradient if before is None else gradient - before, before)
            watched.before = gradient.clone()

    def _look(self, watched: _Watched, gradient: Tensor, before: Tensor | None) -> None:
        """Add the square of a gradient, and its product with those before."""
        weigh = self._weights(watched) if len(self._metrics) > 1 else None
        piece = _CPU_PIECE if gradient.device.type == "cpu" else _DEVICE_PIECE
        flat = gradient.reshape(-1)
        earlier = None if before is None else before.detach().reshape(-1)
        for start in range(0, flat.numel(), piece):
            at = slice(start, start + piece)
            c = _upcast(flat[at])
            s = None if earlier is None else _upcast(earlier[at])
            for metric, values in enumerate([c] if weigh is None else [c, weigh(at, c)]):
                found = [torch.dot(c, values)]
                if s is not None:
                    found.append(2 * torch.dot(s, values))
                for kind, value in enumerate(found):
                    self._note(metric, watched.group, kind, value)
                if metric == 0 and watched is self._watched[0]:
                    watched.sums += found

    def _weights(self, watched: _Watched) -> Any:
        """How to weight a stretch by Adam's 1/(sqrt(v_hat) + eps), or by 0 where v is."""
        key, optimizer = watched.parameter, watched.optimizer
        state = optimizer.state.get(key, {})
        moment, step = state.get("exp_avg_sq"), state.get("step")
        if moment is None or step is None:
            self._complete[1] = False
            return None
        group = optimizer.param_groups[watched.group]
        root = math.sqrt(-math.expm1(float(step) * math.log(float(group["betas"][1]))))
        eps = root * float(group["eps"])
        flat = (moment.to_local() if watched.sharded else moment).reshape(-1)

        def weighted(at: slice, values: Tensor) -> Tensor:
            v = _upcast(flat[at])
            # Few passes, each over what is in the cache: most of what measuring costs.
            return values.div(v.sqrt().add_(eps)).mul_(v.sign()).mul_(root)

        return weighted

    def _note(self, metric: int, group: int, kind: int, value: Tensor) -> None:
        self._pending.setdefault((metric, group, kind), []).append(value)

    def _drain(self) -> FloatArray:
        """Return the sums of the micro-batch, shape (2, metrics, groups): the one synchronisation.

        Each is a sum of some values of float32, added up in float64.
        """
        sums = np.zeros((2, len(self._metrics), len(self.groups)))
        by_device: dict[Any, list[tuple[tuple[int, int, int], Tensor]]] = {}
        for where, values in self._pending.items():
            for value in values:
                by_device.setdefault(value.device, []).append((where, value))
        for found in by_device.values():
            numbers = torch.stack([value for _, value in found]).tolist()
            for ((metric, group, kind), _), number in zip(found, numbers, strict=True):
                sums[kind, metric, group] += number
        self._pending = {}
        return sums

    def _squares_of_mean(self) -> FloatArray:
        """Squares of what is in ``.grad`` now."""
        for watched in self._watched:
            gradient = watched.gradient()
            if gradient is not None:
                self._look(watched, gradient.detach(), None)
        found: FloatArray = self._drain()[0]
        return found

    def _reset(self) -> None:
        """Begin a step anew."""
        self._sizes, self._pending = [], {}
        self._sums = np.zeros((3, len(self._metrics), len(self.groups)))
        self._complete = [True] * len(self._metrics)
        self._problem = None
        for watched in self._watched:
            watched.reached, watched.before, watched.sums = False, None, []


def _watch(model: torch.nn.Module, optimizer: Any) -> tuple[tuple[str, ...], list[_Watched]]:
    """Return the groups' names, and the parameters that learn."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    everything = {"params": list(model.parameters()), "name": "all"}
    groups: list[Any] = [everything] if optimizer is None else optimizer.param_groups
    watched = []
    for number, group in enumerate(groups):
        for parameter in group["params"]:
            if parameter.requires_grad and parameter.numel():
                name = names.get(id(parameter), "a parameter")
                sharded = _is_sharded(parameter, name)
                watched.append(_Watched(name, parameter, number, optimizer, sharded))
    if not watched:
        raise InputError("has no parameter that learns", "model")
    return tuple(str(group.get("name", i)) for i, group in enumerate(groups)), watched


def _is_sharded(parameter: Any, name: str) -> bool:
    """Whether a tensor is cut into one shard for each rank; refuse one that is cut otherwise."""
    if not hasattr(parameter, "to_local"):
        return False
    if len(parameter.placements) > 1 or not parameter.placements[0].is_shard():
        raise InputError(
            f"{name} is sharded over more than one dimension, or replicated; that is not measured",
            "model",
        )
    return True


def _from_products(sizes: FloatArray, sums: FloatArray) -> FloatArray | None:
    """|g|^2 and tr(Sigma), from the products of micro-batches of one step."""
    if sizes.size < 2:
        return None
    total = sizes.sum()
    gradient = sums[2] / (1 - ((sizes / total) ** 2).sum())
    trace = (sums[1] * total - gradient) * (total / sizes.size)
    return np.stack([gradient, trace], axis=-1)


def _all_reduced(values: FloatArray) -> FloatArray:
    """Sum over ranks."""
    backend = torch.distributed.get_backend()
    device = torch.device("cuda") if backend == "nccl" else torch.device("cpu")
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(device)
    torch.distributed.all_reduce(tensor)
    summed: FloatArray = tensor.cpu().numpy()
    return summed


def _upcast(values: Tensor) -> Tensor:
    """Upcast what is shorter than a float32."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()
