"""What a check said, with a button for the next hint. Taught in notebook 01."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipywidgets import HTML, Button, Layout
from traitlets import HasTraits, Unicode

from tsnb import checks
from tsnb.widgets.base import View, live_region, row

if TYPE_CHECKING:
    from tsnb.practice.feedback import Feedback


class FeedbackState(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A feedback and the hints that were taken below it; prints as both.

    Parameters
    ----------
    feedback
        What the check said.

    Attributes
    ----------
    hints
        A trait: the hints as HTML.
    """

    hints = Unicode("")

    def __init__(self, feedback: Feedback) -> None:
        super().__init__()
        self.feedback = feedback

    def take_hint(self) -> None:
        """Take the next hint."""
        self.hints = checks.hint(self.feedback.exercise)._repr_html_()

    def __str__(self) -> str:
        return str(self.feedback)


class FeedbackView(View):
    """Show what a check said; a button below it gives the hints, `checks.hint` gives the same.

    Parameters
    ----------
    feedback
        What the check said.

    Examples
    --------
    >>> from tsnb import checks
    >>> view = FeedbackView(checks.check("untying-price", {"float32": ...}))
    >>> view.button.click()
    >>> "Hint 1" in view.hints.value
    True

    Taught in notebook 01.
    """

    state: FeedbackState

    def __init__(self, feedback: Feedback) -> None:
        self.button = Button(
            description="Hint",
            tooltip="Show a hint; the second click shows another",
            layout=Layout(width="max-content"),
        )
        self.box, self.hints = HTML(feedback.box()), live_region()
        controls = () if feedback.done else (row(self.button), self.hints)
        super().__init__(FeedbackState(feedback), self.box, *controls)
        self.button.on_click(lambda _: self.state.take_hint())
        self.state.observe(lambda change: self.hints.set_trait("value", change.new), "hints")

    def html(self) -> str:
        """Return the feedback for where there is no button: the foot tells the commands."""
        return self.state.feedback._repr_html_()
