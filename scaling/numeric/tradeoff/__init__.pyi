from .steps import StepsLaw as StepsLaw
from .tradeoff import Tradeoff as Tradeoff
