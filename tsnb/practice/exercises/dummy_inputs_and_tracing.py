"""The exercises of notebook 02. How to write one: `tsnb.checks`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tsnb.practice.exercises.base import Exercise, Facts, Mistake, embedded, listed
from tsnb.practice.exercises.predictions import all_right, compared, guesses, missed_only

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.traced import Traced

    Shape = tuple[int, int]

TOLERANCE = 1e-4
BATCH = (4, 20)
TEXTS = (
    "who was jim henson ?",
    "jim henson was a puppeteer .",
    "who ?",
    "where was yara rogers born ? yara rogers was born in chicago .",
)
NEEDED = ("input_ids", "attention_mask")
KINDS = ("same", "wrong", "raises", "unsupported")
SHAPES = ((2, 24), (1, 14), (1, 128), (1, 512), (1, 513))
BEYOND = (1, 513)
TRACED = (1, 7)
SUSPECTS = ("Mean", "Scaled", "Placed")
LONGEST = 4096  # tokens that are tried
MOST_EDGES, LEAST_FIT, MOST_COST = 4, 0.98, 1.32
QUIZ = "cab"


# Dummy inputs for a batch of four


def _is_batch(answer: Any) -> bool:
    import torch

    if not isinstance(answer, Mapping):
        return False
    return all(isinstance(held, (torch.Tensor, list)) for held in answer.values())


def _looked_at(batch: Mapping[str, Tensor]) -> Facts:
    """Compare inputs with what the model takes, and their mask with the padding."""
    import torch

    if any(isinstance(held, list) for held in batch.values()):
        return {"lists": True}
    model, tokenizer = embedded()
    known = inspect.signature(model.forward).parameters
    shapes = {name: tuple(held.shape) for name, held in batch.items()}
    pointers = [held.data_ptr() for held in batch.values()]
    ids, mask = (batch.get(name) for name in NEEDED)
    whole = ids is not None and tuple(ids.shape) == BATCH
    padding = fits = None
    if ids is not None and mask is not None and ids.shape == mask.shape:
        padding = int((ids == tokenizer.pad_token_id).sum())
        fits = bool(torch.equal(mask != 0, ids != tokenizer.pad_token_id))
    return {
        "lists": False,
        "misnamed": ", ".join(str(name) for name in batch if name not in known),
        "missing": ", ".join(name for name in NEEDED if name not in batch),
        "shapes": ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape != BATCH),
        "dtypes": listed(
            f"{name} {str(held.dtype).removeprefix('torch.')}"
            for name, held in batch.items()
            if held.dtype != torch.int64
        ),
        "one": len(set(pointers)) < len(pointers),
        "padding": padding,
        "fits": fits,
        "zero": mask is not None and not bool(mask.any()),
        "read": _read(ids) if ids is not None and whole else "",
    }


def _read(ids: Tensor) -> str:
    """Say whether the rows are the texts, the texts without their special pieces, or others."""
    tokenizer = embedded()[1]
    rows = [[piece for piece in row if piece != tokenizer.pad_token_id] for row in ids.tolist()]
    for said, special in (("texts", True), ("bare", False)):
        if rows == tokenizer(list(TEXTS), add_special_tokens=special)["input_ids"]:
            return said
    return "others"


DUMMY_BATCH = Exercise(
    name="dummy-batch",
    notebook="02",
    minutes=4,
    fits=_is_batch,
    measure=_looked_at,
    mistakes=(
        Mistake("lists", lambda facts: facts["lists"]),
        Mistake("misnamed", lambda facts: facts["misnamed"]),
        Mistake("missing", lambda facts: facts["missing"]),
        Mistake("other-shape", lambda facts: facts["shapes"]),
        Mistake("other-dtype", lambda facts: facts["dtypes"]),
        Mistake("one-tensor", lambda facts: facts["one"]),
        Mistake("other-texts", lambda facts: facts["read"] == "others"),
        Mistake("bare-texts", lambda facts: facts["read"] == "bare"),
        Mistake("mask-hides-text", lambda facts: facts["zero"] and not facts["fits"]),
        Mistake("mask-differs", lambda facts: not facts["fits"]),
    ),
    right=lambda facts: bool(facts["fits"]),
)


# The argument order of the snippet


@cache
def _snippet() -> tuple[Tensor, Tensor]:
    """Return tokens and segments as the snippet makes them."""
    tokens = embedded()[1]("Who was Jim Henson ?", "Jim [MASK] was a puppeteer", return_tensors="pt")
    return tokens["input_ids"], tokens["token_type_ids"]


def _traced_snippet(answer: Callable[..., Any]) -> Facts:
    """Let the reader trace; run the trace by name, with a mask that hides nothing."""
    import torch

    from tsnb.tracing.traced import Traced

    model, (tokens, segments) = embedded()[0], _snippet()
    facts: Facts = {"kind": "", "names": [], "dict": False, "shape": ""}
    try:
        found = answer(model, tokens.clone(), segments.clone())
    except AttributeError as error:
        if "'dict' object" not in str(error):
            raise
        return facts | {"dict": True}
    traced: Any = found.module if isinstance(found, Traced) else found
    if not isinstance(traced, torch.jit.ScriptModule):
        return facts | {"kind": type(traced).__name__}
    graph: Any = traced.graph
    names = [held.debugName().split(".")[0] for held in graph.inputs()][1:]
    values = [tokens.clone(), torch.ones_like(tokens), segments.clone()]
    given = dict(zip((*NEEDED, "token_type_ids"), values, strict=True))
    with torch.no_grad():
        meant = model(input_ids=tokens, token_type_ids=segments)[0]
        scores = traced(**{name: given[name] for name in names})[0]
    facts |= {"names": names, "listed": listed(names)}
    if scores.shape != meant.shape:
        return facts | {"shape": str(tuple(scores.shape)), "meant": str(tuple(meant.shape))}
    return facts | {"difference": float((scores - meant).abs().max())}


ARGUMENT_ORDER = Exercise(
    name="argument-order",
    notebook="02",
    minutes=4,
    fits=callable,
    prepare=_snippet,
    measure=_traced_snippet,
    starter=lambda facts: facts.get("names") == list(NEEDED),
    mistakes=(
        Mistake("dict-by-position", lambda facts: facts["dict"]),
        Mistake("not-a-trace", lambda facts: facts["kind"]),
        Mistake("other-model", lambda facts: facts["shape"]),
        Mistake("no-segments", lambda facts: "token_type_ids" not in facts["names"]),
    ),
    right=lambda facts: facts["difference"] < TOLERANCE,
)


# Verdicts of five shapes


@cache
def _verdicts() -> dict[Shape, str]:
    """Return the kinds of verdict of a trace of one row of 24."""
    from tsnb import dummy_inputs, trace
    from tsnb.tracing.compare import compare

    model, tokenizer = embedded()
    traced = trace(model, dummy_inputs(tokenizer, model, max_length=24))
    return {shape: compare(traced, model, shape).kind for shape in SHAPES}


def _foretold(answer: dict[Shape, str]) -> Facts:
    truth = _verdicts()
    facts = compared(answer, truth)
    feared = [shape for shape in facts["missed"] if (answer[shape], truth[shape]) == ("raises", "same")]
    return facts | {
        "unknown": listed(sorted(set(answer.values()) - set(KINDS))),
        "feared": listed(feared) if len(feared) > 1 else "",
        "shown": listed(f'{shape} is not "{answer[shape]}"' for shape in facts["missed"]),
        "beyond": answer[BEYOND],
    }


FIVE_VERDICTS = Exercise(
    name="five-verdicts",
    notebook="02",
    minutes=3,
    fits=guesses(SHAPES, str),
    measure=_foretold,
    mistakes=(
        Mistake("unknown-verdict", lambda facts: facts["unknown"]),
        Mistake("published-rule", lambda facts: facts["feared"]),
        Mistake("beyond-limit", missed_only(BEYOND)),
    ),
    right=all_right,
)


# The trap among three models


@cache
def _suspect(name: str) -> tuple[nn.Module, Traced]:
    import torch

    from tsnb import trace
    from tsnb.practice.exercises import suspects
    from tsnb.tracing import traps

    model = traps.make(getattr(suspects, name))
    return model, trace(model, {"input_ids": torch.arange(TRACED[1])[None]})


def _is_suspicion(answer: Any) -> bool:
    if not (isinstance(answer, (tuple, list)) and len(answer) == len(("name", "shape"))):
        return False
    name, shape = answer
    sizes = shape if isinstance(shape, (tuple, list)) and len(shape) == len(TRACED) else [None]
    return isinstance(name, str) and all(_is_size(size) for size in sizes)


def _is_size(size: Any) -> bool:
    return isinstance(size, Integral) and 1 <= int(size) <= LONGEST


def _accused(answer: tuple[str, Shape]) -> Facts:
    from tsnb.tracing.compare import compare

    name, shape = answer
    shape = (int(shape[0]), int(shape[1]))
    facts: Facts = {"name": name, "shape": shape, "kind": "", "difference": "", "known": ""}
    if name not in SUSPECTS:
        return facts | {"known": listed(SUSPECTS)}
    model, traced = _suspect(name)
    found = compare(traced, model, shape)
    return facts | {"kind": found.kind, "difference": f"{found.difference or 0:.2g}"}


FIND_THE_TRAP = Exercise(
    name="find-the-trap",
    notebook="02",
    minutes=5,
    fits=_is_suspicion,
    measure=_accused,
    mistakes=(
        Mistake("unknown-name", lambda facts: facts["known"]),
        Mistake("traced-shape", lambda facts: facts["shape"] == TRACED),
        Mistake("raises", lambda facts: facts["kind"] in {"raises", "unsupported"}),
        Mistake("stretched", lambda facts: facts["name"] == "Placed" and facts["kind"] == "wrong"),
        Mistake("same-there", lambda facts: facts["kind"] == "same"),
    ),
    right=lambda facts: facts["kind"] == "wrong",
)


# Lengths under a limit of cost


@cache
def _lengths() -> Lengths:
    from tsnb import token_lengths
    from tsnb.tiny_bert import corpus

    return token_lengths(embedded()[1], corpus.texts(1000))


def _costed(answer: Sequence[int]) -> Facts:
    from tsnb import length_report

    edges = [int(edge) for edge in answer]
    rising = edges[0] > 0 and all(first < last for first, last in pairwise(edges))
    facts: Facts = {"edges": edges, "longest": edges[-1], "count": len(edges), "rising": rising}
    if not rising:
        return facts
    report = length_report(_lengths(), max_length=edges[-1], buckets=edges)
    return facts | {
        "fit": report.fit,
        "cost": report.relative_cost,
        "shown_fit": f"{report.fit:.1%}",
        "shown_cost": f"{report.relative_cost:.2f}",
        "shown_cut": report.cut_texts,
        "least": f"{LEAST_FIT:.0%}",
        "most": MOST_EDGES,
        "limit": f"{MOST_COST:.2f}",
    }


LENGTH_UNDER_COST = Exercise(
    name="length-under-cost",
    notebook="02",
    minutes=7,
    fits=lambda answer: (
        isinstance(answer, (list, tuple))
        and len(answer) > 0
        and all(isinstance(edge, Integral) for edge in answer)
    ),
    measure=_costed,
    mistakes=(
        Mistake("not-rising", lambda facts: not facts["rising"]),
        Mistake("too-many", lambda facts: facts["count"] > MOST_EDGES),
        Mistake("cuts-too-much", lambda facts: facts["fit"] < LEAST_FIT),
        Mistake("one-length", lambda facts: facts["count"] == 1 and facts["cost"] > MOST_COST),
        Mistake("cuts-nothing", lambda facts: facts["fit"] == 1 and facts["cost"] > MOST_COST),
    ),
    right=lambda facts: facts["cost"] <= MOST_COST,
)

EXERCISES = (DUMMY_BATCH, ARGUMENT_ORDER, FIVE_VERDICTS, FIND_THE_TRAP, LENGTH_UNDER_COST)
