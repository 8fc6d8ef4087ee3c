"""The max-length chooser: a length from the reader's own texts, and what it costs.

Taught in notebook 02.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, BoundedIntText, Button, IntSlider, Label, Layout
from traitlets import Any as AnyTrait
from traitlets import link, validate

from tsnb.base.errors import InputError
from tsnb.base.words import say
from tsnb.figures.plots import svg
from tsnb.inference.latency import shape_latency
from tsnb.lengths.lengths import Geometry, token_lengths
from tsnb.tracing.inputs import max_positions
from tsnb.tracing.traced import checked_module, checked_traced
from tsnb.widgets.base import LABELS, View, figures, row
from tsnb.widgets.max_length_state import MaxLengthState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.inputs import Text
    from tsnb.tracing.traced import Traced
    from tsnb.widgets.max_length_state import Measure

REST = 0.15  # seconds without a move until the plan of the buckets, a second picture, is drawn
CHOSEN, OTHER = "●", "○"  # before a preset, equally wide
LAST_WAIT = 2.0  # seconds that the latency may take until the chooser is shown without it


class MaxLengthChooser(View):
    """Choose a max length, and see what it cuts, pads, costs and takes on this machine.

    Nothing waits for a choice: `value` is the 95th percentile at first, rounded up to a multiple of
    8, and later cells read it. Latency is measured in the background, with a model or a trace.
    Prints as text with every figure.

    Parameters
    ----------
    lengths
        Tokens of each text, special tokens included; see `tsnb.token_lengths`.
    limit
        The position limit, in tokens; by default that of the model or the trace.
    model
        Measured, if there is no trace, and asked for its size, which the cost depends on.
    traced
        The trace to measure.
    value
        The max length to begin with.
    batch_size
        Rows of a batch, for the latency.
    buckets
        How many lengths texts are padded to.

    Attributes
    ----------
    value
        A trait: the max length that is chosen.

    Raises
    ------
    InputError
        No lengths, a limit below 1, a choice outside its range, or what is no model or no trace.

    Examples
    --------
    >>> chooser = MaxLengthChooser([5, 9, 12, 30], limit=64)
    >>> chooser.value
    32

    Taught in notebook 02.
    """

    state: MaxLengthState
    value = AnyTrait()  # an int, checked by the state

    def __init__(  # noqa: PLR0913, each choice is to be seen in the signature
        self,
        lengths: Lengths,
        *,
        limit: int | None = None,
        model: nn.Module | None = None,
        traced: Traced | None = None,
        value: int | None = None,
        batch_size: int = 8,
        buckets: int = 1,
    ) -> None:
        model = None if model is None else checked_module(model)
        traced = None if traced is None else checked_traced(traced)
        state = MaxLengthState(
            lengths,
            limit=_limit(model, traced) if limit is None else limit,
            geometry=_geometry(model),
            measure=_measure(model, traced),
            value=value,
            batch_size=batch_size,
            buckets=buckets,
        )
        self._later: asyncio.TimerHandle | None = None
        self._make_parts(state)
        choices_row = row(self.slider, self.batch_size, self.buckets)
        presets_row = row(Label("presets"), *self.presets.values())
        super().__init__(state, choices_row, presets_row, self.picture, self.plan, self.numbers)
        self._join()
        self.draw()

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[Text],
        tokenizer: PreTrainedTokenizerBase,
        model: nn.Module,
        **options: Any,
    ) -> MaxLengthChooser:
        """Make a chooser from texts, which are tokenized here; see `tsnb.token_lengths`."""
        return cls(token_lengths(tokenizer, texts), model=model, **options)

    def draw(self) -> None:
        """Bring the picture, the presets and the figures to what the state is now."""
        state = self.state
        for name, button in self.presets.items():
            button.description = _preset_text(name, state.presets[name], state.value)
        self.picture.value = svg(*state.histogram())
        self.draw_numbers()
        self._draw_plan_later()

    def draw_numbers(self) -> None:
        """Bring the figures alone to what the state is now: a latency came in."""
        self.numbers.value = figures(self.state.figures())

    def draw_plan(self) -> None:
        """Bring the picture of the buckets to what the state is now; a single one needs none."""
        self._cancel()
        several = self.state.buckets > 1
        self.plan.value = svg(*self.state.plan()) if several else ""
        self.plan.layout.display = "" if several else "none"

    def html(self) -> str:
        """Return the pictures and the figures, all of them of now, the latency if it is measured.

        It stays on a page that no front end brings up to date, so that it waits a little for it.
        """
        self.state.join(LAST_WAIT)
        self.draw_plan()
        known = figures(self.state.figures(settled=True))
        return f"{self.picture.value}\n{self.plan.value}\n{known}"

    def close(self) -> None:
        """Measure no more, and take the widget off the page."""
        if hasattr(self, "state"):  # a constructor that raised leaves none
            self.state.close()
            self._cancel()
        super().close()

    def _draw_plan_later(self) -> None:
        """Draw the plan when the slider rests; at once where no event loop runs."""
        self._cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.draw_plan()
        else:
            self._later = loop.call_later(REST, self.draw_plan)

    def _cancel(self) -> None:
        """Draw no plan later."""
        if self._later is not None:
            self._later.cancel()
        self._later = None

    @validate("value")  # type: ignore[untyped-decorator]
    def _in_range(self, proposal: Any) -> int:
        return self.state.check("value", proposal.value)

    def _make_parts(self, state: MaxLengthState) -> None:
        self.slider = IntSlider(**_control("value", state), layout=Layout(width="480px", max_width="100%"))
        narrow = {"layout": Layout(width="max-content")}
        self.batch_size = BoundedIntText(**_control("batch_size", state), **narrow)
        self.buckets = BoundedIntText(**_control("buckets", state), **narrow)
        self.presets = {
            name: Button(tooltip=f"Set the max length to {length:,} tokens", **narrow)
            for name, length in state.presets.items()
        }
        self.picture, self.plan, self.numbers = HTML(), HTML(), HTML()

    def _join(self) -> None:
        """Let the controls and the state follow each other, and the picture the state."""
        for name in ("value", "batch_size", "buckets"):
            control = self.slider if name == "value" else getattr(self, name)
            link((self.state, name), (control, "value"))
        link((self.state, "value"), (self, "value"))
        for name, button in self.presets.items():
            button.on_click(partial(self._choose, name))
        self.state.observe(lambda _: self.draw(), ["value", "buckets"])
        self.state.observe(lambda _: self.draw_numbers(), ["latency", "batch_size"])

    def _choose(self, name: str, _: object) -> None:
        self.state.value = self.state.presets[name]


def _limit(model: nn.Module | None, traced: Traced | None) -> int | None:
    """Return the position limit of a model or, without one, of a trace."""
    if model is not None:
        return max_positions(model)
    return None if traced is None else traced.contract.max_positions


def _measure(model: nn.Module | None, traced: Traced | None) -> Measure | None:
    """Return what measures a shape, if there is something to run."""
    if model is None and traced is None:
        return None
    return partial(shape_latency, model=model, traced=traced)


def _control(name: str, state: MaxLengthState) -> dict[str, Any]:
    """Return what a control for a whole number needs: its range, its words, what it stands at."""
    key = name.replace("_", "-")
    words = {
        "description": say(f"chooser.control-{key}"),
        "tooltip": say(f"chooser.tooltip-{key}", top=f"{state.top[name]:,}"),
    }
    return {
        "min": 1,
        "max": state.top[name],
        "value": getattr(state, name),
        "style": LABELS,
    } | words


def _geometry(model: nn.Module | None) -> Geometry | None:
    """Return a model's sizes, if it has a configuration that says them."""
    try:
        return None if model is None else Geometry.of(model)
    except InputError:
        return None


def _preset_text(name: str, length: int, value: int) -> str:
    """Return what stands on a preset's button: whether it is chosen, its name and its length."""
    known = {"longest": "longest", "limit": "model limit"}
    return f"{CHOSEN if length == value else OTHER} {known.get(name, name)} {length:,}"
