"""What running a model costs on this machine, measured call by call. Taught in notebook 04."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tsnb.base.errors import InputError
from tsnb.base.machine import return_memory
from tsnb.inference.freezing import freeze
from tsnb.inference.latency import WARM_UP, timed
from tsnb.tracing.probe import SHOW_AFTER
from tsnb.tracing.samples import sample_inputs
from tsnb.tracing.traced import Traced, quiet_jit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsnb.lengths.lengths import Geometry
    from tsnb.tracing.contract import Shape

ROWS = 512  # of the matrices that are multiplied: tokens of a batch
FEWEST = 3  # points that a curve with three terms goes through


@dataclass(frozen=True)
class CostFit:
    """Seconds of one text by its length: `constant + linear × n + quadratic × n²`.

    Attributes
    ----------
    constant, linear, quadratic
        In seconds, seconds a token, and seconds a token squared; none is negative.
    """

    constant: float
    linear: float
    quadratic: float

    def __call__(self, length: float) -> float:
        """Return the seconds that a text of a length takes.

        >>> CostFit(1.0, 0.5, 0.25)(2)
        3.0
        """
        return self.constant + self.linear * length + self.quadratic * length**2

    def quadratic_share(self, length: float) -> float:
        """Return the share, 0 to 1, of the quadratic part at a length.

        >>> CostFit(1.0, 0.5, 0.25).quadratic_share(4)
        0.5714285714285714
        """
        return self.quadratic * length**2 / self(length)


def fit_cost(lengths: Sequence[int], seconds: Sequence[float]) -> CostFit:
    """Fit measured seconds by a constant, a linear and a quadratic part.

    Least squares of the relative errors, so that short texts count as much as long ones. No part
    is below zero: of all choices of parts whose fit has none, the one with the least error.

    Parameters
    ----------
    lengths
        At least three different ones, in tokens.
    seconds
        What each took.

    Raises
    ------
    InputError
        Fewer than three lengths, or not as many times.

    Examples
    --------
    >>> fit = fit_cost([1, 2, 4, 8], [3.25, 4.0, 7.0, 19.0])
    >>> round(fit.constant, 6), round(fit.linear, 6), round(fit.quadratic, 6)
    (3.0, 0.0, 0.25)

    Taught in notebook 04.
    """
    if len(set(lengths)) < FEWEST or len(lengths) != len(seconds):
        raise InputError(
            "Three or more different lengths are needed, each with its time; got "
            f"{len(set(lengths))} lengths and {len(seconds)} times."
        )
    sizes, times = np.asarray(lengths, float), np.asarray(seconds, float)
    terms = np.stack([sizes**0, sizes, sizes**2], axis=1) / times[:, None]
    scale, ones = np.abs(terms).max(axis=0), np.ones(len(terms))
    fits = [
        np.linalg.lstsq(terms / scale * parts, ones, rcond=None)[0] / scale * parts  # 0 for a part left out
        for parts in product([0, 1], repeat=3)
    ]
    best = min((fit for fit in fits if fit.min() >= 0), key=lambda fit: float(np.square(terms @ fit - 1).sum()))
    return CostFit(*best.tolist())


def matmul_peak(geometry: Geometry, tries: int = 10) -> float:
    """Return the most floating-point operations a second that matrix products reach here.

    The products are those of the encoder's layers, for 512 tokens, with torch's own kernels and
    with oneDNN's; the quickest single one counts, so that it is a limit and no average.

    Parameters
    ----------
    geometry
        The encoder's sizes.
    tries
        How often each product is timed.

    Returns
    -------
    float
        Floating-point operations a second; a multiplication with its addition counts as two.

    Examples
    --------
    >>> from tsnb.lengths.lengths import Geometry
    >>> matmul_peak(Geometry(layers=1, hidden=64, intermediate=128)) > 1e6
    True

    Taught in notebook 04.
    """
    import torch

    hidden, inside, rates = geometry.hidden, geometry.intermediate, []
    for wide, out in ((hidden, hidden), (hidden, inside), (inside, hidden)):
        rows = torch.ones(ROWS, wide)
        layer = torch.nn.utils.skip_init(torch.nn.Linear, wide, out).eval()  # draws no random numbers
        for parameter in layer.parameters():
            torch.nn.init.constant_(parameter, 1 / wide)
        with quiet_jit() as jit:
            ways = (layer, freeze(jit.trace(layer, rows, check_trace=False)))
        with torch.inference_mode():
            quickest = min(timed(partial(way, rows)) for way in ways for _ in range(WARM_UP + tries))
        rates.append(2 * ROWS * wide * out / quickest)
    return max(rates)


def first_calls(traced: Traced, shape: Shape, calls: int = 12, copies: int = 3) -> list[float]:
    """Return the seconds of the first calls of a trace.

    The trace is frozen anew, so that torch has compiled nothing of it before; of several such
    copies the quickest first call counts, the quickest second call, and so on.

    Parameters
    ----------
    traced
        A trace with a known contract.
    shape
        `(batch, length)` of the calls.
    calls
        How many are timed.
    copies
        How often the trace is frozen anew.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> len(first_calls(traced, (1, 16), calls=3))
    3

    Taught in notebook 04.
    """
    inputs = sample_inputs(traced.contract, traced.module, shape, padded=False, example=traced.example)
    curves = []
    for _ in range(copies):
        fresh = replace(traced, module=freeze(traced.module))
        curves.append([timed(partial(fresh, **inputs)) for _ in range(calls)])
        del fresh  # before the next copy of the weights is made
        return_memory()
    return [min(seconds) for seconds in zip(*curves, strict=True)]


def cost_of_shapes(traced: Traced, shapes: Sequence[Shape], *, rounds: int = 5, progress: bool = True) -> list[float]:
    """Return the seconds of one call at each shape: the quickest of rounds in which all take turns.

    The quickest, because whatever else the machine does only adds to a time.

    Parameters
    ----------
    traced
        A dynamic trace.
    shapes
        `(batch, length)`.
    rounds
        How often each shape is timed.
    progress
        Whether a bar appears if it takes longer than 2 s.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> len(cost_of_shapes(traced, [(1, 8), (1, 16)], rounds=1))
    2

    Taught in notebook 04.
    """
    from tqdm.auto import tqdm

    frozen = replace(traced, module=freeze(traced.module))
    inputs = [
        sample_inputs(traced.contract, traced.module, shape, padded=False, example=traced.example) for shape in shapes
    ]
    turns = tqdm(range(WARM_UP + rounds), unit="round", delay=SHOW_AFTER, leave=False, disable=not progress)
    rounds_of_all = [[timed(partial(frozen, **tensors)) for tensors in inputs] for _ in turns]
    del frozen, inputs
    return_memory()
    return [min(seconds) for seconds in zip(*rounds_of_all[WARM_UP:], strict=True)]
