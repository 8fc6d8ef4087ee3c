"""What the padding-cost view knows: lengths, four choices, and the cost of each plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from tsnb.base.errors import InputError
from tsnb.base.tables import listed
from tsnb.figures.padding import padding_panels
from tsnb.lengths.batching import MAX_TOKENS
from tsnb.lengths.batching import check_max_tokens
from tsnb.lengths.lengths import checked
from tsnb.lengths.padding import default_length, padding_cost
from tsnb.tracing.inputs import is_positive_int, positive_int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsnb.lengths.lengths import Geometry, Lengths
    from tsnb.lengths.padding import PlanCost

MOST_ROWS, MOST_BUCKETS = 64, 12
COMMON = 512  # a max length that can always be chosen: the position limit of most encoders
LEAST, BUDGETS = 128, 6  # the smallest power of two, and how many there are to choose from
CHOICES = ("max_length", "batch_size", "buckets", "max_tokens")


class PaddingState(traitlets.HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A max length, batches, buckets and a max_tokens, with what they compute; prints as a table.

    Parameters
    ----------
    lengths
        Tokens of each text in the order of arrival, special tokens included.
    geometry
        The model's sizes, for the cost in floating-point operations.
    max_length, batch_size, buckets, max_tokens
        What is chosen at first; see the traits.

    Attributes
    ----------
    max_length
        A trait: longer texts are cut to it, and one plan pads every text to it; at first the
        longest, rounded up to a multiple of 8.
    batch_size
        A trait: rows of a batch, in arrival order and in a bucket.
    buckets
        A trait: how many; they have the best edges.
    max_tokens
        A trait: most tokens in a batch of texts that are sorted by length.
    report
        A trait that follows the choices: a `tsnb.lengths.padding.PaddingReport`.
    edges
        A trait that follows the choices: the lengths of the buckets.
    computed
        A trait that follows the choices: the tokens that each plan computes, by its name.

    Raises
    ------
    InputError
        No lengths, a budget below the longest text, or a choice outside its range; also when a
        trait is set.

    Examples
    --------
    >>> state = PaddingState([5, 30, 6, 9, 12, 31], batch_size=2, buckets=2)
    >>> state.edges, state.computed["max"]
    ([12, 31], 192)
    >>> state.buckets = 3
    >>> state.edges
    [6, 12, 31]

    Taught in notebook 04.
    """

    max_length = traitlets.Any()  # an int; `check` says more than traitlets' own Int would
    batch_size = traitlets.Any()
    buckets = traitlets.Any()
    max_tokens = traitlets.Any()
    report = traitlets.Any()
    edges = traitlets.List()
    computed = traitlets.Dict()

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
        super().__init__()
        self.lengths, self.geometry = checked(lengths), geometry
        longest = default_length(self.lengths)
        begin = longest if max_length is None else max_length
        self.top = {
            "max_length": max(longest, COMMON, begin if is_positive_int(begin) else 0),
            "batch_size": MOST_ROWS,
            "buckets": MOST_BUCKETS,
        }
        if max_tokens is not None:
            check_max_tokens(self.lengths.tolist(), positive_int("max_tokens", max_tokens))
        first = max(LEAST, 1 << (int(self.lengths.max()) - 1).bit_length())
        chosen = max(MAX_TOKENS, first) if max_tokens is None else int(max_tokens)
        self.max_tokens_choices = sorted({chosen, *(first << power for power in range(BUDGETS))})
        self.max_length = begin
        self.batch_size, self.buckets = batch_size, buckets
        self.max_tokens = chosen
        self.observe(self._count, CHOICES)
        self._count()

    def check(self, name: str, given: Any) -> int:
        """Return a choice as an int, or raise an InputError where it cannot be chosen."""
        if name == "max_tokens":
            if not is_positive_int(given) or given not in self.max_tokens_choices:
                known = ", ".join(map(str, self.max_tokens_choices))
                raise InputError(
                    f"max_tokens must be one of {known}; got {given}. Another can be given when the view is made."
                )
        elif not is_positive_int(given) or int(given) > self.top[name]:
            raise InputError(f"{name} must be a whole number from 1 to {self.top[name]}; got {given}.")
        return int(given)

    def panels(self) -> Figure:
        """Return every plan as a figure."""
        return padding_panels(self.report)

    def figures(self) -> list[tuple[str, str]]:
        """Return every number: a label, and what it stands at."""
        plans = list(self.report.plans.values())
        real = f"{len(self.lengths):,} with {plans[0].real:,} tokens"
        told = [("texts", real), ("max length", self.report.cut())]
        told += [(plan.label, _computed(plan)) for plan in plans]
        told.append(("bucket edges", listed(self.edges)))
        return [(label, text) for label, text in told if text]

    def __str__(self) -> str:
        return str(self.report)

    @traitlets.validate(*CHOICES)  # type: ignore[untyped-decorator]
    def _possible(self, proposal: Any) -> int:
        return self.check(proposal.trait.name, proposal.value)

    def _count(self, _: object = None) -> None:
        """Count what the choices compute; `report` comes last, when the rest is of now."""
        choices = {name: getattr(self, name) for name in CHOICES}
        report = padding_cost(self.lengths, geometry=self.geometry, **choices)
        self.edges, self.computed = list(report.edges), report.computed
        self.report = report


def _computed(plan: PlanCost) -> str:
    """Return what a plan computes in words, with floating-point operations where known."""
    tokens = f"{plan.computed:,} tokens"
    if plan.flops_ratio is None:
        return tokens
    return f"{tokens}, in FLOPs × {plan.flops_ratio:.2f}"
