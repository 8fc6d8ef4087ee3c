"""Fits of known curves, the machine's peak, first calls and the cost of shapes."""

import pytest
import torch

import tsnb
from tests.kinds import MonkeyPatch, Traces
from tsnb.inference import costs
from tsnb.inference.costs import CostFit, cost_of_shapes, first_calls, fit_cost, matmul_peak
from tsnb.inference.latency import WARM_UP
from tsnb.lengths.lengths import Geometry

LENGTHS = [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("parts", [(1e-3, 1e-4, 1e-6), (0.0, 1e-4, 1e-6)])
def test_a_known_curve_is_found(parts: tuple[float, float, float]) -> None:
    fit = fit_cost(LENGTHS, [CostFit(*parts)(length) for length in LENGTHS])
    assert (fit.constant, fit.linear, fit.quadratic) == pytest.approx(parts, rel=1e-6, abs=1e-12)


def test_no_part_is_negative() -> None:
    falling = [2e-3 + 1e-4 * length - 1e-7 * length**2 for length in LENGTHS]
    fit = fit_cost(LENGTHS, falling)
    assert fit.quadratic == 0.0
    assert min(fit.constant, fit.linear) > 0


def test_short_texts_count_as_much_as_long_ones() -> None:
    curve = CostFit(1e-3, 1e-4, 1e-6)
    noisy = [curve(length) * (1.05 if place % 2 else 0.95) for place, length in enumerate(LENGTHS)]
    fit = fit_cost(LENGTHS, noisy)
    assert all(abs(fit(length) / curve(length) - 1) < 0.1 for length in LENGTHS)


def test_too_few_points() -> None:
    for lengths, seconds in (([8, 8, 8], [1.0, 1.0, 1.0]), ([8, 16, 32], [1.0, 2.0])):
        with pytest.raises(tsnb.InputError, match="Three or more different lengths"):
            fit_cost(lengths, seconds)


def test_the_peak_is_that_of_a_processor_and_draws_no_random_numbers() -> None:
    state = torch.random.get_rng_state()
    assert 1e8 < matmul_peak(Geometry(layers=1, hidden=128, intermediate=512), tries=2) < 1e14
    assert torch.equal(torch.random.get_rng_state(), state)


def test_of_first_calls_the_quickest_of_several_copies_count(traced: Traces, monkeypatch: MonkeyPatch) -> None:
    times = iter([9.0, 5.0, 1.0, 8.0, 6.0, 2.0])
    monkeypatch.setattr(costs, "timed", lambda run: (run(), next(times))[1])
    assert first_calls(traced(), (1, 8), calls=3, copies=2) == [8.0, 5.0, 1.0]


def test_every_shape_takes_its_turn(traced: Traces, monkeypatch: MonkeyPatch) -> None:
    turns = iter(range(1000))
    monkeypatch.setattr(costs, "timed", lambda run: (run(), float(next(turns)))[1])
    shapes = [(1, 8), (2, 8), (1, 16)]
    seconds = cost_of_shapes(traced(), shapes, rounds=3, progress=False)
    warmed = WARM_UP * len(shapes)
    assert seconds == [warmed + place for place in range(3)]  # the first round is the quickest
