"""Widgets for the notebooks, each a state (traitlets) and a view (ipywidgets) that shows it.

The public names are listed in `__init__.pyi`. A state needs no ipywidgets and has a text form; a
view shows that text, and its picture, where there is no front end for widgets.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
