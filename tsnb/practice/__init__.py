"""Exercises that check themselves, the record of what a reader solved, and quizzes.

Every notebook from 01 to 06 has some. Begin with `checks`, which is all that notebooks call and tells how to
write an exercise; then `exercises/base.py`, and a notebook's functions and texts beside it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
