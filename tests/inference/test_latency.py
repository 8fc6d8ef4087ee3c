"""Latency: what is timed, one run a step, and what is not run at all."""

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces
from tsnb.base.errors import InputError
from tsnb.inference import latency
from tsnb.inference.latency import WARM_UP, Latency, latency_steps


def test_a_latency_prints_in_milliseconds() -> None:
    assert str(Latency(0.01234, 0.00081, 5)) == "12.3 ms a batch, median of 5, spread 0.81 ms"


def test_each_step_is_one_run_with_the_shape_and_without_gradients(monkeypatch: MonkeyPatch) -> None:
    seen: list[Any] = []

    class Model(nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            seen.append((input_ids.shape, attention_mask.shape, torch.is_inference_mode_enabled()))
            return input_ids

    taken = iter([90.0] * WARM_UP + [5.0, 1.0, 2.0, 4.0, 3.0])
    monkeypatch.setattr(latency, "timed", lambda run: (run(), next(taken))[1])
    steps = latency_steps((3, 7), model=Model(), repeats=5)
    for count in range(1, WARM_UP + 6):
        assert next(steps) is None
        assert len(seen) == count
        assert not torch.is_inference_mode_enabled()  # the reader's code may run in between
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert set(seen) == {((3, 7), (3, 7), True)}
    assert end.value.value == Latency(3, 2, 5)  # of the runs after the warm-up


def test_a_trace_is_run_rather_than_its_model(traced: Traces) -> None:
    class Broken(nn.Module):
        def forward(self) -> None:
            raise AssertionError

    assert len(list(latency_steps((2, 16), model=Broken(), traced=traced(), repeats=2))) == WARM_UP + 2


class Head(nn.Module):
    """A head of 100,000 numbers a token, without a bias, tied to its embedding as GPT-2's."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lm_head = nn.Embedding(100_000, 2), nn.Linear(2, 100_000, bias=False)
        self.lm_head.weight = self.embedding.weight

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.lm_head(self.embedding(input_ids))
        return logits


def test_a_shape_that_may_not_fit_in_memory_is_not_run(monkeypatch: MonkeyPatch, load: Load) -> None:
    ids = torch.ones(1, 2, dtype=torch.int64)
    head = tsnb.trace(Head().eval(), {"input_ids": ids})
    table = tsnb.trace(nn.Embedding(100_000, 2).eval(), {"input": ids})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**32, available=2**20))
    model, _ = load()
    with pytest.raises(InputError, match=r"Not run.*1 MiB are available"):
        next(latency_steps((64, 512), model=model))
    next(latency_steps((1, 4), model=model))
    for what in ({"model": Head()}, {"traced": head}):
        with pytest.raises(InputError, match=r"needs 2 MiB or more, and 1"):
            next(latency_steps((1, 2), **what))
    next(latency_steps((1, 2), traced=table))  # an embedding's rows are no outputs
