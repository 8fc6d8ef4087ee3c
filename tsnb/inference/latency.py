"""How long a model takes on this machine, measured and never guessed. Taught in notebook 02."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psutil

from tsnb.base.errors import InputError
from tsnb.base.machine import MIB, memory_limit
from tsnb.tracing.contract import Contract, Shape
from tsnb.tracing.inputs import parameters
from tsnb.tracing.samples import sample_inputs

if TYPE_CHECKING:
    from torch import nn

    from tsnb.tracing.traced import Traced

    Steps = Generator[None, None, "Latency"]

WARM_UP = 3  # TorchScript profiles its first run at a shape and compiles in its second
FLOAT_BYTES = 4
TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Latency:
    """How long one run takes; prints in milliseconds.

    Attributes
    ----------
    median
        The middle of the timed runs, in seconds.
    spread
        Their interquartile range, in seconds.
    repeats
        How many runs were timed.
    """

    median: float
    spread: float
    repeats: int

    def __str__(self) -> str:
        middle, spread = milliseconds(self.median), milliseconds(self.spread, digits=2)
        return f"{middle} ms a batch, median of {self.repeats}, spread {spread} ms"


def latency_steps(
    shape: Shape, *, model: nn.Module | None = None, traced: Traced | None = None, repeats: int = 5
) -> Steps:
    """Measure a trace, or else a model, on random token ids of one shape.

    One run a step, so that other work can be done in between: yields None after each, those of the warm-up
    too; the generator's value is the `Latency`.

    Parameters
    ----------
    shape
        `(batch, length)`.
    model, traced
        What to run; the trace where both are given.
    repeats
        Timed runs, at least two.

    Raises
    ------
    InputError
        A shape that may need more memory than there is.

    Examples
    --------
    >>> import tsnb
    >>> model, _ = tsnb.load("tiny-bert")
    >>> len(list(latency_steps((1, 8), model=model, repeats=2))) == WARM_UP + 2
    True

    Taught in notebook 02.
    """
    import torch

    module: Any = traced.module if traced else model
    _check_memory(module, *shape)
    contract = traced.contract if traced else _contract(module)
    inputs = sample_inputs(contract, model or module, shape, padded=False)
    run = partial(module, *inputs.values()) if traced else partial(module, **inputs)
    seconds = []
    for _ in range(WARM_UP + repeats):
        with torch.inference_mode():
            seconds.append(timed(run))
        yield
    first, middle, third = quantiles(seconds[WARM_UP:], n=4, method="inclusive")
    return Latency(middle, third - first, repeats)


def timed(run: Callable[[], object]) -> float:
    """Run once and return the seconds it took, until an accelerator has done its part too.

    >>> timed(lambda: None) < 1
    True
    """
    import torch

    waiting = torch.accelerator.is_available()
    start = perf_counter()
    run()
    if waiting:
        torch.accelerator.synchronize()
    return perf_counter() - start


def milliseconds(seconds: float, digits: int = 3) -> str:
    """Return seconds as milliseconds in a few significant digits, never in powers of ten.

    >>> milliseconds(0.0123456), milliseconds(1.5), milliseconds(0.00008, digits=2)
    ('12.3', '1,500', '0.08')
    """
    value = 1000 * seconds
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _contract(model: nn.Module) -> Contract:
    """Return as much of a contract as inputs are drawn by, for a model that was not traced."""
    names = tuple(name for name in TOKEN_INPUTS if name in parameters(model))
    pad = getattr(getattr(model, "config", None), "pad_token_id", None)
    return Contract(names, pad_token_id=pad)


def _check_memory(module: nn.Module, batch: int, length: int) -> None:
    """Refuse a shape whose widest layer's output, twice, takes over half of the memory there is.

    A language model's head makes `batch × length × vocabulary` numbers, which can end a kernel. A layer makes as
    many as its weight has rows, with a bias or without; an embedding's rows are what it chooses from.
    """
    if any(parameter.device.type != "cpu" for parameter in module.parameters()):
        return  # an accelerator that is full raises, and ends nothing
    parts = [(getattr(part, "original_name", type(part).__name__), part) for part in module.modules()]
    layers = [part for name, part in parts if not name.endswith("Embedding")]
    sizes = [len(weight) for part in layers for weight in part.parameters(recurse=False) if weight.ndim]
    needed = 2 * FLOAT_BYTES * batch * length * max(sizes, default=1) / MIB
    available = min(memory_limit(), psutil.virtual_memory().available / MIB)
    if needed > available / 2:
        raise InputError(
            f"Not run: this shape needs {needed:,.0f} MiB or more, and {available:,.0f} MiB are available."
        )
