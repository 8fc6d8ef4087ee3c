"""The operators and weights of a graph, and which operators torch-neuron compiles. Taught in notebook 05."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from tsnb.neuron.targets import data
from tsnb.tracing.graphs import constants, holds, nodes

Support = Literal["supported", "limited", "cpu", "unlisted", "unknown"]


@dataclass(frozen=True)
class Operator:
    """One kind of operator in a graph.

    Attributes
    ----------
    kind
        Such as `aten::linear`.
    count
        How often it stands in the graph.
    support
        `supported`; `limited`: under a condition; `cpu`: taken off the list, so that it runs on
        the CPU; `unlisted`; `unknown`: there is no list.
    condition
        For `limited` and `cpu`, in AWS's words.
    """

    kind: str
    count: int
    support: Support
    condition: str = ""


class Operators(tuple[Operator, ...]):
    """Every kind of operator of a graph, the most frequent first; prints as a table."""

    __slots__ = ()

    def of(self, *support: Support) -> tuple[Operator, ...]:
        """Return the operators with such support."""
        return tuple(operator for operator in self if operator.support in support)

    @property
    def outside(self) -> tuple[str, ...]:
        """The kinds that are not on the list; none where there is no list."""
        return tuple(operator.kind for operator in self.of("cpu", "unlisted"))

    def __repr__(self) -> str:
        width = max((len(row.kind) for row in self), default=0)
        rows = (f"{row.kind:<{width}} {row.count:>6}  {row.support}  {row.condition}" for row in self)
        return "\n".join(map(str.rstrip, rows))


def operators_of(module: Any, target: str = "inf1") -> Operators:
    """Count the operators of a graph, submodules and inner blocks included.

    Parameters
    ----------
    module
        A `torch.jit.ScriptModule`.
    target
        `"inf1"` is compared with a list derived from AWS's change log (`inf1_operators.toml` says
        how); for `"inf2"` no valid list exists, and all are `unknown`.

    Returns
    -------
    Operators
        One `Operator` a kind.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert", attn_implementation="eager")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> operators_of(traced.module).outside
    ('aten::embedding',)

    Taught in notebook 05.
    """
    counts = Counter(node.kind() for node in nodes(module.inlined_graph)).most_common()
    return Operators(
        Operator(kind, count, *(_on_inf1(kind) if target == "inf1" else ("unknown", ""))) for kind, count in counts
    )


def is_compiled(module: Any) -> bool:
    """Tell whether a Neuron compiler made a graph: it has operators such as `neuron::forward`."""
    return holds(module, "neuron::")


def _on_inf1(kind: str) -> tuple[Support, str]:
    known = data("inf1_operators")
    prefix, _, name = kind.partition("::")
    if name in known["supported"].get(prefix, ()):
        return "supported", ""
    tables: dict[Support, Any] = {"limited": known["limited"], "cpu": known["removed"] | known["cpu-only"]}
    return next(((support, table[kind]) for support, table in tables.items() if kind in table), ("unlisted", ""))


def weights(module: Any) -> tuple[int, int]:
    """Return the number of weights and their bytes, shared ones once; a frozen graph holds them as constants.

    >>> import torch
    >>> weights(torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2)))
    (9, 36)
    """
    tensors = list(module.parameters()) or constants(module)
    unique = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}.values()
    return sum(tensor.numel() for tensor in unique), sum(tensor.nbytes for tensor in unique)
