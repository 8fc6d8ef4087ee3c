"""The tying view: its state without a browser, its boxes, and that the model stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.figures import tying_boxes
from tsnb.figures.style import INK
from tsnb.models.tying import TiedPair, TyingReport
from tsnb.widgets.tying import TyingView
from tsnb.widgets.tying_state import TyingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

WORDS, OUT = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"


class Three(nn.Module):
    """Three layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4, bias=False) for _ in range(3))
        self.b.weight = self.c.weight = self.a.weight


@pytest.fixture
def model(load: Callable[..., Any]) -> Any:
    return load()[0]


@pytest.fixture
def view(model: Any) -> TyingView:
    return TyingView(model)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def widths(figure: Figure) -> list[float]:
    """The width of each box; a box is a face and a frame."""
    return [patch.get_width() for patch in figure.axes[0].patches[::2]]  # type: ignore[attr-defined]


def pair(first: str, second: str, tied: bool, size: int = 64) -> TiedPair:  # noqa: FBT001
    return TiedPair(first, second, tied, size // 4, size)


def test_the_state_needs_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets.tying_state; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_the_text_is_the_report(model: Any, view: TyingView) -> None:
    assert str(view) == repr(view) == str(TyingState(model)) == str(tsnb.tying(model))
    assert view._repr_mimebundle_()["text/plain"] == str(tsnb.tying(model))


def test_an_untied_copy_has_its_embedding_twice_and_its_bias_once(model: Any) -> None:
    state = TyingState(model)
    before = state.bytes
    state.untied = True
    found = {found.second: found.tied for found in state.report.pairs}
    assert found == {OUT: False, "cls.predictions.decoder.bias": True}
    assert state.addresses[WORDS] != state.addresses[OUT]
    assert state.bytes - before == model.get_parameter(OUT).nbytes
    assert "apart" in str(state)


def test_the_model_itself_stays_as_it_is(model: Any) -> None:
    before = str(tsnb.tying(model)), model.get_parameter(OUT).data_ptr()
    weights = model.get_parameter(OUT).detach().clone()
    TyingView(model).button.value = True
    assert (str(tsnb.tying(model)), model.get_parameter(OUT).data_ptr()) == before
    assert torch.equal(model.get_parameter(OUT), weights)


def test_the_addresses_are_those_that_a_reader_can_print(model: Any) -> None:
    state = TyingState(model)
    assert state.addresses[WORDS] == model.get_parameter(WORDS).data_ptr()


def test_the_button_is_the_state(view: TyingView) -> None:
    view.button.value = True
    assert view.state.untied
    view.state.untied = False
    assert view.button.value is False


def test_the_button_changes_the_picture_and_the_words(view: TyingView) -> None:
    before = view._repr_mimebundle_()
    view.button.value = True
    after = view._repr_mimebundle_()
    assert all(before[kind] != after[kind] for kind in ("text/plain", "text/html"))
    view.button.value = False
    assert view._repr_mimebundle_()["text/plain"] == before["text/plain"]


def test_the_picture_is_one_widget_from_first_to_last(view: TyingView) -> None:
    children = view.children
    view.button.value = True
    assert view.children == children
    assert view.picture in children


def test_what_is_shown_and_what_it_takes_are_said(view: TyingView) -> None:
    assert "the model as it is" in view.html()
    assert f"{view.state.bytes:,} bytes" in view.html()
    view.button.value = True
    assert "a copy of it, untied" in view.html()


def test_it_can_begin_with_the_copy(model: Any) -> None:
    view = TyingView(model, untied=True)
    assert view.button.value
    assert "apart" in str(view)


@pytest.mark.parametrize(("options", "possible"), [({}, True), ({"torchscript": True}, False)])
def test_the_button_is_off_where_nothing_can_be_untied(
    load: Callable[..., Any], options: dict[str, bool], *, possible: bool
) -> None:
    view = TyingView(load(**options)[0])
    assert (view.state.can_untie, view.button.disabled) == (possible, not possible)


def test_the_button_has_words(view: TyingView) -> None:
    assert view.button.description == "☐ Untie a copy"
    view.button.value = True
    assert view.button.description == "☑ Untie a copy"
    assert "stays as it is" in view.button.tooltip


def test_a_model_without_pairs_says_so(load: Callable[..., Any]) -> None:
    view = TyingView(load(head="encoder")[0])
    assert "No weights are shared" in view.picture.value
    assert str(view).startswith("No weights are shared")
    assert view.state.bytes == 0


def test_a_tensor_with_three_names_is_one_box() -> None:
    state = TyingState(Three())
    assert state.bytes == 64
    assert texts(tying_boxes(state.report)) == ["a.weight", "= b.weight", "= c.weight", "64 bytes"]
    state.untied = True
    apart = [text for text in texts(tying_boxes(state.report)) if "bytes" not in text]
    assert apart == ["a.weight", "b.weight", "c.weight"]
    assert state.bytes == 3 * 64


def test_boxes_have_every_name_and_are_to_scale() -> None:
    report = TyingReport((pair("big", "also", True, 1000), pair("small", "other", False, 250)))
    figure = tying_boxes(report)
    assert [text for text in texts(figure) if "bytes" not in text] == [
        "big",
        "= also",
        "small",
        "other",
    ]
    big, small, other = widths(figure)
    assert [small, other] == pytest.approx([big / 4, big / 4])
    assert texts(figure).count("250 bytes") == 2


def test_boxes_have_the_end_of_their_addresses() -> None:
    report = TyingReport((pair("a", "b", False),))
    found = texts(tying_boxes(report, {"a": 0x7F12345678C0, "b": 0x7F1200000040}))
    assert [text for text in found if "bytes" in text] == [
        "64 bytes at …5678c0",
        "64 bytes at …000040",
    ]


def test_the_picture_has_a_text_and_the_colours_of_the_page(view: TyingView) -> None:
    assert "aria-label='tied" in view.picture.value
    assert "currentColor" in view.picture.value
    assert INK not in view.picture.value
