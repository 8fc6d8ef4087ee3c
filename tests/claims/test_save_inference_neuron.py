"""Claims of notebook 05."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")


@pytest.mark.claim("seed-diff-names-a-missing-variable")
def test_the_published_line_stops_with_a_name_error() -> None:
    """The tracer is a stand-in that takes anything: the line does not get as far as calling it."""
    neuron = SimpleNamespace(neuron=SimpleNamespace(trace=print))
    names = {"torch": neuron, "model": None, "tokens_tensor": None, "segments_tensors": None}
    line = "torch.neuron.trace(model, [token_tensor, segments_tensors])"
    with pytest.raises(NameError, match="token_tensor"):
        eval(line, names)


@pytest.mark.claim("inf1-tasks-trace")
@pytest.mark.parametrize(
    "head", ["question-answering", "sequence-classification", "token-classification"]
)
def test_the_heads_that_suit_inf1_trace(head: Any) -> None:
    model, tokenizer = tsnb.load("tiny-bert", head=head, torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model)
    traced = tsnb.trace(model, inputs)
    with torch.no_grad():
        for found, expected in zip(traced(**inputs).values(), model(**inputs), strict=True):
            assert (found - expected).abs().max() <= 1e-4
