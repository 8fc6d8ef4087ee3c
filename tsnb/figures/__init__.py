"""Figures: every one a function that returns a Matplotlib Figure; `show` puts it on the page.

They stand in notebooks 02 and 04, by themselves and in widgets.
Begin with `style.py`: colours, the empty figure, and SVG in the colours of the page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
