"""The exercises and quizzes of the course, a module and a file of texts for each notebook from 01 to 06.

Begin with `base.py`: what an exercise is, and how an answer is judged. `tsnb.checks` tells how to write one.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from tsnb.base.errors import ExerciseError, suggest
from tsnb.practice.exercises.base import Exercise

MODULES = {  # the number of a notebook, and the module and the texts of its exercises
    "01": "flag_and_untying",
    "02": "dummy_inputs_and_tracing",
    "03": "save_and_load",
    "04": "inference",
    "05": "neuron_conversion",
    "06": "after_torchscript",
}


@cache
def exercises(notebook: str | None = None) -> tuple[Exercise, ...]:
    """Return the exercises of a notebook, or of the course, in the order of the text.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    return tuple(
        Exercise(name, number, f"{__name__}.{MODULES[number]}", text)
        for number in (MODULES if notebook is None else [notebook])
        for name, text in _texts(number)["exercises"].items()
    )


def exercise(name: str) -> Exercise:
    """Return an exercise by its name.

    Raises
    ------
    ExerciseError
        There is no such exercise.
    """
    by_name = {exercise.name: exercise for exercise in exercises()}
    if name not in by_name:
        raise ExerciseError(f"There is no exercise called {name}. {suggest(str(name), by_name)}")
    return by_name[name]


def questions(notebook: str) -> list[dict[str, str]]:
    """Return a notebook's questions: `question`, the choices `a`, `b` and `c`, which is `right`, `why`.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    return [{key: " ".join(text.split()) for key, text in question.items()} for question in _texts(notebook)["quiz"]]


@cache
def _texts(notebook: str) -> dict[str, Any]:
    if notebook not in MODULES:
        raise ExerciseError(f"There is no notebook {notebook} with exercises. Known: {', '.join(MODULES)}.")
    file = files(__name__) / f"{MODULES[notebook]}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
