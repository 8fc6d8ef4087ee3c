"""The best bucket edges, exactly: dynamic programming over the histogram of lengths."""

from __future__ import annotations

from collections import deque
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Plan(NamedTuple):
    """For the first j lengths, as the place in both lists: the least cost, and the last start."""

    cost: list[int]
    start: list[int]


def best_ends(texts: Sequence[int], costs: Sequence[int], count: int) -> list[int]:
    """Cut a histogram into at most `count` buckets at the least total cost.

    A text in a bucket costs what the longest text in it costs. The least cost of the first *j*
    lengths in *k* buckets is the minimum over *i* of the least cost of the first *i* in *k* - 1,
    and `costs[j]` for each text after them. For a fixed *i* that is a line in `costs[j]`, so that
    the convex hull of the lines finds each minimum in constant time, all in exact whole numbers.

    Parameters
    ----------
    texts
        How many texts there are of each length, shortest first; none is zero.
    costs
        What a text of each length costs; rising.
    count
        How many buckets at most.

    Returns
    -------
    list of int
        The place of the last length of each bucket.

    Examples
    --------
    >>> best_ends([5, 1, 5], [10, 11, 90], count=2)
    [1, 2]
    """
    if count >= len(texts):
        return list(range(len(texts)))
    total = [0, *accumulate(texts)]
    one = [0, *(cost * upto for cost, upto in zip(costs, total[1:], strict=True))]
    plans = [_Plan(one, [0] * len(one))]
    for _ in range(count - 1):
        plans.append(_one_more(plans[-1].cost, total, costs))
    ends, end = [], len(texts)
    for plan in reversed(plans):
        ends.append(end - 1)
        end = plan.start[end]
    return ends[::-1]


def _one_more(before: list[int], total: list[int], costs: Sequence[int]) -> _Plan:
    """Return the plan with one bucket more than the plan whose costs are given."""
    cost, start = [0], [0]
    hull: deque[int] = deque()
    for last, weight in enumerate(costs):
        _push(hull, last, before, total)
        while len(hull) > 1 and _falls(hull[0], hull[1], weight, before, total):
            hull.popleft()
        best = hull[0]
        start.append(best)
        cost.append(before[best] + weight * (total[last + 1] - total[best]))
    return _Plan(cost, start)


def _push(hull: deque[int], new: int, before: list[int], total: list[int]) -> None:
    """Put a start on the hull, and take off those that it makes useless."""
    while len(hull) > 1:
        (run, rise), (next_run, next_rise) = (
            (total[right] - total[left], before[right] - before[left])
            for left, right in pairwise((hull[-2], hull[-1], new))
        )
        if rise * next_run < next_rise * run:
            break
        hull.pop()
    hull.append(new)


def _falls(left: int, right: int, weight: int, before: list[int], total: list[int]) -> bool:
    """Tell whether the later of two starts costs no more, at the weight of a text."""
    return before[right] - before[left] <= weight * (total[right] - total[left])
