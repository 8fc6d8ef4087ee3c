"""Fits of known curves, the machine's peak, first calls and the cost of shapes."""

import torch

from tests.kinds import MonkeyPatch, Traces
from tsnb.inference import costs
from tsnb.inference.costs import cost_of_shapes, matmul_peak
from tsnb.inference.latency import WARM_UP
from tsnb.lengths.lengths import Geometry


def test_the_peak_is_that_of_a_processor_and_draws_no_random_numbers() -> None:
    state = torch.random.get_rng_state()
    assert 1e8 < matmul_peak(Geometry(layers=1, hidden=128, intermediate=512), tries=2) < 1e14
    assert torch.equal(torch.random.get_rng_state(), state)


def test_every_shape_takes_its_turn(traced: Traces, monkeypatch: MonkeyPatch) -> None:
    turns = iter(range(1000))
    monkeypatch.setattr(costs, "timed", lambda run: (run(), float(next(turns)))[1])
    shapes = [(1, 8), (2, 8), (1, 16)]
    seconds = cost_of_shapes(traced(), shapes, rounds=3, progress=False)
    warmed = WARM_UP * len(shapes)
    assert seconds == [warmed + place for place in range(3)]  # the first round is the quickest
