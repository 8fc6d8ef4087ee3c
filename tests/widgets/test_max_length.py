"""The max-length chooser: its state without a browser, its controls, and what it measures."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ipywidgets import HTML, BoundedIntText, Button, IntSlider

import tsnb
from tsnb.base.errors import InputError
from tsnb.inference.latency import Latency, Newest
from tsnb.lengths.lengths import length_report, plan_buckets
from tsnb.widgets import base, max_length
from tsnb.widgets.max_length import CHOSEN, OTHER, MaxLengthChooser
from tsnb.widgets.max_length_state import MaxLengthState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tsnb.tracing.contract import Shape

SECONDS = 20  # a test that waits longer than this has hung
LENGTHS = [*range(1, 101)]
WIDGET = "application/vnd.jupyter.widget-view+json"


class Meter:
    """Stands for a model: measures a shape when its gate is open, and says that it has begun."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        self.shapes: list[Shape] = []
        self.error: Exception | None = None

    def __call__(self, shape: Shape, checkpoint: Callable[[], None]) -> Latency:
        self.shapes.append(shape)
        self.begun.set()
        assert self.gate.wait(SECONDS)
        checkpoint()
        if self.error:
            raise self.error
        return Latency(shape[0] * shape[1] / 1000, 0.002, 5)


@pytest.fixture
def meter() -> Iterator[Meter]:
    held = Meter()
    yield held
    held.gate.set()


@pytest.fixture
def state(meter: Meter) -> Iterator[MaxLengthState]:
    held = MaxLengthState(LENGTHS, limit=128, measure=meter, quiet=0)
    yield held
    held.close()
    meter.gate.set()
    held.join(SECONDS)


@pytest.fixture
def chooser() -> Iterator[MaxLengthChooser]:
    held = MaxLengthChooser(LENGTHS, limit=128)
    yield held
    held.close()


def measured(state: MaxLengthState, meter: Meter) -> Any:
    """Open the gate and wait until what is chosen is measured."""
    meter.gate.set()
    state.join(SECONDS)
    return state.latency


def told(state: MaxLengthState) -> dict[str, str]:
    return dict(state.figures())


# The state


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.max_length_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_the_default_is_the_95th_percentile_rounded_up_to_a_multiple_of_8() -> None:
    assert MaxLengthState(LENGTHS, limit=512).value == 96
    assert MaxLengthState([40] * 100, limit=512).value == 40
    assert MaxLengthState([41] * 100, limit=512).value == 48


@pytest.mark.parametrize(("limit", "value"), [(64, 64), (None, 9), (1, 1)])
def test_the_default_stays_within_the_range(limit: int | None, value: int) -> None:
    assert MaxLengthState([9] * 20, limit=limit).value == min(value, 16)


def test_the_figures_are_those_of_the_report(state: MaxLengthState) -> None:
    state.value = 60
    assert state.report == length_report(np.array(LENGTHS), 60, buckets=[60])
    found = told(state)
    assert found["texts that fit"] == "60 of 100 (60.0%)"
    assert found["tokens cut"] == "820 of 5,050 (16.2%)"
    assert found["max length"] == "60 tokens"
    assert found["padding"].startswith(f"{state.report.padding_share:.1%}")
    assert found["cost, no padding = 1"] == f"× {state.report.relative_cost:.2f}"


def test_lengths_that_are_all_the_same_waste_nothing() -> None:
    found = told(MaxLengthState([16] * 9))
    assert found["cost, no padding = 1"] == "× 1.00"
    assert found["padding"].startswith("0.0%")


def test_buckets_are_planned_on_the_lengths_after_the_cut(state: MaxLengthState) -> None:
    assert state.edges == [state.value]
    assert "bucket edges" not in told(state)
    before = state.report.padding_share
    state.value, state.buckets = 60, 3
    assert state.edges == plan_buckets(np.minimum(LENGTHS, 60), 3)
    assert max(state.edges) == 60
    assert told(state)["bucket edges"] == ", ".join(map(str, state.edges))
    assert state.report.padding_share < before


def test_the_text_has_every_figure(state: MaxLengthState) -> None:
    assert str(state) == "\n".join(f"{label}: {text}" for label, text in state.figures())
    assert len(str(state).splitlines()) == 6


def test_the_pictures_follow_the_choice_and_say_it(state: MaxLengthState) -> None:
    state.value, state.buckets = 33, 2
    figure, words = state.histogram()
    at = [line.get_xdata()[0] for line in figure.axes[0].lines]  # type: ignore[index]
    assert 33.5 in at
    assert "33" in words
    assert "33 of 100 (33.0%)" in words
    figure, words = state.plan()
    assert len(figure.axes[0].get_yticks()) == 2
    assert ", ".join(map(str, state.edges)) in words


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("value", 0),
        ("value", 129),
        ("value", -5),
        ("batch_size", 0),
        ("batch_size", 65),
        ("buckets", 9),
    ],
)
def test_a_choice_outside_its_range_changes_nothing(state: MaxLengthState, name: str, given: int) -> None:
    before = str(state)
    with pytest.raises(InputError, match=rf"{name} must be a whole number from 1 to .*got {given}"):
        setattr(state, name, given)
    assert str(state) == before


@pytest.mark.parametrize("name", ["value", "batch_size", "buckets"])
@pytest.mark.parametrize("given", [0, 1000, 2.5, "8", True])
def test_a_choice_to_begin_with_is_checked_too(name: str, given: Any) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number"):
        MaxLengthState(LENGTHS, **{name: given})


def test_numbers_of_numpy_are_whole_numbers_too(state: MaxLengthState) -> None:
    assert MaxLengthState(LENGTHS, value=np.int64(7)).value == 7  # type: ignore[arg-type]
    state.value = np.int64(9)
    assert (state.value, type(state.value)) == (9, int)


@pytest.mark.parametrize("empty", [[], np.array([], dtype=int)])
def test_no_lengths_is_an_error(empty: Any) -> None:
    with pytest.raises(InputError, match="There are no lengths"):
        MaxLengthState(empty)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_an_error(limit: int) -> None:
    with pytest.raises(InputError, match=f"limit must be at least 1.*got {limit}"):
        MaxLengthState(LENGTHS, limit=limit)


@pytest.mark.parametrize("wrong", [[1.5], [3, 0], [[1, 2]], "text"])
def test_what_is_no_length_is_an_error(wrong: Any) -> None:
    with pytest.raises(InputError, match="positive whole number"):
        MaxLengthState(wrong)


def test_presets_over_the_limit_are_left_out() -> None:
    assert 100 in MaxLengthState(LENGTHS, limit=128).presets.values()
    found = MaxLengthState(LENGTHS, limit=60).presets
    assert found
    assert max(found.values()) == 60
    assert "longest" not in found


# What is measured


def test_nothing_is_shown_before_it_is_measured(state: MaxLengthState, meter: Meter) -> None:
    assert meter.begun.wait(SECONDS)
    assert told(state)["latency at max length"] == "measuring…"
    assert "throughput at max length" not in told(state)
    assert state.latency is None
    assert measured(state, meter) == Latency(8 * 96 / 1000, 0.002, 5)
    assert told(state)["latency at max length"] == "768 ms a batch, median of 5, spread 2 ms"


def test_texts_a_second_are_those_of_the_batch(state: MaxLengthState, meter: Meter) -> None:
    state.value, state.batch_size = 50, 10
    measured(state, meter)
    assert told(state)["throughput at max length"] == "20 texts a second"


def test_a_choice_never_waits_and_only_the_last_is_measured(state: MaxLengthState, meter: Meter) -> None:
    assert meter.begun.wait(SECONDS)
    for value in range(10, 60):
        state.value = value
    assert state.report.cut_texts == 41
    assert measured(state, meter) == Latency(8 * 59 / 1000, 0.002, 5)
    assert meter.shapes == [(8, 96), (8, 59)]


def test_a_latency_is_of_the_batch_size_and_the_length(state: MaxLengthState, meter: Meter) -> None:
    measured(state, meter)
    state.batch_size = 2
    state.join(SECONDS)
    state.value = 24
    state.join(SECONDS)
    assert meter.shapes == [(8, 96), (2, 96), (2, 24)]


def test_a_shape_is_measured_once(state: MaxLengthState, meter: Meter) -> None:
    first = measured(state, meter)
    state.value = 24
    state.join(SECONDS)
    state.value = 96
    assert state.latency is first
    state.join(SECONDS)
    assert meter.shapes == [(8, 96), (8, 24)]


def test_buckets_need_no_other_latency(state: MaxLengthState, meter: Meter) -> None:
    first = measured(state, meter)
    state.buckets = 4
    assert state.latency is first


def test_an_error_is_shown_and_tried_again(state: MaxLengthState, meter: Meter) -> None:
    meter.error = RuntimeError("Traceback of TorchScript\n\nRuntimeError: sizes <differ>\n")
    measured(state, meter)
    assert told(state)["latency at max length"] == "not measured: RuntimeError: sizes <differ>"
    meter.error = None
    state.value = 24
    state.join(SECONDS)
    state.value = 96
    assert told(state)["latency at max length"] == "measuring…"
    state.join(SECONDS)
    assert isinstance(state.latency, Latency)


def test_an_error_without_words_gives_its_name(state: MaxLengthState, meter: Meter) -> None:
    meter.error = KeyboardInterruptedLike()
    measured(state, meter)
    assert told(state)["latency at max length"] == "not measured: KeyboardInterruptedLike"


class KeyboardInterruptedLike(Exception):  # noqa: N818
    """An error with nothing to say."""


def test_after_closing_nothing_is_told(state: MaxLengthState, meter: Meter) -> None:
    assert meter.begun.wait(SECONDS)
    seen: list[object] = []
    state.observe(seen.append, "latency")
    state.close()
    assert measured(state, meter) is None
    assert seen == []
    state.value = 24
    assert (state.report.cut_texts, meter.shapes) == (76, [(8, 96)])


def test_without_a_model_nothing_is_measured() -> None:
    state = MaxLengthState(LENGTHS)
    assert told(state)["latency at max length"] == "no model given"
    state.value = 3
    state.join()
    state.close()
    assert state.latency is None


# The view


def test_the_value_is_one_in_state_slider_and_chooser(chooser: MaxLengthChooser) -> None:
    assert chooser.value == chooser.state.value == chooser.slider.value == 96
    chooser.slider.value = 40
    assert (chooser.value, chooser.state.value) == (40, 40)
    chooser.value = 50
    assert (chooser.slider.value, chooser.state.value) == (50, 50)
    chooser.state.value = 60
    assert (chooser.slider.value, chooser.value) == (60, 60)


def test_the_value_can_be_observed(chooser: MaxLengthChooser) -> None:
    seen: list[int] = []
    chooser.observe(lambda change: seen.append(change.new), "value")
    chooser.slider.value = 41
    chooser.slider.value = 42
    assert seen == [41, 42]


def test_a_value_outside_the_range_is_refused_everywhere(chooser: MaxLengthChooser) -> None:
    with pytest.raises(InputError, match="from 1 to 128; got 200"):
        chooser.value = 200
    assert chooser.value == chooser.state.value == chooser.slider.value == 96


def test_batch_size_and_buckets_are_joined_too(chooser: MaxLengthChooser) -> None:
    chooser.batch_size.value, chooser.buckets.value = 16, 3
    assert (chooser.state.batch_size, chooser.state.buckets) == (16, 3)
    assert len(chooser.state.edges) == 3


def test_a_move_changes_picture_and_figures_in_place(chooser: MaxLengthChooser) -> None:
    children, before = chooser.children, (chooser.picture.value, chooser.numbers.value)
    chooser.slider.value = 40
    assert chooser.children == children
    assert chooser.picture.value != before[0]
    assert chooser.numbers.value != before[1]
    assert "40 of 100 (40.0%)" in chooser.numbers.value


def test_the_plan_is_there_with_several_buckets_only(chooser: MaxLengthChooser) -> None:
    assert (chooser.plan.value, chooser.plan.layout.display) == ("", "none")
    chooser.buckets.value = 4
    assert "<svg" in chooser.plan.value
    assert not chooser.plan.layout.display
    assert "bucket edges" in chooser.numbers.value
    chooser.buckets.value = 1
    assert (chooser.plan.value, chooser.plan.layout.display) == ("", "none")


def test_in_a_kernel_the_plan_is_drawn_when_the_slider_rests(
    chooser: MaxLengthChooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser.buckets.value = 2
    drawn = plans_drawn(chooser, monkeypatch)

    async def move() -> None:
        for value in (40, 41, 42):
            chooser.slider.value = value
        assert not drawn
        redrawn = asyncio.Event()
        chooser.plan.observe(lambda _: redrawn.set(), "value")
        await asyncio.wait_for(redrawn.wait(), SECONDS)

    asyncio.run(move())
    assert drawn == [42]
    assert "42" in chooser.plan.value


def test_what_is_kept_of_a_chooser_has_the_plan_of_now(chooser: MaxLengthChooser) -> None:
    async def kept() -> str:
        chooser.value, chooser.buckets.value = 42, 2
        assert not chooser.plan.value
        html: str = chooser._repr_mimebundle_()["text/html"]
        return html

    assert f"padded to each of {plan_buckets(range(1, 43), 2)[0]}, 42" in asyncio.run(kept())
    assert chooser._later is None


def plans_drawn(chooser: MaxLengthChooser, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the max length whenever a plan is drawn."""
    drawn: list[int] = []
    plan = chooser.state.plan

    def noted() -> Any:
        drawn.append(chooser.value)
        return plan()

    monkeypatch.setattr(chooser.state, "plan", noted)
    return drawn


def test_a_preset_sets_the_value_and_is_marked(chooser: MaxLengthChooser) -> None:
    button = chooser.presets["longest"]
    assert button.description == f"{OTHER} longest 100"
    button.click()
    assert chooser.value == 100
    assert button.description == f"{CHOSEN} longest 100"
    chooser.value = 99
    assert button.description.startswith(OTHER)


def test_every_preset_has_a_button_with_its_number(chooser: MaxLengthChooser) -> None:
    assert list(chooser.presets) == list(chooser.state.presets)
    for name, button in chooser.presets.items():
        assert button.description.endswith(str(chooser.state.presets[name]))
    assert chooser.presets["p50"].description.split()[1] == "p50"


def controls(chooser: MaxLengthChooser) -> Iterator[Any]:
    for line in chooser.children[:2]:
        yield from line.children


def test_every_control_has_a_label_and_a_tooltip(chooser: MaxLengthChooser) -> None:
    wanted = (IntSlider, BoundedIntText, Button)
    found = [control for control in controls(chooser) if isinstance(control, wanted)]
    assert len(found) == 3 + len(chooser.presets)
    assert all(control.description and control.tooltip for control in found)
    assert all(control.style.description_width == "initial" for control in found[:3])


def test_rows_of_controls_wrap(chooser: MaxLengthChooser) -> None:
    assert [line.layout.flex_flow for line in chooser.children[:2]] == ["row wrap"] * 2
    assert chooser.slider.layout.max_width == "100%"


def test_without_a_front_end_there_are_words_and_a_picture(chooser: MaxLengthChooser) -> None:
    bundle = chooser._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == chooser.model_id
    assert bundle["text/plain"] == str(chooser) == repr(chooser) == str(chooser.state)
    assert "<svg" in bundle["text/html"]
    assert "texts that fit" in bundle["text/html"]


def test_what_is_kept_of_a_chooser_has_its_latency(load: Callable[..., Any]) -> None:
    chooser = MaxLengthChooser([4, 5], model=load()[0], batch_size=1)
    assert "ms a batch" in chooser.html()
    chooser.close()


def test_what_is_kept_of_a_chooser_never_says_that_it_measures(
    chooser: MaxLengthChooser, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(max_length, "LAST_WAIT", 0.01)
    chooser.state._newest = Newest(meter, chooser.state._told, 0)
    chooser.state.value = 50
    assert "measuring" in str(chooser)
    assert "measuring" not in chooser.html()
    assert "50 tokens" in chooser.html()


def test_thousands_are_apart() -> None:
    state = MaxLengthState([5, 600, 25_304], buckets=3, value=25_304)
    assert told(state)["bucket edges"] == "5, 600, 25,304"
    assert "25,304" in state.histogram()[1]


def test_a_latency_changes_the_figures_and_not_the_picture(load: Callable[..., Any]) -> None:
    chooser = MaxLengthChooser(LENGTHS, model=load()[0], batch_size=1)
    before = chooser.picture.value
    chooser.state.join(SECONDS)
    assert "ms a batch, median of 5" in chooser.numbers.value
    assert "measuring" not in chooser.numbers.value
    assert chooser.picture.value == before
    chooser.close()


def test_a_trace_is_measured_where_it_is_given(traced: Callable[..., Any]) -> None:
    chooser = MaxLengthChooser(LENGTHS, traced=traced())
    chooser.state.join(SECONDS)
    assert isinstance(chooser.state.latency, Latency)
    chooser.close()


@pytest.mark.parametrize("limit", [None, 64])
def test_the_limit_is_the_models_unless_it_is_given(
    load: Callable[..., Any], traced: Callable[..., Any], limit: int | None
) -> None:
    for options in ({"model": load()[0]}, {"traced": traced()}):
        chooser = MaxLengthChooser(LENGTHS, limit=limit, **options)
        chooser.close()
        assert chooser.slider.max == (limit or 512)


def test_without_a_limit_the_longest_text_is_it() -> None:
    assert MaxLengthChooser(LENGTHS).slider.max == 100


def test_texts_are_tokenized(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    texts = ["jim was a poet", "jim henson was a puppeteer"]
    chooser = MaxLengthChooser.from_texts(texts, tokenizer, model, value=8)
    chooser.close()
    assert list(chooser.state.lengths) == [len(tokenizer(text)["input_ids"]) for text in texts]
    assert (chooser.value, chooser.slider.max) == (8, 512)


def test_a_closed_chooser_is_off_the_page_and_measures_no_more(load: Callable[..., Any]) -> None:
    chooser = MaxLengthChooser(LENGTHS, model=load()[0])
    chooser.close()
    chooser.state.join(SECONDS)
    assert chooser.state.latency is None
    assert chooser.comm is None
    chooser.close()


def test_a_bad_choice_leaves_nothing_behind(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(InputError):
        MaxLengthChooser(LENGTHS, value=0)
    assert not recwarn.list


def test_one_text_is_enough() -> None:
    chooser = MaxLengthChooser([1])
    assert (chooser.value, chooser.slider.max) == (1, 1)
    assert "1 of 1 (100.0%)" in str(chooser)


def test_it_is_found_where_the_notebooks_look() -> None:
    assert tsnb.widgets.MaxLengthChooser is MaxLengthChooser
    assert issubclass(MaxLengthChooser, base.View)
    assert isinstance(MaxLengthChooser([3]).picture, HTML)
