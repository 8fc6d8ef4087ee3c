"""What the graph of a trace holds besides weights: nodes, constant tensors, and fixed devices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from tsnb.tracing.sources import innermost

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


class FixedDevice(NamedTuple):
    """A line of source whose operation the trace runs on one device, whatever it is loaded on."""

    device: str
    source: str
    code: str


def nodes(block: Any) -> Iterator[Any]:
    """Yield the nodes of a graph, and those of the blocks within them."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from nodes(inner)


def holds(module: Any, operators: str) -> bool:
    """Tell whether a graph holds operators of a kind, told by how their names begin.

    >>> import torch, tsnb
    >>> traced = tsnb.trace(torch.nn.Linear(2, 2).eval(), {"input": torch.zeros(1, 2)})
    >>> holds(traced.module, "aten::"), holds(traced.module, "quantized::")
    (True, False)
    """
    return any(node.kind().startswith(operators) for node in nodes(module.inlined_graph))


def constants(module: torch.jit.ScriptModule) -> list[torch.Tensor]:
    """Return the tensors that are constants of a graph; in a frozen trace, all weights are.

    >>> import torch, tsnb
    >>> traced = tsnb.trace(torch.nn.Linear(2, 2).eval(), {"input": torch.zeros(1, 2)})
    >>> [tuple(tensor.shape) for tensor in constants(torch.jit.freeze(traced.module))]
    [(2, 2), (2,)]
    """
    graph: Any = module.inlined_graph  # its nodes live as long as it does
    return [
        node.t("value")
        for node in graph.findAllNodes("prim::Constant")
        if node.hasAttribute("value") and node.kindOf("value") == "t"
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
    graph: Any = module.inlined_graph
    return Counter(
        FixedDevice(str(node.s("value")), *innermost(use.user.sourceRange()))
        for node in graph.findAllNodes("prim::Constant")
        if node.output().type().kind() == "DeviceObjType"
        for use in node.output().uses()
        if any(_has_dimensions(output) for output in use.user.outputs())
    )


def _has_dimensions(value: Any) -> bool:
    return value.type().kind() == "TensorType" and bool(value.type().dim())
