"""Token lengths: what a max length cuts, what padding costs, and the best buckets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsnb.base.errors import InputError
from tsnb.base.tables import as_text
from tsnb.tracing.inputs import check_token_count, checked_text, checked_texts, is_positive_int, positive_int, rising
from tsnb.tracing.probe import SHOW_AFTER

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from tsnb.tracing.inputs import Text

Lengths = Sequence[int] | NDArray[np.int64]
BATCH = 1000  # texts that are tokenized at once
LONGEST = 2**31  # max lengths beyond it say that there is none: `model_max_length` is 10**30 then
CONFIGURED = {  # what Transformers configurations call the sizes of an encoder layer
    "layers": ("num_hidden_layers", "n_layers", "num_layers", "encoder_layers"),
    "hidden": ("hidden_size", "dim", "d_model"),
    "intermediate": ("intermediate_size", "hidden_dim", "d_ff", "ffn_dim", "encoder_ffn_dim", "d_inner"),
}


@dataclass(frozen=True)
class Geometry:
    """The sizes of an encoder that decide how much it computes.

    Attributes
    ----------
    layers
        Number of encoder layers.
    hidden
        Width of the hidden states.
    intermediate
        Width inside the feed-forward network.

    Examples
    --------
    >>> import tsnb
    >>> Geometry.of(tsnb.load("tiny-bert")[0])
    Geometry(layers=3, hidden=128, intermediate=512)

    Taught in notebook 02.
    """

    layers: int
    hidden: int
    intermediate: int

    @classmethod
    def of(cls, model: nn.Module) -> Geometry:
        """Read the sizes from a model's Transformers configuration.

        Raises
        ------
        InputError
            The model has no configuration, or one that does not say a size.
        """
        config = getattr(model, "config", None)
        sizes: dict[str, Any] = {}
        for size, names in CONFIGURED.items():
            values = (getattr(config, name, None) for name in names)
            sizes[size] = next(filter(is_positive_int, values), 0)
            if not sizes[size]:
                raise InputError(
                    f"The configuration of this {type(model).__name__} does not say {size}. "
                    "Give the sizes yourself: tsnb.lengths.lengths.Geometry(layers, hidden, intermediate)."
                )
        return cls(**sizes)


@dataclass(frozen=True, repr=False)
class LengthReport:
    """What a max length does to texts, and what padding costs; prints as text.

    Taught in notebooks 02 and 04.

    Attributes
    ----------
    texts
        How many there are.
    fit
        Share of the texts, 0 to 1, that are not longer than the max length.
    cut_texts, cut_tokens
        How many texts are longer, and how many of their tokens are cut off.
    cut_share
        Share of all tokens, 0 to 1, that is cut off.
    computed_tokens
        Tokens that the model computes, padding included.
    padding_share
        Share of the computed tokens, 0 to 1, that is padding.
    relative_cost
        What is computed, relative to the same texts, cut, without padding: 1 is the least.
    """

    texts: int
    fit: float
    cut_texts: int
    cut_tokens: int
    cut_share: float
    computed_tokens: int
    padding_share: float
    relative_cost: float

    def __str__(self) -> str:
        rows = {
            "texts": f"{self.texts:,}",
            "texts that fit": f"{self.fit:.1%}",
            "texts that are cut": f"{self.cut_texts:,}",
            "tokens cut off": f"{self.cut_tokens:,} ({self.cut_share:.1%})",
            "tokens computed": f"{self.computed_tokens:,}",
            "of these, padding": f"{self.padding_share:.1%}",
            "cost, no padding = 1": f"{self.relative_cost:.2f}",
        }
        return as_text(list(rows.items()))

    __repr__ = __str__


def token_lengths(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[Text], *, progress: bool = True
) -> NDArray[np.int64]:
    """Count the tokens of each text, special tokens included; nothing is cut.

    Parameters
    ----------
    tokenizer
        The model's tokenizer; a fast one works through 1,000 texts at once.
    texts
        Texts, or pairs of texts as tuples: a list, an iterator, a column such as `df["review"]`.
    progress
        Whether a bar appears if it takes longer than 2 s.

    Returns
    -------
    array of int64, `(texts,)`
        In the order of the texts.

    Raises
    ------
    InputError
        A single text, a table instead of its column, no text at all, or something that is no text or
        makes no tokens; its index is named.

    Examples
    --------
    >>> import tsnb
    >>> _, tokenizer = tsnb.load("tiny-bert")
    >>> token_lengths(tokenizer, ["who was jim henson ?", ("who ?", "a puppeteer")]).tolist()
    [7, 8]

    Taught in notebook 02.
    """
    from tqdm.auto import tqdm

    texts = checked_texts(texts)
    total = len(texts) if isinstance(texts, Sized) else None
    numbered, lengths = enumerate(texts), list[int]()
    with tqdm(total=total, unit="text", delay=SHOW_AFTER, disable=not progress) as bar:
        while batch := [checked_text(index, text) for index, text in islice(numbered, BATCH)]:
            rows = tokenizer(batch, truncation=False, padding=False, return_attention_mask=False, verbose=False)
            for row in rows["input_ids"]:
                check_token_count(len(lengths), len(row))
                lengths.append(len(row))
            bar.update(len(batch))
    if not lengths:
        raise InputError("There are no texts to measure. Give at least one.")
    return np.array(lengths, dtype=np.int64)


def flops(length: Any, geometry: Geometry) -> Any:
    """Return the floating-point operations of a text's way through the encoder layers.

    With *l* layers of width *h* and *f* inside the feed-forward network, a text of *n* tokens takes
    *l* (*n* (8 *h*² + 4 *h* *f*) + 4 *n*² *h*): a multiplication with its addition counts as two;
    8 *h*² a token are the four projections, 4 *h* *f* the feed-forward network, 4 *n* *h* the
    attention scores and the weighted sum. Embeddings, normalisation, softmax and heads are left
    out.

    For *f* = 4 *h* it is the forward pass of Narayanan et al. 2021, "Efficient Large-Scale Language
    Model Training on GPU Clusters Using Megatron-LM", arXiv:2104.04473, appendix:
    24 *B* *s* *l* *h*² (1 + *s* / 6 *h*), with *B* texts of *s* tokens.

    Parameters
    ----------
    length
        Tokens of a text, or an array of them.
    geometry
        The encoder's sizes.

    Returns
    -------
    int, or array of float64
        Exact for an int.

    Examples
    --------
    >>> flops(128, Geometry(layers=12, hidden=768, intermediate=3072))
    22347251712

    Taught in notebook 02.
    """
    if not isinstance(geometry, Geometry):
        raise InputError(f"Expected tsnb.lengths.lengths.Geometry.of(model); got a {type(geometry).__name__}.")
    tokens = length if isinstance(length, int) else np.asarray(length, dtype=np.float64)
    hidden, inside = geometry.hidden, geometry.intermediate
    linear = tokens * (8 * hidden**2 + 4 * hidden * inside)
    return geometry.layers * (linear + 4 * tokens * tokens * hidden)


def presets(lengths: Lengths, limit: int | None = None) -> dict[str, int]:
    """Return max lengths to choose from, by name.

    Parameters
    ----------
    lengths
        Tokens of each text.
    limit
        The model's position limit, if it has one; the others may lie above it.

    Returns
    -------
    dict of str to int
        `p50`, `p95` and `p99`, the least lengths that half, 95 % and 99 % of the texts fit in,
        `longest`, and `limit` if it is given.

    Examples
    --------
    >>> presets([5, 9, 12, 30], limit=512)
    {'p50': 9, 'p95': 30, 'p99': 30, 'longest': 30, 'limit': 512}

    Taught in notebook 02.
    """
    array = checked(lengths)
    named = {f"p{share}": int(np.percentile(array, share, method="inverted_cdf")) for share in (50, 95, 99)}
    named["longest"] = int(array.max())
    return named if limit is None else named | {"limit": limit}


def rounded_up(length: float) -> int:
    """Return a length rounded up to a multiple of 8, which hardware likes.

    >>> rounded_up(127)
    128
    """
    return 8 * math.ceil(length / 8)


def length_report(
    lengths: Lengths, max_length: int, *, geometry: Geometry | None = None, buckets: Sequence[int] | None = None
) -> LengthReport:
    """Return what is cut at a max length, and what padding to it, or to buckets, costs.

    Parameters
    ----------
    lengths
        Tokens of each text, special tokens included.
    max_length
        Longer texts are cut to it.
    geometry
        The model's sizes, for the cost in floating-point operations; without them the cost is the
        number of tokens, which leaves out that attention grows with the square of the length.
    buckets
        Rising lengths; each text is padded to the smallest that holds it, not to `max_length`.

    Raises
    ------
    InputError
        Lengths or buckets that are none, or a last bucket that is too short.

    Examples
    --------
    >>> length_report([5, 9, 12, 30], max_length=16)
    texts                          4
    texts that fit             75.0%
    texts that are cut             1
    tokens cut off        14 (25.0%)
    tokens computed               64
    of these, padding          34.4%
    cost, no padding = 1        1.52
    >>> length_report([5, 9, 12, 30], max_length=16, buckets=[12, 16]).padding_share
    0.19230769230769232

    Taught in notebooks 02 and 04.
    """
    (sizes, texts), limit = histogram(lengths), checked_max_length(max_length)
    kept = np.minimum(sizes, limit)
    padded = pad_to([limit] if buckets is None else buckets, kept)
    tokens, real, computed = (int((each * texts).sum()) for each in (sizes, kept, padded))
    count, cut = int(texts.sum()), int(texts[sizes > limit].sum())
    spent, least = (each if geometry is None else flops(each, geometry) for each in (padded, kept))
    return LengthReport(
        texts=count,
        fit=1 - cut / count,
        cut_texts=cut,
        cut_tokens=tokens - real,
        cut_share=(tokens - real) / tokens,
        computed_tokens=computed,
        padding_share=(computed - real) / computed,
        relative_cost=float((spent * texts).sum() / (least * texts).sum()),
    )


def plan_buckets(lengths: Lengths, count: int = 4, *, geometry: Geometry | None = None) -> list[int]:
    """Return the bucket edges at which padding costs the least, exactly.

    Each text is padded to the smallest edge that holds it. Of all choices of `count` edges, none
    costs less in total; see `best_ends` for how it is found.

    Parameters
    ----------
    lengths
        Tokens of each text, as they are padded: cut them first if they are to be cut.
    count
        How many buckets; there are fewer if there are fewer distinct lengths.
    geometry
        The model's sizes, for the cost in floating-point operations; without them it is the number
        of tokens.

    Returns
    -------
    list of int
        Rising; the last is the longest length.

    Raises
    ------
    InputError
        Lengths that are none, or a count below 1.

    Examples
    --------
    >>> plan_buckets([5, 5, 6, 9, 30, 31], count=2)
    [9, 31]

    Taught in notebooks 02 and 04.
    """
    sizes, texts = histogram(lengths)
    distinct: list[int] = sizes.tolist()
    costs = distinct if geometry is None else [flops(size, geometry) for size in distinct]
    ends = best_ends(texts.tolist(), costs, positive_int("count", count))
    return [distinct[end] for end in ends]


def best_ends(texts: Sequence[int], costs: Sequence[float], count: int) -> list[int]:
    """Cut a histogram into at most `count` buckets at the least total cost, exactly, by dynamic programming.

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


def pad_to(edges: Sequence[int], lengths: Lengths) -> NDArray[np.int64]:
    """Return the length that each text is padded to: the smallest edge that holds it.

    Raises
    ------
    InputError
        Edges that do not rise, or a text that is longer than the last.

    Examples
    --------
    >>> pad_to([16, 32], [5, 16, 17]).tolist()
    [16, 16, 32]
    """
    array, ends = checked(lengths), np.array(rising("Bucket edges", edges), dtype=np.int64)
    if ends[-1] < array.max():
        raise InputError(f"A text has {array.max()} tokens; the last bucket edge is {ends[-1]}. Raise it, or cut.")
    return ends[np.searchsorted(ends, array)]


def histogram(lengths: Lengths) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct lengths, shortest first, and how many texts have each.

    >>> [each.tolist() for each in histogram([9, 5, 9])]
    [[5, 9], [1, 2]]
    """
    return np.unique(checked(lengths), return_counts=True)


def checked(lengths: Lengths) -> NDArray[np.int64]:
    """Return lengths as an array, or raise an InputError that says what is wrong with them.

    >>> checked([5, 9])
    array([5, 9])
    """
    try:
        array = np.asarray(lengths)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.shape == (0,):
        raise InputError("There are no lengths. Give at least one, as tsnb.token_lengths does.")
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.astype(np.int64).min() < 1:
        items = lengths if isinstance(lengths, (list, tuple)) or array.ndim else ()
        wrong = [item for item in items if not is_positive_int(item)] or [type(lengths).__name__]
        raise InputError(
            "Expected a list of lengths in tokens, each a positive whole number, as tsnb.token_lengths "
            f"gives them; got {wrong[0]}."
        )
    return array.astype(np.int64, copy=False)


def checked_max_length(max_length: int) -> int:
    """Return a max length as an int, or raise an InputError that says what is wrong with it.

    >>> checked_max_length(128)
    128
    """
    length = positive_int("max_length", max_length)
    if length > LONGEST:
        raise InputError(f"max_length is {length}, as where there is no limit. Give a length in tokens.")
    return length
