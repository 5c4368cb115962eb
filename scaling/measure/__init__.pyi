from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import MeasuredGroup as MeasuredGroup
from .checkpoint import read_checkpoint as read_checkpoint
from .checkpoint import read_second_moments as read_second_moments
