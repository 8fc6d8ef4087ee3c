"""The documented call, against stand-ins in a process of its own; and one shape, on the CPU."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Load, MonkeyPatch, Python, Traces
from tests.neuron.stand_ins import THIRD, TRACING, WORKING, environment, install
from tsnb.neuron.targets import STAND_IN, find_target
from tsnb.tracing.outputs import relative_difference
from tsnb.tracing.traced import quiet_jit

Outcome = dict[str, Any]

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
# What is installed, by the name of its folder: the package's source, and the options of `install`.
MACHINES: dict[str, tuple[str, dict[str, bool]]] = {
    "device": ("", {"device": True}),
    "host": ("", {}),
    "third": (THIRD, {"device": True}),
    "no-compiler": (TRACING, {"compiler": False}),
    "failing": (FAILING, {}),
    "no-core": (NO_CORE, {"device": True}),
}
# What is converted where; `without` leaves an input out, `off_by` spoils the graph's output.
CONVERSIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "device": ("device", {}),
    "gap": ("device", {"without": ["attention_mask"]}),
    "off": ("device", {"off_by": 5}),
    "off-allowed": ("device", {"off_by": 5, "tolerance": 0.9}),
    "host": ("host", {}),
    "trn1": ("host", {"compiler_args": "--target trn1"}),
    "list": ("host", {"compiler_args": ["--auto-cast", "none"]}),
    **{name: (name, {}) for name in ("third", "no-compiler", "failing", "no-core")},
}
CONVERT = """
import importlib, json, os, pathlib, sys
import torch, tsnb
from tsnb.neuron import detection
from tsnb.tracing.outputs import relative_difference
from tsnb.tracing.traced import quiet_jit

root = pathlib.Path(sys.argv[1])
model, tokenizer = tsnb.load("tiny-bert")
all_inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)

def convert(without=(), off_by=0, **options):
    os.environ["STAND_IN_OFF_BY"] = str(off_by)
    inputs = {name: tensor for name, tensor in all_inputs.items() if name not in without}
    outcome = {}
    try:
        backwards = dict(reversed(inputs.items()))
        check(tsnb.neuron.convert(model, backwards, "inf2", **options), inputs, outcome)
    except tsnb.TsnbError as error:
        outcome["error"] = str(error)
    called = getattr(sys.modules.get("torch_neuronx"), "CALLS", [])
    return outcome | {"call": called[-1] if called else None, "loaded": "torch_neuronx" in sys.modules}

def check(converted, inputs, outcome):
    with torch.no_grad():
        eager = model(**inputs).logits
    outcome["difference"] = relative_difference([eager], [converted(**inputs)["logits"]])
    outcome["contract"] = json.loads(converted.contract.to_json())
    for case, call in {
        "shape": lambda: converted(**{name: tensor[:, :8] for name, tensor in inputs.items()}),
        "again": lambda: tsnb.neuron.convert(converted, inputs),
        "preflight": lambda: tsnb.neuron.preflight(converted, "inf2"),
        "fixed": lambda: tsnb.neuron.fixed_shape(converted),
    }.items():
        try:
            call()
        except tsnb.TsnbError as error:
            outcome[case] = str(error)

outcomes, before = {}, ""
for name, (machine, options) in json.loads(sys.argv[2]).items():
    if machine != before:
        sys.modules.pop("torch_neuronx", None)
        sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(root))]
        sys.path.insert(0, str(root / machine))
        detection.DEVICES, before = root / machine / "dev", machine
    outcomes[name] = convert(**options)
print(json.dumps(outcomes))
"""
ALONE = """
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
def outcomes(python: Python, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Make every conversion, in one fresh Python that finds one machine's packages at a time."""
    root = tmp_path_factory.mktemp("machines")
    for machine, (source, options) in MACHINES.items():
        (root / machine).mkdir()
        install(root / machine, "torch_neuronx", source, **options)
    printed = python(CONVERT, root, json.dumps(CONVERSIONS), **environment(root))
    results: dict[str, Outcome] = json.loads(printed)
    return results


@pytest.fixture
def tiny(load: Load) -> tuple[Any, dict[str, torch.Tensor]]:
    model, tokenizer = load()
    return model, tsnb.dummy_inputs(tokenizer, model, max_length=16)


def test_with_a_device_the_documented_call_is_made_and_the_graph_compared(outcomes: dict[str, Outcome]) -> None:
    call, contract = outcomes["device"]["call"], outcomes["device"]["contract"]
    assert (call["type"], call["args"], call["cpu"]) == ("tuple", None, False)
    assert (contract["target"], contract["fixed_shape"]) == ("inf2", True)
    assert contract["input_names"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert (contract["output_names"], contract["verified"]) == (["logits"], [[1, 16]])
    assert outcomes["device"]["difference"] < 1e-5


def test_a_compiled_graph_takes_one_shape_and_is_not_compiled_again(outcomes: dict[str, Outcome]) -> None:
    assert "and no other" in outcomes["device"]["shape"]
    for case in ("again", "preflight", "fixed"):
        assert "compiled for Neuron already" in outcomes["device"][case]


@pytest.mark.parametrize(
    ("name", "passed"),
    [("host", "--target inf2"), ("trn1", "--target trn1"), ("list", "--auto-cast none --target inf2")],
)
def test_without_a_device_the_compiler_gets_its_target(name: str, passed: str, outcomes: dict[str, Outcome]) -> None:
    call = outcomes[name]["call"]
    assert (call["type"], call["args"], call["cpu"]) == ("tuple", passed, True)
    assert outcomes[name]["contract"]["verified"] == []


def test_names_that_leave_a_gap_do_not_land_in_the_wrong_place(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["gap"]["contract"]["input_names"] == ["input_ids", "token_type_ids"]
    assert outcomes["gap"]["difference"] < 1e-5


def test_a_graph_that_disagrees_is_refused_unless_the_reader_s_tolerance_allows_it(
    outcomes: dict[str, Outcome],
) -> None:
    assert "differs from the model by" in outcomes["off"]["error"]
    assert "0.01 is allowed" in outcomes["off"]["error"]
    assert 0.1 < outcomes["off-allowed"]["difference"] < 0.9


@pytest.mark.parametrize(
    ("name", "sentence", "loaded"),
    [
        ("third", "has no function trace", False),
        ("no-compiler", "its compiler neuronxcc is not", False),
        ("failing", "torch_neuronx could not compile it, or not run it: boom", True),
        ("no-core", "no core", True),
    ],
)
def test_what_is_missing_or_fails_is_named(
    name: str, sentence: str, *, loaded: bool, outcomes: dict[str, Outcome]
) -> None:
    assert sentence in outcomes[name]["error"]
    assert outcomes[name]["loaded"] == loaded


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


def test_what_is_no_model_no_input_or_in_training_mode_is_refused(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    nothing: Any = 5
    with pytest.raises(tsnb.InputError, match=r"Expected a torch\.nn\.Module"):
        tsnb.neuron.convert(nothing, {"input": torch.zeros(1, 2)})
    with pytest.raises(tsnb.InputError, match="no input called inputs"):
        tsnb.neuron.convert(nn.Linear(2, 2).eval(), {"inputs": torch.zeros(1, 2)})
    install(tmp_path, "torch_neuronx", TRACING)
    monkeypatch.syspath_prepend(str(tmp_path))
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


def test_another_shape_or_dtype_of_one_input_is_refused_by_name_and_by_graph(fixed: tsnb.Traced) -> None:
    for shape, dtype in (((1, 15), torch.int64), ((2, 16), torch.int64), ((1, 16), torch.int32)):
        mixed = inputs((1, 16)) | {"attention_mask": torch.ones(shape, dtype=dtype)}
        with pytest.raises(tsnb.InputError, match="attention_mask"):
            fixed(**mixed)
        with pytest.raises(torch.jit.Error, match=r"the input attention_mask must have .* and be int64"):
            fixed.module(*mixed.values())


def test_saved_it_still_refuses_with_tsnb_and_without(fixed: tsnb.Traced, python: Python, tmp_path: Path) -> None:
    path = tsnb.save(fixed, tmp_path / "fixed.pt")
    loaded = tsnb.load_traced(path)
    assert loaded.contract == fixed.contract
    with pytest.raises(tsnb.InputError):
        loaded(**inputs((1, 8)))
    first, *refusals, imported = python(ALONE, path).splitlines()
    assert first.startswith("(1, 16, ")
    assert ["Stand-in for a Neuron graph, on the CPU" in line for line in refusals] == [True] * 3
    assert imported == "False"


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
