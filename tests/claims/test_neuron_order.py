"""Claims of notebook 05 around its exercises."""

from typing import Any

import pytest

import tsnb

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


@pytest.mark.claim("tokenizer-has-another-order")
def test_a_tokenizer_gives_inputs_in_another_order_than_forward() -> None:
    model, tokenizer = tsnb.load("tiny-bert", torchscript=True)
    batch: Any = tokenizer("who ?", "a poet", return_tensors="pt")
    assert list(batch) != list(tsnb.dummy_inputs(tokenizer, model, max_length=16))
    by_position, by_name = model(*batch.values())[0], model(**batch)[0]
    assert (by_position - by_name).abs().max() > 1e-2


@pytest.mark.claim("eager-trace-has-no-blocker")
def test_nothing_is_in_the_way_of_the_eager_trace() -> None:
    eager, tokenizer = tsnb.load("tiny-bert", torchscript=True, attn_implementation="eager")
    traced = tsnb.trace(eager, tsnb.dummy_inputs(tokenizer, eager, max_length=32))
    report = tsnb.neuron.preflight(traced, "inf1", eager)
    assert report.ok
    assert report.of("ok")
