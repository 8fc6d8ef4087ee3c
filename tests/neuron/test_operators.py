from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.neuron.operators import Operator, Operators, inf1_list, is_compiled, operators_of
from tsnb.tracing.graphs import nodes
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable

GRAPH = """
graph(%x : Tensor):
  %y : Tensor = neuron::forward_1(%x)
  %z : (Tensor) = prim::TupleConstruct(%y)
  return (%z)
"""


def traced(function: Callable[..., Any], *example: torch.Tensor) -> Any:
    class Model(nn.Module):
        def forward(self, *tensors: torch.Tensor) -> Any:
            return function(*tensors)

    with quiet_jit() as jit:
        return jit.trace(Model().eval(), example, check_trace=False)


def test_the_list_has_the_size_that_its_source_gives() -> None:
    known = inf1_list()
    assert len(known["supported"]["aten"]) == 161
    assert len(known["supported"]["prim"]) == 9
    assert len(known["limited"]) == 7
    assert all(len(set(names)) == len(names) for names in known["supported"].values())


def test_the_list_says_where_it_is_from_and_what_speaks_against_it() -> None:
    known = inf1_list()["provenance"]
    assert known["commit"] == "81ce03ae"
    assert known["path"].endswith("neuron-cc-ops-pytorch.rst")
    assert known["method"]
    assert len(known["caveats"]) >= 3


def test_no_operator_stands_in_two_tables() -> None:
    known = inf1_list()
    full = {f"{prefix}::{name}" for prefix, names in known["supported"].items() for name in names}
    tables = [full, set(known["limited"]), set(known["removed"]), set(known["cpu-only"])]
    assert sum(map(len, tables)) == len(set.union(*tables))


@pytest.mark.parametrize(
    ("kind", "support"),
    [
        ("aten::linear", "supported"),
        ("aten::erf", "supported"),
        ("prim::ListConstruct", "supported"),
        ("aten::where", "limited"),
        ("aten::embedding", "cpu"),
        ("prim::PythonOp", "cpu"),
        ("aten::scaled_dot_product_attention", "unlisted"),
        ("aten::gather", "unlisted"),
        ("prim::If", "unlisted"),
    ],
)
def test_what_the_list_says_of_an_operator(kind: str, support: str) -> None:
    node = SimpleNamespace(kind=lambda: kind, blocks=list)
    graph = SimpleNamespace(nodes=lambda: [node])
    [operator] = operators_of(SimpleNamespace(inlined_graph=graph))
    assert (operator.kind, operator.count, operator.support) == (kind, 1, support)
    assert bool(operator.condition) == (support in {"limited", "cpu"})


def test_nothing_is_known_of_operators_on_inf2() -> None:
    module = traced(lambda x: x + 1, torch.zeros(1, 2))
    found = operators_of(module, "inf2")
    assert {operator.support for operator in found} == {"unknown"}
    assert found.share is None
    assert found.outside == ()


def test_submodules_are_counted() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU())).eval()
    with quiet_jit() as jit:
        found = operators_of(jit.trace(model, torch.zeros(1, 2)))
    counts = {operator.kind: operator.count for operator in found}
    assert (counts["aten::linear"], counts["aten::relu"]) == (2, 1)


def test_blocks_within_blocks_are_counted() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                if bool(x.sum() > 0):
                    x = torch.gather(x, 0, torch.zeros(1, dtype=torch.int64))
            return x

    with quiet_jit() as jit:
        module = jit.script(Inner().eval())
    kinds = [operator.kind for operator in operators_of(module)]
    assert {"prim::Loop", "prim::If", "aten::gather"} <= set(kinds)
    assert "aten::gather" not in {node.kind() for node in module.inlined_graph.nodes()}
    assert [node.kind() for node in nodes(module.inlined_graph)].count("aten::gather") == 1


def test_the_share_is_of_arithmetic_operators_alone() -> None:
    found = Operators(
        [
            Operator("prim::Constant", 100, "supported"),
            Operator("prim::Odd", 100, "unlisted"),
            Operator("aten::linear", 6, "supported"),
            Operator("aten::where", 2, "limited", "3-argument form only"),
            Operator("aten::embedding", 1, "cpu", "performance"),
            Operator("aten::gather", 1, "unlisted"),
        ]
    )
    assert (found.arithmetic, found.listed, found.share) == (10, 8, 0.8)
    assert found.outside == ("prim::Odd", "aten::embedding", "aten::gather")
    assert [operator.kind for operator in found.of("limited")] == ["aten::where"]


def test_a_graph_without_arithmetic() -> None:
    assert Operators([Operator("prim::Constant", 1, "supported")]).share == 1.0
    assert str(Operators()) == ""


def test_the_table_says_each_kind_its_count_and_its_condition() -> None:
    rows = [
        Operator("aten::linear", 12, "supported"),
        Operator("aten::where", 2, "limited", "3-argument form only"),
    ]
    assert str(Operators(rows)).splitlines() == [
        "aten::linear     12  on the list",
        "aten::where       2  on the list, if: 3-argument form only",
    ]


@pytest.mark.parametrize(
    ("attention", "outside"),
    [
        ("eager", {"aten::embedding"}),
        ("sdpa", {"aten::embedding", "aten::scaled_dot_product_attention"}),
    ],
)
def test_what_bert_has_outside_the_list(attention: Any, outside: set[str]) -> None:
    model, tokenizer = tsnb.load("tiny-bert", attn_implementation=attention)
    module = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16)).module
    assert set(operators_of(module).outside) == outside


def test_a_compiled_graph_is_known_by_its_operators() -> None:
    assert is_compiled(SimpleNamespace(inlined_graph=torch._C.parse_ir(GRAPH)))
    assert not is_compiled(traced(lambda x: x + 1, torch.zeros(1, 2)))
