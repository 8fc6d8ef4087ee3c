"""The labelled examples: what the labels say is what the texts say."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tools.tiny_bert import tasks
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = {*corpus.grammar()["first"], *corpus.grammar()["last"]}
ROOMS = (9, 20, 100)
DRAW: dict[str, Any] = {"asked": tasks.asked, "paired": tasks.paired, "tagged": tasks.tagged}


def drawn(name: str, count: int = 200, *, unseen: bool = False) -> list[Any]:
    rng = random.Random(3)
    return [DRAW[name](rng, room, unseen=unseen) for room in ROOMS for _ in range(count)]


def sentences(text: str) -> list[str]:
    return [f"{part.strip()} ." for part in text.split(" .") if part.strip()]


def fact_of(sentence: str) -> tuple[int, dict[str, str]] | None:
    """Read a sentence by the grammar: the number of its fact, and the words in the gaps."""
    for number, fact in enumerate(corpus.grammar()["fact"]):
        if (words := read(fact["told"], sentence)) is not None:
            return number, words
    return None


def read(template: str, text: str) -> dict[str, str] | None:
    """Return the words of a text in the gaps of a template, if it is one."""
    if len(template.split()) != len(text.split()):
        return None
    pairs = list(zip(template.split(), text.split(), strict=True))
    gaps = {part[1:-1]: word for part, word in pairs if part[0] == "{"}
    fits = all(part[0] == "{" or part == word for part, word in pairs)
    known = all(word in corpus.grammar()[gap] for gap, word in gaps.items())
    return gaps if fits and known else None


def answers(question: str, text: str) -> list[str]:
    """Return every answer that a sentence of a text gives to a question."""
    return [
        corpus.grammar()["fact"][number]["answer"].format(**words)
        for number, words in filter(None, map(fact_of, sentences(text)))
        if corpus.grammar()["fact"][number]["asked"].format(**words) == question
    ]


def names_in(text: str) -> set[tuple[str, str]]:
    """Return the neighbours that are a first and a last name."""
    words, lists = text.split(), corpus.grammar()
    return {
        (first, last) for first, last in pairwise(words) if first in lists["first"] and last in lists["last"]
    }


@pytest.mark.parametrize("name", DRAW)
def test_examples_are_the_same_for_the_same_seed(name: str) -> None:
    assert drawn(name, 20) == drawn(name, 20)
    assert len(set(map(str, drawn(name, 20)))) > 50


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("name", DRAW)
def test_names_are_held_out_only_when_asked_for(name: str, *, unseen: bool) -> None:
    names = {
        pair
        for example in drawn(name, unseen=unseen)
        for part in example
        if isinstance(part, str)
        for pair in names_in(part)
    }
    assert len(names) > 100
    assert {corpus.held_out(*pair) for pair in names} == {unseen}


@pytest.mark.parametrize("name", DRAW)
def test_texts_keep_to_their_room(name: str) -> None:
    rng = random.Random(0)
    for room in (20, 30):
        sizes = [corpus.pieces(DRAW[name](rng, room).text) for _ in range(200)]
        assert max(sizes) <= room
        assert max(sizes) >= room - 4
    assert corpus.pieces(DRAW["asked"](rng, 1).text) <= 10  # one sentence at least


@pytest.mark.parametrize("name", DRAW)
def test_every_word_is_in_the_vocabulary(name: str, load: Callable[..., Any]) -> None:
    known = load()[1].get_vocab().keys() | corpus.grammar()["pieces"].keys()
    for example in drawn(name, 100):
        texts = [part for part in example if isinstance(part, str)]
        assert {word for text in texts for word in text.split()} <= known


def test_the_answer_is_what_one_sentence_says() -> None:
    for example in drawn("asked"):
        answer = example.text[example.start : example.end]
        assert answers(example.question, example.text) == [answer]


def test_an_answer_starts_and_ends_with_a_word() -> None:
    for example in drawn("asked"):
        assert example.start == 0 or example.text[example.start - 1] == " "
        assert example.text[example.end] == " "


@pytest.mark.parametrize("name", ["asked", "paired"])
def test_every_question_of_the_grammar_is_asked(name: str) -> None:
    kinds = [fact["asked"] for fact in corpus.grammar()["fact"]]
    asked = {kind for example in drawn(name) for kind in kinds if read(kind, example.question)}
    assert asked == set(kinds)


def test_a_pair_is_labelled_by_whether_a_sentence_answers() -> None:
    for example in drawn("paired"):
        assert bool(answers(example.question, example.text)) == bool(example.label)


def test_half_of_the_questions_are_answered() -> None:
    labels = [example.label for example in drawn("paired", 1000)]
    assert sum(labels) / len(labels) == pytest.approx(0.5, abs=0.03)


def test_a_question_without_an_answer_names_the_person_of_the_text() -> None:
    unanswered = [example for example in drawn("paired") if not example.label]
    named = [example for example in unanswered if names_in(example.question)]
    assert len(named) > 100
    for example in named:
        names = NAMES & {*example.question.split()}
        assert names & {*example.text.split()}


def test_each_word_has_the_tag_of_its_list() -> None:
    lists = corpus.grammar()
    lists_of = {
        "person": {*lists["first"], *lists["last"]},
        "job": {*lists["job"]},
        "place": {*lists["city"], *lists["place"]},
    }
    named = {word for words in lists_of.values() for word in words}
    for example in drawn("tagged"):
        for word, tag in zip(example.text.split(), example.tags, strict=True):
            name = tasks.TAGS[tag]
            assert word in lists_of[name] if name in lists_of else word not in named


def test_a_word_in_two_lists_is_tagged_by_its_gap() -> None:
    rng, weavers = random.Random(0), set()
    for _ in range(3000):
        example = tasks.tagged(rng, 20)
        pairs = zip(example.text.split(), example.tags, strict=True)
        weavers |= {tasks.TAGS[tag] for word, tag in pairs if word == "weaver"}
    assert weavers == {"person", "job"}
