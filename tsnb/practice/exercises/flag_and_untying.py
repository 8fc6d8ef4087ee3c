"""The exercises of notebook 01. How to write one: `tsnb.checks`."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

import tsnb
from tsnb.practice.exercises.base import Outcome, call, compare_guesses, distance, first_of, fits, listed
from tsnb.tracing import traps
from tsnb.tracing.compare import TOLERANCE

NUMBERS = 250_002 * 768  # of the embedding of xlm-roberta-base
CLOSE = 0.01  # prices may be rounded by so much
STEPS = {"untie", "train", "save"}


def tied_or_not(answer: Any) -> Outcome:
    """Compare guesses, for each way to get another model, with the addresses of its weights."""
    mistakes = {
        ("state_dict", True): "equal-numbers",
        ("deepcopy", False): "copies-part",
        ("half", False): "other-dtype",
    }
    return compare_guesses(answer, tied_copies(), (True, False), mistakes)


@cache
def tied_copies() -> dict[str, bool]:
    """Return whether the weights of each copy are tied, by their addresses."""
    tied, untied = tsnb.load("tiny-bert")[0], tsnb.load("tiny-bert")[0]
    tsnb.untie(untied)
    untied.load_state_dict(tied.state_dict())
    models = {
        "deepcopy": deepcopy(tied),
        "half": deepcopy(tied).half(),
        "state_dict": untied,
        "new": traps.make(lambda: type(tied)(tied.config)),
    }
    ends = {name: _ends(model) for name, model in models.items()}
    return {name: first.data_ptr() == last.data_ptr() for name, (first, last) in ends.items()}


def shares_storage(answer: Any) -> Outcome:
    """Call the reader's test for pairs of tensors; all but the clone share storage."""
    weight = torch.arange(12.0).reshape(4, 3)
    others = {
        "itself": weight,
        "clone": weight.clone(),
        "detached": weight.detach(),
        "transposed": weight.T,
        "rows": weight[1:],
    }
    results = {name: call(answer, weight, other) for name, other in others.items()}
    if not isinstance(results["itself"], bool):
        return Outcome("not-a-bool", kind=type(results["itself"]).__name__)
    mistakes = {"equal-numbers": results["clone"], "first-number": not results["rows"]}
    right = not results["clone"] and all(shared for name, shared in results.items() if name != "clone")
    return Outcome(first_of(mistakes, "done" if right else "wrong"), results=results)


def untying_price(answer: Any) -> Outcome:
    """Compare two numbers of bytes with the size of the embedding."""
    fits(isinstance(answer, dict) and set(answer) == {"float32", "float16"})
    fits(all(isinstance(price, (int, float)) for price in answer.values()))
    mistakes = {
        "numbers": isclose(answer["float32"], NUMBERS, rel_tol=CLOSE),
        "both-copies": isclose(answer["float32"], 8 * NUMBERS, rel_tol=CLOSE),
    }
    truth = {"float32": 4 * NUMBERS, "float16": 2 * NUMBERS}
    right = all(isclose(answer[dtype], price, rel_tol=CLOSE) for dtype, price in truth.items())
    prices = {name: f"{price:,.0f}" for name, price in answer.items()}
    return Outcome(first_of(mistakes, "done" if right else "wrong"), numbers=f"{NUMBERS:,}", **prices)


def safe_order(answer: Any) -> Outcome:
    """Do the steps; measure how far the two weights are apart, and the file from the model."""
    fits(isinstance(answer, (list, tuple)) and STEPS.issuperset(answer))
    if missing := sorted({"train", "save"} - set(answer)):
        return Outcome("missing-step", missing=listed(missing))
    model, tokenizer = tsnb.load("tiny-bert")
    inputs = tsnb.dummy_inputs(tokenizer, model, "who was jim henson ?", 8)
    with TemporaryDirectory(prefix="tsnb-") as folder:
        path = Path(folder) / "bert.pt"
        for step in answer:
            if step == "untie":
                tsnb.untie(model)
            elif step == "train":
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
                logits, ids = model(**inputs).logits[0], inputs["input_ids"][0]
                torch.nn.functional.cross_entropy(logits, ids).backward()
                optimizer.step()
            else:
                tsnb.save(tsnb.trace(model, inputs), path)
        saved = tsnb.load_traced(path)(**inputs)["logits"]
    with torch.no_grad():
        stale, apart = distance(saved, model(**inputs).logits), distance(*_ends(model))
    name = first_of({"trained-apart": apart, "saved-early": stale > TOLERANCE}, "done")
    return Outcome(name, order=listed(answer), apart=apart, stale=stale)


def _ends(model: Any) -> tuple[Tensor, Tensor]:
    """Return the weights of a model's input and output embeddings."""
    return model.get_input_embeddings().weight, model.get_output_embeddings().weight
