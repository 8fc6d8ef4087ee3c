"""The real conversion, where the Neuron SDK is installed, and a stand-in for it. Taught in notebook 05."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tsnb.base.errors import NeuronError, TraceError
from tsnb.neuron.detection import detect_one, installed
from tsnb.neuron.operators import is_compiled
from tsnb.neuron.preflight_checks import check_plain
from tsnb.neuron.targets import STAND_IN, find_target
from tsnb.tracing.contract import resolve
from tsnb.tracing.inputs import checked_tensors, in_forward_order
from tsnb.tracing.outputs import flatten, relative_difference, run
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import Traced, checked_module, quiet_jit

Tensors = Mapping[str, torch.Tensor]

REFUSAL = "Stand-in for a Neuron graph, on the CPU"


def convert(
    model: nn.Module, inputs: Tensors, target: str = "inf2", *, tolerance: float | None = None, **options: Any
) -> Traced:
    """Compile a model for a Neuron device of the second generation, with `torch_neuronx.trace`.

    It takes the inputs as a tuple, by position: here they are put in the order of `forward` first, and
    the model is wrapped in a module that calls it by name and returns a tuple. Where there is no device,
    the compiler is given its target. Where there is one, the compiled graph is compared with the model.

    Parameters
    ----------
    model
        Any module in eval mode; not a trace.
    inputs
        Tensors by name; the compiled graph accepts their shapes and no others.
    target
        `"inf2"` (for Trn1 too, with `compiler_args="--target trn1"`). The packages of Inf1 need a Python
        that is too old for tsnb: `tsnb.neuron.code` writes the program to run there.
    tolerance
        Largest difference to the model, as a part of its largest output; 0.01 by default.
    **options
        Passed on to `torch_neuronx.trace`, such as `compiler_args`.

    Returns
    -------
    Traced
        With `contract.fixed_shape` true; `contract.verified` is empty where there was no device to
        compare on.

    Raises
    ------
    InputError
        No module, names that `forward` does not have, or that are missing.
    TraceError
        The model is in training mode, or does not trace even with plain torch.
    NeuronError
        Inf1 or an unknown target, what is missing here, a trace in place of the model, a compiler that
        fails, or a graph that disagrees with the model.

    Taught in notebook 05.
    """
    generation, module = find_target(target), getattr(model, "module", model)
    if isinstance(module, torch.jit.ScriptModule):
        what = "compiled for Neuron already" if is_compiled(module) else "a trace"
        raise NeuronError(f"This graph is {what}. The compiler needs the model itself.")
    ordered = in_forward_order(checked_module(model), checked_tensors(inputs))
    if target == "inf1":
        program = f'tsnb.neuron.code({list(ordered)}, "inf1") writes the program to run there.'
        raise NeuronError(f"The packages for Inf1 need a Python and a torch that are too old for tsnb: {program}")
    detection = detect_one(generation)
    if not detection.can_convert:
        raise NeuronError(f"The model cannot be converted for {target} here. {detection}")
    plain = trace(model, ordered).contract
    if plain.unverified:
        raise TraceError(f"The model does not trace even with plain torch. {plain.unverified}")
    ready = detection.state == "ready"
    if not ready:
        arguments = options.get("compiler_args") or ""
        text = arguments if isinstance(arguments, str) else shlex.join(arguments)
        if "--target" not in text:
            text = f"{text} --target {target}".strip()
        options = {"cpu_backend": True, **options, "compiler_args": text}
    try:
        package = importlib.import_module(generation.package)
        compiled = package.trace(ByPosition(model, tuple(ordered)).eval(), tuple(ordered.values()), **options)
        outputs = flatten(compiled(*ordered.values())) if ready else []
    except Exception as error:  # whatever a compiler or a runtime raises
        todo = "If that names an operator, partitioner_config=torch_neuronx.PartitionerConfig() leaves it to the CPU."
        raise NeuronError(f"{generation.package} could not compile it, or not run it: {error} {todo}") from error
    if ready:
        with torch.no_grad():
            part = relative_difference(list(run(model, ordered).values()), outputs)
        check_difference(part, generation.tolerance if tolerance is None else tolerance)
    verified = ((plain.batch_size or 1, plain.length),) if ready and plain.length else ()
    plain = replace(plain, versions={**plain.versions, **installed(*generation.install)}, verified_inputs=())
    return Traced(compiled, replace(plain, fixed_shape=True, target=target, verified=verified))


def check_difference(part: float, allowed: float) -> str:
    """Return how far a graph is from its model, or raise a NeuronError where that is more than allowed.

    >>> check_difference(0.002, 0.01)
    'off by 0.002 of the largest output, 0.01 allowed'
    """
    if not part <= allowed:
        why = f"differs from the model by {part:.2g} of its largest output; {allowed} is allowed"
        raise NeuronError(f"The compiled graph {why}. Look at the compiler's casting options, or give a tolerance.")
    return f"off by {part:.2g} of the largest output, {allowed} allowed"


class ByPosition(nn.Module):
    """A model that takes these inputs by position, without a gap, and returns a tuple."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return all tensors of the model's output."""
        return tuple(run(self.model, dict(zip(self.names, tensors, strict=True))).values())


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
    InputError
        No trace.
    NeuronError
        An unknown contract, or a graph that is compiled or a stand-in already.

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
    contract = traced.contract
    names, shape = contract.input_names, (contract.batch_size or 1, contract.length or 1)
    if set(names) - set(contract.input_axes):
        raise NeuronError("The contract of this trace does not say its shape. Trace it with tsnb.trace.")
    source = [f"def forward(self, {', '.join(f'{name}: Tensor' for name in names)}):"]
    for name in names:
        sizes, dtype = list(resolve(contract.input_axes[name], *shape)), contract.dtypes[name]
        message = f"{REFUSAL}: the input {name} must have the shape {sizes} and be {dtype}."
        source.append(f"    if list({name}.shape) != {sizes} or {name}.dtype != torch.{dtype}:")
        source.append(f"        raise ValueError({message!r})")
    source.append(f"    return self.inner({', '.join(names)})\n")

    stand_in = type("StandIn", (nn.Module,), {})()  # of a new class, because `define` adds to the class
    stand_in.inner = traced.module
    with quiet_jit() as jit:
        guarded = jit.script(stand_in.eval())
        guarded.define("\n".join(source))
        frozen = jit.freeze(guarded)
    verified = tuple(each for each in contract.verified if each == shape)
    return Traced(frozen, replace(contract, fixed_shape=True, target=STAND_IN, verified=verified))
