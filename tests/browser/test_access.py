"""The widgets for people who use a keyboard or a screen reader, or see little."""

import re

import pytest

from tests.browser.lab import LAB, Notebook, books, views

pytestmark = pytest.mark.timeout(400)
ROLES = "button|checkbox|combobox|gridcell|listbox|radio|region|slider|spinbutton|switch|textbox"
FOCUS = "(control) => document.activeElement === control"


@views()
def test_every_control_has_a_name(book: Notebook, name: str) -> None:
    """As a screen reader gets it: `- slider "max length"`."""
    tree = book.view(name).aria_snapshot()
    controls = re.findall(rf"^ *- (?:{ROLES})\b.*", tree, re.MULTILINE)
    assert controls
    assert [line for line in controls if not re.match(r' *- \w+ "', line)] == []


@views()
def test_keys_stay_with_the_control_that_has_the_focus(book: Notebook, name: str) -> None:
    """JupyterLab would go to another cell, delete this one, insert one, or make it text."""
    view, cells = book.view(name), book.ask("cells")
    for control in book.controls(view):
        control.focus()
        for key in ("ArrowDown", "ArrowUp", "d", "d", "b", "m"):
            control.press(key)
        book.finish()
        place = control.get_attribute("data-column")  # arrow keys go to other cells of a grid
        assert place or control.evaluate(FOCUS), control
        assert (book.ask("active"), book.ask("cells")) == (name, cells)
    assert book.errors == []


@views()
def test_the_focus_is_seen(book: Notebook, name: str) -> None:
    view = book.view(name)
    for control in book.controls(view):
        control.evaluate("(control) => control.blur()")
        before = control.evaluate("window.course.ring")
        book.page.keyboard.press("Shift")  # the focus of a mouse is not shown
        control.focus()
        differs = "([control, before]) => window.course.ring(control) !== before"
        book.page.wait_for_function(differs, arg=[control.element_handle(), before])


@books(LAB[1])
def test_shift_enter_runs_the_cell_from_inside_its_widget(book: Notebook) -> None:
    before = max(book.ask("counts"))
    book.view("ex-untying-price-try").get_by_role("button").first.press("Shift+Enter")
    book.page.wait_for_function("(before) => Math.max(...window.course.counts()) > before", arg=before)
    book.wait()
    assert book.ask("active") != "ex-untying-price-try"
