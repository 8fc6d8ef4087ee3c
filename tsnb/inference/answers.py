"""What fewer bits do to answers: held-out questions to a trained head. Taught in notebook 04."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from tsnb.base.machine import return_memory
from tsnb.inference.runner import FULL, Runner
from tsnb.models.load import load
from tsnb.tracing.inputs import dummy_inputs
from tsnb.tracing.trace import trace

if TYPE_CHECKING:
    from tsnb.inference.engines import Engine
    from tsnb.inference.freezing import Bits
    from tsnb.tracing.inputs import Text
    from tsnb.tracing.traced import Traced

    Places = list[tuple[int, int]]


ROWS = 8
CHUNK = 125  # questions at once: what a tokenizer makes of all takes more memory than the model


class Answers(NamedTuple):
    """How many of some answers changed, and how many were right before and after."""

    changed: int
    before: int
    after: int
    questions: int

    def __str__(self) -> str:
        return (
            f"of {self.questions:,} held-out questions to tiny-bert, {self.changed:,} answers change: "
            f"{self.before / self.questions:.1%} are right before, {self.after / self.questions:.1%} after"
        )


def answers(backend: Engine = "torch", bits: Bits = 32) -> Answers:
    """Ask tiny-bert 1,000 held-out questions in fewer bits, and compare its answers with those in 32.

    Each is about a text with a name that training never had; an answer is a place in the text. What is true for
    this small model need not be for yours: count with your own questions what a backend changes.

    Parameters
    ----------
    backend, bits
        As for `tsnb.Runner`.

    Examples
    --------
    >>> answers("torch", 16).changed < 10
    True

    Taught in notebook 04.
    """
    before, (_, tokenizer, ids, rows) = _places("torch", FULL), _task()
    after = before if (backend, bits) == ("torch", FULL) else _places(backend, bits)
    changed = sum(one != other for one, other in zip(before, after, strict=True))

    def right(places: Places) -> int:
        words = (tokenizer.decode(row[start : end + 1]) for row, (start, end) in zip(ids, places, strict=True))
        return sum(text == answer for text, (_, _, answer) in zip(words, rows, strict=True))

    return Answers(changed, right(before), right(after), len(rows))


@cache
def _task() -> tuple[Traced, Any, list[list[int]], list[list[str]]]:
    """Return the trace, its tokenizer, and each question's token ids, and its words, text and answer."""
    content = (files("tsnb.tiny_bert") / "questions.csv").read_text(encoding="utf-8")
    rows = [*csv.reader(io.StringIO(content))][1:]
    model, tokenizer = load("tiny-bert", head="question-answering")
    ids = [tokenizer(question, text)["input_ids"] for question, text, _ in rows]
    longest = max(map(len, ids))
    traced = trace(model, dummy_inputs(tokenizer, model, max_length=longest, batch_size=ROWS))
    one = replace(traced.contract, verified=((ROWS, longest),))  # of many shapes oneDNN would keep a kernel each
    return replace(traced, contract=one), tokenizer, ids, rows


@cache
def _places(backend: Engine, bits: Bits) -> Places:
    """Return the first and the last piece of each answer."""
    traced, tokenizer, _, questions = _task()
    pairs: list[Text] = [(question, text) for question, text, _ in questions]
    runner = Runner(traced, tokenizer, backend=backend, bits=bits)
    chunks = (pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK))
    rows = (row for chunk in chunks for row in runner(chunk))
    places = [(int(row["start_logits"].argmax()), int(row["end_logits"].argmax())) for row in rows]
    return_memory()
    return places
