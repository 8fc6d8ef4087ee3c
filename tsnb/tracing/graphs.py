"""The graph of a trace: nodes, constant tensors, fixed devices, and the lines of source they come from."""

from __future__ import annotations

import linecache
import re
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

FRAME = re.compile(r"^(?P<file>\S.*?)\((?P<line>\d+)\): (?P<function>\S+)$", re.MULTILINE)
TORCH = re.compile(r"-packages[/\\]torch[/\\]")
CALLERS = re.compile(r"[/\\](torch[/\\]jit[/\\]_trace|tsnb[/\\]tracing[/\\]outputs)\.py$")  # of a model


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
    """True if a graph has operators of a kind, by the beginning of their names.

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
    device. After loading, a graph no longer knows dimensions; the contract does.

    >>> import torch, tsnb
    >>> class Positions(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x + torch.arange(x.shape[1], device=x.device)
    >>> traced = tsnb.trace(Positions().eval(), {"x": torch.zeros(1, 2)})
    >>> [(line.device, count) for line, count in fixed_devices(traced.module).items()]
    [('cpu', 1)]
    """
    graph: Any = module.inlined_graph
    return Counter(
        FixedDevice(str(node.s("value")), *innermost(use.user.sourceRange()))
        for node in graph.findAllNodes("prim::Constant")
        if node.output().type().kind() == "DeviceObjType"
        for use in node.output().uses()
        if any(value.type().kind() == "TensorType" and value.type().dim() for value in use.user.outputs())
    )


def innermost(text: str) -> tuple[str, str]:
    """Return the innermost line of the model's own code in a traceback of TorchScript, and that line of code.

    >>> innermost("no traceback")
    ('', '')
    """
    frames = list(takewhile(lambda frame: not CALLERS.search(frame["file"]), FRAME.finditer(text)))
    own = [frame for frame in frames if not TORCH.search(frame["file"])]
    for frame in own[:1] or frames[:1]:
        line = linecache.getline(frame["file"], int(frame["line"])).strip()
        return f"{frame['file']}:{frame['line']}", line
    return "", ""
