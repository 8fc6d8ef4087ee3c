"""An answer that is a guess for each of several things. How to write an exercise: `tsnb.checks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tsnb.practice.exercises.base import Facts, Property


def guesses(keys: Collection[Any], kind: type) -> Callable[[Any], bool]:
    """Return what tells a dict with a guess of this kind for each key, and no other.

    >>> guesses(("deepcopy", "half"), bool)({"deepcopy": True, "half": False})
    True
    """
    return lambda answer: (
        isinstance(answer, dict)
        and set(answer) == set(keys)
        and all(isinstance(held, kind) for held in answer.values())
    )


def compared(answer: Mapping[Any, Any], truth: Mapping[Any, Any]) -> Facts:
    """Return which guesses are wrong, as a list and in words, and how many are right.

    >>> compared({"half": True, "new": True}, {"half": True, "new": False})["missed"]
    ['new']
    """
    wrong = [key for key, held in truth.items() if answer[key] != held]
    named = ", ".join(f"`{key}`" for key in wrong)
    counts = {"right": len(truth) - len(wrong), "count": len(truth)}
    return {"missed": wrong, "named": named, **counts}


def missed(key: Any) -> Property:
    """Return what tells whether the guess for this one was wrong."""
    return lambda facts: key in facts["missed"]


def missed_only(key: Any) -> Property:
    """Return what tells whether the guess for this one was wrong, and no other."""
    return lambda facts: facts["missed"] == [key]


def all_right(facts: Facts) -> bool:
    """Return whether no guess was wrong."""
    return not facts["missed"]
