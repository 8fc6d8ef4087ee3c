from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

import torch
from torch import nn

import tsnb
from tsnb.tracing import graphs

HERE = Path(__file__)


class Adding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.arange(x.shape[1])


def test_the_innermost_line_of_the_models_own_code() -> None:
    traced = tsnb.trace(Adding().eval(), {"x": torch.zeros(1, 2)})
    graph: Any = traced.module.inlined_graph
    place, code = graphs.innermost(graph.findNode("aten::arange").sourceRange())
    file, _, line = place.rpartition(":")
    assert (Path(file), code) == (HERE, "return x + torch.arange(x.shape[1])")
    assert code == linecache.getline(file, int(line)).strip()


def test_torch_itself_is_passed_over() -> None:
    text = f"/x/site-packages/torch/nn/modules/linear.py(1): forward\n{HERE}(3): forward\n"
    assert graphs.innermost(text) == (f"{HERE}:3", linecache.getline(str(HERE), 3).strip())


def test_where_there_is_only_torch_its_line_is_told() -> None:
    text = "/x/site-packages/torch/nn/modules/linear.py(1): forward\n"
    assert graphs.innermost(text)[0].endswith("linear.py:1")


def test_the_callers_of_the_tracer_are_left_out() -> None:
    text = f"/x/site-packages/torch/jit/_trace.py(1): trace\n{HERE}(3): test\n"
    assert graphs.innermost(text) == ("", "")
