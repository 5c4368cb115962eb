"""The figures by name, for `lr plot` and for whoever wants them all."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from matplotlib.figure import Figure

from scaling.errors import InputError
from scaling.plotting.figures import (
    atlas,
    batch_size,
    lab,
    laws,
    moments,
    rms,
    stand_ins,
    steps,
    surge,
    valleys,
)


@dataclass(frozen=True)
class Option:
    """What of a figure can be chosen by its name and a number, several numbers, or a text.

    Attributes
    ----------
    name, help : str
        Name of the parameter, and what it means.
    kind : {"number", "numbers", "text"}
        What is to be given.
    default : float, tuple of float, or str
        What it is otherwise.
    """

    name: str
    help: str
    kind: str
    default: Any


@dataclass(frozen=True)
class NamedFigure:
    """A figure that can be drawn by its name alone.

    Attributes
    ----------
    name, summary : str
        Name, and what it shows, on one line.
    draw : callable
        Returns the Figure; takes the options as keywords.
    """

    name: str
    summary: str
    draw: Callable[..., Figure]

    @property
    def options(self) -> tuple[Option, ...]:
        """The parameters of ``draw`` that are annotated with what they mean."""
        hints = get_type_hints(self.draw, include_extras=True)
        return tuple(
            Option(name, hint.__metadata__[0], _KINDS[get_args(hint)[0]], parameter.default)
            for name, parameter in inspect.signature(self.draw).parameters.items()
            for hint in [hints[name]]
            if hasattr(hint, "__metadata__")
        )


_KINDS: dict[Any, str] = {float: "number", tuple[float, ...]: "numbers", str: "text"}

#: What each figure shows, in the order of the argument.
_SHOWS: dict[Callable[..., Figure], str] = {
    stand_ins.erf_stand_ins: "erf and its two stand-ins, algebraic and clipped, with their errors",
    stand_ins.softsign_and_clip: (
        "softsign and the clipped line that stands in for it, for several eps"
    ),
    moments.mean_update: "mean of the update against the signal: clip, article, mean field, exact",
    moments.second_moment: "second moment of the update, the inverted bell, by the same models",
    moments.beta: "beta, the shrinking of the mean update by noise, against the batch size",
    batch_size.learning_rate_eps: (
        "lr* against the batch for several eps: the surge fades into SGD's law"
    ),
    surge.surge_eps: "where a surge exists: epsilon and curvature ratio, and how high it is",
    batch_size.momentum: "one step: lr* against the batch for several beta1, which make the surge",
    surge.surge_momentum: "one step: where a surge exists, by beta1 and curvature ratio",
    rms.update_rms_beta1: "RMS of the update against beta1, pure noise: simulation, theory, exact",
    rms.update_rms_noise: "RMS of the update against the signal-to-noise ratio, likewise",
    steps.steps_examples: (
        "steps against examples to a loss: the hyperbola and published runs on it"
    ),
    atlas.error_atlas: "errors of the approximate moments, maps over signal and damping",
    atlas.error_atlas_learning_rate: "what the approximations cost in lr*, over batch size and eps",
    laws.marek: "the law fitted to published optima, its interval, and the competing rules",
    valleys.valley: "the loss valley of a sweep: runs, loss over batch size and rate, fitted law",
    laws.plan: "which runs to make next: the law before and after them, and what they cost",
    lab.lab_optimum: (
        "our own trainings: the best rate over the batch by eps, and T-J3 from one run"
    ),
    lab.lab_beta1: "our own trainings: beta1 does nothing over a run, and much in one step",
    lab.lab_rise: "our own trainings: where the rise of the best rate ends, and how sharply",
    lab.lab_eps: "our own trainings: what eps does, measured and by Adam's second moment",
    lab.lab_changes: "our own trainings: what beta2, schedule, warm-up and weight decay do",
}
FIGURES = {
    figure.name: figure
    for figure in (
        NamedFigure(draw.__name__.replace("_", "-"), shows, draw) for draw, shows in _SHOWS.items()
    )
}


def named_figure(name: str) -> NamedFigure:
    """Return the figure of that name.

    Raises
    ------
    InputError
        If there is none; it suggests the nearest.

    Examples
    --------
    >>> named_figure("beta").options[0].name
    'eps'
    """
    if name not in FIGURES:
        near = get_close_matches(name, FIGURES, cutoff=0.5)
        advice = (
            f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(FIGURES)}"
        )
        raise InputError(f"there is no figure {name!r}; {advice}")
    return FIGURES[name]
