"""The operators of a graph, AWS's list for Inf1, and the two generations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import tsnb
from tsnb.neuron.operators import Operator, Operators, inf1_list, operators_of
from tsnb.neuron.targets import TARGETS, facts, source, target
from tsnb.tracing.traced import quiet_jit


def test_the_list_is_the_one_of_its_source_and_no_operator_stands_in_two_tables() -> None:
    known = inf1_list()
    full = [f"{prefix}::{name}" for prefix, names in known["supported"].items() for name in names]
    assert (len(full), len(known["limited"])) == (161 + 9, 7)
    names = [*full, *known["limited"], *known["removed"], *known["cpu-only"]]
    assert len(set(names)) == len(names)
    assert known["provenance"]["path"].endswith("neuron-cc-ops-pytorch.rst")


@pytest.mark.parametrize(
    ("kind", "support"),
    [
        ("aten::linear", "supported"),
        ("prim::ListConstruct", "supported"),
        ("aten::where", "limited"),
        ("aten::embedding", "cpu"),
        ("prim::PythonOp", "cpu"),
        ("aten::scaled_dot_product_attention", "unlisted"),
    ],
)
def test_what_the_list_says_of_an_operator(kind: str, support: str) -> None:
    node = SimpleNamespace(kind=lambda: kind, blocks=list)
    module = SimpleNamespace(inlined_graph=SimpleNamespace(nodes=lambda: [node]))
    [operator] = operators_of(module)
    assert (operator.kind, operator.count, operator.support) == (kind, 1, support)
    assert bool(operator.condition) == (support in {"limited", "cpu"})
    assert operators_of(module, "inf2")[0].support == "unknown"
    assert operators_of(module, "inf2").outside == ()


def test_submodules_and_blocks_within_blocks_are_counted() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                if bool(x.sum() > 0):
                    x = torch.gather(x, 0, torch.zeros(1, dtype=torch.int64))
            return self.layers(x)  # type: ignore[no-any-return]

    with quiet_jit() as jit:
        operators = operators_of(jit.script(Inner().eval()))
    counts = {operator.kind: operator.count for operator in operators}
    assert (counts["aten::linear"], counts["aten::relu"], counts["aten::gather"]) == (2, 1, 1)
    assert {"prim::Loop", "prim::If"} <= set(counts)


def test_the_table_has_each_kind_its_count_and_its_condition() -> None:
    rows = [Operator("aten::linear", 12, "supported"), Operator("aten::where", 2, "limited", "3 arguments")]
    assert str(Operators(rows)).splitlines() == [
        "aten::linear     12  supported",
        "aten::where       2  limited  3 arguments",
    ]


def test_the_two_generations_that_trace_cannot_share_an_environment() -> None:
    inf1, inf2 = TARGETS
    assert not set(inf1.python) & set(inf2.python)
    assert all(source(name).startswith("https://") for name in facts()["sources"])


@pytest.mark.parametrize(("name", "sentence"), [("inf22", "Did you mean inf2"), ("cuda", "Known: inf1, inf2")])
def test_an_unknown_target_is_refused_with_the_near_one(name: str, sentence: str) -> None:
    with pytest.raises(tsnb.NeuronError, match=sentence):
        target(name)
