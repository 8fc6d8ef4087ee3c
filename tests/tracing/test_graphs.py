"""Which operations of a trace are tied to a device: what is found, and what an accelerator says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing.graphs import fixed_devices

Forward = Callable[[Any, torch.Tensor], torch.Tensor]

FIXED: dict[str, Forward] = {
    "arange on the input's device": lambda _, x: x + torch.arange(x.shape[1], device=x.device),
    "arange without a device": lambda _, x: x + torch.arange(x.shape[1]),
    "to the weight's device": lambda self, x: x.to(self.weight.device) + self.weight,
    "to the processor": lambda self, x: x.cpu() + self.weight,
}
FREE: dict[str, Forward] = {
    "zeros like the input": lambda _, x: x + torch.zeros_like(x),
    "a scalar to choose from": lambda _, x: torch.where(x > 0, x, torch.tensor(-1e9)),
    "a buffer": lambda self, x: x + self.numbers[: x.shape[1]],
    "another dtype": lambda self, x: x.to(torch.float64) + self.weight,
}


class Module(nn.Module):
    def __init__(self, calculate: Forward) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.numbers: torch.Tensor
        self.register_buffer("numbers", torch.arange(10))
        self.calculate = calculate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.calculate(self, x)


def record(calculate: Forward) -> tsnb.Traced:
    return tsnb.trace(Module(calculate).eval(), {"x": torch.ones(2, 4)})


def device_of_result(module: torch.jit.ScriptModule, device: str) -> str:
    """Run a trace on any device: torch's fake tensors know devices, and hold no numbers."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        module.weight = nn.Parameter(torch.empty(4, device=device))
        module.numbers = torch.empty(10, dtype=torch.int64, device=device)
        return str(module(torch.empty(2, 4, device=device)).device.type)


@pytest.mark.parametrize("name", FIXED)
def test_what_fails_on_another_device_is_found(name: str) -> None:
    traced = record(FIXED[name])
    [line] = fixed_devices(traced.module)
    assert (line.device, traced.contract.devices) == ("cpu", ("cpu",))
    assert "test_graphs.py:" in line.source
    assert device_of_result(traced.module, "cpu") == "cpu"
    with pytest.raises(RuntimeError):
        device_of_result(traced.module, "cuda")


@pytest.mark.parametrize("name", FREE)
def test_what_runs_on_another_device_is_not(name: str) -> None:
    traced = record(FREE[name])
    assert (fixed_devices(traced.module), traced.contract.devices) == ({}, ())
    assert device_of_result(traced.module, "cuda") == "cuda"


def test_bert_is_free_and_relative_positions_tie_a_trace_to_its_device() -> None:
    assert tsnb.trace(make("bert"), example("bert")).contract.devices == ()
    traced = tsnb.trace(make("t5-encoder"), example("t5-encoder"))
    assert traced.contract.devices == ("cpu",)
    lines = [note for note in traced.warnings if note.device]
    assert all(note.harmless is None and note.shapes == () for note in lines)
    assert any("arange" in note.code for note in lines)
