"""What the probe says of many architectures, and an independent comparison that says the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

import tsnb
from tests.tracing.architectures import ARCHITECTURES, POSITIONS, example, make
from tsnb.tracing.compare import TOLERANCE, no_warnings
from tsnb.tracing.traced import quiet_jit

TRACED = (2, 16)
LENGTHS, BATCHES = (4, 8, 15, 16, 24, 32, 65), (1, 2, 3)
ANY_LENGTH = ("t5-encoder", "modernbert")
LIMITED = (
    "bert",
    "distilbert",
    "roberta",
    "albert",
    "electra",
    "mpnet",
    "deberta-v2",
    "marian",
)
SILENT = ("funnel", "longformer")


@cache
def probed(name: str) -> tsnb.ShapeMap:
    model = make(name)
    with no_warnings():
        return tsnb.probe(tsnb.trace(model, example(name, *TRACED)), model, LENGTHS, BATCHES)


def kinds(name: str, length: int, batches: tuple[int, ...] = BATCHES) -> set[str]:
    return {probed(name)[batch, length].kind for batch in batches}


@pytest.mark.parametrize("name", LIMITED)
def test_any_shape_within_the_position_limit_is_the_same(name: str) -> None:
    assert {kind for length in LENGTHS if length < POSITIONS for kind in kinds(name, length)} == {"same"}
    assert kinds(name, 65) == {"unsupported"}


@pytest.mark.parametrize("name", ANY_LENGTH)
def test_a_model_without_a_limit_is_the_same_everywhere(name: str) -> None:
    assert {verdict.kind for verdict in probed(name).values()} == {"same"}


@pytest.mark.parametrize("name", sorted({*LIMITED, "longformer", "canine"} - {"marian"}))
def test_the_limit_is_the_explanation(name: str) -> None:
    error, limit = probed(name).explain((2, 65)), probed(name).contract.max_positions
    assert (error.family, error.traced_size, error.given_size) == ("position-limit", limit, 65)
    assert f"The limit is {limit} positions; this input has 65." in error.cause


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


def test_every_architecture_is_covered() -> None:
    assert {*LIMITED, *ANY_LENGTH, *SILENT, "canine"} == ARCHITECTURES.keys()


def drawn(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw ids and a mask without anything of tsnb: rows of several lengths, the last one full."""
    generator = torch.Generator().manual_seed(1000 * batch + length)
    ids = torch.randint(3, 90, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(batch - 1):
        mask[row, length - 1 - row :] = 0
    return ids, mask


def compared(model: Any, trace: Any, batch: int, length: int) -> str:
    inputs = drawn(batch, length)
    with torch.no_grad():
        expected = model(*inputs)[0]
        try:
            actual = trace(*inputs)[0]
        except RuntimeError:
            return "raises"
    if actual.shape != expected.shape:
        return "wrong"
    return "wrong" if float((actual - expected).abs().max()) > TOLERANCE else "same"


@pytest.mark.parametrize("name", SILENT)
def test_an_independent_comparison_finds_the_same_shapes_wrong(name: str) -> None:
    model = make(name)
    model.config.return_dict = False  # as the documentation does
    with no_warnings(), quiet_jit() as jit:
        trace = jit.trace(model, drawn(*TRACED), check_trace=False)
        shapes = [shape for shape in probed(name) if probed(name)[shape].kind != "unsupported"]
        results = {shape: compared(model, trace, *shape) for shape in shapes}
    assert results == {shape: probed(name)[shape].kind for shape in shapes}
    assert set(results.values()) == {"same", "raises", "wrong"}
