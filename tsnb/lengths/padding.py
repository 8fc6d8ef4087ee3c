"""What padding costs: tokens computed against real ones, by how texts are put into batches.

Taught in notebook 04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tsnb.base.tables import TableReport, listed
from tsnb.lengths.batching import MAX_TOKENS, WINDOW, Batch, check_max_tokens, plan_dynamic, plan_static
from tsnb.lengths.lengths import Geometry, Lengths, checked, checked_max_length, flops, plan_buckets
from tsnb.tracing.inputs import positive_int

PlanName = Literal["max", "arrival", "buckets", "sorted"]


@dataclass(frozen=True)
class PlanCost:
    """What one way to put texts into batches computes.

    Attributes
    ----------
    label
        The plan in words.
    batches
        Every batch: its texts, its rows and the length they are padded to.
    real
        Tokens of the texts.
    computed
        Tokens that the model computes: rows × length, padding and filler rows included.
    flops_ratio
        Floating-point operations, relative to the same texts without padding; `None` without a
        geometry.
    """

    label: str
    batches: tuple[Batch, ...] = field(repr=False)
    real: int
    computed: int
    flops_ratio: float | None = None

    @property
    def padding_share(self) -> float:
        """Share of the computed tokens, 0 to 1, that is padding."""
        return 1 - self.real / self.computed

    @property
    def tokens_ratio(self) -> float:
        """Tokens computed for each real one: 1 is the least."""
        return self.computed / self.real


@dataclass(frozen=True, repr=False)
class PaddingReport(TableReport):
    """What four ways to put texts into batches compute; prints as a table.

    Attributes
    ----------
    lengths
        Tokens of each text, in the order of arrival, after the cut at the max length.
    max_length
        Longer texts are cut to it.
    edges
        The lengths of the buckets, rising.
    cut_texts, cut_tokens
        How many texts are longer than the max length, and how many of their tokens are cut off.
    plans
        The cost of each plan by its name, from `max` to `sorted`.
    """

    lengths: tuple[int, ...]
    max_length: int
    edges: tuple[int, ...]
    cut_texts: int
    cut_tokens: int
    plans: dict[PlanName, PlanCost]

    @property
    def computed(self) -> dict[PlanName, int]:
        """Tokens that each plan computes, by its name."""
        return {name: plan.computed for name, plan in self.plans.items()}

    def cut(self) -> str:
        """Return in words what the max length cuts; nothing where every text fits."""
        if not self.cut_texts:
            return ""
        return (
            f"{self.cut_texts:,} of {len(self.lengths):,} texts are cut to {self.max_length:,} tokens; "
            f"{self.cut_tokens:,} tokens are lost"
        )

    def table(self) -> list[list[str]]:
        """Return the table with its head, without the column of operations where none were counted."""
        rows = [["plan", "computed", "real", "padding", "no padding = 1", "in FLOPs"]]
        for plan in self.plans.values():
            counts = [f"{plan.computed:,}", f"{plan.real:,}", f"{plan.padding_share:.1%}"]
            in_flops = "" if plan.flops_ratio is None else f"{plan.flops_ratio:.2f}"
            rows.append([plan.label, *counts, f"{plan.tokens_ratio:.2f}", in_flops])
        return rows if rows[-1][-1] else [row[:-1] for row in rows]

    def notes(self) -> list[str]:
        """Return the bucket edges, and what the max length cuts."""
        return list(filter(None, [f"bucket edges: {listed(self.edges)}", self.cut()]))


def padding_cost(  # noqa: PLR0913, each choice is to be seen in the signature
    lengths: Lengths,
    max_length: int | None = None,
    *,
    batch_size: int = 8,
    buckets: int = 4,
    max_tokens: int = MAX_TOKENS,
    geometry: Geometry | None = None,
) -> PaddingReport:
    """Count the tokens that four ways to put texts into batches compute.

    `max`
        Every text is padded to the max length: the usual advice for a trace.
    `arrival`
        Texts are taken in the order in which they come, and each batch is padded to its longest:
        what `pipeline(batch_size=…)` does.
    `buckets`
        A text is padded to the smallest bucket that it fits, and each bucket's last batch is
        filled up with rows: `tsnb.Runner` with one trace of a static shape a bucket.
    `sorted`
        Texts of like length share a batch, padded to its longest: `tsnb.Runner` with a dynamic
        trace. The last two are counted with the planners of the Runner itself.

    Parameters
    ----------
    lengths
        Tokens of each text in the order of arrival, special tokens included.
    max_length
        Longer texts are cut to it; by default the longest text.
    batch_size
        Rows of a batch, in arrival order and in a bucket.
    buckets
        How many, with the best edges; see `tsnb.plan_buckets`. There are fewer if there are fewer
        distinct lengths.
    max_tokens
        Most tokens, rows × length, that a batch of the sorted plan computes.
    geometry
        The model's sizes, for the cost in floating-point operations too; the bucket edges are then
        the best ones for that cost.

    Raises
    ------
    InputError
        Lengths that are none, a number below 1, or `max_tokens` below the longest text.

    Examples
    --------
    >>> padding_cost([5, 30, 6, 9, 12, 31], batch_size=2, buckets=2, max_tokens=64)
    plan                                               computed  real  padding  no padding = 1
    padded to 31                                            186    93    50.0%            2.00
    batches of 2 in arrival order                           140    93    33.6%            1.51
    2 buckets, batches of 2                                 110    93    15.5%            1.18
    Runner: sorted by length, up to 64 tokens a batch       110    93    15.5%            1.18
    bucket edges: 12, 31

    Taught in notebook 04.
    """
    full = checked(lengths)
    limit = int(full.max()) if max_length is None else checked_max_length(max_length)
    size, most = positive_int("batch_size", batch_size), positive_int("max_tokens", max_tokens)
    kept = np.minimum(full, limit)
    cut = tuple(kept.tolist())
    check_max_tokens(cut, most)
    edges = tuple(plan_buckets(kept, positive_int("buckets", buckets), geometry=geometry))

    arrival = []
    for first in range(0, len(cut), size):
        rows = cut[first : first + size]
        arrival.append(Batch(tuple(range(first, first + len(rows))), len(rows), max(rows)))
    static = _by_window(cut, lambda window: plan_static(window, [(size, edge) for edge in edges]))
    dynamic = _by_window(cut, lambda window: plan_dynamic(window, most))

    def cost(label: str, batches: Iterable[Batch]) -> PlanCost:
        run, ratio = tuple(batches), None
        if geometry is not None:
            spent = sum(batch.rows * flops(batch.length, geometry) for batch in run)
            ratio = spent / float(flops(kept, geometry).sum())
        return PlanCost(label, run, int(kept.sum()), sum(batch.tokens for batch in run), ratio)

    plans: dict[PlanName, PlanCost] = {
        "max": cost(f"padded to {limit:,}", (replace(batch, length=limit) for batch in arrival)),
        "arrival": cost(f"batches of {size} in arrival order", arrival),
        "buckets": cost(f"{len(edges)} bucket{'s' * (len(edges) > 1)}, batches of {size}", static),
        "sorted": cost(f"Runner: sorted by length, up to {most:,} tokens a batch", dynamic),
    }
    cut_texts, cut_tokens = int(np.count_nonzero(full > limit)), int((full - kept).sum())
    return PaddingReport(cut, limit, edges, cut_texts, cut_tokens, plans)


def _by_window(lengths: tuple[int, ...], plan: Callable[[tuple[int, ...]], list[Batch]]) -> list[Batch]:
    """Return the batches of a plan that sees so many texts at once, as the Runner does."""
    return [
        replace(batch, indices=tuple(first + index for index in batch.indices))
        for first in range(0, len(lengths), WINDOW)
        for batch in plan(lengths[first : first + WINDOW])
    ]
