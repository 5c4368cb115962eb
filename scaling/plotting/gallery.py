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

#: Every named figure, in the order of the argument.
FIGURES: dict[str, NamedFigure] = {
    figure.name: figure
    for figure in (
        NamedFigure(
            "erf-stand-ins",
            "erf and its two stand-ins, algebraic and clipped, with their errors",
            stand_ins.erf_stand_ins,
        ),
        NamedFigure(
            "softsign-and-clip",
            "softsign and the clipped line that stands in for it, for several eps",
            stand_ins.softsign_and_clip,
        ),
        NamedFigure(
            "mean-update",
            "mean of the update against the signal: clip, article, mean field, exact",
            moments.mean_update,
        ),
        NamedFigure(
            "second-moment",
            "second moment of the update, the inverted bell, by the same models",
            moments.second_moment,
        ),
        NamedFigure(
            "beta",
            "beta, the shrinking of the mean update by noise, against the batch size",
            moments.beta,
        ),
        NamedFigure(
            "learning-rate-eps",
            "lr* against the batch for several eps: the surge fades into SGD's law",
            batch_size.learning_rate_eps,
        ),
        NamedFigure(
            "surge-eps",
            "where a surge exists: epsilon and curvature ratio, and how high it is",
            surge.surge_eps,
        ),
        NamedFigure(
            "momentum",
            "one step: lr* against the batch for several beta1, which make the surge",
            batch_size.momentum,
        ),
        NamedFigure(
            "surge-momentum",
            "one step: where a surge exists, by beta1 and curvature ratio",
            surge.surge_momentum,
        ),
        NamedFigure(
            "update-rms-beta1",
            "RMS of the update against beta1, pure noise: simulation, theory, exact",
            rms.update_rms_beta1,
        ),
        NamedFigure(
            "update-rms-noise",
            "RMS of the update against the signal-to-noise ratio, likewise",
            rms.update_rms_noise,
        ),
        NamedFigure(
            "steps-examples",
            "steps against examples to a loss: the hyperbola and published runs on it",
            steps.steps_examples,
        ),
        NamedFigure(
            "error-atlas",
            "errors of the approximate moments, maps over signal and damping",
            atlas.error_atlas,
        ),
        NamedFigure(
            "error-atlas-learning-rate",
            "what the approximations cost in lr*, over batch size and eps",
            atlas.error_atlas_learning_rate,
        ),
        NamedFigure(
            "marek",
            "the law fitted to published optima, its interval, and the competing rules",
            laws.marek,
        ),
        NamedFigure(
            "valley",
            "the loss valley of a sweep: runs, loss over batch size and rate, fitted law",
            valleys.valley,
        ),
        NamedFigure(
            "plan",
            "which runs to make next: the law before and after them, and what they cost",
            laws.plan,
        ),
        NamedFigure(
            "lab-optimum",
            "our own trainings: the best rate over the batch by eps, and T-J3 from one run",
            lab.lab_optimum,
        ),
        NamedFigure(
            "lab-beta1",
            "our own trainings: beta1 does nothing over a run, and much in one step",
            lab.lab_beta1,
        ),
        NamedFigure(
            "lab-rise",
            "our own trainings: where the rise of the best rate ends, and how sharply",
            lab.lab_rise,
        ),
        NamedFigure(
            "lab-eps",
            "our own trainings: what eps does, measured and by Adam's second moment",
            lab.lab_eps,
        ),
        NamedFigure(
            "lab-changes",
            "our own trainings: what beta2, schedule, warm-up and weight decay do",
            lab.lab_changes,
        ),
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
