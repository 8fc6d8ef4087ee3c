"""The view of a feedback, with its button for hints, and the progress panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tsnb import checks
from tsnb.practice.record import record
from tsnb.widgets.feedback import FeedbackView

if TYPE_CHECKING:
    from tsnb.practice.feedback import Feedback

RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def wrong() -> Feedback:
    return checks.check("untying-price", {"float32": 1, "float16": 1})


def test_a_feedback_shows_as_widget_html_and_text(wrong: Feedback) -> None:
    bundle = wrong._repr_mimebundle_()
    assert set(bundle) == {WIDGET, "text/html", "text/plain"}
    assert bundle["text/plain"] == str(wrong)
    assert bundle["text/html"] == wrong._repr_html_()


def test_the_button_gives_hint_after_hint_and_is_counted(wrong: Feedback) -> None:
    view = FeedbackView(wrong)
    assert view.hints.value == ""
    for count in (1, 2, 3):
        view.button.click()
        assert view.hints.value.count("<p>") == count
    assert "solutions/01_untying_price.py" in view.hints.value
    assert record().hints("untying-price") == 2


def test_button_and_function_go_on_from_each_other(wrong: Feedback) -> None:
    checks.hint("untying-price")
    view = FeedbackView(wrong)
    view.button.click()
    assert view.hints.value.count("<p>") == 2


def test_what_is_done_needs_no_hint() -> None:
    view = FeedbackView(checks.check("untying-price", RIGHT))
    assert view.box in view.children
    assert not {view.button, view.hints} & {*view.children}
    assert "checks.hint" not in view.html()


def test_the_live_box_leaves_the_commands_to_the_button(wrong: Feedback) -> None:
    view = FeedbackView(wrong)
    assert "checks.hint" not in view.box.value
    assert "checks.hint" in view.html()
    assert view.button.description == "Hint"


def test_the_box_has_symbol_words_and_the_colours_of_the_page(wrong: Feedback) -> None:
    box = wrong.box()
    assert "✗ Look again" in box
    assert "background" not in box
    assert " color" not in box.replace("solid #", "")
    assert "role='status'" in box


def test_the_panel_follows_the_answers() -> None:
    panel = checks.progress("01")
    assert str(panel).endswith("0 of 4 exercises solved")
    checks.check("untying-price", RIGHT)
    assert str(panel).endswith("1 of 4 exercises solved")
    assert "1 of 4 exercises solved" in panel.html()
    checks.reset("01")
    assert "0 of 4 exercises solved" in panel.html()


def test_the_panel_of_the_course_has_all_notebooks() -> None:
    text = str(checks.progress())
    assert "01 Flag and untying" in text
    assert "02 Dummy inputs and tracing" in text


def test_a_hint_is_seen_in_the_panel() -> None:
    panel = checks.progress("01")
    checks.hint("safe-order")
    assert "hints: 1" in panel.html()
