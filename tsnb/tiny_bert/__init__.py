"""The embedded model: a small trained BERT, its tokenizer, its card, and the sentences it was trained on.

It is what notebooks 00 to 06 work with, offline. Begin with `corpus`; tools/tiny_bert trained it.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
