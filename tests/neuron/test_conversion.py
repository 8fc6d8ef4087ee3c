"""The call of each generation, against stand-ins in a process of its own."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tests.neuron.stand_ins import THIRD, TRACING, WORKING, environment, install
from tsnb.neuron.conversion import versions
from tsnb.neuron.targets import TARGETS, target
from tsnb.tracing.outputs import relative_difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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

# What is installed, by the name of its folder: packages, sources, and whether there is a device.
MACHINES: dict[str, list[tuple[str, str, dict[str, bool]]]] = {
    "inf1": [("torch_neuron", "", {"device": True})],
    "inf2": [("torch_neuronx", "", {"device": True})],
    "inf1-host": [("torch_neuron", "", {})],
    "inf2-host": [("torch_neuronx", "", {})],
    "both": [("torch_neuron", "", {}), ("torch_neuronx", "", {})],
    "third": [("torch_neuronx", THIRD, {"device": True})],
    "exits": [("torch_neuronx", "raise SystemExit('no licence')", {})],
    "half": [("torch_neuronx", "import libneuronxla_missing", {})],
    "no-compiler": [("torch_neuronx", TRACING, {"compiler": False})],
    "failing": [("torch_neuron", FAILING, {}), ("torch_neuronx", FAILING, {})],
    "no-core": [("torch_neuronx", NO_CORE, {"device": True})],
}
# What is converted where; `without` leaves an input out, `off_by` spoils the graph's output.
CONVERSIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "inf1": ("inf1", {"target": "inf1"}),
    "inf1-gap": ("inf1", {"target": "inf1", "without": ["attention_mask"]}),
    "inf1-off": ("inf1", {"target": "inf1", "off_by": 5}),
    "inf2": ("inf2", {"target": "inf2"}),
    "inf2-gap": ("inf2", {"target": "inf2", "without": ["attention_mask"]}),
    "inf2-off": ("inf2", {"target": "inf2", "off_by": 5}),
    "inf2-off-allowed": ("inf2", {"target": "inf2", "off_by": 5, "tolerance": 0.9}),
    "inf2-arguments": ("inf2", {"target": "inf2", "compiler_args": "--auto-cast none"}),
    "inf1-host": (
        "inf1-host",
        {"target": "inf1", "compiler_args": ["-O2"], "fallback": False},
    ),
    "inf2-host": ("inf2-host", {"target": "inf2"}),
    "inf2-text": ("inf2-host", {"target": "inf2", "compiler_args": "--auto-cast none"}),
    "inf2-trn1": ("inf2-host", {"target": "inf2", "compiler_args": "--target trn1"}),
    "inf2-list": ("inf2-host", {"target": "inf2", "compiler_args": ["--auto-cast", "none"]}),
    "inf2-list-trn1": ("inf2-host", {"target": "inf2", "compiler_args": ["--target=trn1"]}),
    "inf2-unknown-option": ("inf2-host", {"target": "inf2", "fallback": True}),
    "both-inf1": ("both", {"target": "inf1"}),
    "both-inf2": ("both", {"target": "inf2"}),
    "third": ("third", {"target": "inf2"}),
    "exits": ("exits", {"target": "inf2"}),
    "half": ("half", {"target": "inf2"}),
    "no-compiler": ("no-compiler", {"target": "inf2"}),
    "failing-inf1": ("failing", {"target": "inf1"}),
    "failing-inf2": ("failing", {"target": "inf2"}),
    "no-core": ("no-core", {"target": "inf2"}),
}
CONVERT = """
import importlib, json, os, pathlib, sys
import torch, tsnb
from tsnb.neuron import detection
from tsnb.tracing.outputs import relative_difference

PACKAGES = {"inf1": "torch_neuron", "inf2": "torch_neuronx"}
root = pathlib.Path(sys.argv[1])
model, tokenizer = tsnb.load("tiny-bert")
all_inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)

def convert(target, without=(), off_by=0, **options):
    os.environ["STAND_IN_OFF_BY"] = str(off_by)
    inputs = {name: tensor for name, tensor in all_inputs.items() if name not in without}
    told = {}
    try:
        backwards = dict(reversed(inputs.items()))
        check(tsnb.neuron.convert(model, backwards, target, **options), inputs, target, told)
    except tsnb.TsnbError as error:
        told |= {"error": str(error), "key": error.key}
    called = getattr(sys.modules.get(PACKAGES[target]), "CALLS", [])
    told["call"] = called[-1] if called else None
    told["loaded"] = sorted(set(PACKAGES.values()) & set(sys.modules))
    return told

def check(converted, inputs, target, told):
    with torch.no_grad():
        eager = model(**inputs).logits
    told["difference"] = relative_difference([eager], [converted(**inputs)["logits"]])
    told["contract"] = json.loads(converted.contract.to_json())
    for case, call in {
        "names": lambda: converted(inputs_ids=inputs["input_ids"]),
        "dtype": lambda: converted(**{**inputs, "input_ids": inputs["input_ids"].int()}),
        "shape": lambda: converted(**{name: held[:, :8] for name, held in inputs.items()}),
        "again": lambda: tsnb.neuron.convert(converted, inputs, target),
        "again-module": lambda: tsnb.neuron.convert(converted.module, inputs, target),
        "preflight": lambda: tsnb.neuron.preflight(converted, target),
        "fixed": lambda: tsnb.neuron.fixed_shape(converted),
    }.items():
        try:
            call()
        except tsnb.TsnbError as error:
            told[case] = error.key

outcomes, before = {}, ""
for name, (machine, options) in json.loads(sys.argv[2]).items():
    if machine != before:
        for package in PACKAGES.values():
            sys.modules.pop(package, None)
        sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(root))]
        sys.path.insert(0, str(root / machine))
        detection.DEVICES, before = root / machine / "dev", machine
    outcomes[name] = convert(**options)
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(python: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Make every conversion, in one fresh Python that finds one machine's packages at a time."""
    root = tmp_path_factory.mktemp("machines")
    for machine, packages in MACHINES.items():
        (root / machine).mkdir()
        for package, source, options in packages:
            install(root / machine, package, source, **options)
    printed = python(CONVERT, root, json.dumps(CONVERSIONS), **environment(root))
    told: dict[str, Outcome] = json.loads(printed)
    return told


@pytest.fixture
def tiny(load: Callable[..., Any]) -> tuple[Any, dict[str, torch.Tensor]]:
    model, tokenizer = load()
    return model, tsnb.dummy_inputs(tokenizer, model, max_length=16)


@pytest.mark.parametrize(("name", "kind"), [("inf1", "list"), ("inf2", "tuple")])
def test_with_a_device_the_documented_call_is_made_and_the_graph_compared(
    name: str, kind: str, outcomes: dict[str, Outcome]
) -> None:
    call, contract = outcomes[name]["call"], outcomes[name]["contract"]
    assert (call["type"], call["args"], call["model"]) == (kind, None, "BertForMaskedLM")
    assert not call.get("cpu")
    assert (contract["target"], contract["fixed_shape"]) == (name, True)
    assert contract["input_names"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert contract["output_names"] == ["logits"]
    assert contract["verified"] == [[1, 16]]
    assert outcomes[name]["difference"] < 1e-5
    assert outcomes[name]["loaded"] == [target(name).package]


@pytest.mark.parametrize("name", ["inf1", "inf2"])
@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("names", "inputs.misnamed"),
        ("dtype", "inputs.wrong-dtype"),
        ("shape", "inputs.wrong-shape"),
        ("again", "neuron.already-converted"),
        ("again-module", "neuron.already-converted"),
        ("preflight", "neuron.already-converted"),
        ("fixed", "neuron.already-converted"),
    ],
)
def test_what_a_compiled_graph_does_not_take_is_told_apart(
    name: str, case: str, key: str, outcomes: dict[str, Outcome]
) -> None:
    assert outcomes[name][case] == key


def test_inf1_without_a_device_compiles_and_compares_nothing(outcomes: dict[str, Outcome]) -> None:
    call = outcomes["inf1-host"]["call"]
    assert (call["type"], call["args"], call["fallback"]) == ("list", ["-O2"], False)
    assert outcomes["inf1-host"]["contract"]["verified"] == []


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("inf2-host", "--target inf2"),
        ("inf2-text", "--auto-cast none --target inf2"),
        ("inf2-trn1", "--target trn1"),
        ("inf2-list", ["--auto-cast", "none", "--target", "inf2"]),
        ("inf2-list-trn1", ["--target=trn1"]),
    ],
)
def test_inf2_without_a_device_is_told_its_target(
    name: str, passed: Any, outcomes: dict[str, Outcome]
) -> None:
    call = outcomes[name]["call"]
    assert (call["type"], call["args"], call["cpu"]) == ("tuple", passed, True)
    assert outcomes[name]["contract"]["verified"] == []


def test_inf2_with_a_device_gets_the_reader_s_arguments_alone(outcomes: dict[str, Outcome]) -> None:
    call = outcomes["inf2-arguments"]["call"]
    assert (call["args"], call["cpu"]) == ("--auto-cast none", False)


@pytest.mark.parametrize("name", ["inf1-gap", "inf2-gap"])
def test_names_that_leave_a_gap_do_not_land_in_the_wrong_place(
    name: str, outcomes: dict[str, Outcome]
) -> None:
    assert outcomes[name]["call"]["model"] == "ByPosition"
    assert outcomes[name]["contract"]["input_names"] == ["input_ids", "token_type_ids"]
    assert outcomes[name]["difference"] < 1e-5


@pytest.mark.parametrize("name", ["inf1-off", "inf2-off"])
def test_a_graph_that_disagrees_with_its_model_is_refused(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name]["key"] == "neuron.disagrees"
    assert name.partition("-")[0] in outcomes[name]["error"]


def test_the_reader_s_tolerance_decides(outcomes: dict[str, Outcome]) -> None:
    assert 0.1 < outcomes["inf2-off-allowed"]["difference"] < 0.9


@pytest.mark.parametrize("name", ["inf1", "inf2"])
def test_the_target_decides_where_both_packages_are_installed(
    name: str, outcomes: dict[str, Outcome]
) -> None:
    assert outcomes[f"both-{name}"]["contract"]["target"] == name
    assert target(name).package in outcomes[f"both-{name}"]["loaded"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("third", "has no function trace"),
        ("exits", "no licence"),
        ("half", "libneuronxla_missing"),
        ("no-compiler", "its compiler neuronxcc is not"),
    ],
)
def test_what_is_missing_is_named(name: str, said: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name]["key"] == "neuron.cannot-convert"
    assert said in outcomes[name]["error"]
    assert outcomes[name]["loaded"] == []


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("failing-inf1", "neuron.failed-inf1", "torch_neuron.trace failed: boom"),
        ("failing-inf2", "neuron.failed-inf2", "torch_neuronx.PartitionerConfig"),
        ("inf2-unknown-option", "neuron.failed-inf2", "fallback"),
        ("no-core", "neuron.not-run", "no core"),
    ],
)
def test_what_fails_in_the_sdk_is_quoted(
    name: str, key: str, said: str, outcomes: dict[str, Outcome]
) -> None:
    assert outcomes[name]["key"] == key
    assert said in outcomes[name]["error"]


@pytest.mark.parametrize("name", [item.name for item in TARGETS])
def test_without_the_package_it_is_named(name: str, tiny: Any) -> None:
    with pytest.raises(tsnb.NeuronError, match="is not installed here"):
        tsnb.neuron.convert(tiny[0], tiny[1], target=name)


def test_an_unknown_target_comes_before_everything(tiny: Any) -> None:
    with pytest.raises(tsnb.NeuronError, match="Did you mean inf2"):
        tsnb.neuron.convert(tiny[0], tiny[1], target="inf22")


@pytest.mark.parametrize("part", ["traced", "module"])
def test_a_trace_is_not_what_the_compiler_takes(
    part: str, traced: Callable[..., tsnb.Traced], tiny: Any
) -> None:
    given: Any = traced() if part == "traced" else traced().module
    with pytest.raises(tsnb.NeuronError) as caught:
        tsnb.neuron.convert(given, tiny[1])
    assert caught.value.key == "neuron.not-a-model"


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        ([torch.zeros(1, 2)], "inputs.not-named"),
        ({"input": [1, 2]}, "inputs.not-tensor"),
        ({"inputs": torch.zeros(1, 2)}, "inputs.misnamed"),
    ],
)
def test_inputs_are_checked(inputs: Any, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_neuronx", "def trace(): ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.neuron.convert(nn.Linear(2, 2).eval(), inputs)
    assert caught.value.key == key


def test_a_model_in_training_mode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torch_neuronx", "def trace(): ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(tsnb.TraceError, match="training mode"):
        tsnb.neuron.convert(nn.Linear(2, 2), {"input": torch.zeros(1, 2)})


def test_the_versions_of_installed_packages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions(target("inf2")) == {}
    known = {"torch-neuronx": "2.9.0.2.15.32035", "neuron-cc": "1.24"}

    def look(name: str) -> str:
        if name not in known:
            raise PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr("tsnb.neuron.conversion.version", look)
    assert versions(target("inf2")) == {"torch-neuronx": "2.9.0.2.15.32035"}
    assert versions(target("inf1")) == {"neuron-cc": "1.24"}


@pytest.mark.parametrize(
    ("expected", "found", "part"),
    [
        ([[4.0, -8.0]], [[4.0, -6.0]], 0.25),
        ([[0.0]], [[0.5]], 0.5),
        ([[1.0], [10.0]], [[2.0], [10.0]], 0.1),
        ([[1.0]], [[1.0, 1.0]], float("inf")),
        ([[1.0]], [[float("nan")]], float("inf")),
        ([], [], 0.0),
    ],
)
def test_a_difference_as_a_part_of_the_largest_output(
    expected: list[list[float]], found: list[list[float]], part: float
) -> None:
    tensors = [[torch.tensor(row) for row in rows] for rows in (expected, found)]
    assert relative_difference(tensors[0], tensors[1]) == pytest.approx(part)


def test_small_berts_in_bfloat16_stay_within_what_is_allowed_for_inf1(
    load: Callable[..., Any],
) -> None:
    for name in ("tiny-bert", "bert-mini"):
        model, tokenizer = load(name)
        inputs = tsnb.dummy_inputs(tokenizer, model, max_length=32)
        rounded, _ = tsnb.load(name)
        with torch.no_grad():
            found = rounded.to(torch.bfloat16)(**inputs).logits.float()
            part = relative_difference([model(**inputs).logits], [found])
        assert 0 < part <= 0.02 < target("inf1").tolerance
