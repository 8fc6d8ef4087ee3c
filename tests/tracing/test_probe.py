from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Capture
from tests.tracing.architectures import example, make
from tsnb import Contract, ShapeMap, Verdict
from tsnb.tracing import probe as shapes
from tsnb.tracing.traced import quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop
from tsnb.tracing.traps import make as make_trap

SAME, WRONG = Verdict("same", 1e-7), Verdict("wrong", 0.5)
RAISES = Verdict(
    "raises",
    error="RuntimeError: The size of tensor a (8) must match the size of tensor b (16) at non-singleton dimension 1",
    shapes=(("input_ids", (2, 8)),),
)
OVER = Verdict("unsupported", error="index out of range in self", shapes=(("input_ids", (1, 99)),))
CONTRACT = Contract(("input_ids",), batch_size=2, length=16, max_positions=64)
CELLS = {(1, 8): SAME, (1, 16): WRONG, (1, 99): OVER, (2, 8): RAISES, (2, 16): SAME, (2, 99): OVER}
MAP = ShapeMap(CELLS, CONTRACT)
TEXT = """\
batch \\ length  8   16  99
1               ✓    ≠   ·
2               ✗  [✓]   ·
✓ same 2, ✗ raises 1, ≠ wrong 1, · unsupported 2
The model has embeddings for 64 positions; it cannot run longer texts itself."""


@pytest.fixture(scope="module")
def bert() -> tuple[tsnb.Traced, Any]:
    model = make("bert")
    return tsnb.trace(model, example("bert")), model


def refused(kind: type[tsnb.TsnbError], message: str, *arguments: Any, **named: Any) -> None:
    with pytest.raises(kind, match=message):
        tsnb.probe(*arguments, **named)


def test_a_map_is_a_mapping_with_its_sides_in_order() -> None:
    assert (len(MAP), dict(MAP), MAP.get((3, 8))) == (6, CELLS, None)
    assert MAP.of_kind("unsupported") == [(1, 99), (2, 99)]
    backwards = ShapeMap(dict(reversed(CELLS.items())), CONTRACT)
    assert (backwards.batch_sizes, backwards.lengths) == ([1, 2], [8, 16, 99])
    assert str(backwards) == TEXT


def test_a_shape_that_was_not_tried_is_blank_and_the_limit_is_noted_where_it_matters() -> None:
    part = ShapeMap({(1, 8): SAME, (2, 16): SAME}, CONTRACT)
    assert part.table()[1:] == [["1", "✓", " "], ["2", " ", "[✓]"]]
    for cells, limit in ((CELLS, None), (CELLS, 99), ({(1, 8): OVER}, 64), ({(1, 99): WRONG}, 64)):
        assert "embeddings for" not in str(ShapeMap(cells, replace(CONTRACT, max_positions=limit)))


def test_it_explains_what_raises_and_what_is_unsupported() -> None:
    error = MAP.explain((2, 8))
    assert (error.family, error.input_dimension) == ("mismatch", "length")
    assert (error.traced_size, error.given_size) == (16, 8)
    assert MAP.explain((1, 16)).family == "no-error"
    with pytest.raises(tsnb.InputError, match=r"\(9, 9\) was not probed"):
        MAP.explain((9, 9))


@pytest.mark.parametrize("sizes", [np.arange(4, 12, 4, dtype=np.int32), iter([4, 8])])
def test_every_batch_size_is_tried_at_every_length(bert: tuple[tsnb.Traced, Any], sizes: Any, capsys: Capture) -> None:
    verdicts = tsnb.probe(*bert, lengths=sizes, batch_sizes=[1, 3])
    assert list(verdicts) == [(1, 4), (1, 8), (3, 4), (3, 8)]
    assert {type(size) for shape in verdicts for size in shape} == {int}
    assert (verdicts.contract, verdicts.tolerance) == (bert[0].contract, 1e-4)
    assert capsys.readouterr() == ("", "")  # a quick map shows no progress


@pytest.mark.parametrize("sizes", [[], [8, 4], [0, 4], ["4"], 4])
def test_sizes_that_are_none(bert: tuple[tsnb.Traced, Any], sizes: Any) -> None:
    message = "must be positive whole numbers that rise"
    refused(tsnb.InputError, f"lengths {message}", *bert, sizes)
    refused(tsnb.InputError, f"batch_sizes {message}", *bert, [4], sizes)


def test_a_tolerance_decides(bert: tuple[tsnb.Traced, Any]) -> None:
    for nothing in (0, float("nan"), None):
        refused(tsnb.InputError, "tolerance must be a number above zero", *bert, [4], tolerance=nothing)
    model = make_trap(PositionLoop)
    traced = tsnb.trace(model, {"input_ids": torch.ones(1, 7, dtype=torch.int64)})
    assert tsnb.probe(traced, model, [9], [1])[1, 9].kind == "wrong"
    assert tsnb.probe(traced, model, [9], [1], tolerance=10)[1, 9].kind == "same"


class Smaller(nn.Module):
    """A part of a model, with the part's names and weights."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.embeddings: nn.Module = whole.embeddings

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.embeddings(input_ids) * attention_mask.unsqueeze(-1)


@pytest.mark.parametrize("other", [lambda _: make("bert", seed=1), Smaller, lambda _: IntMask()])
def test_a_model_that_was_not_traced_is_refused(
    bert: tuple[tsnb.Traced, Any], other: Callable[..., nn.Module]
) -> None:
    model = other(bert[1]).eval()
    refused(tsnb.TraceError, "training mode", bert[0], make("bert").train(), [4])
    message = f"The trace was not made from this {type(model).__name__}"
    for traced in (bert[0], frozen(bert[0])):
        refused(tsnb.TraceError, message, traced, model, [4])


def frozen(traced: tsnb.Traced) -> tsnb.Traced:
    with quiet_jit() as jit:
        return replace(traced, module=jit.freeze(traced.module))


def test_a_frozen_trace_of_the_model(bert: tuple[tsnb.Traced, Any]) -> None:
    traced = frozen(bert[0])
    assert not list(traced.module.parameters())
    assert tsnb.probe(traced, bert[1], [4, 16]).of_kind("same") == list(shapes.grid([4, 16], [1, 2]))
    shapes.check_belongs(traced, bert[1], 1e-30)  # a tolerance below rounding


def test_tied_weights_have_all_their_names(load: Any, traced: Any) -> None:
    shapes.check_belongs(traced(), tsnb.untie(tsnb.load("tiny-bert")[0]))
    shapes.check_belongs(traced(), load()[0])
