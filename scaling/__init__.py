"""The optimal learning rate of Adam as a function of batch size and epsilon.

Names are imported when they are first used, so ``import scaling`` costs nothing.

Examples
--------
>>> import scaling
>>> law = scaling.TransferLaw(
...     scaling.Recipe(learning_rate=3e-4, batch_size=256),
...     scaling.GradientStatistics(noise_scale=4000),
... )
>>> law.learning_rate([64, 256, 1024]).round(6).tolist()
[0.000154, 0.0003, 0.000552]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaling.errors import DataError as DataError
    from scaling.errors import InputError as InputError
    from scaling.errors import MissingExtraError as MissingExtraError
    from scaling.errors import ScalingError as ScalingError
    from scaling.numeric.inference.fit import SweepFit as SweepFit
    from scaling.numeric.inference.fit import fit_sweep as fit_sweep
    from scaling.numeric.inference.optima.optima import FittedLaw as FittedLaw
    from scaling.numeric.inference.optima.optima import fit_optima as fit_optima
    from scaling.numeric.inference.simulate import simulate_sweep as simulate_sweep
    from scaling.numeric.inference.sweep_law import SweepLaw as SweepLaw
    from scaling.numeric.inputs.recipe import GradientStatistics as GradientStatistics
    from scaling.numeric.inputs.recipe import Recipe as Recipe
    from scaling.numeric.laws.accuracy import MomentErrors as MomentErrors
    from scaling.numeric.laws.accuracy import learning_rate_error as learning_rate_error
    from scaling.numeric.laws.accuracy import moment_errors as moment_errors
    from scaling.numeric.laws.batch_size_law import BatchSizeLaw as BatchSizeLaw
    from scaling.numeric.laws.law import Law as Law
    from scaling.numeric.laws.law import Point as Point
    from scaling.numeric.laws.law import Provenance as Provenance
    from scaling.numeric.laws.quadratic import QuadraticOptimum as QuadraticOptimum
    from scaling.numeric.laws.quadratic import mean_field_law as mean_field_law
    from scaling.numeric.laws.quadratic import quadratic_optimum as quadratic_optimum
    from scaling.numeric.laws.rules_of_thumb import power_rule as power_rule
    from scaling.numeric.laws.rules_of_thumb import rules_of_thumb as rules_of_thumb
    from scaling.numeric.laws.search_space import SearchSpace as SearchSpace
    from scaling.numeric.laws.transfer import TransferLaw as TransferLaw
    from scaling.numeric.moments.models import MOMENT_MODELS as MOMENT_MODELS
    from scaling.numeric.moments.models import Moments as Moments
    from scaling.numeric.moments.models import update_moments as update_moments
    from scaling.numeric.moments.simulation import SimulatedMoments as SimulatedMoments
    from scaling.numeric.moments.simulation import simulate_moments as simulate_moments
    from scaling.numeric.moments.update_rms import ratio_from_update_rms as ratio_from_update_rms
    from scaling.numeric.moments.update_rms import update_rms as update_rms
    from scaling.numeric.population.gradients import GradientPopulation as GradientPopulation
    from scaling.numeric.recipes.recipe_rules import RECIPE_RULES as RECIPE_RULES
    from scaling.numeric.recipes.recipe_rules import RecipeRule as RecipeRule
    from scaling.numeric.recipes.recipe_rules import RuledRecipe as RuledRecipe
    from scaling.numeric.recipes.recipe_rules import recipe as recipe
    from scaling.numeric.recipes.recipe_text import constructor_lines as constructor_lines
    from scaling.numeric.recipes.schedule import LearningRateSchedule as LearningRateSchedule
    from scaling.numeric.recipes.schedule import schedule as schedule
    from scaling.numeric.storage import load_law as load_law
    from scaling.numeric.storage import save_law as save_law
    from scaling.numeric.tables.runs import Runs as Runs
    from scaling.numeric.tables.table import Table as Table
    from scaling.numeric.tables.table import as_table as as_table
    from scaling.numeric.tables.table import read_optima as read_optima
    from scaling.numeric.tables.table import read_table_file as read_table_file
    from scaling.numeric.tradeoff.steps import StepsLaw as StepsLaw
    from scaling.numeric.tradeoff.steps import fit_steps as fit_steps
    from scaling.numeric.tradeoff.tradeoff import Tradeoff as Tradeoff
    from scaling.numeric.tradeoff.tradeoff import fit_tradeoff as fit_tradeoff

#: Where each public name lives; a test holds it equal to the imports above.
_HOME = {
    "scaling.errors": ("DataError", "InputError", "MissingExtraError", "ScalingError"),
    "scaling.numeric.laws.accuracy": ("MomentErrors", "learning_rate_error", "moment_errors"),
    "scaling.numeric.laws.batch_size_law": ("BatchSizeLaw",),
    "scaling.numeric.laws.law": ("Law", "Point", "Provenance"),
    "scaling.numeric.moments.models": ("MOMENT_MODELS", "Moments", "update_moments"),
    "scaling.numeric.inference.optima.optima": ("FittedLaw", "fit_optima"),
    "scaling.numeric.population.gradients": ("GradientPopulation",),
    "scaling.numeric.laws.quadratic": ("QuadraticOptimum", "mean_field_law", "quadratic_optimum"),
    "scaling.numeric.inputs.recipe": ("GradientStatistics", "Recipe"),
    "scaling.numeric.recipes.recipe_rules": ("RECIPE_RULES", "RecipeRule", "RuledRecipe", "recipe"),
    "scaling.numeric.recipes.recipe_text": ("constructor_lines",),
    "scaling.numeric.laws.rules_of_thumb": ("power_rule", "rules_of_thumb"),
    "scaling.numeric.recipes.schedule": ("LearningRateSchedule", "schedule"),
    "scaling.numeric.laws.search_space": ("SearchSpace",),
    "scaling.numeric.moments.simulation": ("SimulatedMoments", "simulate_moments"),
    "scaling.numeric.tradeoff.steps": ("StepsLaw", "fit_steps"),
    "scaling.numeric.storage": ("load_law", "save_law"),
    "scaling.numeric.inference.fit": ("SweepFit", "fit_sweep"),
    "scaling.numeric.inference.sweep_law": ("SweepLaw",),
    "scaling.numeric.tables.runs": ("Runs",),
    "scaling.numeric.inference.simulate": ("simulate_sweep",),
    "scaling.numeric.tables.table": ("Table", "as_table", "read_optima", "read_table_file"),
    "scaling.numeric.tradeoff.tradeoff": ("Tradeoff", "fit_tradeoff"),
    "scaling.numeric.laws.transfer": ("TransferLaw",),
    "scaling.numeric.moments.update_rms": ("ratio_from_update_rms", "update_rms"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)  # noqa: PLE0605 - a list, made from the one above


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return __all__
