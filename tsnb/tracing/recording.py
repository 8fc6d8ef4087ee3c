"""Let torch record a model: its graph, what the tracer warned of, and what the graph leaves out."""

from __future__ import annotations

import linecache
import re
import sys
import warnings
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import TraceError
from tsnb.tracing.outputs import traceable
from tsnb.tracing.traced import TraceWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch
    from torch import nn


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
        except Exception as error:  # torch says in many kinds of errors what it cannot trace
            message = re.sub(r"tensor\([^()]*\)", "tensor(…)", str(error)).partition("\nTensor:\n")[0]
            raise TraceError(f"torch.jit.trace could not trace the model. It said: {message}") from error
    counts = Counter(
        (warning.filename, warning.lineno, str(warning.message))
        for warning in caught
        if warning.category is torch.jit.TracerWarning
    )
    return module, [
        TraceWarning(f"{file}:{line}", linecache.getline(file, line).strip(), message, count)
        for (file, line, message), count in counts.items()
    ]


def left_out_warnings(model: nn.Module, left_out: Mapping[str, object]) -> list[TraceWarning]:
    """Say what of a model's output a trace leaves out, and what that means where it is a cache."""
    import torch

    notes = []
    for name, value in left_out.items():
        kind = type(value).__name__
        message = f"The trace leaves this output out: it is no tensor but a {kind}, and a trace returns tensors only."
        if kind.endswith("Cache") or isinstance(value, torch.Tensor):
            message = (
                f"The trace leaves the cache out ({kind}), because it returns tensors only. Where text is generated "
                "with it, each new token computes all tokens before it again (notebook 05: generation in two graphs)."
            )
        notes.append(TraceWarning(f"{type(model).__name__}.forward", name or kind, message, 1, output=name or kind))
    return notes


@contextmanager
def masks_without_vmap() -> Iterator[None]:
    """Within the block, transformers computes attention masks from indices that broadcast.

    It calls a mask's function through `torch.vmap`, in 4.57 always and in 5 for masks of a model's own,
    and no tracer records that. The numbers are the same; transformers' own exporters do likewise
    (`transformers.exporters.utils`, 5.24).
    """
    masks = vars(sys.modules["transformers.masking_utils"]) if "transformers.masking_utils" in sys.modules else {}
    plain = {
        "_vmap_for_bhqkv": broadcasting,  # in transformers 4.57
        "_vmap_expansion_sdpa": broadcasting,  # in 5
        "TransformGetItemToIndex": nullcontext,  # lets vmap read from a tensor
    }
    before = {name: masks[name] for name in plain if name in masks}
    for name in before:
        masks[name] = plain[name]
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
        spread = [
            index.view([-1 if axis == place else 1 for axis in range(len(indices))])
            for place, index in enumerate(indices)
        ]
        return mask_function(*spread).expand([index.shape[0] for index in indices])

    return mask
