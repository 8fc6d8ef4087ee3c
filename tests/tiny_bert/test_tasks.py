"""The labelled examples: what is called held out has no name that training saw."""

import random
from itertools import pairwise
from typing import Any

import pytest

from tests.kinds import Load
from tools.tiny_bert import tasks
from tsnb.tiny_bert import corpus

DRAW: dict[str, Any] = {"asked": tasks.asked, "paired": tasks.paired, "tagged": tasks.tagged}


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("name", DRAW)
def test_examples_hold_names_out_and_have_known_words_alone(name: str, load: Load, *, unseen: bool) -> None:
    rng, words = random.Random(3), corpus.grammar()
    drawn = [DRAW[name](rng, room, unseen=unseen) for room in (9, 20, 100) for _ in range(200)]
    texts = [text.split() for example in drawn for text in example if isinstance(text, str)]
    assert {word for text in texts for word in text} <= load()[1].get_vocab().keys() | words["pieces"].keys()
    pairs = {pair for text in texts for pair in pairwise(text)}
    names = {pair for pair in pairs if pair[0] in words["first"] and pair[1] in words["last"]}
    assert len(names) > 100
    assert {corpus.held_out(*pair) for pair in names} == {unseen}
