"""The exercises of notebook 05. How to write one: `tsnb.checks`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from math import nan
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

import tsnb
from tsnb.lengths.batching import plan_static
from tsnb.neuron import fixed_shape, operators_of, preflight
from tsnb.practice.exercises.base import Outcome, call, distance, embedded, first_of, fits, listed
from tsnb.practice.exercises.small_models import Classifier, MaskFirst
from tsnb.tiny_bert import corpus
from tsnb.tracing import traps
from tsnb.tracing.compare import TOLERANCE
from tsnb.tracing.inputs import in_forward_order

TAKEN = ("input_ids", "attention_mask")
ROWS, LENGTH = 4, 32
RAGGED = (7, 12, 32, 5, 9, 20)  # tokens of the rows that are to be run
CALLS = 2
TEXTS, MOST_GRAPHS = 100, round(1e9 / 335e6)
MOST_CALLS, MOST_TOKENS = 10, 5000


def by_position(answer: Any) -> Outcome:
    """Let the reader order the inputs of two models; name the tensors that came back."""
    model, tokenizer = embedded()
    encoded = tokenizer("who was jim henson ?", "jim was a poet", return_tensors="pt")
    inputs = {name: encoded[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    result = call(answer, model, dict(inputs))
    if not isinstance(result, tuple):
        return Outcome("not-a-tuple", kind=type(result).__name__)
    names = _names(result, inputs)
    few = {"input_ids": torch.arange(8).reshape(2, 4), "attention_mask": torch.ones(2, 4, dtype=torch.int64)}
    second: list[str] = []
    with suppress(LookupError, TypeError):  # where it is written for one model's names
        second = _names(call(answer, MaskFirst(), dict(few)), few)
    right = names == list(in_forward_order(model, inputs))
    conditions = {
        "not-yet": names == list(inputs) and second == list(few),
        "one-model": right and second != ["attention_mask", "input_ids"],
    }
    return Outcome(first_of(conditions, "done" if right else "wrong"), names=listed(names) or "empty")


def _names(result: Iterable[Tensor], inputs: Mapping[str, Tensor]) -> list[str]:
    """Return the name of each tensor, by its numbers."""
    return [name for tensor in result for name, known in inputs.items() if known.equal(tensor)]


def pass_preflight(answer: Any) -> Outcome:
    """Run the reader's class beside the starter's, with the same weights; then the preflight."""
    fits(isinstance(answer, type) and issubclass(answer, nn.Module))
    model, reference = traps.make(answer), traps.make(Classifier)
    reference.load_state_dict(model.state_dict())
    ids = torch.arange(1, 33).reshape(2, 16) * 7 % 1000
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0

    def scores(*inputs: Tensor) -> Any:
        result = model(*inputs)
        return result[0] if isinstance(result, tuple) else result

    with torch.no_grad():
        if isinstance(model(ids, mask), dict):
            return Outcome("not-yet")
        unmasked = distance(scores(ids, mask), reference(ids, torch.ones_like(mask))["scores"])
        both = [(ids, mask), (ids[:, :12], mask[:, :12])]  # at one length alone, a frozen size does not show
        difference = max(distance(scores(*inputs), reference(*inputs)["scores"]) for inputs in both)
    traced = tsnb.trace(model, {"input_ids": ids, "attention_mask": mask})
    outside = [kind for kind in operators_of(traced.module, "inf1").outside if kind != "aten::embedding"]
    report = preflight(traced, "inf1", model)
    blockers = len(report.of("blocker"))
    right = difference < TOLERANCE and not blockers
    fused = "aten::scaled_dot_product_attention" in outside
    conditions = {"still-fused": fused, "no-mask": unmasked < TOLERANCE < difference, "unlisted": outside}
    topics = listed(dict.fromkeys(finding.topic for finding in report.of("attention")))
    values = {"difference": difference, "outside": listed(outside), "blockers": blockers, "topics": topics}
    return Outcome(first_of(conditions, "done" if right else "wrong"), **values)


def fixed_rows(answer: Any) -> Outcome:
    """Let the reader run rows through a graph of one shape; compare with the model's scores for each."""
    graph, rows, expected = _fixed()
    shapes: list[tuple[int, ...]] = []

    def counted(*values: Tensor, **named: Tensor) -> dict[str, Tensor]:
        inputs = dict(zip(TAKEN, values, strict=False)) | named
        shapes.append(tuple(inputs["input_ids"].shape))
        return graph(**inputs)

    try:
        results = call(answer, counted, [list(row) for row in rows])
    except tsnb.InputError:
        if shapes[-1] == (1, RAGGED[0]):
            return Outcome("not-yet")
        if shapes[-1] == (len(RAGGED) % ROWS, LENGTH):
            return Outcome("short-batch", number=len(shapes), shape=shapes[-1])
        raise
    same = [scores.shape for scores in results] == [alone.shape for alone in expected]
    distances = [*map(distance, results, expected)] if same else [nan]
    difference = max(distances)
    whole = same and distances[RAGGED.index(LENGTH)] <= TOLERANCE < difference
    right = difference <= TOLERANCE and len(shapes) == CALLS
    counts = {"count": len(results), "expected": len(expected), "calls": len(shapes)}
    return Outcome("no-mask" if whole else "done" if right else "wrong", difference=difference, **counts)


@cache
def _fixed() -> tuple[tsnb.Traced, list[list[int]], list[Tensor]]:
    """Return a stand-in of four rows of 32, rows of ids, and the model's scores for each alone."""
    model, tokenizer = embedded()
    example = tsnb.dummy_inputs(tokenizer, model, "who ?", max_length=LENGTH, batch_size=ROWS)
    graph = fixed_shape(tsnb.trace(model, {name: example[name] for name in TAKEN}))
    draw = torch.Generator().manual_seed(5)
    rows = [torch.randint(5, len(tokenizer), (1, length), generator=draw) for length in RAGGED]
    with torch.no_grad():
        scores = [model(row)[0][0] for row in rows]
    return graph, [row[0].tolist() for row in rows], scores


def graphs_for_texts(answer: Any) -> Outcome:
    """Plan the hundred texts over the reader's graphs; count calls, filler and padding."""
    shapes = sorted(((int(rows), int(length)) for rows, length in answer), key=itemgetter(1))
    fits(shapes and min(map(min, shapes)) > 0)
    lengths: list[int] = tsnb.token_lengths(embedded()[1], corpus.texts(TEXTS)).tolist()
    if len(shapes) > MOST_GRAPHS:
        return Outcome("too-many", count=len(shapes), allowed=MOST_GRAPHS)
    if shapes[-1][1] < max(lengths):
        return Outcome("too-short", longest=shapes[-1][1], needed=max(lengths))
    batches = plan_static(lengths, shapes)
    tokens = sum(batch.tokens for batch in batches)
    filler = sum((batch.rows - len(batch.indices)) * batch.length for batch in batches)
    padding = tokens - filler - sum(lengths)
    conditions = {
        "many-calls": len(batches) > MOST_CALLS,
        "filler": tokens > MOST_TOKENS and filler >= padding,
        "wrong": tokens > MOST_TOKENS,
    }
    counts = {"tokens": f"{tokens:,}", "filler": f"{filler:,}", "padding": f"{padding:,}"}
    return Outcome(first_of(conditions, "done"), shapes=shapes, calls=len(batches), **counts)
