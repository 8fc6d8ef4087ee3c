"""The padding-cost view: what four ways to make batches compute, drawn to one scale.

Taught in notebook 04.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, BoundedIntText, Dropdown, IntSlider, Layout
from traitlets import Dict, List, dlink, link

from tsnb.base.words import say
from tsnb.figures import svg
from tsnb.lengths.lengths import token_lengths
from tsnb.widgets.base import LABELS, View, figures, row
from tsnb.widgets.padding_state import PaddingState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedTokenizerBase

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.inputs import Text


class PaddingCostView(View):
    """Show how much of what is computed is padding, and drag the number of buckets.

    Four ways to make batches stand below each other, from padding every text to the max length to
    what `tsnb.Runner` does. Nothing waits for a choice. Prints as `tsnb.padding_cost(lengths)`.

    Parameters
    ----------
    lengths
        Tokens of each text in the order of arrival, special tokens included; see
        `tsnb.token_lengths`.
    **choices
        `geometry`, `max_length`, `batch_size`, `buckets` and `budget`; see
        `tsnb.widgets.padding_state.PaddingState`.

    Attributes
    ----------
    edges
        A trait that follows the choices: the lengths of the buckets, in tokens.
    computed
        A trait that follows the choices: the tokens that each plan computes, by its name.

    Raises
    ------
    InputError
        No lengths, a budget below the longest text, or a choice outside its range.

    Examples
    --------
    >>> view = PaddingCostView([5, 30, 6, 9, 12, 31], batch_size=2, buckets=2, max_tokens=64)
    >>> view.edges
    [12, 31]
    >>> view.computed
    {'max': 192, 'arrival': 140, 'buckets': 110, 'sorted': 110}

    Taught in notebook 04.
    """

    state: PaddingState
    edges = List()
    computed = Dict()

    def __init__(self, lengths: Lengths, **choices: Any) -> None:
        state = PaddingState(lengths, **choices)
        self._make_parts(state)
        controls = row(self.buckets, self.max_length, self.batch_size, self.max_tokens)
        super().__init__(state, controls, self.picture, self.numbers)
        for name in ("buckets", "max_length", "batch_size", "max_tokens"):
            link((state, name), (getattr(self, name), "value"))
        for name in ("edges", "computed"):
            dlink((state, name), (self, name))
        state.observe(lambda _: self.draw(), "report")
        self.draw()

    @classmethod
    def from_texts(
        cls, texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, **choices: Any
    ) -> PaddingCostView:
        """Make a view of texts, which are tokenized here; see `tsnb.token_lengths`."""
        return cls(token_lengths(tokenizer, texts), **choices)

    def draw(self) -> None:
        """Bring the picture and the numbers to what the state is now."""
        self.picture.value = svg(self.state.panels(), str(self.state))
        self.numbers.value = figures(self.state.figures())

    def _make_parts(self, state: PaddingState) -> None:
        narrow = Layout(width="max-content")
        self.buckets = IntSlider(**_control("buckets", state), layout=Layout(width="400px", max_width="100%"))
        self.max_length = BoundedIntText(**_control("max_length", state), layout=narrow)
        self.batch_size = BoundedIntText(**_control("batch_size", state), layout=narrow)
        self.max_tokens = Dropdown(
            options=[(f"{max_tokens:,}", max_tokens) for max_tokens in state.max_tokens_choices],
            value=state.max_tokens,
            description="Runner's budget",
            tooltip="Most tokens in a batch of the Runner, padding included",
            style=LABELS,
            layout=narrow,
        )
        self.picture, self.numbers = HTML(), HTML()


def _control(name: str, state: PaddingState) -> dict[str, Any]:
    """Return what a control for a whole number needs: its range, its words, what it stands at."""
    key, top = name.replace("_", "-"), state.top[name]
    return {
        "min": 1,
        "max": top,
        "value": getattr(state, name),
        "description": say(f"padding.control-{key}"),
        "tooltip": say(f"padding.tooltip-{key}", top=top),
        "style": LABELS,
    }
