"""What Adam's update is on average: models, closed forms, exact Adam, simulation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
