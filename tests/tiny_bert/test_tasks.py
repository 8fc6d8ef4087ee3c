"""The labelled examples: what the labels say is what the texts say, and so do the tensors made of them."""

import random
from itertools import pairwise
from typing import Any

import pytest

from tests.kinds import Load
from tools.tiny_bert import tasks
from tsnb.tiny_bert import corpus

WORDS = corpus.grammar()
DRAW: dict[str, Any] = {"asked": tasks.asked, "paired": tasks.paired, "tagged": tasks.tagged}


def drawn(name: str, count: int = 200, *, unseen: bool = False) -> list[Any]:
    rng = random.Random(3)
    return [DRAW[name](rng, room, unseen=unseen) for room in (9, 20, 100) for _ in range(count)]


@pytest.mark.parametrize("name", DRAW)
def test_examples_repeat_keep_to_their_room_and_hold_names_out(name: str, load: Load) -> None:
    rooms = [corpus.pieces(DRAW[name](random.Random(seed), 20).text) for seed in range(200)]
    assert 16 <= max(rooms) <= 20
    known = load()[1].get_vocab().keys() | WORDS["pieces"].keys()
    for unseen in (False, True):
        texts = [text.split() for example in drawn(name, unseen=unseen) for text in example if isinstance(text, str)]
        assert {word for words in texts for word in words} <= known
        pairs = {pair for words in texts for pair in pairwise(words)}
        names = {pair for pair in pairs if pair[0] in WORDS["first"] and pair[1] in WORDS["last"]}
        assert len(names) > 100
        assert {corpus.held_out(*pair) for pair in names} == {unseen}
