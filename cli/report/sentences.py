"""The facts of the numeric layer in words: one sentence for each key."""

import math
from collections.abc import Callable, Iterable

from scaling.numeric.facts import Fact


def say(fact: Fact) -> str:
    """Return the sentence for a fact."""
    sentence, values = _SENTENCES[fact.key], dict(fact.values)
    return sentence.format(**values) if isinstance(sentence, str) else sentence(**values)


def say_all(facts: Iterable[Fact]) -> list[str]:
    """Return the sentences, each once."""
    return list(dict.fromkeys(map(say, facts)))


def _extrapolated(quantity: str, value: float, times: float, low: float, high: float) -> str:
    named = "" if quantity in {"batch_size", "covariate"} else f"{quantity} is "
    return (
        f"{named}extrapolated: {value:.10g} is {times:.3g} times outside the fitted range "
        f"{low:.10g} to {high:.10g}"
    )


def _population(coordinates: str) -> Callable[..., str]:
    """Say how the coordinates of a named population differ."""

    def sentence(curvature_ratio: float) -> str:
        diagonal = " (diagonal Hessian)" if curvature_ratio == 1 else ""
        return f"{coordinates}, curvature ratio R0 = {curvature_ratio:g}{diagonal}"

    return sentence


def _sketch(
    curvature_ratio: float,
    count: int,
    cell_count: int,
    cells_per_octave: tuple[float, float],
    *,
    has_curvature: bool,
    **left: int,
) -> str:
    said = [
        f"{count} coordinates in {cell_count} cells, {cells_per_octave[0]:g} x "
        f"{cells_per_octave[1]:g} to an octave of gradient x noise",
        f"curvature {'known' if has_curvature else 'not known, 1 assumed'}",
    ]
    said += [
        f"{left[name]} coordinates {what}" for name, what in _COORDINATES.items() if left[name]
    ]
    return _population("; ".join(said))(curvature_ratio)


_COORDINATES = {
    "nans": "left out: NaN",
    "infinities": "left out: infinite (in float16, beyond 65504)",
    "without_gradient": "with gradient 0: they add curvature by their noise",
    "without_noise": "with noise 0: they move alike at every batch size",
    "without_both": "with gradient 0 and noise 0: they do not move",
}


def _update(model: str, theory: str, beta1: float, beta2: float | None, step: float | None) -> str:
    said = f"beta1 = {beta1:g}"
    if beta2 is not None and step is not None:
        when = "stationary averages" if math.isinf(step) else f"step {step:.10g}"
        said += f", beta2 = {beta2:g}, {when}"
    return f"{said}; update: {model} ({theory})"


def _horizon(steps: float) -> str:
    if math.isinf(steps):
        return "a run of many steps, in which momentum damps no noise (T-I1)"
    ahead = "one step" if steps == 1 else f"{steps:.10g} steps"
    return f"{ahead} ahead; over a run momentum damps no noise (T-I1)"


def _eps_acts(eps: float, reference: float, factor: float, share: float | None = None) -> str:
    said = f"eps {eps:g}"
    if share is not None:
        said += f" lies above sqrt(v) of {100 * share:.2g} % of the parameters"
    if eps == reference:
        return f"{said}, as in the tuned run"
    return f"{said}: {factor:.3g} x the rate at eps {reference:g}"


def _cost(name: str, **_: float) -> str:
    return "costs are in runs at the target: " + _COSTS.get(name, f"by the runs' {name!r}")


_COSTS = {
    "runs": "all alike (--cost says otherwise)",
    "steps": "of steps, all runs seeing the same examples, in proportion to 1/B",
    "examples": "of examples, all runs taking the same steps, in proportion to B",
    "paid": "as those seen did cost",
}


def _track_record(
    octaves: float, sqrt: float, rule: str, best: float, inside: float, **count: float
) -> str:
    hindsight = "" if rule == "sqrt" else f", the best rule in hindsight ({rule}) by {best:.2f}"
    return (
        f"this route was off by {octaves:.2f} octave (RMSE; a factor of two is 1) on "
        f"{count['trainings']} trainings that it had not seen, the square root rule by "
        f"{sqrt:.2f}{hindsight}; {inside:.0%} of {count['optima']} optima lay in the 90% interval"
    )


def _setting(**values: float) -> str:
    return "at " + ", ".join(f"{name} = {value:.6g}" for name, value in values.items())


def _guessed(**columns: tuple[str, ...]) -> str:
    """Say which column was taken for what, and which were not."""
    said = []
    for role, (name, *others) in columns.items():
        instead = f" (not {', '.join(map(repr, others))})" if others else ""
        how = "as" if "*" in name else "from column"
        said.append(f"{role.replace('_', ' ')} {how} {name!r}{instead}")
    return f"guessed: {', '.join(said)}"


_LEFT_OUT = {
    "cell": "left-out cells",
    "batch_size": "left-out batch sizes",
    "group": "left-out groups",
    "largest_third": "larger batches",
}

_SENTENCES: dict[str, str | Callable[..., str]] = {
    # Why an answer should not be trusted.
    "extrapolated": _extrapolated,
    "acts as SGD": (
        "{which} is {ratio:.3g} times the gradient's RMS: Adam divides by little else and acts as "
        "SGD with momentum, its best learning rate growing in proportion to eps"
    ),
    "comes to act as SGD": (
        "{which} is {ratio:.3g} times the gradient's RMS, though only {ratio_with_noise:.2g} times "
        "that of the noisy batch gradient: with larger batches Adam comes to act as SGD with "
        "momentum"
    ),
    # What a law through a tuned run takes for granted.
    "no error bar": ("noise scale {noise_scale:g}: {source}, with no error bar, hence no interval"),
    "uniform population": _population("every coordinate alike"),
    "gaussian population": _population(
        "gradients of the coordinates drawn from a Gaussian, equal noise"
    ),
    "sketched population": _sketch,
    "update": _update,
    "horizon": _horizon,
    "eps enters": (
        "eps = {eps:g} {stands} the root, {ratio:.3g} times the gradient's RMS {grad_rms:g}"
    ),
    "eps acts": _eps_acts,
    "second moments": (
        "eps = {eps:g} acts by Adam's second moments, whose mean root is {mean_root:.3g}; taken "
        "at the start or after convergence they mislead (T-J1)"
    ),
    "no eps": "moments '{moments}' have no eps",
    "eps without gradient": (
        "eps = {eps:g} as in the tuned run; what it does as the batch grows is not known without "
        "Adam's second moments, which is harmless while eps is far below sqrt(v)"
    ),
    # What a posterior takes for granted, and what would narrow it.
    "prior": (
        "how optima depend on the batch size, and how they scatter, is believed to be as in "
        "sweeps of other models, published and our own (T-K2)"
    ),
    "optimizer as tuned": (
        "optimizer, model and budget are those of the tuned run; beta1 changes nothing over a run "
        "of many steps (T-I1)"
    ),
    "noise scale to a factor": "noise scale {noise_scale:g}, good to a factor of 2",
    "noise scale range": "the noise scale lies between {low:g} and {high:g} with probability 0.9",
    "narrow": "measure the noise scale (--noise-scale), or tune at a second batch size (--points)",
    "narrow the noise scale": (
        "measure the noise scale more closely, or tune at a second batch size (--points)"
    ),
    "track record": _track_record,
    # What a fitted law takes for granted, and how well it fits.
    "as in the fitted runs": (
        "optimizer, model family, schedule and budget are those of the runs that it rests on"
    ),
    "setting": _setting,
    "few draws": (
        "the posterior's draws are worth only {effective:.3g} independent ones: its interval is "
        "rough"
    ),
    # The shape of a law, as probabilities.
    "slope": (
        "at batch size {batch_size:.10g} the rate grows as B^{exponent:+.2f} (90% interval "
        "{low:+.2f} to {high:+.2f}; the square root is 0.5)"
    ),
    "rise ended": (
        "by batch size {batch_size:.10g} the rise has ended: probability {probability:.2g}"
    ),
    "falls": "at batch size {batch_size:.10g} the optimum falls: probability {probability:.2g}",
    # How a table was read.
    "read as": "read as {kind}: {runs}",
    "guessed": _guessed,
    "batch sizes in": "batch sizes are in {unit}, by the name {column!r}",
    "rows twice": "{rows} rows are there twice, with the same loss: dropped",
    "left out, by state": lambda runs, total, state, broke: (
        f"{runs} of {total} runs left out: "
        f"{'broke off, and not by its loss' if broke else 'not finished'} ({state})"
    ),
    "diverged, by state": "{runs} of {total} runs diverged: {state}, and the loss not finite",
    "several lengths": lambda column, values: (
        f"runs differ in {column} ({', '.join(map(repr, values))}); if a scheduler stopped some "
        "early, leave them out by a condition (--where)"
    ),
    "not evaluated": "{runs} of {total} runs left out: no {loss!r}, but {other!r}",
    "no experiments": "{rows} of {total} rows left out: no finished experiments",
    "last rows": "of {rows} rows the last of each of {runs} runs is kept",
    "not used": lambda columns: (
        f"not used, though varied at one batch size: {', '.join(map(repr, columns))}; if the best "
        "rate depends on one, name it (--covariate), or keep the rows of one value"
    ),
    "one eps": "eps is {eps:g} in every run: not varied",
    # What steps to a target do not tell.
    "never reached": (
        "rows without {column}: {rows} of {total}, left out as runs that never reached the target"
    ),
    "groups without size": "{column} is not always a size: no dependence on it is fitted",
    "several rates": (
        "WARNING: {column} has several values at one batch size; the law is about the best of "
        "them, so keep only those rows"
    ),
    "no trend": (
        "no dependence of the critical batch size on {covariate}: fewer than two groups of "
        "different {covariate} have a finite one"
    ),
    "not in the trend": (
        "{group} is not in the dependence of the critical batch size on {covariate}"
    ),
    "trend of two": "two groups determine the dependence exactly, hence without intervals",
    # What became of the runs of a sweep, and how well its law predicts.
    "diverged": "{runs} of {total} runs diverged; they bound the optimum from above",
    "untold": (
        "{cells} cells are left out: fewer than two learning rates at which runs did not diverge"
    ),
    "repetitions": "runs with the same settings count as repetitions, each with its own seed",
    "bounds": (
        "{cells} of {total} cells have their lowest loss at the edge of the learning rates tried: "
        "they count as bounds"
    ),
    "one batch size": "one batch size only: what others want is as in sweeps of other models",
    "a rule is better": lambda rule, by, error, ours: (
        f"the {rule} rule predicts {_LEFT_OUT[by]} better, to {error:.2g} octave; the law to "
        f"{ours:.2g}"
    ),
    "mostly bounds": (
        "only {known} of {total} cells have their best learning rate inside what was tried; the "
        "others give bounds; try more learning rates"
    ),
    # Where the numbers of a plan come from.
    "valleys of others": (
        "how losses rise ({curvature:.2g} % per octave squared) and scatter ({noise:.2g} %) is "
        "as in seven other sweeps, for there are no losses at two learning rates of one cell"
    ),
    "valleys seen": (
        "how losses rise ({curvature:.2g} % per octave squared) and scatter ({noise:.2g} %) is "
        "learned from these runs (cells: {cells}) and from other sweeps"
    ),
    "cost": _cost,
    "least gain": (
        "a run pays if it is expected to lower the target's loss by {share:.2g} % times its cost "
        "(--least)"
    ),
    "default rate": "{name} = {value:g}, the default of PyTorch and optax",
    # Where a rule for recipes leaves its domain.
    "sqrt-sde below 0": (
        "sqrt-sde leaves its domain: {name} = {beta:.3g} is below 0; from batch size "
        "{batch_size:.10g} it reaches up to {reach:.10g}"
    ),
    "sqrt-sde without noise scale": (
        "sqrt-sde holds below the gradient noise scale only, which is not known here"
    ),
    "sqrt-sde above the noise scale": (
        "sqrt-sde leaves its domain: noise does not dominate the gradient at batch sizes above "
        "the noise scale, {noise_scale:.3g}"
    ),
    "half-life under one step": (
        "half-life leaves its domain: that of {name} = {beta:.3g} is under one step"
    ),
    "weight-decay under one step": (
        "weight-decay leaves its domain: lr x weight decay is {product:.3g}, a timescale under "
        "one step"
    ),
    "change left out": "the change of {name} does not enter the learning rate",
    "law of another run": (
        "the law's own learning rate at batch size {batch_size:.10g} is {times:.3g} times the "
        "recipe's: is it of this model and optimizer? Only its ratio is used"
    ),
}
