"""What typical answers to the exercises of notebook 02 are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tsnb import checks
from tsnb.practice.exercises import dummy_inputs_and_tracing as exercises
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

    Said = Callable[[str, Any], tuple[str, str | None]]

TEXTS = list(exercises.TEXTS)
TRUTH = dict.fromkeys([(2, 24), (1, 14), (1, 128), (1, 512)], "same") | {(1, 513): "unsupported"}


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    _, tokenizer = tsnb.load("tiny-bert")
    return made(tokenizer, TEXTS)


def made(tokenizer: Any, texts: list[str], **options: Any) -> dict[str, torch.Tensor]:
    options = {"padding": "max_length", "max_length": 20, "return_tensors": "pt"} | options
    return dict(tokenizer(texts, **options))


def without(batch: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: held for key, held in batch.items() if key != name}


WRONG_BATCHES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "misnamed": lambda batch: batch | {"mask": batch["attention_mask"].clone()},
    "missing": lambda batch: without(batch, "attention_mask"),
    "other-shape": lambda batch: {name: held[:, :16] for name, held in batch.items()},
    "other-dtype": lambda batch: batch | {"attention_mask": batch["attention_mask"].float()},
    "one-tensor": lambda batch: batch | {"token_type_ids": batch["attention_mask"]},
    "other-texts": lambda batch: {name: held.flip(0) for name, held in batch.items()},
    "mask-hides-text": lambda batch: batch | {"attention_mask": batch["token_type_ids"] * 0},
    "mask-differs": lambda batch: batch | {"attention_mask": torch.ones(4, 20).long()},
}


@pytest.mark.parametrize("mistake", WRONG_BATCHES)
def test_dummy_batch(said: Said, batch: dict[str, Any], mistake: str) -> None:
    assert said("dummy-batch", WRONG_BATCHES[mistake](batch)) == ("mistake", mistake)


def test_dummy_batch_done_in_three_ways(said: Said, batch: dict[str, Any]) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    assert said("dummy-batch", batch) == ("done", None)
    assert said("dummy-batch", without(batch, "token_type_ids")) == ("done", None)
    assert said("dummy-batch", made(tokenizer, TEXTS, padding_side="left")) == ("done", None)


def test_a_batch_is_of_the_four_texts(said: Said) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    repeated = tsnb.dummy_inputs(tokenizer, model, TEXTS[0], 20, 4)
    assert said("dummy-batch", repeated) == ("mistake", "other-texts")
    ones = {name: torch.ones(4, 20).long() for name in exercises.NEEDED}
    assert said("dummy-batch", ones) == ("mistake", "other-texts")
    bare = made(tokenizer, TEXTS, add_special_tokens=False)
    assert said("dummy-batch", bare) == ("mistake", "bare-texts")


def test_lists_are_told_how_to_become_tensors(said: Said) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    lists = made(tokenizer, TEXTS, return_tensors=None)
    assert said("dummy-batch", lists) == ("mistake", "lists")


def test_another_dtype_is_told_with_its_name(batch: dict[str, Any]) -> None:
    boolean = batch | {"attention_mask": batch["attention_mask"].bool()}
    assert "got attention_mask bool." in checks.check("dummy-batch", boolean).text


def test_dummy_batch_of_another_type(said: Said, batch: dict[str, Any]) -> None:
    assert said("dummy-batch", list(batch.values())) == ("type", None)
    assert said("dummy-batch", {"input_ids": 1}) == ("type", None)


def published(model: Any, tokens: Any, segments: Any) -> Any:
    return torch.jit.trace(model, [tokens, segments])


def mended(model: Any, tokens: Any, segments: Any) -> Any:
    named = {"input_ids": tokens, "token_type_ids": segments}
    return torch.jit.trace(model, example_kwarg_inputs=named)


def in_three_places(model: Any, tokens: Any, segments: Any) -> Any:
    return torch.jit.trace(model, [tokens, torch.ones_like(tokens), segments])


def renamed(model: Any, tokens: Any, segments: Any) -> Any:
    named = {"input_ids": tokens, "attention_mask": segments}
    return torch.jit.trace(model, example_kwarg_inputs=named)


def dict_by_position(model: Any, tokens: Any, segments: Any) -> Any:
    return torch.jit.trace(model, {"input_ids": tokens, "token_type_ids": segments})


def by_helper(model: Any, tokens: Any, segments: Any) -> Any:
    return tsnb.trace(model, {"input_ids": tokens, "token_type_ids": segments})


def other_model(_: Any, tokens: Any, segments: Any) -> Any:
    return mended(tsnb.load("tiny-bert", "encoder", torchscript=True)[0], tokens, segments)


def misspelt(model: Any, tokens: Any, _: Any) -> Any:
    return model.trace(tokens)


def dropped(model: Any, tokens: Any, _: Any) -> Any:
    return torch.jit.trace(model, [tokens])


def output(model: Any, tokens: Any, segments: Any) -> Any:
    return model(input_ids=tokens, token_type_ids=segments)


def swapped(model: Any, tokens: Any, segments: Any) -> Any:
    return model(input_ids=segments, token_type_ids=tokens)


def other_weights(model: Any, tokens: Any, segments: Any) -> Any:
    other = type(model)(model.config).eval()
    return mended(other, tokens, segments)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::tsnb.models.load.NewWeightsWarning")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (published, ("not-yet", None)),
        (renamed, ("not-yet", None)),
        (mended, ("done", None)),
        (in_three_places, ("done", None)),
        (by_helper, ("done", None)),
        (dropped, ("mistake", "no-segments")),
        (dict_by_position, ("mistake", "dict-by-position")),
        (other_model, ("mistake", "other-model")),
        (misspelt, ("raises", None)),
        (output, ("mistake", "not-a-trace")),
        (lambda *_: None, ("mistake", "not-a-trace")),
        (swapped, ("raises", None)),
        (other_weights, ("wrong", None)),
        ("a text", ("type", None)),
    ],
)
def test_argument_order(said: Said, answer: Any, expected: tuple[str, str | None]) -> None:
    assert said("argument-order", answer) == expected


def test_a_snippet_that_raises_is_told_with_its_line() -> None:
    told = checks.check("argument-order", swapped).text
    assert "IndexError" in told
    assert "return model(input_ids=segments, token_type_ids=tokens)" in told


def test_the_verdicts_are_measured() -> None:
    assert exercises._verdicts() == TRUTH


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TRUTH, ("done", None)),
        (dict.fromkeys(TRUTH, "raises"), ("mistake", "published-rule")),
        (dict.fromkeys(TRUTH, "same"), ("mistake", "beyond-limit")),
        (TRUTH | {(1, 513): "raises"}, ("mistake", "beyond-limit")),
        (TRUTH | {(2, 24): "fails"}, ("mistake", "unknown-verdict")),
        (TRUTH | {(1, 512): "raises"}, ("wrong", None)),
        ({(2, 24): "same"}, ("type", None)),
        (list(TRUTH.values()), ("type", None)),
        (dict.fromkeys(TRUTH, 1), ("type", None)),
    ],
)
def test_five_verdicts(said: Said, answer: Any, expected: tuple[str, str | None]) -> None:
    assert said("five-verdicts", answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("Scaled", (1, 9)), ("done", None)),
        (["Scaled", [3, 2]], ("done", None)),
        (("Scaled", (1, 7)), ("mistake", "traced-shape")),
        (("Scaled", (2, 7)), ("mistake", "same-there")),
        (("Mean", (1, 9)), ("mistake", "same-there")),
        (("Placed", (1, 9)), ("mistake", "raises")),
        (("Placed", (1, 1)), ("mistake", "stretched")),
        (("Placed", (1, 65)), ("mistake", "raises")),
        (("scaled", (1, 9)), ("mistake", "unknown-name")),
        (("Scaled", 9), ("type", None)),
        (("Scaled", (1, 0)), ("type", None)),
        (("Scaled", (1, 10**9)), ("type", None)),
        (("Scaled",), ("type", None)),
        ("Scaled", ("type", None)),
    ],
)
def test_find_the_trap(said: Said, answer: Any, expected: tuple[str, str | None]) -> None:
    assert said("find-the-trap", answer) == expected


@pytest.fixture(scope="module")
def lengths() -> Any:
    _, tokenizer = tsnb.load("tiny-bert")
    return tsnb.token_lengths(tokenizer, corpus.texts(1000))


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([127], ("mistake", "one-length")),
        ([22, 37, 56, 72], ("mistake", "cuts-too-much")),
        ([18, 26, 39, 52, 100], ("mistake", "too-many")),
        ([100, 50], ("mistake", "not-rising")),
        ([0, 100], ("mistake", "not-rising")),
        ([20, 100], ("wrong", None)),
        ([], ("type", None)),
        ([22.5, 100], ("type", None)),
        ({22, 100}, ("type", None)),
        (100, ("type", None)),
    ],
)
def test_length_under_cost(said: Said, edges: Any, expected: tuple[str, str | None]) -> None:
    assert said("length-under-cost", edges) == expected


def test_length_under_cost_with_planned_edges(said: Said, lengths: Any) -> None:
    whole = tsnb.plan_buckets(lengths, count=4)
    assert said("length-under-cost", whole) == ("mistake", "cuts-nothing")
    cut = tsnb.plan_buckets(lengths.clip(max=100), count=4)
    assert said("length-under-cost", cut) == ("done", None)


def test_numbers_are_filled_in() -> None:
    assert "cost is 4.05" in checks.check("length-under-cost", [127]).text
    missed = TRUTH | {(1, 512): "raises"}
    assert '4 of 5 as probed: (1, 512) is not "raises".' in checks.check("five-verdicts", missed).text
    assert "off by 0.32" in checks.check("find-the-trap", ("Scaled", (1, 9))).text
