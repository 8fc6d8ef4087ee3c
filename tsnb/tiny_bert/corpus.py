"""Sentences for the embedded model: generated from a small grammar, the same for the same seed."""

from __future__ import annotations

import string
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LISTS = ("first", "last", "job", "city", "season", "place", "thing", "made")


class Pair(NamedTuple):
    """A question and its answer; both name the same person."""

    question: str
    answer: str
    first: str
    last: str


@cache
def grammar() -> dict[str, Any]:
    """Return the word lists and templates of `grammar.toml`."""
    data = tomllib.loads((files(__package__) / "grammar.toml").read_text(encoding="utf-8"))
    return data | {name: data[name].split() for name in LISTS}


def held_out(first: str, last: str) -> bool:
    """Tell whether a name is kept from training: about one pair of names in ten, and Jim Henson.

    >>> held_out("jim", "henson")
    True
    """
    words = grammar()
    return (first, last) == ("jim", "henson") or (
        words["first"].index(first) + 7 * words["last"].index(last)
    ) % 10 == 0


def _person(rng: random.Random, *, unseen: bool) -> tuple[str, str]:
    """Draw a first and a last name, from the held-out pairs or from the others."""
    words = grammar()
    while True:
        first, last = rng.choice(words["first"]), rng.choice(words["last"])
        if held_out(first, last) == unseen:
            return first, last


def _fill(rng: random.Random, template: str, chosen: dict[str, str]) -> str:
    """Put a random word into each gap of a template that `chosen` does not fill."""
    gaps = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    for name in sorted(gaps - chosen.keys()):
        chosen[name] = rng.choice(grammar()[name])
    return template.format(**chosen)


def pair(rng: random.Random, *, unseen: bool = False) -> Pair:
    """Draw a question and its answer.

    Parameters
    ----------
    rng
        Source of chance; the same state gives the same pair.
    unseen
        Take a name from the held-out pairs, which the model was not trained on.

    Examples
    --------
    >>> from random import Random
    >>> drawn = pair(Random(0))
    >>> drawn.last in drawn.question and drawn.last in drawn.answer
    True
    """
    first, last = _person(rng, unseen=unseen)
    chosen = {"first": first, "last": last}
    template = rng.choice(grammar()["pair"])
    question = _fill(rng, template["question"], chosen)
    return Pair(question, _fill(rng, template["answer"], chosen), first, last)


def vocabulary() -> list[str]:
    """Return the WordPiece vocabulary: special pieces, characters, then the grammar's words."""
    data = grammar()
    characters = string.ascii_lowercase + string.digits
    cut = data["pieces"]
    templates = [text for item in data["pair"] for text in item.values()] + data["sentences"][
        "story"
    ]
    words = {word for text in templates for word in text.split() if "{" not in word}
    words |= {word for name in LISTS for word in data[name]} - cut.keys()
    words |= {piece for pieces in cut.values() for piece in pieces}
    plain = [*characters, *string.punctuation, *(f"##{character}" for character in characters)]
    return [*SPECIAL, *plain, *sorted(words - set(plain))]
