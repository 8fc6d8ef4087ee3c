"""A trace as a file that says what it needs, and whether it is whole. Taught in notebook 03.

Begin with `save`, which describes the format; `archive` reads the file without torch, `inspect` shows what is
in it, `export` goes from a model's name to a file in one step, and `cpp` runs a file without Python.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
