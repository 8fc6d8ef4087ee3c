"""The feedback of a check, with a button for the next hint. Taught in notebook 01."""

from __future__ import annotations

from collections.abc import Callable

from ipywidgets import HTML, Button, Layout

from tsnb.widgets.base import View, live_region, row


class FeedbackView(View):
    """Show the feedback on an answer; a button below it gives the hints.

    Parameters
    ----------
    text, page
        The feedback, as text and as HTML.
    hint
        Returns the hints as HTML, one more at each call; none where no hint is needed.

    Examples
    --------
    >>> view = FeedbackView("Look again", "<p>Look again</p>", lambda: "Hint 1")
    >>> view.button.click()
    >>> view.hints.value
    'Hint 1'
    """

    def __init__(self, text: str, page: str, hint: Callable[[], str] | None = None) -> None:
        self.text, self.hints = text, live_region()
        tooltip = "Show a hint; the second click shows another"
        self.button = Button(description="Hint", tooltip=tooltip, layout=Layout(width="max-content"))
        super().__init__(HTML(page), *((row(self.button), self.hints) if hint else ()))
        if hint:
            self.button.on_click(lambda _: self.hints.set_trait("value", hint()))

    def __repr__(self) -> str:
        return self.text
