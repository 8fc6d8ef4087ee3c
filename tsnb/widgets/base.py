"""What the views share: words and a picture beside the widget, rows that wrap, figures as HTML.

A view holds a state, a plain `HasTraits` whose `str` says everything in words. The view sets the
`value` of its HTML parts when the state changes, so that nothing flickers:

    class Example(View):
        def __init__(self, state: ExampleState) -> None:
            self.slider = IntSlider(description=say("example.size"), style=LABELS)
            self.picture = HTML()
            super().__init__(state, row(self.slider), self.picture)
            link((state, "size"), (self.slider, "value"))
            state.observe(lambda _: self.draw(), "size")
            self.draw()

        def draw(self) -> None:
            self.picture.value = svg(self.state.figure(), str(self.state))
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
from ipywidgets import HTML, Box, Button, Layout, VBox
from traitlets import Bool, observe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipywidgets import Widget
    from traitlets import HasTraits

LABELS = {"description_width": "initial"}  # a `style` that never cuts a label
GRID = "display: grid; grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); gap: 0.6em 1.5em"
MONO = "font-family: var(--jp-code-font-family, monospace)"  # a page without JupyterLab has its own
SAID, RESTING = "tsnb-said", "tsnb-resting"  # classes that access.js knows
PLAIN = "float: none; width: auto; margin: 0; padding: 0"  # JupyterLab puts dt beside dd


class Access(anywidget.AnyWidget):
    """Nothing to see: gives a view's controls their keys and their names for screen readers."""

    _esm = Path(__file__).parent / "access.js"
    _css = Path(__file__).parent / "access.css"


class RestingButton(Button):  # type: ignore[misc]  # ipywidgets is not typed
    """A button that does nothing while it rests; a disabled one would lose the keyboard's focus.

    >>> button = RestingButton(resting=True)
    >>> button.on_click(print)
    >>> button.click()
    """

    resting = Bool(default_value=False)

    @observe("resting")  # type: ignore[untyped-decorator]
    def _look(self, change: Any) -> None:
        (self.add_class if change.new else self.remove_class)(RESTING)

    def click(self) -> None:
        """Call what was given to `on_click`, unless it rests."""
        if not self.resting:
            super().click()


class View(VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A widget that says its state in words wherever there is no front end for widgets.

    Parameters
    ----------
    state
        What is shown; its `str` is the text form.
    *children
        Rows of controls, and the `ipywidgets.HTML` parts that are shown without a front end too.
    """

    def __init__(self, state: HasTraits, *children: Widget) -> None:
        self.state = state
        access = Access(layout=Layout(display="none"))
        super().__init__((*children, access), layout=Layout(width="100%", grid_gap="8px"))
        self.add_class("tsnb-view")

    def html(self) -> str:
        """Return the HTML parts, top to bottom, without the controls."""
        return "\n".join(child.value for child in self.children if isinstance(child, HTML))

    def __repr__(self) -> str:
        return str(self.state)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the widget and, for where it cannot be shown, its HTML parts and its text."""
        words = {"text/html": self.html(), "text/plain": str(self.state)}  # `html` may wait
        return {**(super()._repr_mimebundle_(**kwargs) or {}), **words}


def row(*controls: Widget) -> Box:
    """Return controls side by side, in as many lines as the page's width asks for."""
    return Box(controls, layout=Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 16px"))


def said(**options: Any) -> HTML:
    """Return an HTML part whose changes screen readers say."""
    part = HTML(**options)
    part.add_class(SAID)
    return part


def figures(pairs: Iterable[tuple[str, str]]) -> str:
    """Return labels and what they stand at as HTML, in the page's colours and as wide as it allows.

    >>> "padding" in figures([("padding", "41 %")])
    True
    """
    cells = "".join(
        f"<div><dt style='{PLAIN}; font-weight: normal'>{escape(label)}</dt>"
        f"<dd style='{PLAIN}; font-weight: bold; text-wrap: balance'>{escape(value)}</dd></div>"
        for label, value in pairs
    )
    numbers = "line-height: 1.4; font-variant-numeric: tabular-nums"
    return f"<dl style='margin: 0; {GRID}; {numbers}'>{cells}</dl>"
