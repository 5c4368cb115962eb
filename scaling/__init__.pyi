from . import data as data
from .errors import DataError as DataError
from .errors import InputError as InputError
from .errors import MissingExtraError as MissingExtraError
from .errors import ScalingError as ScalingError
from .numeric.fits.optima import fit_optima as fit_optima
from .numeric.fits.simulate import simulate_sweep as simulate_sweep
from .numeric.fits.sweep import fit_sweep as fit_sweep
from .numeric.inputs.recipe import GradientStatistics as GradientStatistics
from .numeric.inputs.recipe import Recipe as Recipe
from .numeric.laws.accuracy import learning_rate_error as learning_rate_error
from .numeric.laws.batch_size_law import BatchSizeLaw as BatchSizeLaw
from .numeric.laws.quadratic import quadratic_optimum as quadratic_optimum
from .numeric.laws.transfer import TransferLaw as TransferLaw
from .numeric.moments.models import update_moments as update_moments
from .numeric.planning.plan import plan as plan
from .numeric.population.gradients import GradientPopulation as GradientPopulation
from .numeric.population.second_moments import SecondMoments as SecondMoments
from .numeric.recipes.recipe_rules import recipe as recipe
from .numeric.recipes.schedule import schedule as schedule
from .numeric.storage import load_law as load_law
from .numeric.storage import save_law as save_law
from .numeric.tradeoff.steps import fit_steps as fit_steps
from .numeric.tradeoff.tradeoff import fit_tradeoff as fit_tradeoff

__version__: str
