"""Answers and what is made of them: `(exercise, answer, kind or mistake)` in a list for each notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.practice.exercises import exercise

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.practice.exercises.base import Judgement


class Later:
    """An answer that is made when it is needed, because it takes a model."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def judge(name: str, answer: Any) -> Judgement:
    """Judge an answer; no value of a sentence is left open."""
    judgement = exercise(name).judge(answer.make() if isinstance(answer, Later) else answer)
    assert judgement.kind == "type" or "{" not in judgement.text
    return judgement


def verdict(name: str, answer: Any) -> str:
    """Return the mistake, or, where it is no common one, the kind."""
    kind, mistake, _ = judge(name, answer)
    return mistake or kind
