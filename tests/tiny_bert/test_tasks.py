"""The labelled examples: what the labels say is what the texts say, and so do the tensors made of them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tools.tiny_bert import heads, tasks, train
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = corpus.grammar()
DRAW: dict[str, Any] = {"asked": tasks.asked, "paired": tasks.paired, "tagged": tasks.tagged}


def drawn(name: str, count: int = 200, *, unseen: bool = False) -> list[Any]:
    rng = random.Random(3)
    return [DRAW[name](rng, room, unseen=unseen) for room in (9, 20, 100) for _ in range(count)]


def texts_of(example: Any) -> list[str]:
    return [part for part in example if isinstance(part, str)]


def read(template: str, text: str) -> dict[str, str] | None:
    """Return the words of a text in the blanks of a template, if it is one."""
    if len(template.split()) != len(text.split()):
        return None
    pairs = list(zip(template.split(), text.split(), strict=True))
    blanks = {part[1:-1]: word for part, word in pairs if part[0] == "{"}
    fits = all(part[0] == "{" or part == word for part, word in pairs)
    return blanks if fits and all(word in WORDS[blank] for blank, word in blanks.items()) else None


def answers(question: str, text: str) -> list[str]:
    """Return every answer that a sentence of a text gives to a question."""
    sentences = [f"{part.strip()} ." for part in text.split(" .") if part.strip()]
    return [
        fact["answer"].format(**words)
        for sentence in sentences
        for fact in WORDS["fact"]
        if (words := read(fact["told"], sentence)) and fact["asked"].format(**words) == question
    ]


@pytest.mark.parametrize("name", DRAW)
def test_examples_repeat_keep_to_their_room_and_hold_names_out(name: str, load: Callable[..., Any]) -> None:
    assert drawn(name, 20) == drawn(name, 20)
    assert max(corpus.pieces(DRAW[name](random.Random(seed), 20).text) for seed in range(200)) in range(16, 21)
    known = load()[1].get_vocab().keys() | WORDS["pieces"].keys()
    for unseen in (False, True):
        texts = [text.split() for example in drawn(name, unseen=unseen) for text in texts_of(example)]
        assert {word for words in texts for word in words} <= known
        pairs = {pair for words in texts for pair in pairwise(words)}
        names = {pair for pair in pairs if pair[0] in WORDS["first"] and pair[1] in WORDS["last"]}
        assert len(names) > 100
        assert {corpus.held_out(*pair) for pair in names} == {unseen}


def test_the_answer_is_what_one_sentence_says() -> None:
    for example in drawn("asked"):
        assert answers(example.question, example.text) == [example.text[example.start : example.end]]


def test_half_of_the_questions_are_answered_by_a_sentence() -> None:
    examples = drawn("paired", 1000)
    assert all(bool(answers(pair.question, pair.text)) == bool(pair.label) for pair in examples)
    assert sum(pair.label for pair in examples) / len(examples) == pytest.approx(0.5, abs=0.03)
    questions = {kind for pair in examples for kind in (fact["asked"] for fact in WORDS["fact"])
                 if read(kind, pair.question)}  # fmt: skip
    assert questions == {fact["asked"] for fact in WORDS["fact"]}


def test_each_word_has_the_tag_of_its_blank() -> None:
    lists = {
        "person": {*WORDS["first"], *WORDS["last"]},
        "job": {*WORDS["job"]},
        "place": {*WORDS["city"], *WORDS["place"]},
    }
    weavers = set()  # a surname and a job
    for example in drawn("tagged", 1000):
        for word, tag in zip(example.text.split(), example.tags, strict=True):
            name = tasks.TAGS[tag]
            assert word in lists[name] if name in lists else not any(word in held for held in lists.values())
            weavers |= {name} if word == "weaver" else set()
    assert weavers == {"person", "job"}


def test_tensors_have_the_labels_of_their_examples() -> None:
    tokenizer, rng = train.build_tokenizer(), random.Random(0)
    task = heads.TASKS["question-answering"]
    examples = [task.draw(rng, room) for room in (9, 20, 60, 100) for _ in range(50)]
    inputs = task.encode(tokenizer, examples)
    rows = zip(inputs["input_ids"], inputs["start_positions"], inputs["end_positions"], strict=True)
    for example, (ids, start, end) in zip(examples, rows, strict=True):
        assert tokenizer.decode(ids[start : end + 1]) == example.text[example.start : example.end]
        assert ids[:start].tolist().count(tokenizer.sep_token_id) == 1  # in the text
    task = heads.TASKS["token-classification"]
    examples = [task.draw(rng, room) for room in (9, 20, 60) for _ in range(50)]
    inputs = task.encode(tokenizer, examples)
    special = torch.isin(inputs["input_ids"], torch.tensor(tokenizer.all_special_ids))
    assert torch.equal(inputs["labels"] == train.IGNORED, special)
    for example, row in zip(examples, inputs["labels"], strict=True):
        sizes = map(corpus.pieces, example.text.split())
        expected = [tag for tag, size in zip(example.tags, sizes, strict=True) for _ in range(size)]
        assert row[row != train.IGNORED].tolist() == expected
    task = heads.TASKS["sequence-classification"]
    examples = [task.draw(rng, 20) for _ in range(20)]
    assert task.encode(tokenizer, examples)["labels"].tolist() == [example.label for example in examples]
