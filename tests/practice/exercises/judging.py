"""Answers and what is made of them: `(exercise, answer, kind or mistake)` in a list for each notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tsnb.practice.exercises import exercise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tsnb.practice.exercises.base import Judgement

    Answer = tuple[str, Any, str]


class Later:
    """An answer that is made when it is needed, because it takes a model."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def judge(name: str, answer: Any) -> Judgement:
    """Judge an answer; no value of a sentence is left open."""
    judgement = exercise(name).judge(answer.make() if isinstance(answer, Later) else answer)
    assert judgement.kind == "type" or "{" not in judgement.text
    return judgement


def told(name: str, answer: Any) -> str:
    """Return the mistake, or, where it is no common one, the kind."""
    kind, mistake, _ = judge(name, answer)
    return mistake or kind


def table(answers: Iterable[Answer]) -> pytest.MarkDecorator:
    """Run a test for each answer of a list."""
    rows = [pytest.param(*row, id=f"{row[0]}-{row[2]}-{number}") for number, row in enumerate(answers)]
    return pytest.mark.parametrize(("name", "answer", "expected"), rows)
