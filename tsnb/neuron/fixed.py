"""A stand-in for a compiled graph, on the CPU: one shape and no other. Taught in notebook 05."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import NeuronError
from tsnb.neuron.inspection import check_plain
from tsnb.neuron.targets import STAND_IN
from tsnb.tracing.contract import resolve
from tsnb.tracing.traced import Traced, quiet_jit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsnb.tracing.contract import Contract, Shape


def fixed_shape(traced: Traced) -> Traced:
    """Wrap a trace so that it takes the traced shapes and dtypes and no others.

    A Neuron graph is compiled for one shape. This stand-in runs on the CPU, so that padding,
    truncation and buckets can be practised for real: several of them at different lengths are what
    `tsnb.Runner` takes. It says nothing about Neuron's speed, numbers or messages. The check is
    part of the graph, and is there after saving, in another process and in C++.

    Parameters
    ----------
    traced
        A trace with a known contract.

    Returns
    -------
    Traced
        With `contract.fixed_shape` true and `contract.target` `"stand-in"`.

    Raises
    ------
    NeuronError
        No trace, an unknown contract, or a graph that is compiled or a stand-in already.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> fixed = fixed_shape(tsnb.trace(model, inputs))
    >>> fixed(**{name: tensor[:, :8] for name, tensor in inputs.items()})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tsnb.base.errors.InputError: The input input_ids has the shape [1, 8]; this graph takes [1, 16] ...

    Taught in notebook 05.
    """
    check_plain(traced)
    held = traced.contract
    unknown = set(held.input_names) - set(held.input_axes)
    if unknown or held.length is None or held.batch_size is None:
        raise NeuronError(
            "The contract of this trace does not say its shape, so that no other can be "
            "refused. Trace the model with tsnb.trace, and save it with tsnb.save."
        )
    shape: Shape = held.batch_size, held.length
    contract = replace(held, fixed_shape=True, target=STAND_IN, verified=(shape,))
    return Traced(_guarded(traced.module, contract, shape), contract)


def _guarded(module: Any, contract: Contract, shape: Shape) -> Any:
    """Put the check before a graph, in TorchScript."""
    import torch  # the source of the check names it

    class StandIn(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

    with quiet_jit() as jit:
        guarded = jit.script(StandIn().eval())
        guarded.define(_source(contract, shape))
        return jit.freeze(guarded)


def _source(contract: Contract, shape: Shape) -> str:
    """Write the check, input by input, as TorchScript.

    It has a method and names of its own, because an input may be called `list` or `torch`.
    """
    names = contract.input_names
    lines = [f"def check(self, {_arguments(f'input_{place}' for place in range(len(names)))}):"]
    for place, name in enumerate(names):
        sizes = list(resolve(contract.input_axes[name], *shape))
        dtype = contract.dtypes[name]
        words = (
            f"Stand-in for a Neuron graph, on the CPU: the input {name} must have the shape "
            f"{sizes} and be {dtype}."
        )
        lines += [
            f"    if list(input_{place}.shape) != {sizes} or input_{place}.dtype != torch.{dtype}:",
            f"        raise ValueError({words!r})",
        ]
    given = ", ".join(names)
    forward = [f"    self.check({given})", f"    return self.inner({given})", ""]
    return "\n".join([*lines, f"def forward(self, {_arguments(names)}):", *forward])


def _arguments(names: Iterable[str]) -> str:
    return ", ".join(f"{name}: Tensor" for name in names)
