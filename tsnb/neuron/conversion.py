"""The real conversion, where the Neuron SDK is installed. Taught in notebook 05."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsnb.errors import NeuronError
from tsnb.inputs import in_forward_order
from tsnb.neuron.detection import Detection, detect_one
from tsnb.neuron.targets import target as find_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn

    from tsnb.tracing import Traced


def convert(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], target: str = "inf2", **options: Any
) -> Traced:
    """Compile a model for a Neuron device, with the call of that generation.

    Inf1 takes the inputs as a list, Inf2 as a tuple; both by position, so they are put in the order
    of `forward` first. Nothing is imported before the packages are known to be there.

    Parameters
    ----------
    model
        Any module in eval mode.
    inputs
        Tensors by name; the compiled graph accepts their shapes and no others.
    target
        `"inf1"`, or `"inf2"` (Trn1 is the same).
    **options
        Passed on to `torch_neuron.trace` or `torch_neuronx.trace`, such as `compiler_args`.

    Returns
    -------
    Traced
        With `contract.fixed_shape` true.

    Raises
    ------
    NeuronError
        Unknown target, or what is missing here, named.

    Taught in notebook 05.
    """
    found = detect_one(find_target(target))
    if not found.can_trace:
        raise NeuronError("neuron.cannot-convert", target=target, why=found)
    from tsnb.tracing import Traced, trace

    ordered = in_forward_order(model, inputs)
    contract = trace(model, ordered).contract
    module = _compile(model, list(ordered.values()), found, options)
    return Traced(module, replace(contract, fixed_shape=True))


def _compile(
    model: nn.Module, tensors: list[torch.Tensor], found: Detection, options: dict[str, Any]
) -> Any:
    """Call the generation's own trace function."""
    from tsnb.models import tuple_outputs

    package = importlib.import_module(found.target.package)
    with tuple_outputs(model):
        if found.target.name == "inf1":
            return package.trace(model, tensors, **options)
        if found.state == "no-device":
            options = {"cpu_backend": True, "compiler_args": "--target inf2", **options}
        return package.trace(model, tuple(tensors), **options)
