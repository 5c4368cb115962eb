"""The limit of a large epsilon, where Adam is SGD (T-B11)."""

from scaling.errors import InputError
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.transfer import TransferLaw
from scaling.numeric.moments.models import evaluate

#: Where eps^2 E[phi^2] has reached its limit to rounding; the next term is of order 1/b.
_LARGE = 1e12


def sgd_limit(law: TransferLaw) -> TransferLaw:
    """SGD's law to which lr*/eps tends as eps grows.

    Parameters
    ----------
    law : TransferLaw
        Of a uniform population; its own eps does not matter.

    Returns
    -------
    TransferLaw
        In units of its value at a huge batch, where lr*/(eps/gamma) is the limit that SignSGD's
        learning rate has there. Its noise is what the moment model leaves of the noise:
        pi/2 times the variance in the article's form, the variance itself without
        stand-ins, with momentum c times that (T-D1).

    Raises
    ------
    InputError
        If the population is not uniform, or the model has no epsilon.

    Notes
    -----
    theory.md T-B11 and T-D1.

    Examples
    --------
    >>> run, statistics = Recipe(3e-4, 256, beta1=0.0), GradientStatistics(4000, grad_rms=1e-6)
    >>> limit = sgd_limit(TransferLaw(run, statistics, moments="article"))
    >>> print(f"{limit.critical_batch_size:.1f} {limit.learning_rate(1e12):.3f}")
    6283.2 1.000
    """
    if law.population != "uniform":
        raise InputError(f"must be uniform, got {law.population!r}", "population")
    if law.model.eps == "absent":
        raise InputError(f"{law.moments!r} have no eps", "moments")
    update = law.model.bind(law.beta1, law.beta2, law.step)
    noise = float(evaluate(update, 0.0, _LARGE)[1]) * _LARGE**2
    statistics = GradientStatistics(
        noise * law.statistics.noise_scale, curvature_ratio=law.statistics.curvature_ratio
    )
    unscaled = TransferLaw(Recipe(1.0, law.recipe.batch_size), statistics, moments="sgd")
    rate = 1 / unscaled.learning_rate_limit
    return TransferLaw(Recipe(rate, law.recipe.batch_size), statistics, moments="sgd")
