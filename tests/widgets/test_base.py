"""What every view does: words and a picture beside the widget, rows that wrap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ipywidgets import HTML, IntSlider
from traitlets import HasTraits, Int

from tsnb.widgets import base

if TYPE_CHECKING:
    from collections.abc import Callable

WIDGET = "application/vnd.jupyter.widget-view+json"


class Count(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """The least state there can be."""

    count = Int(3)

    def __str__(self) -> str:
        return f"count: {self.count}"


@pytest.fixture
def view() -> base.View:
    return base.View(Count(), base.row(IntSlider()), HTML("<svg></svg>"), HTML("<p>three</p>"))


def test_a_view_prints_its_state(view: base.View) -> None:
    assert repr(view) == str(view) == "count: 3"


def test_a_view_brings_words_and_a_picture(view: base.View) -> None:
    bundle = view._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == view.model_id
    assert bundle["text/plain"] == "count: 3"
    assert bundle["text/html"] == "<svg></svg>\n<p>three</p>"


def test_the_words_are_those_of_now_and_whole(view: base.View) -> None:
    view.state.count = int("9" * 200)
    assert view._repr_mimebundle_()["text/plain"] == "count: " + "9" * 200


def test_a_view_fits_the_page(view: base.View) -> None:
    assert view.layout.width == "100%"
    assert view.children[0].layout.flex_flow == "row wrap"


def test_figures_are_escaped() -> None:
    found = base.figures([("a < b", "1 & 2")])
    assert "a &lt; b" in found
    assert "1 &amp; 2" in found


def test_figures_take_the_colours_of_the_page() -> None:
    assert "color" not in base.figures([("a", "1")])


def test_importing_the_widgets_imports_no_ipywidgets(python: Callable[..., str]) -> None:
    code = "import sys, tsnb.widgets; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"


def test_a_view_brings_what_its_controls_need_and_shows_nothing_of_it(view: base.View) -> None:
    """What that does in a page is tested in tests/browser."""
    access = view.children[-1]
    assert isinstance(access, base.Access)
    assert access.layout.display == "none"
    assert "tsnb-view" in view._dom_classes
    assert ".tsnb-view" in str(access._esm)


def test_a_resting_button_does_nothing_and_is_not_disabled() -> None:
    clicks: list[object] = []
    button = base.RestingButton()
    button.on_click(clicks.append)
    button.resting = True
    button.click()
    assert (clicks, button.disabled) == ([], False)
    assert base.RESTING in button._dom_classes
    button.resting = False
    button.click()
    assert clicks == [button]
    assert base.RESTING not in button._dom_classes


def test_what_is_said_has_a_class_that_the_page_knows() -> None:
    script = (Path(base.__file__).parent / "access.js").read_text(encoding="utf-8")
    assert base.SAID in base.said()._dom_classes
    assert f".{base.SAID}" in script
    assert f".{base.RESTING}" in script


def test_the_text_is_that_after_the_html_which_may_wait() -> None:
    class Waiting(base.View):
        def html(self) -> str:
            self.state.count = 5
            return ""

    assert Waiting(Count())._repr_mimebundle_()["text/plain"] == "count: 5"


def test_a_views_own_children_come_first() -> None:
    slider, words = IntSlider(), HTML()
    assert base.View(Count(), slider, words).children[:2] == (slider, words)
