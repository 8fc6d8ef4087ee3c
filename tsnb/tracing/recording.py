"""Let torch record a model: its graph, what the tracer warned of, and what the graph leaves out."""

from __future__ import annotations

import linecache
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import TraceError
from tsnb.tracing.outputs import traceable
from tsnb.tracing.traced import TraceWarning

if TYPE_CHECKING:
    import torch
    from torch import nn

ADVICE = {  # the cause and what to do, by words of torch that say neither
    "requires grad as a constant": (
        "forward uses a tensor that requires a gradient and is no parameter of the model. Under torch.autocast, it is "
        "a weight's copy in fewer bits: trace under torch.autocast(..., cache_enabled=False), or call "
        "model.requires_grad_(False) first. Any other, or its module, make a part of the model, or call "
        "requires_grad_(False) on it."
    ),
    "unordered_map::at": (
        "forward calls layers within a torch.autograd.Function, as reentrant checkpointing and reversible layers do, "
        "and the tracer does not know their weights there. Call them directly where no gradient is needed; "
        "torch.export.export takes such a model as it is."
    ),
    "dynamo-optimized": (
        "The tracer does not look into what torch.compile made. Trace the model as it was before; for flex_attention, "
        'call model.set_attn_implementation("sdpa") first; torch.cond is for torch.export.export.'
    ),
}


def record(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[Any, list[TraceWarning]]:
    """Let torch trace a model; return the module and the tracer's warnings, grouped by line of source.

    Parameters
    ----------
    model
        In eval mode; its outputs are flattened, and nothing of it is changed.
    inputs
        By name, in the order of `forward`.

    Raises
    ------
    TraceError
        torch could not trace the model.
    """
    import torch

    with warnings.catch_warnings(record=True) as caught, masks_without_vmap():
        warnings.simplefilter("always")
        try:
            module = torch.jit.trace(traceable(model), example_kwarg_inputs=dict(inputs), check_trace=False)
        except Exception as error:  # noqa: BLE001, torch says in many kinds of errors what it cannot trace
            message = re.sub(r"tensor\([^()]*\)", "tensor(…)", str(error)).partition("\nTensor:\n")[0]
            advice = next((advice for words, advice in ADVICE.items() if words in message), "")
            sentence = f"torch.jit.trace could not trace the model. {advice or f'It said: {message}'}"
            raise TraceError(sentence) from None if advice else error
    counts = Counter(
        (warning.filename, warning.lineno, str(warning.message))
        for warning in caught
        if warning.category is torch.jit.TracerWarning
    )
    return module, [
        TraceWarning(f"{file}:{line}", linecache.getline(file, line).strip(), message, count)
        for (file, line, message), count in counts.items()
    ]


def left_out_warnings(model: nn.Module, left_out: Mapping[str, str]) -> list[TraceWarning]:
    """Say which outputs of a model a trace leaves out, by name and type, and what that means for a cache."""
    generating = (
        " Without this cache, each new token of a text that is generated computes all tokens before it again; see "
        "notebook 05, Generation, in two parts."
    )
    notes = []
    for name, kind in left_out.items():
        message = f"The trace returns tensors only, and leaves {name} out ({kind})."
        message += generating if kind.endswith("Cache") or kind == "Tensor" else ""
        notes.append(TraceWarning(f"{type(model).__name__}.forward", name, message, 1, output=name))
    return notes


@contextmanager
def masks_without_vmap() -> Iterator[None]:
    """Within the block, transformers computes attention masks from indices that broadcast.

    It calls a mask's function through `torch.vmap`, in 4.57 always and in 5 for masks of a model's own,
    and no tracer records that. The numbers are the same; transformers' own exporters do likewise
    (`transformers.exporters.utils`, 5.24).
    """
    masks = getattr(sys.modules.get("transformers.masking_utils"), "__dict__", {})
    plain: dict[str, Any] = dict.fromkeys(("_vmap_for_bhqkv", "_vmap_expansion_sdpa"), broadcasting)
    plain |= {"TransformGetItemToIndex": nullcontext}  # which lets vmap read from a tensor
    before = {name: masks[name] for name in plain if name in masks}
    masks.update((name, plain[name]) for name in before)
    try:
        yield
    finally:
        masks.update(before)


def broadcasting(mask_function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return what computes a mask at every index at once, `(batch, heads, queries, keys)`.

    >>> import torch
    >>> causal = broadcasting(lambda batch, head, query, key: key <= query)
    >>> causal(torch.arange(1), torch.arange(1), torch.arange(2), torch.arange(2)).int().tolist()
    [[[[1, 0], [1, 1]]]]
    """

    def mask(*indices: torch.Tensor) -> torch.Tensor:
        spread = [index.view([-1 if axis == place else 1 for axis in range(4)]) for place, index in enumerate(indices)]
        return mask_function(*spread).expand([index.shape[0] for index in indices])

    return mask
