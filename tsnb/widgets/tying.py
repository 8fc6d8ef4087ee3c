"""The tying view: weights as boxes, one where two names are one tensor. Taught in notebook 01."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipywidgets import HTML, Layout, ToggleButton
from traitlets import link

from tsnb.base.words import say
from tsnb.figures import svg, tying_boxes
from tsnb.widgets.base import View, figures, row
from tsnb.widgets.tying_state import TyingState

if TYPE_CHECKING:
    from torch import nn

ON, OFF = "☑", "☐"  # before the button's words, equally wide


class TyingView(View):
    """Show which weights of a model are one tensor, and what taking them apart costs.

    Each box is a storage, its width the bytes it takes. A button shows the same of an untied copy;
    the model itself is never changed. Prints as `tsnb.tying(model)`.

    Parameters
    ----------
    model
        Any module.
    untied
        Whether to show the untied copy at first.

    Raises
    ------
    InputError
        What was given is no module.

    Examples
    --------
    >>> import tsnb
    >>> model, _ = tsnb.load("tiny-bert")
    >>> str(TyingView(model)) == str(tsnb.tying(model))
    True

    Taught in notebook 01.
    """

    state: TyingState

    def __init__(self, model: nn.Module, *, untied: bool = False) -> None:
        state = TyingState(model, untied=untied)
        self.button = ToggleButton(
            tooltip="Show a copy of the model after tsnb.untie; the model itself stays as it is",
            disabled=not state.can_untie,
            layout=Layout(width="max-content"),
        )
        self.picture, self.numbers = HTML(), HTML()
        super().__init__(state, row(self.button), self.picture, self.numbers)
        link((state, "untied"), (self.button, "value"))
        state.observe(lambda _: self.draw(), "untied")
        self.draw()

    def draw(self) -> None:
        """Bring the picture and the numbers to what the state is now."""
        self.picture.value = svg(tying_boxes(self.state.report, self.state.addresses), str(self))
        mark = ON if self.state.untied else OFF
        self.button.description = f"{mark} {say('tying-view.untie')}"
        shown = say("tying-view.copy" if self.state.untied else "tying-view.model")
        total = f"{self.state.bytes:,} bytes"
        self.numbers.value = figures([("shown", shown), ("these weights take", total)])
