"""Write the questions by which fewer bits are judged: `python -m tools.tiny_bert.questions`."""

from __future__ import annotations

import csv
import io
import random

from tools.tiny_bert import heads, tasks
from tsnb.tiny_bert import FOLDER

COUNT, SEED = 1000, 2026
FILE = FOLDER / "questions.csv"


def questions() -> str:
    """Return questions about held-out names with their texts and answers, as CSV."""
    rng, text = random.Random(SEED), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("question", "text", "answer"))
    for _ in range(COUNT):
        drawn = tasks.asked(rng, rng.randint(heads.FEWEST, heads.LONG), unseen=True)
        writer.writerow((drawn.question, drawn.text, drawn.text[drawn.start : drawn.end]))
    return text.getvalue()


if __name__ == "__main__":
    FILE.write_text(questions(), encoding="utf-8")
