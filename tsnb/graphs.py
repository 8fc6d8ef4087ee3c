"""What the graph of a trace holds besides weights: constant tensors, and fixed devices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from tsnb.sources import innermost

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


class FixedDevice(NamedTuple):
    """A line of source whose operation the trace runs on one device, whatever it is loaded on."""

    device: str
    source: str
    code: str


def constants(module: torch.jit.ScriptModule) -> list[torch.Tensor]:
    """Return the tensors that are constants of a graph; in a frozen trace, all weights are.

    >>> import torch, tsnb
    >>> traced = tsnb.trace(torch.nn.Linear(2, 2).eval(), {"input": torch.zeros(1, 2)})
    >>> [tuple(tensor.shape) for tensor in constants(torch.jit.freeze(traced.module))]
    [(2, 2), (2,)]
    """
    graph = module.inlined_graph  # its nodes live as long as it does
    return [
        node.t("value")
        for node in _nodes(graph)
        if node.kind() == "prim::Constant" and _is_tensor(node.output()) and _held(node) == "t"
    ]


def fixed_devices(module: torch.jit.ScriptModule) -> Counter[FixedDevice]:
    """Count the operations, by line of source, that a fresh trace ties to a device.

    `torch.arange(n, device=x.device)` and `x.to(other.device)` are recorded with the device as a
    constant. Tensors without dimensions are left out: torch combines them with tensors of any
    device. After loading, a graph no longer knows dimensions; ask the contract then.

    >>> import torch, tsnb
    >>> class Positions(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x + torch.arange(x.shape[1], device=x.device)
    >>> traced = tsnb.trace(Positions().eval(), {"x": torch.zeros(1, 2)})
    >>> [(found.device, count) for found, count in fixed_devices(traced.module).items()]
    [('cpu', 1)]
    """
    graph = module.inlined_graph
    return Counter(
        FixedDevice(str(held.toIValue()), *innermost(node.sourceRange()))
        for node in _nodes(graph)
        if any(_is_tensor(output) and output.type().dim() for output in node.outputs())
        for held in node.inputs()
        if held.type().kind() == "DeviceObjType" and held.node().kind() == "prim::Constant"
    )


def _nodes(graph: Any) -> Iterator[Any]:
    """Give every node of a graph, those in blocks of loops and branches too."""
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)


def _is_tensor(value: Any) -> bool:
    return bool(value.type().kind() == "TensorType")


def _held(node: Any) -> str:
    """Return in which form a constant holds its value: `t` for a tensor."""
    return str(node.kindOf("value")) if node.hasAttribute("value") else ""
