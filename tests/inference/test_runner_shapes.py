"""The Runner on dynamic traces, on several fixed ones, on iterators, and where texts break off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch

import tsnb
from tsnb.inference import runner as inference
from tsnb.models import load as models
from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Traces = Callable[..., tsnb.Traced]

HEADS = get_args(models.Head)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return corpus.texts(60, seed=3)


def _assert_equal(model: Any, tokenizer: Any, texts: list[str], results: list[Any]) -> None:
    assert len(results) == len(texts)
    for text, result in zip(texts, results, strict=True):
        with torch.no_grad():
            eager = model(**tokenizer(text, return_tensors="pt"), return_dict=True)
        for name, tensor in result.items():
            assert torch.allclose(tensor, eager[name][0], atol=1e-4), name


@pytest.mark.parametrize("head", HEADS)
def test_a_dynamic_trace_equals_the_model_text_by_text(
    load: Callable[..., Any], traced: Traces, texts: list[str], head: str
) -> None:
    model, tokenizer = load(head=head)
    runner = tsnb.Runner(traced(head, 24, 2), tokenizer)
    assert runner.dynamic
    _assert_equal(model, tokenizer, texts, runner(texts))


@pytest.mark.parametrize("head", HEADS)
def test_buckets_of_fixed_shapes_equal_the_model_text_by_text(
    load: Callable[..., Any], traced: Traces, texts: list[str], head: str
) -> None:
    model, tokenizer = load(head=head)
    fixed = [_fixed(traced(head, length, 4)) for length in (32, 64, 128)]
    runner = tsnb.Runner(fixed, tokenizer)
    assert not runner.dynamic
    _assert_equal(model, tokenizer, texts, runner(texts))


def _fixed(traced: tsnb.Traced) -> tsnb.Traced:
    return replace(traced, contract=replace(traced.contract, fixed_shape=True))


def test_a_fixed_trace_is_called_with_its_shape_only(
    load: Callable[..., Any], traced: Traces, texts: list[str]
) -> None:
    called: list[tuple[int, ...]] = []
    held = _fixed(traced("masked-lm", 128, 4))

    def module(*tensors: torch.Tensor) -> Any:
        called.extend(tuple(tensor.shape) for tensor in tensors)
        return held.module(*tensors)

    watched = replace(held, module=module)  # type: ignore[arg-type]  # what is called, not a module
    tsnb.Runner(watched, load(head="masked-lm")[1])(texts[:6])
    assert set(called) == {(4, 128)}


def test_a_trace_that_was_verified_at_one_shape_counts_as_fixed(
    load: Callable[..., Any], traced: Traces
) -> None:
    held = traced("masked-lm", 128, 4)
    alone = replace(held, contract=replace(held.contract, verified=((4, 128),)))
    assert not tsnb.Runner(alone, load(head="masked-lm")[1]).dynamic


def test_beyond_the_first_window_a_text_is_named_by_its_own_index(
    load: Callable[..., Any], traced: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "WINDOW", 2)
    runner = tsnb.Runner(traced("encoder", 24, 2), load(head="encoder")[1], max_tokens=4)
    with pytest.raises(tsnb.InputError, match="Text 3 has 6 tokens"):
        runner(["jim", "jim", "jim", "jim was a poet"])


def test_an_iterator_gives_the_same_as_a_list_in_bounded_memory(
    load: Callable[..., Any], traced: Traces, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "WINDOW", 8)
    taken: list[int] = []

    def source() -> Iterator[str]:
        for number, text in enumerate(texts):
            taken.append(number)
            yield text

    runner = tsnb.Runner(traced("encoder", 24, 2), load(head="encoder")[1])
    stream = runner.stream(source())
    first = next(stream)
    assert len(taken) == 8
    rest = list(stream)
    for found, expected in zip([first, *rest], runner(texts), strict=True):
        assert torch.allclose(found["pooler_output"], expected["pooler_output"], atol=1e-4)


def test_texts_that_break_off_lose_nothing_that_was_done(
    load: Callable[..., Any], traced: Traces, texts: list[str]
) -> None:
    def source() -> Iterator[str]:
        yield from texts[:5]
        message = "the file ended"
        raise OSError(message)

    runner = tsnb.Runner(traced("masked-lm", 24, 2), load(head="masked-lm")[1])
    with pytest.raises(inference.BrokenOffError, match="broke off after 5") as caught:
        runner(source())
    assert len(caught.value.results) == 5
    assert "the file ended" in str(caught.value)


def test_the_work_is_counted(load: Callable[..., Any], traced: Traces, texts: list[str]) -> None:
    tokenizer = load(head="masked-lm")[1]
    runner = tsnb.Runner(traced("masked-lm", 24, 2), tokenizer)
    runner(texts)
    assert runner.work.real == sum(len(tokenizer(text)["input_ids"]) for text in texts)
    assert runner.work.real <= runner.work.computed
    runner([])
    assert runner.work.share == 1.0


def test_a_text_over_the_limit_is_cut_only_when_asked(load: Callable[..., Any], traced: Traces) -> None:
    tokenizer = load(head="masked-lm")[1]
    held, long = traced("masked-lm", 24, 2), "jim " * 600
    with pytest.raises(tsnb.InputError, match="Text 1 makes 602 tokens"):
        tsnb.Runner(held, tokenizer)(["jim", long])
    [result] = tsnb.Runner(held, tokenizer, truncate=True)([long])
    assert len(result["logits"]) == 512


def test_a_budget_smaller_than_a_text_is_said(load: Callable[..., Any], traced: Traces) -> None:
    runner = tsnb.Runner(traced("masked-lm", 24, 2), load(head="masked-lm")[1], max_tokens=8)
    with pytest.raises(tsnb.InputError, match="a batch may have 8,"):
        runner(["jim", "jim henson was a painter in london and paris"])


def test_no_trace_at_all_is_said(load: Callable[..., Any]) -> None:
    with pytest.raises(tsnb.InputError, match="got no trace"):
        tsnb.Runner([], load(head="masked-lm")[1])
