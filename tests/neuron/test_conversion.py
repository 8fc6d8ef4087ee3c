"""The documented call, against stand-ins; and one shape, on the CPU."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Load, Machine, MonkeyPatch, Traces
from tests.neuron.stand_ins import THIRD, TRACING, WORKING
from tsnb.neuron.targets import STAND_IN, find_target
from tsnb.tracing.outputs import relative_difference
from tsnb.tracing.traced import quiet_jit

FAILING = "def trace(*arguments, **options):\n    raise ValueError('boom')"
LATE = """
class Late(torch.nn.Module):
    def __init__(self, inner, *rest, **options):
        super().__init__()
        self.inner = inner

    def forward(self, *tensors):
        raise RuntimeError("stand-in: no core")
"""
NO_CORE = WORKING["torch_neuronx"].replace("torch.jit.trace(Compiled", "Late(Compiled") + LATE


@pytest.fixture
def tiny(load: Load) -> tuple[Any, dict[str, torch.Tensor]]:
    model, tokenizer = load()
    return model, tsnb.dummy_inputs(tokenizer, model, max_length=16)


def last_call() -> Any:
    return sys.modules["torch_neuronx"].CALLS[-1]


def difference(model: Any, converted: tsnb.Traced, inputs: dict[str, torch.Tensor]) -> float:
    with torch.no_grad():
        return relative_difference([model(**inputs).logits], [converted(**inputs)["logits"]])


def test_with_a_device_the_documented_call_is_made_and_the_graph_compared(machine: Machine, tiny: Any) -> None:
    model, inputs = tiny
    machine(device=True)
    converted = tsnb.neuron.convert(model, dict(reversed(inputs.items())))
    call, contract = last_call(), converted.contract
    assert (call["type"], call["args"], call["cpu"]) == ("tuple", None, False)
    assert (contract.target, contract.fixed_shape) == ("inf2", True)
    assert contract.input_names == ("input_ids", "attention_mask", "token_type_ids")
    assert (contract.output_names, contract.verified) == (("logits",), ((1, 16),))
    assert difference(model, converted, inputs) < 1e-5
    with pytest.raises(tsnb.InputError, match="and no other"):
        converted(**{name: tensor[:, :8] for name, tensor in inputs.items()})
    convert_again: Any = partial(tsnb.neuron.convert, inputs=inputs)
    for again in (convert_again, tsnb.neuron.preflight, tsnb.neuron.fixed_shape):
        with pytest.raises(tsnb.NeuronError, match="compiled for Neuron already"):
            again(converted)
    gap = {name: tensor for name, tensor in inputs.items() if name != "attention_mask"}
    converted = tsnb.neuron.convert(model, gap)  # names that leave a gap do not land in the wrong place
    assert converted.contract.input_names == ("input_ids", "token_type_ids")
    assert difference(model, converted, gap) < 1e-5


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, "--target inf2"),
        ({"compiler_args": "--target trn1"}, "--target trn1"),
        ({"compiler_args": ["--auto-cast", "none"]}, "--auto-cast none --target inf2"),
    ],
)
def test_without_a_device_the_compiler_gets_its_target(machine: Machine, tiny: Any, given: Any, passed: str) -> None:
    machine()
    assert tsnb.neuron.convert(*tiny, **given).contract.verified == ()
    call = last_call()
    assert (call["type"], call["args"], call["cpu"]) == ("tuple", passed, True)


def test_a_graph_that_disagrees_is_refused_unless_the_reader_s_tolerance_allows_it(
    machine: Machine, tiny: Any, monkeypatch: MonkeyPatch
) -> None:
    machine(device=True)
    monkeypatch.setenv("STAND_IN_OFF_BY", "5")
    with pytest.raises(tsnb.NeuronError, match=r"differs from the model by .* 0\.01 is allowed"):
        tsnb.neuron.convert(*tiny)
    assert 0.1 < difference(tiny[0], tsnb.neuron.convert(*tiny, tolerance=0.9), tiny[1]) < 0.9


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        (THIRD, {"device": True}, "has no function trace"),
        (TRACING, {"compiler": False}, "its compiler neuronxcc is not"),
        (FAILING, {}, "torch_neuronx could not compile it, or not run it: boom"),
        (NO_CORE, {"device": True}, "no core"),
    ],
    ids=["third", "no compiler", "failing", "no core"],
)
def test_what_is_missing_or_fails_is_named(
    machine: Machine, tiny: Any, source: str, options: dict[str, bool], sentence: str
) -> None:
    machine(source=source, **options)
    with pytest.raises(tsnb.NeuronError, match=sentence):
        tsnb.neuron.convert(*tiny)
    assert ("torch_neuronx" in sys.modules) is (source in (FAILING, NO_CORE))  # others are not even imported


def test_what_cannot_be_converted_here_is_refused(traced: Traces, tiny: Any) -> None:
    model, inputs = tiny
    refusals: dict[str, Callable[[], Any]] = {
        "torch_neuronx is not installed here": lambda: tsnb.neuron.convert(model, inputs),
        "Did you mean inf2": lambda: tsnb.neuron.convert(model, inputs, "inf22"),
        "is a trace. The compiler needs the model": lambda: tsnb.neuron.convert(traced().module, inputs),
    }
    for sentence, call in refusals.items():
        with pytest.raises(tsnb.NeuronError, match=sentence):
            call()


def test_inf1_is_refused_with_the_call_that_writes_its_program(tiny: Any) -> None:
    with pytest.raises(tsnb.NeuronError, match="too old for tsnb") as caught:
        tsnb.neuron.convert(model=tiny[0], inputs=tiny[1], target="inf1")
    call = str(caught.value).partition(": ")[2].partition(" writes")[0]
    assert call == "tsnb.neuron.code(['input_ids', 'attention_mask', 'token_type_ids'], \"inf1\")"
    assert "torch_neuron.trace" in eval(call)


def test_what_is_no_model_no_input_or_in_training_mode_is_refused(machine: Machine) -> None:
    nothing: Any = 5
    with pytest.raises(tsnb.InputError, match=r"Expected a torch\.nn\.Module"):
        tsnb.neuron.convert(nothing, {"input": torch.zeros(1, 2)})
    with pytest.raises(tsnb.InputError, match="no input called inputs"):
        tsnb.neuron.convert(nn.Linear(2, 2).eval(), {"inputs": torch.zeros(1, 2)})
    machine(source=TRACING)
    with pytest.raises(tsnb.TraceError, match="training mode"):
        tsnb.neuron.convert(nn.Linear(2, 2), {"input": torch.zeros(1, 2)})


def test_small_berts_in_bfloat16_stay_within_what_is_to_be_expected_of_inf1(load: Load) -> None:
    for name in ("tiny-bert", "bert-mini"):
        model, tokenizer = load(name)
        inputs = tsnb.dummy_inputs(tokenizer, model, max_length=32)
        rounded, _ = tsnb.load(name)
        with torch.no_grad():
            logits = rounded.to(torch.bfloat16)(**inputs).logits.float()
            part = relative_difference([model(**inputs).logits], [logits])
        assert 0 < part <= 0.02 < find_target("inf1").tolerance


# The stand-in for a compiled graph: one shape, on the CPU


@pytest.fixture(scope="module")
def fixed(traced: Traces) -> tsnb.Traced:
    return tsnb.neuron.fixed_shape(traced("masked-lm", 16, 1))


def inputs(shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return dict.fromkeys(names, torch.ones(shape, dtype=torch.int64))


def test_it_equals_the_trace_at_its_shape_and_keeps_the_contract(fixed: tsnb.Traced, traced: Traces) -> None:
    plain, contract = traced("masked-lm", 16, 1), fixed.contract
    assert torch.allclose(fixed(**inputs((1, 16)))["logits"], plain(**inputs((1, 16)))["logits"], atol=1e-5)
    assert (contract.target, contract.fixed_shape, contract.verified) == (STAND_IN, True, ((1, 16),))
    assert replace(contract, target="", fixed_shape=False, verified=plain.contract.verified) == plain.contract


def test_another_shape_or_dtype_of_one_input_is_refused_by_name_and_by_the_graph_saved_too(
    fixed: tsnb.Traced, tmp_path: Path
) -> None:
    loaded = tsnb.load_traced(tsnb.save(fixed, tmp_path / "fixed.pt"))
    assert loaded.contract == fixed.contract
    for shape, dtype in (((1, 15), torch.int64), ((2, 16), torch.int64), ((1, 16), torch.int32)):
        mixed = inputs((1, 16)) | {"attention_mask": torch.ones(shape, dtype=dtype)}
        for graph in (fixed, loaded):
            with pytest.raises(tsnb.InputError, match="attention_mask"):
                graph(**mixed)
            with pytest.raises(torch.jit.Error, match=r"the input attention_mask must have .* and be int64"):
                graph.module(*mixed.values())


def test_inputs_without_a_length_and_with_fixed_axes() -> None:
    model = nn.Bilinear(2, 3, 4).eval()
    tensors = {"input1": torch.ones(1, 2), "input2": torch.ones(1, 3)}
    fixed = tsnb.neuron.fixed_shape(tsnb.trace(model, tensors))
    assert torch.allclose(fixed(**tensors)["output_0"], model(**tensors))
    with pytest.raises(tsnb.InputError, match=r"input2 has the shape \[1, 4\]"):
        fixed(**(tensors | {"input2": torch.ones(1, 4)}))


def test_what_has_no_shape_or_is_a_stand_in_already_is_refused(fixed: tsnb.Traced) -> None:
    with quiet_jit() as jit:
        module = jit.trace(nn.ReLU().eval(), torch.ones(1, 2))
    foreign = tsnb.Traced(module, tsnb.Contract(("input",), known=False))
    with pytest.raises(tsnb.NeuronError, match="does not say its shape"):
        tsnb.neuron.fixed_shape(foreign)
    with pytest.raises(tsnb.NeuronError, match="a stand-in that fixed_shape made"):
        tsnb.neuron.fixed_shape(fixed)
