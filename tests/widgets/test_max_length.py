"""The max-length chooser: its state, its controls, and what it measures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tsnb.base.errors import InputError
from tsnb.inference.latency import Latency
from tsnb.lengths.lengths import length_report, plan_buckets
from tsnb.widgets import max_length
from tsnb.widgets.max_length import CHOSEN, OTHER, MaxLengthChooser, MaxLengthState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tsnb.tracing.contract import Shape

LENGTHS = [*range(1, 101)]


class Meter:
    """Stands for a model: measures a shape in two steps."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.error: Exception | None = None

    def __call__(self, shape: Shape) -> Generator[None, None, Latency]:
        self.shapes.append(shape)
        yield
        if self.error:
            raise self.error
        yield
        return Latency(shape[0] * shape[1] / 1000, 0.002, 5)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def state(meter: Meter) -> MaxLengthState:
    return MaxLengthState(LENGTHS, limit=128, measure=meter)


@pytest.fixture
def chooser() -> MaxLengthChooser:
    return MaxLengthChooser(LENGTHS, limit=128)


def latency(state: MaxLengthState) -> str:
    return dict(state.figures())["latency at max length"]


# The state


@pytest.mark.parametrize(
    ("lengths", "limit", "value"),
    [(LENGTHS, 512, 96), ([40] * 100, 512, 40), ([9] * 20, None, 9)],
)
def test_the_default_is_the_95th_percentile_rounded_up_to_a_multiple_of_8_within_the_limit(
    lengths: list[int], limit: int | None, value: int
) -> None:
    assert MaxLengthState(lengths, limit=limit).value == value


def test_the_figures_are_those_of_the_report(state: MaxLengthState) -> None:
    state.value = 60
    assert state.report == length_report(np.array(LENGTHS), 60, buckets=[60])
    figures = dict(state.figures())
    assert figures["texts that fit"] == "60 of 100 (60.0%)"
    assert figures["tokens cut"] == "820 of 5,050 (16.2%)"
    assert figures["max length"] == "60 tokens"
    assert str(state) == "\n".join(f"{label}: {text}" for label, text in figures.items())


def test_buckets_are_planned_on_the_lengths_after_the_cut(state: MaxLengthState) -> None:
    assert "bucket edges" not in dict(state.figures())
    state.value, state.buckets = 60, 3
    assert state.edges == plan_buckets(np.minimum(LENGTHS, 60), 3)
    assert dict(state.figures())["bucket edges"] == ", ".join(map(str, state.edges))


@pytest.mark.parametrize(("name", "value"), [("value", 129), ("batch_size", 0), ("buckets", 2.5)])
def test_a_choice_outside_its_range_changes_nothing(state: MaxLengthState, name: str, value: Any) -> None:
    before = str(state)
    with pytest.raises(InputError, match=rf"{name} must be a whole number from 1 to .*got {value}"):
        setattr(state, name, value)
    assert str(state) == before


def test_lengths_limit_and_first_choices_are_checked() -> None:
    assert "longest" not in MaxLengthState(LENGTHS, limit=60).presets
    for lengths, limit, buckets in (([], 9, 1), ([3, 0], 9, 1), (LENGTHS, 0, 1), (LENGTHS, 9, 9)):
        with pytest.raises(InputError, match=r"no lengths|positive|limit must be|buckets must be"):
            MaxLengthChooser(lengths, limit=limit, buckets=buckets)


# What is measured


def test_a_latency_is_of_the_batch_size_and_the_length_and_measured_once(state: MaxLengthState, meter: Meter) -> None:
    assert latency(state) == "768 ms a batch, median of 5, spread 2 ms"
    assert dict(state.figures())["throughput at max length"] == "10 texts a second"
    first = state.latency
    state.batch_size = 2
    state.batch_size, state.buckets = 8, 4
    assert state.latency is first
    assert meter.shapes == [(8, 96), (2, 96)]


def test_on_a_loop_a_choice_waits_for_nothing_and_only_the_last_is_measured(
    meter: Meter, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "REST", 0.01)

    async def cell() -> None:
        state = MaxLengthState(LENGTHS, limit=128, measure=meter)
        for value in range(10, 60):
            state.value = value
        assert (state.report.cut_texts, meter.shapes) == (41, [])
        assert latency(state) == "not measured yet"
        await until(lambda: not state.steps.running)
        assert latency(state).startswith("472 ms a batch")

    asyncio.run(cell())
    assert meter.shapes == [(8, 59)]


def test_an_error_is_shown_and_tried_again(state: MaxLengthState, meter: Meter) -> None:
    meter.error = RuntimeError("Traceback of TorchScript\n\nRuntimeError: sizes <differ>\n")
    state.value = 24
    assert latency(state) == "not measured: RuntimeError: sizes <differ>"
    meter.error = None
    state.value = 25
    state.value = 24
    assert isinstance(state.latency, Latency)


def test_a_model_is_measured_in_steps_and_the_reader_notices_nothing(
    load: Callable[..., Any], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "REST", 0)

    async def cell() -> int:
        chooser = MaxLengthChooser([4, 5], model=load()[0], batch_size=1)

        def done() -> bool:
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
            return not chooser.state.steps.running

        looks: int = await until(done)
        assert "ms a batch, median of 5" in chooser.numbers.value
        return looks

    assert asyncio.run(cell()) >= 5


def test_what_is_kept_of_a_chooser_has_picture_words_and_latency(load: Callable[..., Any]) -> None:
    async def cell() -> str:
        chooser = MaxLengthChooser([4, 5], model=load()[0])
        return str(chooser._repr_mimebundle_()["text/html"])

    assert all(words in asyncio.run(cell()) for words in ("<svg", "texts that fit", "ms a batch"))


# The view


def test_the_value_is_one_in_state_slider_and_chooser(chooser: MaxLengthChooser) -> None:
    seen: list[int] = []
    chooser.observe(lambda change: seen.append(change.new), "value")
    for owner, value in ((chooser.slider, 40), (chooser, 50), (chooser.state, 60)):
        owner.value = value
        assert chooser.value == chooser.state.value == chooser.slider.value == value
    assert seen == [40, 50, 60]
    with pytest.raises(InputError, match="value must be a whole number from 1 to 128; got 200"):
        chooser.value = 200
    assert chooser.value == chooser.state.value == chooser.slider.value == 60


def test_a_move_changes_pictures_and_figures_in_place(chooser: MaxLengthChooser) -> None:
    before = chooser.picture.value
    assert chooser.plan.value == ""
    chooser.batch_size.value, chooser.buckets.value, chooser.slider.value = 16, 4, 42
    assert (chooser.state.batch_size, len(chooser.state.edges)) == (16, 4)
    assert chooser.picture.value != before
    assert "42 of 100 (42.0%)" in chooser.numbers.value
    assert ", 42." in chooser.plan.value
    chooser.buckets.value = 1
    assert chooser.plan.value == ""


def test_a_preset_sets_the_value_and_is_marked(chooser: MaxLengthChooser) -> None:
    button = chooser.presets["longest"]
    assert button.description == f"{OTHER} longest 100"
    button.click()
    assert chooser.value == 100
    assert button.description == f"{CHOSEN} longest 100"
    chooser.value = 99
    assert button.description.startswith(OTHER)


@pytest.mark.parametrize("limit", [None, 64])
def test_the_limit_is_the_models_unless_it_is_given(
    load: Callable[..., Any], traced: Callable[..., Any], limit: int | None
) -> None:
    for options in ({"model": load()[0]}, {"traced": traced()}):
        chooser = MaxLengthChooser([4], limit=limit, batch_size=1, **options)
        assert chooser.slider.max == (limit or 512)
        assert isinstance(chooser.state.latency, Latency)
    assert dict(MaxLengthState(LENGTHS).figures())["latency at max length"] == "no model given"
