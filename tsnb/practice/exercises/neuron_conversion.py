"""The exercises of notebook 05. How to write one: `tsnb.checks`."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import pairwise
from math import isnan
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tsnb.practice.exercises.base import Exercise, Facts, Mistake, embedded, listed
from tsnb.practice.exercises.predictions import all_right, compared, guesses, missed, missed_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from tsnb.tracing.contract import Shape
    from tsnb.tracing.traced import Traced

    Tensors = Mapping[str, Tensor]

TOLERANCE = 1e-4
EMBEDDING = "aten::embedding"
SDPA = "aten::scaled_dot_product_attention"
NOT = "aten::bitwise_not"
PREDICTED = ("linear", "layer_norm", "gelu", "embedding", "scaled_dot_product_attention")
ROWS, LENGTH = 4, 32
RAGGED = (7, 12, 32, 5, 9, 20)  # pieces of the rows that are to be run
CALLS = -(-len(RAGGED) // ROWS)
TEXTS, WEIGHTS = 100, 335e6
MOST_CALLS, MOST_PLACES = 10, 5000
PAIR = 2
QUIZ = "bca"


# Inputs by position


@cache
def _by_name() -> list[tuple[nn.Module, Tensors]]:
    """Return two models, and their inputs in another order than that of their forward."""
    import torch

    from tsnb.practice.exercises.classifier import MaskFirst

    model, tokenizer = embedded()
    batch = dict(tokenizer("who was jim henson ?", "jim was a poet", return_tensors="pt"))
    order = ("input_ids", "token_type_ids", "attention_mask")
    ids = torch.arange(8).reshape(2, 4)
    other = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return [(model, {name: batch[name] for name in order}), (MaskFirst().eval(), other)]


def _ordered(answer: Callable[..., Any]) -> Facts:
    """Let the reader order the inputs of both models; name the tensors that came back."""
    (bert, batch), (other, few) = _by_name()
    found = answer(bert, dict(batch))
    facts: Facts = {"kind": type(found).__name__, "names": []}
    if not isinstance(found, tuple):
        return {"answer": found} if found is ... else facts
    names = _names(found, batch)
    try:
        second = _names(tuple(answer(other, dict(few))), few)
    except (LookupError, TypeError):  # written for one model's names
        second = []
    strange = dict.fromkeys(name for name in names if name not in batch)
    facts |= {
        "names": names,
        "listed": listed(names),
        "strange": listed(strange),
        "second": second,
    }
    return facts | {"starter": names == list(batch) and second == list(few)}


def _names(found: Sequence[Any], inputs: Tensors) -> list[str]:
    """Return the name of each tensor, by its numbers; of anything else, its type."""
    import torch

    names = []
    for held in found:
        tensor = held if isinstance(held, torch.Tensor) else torch.empty(0)
        same = (name for name, given in inputs.items() if torch.equal(tensor, given))
        names.append(next(same, type(held).__name__))
    return names


def _right_order(facts: Facts) -> bool:
    from tsnb.tracing.inputs import in_forward_order

    model, batch = _by_name()[0]
    return bool(facts["names"] == list(in_forward_order(model, batch)))


BY_POSITION = Exercise(
    name="by-position",
    notebook="05",
    minutes=4,
    fits=callable,
    prepare=_by_name,
    measure=_ordered,
    starter=lambda facts: facts.get("starter", False),
    mistakes=(
        Mistake("not-a-tuple", lambda facts: facts["kind"] != "tuple"),
        Mistake("nothing", lambda facts: not facts["names"]),
        Mistake("other-tensors", lambda facts: facts["strange"] == "Tensor"),
        Mistake("no-tensors", lambda facts: facts["strange"]),
        Mistake("left-out", lambda facts: len(facts["names"]) < len(set(_by_name()[0][1]))),
        Mistake(
            "alphabet",
            lambda facts: facts["names"] == sorted(facts["names"]),
        ),
        Mistake(
            "one-model",
            lambda facts: _right_order(facts) and facts["second"] != ["attention_mask", "input_ids"],
        ),
    ),
    right=_right_order,
)


# Operators on the list


@cache
def _on_the_list() -> dict[str, bool]:
    """Return whether the list for Inf1 has each operator, by the graph of the embedded BERT."""
    from tsnb import dummy_inputs, trace
    from tsnb.neuron import operators_of

    model, tokenizer = embedded()
    traced = trace(model, dummy_inputs(tokenizer, model, max_length=16))
    outside = operators_of(traced.module, "inf1").outside
    return {name: f"aten::{name}" not in outside for name in PREDICTED}


def _listed_or_not(answer: dict[str, bool]) -> Facts:
    truth = _on_the_list()
    facts = compared(answer, truth)
    return facts | {"feared": listed(name for name in facts["missed"] if truth[name])}


ON_THE_LIST = Exercise(
    name="on-the-list",
    notebook="05",
    minutes=2,
    fits=guesses(PREDICTED, bool),
    measure=_listed_or_not,
    mistakes=(
        Mistake("newer", missed("scaled_dot_product_attention")),
        Mistake("on-the-cpu", missed_only("embedding")),
        Mistake("feared", lambda facts: facts["feared"]),
    ),
    right=all_right,
)


# A model that passes the preflight for Inf1


def _is_module_class(answer: Any) -> bool:
    from torch import nn

    return isinstance(answer, type) and issubclass(answer, nn.Module)


@cache
def _classified() -> tuple[Tensor, Tensor]:
    """Return ids and a mask that hides a few of them."""
    import torch

    ids = torch.arange(1, 33).reshape(2, 16) * 7 % 1000
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    return ids, mask


def _flown(answer: type[nn.Module]) -> Facts:
    """Run the reader's class beside the starter's, with the same weights; then the preflight."""
    import torch

    from tsnb.practice.exercises.classifier import Classifier
    from tsnb.tracing import traps

    model, reference = traps.make(answer), traps.make(Classifier)
    if _weights(model) != _weights(reference):
        return {"weights": _weights(model), "kept": _weights(reference)}
    reference.load_state_dict(model.state_dict())
    ids, mask = _classified()
    with torch.no_grad():
        found = model(ids, mask)
        scores = _scores(found)
        meant = reference(ids, mask)["scores"]
        if scores is None or scores.shape != meant.shape:
            shape = "" if scores is None else str(tuple(scores.shape))
            kept: Facts = {"weights": "", "kind": type(found).__name__, "shape": shape}
            return kept | {"meant": str(tuple(meant.shape))}
        gaps = {
            "difference": _apart(scores, meant),
            "without_padding": _apart(scores[0], meant[0]),
            "unmasked": _apart(scores, reference(ids, torch.ones_like(mask))),
            "unscaled": _apart(scores, _unscaled(reference, ids, mask)),
        }
    facts: Facts = {"weights": "", "kind": "", "dict": isinstance(found, dict)}
    facts |= gaps | {"shown": f"{gaps['difference']:.2g}", "outside": listed(_graph(model))}
    return facts if facts["dict"] else facts | _preflight(model)


def _scores(found: Any) -> Tensor | None:
    """Return the one tensor that came back, alone, in a sequence or in a dict."""
    import torch

    parts = list(found.values()) if isinstance(found, dict) else found
    if isinstance(parts, (list, tuple)) and len(parts) == 1:
        [parts] = parts
    return parts if isinstance(parts, torch.Tensor) else None


def _weights(model: nn.Module) -> str:
    """Return the names and shapes of a model's weights."""
    return listed(f"{name} {tuple(held.shape)}" for name, held in model.state_dict().items())


def _apart(found: Tensor, meant: Any) -> float:
    held = meant["scores"] if isinstance(meant, dict) else meant
    return float((found - held).abs().max())


def _unscaled(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the scores without the division by the root of the hidden size."""
    hidden = model.embedding(ids)
    weights = (hidden @ hidden.transpose(1, 2)).masked_fill(mask[:, None] == 0, float("-inf"))
    scores: Tensor = model.scores((weights.softmax(-1) @ hidden)[:, 0])
    return scores


def _graph(model: nn.Module) -> list[str]:
    """Return the operators outside the list for Inf1, but for the embedding."""
    import torch

    from tsnb.neuron import operators_of
    from tsnb.tracing.traced import quiet_jit

    with quiet_jit() as jit, torch.no_grad():
        warnings.simplefilter("ignore", jit.TracerWarning)
        graph = jit.trace(model, _classified(), strict=False, check_trace=False)
    return [kind for kind in operators_of(graph, "inf1").outside if kind != EMBEDDING]


def _preflight(model: nn.Module) -> Facts:
    from tsnb import trace
    from tsnb.neuron import preflight

    inputs = dict(zip(("input_ids", "attention_mask"), _classified(), strict=True))
    report = preflight(trace(model, inputs), "inf1", model)
    return {
        "blocked": len(report.of("blocker")),
        "frozen": " ".join(held.why for held in report.about("flow") if held.kind != "ok"),
        "in_order": len(report.of("ok")),
        "others": listed(dict.fromkeys(found.topic for found in report.of("attention"))),
    }


PASS_PREFLIGHT = Exercise(
    name="pass-preflight",
    notebook="05",
    minutes=8,
    fits=_is_module_class,
    prepare=_classified,
    measure=_flown,
    starter=lambda facts: facts.get("dict", False) and SDPA in facts["outside"],
    mistakes=(
        Mistake("other-weights", lambda facts: facts["weights"]),
        Mistake("other-scores", lambda facts: facts["kind"] and facts["shape"]),
        Mistake("no-scores", lambda facts: facts["kind"]),
        Mistake("dict-output", lambda facts: facts["dict"]),
        Mistake("still-fused", lambda facts: SDPA in facts["outside"]),
        Mistake("no-mask", lambda facts: facts["unmasked"] < TOLERANCE < facts["difference"]),
        Mistake("no-root", lambda facts: facts["unscaled"] < TOLERANCE < facts["difference"]),
        Mistake("tilde", lambda facts: NOT in facts["outside"]),
        Mistake("unlisted", lambda facts: facts["outside"]),
        Mistake("not-a-number", lambda facts: isnan(facts["difference"])),
        Mistake("padding-read", lambda facts: facts["without_padding"] < TOLERANCE < facts["difference"]),
        Mistake("frozen", lambda facts: facts["frozen"]),
    ),
    right=lambda facts: facts["difference"] < TOLERANCE and not facts["blocked"],
)


# Rows of any length through a fixed shape


@cache
def _fixed() -> tuple[Traced, list[list[int]], list[Tensor]]:
    """Return a stand-in of four rows of 32, rows of ids, and the model's scores for each alone."""
    import torch

    from tsnb import dummy_inputs, trace
    from tsnb.neuron import fixed_shape

    model, tokenizer = embedded()
    example = dummy_inputs(tokenizer, model, "who ?", max_length=LENGTH, batch_size=ROWS)
    taken = {name: example[name] for name in ("input_ids", "attention_mask")}
    graph = fixed_shape(trace(model, taken))
    generator = torch.Generator().manual_seed(5)
    top = len(tokenizer)
    rows = [torch.randint(5, top, (1, size), generator=generator) for size in RAGGED]
    with torch.no_grad():
        scores = [model(row)[0][0] for row in rows]
    return graph, [row[0].tolist() for row in rows], scores


def _run(answer: Callable[..., Any]) -> Facts:
    """Let the reader run the rows; note what the graph is given, and whether it refuses it."""
    from tsnb.base.errors import InputError

    graph, rows, scores = _fixed()
    calls: list[tuple[tuple[int, ...], bool]] = []

    def noted(*places: Tensor, **names: Tensor) -> dict[str, Tensor]:
        inputs = dict(zip(("input_ids", "attention_mask"), places, strict=False)) | names
        ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
        hides = mask is not None and bool((mask == 0).any())
        calls.append((() if ids is None else tuple(ids.shape), hides))
        return graph(**inputs)

    try:
        found = answer(noted, [list(row) for row in rows])
    except InputError as error:
        refused = calls[-1][0] if calls else ()
        return {"refused": refused, "number": len(calls), "why": str(error)}
    if found is ...:
        return {"answer": found}
    if not _are_tensors(found):
        return {"refused": None, "kind": type(found).__name__}
    return _rows_compared(found, scores) | {
        "refused": None,
        "kind": "",
        "calls": len(calls),
        "fewest": CALLS,
        "hides": any(hides for _, hides in calls),
    }


def _are_tensors(found: Any) -> bool:
    import torch

    held = isinstance(found, (list, tuple))
    return held and all(isinstance(row, torch.Tensor) for row in found)


def _rows_compared(found: Sequence[Tensor], scores: list[Tensor]) -> Facts:
    """Compare what came back with the model's scores for each row alone."""
    held = [row.detach() for row in found]
    facts: Facts = {"count": len(held), "expected": len(scores), "shapes": "", "difference": 0.0}
    if len(held) != len(scores):
        return facts
    pairs = list(zip(held, scores, strict=True))
    others = [(number, row, alone) for number, (row, alone) in enumerate(pairs) if row.shape != alone.shape]
    if others:
        number, row, alone = others[0]
        facts |= {"shapes": str(tuple(row.shape)), "meant": str(tuple(alone.shape))}
        return facts | {"row": number, "padded": tuple(row.shape) == (LENGTH, *alone.shape[1:])}
    return facts | {"difference": max(float((row - alone).abs().max()) for row, alone in pairs)}


FIXED_ROWS = Exercise(
    name="fixed-rows",
    notebook="05",
    minutes=8,
    fits=callable,
    prepare=_fixed,
    measure=_run,
    starter=lambda facts: facts.get("refused") == (1, RAGGED[0]),
    mistakes=(
        Mistake("short-batch", lambda facts: facts["refused"] == (len(RAGGED) % ROWS, LENGTH)),
        Mistake("refused", lambda facts: facts["refused"] is not None),
        Mistake("not-a-list", lambda facts: facts["kind"]),
        Mistake("unused", lambda facts: facts["calls"] == 0),
        Mistake("other-count", lambda facts: facts["count"] != facts["expected"]),
        Mistake("with-padding", lambda facts: facts["shapes"] and facts["padded"]),
        Mistake("other-shape", lambda facts: facts["shapes"]),
        Mistake("no-mask", lambda facts: facts["difference"] > TOLERANCE and not facts["hides"]),
        Mistake(
            "row-a-call",
            lambda facts: facts["difference"] <= TOLERANCE and facts["calls"] > CALLS,
        ),
    ),
    right=lambda facts: facts["difference"] <= TOLERANCE,
)


# Graphs for a hundred texts


@cache
def _lengths() -> list[int]:
    from tsnb import token_lengths
    from tsnb.tiny_bert import corpus

    found: list[int] = token_lengths(embedded()[1], corpus.texts(TEXTS)).tolist()
    return found


def _planned(answer: Sequence[Shape]) -> Facts:
    """Plan the hundred texts over the reader's graphs; count calls, filler and padding."""
    from tsnb import plan_buckets
    from tsnb.lengths.batching import plan_static

    shapes = sorted(((int(rows), int(length)) for rows, length in answer), key=lambda s: s[1])
    lengths, longest = _lengths(), shapes[-1][1]
    facts: Facts = {
        "shapes": shapes,
        "count": len(shapes),
        "allowed": round(1e9 / WEIGHTS),
        "twice": listed(first for (_, first), (_, last) in pairwise(shapes) if first == last),
        "longest": longest,
        "needed": max(lengths),
        "most_calls": MOST_CALLS,
        "most_places": f"{MOST_PLACES:,}",
    }
    if longest < max(lengths):
        return facts
    batches = plan_static(lengths, shapes)
    places = sum(batch.tokens for batch in batches)
    filler = sum((batch.rows - len(batch.indices)) * batch.length for batch in batches)
    best = plan_static(lengths, [(1, edge) for edge in plan_buckets(lengths, count=facts["allowed"])])
    return facts | {
        "calls": len(batches),
        "best": sum(batch.tokens for batch in best) - sum(lengths),
        "places": places,
        "filler": filler,
        "padding": places - filler - sum(lengths),
        "shown": f"{places:,}",
        "shown_filler": f"{filler:,}",
        "shown_padding": f"{places - filler - sum(lengths):,}",
    }


def _are_shapes(answer: Any) -> bool:
    if not (isinstance(answer, (list, tuple)) and len(answer) > 0):
        return False
    pairs = [held for held in answer if isinstance(held, (list, tuple)) and len(held) == PAIR]
    sizes = [size for held in pairs for size in held]
    whole = all(isinstance(size, Integral) and int(size) >= 1 for size in sizes)
    return len(pairs) == len(answer) and whole


GRAPHS_FOR_TEXTS = Exercise(
    name="graphs-for-texts",
    notebook="05",
    minutes=4,
    fits=_are_shapes,
    measure=_planned,
    mistakes=(
        Mistake("too-many", lambda facts: facts["count"] > facts["allowed"]),
        Mistake("same-length", lambda facts: facts["twice"]),
        Mistake("too-short", lambda facts: facts["longest"] < facts["needed"]),
        Mistake("many-calls", lambda facts: facts["calls"] > MOST_CALLS),
        Mistake(
            "filler",
            lambda facts: (
                facts["places"] > MOST_PLACES
                and (facts["filler"] >= facts["padding"] or facts["padding"] <= facts["best"])
            ),
        ),
        Mistake("padding", lambda facts: facts["places"] > MOST_PLACES),
    ),
    right=lambda facts: facts["places"] <= MOST_PLACES,
)

EXERCISES = (BY_POSITION, ON_THE_LIST, PASS_PREFLIGHT, FIXED_ROWS, GRAPHS_FOR_TEXTS)
