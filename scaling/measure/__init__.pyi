from .adapters import lightning_callback as lightning_callback
from .adapters import trainer_callback as trainer_callback
from .checkpoints.checkpoint import Checkpoint as Checkpoint
from .checkpoints.checkpoint import MeasuredGroup as MeasuredGroup
from .checkpoints.checkpoint import read_checkpoint as read_checkpoint
from .checkpoints.checkpoint import read_second_moments as read_second_moments
from .noise_average import NoiseEstimate as NoiseEstimate
from .noise_scale import NoiseScale as NoiseScale
