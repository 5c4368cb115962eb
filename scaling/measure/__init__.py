"""What a training run tells: the noise scale, and what epsilon does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
