"""The exercises of notebook 02. How to write one: `tsnb.checks`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

import tsnb
from tsnb.practice.exercises.base import Outcome, call, compare_guesses, embedded, first_of, fits, listed
from tsnb.practice.exercises.small_models import SUSPECTS
from tsnb.tiny_bert import corpus
from tsnb.tracing import traps
from tsnb.tracing.compare import TOLERANCE, compare

BATCH = (4, 20)
TEXTS = (
    "who was jim henson ?",
    "jim henson was a puppeteer .",
    "who ?",
    "where was yara rogers born ? yara rogers was born in chicago .",
)
NEEDED = ["input_ids", "attention_mask"]
KINDS = ("same", "wrong", "raises", "unsupported")
SHAPES = ((2, 24), (1, 14), (1, 128), (1, 512), (1, 513))
LONGEST = 4096  # tokens that are tried
MOST_EDGES, LEAST_FIT, MOST_COST = 4, 0.98, 1.32


def dummy_batch(answer: Any) -> Outcome:
    """Compare inputs with the four texts, and their mask with the padding."""
    fits(isinstance(answer, Mapping))
    fits(all(isinstance(values, torch.Tensor) for values in answer.values()))
    if missing := [name for name in NEEDED if name not in answer]:
        return Outcome("missing", missing=listed(missing))
    shapes = {name: tuple(tensor.shape) for name, tensor in answer.items()}
    if other := [f"{name} {shape}" for name, shape in shapes.items() if shape != BATCH]:
        return Outcome("other-shape", shapes=listed(other))
    model, tokenizer = embedded()
    ids, mask = (answer[name] for name in NEEDED)
    text = ids != tokenizer.pad_token_id
    right = (
        [row[real].tolist() for row, real in zip(ids, text, strict=True)] == tokenizer(list(TEXTS))["input_ids"]
        and inspect.signature(model.forward).parameters.keys() >= answer.keys()
        and all(tensor.dtype == torch.int64 for tensor in answer.values())
        and len({tensor.data_ptr() for tensor in answer.values()}) == len(answer)
    )
    name = first_of({"wrong": not right, "mask-differs": not torch.equal(mask != 0, text)}, "done")
    return Outcome(name, padding=int((~text).sum()))


def argument_order(answer: Any) -> Outcome:
    """Let the reader trace; run the trace by name, with a mask that hides nothing."""
    model, tokenizer = embedded()
    encoded = tokenizer("Who was Jim Henson ?", "Jim [MASK] was a puppeteer", return_tensors="pt")
    ids, segments = encoded["input_ids"], encoded["token_type_ids"]
    trace = call(answer, model, ids.clone(), segments.clone())
    module: Any = getattr(trace, "module", trace)
    if not isinstance(module, torch.jit.ScriptModule):
        return Outcome("not-a-trace", kind=type(trace).__name__)
    names = [value.debugName().split(".")[0] for value in module.graph.inputs()][1:]
    if names == NEEDED:
        return Outcome("not-yet")
    if "token_type_ids" not in names:
        return Outcome("no-segments", names=listed(names))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": segments}
    with torch.no_grad():
        meant = model(**inputs)[0]
        scores = module(**{name: inputs[name] for name in names})[0]
    right = scores.shape == meant.shape and torch.allclose(scores, meant, rtol=0, atol=TOLERANCE)
    return Outcome("done" if right else "wrong", names=listed(names))


def five_verdicts(answer: Any) -> Outcome:
    """Compare guesses with the verdicts of a probe."""
    truth = verdicts()
    outcome = compare_guesses(answer, truth, KINDS, {(SHAPES[-1], guess): "beyond-limit" for guess in KINDS})
    feared = [shape for shape in SHAPES if answer[shape] == "raises" and truth[shape] == "same"]
    if len(feared) > 1:
        return Outcome("published-rule", feared=listed(feared), **outcome.values)
    return outcome


@cache
def verdicts() -> dict[tuple[int, int], str]:
    """Return the kinds of verdict of a trace of one row of 24."""
    model, tokenizer = embedded()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=24))
    return {shape: compare(traced, model, shape).kind for shape in SHAPES}


def find_the_trap(answer: Any) -> Outcome:
    """Compare a trace of the model that the reader names with it, at the shape that they name."""
    name, (rows, length) = answer
    fits(all(isinstance(size, int) and 1 <= size <= LONGEST for size in (rows, length)))
    model = traps.make({suspect.__name__: suspect for suspect in SUSPECTS}[name])
    traced, shape = tsnb.trace(model, {"input_ids": torch.arange(7)[None]}), (rows, length)
    verdict = compare(traced, model, shape)
    outcomes = {
        "wrong": verdict.kind == "same",
        "raises": verdict.kind in {"raises", "unsupported"},
        "stretched": name == "Placed",
    }
    return Outcome(first_of(outcomes, "done"), name=name, shape=shape, difference=f"{verdict.difference or 0:.2g}")


def length_under_cost(answer: Any) -> Outcome:
    """Report on the corpus with the reader's max length and buckets."""
    edges = list(answer)
    lengths = tsnb.token_lengths(embedded()[1], corpus.texts(1000))
    report = tsnb.length_report(lengths, max_length=edges[-1], buckets=edges)
    dear = report.relative_cost > MOST_COST
    mistakes = {
        "too-many": len(edges) > MOST_EDGES,
        "cuts-too-much": report.fit < LEAST_FIT,
        "one-length": dear and len(edges) == 1,
        "cuts-nothing": dear and report.fit == 1,
    }
    values = {"fit": report.fit, "cut": report.cut_texts, "cost": report.relative_cost}
    name = first_of(mistakes, "wrong" if dear else "done")
    return Outcome(name, edges=listed(edges), longest=edges[-1], **values)
