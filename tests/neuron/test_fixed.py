"""The stand-in for a compiled graph: one shape, on the CPU, alone and under a Runner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from torch import nn

import tsnb
from tsnb.models import load as models
from tsnb.neuron.targets import STAND_IN
from tsnb.tiny_bert import corpus
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Traces = Callable[..., tsnb.Traced]

HEADS = get_args(models.Head)
PLAIN = """
import sys, torch
module = torch.jit.load(sys.argv[1])
ones = torch.ones(1, 16, dtype=torch.int64)
print(*(tuple(tensor.shape) for tensor in module(ones, ones, ones)))
for wrong in (ones[:, :8], ones.repeat(2, 1), ones.int()):
    try:
        module(wrong, wrong, wrong)
    except torch.jit.Error as error:
        print(str(error).strip().splitlines()[-1])
print("tsnb" in sys.modules)
"""


@pytest.fixture(scope="module")
def fixed(traced: Traces) -> tsnb.Traced:
    return tsnb.neuron.fixed_shape(traced("masked-lm", 16, 1))


def inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.int64) -> dict[str, torch.Tensor]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return dict.fromkeys(names, torch.ones(shape, dtype=dtype))


def test_it_equals_the_trace_at_its_shape(fixed: tsnb.Traced, traced: Traces) -> None:
    expected = traced("masked-lm", 16, 1)(**inputs((1, 16)))["logits"]
    assert torch.allclose(fixed(**inputs((1, 16)))["logits"], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 15), (1, 17), (2, 16), (16,), (1, 1, 16), (0, 16)])
def test_every_other_shape_is_refused_by_name_and_by_graph(
    shape: tuple[int, ...], fixed: tsnb.Traced
) -> None:
    with pytest.raises(tsnb.InputError, match="this graph takes") as caught:
        fixed(**inputs(shape))
    assert caught.value.key == "inputs.wrong-shape"
    with pytest.raises(torch.jit.Error, match="Stand-in for a Neuron graph, on the CPU"):
        fixed.module(*inputs(shape).values())


def test_one_input_of_another_shape_is_enough(fixed: tsnb.Traced) -> None:
    mixed = inputs((1, 16)) | {"attention_mask": torch.ones(1, 15, dtype=torch.int64)}
    with pytest.raises(tsnb.InputError, match="attention_mask"):
        fixed(**mixed)
    with pytest.raises(torch.jit.Error, match="the input attention_mask must have"):
        fixed.module(*mixed.values())


def test_another_dtype_is_refused_by_name_and_by_graph(fixed: tsnb.Traced) -> None:
    with pytest.raises(tsnb.InputError, match="int32"):
        fixed(**inputs((1, 16), torch.int32))
    with pytest.raises(torch.jit.Error, match="and be int64"):
        fixed.module(*inputs((1, 16), torch.int32).values())


def test_it_is_labelled_and_keeps_the_rest_of_the_contract(fixed: tsnb.Traced, traced: Traces) -> None:
    held, plain = fixed.contract, traced("masked-lm", 16, 1).contract
    assert (held.target, held.fixed_shape, held.verified) == (STAND_IN, True, ((1, 16),))
    assert replace(held, target="", fixed_shape=False, verified=plain.verified) == plain
    assert "stand-in" in str(held)


def test_saved_it_still_refuses_and_is_labelled(fixed: tsnb.Traced, tmp_path: Path) -> None:
    loaded = tsnb.load_traced(tsnb.save(fixed, tmp_path / "fixed.pt"))
    assert loaded.contract == fixed.contract
    assert torch.equal(loaded(**inputs((1, 16)))["logits"], fixed(**inputs((1, 16)))["logits"])
    with pytest.raises(tsnb.InputError):
        loaded(**inputs((1, 8)))


def test_plain_torch_in_another_process_refuses_too(
    fixed: tsnb.Traced, python: Callable[..., str], tmp_path: Path
) -> None:
    printed = python(PLAIN, tsnb.save(fixed, tmp_path / "fixed.pt")).splitlines()
    assert printed[0].startswith("(1, 16, ")
    assert all("Stand-in for a Neuron graph, on the CPU" in line for line in printed[1:4])
    assert printed[4:] == ["False"]


def test_the_probe_shows_one_shape_that_works(fixed: tsnb.Traced, load: Callable[..., Any]) -> None:
    shapes = tsnb.probe(fixed, load()[0], lengths=[8, 16, 24], batch_sizes=[1, 2])
    assert shapes.of_kind("same") == [(1, 16)]
    assert len(shapes.of_kind("raises")) == 5


@pytest.mark.parametrize("head", HEADS)
def test_a_runner_with_buckets_equals_the_model_for_every_head(
    head: str, load: Callable[..., Any], traced: Traces
) -> None:
    model, tokenizer = load(head=head)
    buckets = [tsnb.neuron.fixed_shape(traced(head, length, 4)) for length in (32, 64, 128)]
    runner = tsnb.Runner(buckets, tokenizer)
    assert not runner.dynamic
    texts = corpus.texts(30, seed=5)
    for text, result in zip(texts, runner(texts), strict=True):
        with torch.no_grad():
            eager = model(**tokenizer(text, return_tensors="pt"), return_dict=True)
        for name, tensor in result.items():
            assert torch.allclose(tensor, eager[name][0], atol=1e-4), name


def test_a_runner_cuts_what_is_longer_than_the_longest_or_says_so(
    load: Callable[..., Any], fixed: tsnb.Traced
) -> None:
    _, tokenizer = load()
    text = "jim henson was a puppeteer " * 20
    with pytest.raises(tsnb.InputError, match="the trace takes 16 at most"):
        tsnb.Runner(fixed, tokenizer)([text])
    [result] = tsnb.Runner(fixed, tokenizer, truncate=True)([text])
    assert result["logits"].shape[0] == 16


def test_a_single_graph_of_one_row_takes_a_batch_row_by_row(
    load: Callable[..., Any], fixed: tsnb.Traced
) -> None:
    runner = tsnb.Runner(fixed, load()[1])
    assert len(runner(["jim henson", "karl west", "jim"])) == 3
    assert runner.work.computed == 48


def test_inputs_without_a_length_and_with_fixed_axes() -> None:
    model = nn.Bilinear(2, 3, 4).eval()
    tensors = {"input1": torch.ones(1, 2), "input2": torch.ones(1, 3)}
    fixed = tsnb.neuron.fixed_shape(tsnb.trace(model, tensors))
    assert torch.allclose(fixed(**tensors)["output_0"], model(**tensors))
    with pytest.raises(tsnb.InputError, match=r"input2 has the shape \[1, 4\]"):
        fixed(**(tensors | {"input2": torch.ones(1, 4)}))


@pytest.mark.parametrize("name", ["list", "torch", "ValueError", "bool"])
def test_an_input_may_have_a_name_that_torchscript_uses(name: str) -> None:
    scope: dict[str, Any] = {"nn": nn}
    exec(f"class Model(nn.Module):\n    def forward(self, {name}): return 2 * {name}", scope)
    fixed = tsnb.neuron.fixed_shape(tsnb.trace(scope["Model"]().eval(), {name: torch.ones(1, 3)}))
    assert fixed(**{name: torch.ones(1, 3)})["output_0"].tolist() == [[2, 2, 2]]
    with pytest.raises(torch.jit.Error, match=f"the input {name} must have"):
        fixed.module(torch.ones(1, 4))


def test_a_contract_without_a_shape_is_refused() -> None:
    with quiet_jit() as jit:
        module = jit.trace(nn.ReLU().eval(), torch.ones(1, 2))
    foreign = tsnb.Traced(module, tsnb.Contract(("input",), known=False))
    flat = tsnb.trace(nn.ReLU().eval(), {"input": torch.ones(3)})
    for held in (foreign, flat):
        with pytest.raises(tsnb.NeuronError) as caught:
            tsnb.neuron.fixed_shape(held)
        assert caught.value.key == "neuron.no-shape"


def test_twice_is_once_too_often(fixed: tsnb.Traced) -> None:
    with pytest.raises(tsnb.NeuronError) as caught:
        tsnb.neuron.fixed_shape(fixed)
    assert caught.value.key == "neuron.is-stand-in"
