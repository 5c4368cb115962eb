"""Figures: one function for each, from arrays or a law to a Matplotlib Figure.

Functions draw on the axes given (``ax`` or, for several panels, ``figure``) or make a new Figure,
return it, and save nothing; `save_figure` does. `FIGURES` holds those that can be drawn by name.
"""

from scaling.plotting.figures.atlas import error_atlas as error_atlas
from scaling.plotting.figures.atlas import error_atlas_learning_rate as error_atlas_learning_rate
from scaling.plotting.figures.batch_size import learning_rate_eps as learning_rate_eps
from scaling.plotting.figures.batch_size import momentum as momentum
from scaling.plotting.figures.lab import lab_beta1 as lab_beta1
from scaling.plotting.figures.lab import lab_changes as lab_changes
from scaling.plotting.figures.lab import lab_eps as lab_eps
from scaling.plotting.figures.lab import lab_optimum as lab_optimum
from scaling.plotting.figures.lab import lab_rise as lab_rise
from scaling.plotting.figures.laws import learning_rate as learning_rate
from scaling.plotting.figures.laws import marek as marek
from scaling.plotting.figures.laws import planned_runs as planned_runs
from scaling.plotting.figures.moments import beta as beta
from scaling.plotting.figures.moments import mean_update as mean_update
from scaling.plotting.figures.moments import second_moment as second_moment
from scaling.plotting.figures.rms import update_rms_beta1 as update_rms_beta1
from scaling.plotting.figures.rms import update_rms_noise as update_rms_noise
from scaling.plotting.figures.stand_ins import erf_stand_ins as erf_stand_ins
from scaling.plotting.figures.stand_ins import softsign_and_clip as softsign_and_clip
from scaling.plotting.figures.steps import steps_against_examples as steps_against_examples
from scaling.plotting.figures.steps import steps_examples as steps_examples
from scaling.plotting.figures.surge import surge_eps as surge_eps
from scaling.plotting.figures.surge import surge_momentum as surge_momentum
from scaling.plotting.figures.valleys import loss_valley as loss_valley
from scaling.plotting.figures.valleys import sweep_valleys as sweep_valleys
from scaling.plotting.figures.valleys import valley as valley
from scaling.plotting.gallery import FIGURES as FIGURES
from scaling.plotting.gallery import NamedFigure as NamedFigure
from scaling.plotting.gallery import named_figure as named_figure
from scaling.plotting.saving import save_figure as save_figure
