"""What running a model costs on this machine, measured call by call. Taught in notebook 04."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tsnb.base.machine import return_memory
from tsnb.inference.freezing import freeze
from tsnb.inference.latency import WARM_UP, timed
from tsnb.tracing.probe import SHOW_AFTER
from tsnb.tracing.samples import sample_inputs
from tsnb.tracing.traced import Traced, quiet_jit

if TYPE_CHECKING:
    from tsnb.lengths.lengths import Geometry
    from tsnb.tracing.contract import Shape

ROWS = 512  # of the matrices that are multiplied: tokens of a batch


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
