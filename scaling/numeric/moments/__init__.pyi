from .models import MOMENT_MODELS as MOMENT_MODELS
from .models import Moments as Moments
from .rms import ratio_from_update_rms as ratio_from_update_rms
from .rms import update_rms as update_rms
from .simulation import SimulatedMoments as SimulatedMoments
from .simulation import simulate_moments as simulate_moments
