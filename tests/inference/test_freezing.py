"""Frozen traces: the same numbers, oneDNN's operations, and what is left as it is."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.kinds import MonkeyPatch, Traces
from tsnb.inference.freezing import freeze
from tsnb.tracing.outputs import flatten, largest_difference

ONEDNN = "mkldnn::_linear_pointwise"


def kinds(module: Any) -> list[str]:
    return [node.kind() for node in module.graph.nodes()]


def traced_module(module: nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    made: torch.jit.ScriptModule = torch.jit.trace(module.eval(), example)
    return made


@pytest.mark.parametrize("head", ["encoder", "masked-lm"])
def test_the_numbers_stay_at_every_shape(traced: Traces, head: str) -> None:
    trace = traced(head, 24, 2)
    frozen = freeze(trace.module)
    draw = torch.Generator().manual_seed(0)
    for shape in ((2, 24), (1, 5), (3, 40), (2, 24)):
        ids = torch.randint(5, 90, shape, generator=draw)
        inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
        with torch.inference_mode():
            expected = [trace.module(*inputs) for _ in range(3)][-1]
            result = [frozen(*inputs) for _ in range(3)][-1]  # compiled in the second call
        assert largest_difference(flatten(expected), flatten(result)) < 1e-4


def test_every_linear_layer_is_laid_out_with_its_gelu_and_the_trace_itself_stays(traced: Traces) -> None:
    original = str(traced().module.inlined_graph)
    before, after = kinds(torch.jit.freeze(traced().module)), kinds(freeze(traced().module))
    assert before.count("aten::linear") == after.count(ONEDNN) > 0
    assert "aten::gelu" in before
    assert not {"aten::linear", "aten::gelu"} & set(after)
    assert str(traced().module.inlined_graph) == original


@pytest.mark.parametrize("kind", ["none", "tanh"])
def test_both_forms_of_gelu(kind: str) -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.GELU(approximate=kind))
    example = 3 * torch.randn(4, 8)
    frozen = freeze(traced_module(module, example))
    assert ONEDNN in kinds(frozen)
    assert torch.allclose(frozen(example), module(example), atol=1e-5)


class TwoUses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4, bias=False)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.linear(numbers)
        return nn.functional.gelu(made) + made


def test_a_layer_whose_output_has_two_uses_keeps_its_gelu_apart() -> None:
    module, example = TwoUses(), torch.randn(3, 4)
    frozen = freeze(traced_module(module, example))
    assert {ONEDNN, "aten::gelu"} <= set(kinds(frozen))
    assert torch.allclose(frozen(example), module(example), atol=1e-5)


class Computed(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(numbers, numbers.softmax(0))


@pytest.mark.parametrize(("module", "dtype"), [(nn.Linear(4, 4).double(), torch.float64), (Computed(), torch.float32)])
def test_another_dtype_and_a_computed_weight_stay_as_they_are(module: nn.Module, dtype: torch.dtype) -> None:
    example = torch.randn(4, 4, dtype=dtype)
    frozen = freeze(traced_module(module, example))
    assert "aten::linear" in kinds(frozen)
    assert torch.allclose(frozen(example), module(example))


def test_without_onednn_it_is_a_plain_freeze(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    frozen = freeze(traced_module(nn.Linear(4, 4), torch.randn(3, 4)))
    assert ONEDNN not in kinds(frozen)
