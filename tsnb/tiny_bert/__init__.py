"""The embedded model: a small trained BERT, its tokenizer, its card, what made it."""

from pathlib import Path

FOLDER = Path(__file__).parent
