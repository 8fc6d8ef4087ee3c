"""The embedded model: a small trained BERT with its heads, its tokenizer, its card, and texts like its own.

Every notebook uses it. `corpus.py` draws the texts; the scripts that trained it are in `tools/tiny_bert`.
"""

from pathlib import Path

import lazy_loader

FOLDER = Path(__file__).parent

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["corpus"])
