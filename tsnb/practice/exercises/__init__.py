"""The exercises of the course, a module for each notebook. How to write one: `tsnb.checks`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import ExerciseError, suggest

if TYPE_CHECKING:
    from tsnb.practice.exercises.base import Exercise

MODULES = {  # the number of a notebook, and the module with its exercises and its quiz
    "01": "flag_and_untying",
    "02": "dummy_inputs_and_tracing",
    "03": "save_and_load",
    "04": "inference",
    "05": "neuron_conversion",
}


@cache
def exercises(notebook: str | None = None) -> tuple[Exercise, ...]:
    """Return the exercises of a notebook, or of the course, in the order of the text.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    numbers = MODULES if notebook is None else [_known(notebook)]
    return tuple(found for number in numbers for found in _module(number).EXERCISES)


@cache
def exercise(name: str) -> Exercise:
    """Return an exercise by its name.

    Raises
    ------
    ExerciseError
        There is no such exercise.
    """
    by_name = {found.name: found for found in exercises()}
    if name not in by_name:
        raise ExerciseError(f"There is no exercise called {name}. {suggest(str(name), by_name)}")
    return by_name[name]


@cache
def right_choices(notebook: str) -> str:
    """Return the letters of the right choices of a notebook's quiz.

    Raises
    ------
    ExerciseError
        There is no such notebook.
    """
    return str(_module(_known(notebook)).QUIZ)


def _known(notebook: str) -> str:
    if notebook not in MODULES:
        raise ExerciseError(f"There is no notebook {notebook} with exercises. Known: {', '.join(MODULES)}.")
    return notebook


def _module(number: str) -> Any:
    return import_module(f"{__package__}.{MODULES[number]}")
