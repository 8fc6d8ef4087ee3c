"""A model's outputs as tensors by name, whatever its configuration says, and how far two are apart."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from tsnb.base.versions import returns_tuples

if TYPE_CHECKING:
    import torch
    from torch import nn

ROUNDINGS = 4  # of the dtype: how far two ways to compute the same may be apart, as a part of the largest number


def run(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Run a model on inputs by name and return its tensors by name.

    A Transformers model is asked for a dict, and for no cache, by the call's own arguments, so that its
    outputs have names with and without the `torchscript` flag; nothing of the model is changed. Outputs
    that have no name each are numbered.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> list(run(model, tokenizer("who was jim henson ?", return_tensors="pt")))
    ['logits']
    """
    return named(model(**inputs, **call_arguments(model)))


def run_whole(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Run a model as `run` does; return also what it gives beyond that when it is just called: names and types.

    That is a cache, which a Transformers model is asked to leave out, and whatever is no tensor.

    Examples
    --------
    >>> from torch import nn, ones
    >>> class Named(nn.Module):
    ...     def forward(self, x):
    ...         return {"scores": x, "label": "a poet"}
    >>> run_whole(Named(), {"x": ones(1)})
    ({'scores': tensor([1.])}, {'label': 'str'})
    """
    arguments = call_arguments(model)
    output = whole = model(**inputs, **arguments)
    if arguments.pop("use_cache", None) is False:
        with suppress(Exception):  # some run without their cache only
            whole = model(**inputs, **arguments)
    names = {name for name, _ in leaves(output)}
    beyond = [(name, leaf) for name, leaf in leaves(whole) if name not in names or not is_tensor(leaf)]
    return named(output), {name or "a part of the output": type(leaf).__name__ for name, leaf in beyond}


def elsewhere(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> str:
    """Say which inputs are on another device than a model, or of another floating-point dtype; or nothing.

    >>> from torch import nn, ones
    >>> elsewhere(nn.Linear(2, 2), {"x": ones(1, 2).half()}).partition(". ")[0]
    'x is torch.float16 on cpu, and the model begins with torch.float32 on cpu'
    """
    first = next(model.parameters(), None)
    if first is None:
        return ""
    apart = ", ".join(
        f"{name} is {tensor.dtype} on {tensor.device}"
        for name, tensor in inputs.items()
        if tensor.device != first.device or (tensor.is_floating_point() and tensor.dtype != first.dtype)
    )
    advice = "Move inputs with .to(model.device), and those with floating point to its dtype with .to(model.dtype)."
    return f"{apart}, and the model begins with {first.dtype} on {first.device}. {advice}" if apart else ""


def call_arguments(model: nn.Module) -> dict[str, bool]:
    """Return the arguments that ask a Transformers model for a dict, and for no cache.

    Where a decorator of transformers takes `return_dict`, the signature does not show that; it is needed
    there only for a model that returns tuples otherwise.
    """
    named = inspect.signature(model.forward).parameters
    passed_on = inspect.signature(model.forward, follow_wrapped=False).parameters.values()
    passes_on = any(item.kind is item.VAR_KEYWORD for item in passed_on)
    asked = "return_dict" in named or (passes_on and returns_tuples(model))
    return ({"return_dict": True} if asked else {}) | ({"use_cache": False} if "use_cache" in named else {})


def bare(output: Any) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Return an output that is one tensor as it is, any other as a tuple of its tensors: the tracer takes no dict."""
    return output if is_tensor(output) else tuple(flatten(output))


def traceable(model: nn.Module, form: Callable[[Any], Any] = bare) -> Any:
    """Return a view of a model whose forward returns its output in another form: a tensor, or a tuple of all.

    The view is of a subclass and shares all that the model has, so that class, arguments and weights keep
    their names in a trace; the model itself stays as it is.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> type(traceable(model)(**tokenizer("who was jim henson ?", return_tensors="pt")))
    <class 'tuple'>
    """
    kind: Any = type(model)
    arguments, signature = call_arguments(model), inspect.signature(model.forward)
    inner: Any = object.__new__(kind)  # runs hooks on the dict, and whatever replaces forward on the model itself
    vars(inner).update(vars(model), _compiled_call_impl=None)

    def forward(_: Any, *args: Any, **kwargs: Any) -> Any:
        if arguments:  # by name, because an exporter may pass every argument by position
            args, kwargs = (), {**dict(zip(signature.parameters, args, strict=False)), **kwargs, **arguments}
        output = inner(*args, **kwargs)
        return form(output)

    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    vars(forward)["__signature__"] = signature.replace(parameters=[itself, *signature.parameters.values()])
    members = {"__module__": kind.__module__, "forward": forward}
    view: Any = object.__new__(type(kind.__name__, (kind,), members))
    vars(view).update(vars(inner), _forward_pre_hooks={}, _forward_hooks={}, _backward_hooks={})
    vars(view).pop("forward", None)
    return view


def leaves(output: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a model's output holds, however nested, each with the name that the output gives it.

    Python's numbers become tensors, as they do while a model is traced; None is left out.

    >>> list(leaves({"scores": [2, None], "label": "a poet"}))
    [('scores', tensor(2)), ('label', 'a poet')]
    """
    import torch

    if output is None:
        return
    if isinstance(output, Mapping):
        parts: Any = output.items()
    elif is_dataclass(output):
        parts = [(item.name, getattr(output, item.name)) for item in fields(output)]
    elif isinstance(output, (list, tuple)):
        parts = zip(getattr(output, "_fields", repeat("", len(output))), output, strict=True)
    else:
        yield name, torch.as_tensor(output) if isinstance(output, (bool, int, float)) else output
        return
    for key, part in parts:
        yield from leaves(part, name or str(key))


def flatten(output: Any) -> list[torch.Tensor]:
    """Return the tensors of a model's output, however they are nested, in order.

    >>> import torch
    >>> flatten({"a": torch.ones(1), "b": ["a text", 2]})
    [tensor([1.]), tensor(2)]
    """
    return [leaf for _, leaf in leaves(output) if is_tensor(leaf)]


def is_tensor(value: object) -> bool:
    """True if something is a tensor, told without importing torch first."""
    import torch

    return isinstance(value, torch.Tensor)


def named(output: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a model's output by name; where one has no name of its own, all are numbered."""
    names = tuple(name for name, leaf in leaves(output) if is_tensor(leaf))
    return named_outputs(output, names if all(names) and len(names) == len(set(names)) else ())


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


def agree(expected: list[torch.Tensor], actual: list[torch.Tensor], tolerance: float) -> bool:
    """Tell whether two outputs are the same but for rounding.

    Each tensor may be off by the tolerance, or by four roundings of its dtype at its largest number where
    that is more: half precision has three digits.

    >>> import torch
    >>> agree([torch.tensor([300.0])], [torch.tensor([300.0001])], 1e-5)
    True
    """
    import torch

    def allowed(tensor: torch.Tensor) -> float:
        numbers = tensor[tensor.isfinite()] if tensor.is_floating_point() else tensor.flatten()[:0]
        return (
            max(tolerance, ROUNDINGS * torch.finfo(tensor.dtype).eps * float(numbers.abs().max()))
            if numbers.numel()
            else tolerance
        )

    return len(expected) == len(actual) and all(
        largest_difference([one], [other]) <= allowed(one) for one, other in zip(expected, actual, strict=True)
    )


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
