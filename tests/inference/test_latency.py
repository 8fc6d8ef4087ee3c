"""Latency: what is timed, and that in the background only the newest request counts."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch
from torch import nn

from tsnb.base.errors import InputError
from tsnb.inference import latency
from tsnb.inference.latency import Latency, Newest, measure_latency, milliseconds, shape_latency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 20  # a test that waits longer than this has hung


class Clock:
    """Stands for `perf_counter`: each run takes as long as it is told."""

    def __init__(self, *runs: float) -> None:
        self.now, self.runs, self.calls = 0.0, list(runs), 0

    def run(self) -> None:
        self.calls += 1
        self.now += self.runs.pop(0)


class Finder:
    """Finds the double of a number; waits at a gate, and says that it has begun."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        self.asked: list[int] = []

    def __call__(self, number: int, checkpoint: Callable[[], None]) -> int:
        self.asked.append(number)
        self.begun.set()
        assert self.gate.wait(SECONDS)
        checkpoint()
        return 2 * number


class Told:
    """Keeps what was told, and by which thread."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, Any]] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, key: int, found: int | Exception) -> None:
        self.pairs.append((key, found))
        self.threads.append(threading.current_thread())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def newest(finder: Finder, told: Told) -> Iterator[Newest[int, int]]:
    held = Newest(finder, told, quiet=0)
    yield held
    held.close()
    finder.gate.set()
    held.join(SECONDS)


def timed(monkeypatch: pytest.MonkeyPatch, *runs: float, **options: int) -> tuple[Latency, Clock]:
    clock = Clock(*runs)
    monkeypatch.setattr(latency, "perf_counter", lambda: clock.now)
    return measure_latency(clock.run, **options), clock


def test_the_median_and_the_spread_are_those_of_the_timed_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, clock = timed(monkeypatch, 90, 80, 5, 1, 2, 4, 3, repeats=5, warm_up=2)
    assert (found.median, found.spread, found.repeats) == (3, 2, 5)
    assert clock.calls == 7


def test_without_a_warm_up_every_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = timed(monkeypatch, 9, 1, 1, repeats=3, warm_up=0)
    assert (found.median, found.spread) == (1, 4)


@pytest.mark.parametrize("repeats", [1, 0, -3])
def test_one_run_has_no_spread(repeats: int) -> None:
    with pytest.raises(InputError, match=f"at least 2.*got {repeats}"):
        measure_latency(lambda: None, repeats)


def test_an_error_of_the_run_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        measure_latency(lambda: 1 / 0)


def test_a_latency_prints_in_milliseconds() -> None:
    text = str(Latency(0.01234, 0.00081, 5))
    assert text == "12.3 ms a batch, median of 5, spread 0.81 ms"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.0001234, "0.123"), (0.09994, "99.9"), (0.1, "100"), (1.2345, "1,234")],
)
def test_milliseconds_have_three_digits_or_are_whole(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_what_is_found_is_told_by_another_thread(
    newest: Newest[int, int], finder: Finder, told: Told
) -> None:
    finder.gate.set()
    newest.ask(4)
    newest.join(SECONDS)
    assert told.pairs == [(4, 8)]
    assert told.threads[0].daemon
    assert told.threads[0] is not threading.current_thread()


def test_asking_waits_for_nothing(newest: Newest[int, int], finder: Finder, told: Told) -> None:
    newest.ask(4)
    assert finder.begun.wait(SECONDS)
    newest.ask(5)
    assert told.pairs == []


def test_only_the_newest_request_is_found(newest: Newest[int, int], finder: Finder, told: Told) -> None:
    newest.ask(1)
    assert finder.begun.wait(SECONDS)
    for number in (2, 3, 4):
        newest.ask(number)
    finder.gate.set()
    newest.join(SECONDS)
    assert finder.asked == [1, 4]
    assert told.pairs == [(4, 8)]


def test_a_request_waits_for_a_newer_one(finder: Finder, told: Told) -> None:
    finder.gate.set()
    patient = Newest(finder, told, quiet=0.2)
    for number in range(50):
        patient.ask(number)
    patient.join(SECONDS)
    assert finder.asked == [49]
    assert told.pairs == [(49, 98)]


def test_a_request_can_be_forgotten_before_it_begins(finder: Finder, told: Told) -> None:
    patient = Newest(finder, told, quiet=SECONDS)
    patient.ask(1)
    patient.forget()
    patient.join(SECONDS)
    assert not finder.asked
    assert not told.pairs


def test_a_search_that_has_begun_is_told_though_its_request_is_forgotten(
    newest: Newest[int, int], finder: Finder, told: Told
) -> None:
    newest.ask(1)
    assert finder.begun.wait(SECONDS)
    newest.forget()
    finder.gate.set()
    newest.join(SECONDS)
    assert told.pairs == [(1, 2)]


def test_an_error_is_told_and_the_next_request_is_found(told: Told) -> None:
    inverse = Newest(lambda number, _: 6 // number, told, quiet=0)
    for number in (0, 3):
        inverse.ask(number)
        inverse.join(SECONDS)
    (first, error), second = told.pairs
    assert (first, type(error)) == (0, ZeroDivisionError)
    assert second == (3, 2)


def test_closing_ends_a_search_and_nothing_is_told(
    newest: Newest[int, int], finder: Finder, told: Told
) -> None:
    newest.ask(1)
    assert finder.begun.wait(SECONDS)
    newest.ask(2)
    newest.close()
    finder.gate.set()
    newest.join(SECONDS)
    newest.ask(3)
    newest.join(SECONDS)
    assert finder.asked == [1]
    assert told.pairs == []


def test_what_is_found_without_a_checkpoint_is_not_told_after_closing(told: Told) -> None:
    begun, gate = threading.Event(), threading.Event()

    def find(number: int, _: object) -> int:
        begun.set()
        assert gate.wait(SECONDS)
        return number

    held = Newest(find, told, quiet=0)
    held.ask(1)
    assert begun.wait(SECONDS)
    held.close()
    gate.set()
    held.join(SECONDS)
    assert told.pairs == []


def test_no_thread_is_left_when_there_is_nothing_to_do(newest: Newest[int, int], finder: Finder) -> None:
    finder.gate.set()
    newest.ask(1)
    thread = newest._thread
    assert thread is not None
    newest.join(SECONDS)
    assert not thread.is_alive()
    assert newest._thread is None


def test_python_ends_well_while_something_is_measured(python: Callable[..., str]) -> None:
    code = """
import threading, torch, tsnb
from tsnb.inference.latency import Newest
begun = threading.Event()

def find(size, checkpoint):
    while True:
        checkpoint()
        torch.rand(size, size) @ torch.rand(size, size)
        begun.set()

held = Newest(find, print, quiet=0)
held.ask(200)
assert begun.wait(20)
print("ends")
"""
    assert python(code) == "ends\n"


def test_a_trace_is_measured_at_a_shape(traced: Callable[..., Any]) -> None:
    found = shape_latency((2, 16), traced=traced(), repeats=2)
    assert (found.repeats, found.median > 0) == (2, True)


def test_the_model_is_run_with_the_shape_and_without_gradients() -> None:
    seen = []

    class Model(nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            seen.append((input_ids.shape, attention_mask.shape, torch.is_inference_mode_enabled()))
            return input_ids

    shape_latency((3, 7), model=Model(), repeats=2)
    assert set(seen) == {((3, 7), (3, 7), True)}
    assert len(seen) == 2 + latency.WARM_UP


def test_the_trace_is_run_where_both_are_given(traced: Callable[..., Any]) -> None:
    class Broken(nn.Module):
        def forward(self) -> None:
            raise AssertionError

    assert shape_latency((1, 8), model=Broken(), traced=traced(), repeats=2).median > 0


def test_each_run_begins_with_a_checkpoint(traced: Callable[..., Any]) -> None:
    passed: list[None] = []

    def checkpoint() -> None:
        passed.append(None)
        if len(passed) == 2:
            raise latency.SupersededError

    with pytest.raises(latency.SupersededError):
        shape_latency((1, 8), checkpoint, traced=traced())
    assert len(passed) == 2


def test_nothing_to_run_is_said() -> None:
    with pytest.raises(InputError, match="Give a model or a trace"):
        shape_latency((1, 8))


def test_a_shape_that_may_not_fit_in_memory_is_not_run(
    monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any]
) -> None:
    little = SimpleNamespace(available=2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    monkeypatch.setattr(latency, "memory_limit", lambda: 4096.0)
    model, _ = load()
    with pytest.raises(InputError, match=r"1 MiB are available.*not run"):
        shape_latency((64, 512), model=model)
    assert shape_latency((1, 4), model=model, repeats=2).median > 0


def test_an_error_of_the_model_is_its_own(load: Callable[..., Any]) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        shape_latency((1, 600), model=load()[0])
