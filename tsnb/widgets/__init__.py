"""The widgets of notebooks 02 to 05, a module each: traits, their text form, and controls for them.

Begin with `base.py`, what every view does, and `padding.py`, the plainest of them; `event_loop.py` is how a
widget works without a thread. The public names are listed in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
