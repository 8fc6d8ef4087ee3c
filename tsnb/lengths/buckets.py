"""The best bucket edges, exactly: dynamic programming over the histogram of lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def best_ends(texts: Sequence[int], costs: Sequence[float], count: int) -> list[int]:
    """Cut a histogram into at most `count` buckets at the least total cost.

    A text in a bucket costs what the longest text in it costs. The least cost of the first *j*
    lengths in *k* buckets is the minimum over *i* < *j* of the least cost of the first *i* in
    *k* - 1, and the cost of length *j* for each text after them.

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
        The index of the last length of each bucket.

    Examples
    --------
    >>> best_ends([5, 1, 5], [10, 11, 90], count=2)
    [1, 2]
    """
    total = np.concatenate([[0.0], np.cumsum(texts)])  # texts among the first j lengths
    weights = np.asarray(costs, dtype=float)
    best, starts = np.concatenate([[0.0], weights * total[1:]]), []
    for _ in range(min(count, len(weights)) - 1):
        fewer, best, start = best, np.zeros_like(best), np.zeros(len(best), dtype=np.int64)
        for upto, weight in enumerate(weights, 1):
            choices = fewer[:upto] + weight * (total[upto] - total[:upto])
            start[upto] = choices.argmin()
            best[upto] = choices[start[upto]]
        starts.append(start)  # of the last bucket
    ends = [len(weights)]
    for start in reversed(starts):
        ends.append(int(start[ends[-1]]))
    return sorted({end - 1 for end in ends if end})
