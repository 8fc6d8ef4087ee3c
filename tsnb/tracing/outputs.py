"""A model's outputs as tensors by name, whatever its configuration says, and how far two are apart."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import TraceError
from tsnb.base.versions import returns_tuples

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn


def run(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Run a model on inputs by name and return its tensors by name.

    A Transformers model is asked for a dict by the call's own argument, so that its outputs have names
    with and without the `torchscript` flag; nothing of the model is changed. Outputs that have no name
    each are numbered.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> list(run(model, tokenizer("who was jim henson ?", return_tensors="pt")))
    ['logits']
    """
    output = model(**inputs, **asking_for_a_dict(model))
    pairs = output.items() if isinstance(output, dict) else ()
    names = tuple(str(name) for name, value in pairs for _ in flatten(value))
    return named_outputs(output, names if len(names) == len(set(names)) else ())


def asking_for_a_dict(model: nn.Module) -> dict[str, bool]:
    """Return `return_dict=True` as an argument for a model whose forward takes it.

    Where a decorator of transformers takes it, the signature does not show that; it is needed there only
    for a model that returns tuples otherwise.
    """
    named = inspect.signature(model.forward).parameters
    passed_on = inspect.signature(model.forward, follow_wrapped=False).parameters.values()
    if "return_dict" in named or (returns_tuples(model) and any(item.kind is item.VAR_KEYWORD for item in passed_on)):
        return {"return_dict": True}
    return {}


def traceable(model: nn.Module) -> Any:
    """Return a view of a model whose forward returns a tensor, or all tensors of the output in one tuple.

    The tracer takes no dicts. The view is of a subclass and shares all that the model has, so that
    class, arguments and weights keep their names in a trace; the model itself stays as it is.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> type(traceable(model)(**tokenizer("who was jim henson ?", return_tensors="pt")))
    <class 'tuple'>
    """
    import torch

    kind: Any = type(model)
    request, names = asking_for_a_dict(model), list(inspect.signature(model.forward).parameters)

    @wraps(kind.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if request:  # by name, because an exporter may pass every argument by position
            args, kwargs = (), {**dict(zip(names, args, strict=False)), **kwargs, **request}
        output = kind.forward(self, *args, **kwargs)
        return output if isinstance(output, torch.Tensor) else tuple(flatten(output))

    members = {"__module__": kind.__module__, "forward": forward}
    view: Any = object.__new__(type(kind.__name__, (kind,), members))
    vars(view).update(vars(model))
    return view


def flatten(output: Any) -> list[torch.Tensor]:
    """Return the tensors of a model's output, however they are nested, in order.

    Raises
    ------
    TraceError
        Something in it is neither a tensor, nor None, nor holds them in a list, tuple or dict.
    """
    import torch

    if isinstance(output, torch.Tensor):
        return [output]
    if output is None:
        return []
    if not isinstance(output, (list, tuple, dict)):
        kind = type(output).__name__
        advice = "Leave it out of what forward returns, or wrap the model."
        if kind.endswith("Cache"):
            advice = "Set model.config.use_cache = False, and trace again."
        raise TraceError(
            f"The model returns a {kind}; a trace holds tensors only, in tuples, lists and dicts. {advice}"
        )
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in flatten(part)]


def named_outputs(output: Any, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return the tensors of an output by name; those beyond the names are numbered."""
    tensors = flatten(output)
    numbered = (f"output_{number}" for number in range(len(names), len(tensors)))
    return dict(zip((*names, *numbered), tensors, strict=False))


def largest_difference(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """Return the largest absolute difference between two outputs.

    Infinite where shapes differ, or where only one of the two is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> largest_difference([torch.zeros(2)], [torch.ones(2)])
    1.0
    """
    import torch

    if [tensor.shape for tensor in first] != [tensor.shape for tensor in second]:
        return float("inf")
    differences = []
    for left, right in zip(first, second, strict=True):
        wide = torch.promote_types(left.dtype, torch.float64)  # holds bool and uint8 without overflow
        apart = (left.to(wide) - right.to(wide)).abs().masked_fill(equal(left, right), 0.0)
        differences.append(apart.nan_to_num(nan=float("inf"), posinf=float("inf")).flatten())
    return max((float(apart.max()) for apart in differences if apart.numel()), default=0.0)


def relative_difference(expected: list[torch.Tensor], actual: list[torch.Tensor]) -> float:
    """Return the largest difference of two outputs, as a part of the largest number expected.

    >>> import torch
    >>> relative_difference([torch.tensor([4.0, -8.0])], [torch.tensor([4.0, -6.0])])
    0.25
    """
    tops = (float(tensor.double().abs().max()) for tensor in expected if tensor.numel())
    largest = max(tops, default=0.0)
    return largest_difference(expected, actual) / (largest or 1.0)


def equal(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return where two tensors hold the same; NaN equals NaN.

    >>> import torch
    >>> equal(torch.tensor([1.0, float("nan")]), torch.tensor([2.0, float("nan")])).tolist()
    [False, True]
    """
    return (first == second) | (first.isnan() & second.isnan())
