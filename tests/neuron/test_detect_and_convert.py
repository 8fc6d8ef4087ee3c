"""Detection and conversion against stand-ins.

AWS's packages cannot be installed here. The modules written below stand in for them: they have the
names and signatures of AWS's documentation, record how they are called, and trace with plain torch.
They show that tsnb makes the documented call, not that a Neuron device accepts the model.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tsnb.neuron import detection
from tsnb.neuron.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
INF1 = """
import torch
CALLS = []
def trace(model, example_inputs, compiler_args=None, fallback=True):
    assert isinstance(example_inputs, (list, tuple))
    CALLS.append({"type": type(example_inputs).__name__, "args": compiler_args})
    return torch.jit.trace(model, example_inputs, check_trace=False)
"""
INF2 = """
import torch
CALLS = []
def trace(func, example_inputs, *_, compiler_args=None, compiler_workdir=None, cpu_backend=False):
    assert isinstance(example_inputs, (torch.Tensor, tuple))
    CALLS.append({"type": type(example_inputs).__name__, "args": compiler_args, "cpu": cpu_backend})
    return torch.jit.trace(func, example_inputs, check_trace=False)
"""
SOURCES = {"torch_neuron": INF1, "torch_neuronx": INF2}
COMPILERS = {"torch_neuron": "neuroncc", "torch_neuronx": "neuronxcc"}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put stand-ins on the path; nothing of them is left when the test ends."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(detection, "DEVICES", tmp_path / "dev")
    for name in (*SOURCES, *COMPILERS.values()):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def put(package: str, source: str = "", *, compiler: bool = True, device: bool = False) -> None:
        (tmp_path / f"{package}.py").write_text(source or SOURCES[package], encoding="utf-8")
        if compiler:
            (tmp_path / f"{COMPILERS[package]}.py").touch()
        if device:
            (tmp_path / "dev").mkdir()
            (tmp_path / "dev" / "neuron0").touch()

    return put


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the stand-ins' modules dropped after each test."""
    for name in (*SOURCES, *COMPILERS.values()):
        monkeypatch.delitem(sys.modules, name, raising=False)


def _found(package: str) -> Any:
    return {item.target.package: item for item in tsnb.neuron.detect()}[package]


@pytest.mark.parametrize("package", SOURCES)
class TestDetect:
    def test_nothing_is_installed_here(self, package: str) -> None:
        found = _found(package)
        assert found.state == "absent"
        assert not found.can_trace
        assert package in str(found)

    def test_a_package_without_trace(self, package: str, install: Callable[..., None]) -> None:
        install(package, "version = 3")
        assert _found(package).state == "no-trace"

    def test_a_name_trace_that_cannot_be_called(
        self, package: str, install: Callable[..., None]
    ) -> None:
        install(package, "trace = None")
        assert _found(package).state == "no-trace"

    def test_no_compiler(self, package: str, install: Callable[..., None]) -> None:
        install(package, compiler=False)
        found = _found(package)
        assert found.state == "no-compiler"
        assert COMPILERS[package] in str(found)

    def test_no_device(self, package: str, install: Callable[..., None]) -> None:
        install(package)
        found = _found(package)
        assert found.state == "no-device"
        assert found.can_trace

    def test_ready(self, package: str, install: Callable[..., None]) -> None:
        install(package, device=True)
        assert _found(package).state == "ready"

    @pytest.mark.parametrize("raised", ["ImportError('libnrt.so')", "RuntimeError('no driver')"])
    def test_an_import_that_raises(
        self, package: str, raised: str, install: Callable[..., None]
    ) -> None:
        install(package, f"raise {raised}")
        found = _found(package)
        assert found.state == "broken"
        assert found.detail in str(found)
        assert raised.split("'")[1] in found.detail

    def test_only_this_package_is_imported(
        self, package: str, install: Callable[..., None]
    ) -> None:
        install(package)
        tsnb.neuron.detect()
        assert {name for name in SOURCES if name in sys.modules} == {package}
        assert COMPILERS[package] not in sys.modules


def test_required_and_found_versions_are_said() -> None:
    for found in tsnb.neuron.detect():
        assert found.target.torch in str(found)
        assert torch.__version__ in str(found)
        assert found.python in str(found)


@pytest.mark.parametrize("target", [item.name for item in TARGETS])
def test_converting_without_the_package_names_it(target: str, tiny: Any) -> None:
    model, inputs = tiny
    with pytest.raises(tsnb.NeuronError, match="is not installed here"):
        tsnb.neuron.convert(model, inputs, target=target)


def test_an_unknown_target_is_refused_with_the_near_one(tiny: Any) -> None:
    model, inputs = tiny
    with pytest.raises(tsnb.NeuronError, match="Did you mean inf2"):
        tsnb.neuron.convert(model, inputs, target="inf22")


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, dict[str, torch.Tensor]]:
    model, tokenizer = tsnb.load("tiny-bert", torchscript=True)
    return model, tsnb.dummy_inputs(tokenizer, model, max_length=16)


def _calls(package: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = sys.modules[package].CALLS
    return calls


def test_inf1_gets_a_list(tiny: Any, install: Callable[..., None]) -> None:
    install("torch_neuron")
    tsnb.neuron.convert(tiny[0], tiny[1], target="inf1", compiler_args=["-O2"])
    assert _calls("torch_neuron") == [{"type": "list", "args": ["-O2"]}]


def test_inf2_gets_a_tuple_and_the_cpu_backend_where_there_is_no_device(
    tiny: Any, install: Callable[..., None]
) -> None:
    install("torch_neuronx")
    tsnb.neuron.convert(tiny[0], tiny[1], target="inf2")
    assert _calls("torch_neuronx") == [{"type": "tuple", "args": "--target inf2", "cpu": True}]


def test_inf2_with_a_device_compiles_for_it(tiny: Any, install: Callable[..., None]) -> None:
    install("torch_neuronx", device=True)
    tsnb.neuron.convert(tiny[0], tiny[1], target="inf2", compiler_args="--auto-cast none")
    assert _calls("torch_neuronx") == [{"type": "tuple", "args": "--auto-cast none", "cpu": False}]


@pytest.mark.parametrize(
    ("package", "target"), [("torch_neuron", "inf1"), ("torch_neuronx", "inf2")]
)
def test_the_result_has_a_contract_with_a_fixed_shape_and_inputs_by_name(
    package: str, target: str, tiny: Any, install: Callable[..., None]
) -> None:
    install(package)
    model, inputs = tiny
    backwards = dict(reversed(inputs.items()))
    converted = tsnb.neuron.convert(model, backwards, target=target)
    assert converted.contract.fixed_shape
    assert converted.contract.input_names == tuple(inputs)
    with torch.no_grad():
        expected = model(**inputs)[0]
    assert torch.allclose(converted(**backwards)["logits"], expected, atol=1e-4)
