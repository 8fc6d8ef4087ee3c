"""What the probe says of many architectures; the claims of notebook 02 compare some without it."""

from __future__ import annotations

from functools import cache

import pytest

import tsnb
from tests.tracing.architectures import ARCHITECTURES, POSITIONS, example, make
from tsnb.tracing.compare import no_warnings

TRACED = (2, 16)
LENGTHS, BATCHES = (4, 8, 15, 16, 24, 32, 65), (1, 2, 3)
ANY_LENGTH = ("t5-encoder", "modernbert", "gemma2", "llama-classifier")
SILENT = ("funnel", "longformer", "canine")


@cache
def probed(name: str) -> tsnb.ShapeMap:
    model = make(name)
    with no_warnings():
        return tsnb.probe(tsnb.trace(model, example(name, *TRACED)), model, LENGTHS, BATCHES)


def kinds(name: str, length: int, batches: tuple[int, ...] = BATCHES) -> set[str]:
    return {probed(name)[batch, length].kind for batch in batches}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - SILENT))
def test_any_shape_is_the_same_up_to_the_position_limit_which_is_named(name: str) -> None:
    assert {kind for length in LENGTHS if length < POSITIONS for kind in kinds(name, length)} == {"same"}
    assert kinds(name, 65) == {"same" if name in ANY_LENGTH else "unsupported"}
    if name not in (*ANY_LENGTH, "marian"):
        error, limit = probed(name).explain((2, 65)), probed(name).contract.max_positions
        assert (error.family, error.traced_size, error.given_size) == ("position-limit", limit, 65)


def test_funnel_raises_at_much_shorter_lengths_and_is_wrong_at_others() -> None:
    assert kinds("funnel", 4) == kinds("funnel", 8) == {"raises"}
    assert {kind for length in (15, 24, 32, 65) for kind in kinds("funnel", length)} == {"wrong"}
    assert kinds("funnel", 16) == {"same"}


def test_longformer_is_wrong_at_longer_texts_and_larger_batches() -> None:
    assert kinds("longformer", 24, (2, 3)) == kinds("longformer", 32, (2, 3)) == {"wrong"}
    assert (kinds("longformer", 16, (2,)), kinds("longformer", 16, (3,))) == ({"same"}, {"wrong"})
    assert kinds("longformer", 8) == kinds("longformer", 24, (1,)) == {"raises"}


def test_canine_raises_at_four_and_is_wrong_beyond_the_traced_length() -> None:
    assert kinds("canine", 4) == {"raises"}
    assert kinds("canine", 8) == kinds("canine", 15) == kinds("canine", 16) == {"same"}
    assert kinds("canine", 24) == kinds("canine", 32) == {"wrong"}
