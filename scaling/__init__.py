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

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
