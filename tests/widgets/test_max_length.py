"""The max-length chooser: its choices, its controls, and what it measures."""

import asyncio
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch

from tests.kinds import Load, MonkeyPatch, Traces, Until
from tsnb.base.errors import InputError
from tsnb.inference.latency import Latency
from tsnb.lengths.lengths import length_report, plan_buckets
from tsnb.tracing.contract import Shape
from tsnb.widgets import max_length
from tsnb.widgets.max_length import MaxLengthChooser

LENGTHS = [*range(1, 101)]


class Meter:
    """Stands for a model: measures a shape in two steps."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.error: Exception | None = None

    def __call__(self, shape: Shape, **_: object) -> Generator[None, None, Latency]:
        self.shapes.append(shape)
        yield
        if self.error:
            raise self.error
        yield
        return Latency(shape[0] * shape[1] / 1000, 0.002, 5)


@pytest.fixture
def meter(monkeypatch: MonkeyPatch) -> Meter:
    meter = Meter()
    monkeypatch.setattr(max_length, "latency_steps", meter)
    return meter


@pytest.fixture
def chooser(meter: Meter) -> MaxLengthChooser:  # noqa: ARG001, it measures
    return MaxLengthChooser(LENGTHS, limit=128, model=torch.nn.Identity())


def latency(chooser: MaxLengthChooser) -> str:
    return dict(chooser.figures())["latency at max length"]


# What is chosen


def test_the_default_is_the_95th_percentile_rounded_up_to_a_multiple_of_8_within_the_limit() -> None:
    assert MaxLengthChooser(LENGTHS, limit=512).value == 96
    assert MaxLengthChooser([9] * 20).value == 9


def test_the_figures_are_those_of_the_report(chooser: MaxLengthChooser) -> None:
    chooser.value = 60
    assert chooser.report == length_report(np.array(LENGTHS), 60, buckets=[60])
    figures = dict(chooser.figures())
    assert figures["texts that fit"] == "60 of 100 (60.0%)"
    assert figures["tokens cut"] == "820 of 5,050 (16.2%)"
    assert str(chooser) == "\n".join(f"{label}: {text}" for label, text in figures.items())


def test_buckets_are_planned_on_the_lengths_after_the_cut(chooser: MaxLengthChooser) -> None:
    assert "bucket edges" not in dict(chooser.figures())
    chooser.value, chooser.buckets = 60, 3
    assert chooser.edges == plan_buckets(np.minimum(LENGTHS, 60), 3)
    assert dict(chooser.figures())["bucket edges"] == ", ".join(map(str, chooser.edges))


def test_a_preset_is_one_click_and_marked(chooser: MaxLengthChooser) -> None:
    chooser.buttons["p50"].click()
    assert (chooser.value, chooser.buttons["p50"].description) == (50, "● p50 50")
    assert chooser.buttons["limit"].description == "○ model limit 128"


@pytest.mark.parametrize(("name", "value"), [("value", 129), ("batch_size", 0), ("buckets", 2.5)])
def test_a_choice_outside_its_range_changes_nothing(chooser: MaxLengthChooser, name: str, value: Any) -> None:
    before = str(chooser)
    with pytest.raises(InputError, match=rf"{name} must be a whole number from 1 to .*got {value}"):
        setattr(chooser, name, value)
    assert str(chooser) == before


def test_lengths_limit_and_first_choices_are_checked() -> None:
    for lengths, limit, buckets in (([], 9, 1), (LENGTHS, 0, 1), (LENGTHS, 9, 9)):
        with pytest.raises(InputError, match=r"no lengths|limit must be|buckets must be"):
            MaxLengthChooser(lengths, limit=limit, buckets=buckets)


# What is measured


def test_a_latency_is_of_the_batch_size_and_the_length_and_measured_once(
    chooser: MaxLengthChooser, meter: Meter
) -> None:
    assert latency(chooser) == "768 ms a batch, median of 5, spread 2 ms"
    assert dict(chooser.figures())["throughput at max length"] == "10 texts a second"
    first = chooser.latency
    chooser.batch_size = 2
    chooser.batch_size, chooser.buckets = 8, 4
    assert chooser.latency is first
    assert meter.shapes == [(8, 96), (2, 96)]


def test_on_a_loop_a_choice_waits_for_nothing_and_only_the_last_is_measured(
    meter: Meter, until: Until, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "REST", 0.01)

    async def cell() -> None:
        chooser = MaxLengthChooser(LENGTHS, limit=128, model=torch.nn.Identity())
        for value in range(10, 60):
            chooser.value = value
        assert (chooser.report.cut_texts, meter.shapes) == (41, [])
        assert latency(chooser) == "not measured yet"
        await until(lambda: not chooser.steps.running)
        assert latency(chooser).startswith("472 ms a batch")

    asyncio.run(cell())
    assert meter.shapes == [(8, 59)]


def test_an_error_is_shown_and_tried_again(chooser: MaxLengthChooser, meter: Meter) -> None:
    meter.error = RuntimeError("Traceback of TorchScript\n\nRuntimeError: sizes <differ>\n")
    chooser.value = 24
    assert latency(chooser) == "not measured: RuntimeError: sizes <differ>"
    meter.error = None
    chooser.value = 25
    chooser.value = 24
    assert isinstance(chooser.latency, Latency)


def test_a_model_is_measured_in_steps_and_the_reader_notices_nothing(
    load: Load, until: Until, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "REST", 0)

    async def cell() -> int:
        chooser = MaxLengthChooser([4, 5], model=load()[0], batch_size=1)

        def done() -> bool:
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
            return not chooser.steps.running

        looks: int = await until(done)
        html = chooser._repr_mimebundle_()["text/html"]
        assert all(words in html for words in ("<svg", "texts that fit", "ms a batch, median of 5"))
        return looks

    assert asyncio.run(cell()) >= 5


# The view


def test_the_value_is_one_in_slider_and_chooser(chooser: MaxLengthChooser) -> None:
    seen: list[int] = []
    chooser.observe(lambda change: seen.append(change.new), "value")
    for owner, value in ((chooser.controls["value"], 40), (chooser, 50)):
        owner.value = value
        assert chooser.value == chooser.controls["value"].value == value
    assert seen == [40, 50]


def test_the_limit_is_the_models_unless_it_is_given(load: Load, traced: Traces) -> None:
    chooser = MaxLengthChooser([4], traced=traced(), batch_size=1)
    assert chooser.controls["value"].max == 512
    assert isinstance(chooser.latency, Latency)
    assert MaxLengthChooser([4], limit=64, model=load()[0]).controls["value"].max == 64
    assert latency(MaxLengthChooser(LENGTHS)) == "no model given"
