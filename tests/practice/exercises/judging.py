"""Answers and what is made of them: `(exercise, answer, kind or mistake)` in a list for each notebook."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import torch
from torch.export import Dim

from tsnb.practice.exercises import exercise
from tsnb.practice.exercises.base import Judgement, embedded

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"


class Later:
    """An answer that is made when it is needed, because it takes a model."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def mistaken(name: str, *changes: tuple[str, str]) -> Later:
    """Return the answer of the solution after changes, each from one piece of its source to another."""

    def make() -> Any:
        source = (NOTEBOOKS / exercise(name).solution).read_text(encoding="utf-8")
        for right, wrong in changes:
            assert right in source
            source = source.replace(right, wrong)
        answers: list[Any] = []
        names = {"__name__": __name__, "torch": torch, "json": json, "inspect": inspect}
        names |= {"tokenizer": embedded()[1], "perf_counter": perf_counter, "Dim": Dim}
        names["checks"] = SimpleNamespace(check=lambda _, answer: answers.append(answer))
        exec(source, names)
        return answers[0]

    return Later(make)


def judge(name: str, answer: Any) -> Judgement:
    """Judge an answer; no value of a sentence is left open."""
    judgement = exercise(name).judge(answer.make() if isinstance(answer, Later) else answer)
    assert judgement.kind == "type" or "{" not in judgement.text
    return judgement
