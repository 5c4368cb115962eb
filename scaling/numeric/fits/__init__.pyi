from .optima import fit_optima as fit_optima
from .simulate import known_law as known_law
from .simulate import simulate_sweep as simulate_sweep
from .sweep import SweepFit as SweepFit
from .sweep import fit_sweep as fit_sweep
