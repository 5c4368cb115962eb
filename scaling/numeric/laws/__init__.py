"""The optimal learning rate as a function of batch size and epsilon."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
