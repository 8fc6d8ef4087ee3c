"""Sentences for the embedded model: generated from a small grammar, the same for the same seed."""

from __future__ import annotations

import random
import string
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from tsnb.base.errors import InputError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIAL_TOKENS = 2  # around a text: [CLS] and [SEP]
SPREAD = (3.3, 0.6)  # of the logarithm of a text's tokens: mean and standard deviation
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
    """True if a name is kept from training: about one pair of names in ten, and Jim Henson.

    >>> held_out("jim", "henson")
    True
    """
    words = grammar()
    return (first, last) == ("jim", "henson") or (
        words["first"].index(first) + 7 * words["last"].index(last)
    ) % 10 == 0


def person(rng: random.Random, *, unseen: bool) -> tuple[str, str]:
    """Draw a first and a last name, from the held-out pairs or from the others.

    >>> from random import Random
    >>> held_out(*person(Random(0), unseen=True))
    True
    """
    words = grammar()
    while True:
        first, last = rng.choice(words["first"]), rng.choice(words["last"])
        if held_out(first, last) == unseen:
            return first, last


def fill(rng: random.Random, template: str, chosen: dict[str, str]) -> str:
    """Put a random word into each field of a template that `chosen` does not fill, and note it there.

    >>> from random import Random
    >>> fill(Random(0), "{first} was a {job}", {"first": "jim"})
    'jim was a charioteer'
    """
    fields = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    for name in sorted(fields - chosen.keys()):
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
    first, last = person(rng, unseen=unseen)
    chosen = {"first": first, "last": last}
    template = rng.choice(grammar()["pair"])
    question = fill(rng, template["question"], chosen)
    return Pair(question, fill(rng, template["answer"], chosen), first, last)


def vocabulary() -> list[str]:
    """Return the WordPiece vocabulary: special pieces, characters, then the grammar's words."""
    data = grammar()
    characters = string.ascii_lowercase + string.digits
    cut = data["pieces"]
    templates = [text for item in data["pair"] for text in item.values()] + data["sentences"]["story"]
    words = {word for text in templates for word in text.split() if "{" not in word}
    words |= {word for name in LISTS for word in data[name]} - cut.keys()
    words |= {piece for pieces in cut.values() for piece in pieces}
    plain = [*characters, *string.punctuation, *(f"##{character}" for character in characters)]
    return [*SPECIAL, *plain, *sorted(words - set(plain))]


def texts(count: int = 1000, seed: int = 0, longest: int = 128) -> list[str]:
    """Make texts of one to many sentences, each about one person, short ones far more often.

    The lengths aimed at are log-normal, with a mean of about 30 tokens; longer ones than `longest`
    become `longest`. A text ends where no sentence that it does not have yet would fit.

    Parameters
    ----------
    count
        How many texts.
    seed
        The same seed gives the same texts.
    longest
        At most so many tokens of the embedded model's tokenizer, special tokens included; at
        least 7, which a short question takes.

    Raises
    ------
    InputError
        `longest` is too small.

    Examples
    --------
    >>> texts(1, seed=5, longest=16)
    ['where was yara rogers born ? yara rogers was born in chicago .']

    Taught in notebook 02.
    """
    least = SPECIAL_TOKENS + min(map(most_pieces, _templates()))
    if longest < least:
        raise InputError(f"longest must be a whole number of at least {least}; got {longest}.")
    rng = random.Random(seed)
    aims = (round(rng.lognormvariate(*SPREAD)) for _ in range(count))
    rooms = (min(max(aim, least), longest) - SPECIAL_TOKENS for aim in aims)
    return [" ".join(text for _, text in sentences(rng, room)) for room in rooms]


def pieces(text: str) -> int:
    """Count the pieces of a generated text, without special tokens.

    >>> pieces("jim henson was a puppeteer .")
    7
    """
    cut = grammar()["pieces"]
    return sum(len(cut.get(word, (word,))) for word in text.split())


def most_pieces(template: str) -> int:
    """Return how many pieces a template makes at most: two where a job may stand, else one a word.

    >>> most_pieces("{first} {last} was a {job}")
    6
    """
    return len(template.split()) + template.count("{job}")


@cache
def _templates() -> tuple[str, ...]:
    """Return what a text is made of: stories, questions, answers, and both."""
    data = grammar()
    pairs = [(item["question"], item["answer"]) for item in data["pair"]]
    answered = [f"{question} {answer} ." for question, answer in pairs]
    plain = [question for question, _ in pairs] + [f"{answer} ." for _, answer in pairs]
    return (*data["sentences"]["story"], *plain, *answered)


def sentences(rng: random.Random, room: int, *, unseen: bool = False) -> list[tuple[str, str]]:
    """Draw sentences about one person until none fits; none twice before all were drawn.

    Parameters
    ----------
    rng
        Source of chance; the same state gives the same sentences.
    room
        At most so many pieces.
    unseen
        Take a name from the held-out pairs.

    Returns
    -------
    list
        `(template, sentence)`.

    Examples
    --------
    >>> from random import Random
    >>> sentences(Random(2), 6)
    [('who was {first} {last} ?', 'who was ella fisher ?')]
    """
    first, last = person(rng, unseen=unseen)
    drawn: list[tuple[str, str]] = []
    left = list(_templates())
    while fitting := [template for template in left if most_pieces(template) <= room]:
        template = rng.choice(fitting)
        drawn.append((template, fill(rng, template, {"first": first, "last": last})))
        room -= pieces(drawn[-1][1])
        left.remove(template)
        left = left or list(_templates())
    return drawn
