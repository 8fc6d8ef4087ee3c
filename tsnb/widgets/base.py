"""What the views share: text and a picture beside the widget, rows that wrap, figures as HTML.

A view's choices are its traits, and its `repr` says everything in words. It sets the `value` of its
HTML parts when a trait changes, so that nothing flickers:

    class Example(View):
        size = WholeNumber()

        def __init__(self, size: int) -> None:
            self.top, self.size, self.picture = {"size": 64}, size, HTML()
            control = number_control(self, "size", "Tokens of a text; the arrow keys move it by 1")
            super().__init__(row(control), self.picture)
            self.observe(self._draw, "size")
            self._draw()

        def _draw(self, _: object = None) -> None:
            self.picture.value = svg(figure_of(self.size), str(self))

What takes longer than a moment is the view's `steps`, see `tsnb.widgets.event_loop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
from ipywidgets import HTML, BoundedIntText, Box, Dropdown, Layout, VBox
from traitlets import TraitType, link

from tsnb.base.errors import InputError
from tsnb.tracing.inputs import is_positive_int
from tsnb.widgets.event_loop import handle_on_loop

if TYPE_CHECKING:
    from ipywidgets import Widget

    from tsnb.widgets.event_loop import Steps

LABELS = {"description_width": "initial"}  # a `style` that never cuts a label
GRID = "display: grid; grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); gap: 0.6em 1.5em"
MONO = "font-family: var(--jp-code-font-family, monospace)"  # a page without JupyterLab has its own
LIVE = "tsnb-live"  # a class that access.js knows
PLAIN = "float: none; width: auto; margin: 0; padding: 0"  # JupyterLab puts dt beside dd
SHOW_WITHIN = 4.0  # seconds of the steps that are left which a view takes before it is shown


class WholeNumber(TraitType):  # type: ignore[misc]  # traitlets is not followed
    """A trait: a whole number, numpy's too, from 1 to what its owner's `top` has under its name."""

    def validate(self, owner: Any, value: Any) -> int:
        """Return the number as an int, or raise an InputError."""
        top = owner.top[self.name]
        if not is_positive_int(value) or value > top:
            raise InputError(f"{self.name} must be a whole number from 1 to {top}; got {value}.")
        return int(value)


class OneOf(TraitType):  # type: ignore[misc]  # traitlets is not followed
    """A trait: one of what its owner's `options` has under its name."""

    def validate(self, owner: Any, value: Any) -> Any:
        """Return the option, or raise an InputError."""
        options = owner.options[self.name]
        if isinstance(value, (bool, float)) or value not in options:
            raise InputError(f"{self.name} must be one of {', '.join(map(str, options))}; got {value}.")
        return options[options.index(value)]


class Access(anywidget.AnyWidget):
    """Nothing to see: gives a view's controls their keys and their names for screen readers."""

    _esm = Path(__file__).parent / "access.js"
    _css = Path(__file__).parent / "access.css"


class View(VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A widget that shows HTML and text wherever there is no front end for widgets.

    Cells run one after the other in "Run All", and `tsnb run` and nbconvert keep what was shown then.
    So a view takes the steps that are left, for four seconds at most, before it is shown; the rest
    follows on the kernel's loop.

    Parameters
    ----------
    *children
        Rows of controls, and the `ipywidgets.HTML` parts that are shown without a front end too.

    Attributes
    ----------
    steps
        What is done step by step, if there is something; it ends with the view.
    """

    steps: Steps | None = None

    def __init__(self, *children: Widget) -> None:
        access = Access(layout=Layout(display="none"))
        super().__init__((*children, access), layout=Layout(width="100%", grid_gap="8px"))
        self.add_class("tsnb-view")
        for widget in _tree(self):
            handle_on_loop(widget)

    def html(self) -> str:
        """Return the HTML parts, top to bottom, without the controls."""
        return "\n".join(child.value for child in self.children if isinstance(child, HTML))

    def close(self) -> None:
        """Take the widget off the page, and no further step."""
        if self.steps is not None:
            self.steps.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the widget and, for where it cannot be shown, its HTML parts and its text."""
        if self.steps is not None:
            self.steps.finish(SHOW_WITHIN)
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        return {**bundle, "text/html": self.html(), "text/plain": repr(self)}


def _tree(widget: Widget) -> Iterator[Widget]:
    """Yield a widget and all that are inside it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _tree(child)


def row(*controls: Widget) -> Box:
    """Return controls side by side, in as many lines as the page's width asks for."""
    return Box(controls, layout=Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 16px"))


def number_control(view: Any, name: str, tooltip: str, kind: Any = BoundedIntText, width: str = "max-content") -> Any:
    """Return a control of ipywidgets that is linked with a `WholeNumber` of a view."""
    control = kind(min=1, max=view.top[name], description=name.replace("_", " "), style=LABELS)
    control.tooltip = f"{tooltip}, from 1 to {view.top[name]:,}"
    control.layout = Layout(width=width, max_width="100%")
    link((view, name), (control, "value"))
    return control


def choice_control(view: Any, name: str, label: str, tooltip: str) -> Dropdown:
    """Return a list of the options of a `OneOf` of a view, at what is chosen now."""
    options = [(f"{option:,}" if isinstance(option, int) else option, option) for option in view.options[name]]
    control = Dropdown(options=options, value=getattr(view, name), description=label, tooltip=tooltip, style=LABELS)
    control.layout = Layout(width="max-content")
    return control


def live_region(**options: Any) -> HTML:
    """Return an HTML part whose changes screen readers say."""
    part = HTML(**options)
    part.add_class(LIVE)
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
