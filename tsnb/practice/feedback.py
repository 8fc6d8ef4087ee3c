"""What a check says about an answer, as text and as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from tsnb.base.palette import GREEN, GREY, VERMILION
from tsnb.base.words import say

Kind = Literal["done", "not-yet", "mistake", "wrong", "type", "raises", "time"]
SYMBOLS: dict[Kind, str] = {
    "done": "✓",
    "not-yet": "○",
    "mistake": "✗",
    "wrong": "✗",
    "type": "✗",
    "raises": "!",
    "time": "!",
}
COLOURS = {"✓": GREEN, "○": GREY, "✗": VERMILION, "!": VERMILION}  # beside the symbols


@dataclass(frozen=True, repr=False)
class Feedback:
    """What there is to say about an answer; prints as text, and shows with a button for hints.

    Attributes
    ----------
    exercise
        The exercise's name.
    kind
        `"done"`; `"not-yet"`, for the unchanged starter; `"mistake"`, a common one, and `"wrong"`,
        any other; `"type"`, an answer that cannot be judged; `"raises"` and `"time"`, code that
        raised or ran for too long.
    mistake
        The key of the common mistake.
    text
        The sentences.
    title
        The exercise's title.
    solution
        The file with the solution, from the folder of the notebooks.
    note
        Something to know about the record, such as that it cannot be written.
    """

    exercise: str
    kind: Kind
    mistake: str | None
    text: str
    title: str
    solution: str
    note: str = ""

    @property
    def done(self) -> bool:
        """Whether the answer is right."""
        return self.kind == "done"

    @property
    def head(self) -> str:
        """Symbol, verdict and title: `✓ Done · Tied or not?`."""
        return f"{SYMBOLS[self.kind]} {say(f'feedback.head-{self.kind}')} · {self.title}"

    @property
    def foot(self) -> str:
        """Where hints and the solution are, until they are of no use."""
        if self.done:
            return ""
        return f'Stuck? `checks.hint("{self.exercise}")` gives a hint. The solution: `%load {self.solution}`'

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.head, self.text, self.note, self.foot)))

    __repr__ = __str__

    def box(self) -> str:
        """Return head and text as HTML, with a bar at the left."""
        texts = "".join(f"<div>{marked(text)}</div>" for text in (self.text, self.note) if text)
        colour = COLOURS[SYMBOLS[self.kind]]
        return (
            f"<div role='status' style='border-left: 5px solid {colour}; padding: 2px 0 2px 12px; "
            f"line-height: 1.5; max-width: 60em'><strong>{escape(self.head)}</strong>{texts}</div>"
        )

    def _repr_html_(self) -> str:
        return self.box() + (f"<p>{marked(self.foot)}</p>" if self.foot else "")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view with its button, and text and HTML for where there are no widgets."""
        from tsnb.widgets.feedback import FeedbackView

        return FeedbackView(self)._repr_mimebundle_(**kwargs)


def marked(text: str) -> str:
    """Return a sentence as HTML, with what stands between backticks as code.

    >>> marked("`a < b` & so on")
    '<code>a &lt; b</code> &amp; so on'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
