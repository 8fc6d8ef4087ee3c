"""Single checks, on cases that no small model gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.neuron import checks
from tsnb.neuron.checks import Case, gap_before
from tsnb.neuron.operators import Operators
from tsnb.neuron.targets import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.neuron.findings import Finding

DEVICE = """
graph(%x : Tensor):
  %d : Device = prim::Constant[value="{}"]()
  return (%x)
"""
IDS = tsnb.Contract(("input_ids",), dtypes={"input_ids": "int64"}, batch_size=1, length=8)


def case(name: str = "inf1", module: Any = None, **changes: Any) -> Case:
    held: dict[str, Any] = {"operators": Operators(), "weights": (100, 400)} | changes
    contract = held.pop("contract", IDS)
    return Case(tsnb.Traced(module, contract), target(name), **held)


def only(found: Any) -> Finding:
    [finding] = found
    result: Finding = finding
    return result


@pytest.mark.parametrize(
    ("name", "weights", "kind", "said"),
    [
        ("inf1", (109_482_240, 437_928_960), "ok", "0.22 GB; a NeuronCore has 2.0 GB"),
        ("inf1", (1_000_000_000, 4_000_000_000), "ok", "2 GB"),
        ("inf1", (1_500_000_000, 6_000_000_000), "attention", "more than the 2.0 GB"),
        ("inf1", (4_100_000_000, 16_400_000_000), "blocker", "more than the chip's 8.0 GB"),
        ("inf2", (109_482_240, 437_928_960), "ok", "0.44 GB; a NeuronCore has 17.2 GB"),
        ("inf2", (5_000_000_000, 20_000_000_000), "attention", "more than the 17.2 GB"),
        ("inf2", (9_000_000_000, 36_000_000_000), "blocker", "more than the chip's 34.4 GB"),
    ],
)
def test_weights_against_memory(name: str, weights: tuple[int, int], kind: str, said: str) -> None:
    finding = only(checks.size(case(name, weights=weights)))
    assert finding.kind == kind
    assert said in finding.why


@pytest.mark.parametrize(
    ("name", "weights", "kind", "said"),
    [
        ("inf1", 109_482_240, "ok", "about 9 compiled lengths"),
        ("inf1", 740_740, "ok", "about 1,350 compiled lengths"),
        ("inf1", 2_500_000_000, "attention", "about 0 compiled lengths"),
        ("inf2", 109_482_240, "attention", "for Inf2 there is none"),
    ],
)
def test_how_many_lengths_fit(name: str, weights: int, kind: str, said: str) -> None:
    finding = only(checks.buckets(case(name, weights=(weights, 4 * weights))))
    assert finding.kind == kind
    assert said in finding.why


def test_without_weights_nothing_is_said_of_buckets() -> None:
    assert list(checks.buckets(case("inf1", weights=(0, 0)))) == []


@pytest.mark.parametrize(("name", "kind"), [("cpu", "ok"), ("cuda:0", "blocker"), ("mps", "blocker")])
def test_devices_in_a_graph(name: str, kind: str) -> None:
    module = SimpleNamespace(inlined_graph=torch._C.parse_ir(DEVICE.format(name)))
    finding = only(checks.device(case(module=module)))
    assert (finding.kind, name in finding.why) == (kind, True)


def test_no_device_in_a_graph() -> None:
    module = SimpleNamespace(inlined_graph=torch._C.parse_ir("graph(%x : Tensor):\n  return (%x)"))
    assert "No device" in only(checks.device(case(module=module))).why


@pytest.mark.parametrize(
    ("dtypes", "kind"),
    [
        ({"input_ids": "int64"}, "ok"),
        ({"x": "float32", "input_ids": "int64"}, "ok"),
        ({"x": "float16"}, "attention"),
        ({"input_ids": "int32"}, "attention"),
        ({}, "attention"),
    ],
)
def test_dtypes(dtypes: dict[str, str], kind: str) -> None:
    found = list(checks.dtypes(case("inf2", contract=tsnb.Contract(("x",), dtypes=dtypes))))
    assert [finding.kind for finding in found] == [kind]


def test_casting_is_said_of_inf1_alone() -> None:
    assert "BF16" in list(checks.dtypes(case("inf1")))[1].why
    assert len(list(checks.dtypes(case("inf2")))) == 1


def test_shapes_are_said_with_the_numbers() -> None:
    finding = only(checks.shapes(case()))
    assert "1 × 8" in finding.why
    assert "does not tell it" in only(checks.shapes(case(contract=tsnb.Contract(("x",))))).why


@pytest.mark.parametrize(("tied", "said"), [(True, "0.weight = 1.weight"), (False, "No weights share")])
def test_tied_weights_are_named(*, tied: bool, said: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)).eval()
    if tied:
        model[1].weight = model[0].weight
    traced = tsnb.trace(model, {"input": torch.zeros(1, 2)})
    for given in (model, None):
        finding = only(checks.tied(case(module=traced.module, model=given)))
        assert (finding.kind, said in finding.why) == ("ok", True)


def test_a_position_that_is_skipped(load: Callable[..., Any]) -> None:
    model, _ = load()
    assert gap_before(model, ("input_ids", "attention_mask")) == ""
    assert gap_before(model, ("input_ids", "token_type_ids")) == "attention_mask"
    assert gap_before(model, ("attention_mask",)) == "input_ids"
    assert gap_before(None, ("anything",)) == ""


def test_a_known_contract_is_passed_over() -> None:
    assert list(checks.contract(case())) == []


@pytest.mark.parametrize(
    ("verified", "kind", "said"),
    [
        ((), "attention", "unknown"),
        (((1, 8),), "attention", "unknown"),
        (((1, 8), (2, 8)), "attention", "unknown"),
        (((1, 4), (1, 8)), "ok", "1 × 4, 1 × 8"),
    ],
)
def test_what_was_verified_speaks_for_a_trace(verified: Any, kind: str, said: str) -> None:
    contract = tsnb.Contract(("input_ids",), batch_size=1, length=8, verified=verified)
    finding = only(checks.flow(case(contract=contract)))
    assert finding.kind == kind
    assert said in finding.why
