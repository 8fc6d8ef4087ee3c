"""The padding-cost view: its state without a browser, and controls that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ipywidgets import HTML, BoundedIntText, Dropdown, IntSlider

import tsnb
from tsnb.base.errors import InputError
from tsnb.lengths.batching import MAX_TOKENS
from tsnb.lengths.lengths import Geometry
from tsnb.lengths.padding import padding_cost
from tsnb.widgets import base
from tsnb.widgets.padding import PaddingCostView
from tsnb.widgets.padding_state import MOST_BUCKETS, PaddingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.lengths.padding import PaddingReport

RNG = np.random.default_rng(0)
LENGTHS = np.clip(RNG.lognormal(3.3, 0.6, 300).astype(np.int64), 5, 127)
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def state() -> PaddingState:
    return PaddingState(LENGTHS)


@pytest.fixture
def view() -> PaddingCostView:
    return PaddingCostView(LENGTHS)


def counted(**choices: Any) -> PaddingReport:
    return padding_cost(LENGTHS, **choices)


def begun(**choices: Any) -> PaddingState:
    return PaddingState(LENGTHS, **choices)


def told(state: PaddingState) -> dict[str, str]:
    return dict(state.figures())


# The state


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.padding_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_the_defaults_are_those_of_the_function(state: PaddingState) -> None:
    longest = -(-int(LENGTHS.max()) // 8) * 8
    assert (state.max_length, state.batch_size, state.buckets) == (longest, 8, 4)
    assert state.max_tokens == MAX_TOKENS
    assert state.report == padding_cost(LENGTHS)
    assert str(state) == str(padding_cost(LENGTHS))


@pytest.mark.parametrize(
    ("name", "given"), [("max_length", 40), ("batch_size", 3), ("buckets", 9), ("max_tokens", 2048)]
)
def test_what_is_chosen_is_counted(state: PaddingState, name: str, given: int) -> None:
    before = state.report
    setattr(state, name, given)
    assert state.report == counted(**{name: given})
    assert state.report != before
    assert state.edges == list(state.report.edges)
    assert state.computed == state.report.computed


def test_more_buckets_have_more_edges_and_less_padding_in_each(state: PaddingState) -> None:
    state.buckets = 1
    [edge] = state.edges
    assert edge == LENGTHS.max()
    most = state.computed["buckets"]
    state.buckets = MOST_BUCKETS
    assert len(state.edges) == MOST_BUCKETS
    assert state.computed["buckets"] < most


def test_edges_and_tokens_can_be_observed(state: PaddingState) -> None:
    seen: list[tuple[str, Any]] = []
    state.observe(lambda change: seen.append((change.name, change.new)), ["edges", "computed"])
    state.buckets = 5
    assert seen == [("edges", state.edges), ("computed", state.computed)]


def test_when_the_report_is_told_the_rest_is_of_now(state: PaddingState) -> None:
    seen: list[bool] = []
    state.observe(lambda change: seen.append(state.edges == list(change.new.edges)), "report")
    state.buckets = 7
    assert seen == [True]


def test_the_figures(state: PaddingState) -> None:
    found = told(state)
    assert found["texts"] == f"300 with {LENGTHS.sum():,} tokens"
    assert found["bucket edges"] == ", ".join(map(str, state.edges))
    for plan in state.report.plans.values():
        assert found[plan.label] == f"{plan.computed:,} tokens"
    assert len(found) == 6


def test_texts_that_are_cut_are_told(state: PaddingState) -> None:
    state.max_length = 20
    over = int((LENGTHS > 20).sum())
    assert told(state)["max length"].startswith(f"{over} of 300 texts are cut to 20 tokens")
    state.max_length = 128
    assert "max length" not in told(state)


def test_operations_are_told_with_a_geometry() -> None:
    state = PaddingState(LENGTHS, geometry=Geometry(6, 384, 1536))
    plan = state.report.plans["max"]
    expected = f"{plan.computed:,} tokens, in FLOPs × {plan.flops_ratio:.2f}"
    assert told(state)[plan.label] == expected
    assert "in FLOPs" in str(state)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("max_length", 0),
        ("max_length", 513),
        ("batch_size", 65),
        ("buckets", 13),
        ("buckets", 2.5),
        ("buckets", "4"),
        ("buckets", True),
    ],
)
def test_a_choice_outside_its_range_changes_nothing(state: PaddingState, name: str, given: Any) -> None:
    before = state.report
    with pytest.raises(InputError, match=rf"{name} must be a whole number from 1 to .*got {given}"):
        setattr(state, name, given)
    assert state.report is before


@pytest.mark.parametrize("name", ["max_length", "batch_size", "buckets"])
@pytest.mark.parametrize("given", [0, 2.5, "8", True])
def test_a_choice_to_begin_with_is_checked_too(name: str, given: Any) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number from 1 to "):
        begun(**{name: given})


@pytest.mark.parametrize("given", [64, 500, 0, 512.0, "512"])
def test_a_budget_that_is_no_choice_changes_nothing(state: PaddingState, given: Any) -> None:
    before = state.report
    with pytest.raises(InputError, match=rf"one of 128, 256, 512, 1024, 2048, 4096; got {given}\."):
        state.max_tokens = given
    assert (state.report, state.max_tokens) == (before, MAX_TOKENS)


@pytest.mark.parametrize(
    ("longest", "choices", "chosen"),
    [
        (1, [128, 256, 512, 1024, 2048, 4096], 512),
        (512, [512, 1024, 2048, 4096, 8192, 16384], 512),
        (513, [1024, 2048, 4096, 8192, 16384, 32768], 1024),
    ],
)
def test_in_every_budget_the_longest_text_has_room(longest: int, choices: list[int], chosen: int) -> None:
    state = PaddingState([1, longest])
    assert (state.max_tokens_choices, state.max_tokens) == (choices, chosen)
    for budget in choices:
        state.max_tokens = max_tokens


def test_a_budget_of_ones_own_is_a_choice_too() -> None:
    state = PaddingState(LENGTHS, max_tokens=700)
    assert (state.max_tokens, 700 in state.max_tokens_choices) == (700, True)
    state.max_tokens = 512
    state.max_tokens = 700


def test_a_budget_below_the_longest_text_is_an_error_whatever_is_cut() -> None:
    with pytest.raises(InputError, match="Text 1 has 100 tokens, and a batch may have 64,"):
        PaddingState([5, 100], max_length=32, max_tokens=64)
    with pytest.raises(InputError, match="budget must be a whole number of at least 1; got 0"):
        PaddingState([5, 100], max_tokens=0)


@pytest.mark.parametrize("wrong", [[], [0], [2.5], "text"])
def test_what_is_no_length_is_an_error(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"no lengths|positive whole number"):
        PaddingState(wrong)


def test_long_texts_or_a_long_max_length_widen_the_range() -> None:
    assert PaddingState([700]).top["max_length"] == 704
    assert PaddingState([7]).top["max_length"] == 512
    assert PaddingState([7], max_length=8192).top["max_length"] == 8192


# The view


@pytest.mark.parametrize(
    ("name", "given"), [("max_length", 40), ("batch_size", 3), ("buckets", 9), ("max_tokens", 2048)]
)
def test_controls_and_state_follow_each_other(view: PaddingCostView, name: str, given: int) -> None:
    control = getattr(view, name)
    assert control.value == getattr(view.state, name)
    control.value = given
    assert getattr(view.state, name) == given
    assert view.computed == counted(**{name: given}).computed
    setattr(view.state, name, given * 2 if name == "max_tokens" else given - 1)
    assert control.value == getattr(view.state, name)


def test_a_move_changes_picture_and_numbers_in_place(view: PaddingCostView) -> None:
    children, before = view.children, (view.picture.value, view.numbers.value)
    view.buckets.value = 12
    assert view.children == children
    assert view.picture.value != before[0]
    assert view.numbers.value != before[1]
    assert "12 buckets" in view.picture.value
    assert ", ".join(map(str, view.edges)) in view.numbers.value


def test_a_move_is_drawn_once(view: PaddingCostView, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(view, "draw", lambda: drawn.append(view.state.buckets))
    view.buckets.value = 6
    view.max_length.value = 64
    assert drawn == [6, 6]


def test_later_cells_read_edges_and_tokens(view: PaddingCostView) -> None:
    view.buckets.value = 2
    assert view.edges == tsnb.plan_buckets(LENGTHS, 2)
    assert list(view.computed) == ["max", "arrival", "buckets", "sorted"]
    assert view.computed["max"] == 300 * 128


def test_every_control_has_a_label_and_a_tooltip(view: PaddingCostView) -> None:
    found = view.children[0].children
    assert [type(control) for control in found] == [
        IntSlider,
        BoundedIntText,
        BoundedIntText,
        Dropdown,
    ]
    assert all(control.description and control.tooltip for control in found)
    assert all(control.style.description_width == "initial" for control in found)
    assert view.children[0].layout.flex_flow == "row wrap"
    assert (view.buckets.min, view.buckets.max, view.buckets.layout.max_width) == (1, 12, "100%")


def test_without_a_front_end_there_are_words_and_a_picture(view: PaddingCostView) -> None:
    bundle = view._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == view.model_id
    assert bundle["text/plain"] == str(view) == repr(view) == str(padding_cost(LENGTHS))
    assert "<svg" in bundle["text/html"]
    assert "bucket edges" in bundle["text/html"]


def test_the_picture_is_said_in_words_too(view: PaddingCostView) -> None:
    label = view.picture.value.split("aria-label='")[1].split("'")[0]
    assert label == str(view)


def test_texts_are_tokenized(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    texts = ["jim was a poet", "jim henson was a puppeteer"]
    view = PaddingCostView.from_texts(iter(texts), tokenizer, geometry=Geometry.of(model))
    assert list(view.state.lengths) == [len(tokenizer(text)["input_ids"]) for text in texts]
    assert "in FLOPs" in str(view)


def test_a_bad_choice_leaves_nothing_behind(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(InputError):
        PaddingCostView(LENGTHS, buckets=0)
    assert not recwarn.list


def test_one_text_is_enough() -> None:
    view = PaddingCostView([1])
    assert view.edges == [1]
    assert view.computed == {"max": 8, "arrival": 1, "buckets": 8, "sorted": 1}


def test_it_is_found_where_the_notebooks_look() -> None:
    assert tsnb.widgets.PaddingCostView is PaddingCostView
    assert issubclass(PaddingCostView, base.View)
    assert isinstance(PaddingCostView([3]).picture, HTML)
