"""What an exercise says about an answer, without the reader's record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.practice.exercises import exercise

if TYPE_CHECKING:
    from tsnb.practice.feedback import Feedback

LIMIT = 30.0  # seconds, of a busy machine


def judge(name: str, answer: Any) -> Feedback:
    """Judge an answer; no gap of a sentence is left open."""
    found = exercise(name).judge(answer, LIMIT)
    assert found.kind == "type" or "{" not in found.text
    return found


def told(name: str, answer: Any) -> str:
    """Return the mistake that is told, or, where it is no common one, the kind of feedback."""
    found = judge(name, answer)
    return found.mistake or found.kind
