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
[0.000249, 0.0003, 0.000246]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaling.errors import DataError as DataError
    from scaling.errors import InputError as InputError
    from scaling.errors import MissingExtraError as MissingExtraError
    from scaling.errors import ScalingError as ScalingError
    from scaling.numeric.accuracy import MomentErrors as MomentErrors
    from scaling.numeric.accuracy import learning_rate_error as learning_rate_error
    from scaling.numeric.accuracy import moment_errors as moment_errors
    from scaling.numeric.batch_size_law import BatchSizeLaw as BatchSizeLaw
    from scaling.numeric.law import Law as Law
    from scaling.numeric.law import Point as Point
    from scaling.numeric.law import Provenance as Provenance
    from scaling.numeric.moments import MOMENT_MODELS as MOMENT_MODELS
    from scaling.numeric.moments import Moments as Moments
    from scaling.numeric.moments import update_moments as update_moments
    from scaling.numeric.optima import FittedLaw as FittedLaw
    from scaling.numeric.optima import fit_optima as fit_optima
    from scaling.numeric.population import GradientPopulation as GradientPopulation
    from scaling.numeric.quadratic import QuadraticOptimum as QuadraticOptimum
    from scaling.numeric.quadratic import mean_field_law as mean_field_law
    from scaling.numeric.quadratic import quadratic_optimum as quadratic_optimum
    from scaling.numeric.recipe import GradientStatistics as GradientStatistics
    from scaling.numeric.recipe import Recipe as Recipe
    from scaling.numeric.recipe_rules import RECIPE_RULES as RECIPE_RULES
    from scaling.numeric.recipe_rules import RecipeRule as RecipeRule
    from scaling.numeric.recipe_rules import RuledRecipe as RuledRecipe
    from scaling.numeric.recipe_rules import recipe as recipe
    from scaling.numeric.recipe_text import constructor_lines as constructor_lines
    from scaling.numeric.rules import power_rule as power_rule
    from scaling.numeric.rules import rules_of_thumb as rules_of_thumb
    from scaling.numeric.schedule import LearningRateSchedule as LearningRateSchedule
    from scaling.numeric.schedule import schedule as schedule
    from scaling.numeric.search_space import SearchSpace as SearchSpace
    from scaling.numeric.simulation import SimulatedMoments as SimulatedMoments
    from scaling.numeric.simulation import simulate_moments as simulate_moments
    from scaling.numeric.steps import StepsLaw as StepsLaw
    from scaling.numeric.steps import fit_steps as fit_steps
    from scaling.numeric.storage import load_law as load_law
    from scaling.numeric.storage import save_law as save_law
    from scaling.numeric.sweep.fit import SweepFit as SweepFit
    from scaling.numeric.sweep.fit import fit_sweep as fit_sweep
    from scaling.numeric.sweep.law import SweepLaw as SweepLaw
    from scaling.numeric.sweep.runs import Runs as Runs
    from scaling.numeric.sweep.simulate import simulate_sweep as simulate_sweep
    from scaling.numeric.tables import Table as Table
    from scaling.numeric.tables import as_table as as_table
    from scaling.numeric.tables import read_optima as read_optima
    from scaling.numeric.tables import read_table_file as read_table_file
    from scaling.numeric.tradeoff import Tradeoff as Tradeoff
    from scaling.numeric.tradeoff import fit_tradeoff as fit_tradeoff
    from scaling.numeric.transfer import TransferLaw as TransferLaw
    from scaling.numeric.update_rms import ratio_from_update_rms as ratio_from_update_rms
    from scaling.numeric.update_rms import update_rms as update_rms

#: Where each public name lives; a test holds it equal to the imports above.
_HOME = {
    "scaling.errors": ("DataError", "InputError", "MissingExtraError", "ScalingError"),
    "scaling.numeric.accuracy": ("MomentErrors", "learning_rate_error", "moment_errors"),
    "scaling.numeric.batch_size_law": ("BatchSizeLaw",),
    "scaling.numeric.law": ("Law", "Point", "Provenance"),
    "scaling.numeric.moments": ("MOMENT_MODELS", "Moments", "update_moments"),
    "scaling.numeric.optima": ("FittedLaw", "fit_optima"),
    "scaling.numeric.population": ("GradientPopulation",),
    "scaling.numeric.quadratic": ("QuadraticOptimum", "mean_field_law", "quadratic_optimum"),
    "scaling.numeric.recipe": ("GradientStatistics", "Recipe"),
    "scaling.numeric.recipe_rules": ("RECIPE_RULES", "RecipeRule", "RuledRecipe", "recipe"),
    "scaling.numeric.recipe_text": ("constructor_lines",),
    "scaling.numeric.rules": ("power_rule", "rules_of_thumb"),
    "scaling.numeric.schedule": ("LearningRateSchedule", "schedule"),
    "scaling.numeric.search_space": ("SearchSpace",),
    "scaling.numeric.simulation": ("SimulatedMoments", "simulate_moments"),
    "scaling.numeric.steps": ("StepsLaw", "fit_steps"),
    "scaling.numeric.storage": ("load_law", "save_law"),
    "scaling.numeric.sweep.fit": ("SweepFit", "fit_sweep"),
    "scaling.numeric.sweep.law": ("SweepLaw",),
    "scaling.numeric.sweep.runs": ("Runs",),
    "scaling.numeric.sweep.simulate": ("simulate_sweep",),
    "scaling.numeric.tables": ("Table", "as_table", "read_optima", "read_table_file"),
    "scaling.numeric.tradeoff": ("Tradeoff", "fit_tradeoff"),
    "scaling.numeric.transfer": ("TransferLaw",),
    "scaling.numeric.update_rms": ("ratio_from_update_rms", "update_rms"),
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
