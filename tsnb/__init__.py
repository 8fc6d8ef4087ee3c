"""Ship a Hugging Face Transformers model as TorchScript, and see for yourself what breaks.

The public names are listed in `__init__.pyi`; each is imported when it is first used, so that
`import tsnb` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
