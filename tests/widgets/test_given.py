"""What is no trace or no model is named in one sentence, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tsnb.widgets import MaxLengthChooser, NeuronPlanner, ShapeErrorExplorer, TyingView

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS = {"input": torch.zeros(1, 2)}
LINEAR = torch.nn.Linear(2, 3).eval()
TRACED = tsnb.trace(LINEAR, INPUTS)
PLAIN: Any = TRACED.module  # what torch.jit.trace returns
NUMBER: Any = 5
SWAPPED: Any = TRACED


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: tsnb.probe(PLAIN, LINEAR, lengths=[2]), "TopLevelTracedModule"),
        (lambda: tsnb.probe(NUMBER, LINEAR, lengths=[2]), "int"),
        (lambda: ShapeErrorExplorer(PLAIN, LINEAR), "TopLevelTracedModule"),
        (lambda: ShapeErrorExplorer(NUMBER, SWAPPED), "int"),
        (lambda: NeuronPlanner(PLAIN, LINEAR, [3, 4]), "TopLevelTracedModule"),
        (lambda: MaxLengthChooser([3, 4], traced=PLAIN), "TopLevelTracedModule"),
    ],
)
def test_what_is_no_trace_is_named(make: Callable[[], object], given: str) -> None:
    with pytest.raises(tsnb.InputError, match=f"what tsnb.trace .*returns; got {given}") as raised:
        make()
    assert "tsnb.trace(model, inputs)" in str(raised.value)


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: tsnb.probe(TRACED, SWAPPED, lengths=[2]), "Traced"),
        (lambda: ShapeErrorExplorer(TRACED, SWAPPED), "Traced"),
        (lambda: NeuronPlanner(None, NUMBER, [3, 4]), "int"),
        (lambda: MaxLengthChooser([3, 4], model=SWAPPED), "Traced"),
        (lambda: MaxLengthChooser([3, 4], model=NUMBER), "int"),
        (lambda: TyingView(SWAPPED), "Traced"),
        (lambda: TyingView(NUMBER), "int"),
    ],
)
def test_what_is_no_model_is_named(make: Callable[[], object], given: str) -> None:
    with pytest.raises(tsnb.InputError, match=rf"Expected a torch.nn.Module, .*got {given}\."):
        make()


def test_the_explorer_wants_both_or_none() -> None:
    with pytest.raises(tsnb.InputError, match="got the trace alone"):
        ShapeErrorExplorer(TRACED)
    with pytest.raises(tsnb.InputError, match="got the model alone"):
        ShapeErrorExplorer(model=LINEAR)
