"""The padding-cost view: what four ways to make batches compute, drawn to one scale.

Taught in notebook 04.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from ipywidgets import HTML, IntSlider

from tsnb.base.tables import listed
from tsnb.figures import padding_panels, svg
from tsnb.lengths.batching import MAX_TOKENS, check_max_tokens
from tsnb.lengths.lengths import checked, checked_max_length, token_lengths
from tsnb.lengths.padding import padding_cost
from tsnb.tracing.inputs import positive_int
from tsnb.widgets.base import OneOf, View, WholeNumber, choice_control, figures, number_control, row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tsnb.lengths.lengths import Geometry, Lengths
    from tsnb.tracing.inputs import Text

MOST_ROWS, MOST_BUCKETS = 64, 12
COMMON = 512  # a max length that can always be chosen: the position limit of most encoders
LEAST, POWERS = 128, 6  # of two, to choose the tokens of a batch from: the smallest, and how many


class PaddingCostView(View):
    """Show how much of what is computed is padding, and drag the number of buckets.

    Four ways to make batches stand below each other, from padding every text to the max length to
    what `tsnb.Runner` does. Every choice is a trait that later cells read and set; nothing waits for a
    choice. Prints as `tsnb.padding_cost(lengths)`.

    Parameters
    ----------
    lengths
        Tokens of each text in the order of arrival, special tokens included; see
        `tsnb.token_lengths`.
    geometry
        The model's sizes, for the cost in floating-point operations.
    max_length, batch_size, buckets, max_tokens
        What is chosen at first; see the traits.

    Attributes
    ----------
    max_length
        A trait: longer texts are cut to it, and one plan pads every text to it; at first the
        longest text.
    batch_size
        A trait: rows of a batch, in arrival order and in a bucket.
    buckets
        A trait: how many; they have the best edges.
    max_tokens
        A trait: most tokens in a batch of texts that are sorted by length, padding included.
    report
        A trait that follows the choices: a `tsnb.lengths.padding.PaddingReport`.

    Raises
    ------
    InputError
        No lengths, `max_tokens` below the longest text after the cut, or a choice outside its range; also when a
        trait is set.

    Examples
    --------
    >>> view = PaddingCostView([5, 30, 6, 9, 12, 31], batch_size=2, buckets=2, max_tokens=64)
    >>> view.report.edges, view.report.computed
    ((12, 31), {'max': 186, 'arrival': 140, 'buckets': 110, 'sorted': 110})
    >>> view.buckets = 3
    >>> view.report.edges
    (6, 12, 31)

    Taught in notebook 04.
    """

    max_length: Any = WholeNumber()
    batch_size: Any = WholeNumber()
    buckets: Any = WholeNumber()
    max_tokens: Any = OneOf()
    report = traitlets.Any()

    def __init__(  # noqa: PLR0913, each choice is to be seen in the signature
        self,
        lengths: Lengths,
        *,
        geometry: Geometry | None = None,
        max_length: int | None = None,
        batch_size: int = 8,
        buckets: int = 4,
        max_tokens: int | None = None,
    ) -> None:
        self.lengths, self.geometry = checked(lengths), geometry
        longest = int(self.lengths.max())
        max_length = longest if max_length is None else checked_max_length(max_length)
        first = max(LEAST, 1 << (int(self.lengths.max()) - 1).bit_length())
        max_tokens = max(MAX_TOKENS, first) if max_tokens is None else positive_int("max_tokens", max_tokens)
        check_max_tokens(np.minimum(self.lengths, max_length).tolist(), max_tokens)
        # where texts are longer than a batch, they stay cut to it
        most = max(longest, COMMON, max_length) if max_tokens >= self.lengths.max() else max_tokens
        self.top = {"max_length": most, "batch_size": MOST_ROWS, "buckets": MOST_BUCKETS}
        self.options = {"max_tokens": sorted({max_tokens, *(first << power for power in range(POWERS))})}
        self.max_length, self.batch_size, self.buckets = max_length, batch_size, buckets
        self.max_tokens = max_tokens
        words = "Most tokens in a batch of the Runner, padding included"
        self.controls = {
            "buckets": number_control(self, "buckets", "How many lengths texts are padded to", IntSlider, "400px"),
            "max_length": number_control(self, "max_length", "Tokens that longer texts are cut to"),
            "batch_size": number_control(self, "batch_size", "Texts in a batch that is not planned"),
            "max_tokens": choice_control(self, "max_tokens", "Runner's max tokens", words),
        }
        traitlets.link((self, "max_tokens"), (self.controls["max_tokens"], "value"))
        self.picture, self.numbers = HTML(), HTML()
        super().__init__(row(*self.controls.values()), self.picture, self.numbers)
        self.observe(lambda _: self.draw(), list(self.controls))
        self.draw()

    @classmethod
    def from_texts(cls, texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, **choices: Any) -> PaddingCostView:
        """Make a view of texts, which are tokenized here; see `tsnb.token_lengths`."""
        return cls(token_lengths(tokenizer, texts), **choices)

    def figures(self) -> list[tuple[str, str]]:
        """Return every number: a label, and what it stands at."""
        plans = list(self.report.plans.values())
        pairs = [("texts", f"{len(self.lengths):,} with {plans[0].real:,} tokens")]
        pairs += [("max length", cut)] if (cut := self.report.cut()) else []
        for plan in plans:
            flops = "" if plan.flops_ratio is None else f", in FLOPs × {plan.flops_ratio:.2f}"
            pairs.append((plan.label, f"{plan.computed:,} tokens{flops}"))
        return [*pairs, ("bucket edges", listed(self.report.edges))]

    def __repr__(self) -> str:
        return str(self.report)

    def draw(self) -> None:
        """Bring the report, the picture and the numbers to the choices."""
        choices = {name: getattr(self, name) for name in self.controls}
        self.report = padding_cost(self.lengths, geometry=self.geometry, **choices)
        self.picture.value = svg(padding_panels(self.report), str(self))
        self.numbers.value = figures(self.figures())
