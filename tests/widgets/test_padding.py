"""The padding-cost view: its state, and controls that follow it."""

from typing import Any

import numpy as np
import pytest

from tsnb.base.errors import InputError
from tsnb.lengths.padding import padding_cost
from tsnb.widgets.padding import PaddingCostView

RNG = np.random.default_rng(0)
LENGTHS = np.clip(RNG.lognormal(3.3, 0.6, 300).astype(np.int64), 5, 127)


@pytest.fixture
def view() -> PaddingCostView:
    return PaddingCostView(LENGTHS)


def test_without_a_front_end_it_is_the_function(view: PaddingCostView) -> None:
    bundle = view._repr_mimebundle_()
    assert bundle["text/plain"] == str(view) == str(padding_cost(LENGTHS))
    assert f"aria-label='{view}'" in bundle["text/html"]


@pytest.mark.parametrize(("name", "value"), [("max_length", 513), ("max_tokens", 2.5)])
def test_a_choice_outside_its_range_changes_nothing(name: str, value: Any) -> None:
    state = PaddingCostView(LENGTHS)
    before = state.report
    with pytest.raises(InputError, match=rf"{name} must be (a whole number from 1 to|one of 128, ).*{value}"):
        setattr(state, name, value)
    assert state.report is before


def test_lengths_and_first_choices_are_checked(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(InputError, match="no lengths"):
        PaddingCostView([])
    with pytest.raises(InputError, match=r"Text 1 has 96 tokens.* 64"):
        PaddingCostView([5, 100], max_length=96, max_tokens=64)
    assert not recwarn.list


def test_the_longest_text_has_room_in_every_choice() -> None:
    for longest, chosen in ((512, 512), (513, 1024)):
        state = PaddingCostView([1, longest])
        assert state.max_tokens == state.options["max_tokens"][0] == chosen
    assert 700 in PaddingCostView([1], max_tokens=700).options["max_tokens"]
    assert PaddingCostView([7], max_length=8192).top["max_length"] == 8192


def test_texts_longer_than_a_batch_are_cut_as_the_function_cuts_them() -> None:
    view = PaddingCostView([5, 100], max_length=32, max_tokens=64)
    assert str(view) == str(padding_cost([5, 100], 32, max_tokens=64))
    for name, value in (("max_tokens", 256), ("max_length", 64), ("max_tokens", 64)):
        setattr(view, name, value)
    assert str(view) == str(padding_cost([5, 100], 64, max_tokens=64))
    with pytest.raises(InputError, match="max_length must be a whole number from 1 to 64; got 65"):
        view.max_length = 65


@pytest.mark.parametrize(("name", "value"), [("batch_size", 3), ("max_tokens", 2048)])
def test_controls_state_and_traits_follow_each_other(view: PaddingCostView, name: str, value: int) -> None:
    pictures: list[str] = []
    view.picture.observe(lambda change: pictures.append(change.new), "value")
    control, choices = view.controls[name], {name: value}
    control.value = value
    report = padding_cost(LENGTHS, **choices)  # type: ignore[arg-type]
    assert view.report == report
    [picture] = pictures
    assert str(view) == str(report)
    assert str(view) in picture
    setattr(view, name, value * 2 if name == "max_tokens" else value - 1)
    assert control.value == getattr(view, name)
