from .fit import SweepFit as SweepFit
from .optima.optima import FittedLaw as FittedLaw
from .sweep_law import SweepLaw as SweepLaw
