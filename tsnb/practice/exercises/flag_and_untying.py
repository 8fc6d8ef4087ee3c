"""The exercises of notebook 01. How to write one: `tsnb.checks`."""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tsnb.practice.exercises.base import Exercise, Facts, Mistake
from tsnb.practice.exercises.predictions import all_right, compared, guesses, missed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

COPIES = ("deepcopy", "half", "state_dict", "new")
ROWS, COLUMNS = 250_002, 768  # the embedding of xlm-roberta-base
DTYPES = ("float32", "float16")
CLOSE = 0.01  # prices may be rounded by so much
TINY = 1e-5  # of the right number of bytes: a number of megabytes, whichever are meant
STEPS = ("untie", "train", "save")
TOLERANCE = 1e-4
QUIZ = "bca"


def _load(**options: Any) -> Any:
    from tsnb.models.load import load

    return load("tiny-bert", "masked-lm", **options)[0]


def _ends(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weights of a model's input and output embeddings."""
    held: Any = model
    return held.get_input_embeddings().weight, held.get_output_embeddings().weight


@cache
def _tied_copies() -> dict[str, bool]:
    """Return whether the weights of each copy are tied, by their addresses."""
    tied, untied = _load(), _load(torchscript=True)
    untied.load_state_dict(tied.state_dict())
    models = {
        "deepcopy": deepcopy(tied),
        "half": deepcopy(tied).half(),
        "state_dict": untied,
        "new": type(tied)(tied.config),
    }
    pairs = {name: _ends(model) for name, model in models.items()}
    return {name: first.data_ptr() == last.data_ptr() for name, (first, last) in pairs.items()}


TIED_OR_NOT = Exercise(
    name="tied-or-not",
    notebook="01",
    minutes=3,
    fits=guesses(COPIES, bool),
    measure=lambda answer: compared(answer, _tied_copies()),
    mistakes=(
        Mistake("equal-numbers", missed("state_dict")),
        Mistake("copies-part", missed("deepcopy")),
        Mistake("other-dtype", missed("half")),
    ),
    right=all_right,
)


def _pairs() -> dict[str, tuple[Tensor, Tensor]]:
    """Return pairs of tensors; all but the clone share storage."""
    import torch

    weight = torch.arange(12.0).reshape(4, 3)
    return {
        "itself": (weight, weight),
        "clone": (weight, weight.clone()),
        "detached": (weight, weight.detach()),
        "transposed": (weight, weight.T),
        "rows": (weight, weight[1:]),
    }


def _shared(answer: Callable[[Tensor, Tensor], bool]) -> Facts:
    found = {name: answer(*pair) for name, pair in _pairs().items()}
    return {"found": found, "kind": type(found["itself"]).__name__}


SHARES_STORAGE = Exercise(
    name="shares-storage",
    notebook="01",
    minutes=4,
    fits=callable,
    measure=_shared,
    mistakes=(
        Mistake("no-return", lambda facts: facts["kind"] == "NoneType"),
        Mistake("not-a-bool", lambda facts: facts["kind"] != "bool"),
        Mistake("equal-numbers", lambda facts: facts["found"]["clone"]),
        Mistake("same-object", lambda facts: not facts["found"]["detached"]),
        Mistake("first-number", lambda facts: not facts["found"]["rows"]),
    ),
    right=lambda facts: [name for name, held in facts["found"].items() if not held] == ["clone"],
)


def _prices(answer: dict[str, float]) -> Facts:
    import torch

    numbers = ROWS * COLUMNS
    kinds = {name: getattr(torch, name) for name in DTYPES}
    right = {
        name: torch.empty(ROWS, COLUMNS, dtype=kind, device="meta").nbytes for name, kind in kinds.items()
    }
    ratios = {name: answer[name] / right[name] for name in DTYPES}
    said = {f"said_{name}": f"{answer[name]:,.0f}" for name in DTYPES}
    return {"ratios": ratios, "right": right, "numbers": f"{numbers:,}", **said}


def _is(facts: Facts, name: str, ratio: float) -> bool:
    found: float = facts["ratios"][name]
    return abs(found / ratio - 1) < CLOSE


UNTYING_PRICE = Exercise(
    name="untying-price",
    notebook="01",
    minutes=2,
    fits=lambda answer: (
        isinstance(answer, dict)
        and set(answer) == set(DTYPES)
        and all(isinstance(held, (int, float)) for held in answer.values())
    ),
    measure=_prices,
    mistakes=(
        Mistake("numbers", lambda facts: _is(facts, "float32", 1 / 4)),
        Mistake("both-copies", lambda facts: _is(facts, "float32", 2)),
        Mistake("bits", lambda facts: _is(facts, "float32", 8)),
        Mistake("same-twice", lambda facts: _is(facts, "float16", 2)),
        Mistake("megabytes", lambda facts: 0 < facts["ratios"]["float32"] < TINY),
    ),
    right=lambda facts: all(_is(facts, name, 1) for name in DTYPES),
)


def _done_in(order: Sequence[str]) -> Facts:
    """Do the steps; measure how far the copies are apart, and the file from the model."""
    from tsnb import dummy_inputs, load, untie

    model, tokenizer = load("tiny-bert", "masked-lm")
    inputs, file = dummy_inputs(tokenizer, model, "who was jim henson ?", 8), None
    for step in order:
        if step == "untie":
            untie(model)
        elif step == "train":
            _train_one_step(model, inputs)
        elif step == "save":
            file = _saved(model, inputs)
    first, last = (end.detach() for end in _ends(model))
    apart = float((first - last).abs().max())
    stale = _difference(file, model, inputs) if file else 0.0
    return {
        "order": ", ".join(order),
        "unknown": ", ".join(step for step in order if step not in STEPS),
        "missing": ", ".join(step for step in ("train", "save") if step not in order),
        "twice": ", ".join(step for step in STEPS if order.count(step) > 1),
        "apart": f"{apart:.2g}" if apart else "",
        "stale": f"{stale:.2g}" if stale > TOLERANCE else "",
    }


def _train_one_step(model: Any, inputs: dict[str, Tensor]) -> None:
    import torch

    from tsnb.models.load import quiet_transformers

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with quiet_transformers():
        model(**inputs, labels=inputs["input_ids"], return_dict=True).loss.backward()
    optimizer.step()


def _saved(model: nn.Module, inputs: dict[str, Tensor]) -> BytesIO:
    """Trace a model and save the trace, in memory."""
    import torch

    from tsnb.tracing.outputs import traceable

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(traceable(model), example_kwarg_inputs=inputs, check_trace=False)
        torch.jit.save(traced, file := BytesIO())
    return file


def _difference(file: BytesIO, model: Any, inputs: dict[str, Tensor]) -> float:
    """Return by how much the scores of a saved trace differ from those of a model."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = torch.jit.load(BytesIO(file.getvalue()))(**inputs)[0]
        return float((saved - model(**inputs, return_dict=True).logits).abs().max())


SAFE_ORDER = Exercise(
    name="safe-order",
    notebook="01",
    minutes=3,
    fits=lambda answer: isinstance(answer, (list, tuple)) and all(isinstance(step, str) for step in answer),
    measure=_done_in,
    mistakes=(
        Mistake("unknown-step", lambda facts: facts["unknown"]),
        Mistake("missing-step", lambda facts: facts["missing"]),
        Mistake("step-twice", lambda facts: facts["twice"]),
        Mistake("trained-apart", lambda facts: facts["apart"]),
        Mistake("saved-early", lambda facts: facts["stale"]),
    ),
    right=lambda facts: not (facts["apart"] or facts["stale"]),
)

EXERCISES = (TIED_OR_NOT, SHARES_STORAGE, UNTYING_PRICE, SAFE_ORDER)
