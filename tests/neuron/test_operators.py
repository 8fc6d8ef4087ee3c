"""The operators of a graph, AWS's list for Inf1, and the two generations."""

from types import SimpleNamespace

import torch
from torch import nn

from tsnb.neuron.operators import operators_of
from tsnb.neuron.targets import data
from tsnb.tracing.traced import quiet_jit


def test_the_list_is_the_one_of_its_source_and_no_operator_stands_in_two_tables() -> None:
    known = data("inf1_operators")
    full = [f"{prefix}::{name}" for prefix, names in known["supported"].items() for name in names]
    assert (len(full), len(known["limited"])) == (161 + 9, 7)
    names = [*full, *known["limited"], *known["removed"], *known["cpu-only"]]
    assert len(set(names)) == len(names)


def test_what_the_list_says_of_an_operator() -> None:
    supports = {
        "aten::linear": "supported",
        "prim::ListConstruct": "supported",
        "aten::where": "limited",
        "aten::embedding": "cpu",
        "aten::scaled_dot_product_attention": "unlisted",
    }
    graph = [SimpleNamespace(kind=lambda kind=kind: kind, blocks=list) for kind in supports]
    module = SimpleNamespace(inlined_graph=SimpleNamespace(nodes=lambda: graph))
    assert {operator.kind: operator.support for operator in operators_of(module)} == supports
    assert {operator.support for operator in operators_of(module, "inf2")} == {"unknown"}
    assert operators_of(module, "inf2").outside == ()


def test_submodules_and_blocks_within_blocks_are_counted() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                if bool(x.sum() > 0):
                    x = torch.relu(x)
            return x

    with quiet_jit() as jit:
        operators = operators_of(
            jit.script(nn.Sequential(Inner(), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))).eval())
        )
    counts = {operator.kind: operator.count for operator in operators}
    assert (counts["aten::linear"], counts["aten::relu"]) == (2, 1)
