"""Latency: what is timed, one run a step, and what is not run at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch
from torch import nn

from tsnb.base.errors import InputError
from tsnb.inference import latency
from tsnb.inference.latency import (
    WARM_UP,
    Latency,
    latency_steps,
    measure_latency,
    milliseconds,
    shape_latency,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_median_and_the_spread_are_those_of_the_timed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now, runs = [0.0], [90.0, 80.0, 5.0, 1.0, 2.0, 4.0, 3.0]

    def run() -> None:
        now[0] += runs.pop(0)

    monkeypatch.setattr(latency, "perf_counter", lambda: now[0])
    assert measure_latency(run, repeats=5, warm_up=2) == Latency(3, 2, 5)
    assert runs == []


def test_one_run_has_no_spread_and_an_error_is_the_runs_own() -> None:
    with pytest.raises(InputError, match=r"at least 2.*got 1"):
        measure_latency(lambda: None, 1)
    with pytest.raises(ZeroDivisionError):
        measure_latency(lambda: 1 / 0)


def test_a_latency_prints_in_milliseconds() -> None:
    assert str(Latency(0.01234, 0.00081, 5)) == "12.3 ms a batch, median of 5, spread 0.81 ms"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.0001234, "0.123"), (0.09994, "99.9"), (0.1, "100"), (1.2345, "1,234")],
)
def test_milliseconds_have_three_digits_or_are_whole(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_each_step_is_one_run_with_the_shape_and_without_gradients() -> None:
    seen: list[Any] = []

    class Model(nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            seen.append((input_ids.shape, attention_mask.shape, torch.is_inference_mode_enabled()))
            return input_ids

    steps = latency_steps((3, 7), model=Model(), repeats=2)
    for count in range(1, WARM_UP + 3):
        assert next(steps) is None
        assert len(seen) == count
        assert not torch.is_inference_mode_enabled()  # the reader's code may run in between
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert set(seen) == {((3, 7), (3, 7), True)}
    assert end.value.value.repeats == 2


def test_a_trace_is_run_rather_than_its_model(traced: Callable[..., Any]) -> None:
    class Broken(nn.Module):
        def forward(self) -> None:
            raise AssertionError

    measured = shape_latency((2, 16), model=Broken(), traced=traced(), repeats=2)
    assert (measured.repeats, measured.median > 0) == (2, True)


def test_nothing_to_run_is_said() -> None:
    with pytest.raises(InputError, match="Give a model or a trace"):
        shape_latency((1, 8))


def test_a_shape_that_may_not_fit_in_memory_is_not_run(
    monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any]
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**32, available=2**20))
    model, _ = load()
    with pytest.raises(InputError, match=r"1 MiB are available.*not run"):
        shape_latency((64, 512), model=model)
    assert shape_latency((1, 4), model=model, repeats=2).median > 0
