"""The view of a feedback, with its button for hints, and the progress panel."""

import pytest

from tsnb import checks
from tsnb.practice.record import record

WIDGET = "application/vnd.jupyter.widget-view+json"
RIGHT = {"float32": 250_002 * 768 * 4, "float16": 250_002 * 768 * 2}


@pytest.fixture
def feedback() -> checks.Feedback:
    return checks.check("untying-price", {"float32": 1, "float16": 1})


def test_a_feedback_shows_as_widget_html_and_text(feedback: checks.Feedback) -> None:
    bundle = feedback._repr_mimebundle_()
    assert set(bundle) == {WIDGET, "text/html", "text/plain"}
    assert bundle["text/plain"] == str(feedback)
    assert bundle["text/html"].startswith(feedback._repr_html_())
    view = checks.check("untying-price", RIGHT)._view()
    assert view.button not in view.children  # where it is right, no hint is needed


def test_the_button_goes_on_from_the_function_and_is_counted(feedback: checks.Feedback) -> None:
    checks.hint(feedback.exercise)
    view = feedback._view()
    for count in (2, 3):
        view.button.click()
        assert view.hints.value.count("<p>") == count
    assert "solutions/01_untying_price.py" in view.hints.value
    assert record().hints("untying-price") == 2


def test_the_panel_follows_answers_hints_and_resets() -> None:
    panel = checks.progress("01")
    assert str(panel).endswith("0 of 4 exercises solved")
    checks.check("untying-price", RIGHT)
    checks.hint("safe-order")
    assert str(panel).endswith("1 of 4 exercises solved")
    assert "… begun" in panel.html()
    checks.reset("01")
    assert "0 of 4 exercises solved" in panel.html()
