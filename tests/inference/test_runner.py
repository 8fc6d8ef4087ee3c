from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from transformers import ConvBertConfig, ConvBertModel

import tsnb
from tsnb.models import load as models

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.tracing.inputs import Text

    Traces = Callable[..., tsnb.Traced]

HEADS = get_args(models.Head)
SIZES = [1, 4]
LENGTH = 24
TEXTS: list[Text] = [
    "jim [MASK] was a puppeteer",
    ("who was jim henson ?", "jim henson was a puppeteer"),
    "henson",
    ("where was mary smith born ?", "mary smith was born in seoul"),
    "in seoul mary smith made a lamp",
    "jim [MASK] was a puppeteer",
]


def encode(tokenizer: Any, text: Any) -> Any:
    return tokenizer(*(text if isinstance(text, tuple) else (text,)), return_tensors="pt")


def refused(runner: tsnb.Runner, texts: Any) -> tsnb.InputError:
    with pytest.raises(tsnb.InputError) as caught:
        runner(texts)
    return caught.value


@pytest.fixture(scope="session")
def runners(load: Callable[..., Any], traced: Traces) -> Callable[..., tsnb.Runner]:
    def runner(head: str = "masked-lm", size: int = 4) -> tsnb.Runner:
        return tsnb.Runner(alone(traced(head, LENGTH, size)), load(head=head)[1])

    return runner


def alone(traced: tsnb.Traced) -> tsnb.Traced:
    """Return a trace that was verified at its traced shape only, so that it runs at no other."""
    contract = traced.contract
    shape = (contract.batch_size or 1, contract.length or 1)
    return replace(traced, contract=replace(contract, verified=(shape,)))


def trace_of(runner: tsnb.Runner) -> tsnb.Traced:
    return next(iter(runner.traces.values()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("head", HEADS)
def test_the_results_equal_the_model_text_by_text(
    load: Callable[..., Any], runners: Callable[..., tsnb.Runner], head: str, size: int
) -> None:
    model, tokenizer = load(head=head)
    results = runners(head, size)(TEXTS)
    assert len(results) == len(TEXTS)
    for text, result in zip(TEXTS, results, strict=True):
        with torch.no_grad():
            eager = model(**encode(tokenizer, text))
        assert list(result) == list(eager)
        for name, tensor in result.items():
            assert tensor.shape == eager[name][0].shape  # the text's own length: no padding
            assert torch.allclose(tensor, eager[name][0], atol=1e-4)


def test_the_order_is_that_of_the_texts(runners: Callable[..., tsnb.Runner]) -> None:
    forwards = runners()(TEXTS)
    backwards = runners()(TEXTS[::-1])
    for first, second in zip(forwards, reversed(backwards), strict=True):
        assert torch.allclose(first["logits"], second["logits"], atol=1e-5)


@pytest.mark.parametrize("texts", [[], ()])
def test_no_texts_give_no_results(runners: Callable[..., tsnb.Runner], texts: Any) -> None:
    assert runners()(texts) == []


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_any_number_of_texts(runners: Callable[..., tsnb.Runner], count: int) -> None:
    results = runners("sequence-classification")(["jim henson"] * count)
    assert [result["logits"].shape for result in results] == [(2,)] * count


def test_a_tokenizer_that_pads_on_the_left(runners: Callable[..., tsnb.Runner]) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    tokenizer.padding_side = "left"
    traced = trace_of(runners())
    text = "jim henson"
    [result] = tsnb.Runner(traced, tokenizer)([text])
    row = tokenizer(text, padding="max_length", max_length=LENGTH, return_tensors="pt")
    whole = traced(**{name: row[name].repeat(4, 1) for name in traced.contract.input_names})
    assert torch.equal(result["logits"], whole["logits"][0, -4:])


def test_a_saved_trace_runs_too(
    runners: Callable[..., tsnb.Runner], traced: Traces, tmp_path: Any, load: Callable[..., Any]
) -> None:
    saved = alone(traced("masked-lm", LENGTH, 4))
    loaded = tsnb.load_traced(tsnb.save(saved, tmp_path / "bert.pt"))
    [again], [before] = tsnb.Runner(loaded, load()[1])(TEXTS[:1]), runners()(TEXTS[:1])
    assert torch.allclose(again["logits"], before["logits"], atol=1e-5)


@pytest.mark.parametrize("bad", [5, None, b"jim", ["jim"], (), ("a", "b", "c"), ("a", 5), {"a": 1}])
def test_what_is_no_text_is_named_by_its_index(runners: Callable[..., tsnb.Runner], bad: object) -> None:
    error = refused(runners(), ["jim", "henson", bad])
    assert (error.key, error.gaps) == (
        "inference.not-text",
        {"index": 2, "given": type(bad).__name__},
    )


@pytest.mark.parametrize("bad", ["", " \n", ("who was jim ?", "")])
def test_an_empty_text_is_named_by_its_index(runners: Callable[..., tsnb.Runner], bad: object) -> None:
    error = refused(runners(), ["jim", bad, "henson"])
    assert (error.key, error.gaps) == ("inference.empty-text", {"index": 1})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bad", ["jim " * 23, ("jim " * 12, "jim " * 10)])
def test_a_text_over_the_length_is_named_by_its_index(
    runners: Callable[..., tsnb.Runner], size: int, bad: object
) -> None:
    error = refused(runners(size=size), ["jim", "henson", bad, "jim"])
    gaps = {"index": 2, "tokens": LENGTH + 1, "length": LENGTH}
    assert (error.key, error.gaps) == ("inference.too-long", gaps)


def test_a_text_of_the_full_length_fits(runners: Callable[..., tsnb.Runner]) -> None:
    [result] = runners()(["jim " * 22])
    assert result["logits"].shape == (LENGTH, 623)


def test_one_text_is_no_list(runners: Callable[..., tsnb.Runner]) -> None:
    assert refused(runners(), "jim henson").key == "inference.one-text"


@pytest.mark.parametrize("change", [{"known": False}, {"length": None}])
def test_a_trace_of_which_too_little_is_known(
    runners: Callable[..., tsnb.Runner], change: dict[str, Any]
) -> None:
    traced = trace_of(runners())
    unknown = replace(traced, contract=replace(traced.contract, **change))
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.Runner(unknown, runners().tokenizer)
    assert caught.value.key == "inference.unknown-contract"


def test_a_tokenizer_that_makes_other_inputs(runners: Callable[..., tsnb.Runner]) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.Runner(trace_of(runners()), tokenizer)
    missing = {"missing": "token_type_ids", "made": "input_ids, attention_mask"}
    assert (caught.value.key, caught.value.gaps) == ("inference.other-inputs", missing)


def test_a_tokenizer_that_cannot_pad(runners: Callable[..., tsnb.Runner]) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    tokenizer.pad_token = None
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.Runner(trace_of(runners()), tokenizer)
    assert caught.value.key == "inference.no-pad-token"


def unbuilt(traced: Any, tokenizer: Any, **options: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.Runner(traced, tokenizer, **options)
    return caught.value.key


def test_a_trace_without_the_mask_that_the_tokenizer_makes(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    traced = tsnb.trace(model, {"input_ids": inputs["input_ids"]})
    assert unbuilt(traced, tokenizer) == "inference.no-mask"


def test_a_model_that_reads_padding_for_all_its_mask(load: Callable[..., Any]) -> None:
    """ConvBERT's convolutions mix a token with its neighbours, masked ones too."""
    tokenizer = load()[1]
    sizes = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 64}
    config = ConvBertConfig(vocab_size=len(tokenizer), num_hidden_layers=2, num_attention_heads=4, **sizes)
    model = ConvBertModel(config).eval()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    assert unbuilt(traced, tokenizer) == "inference.padding-counts"


def test_padding_that_moves_the_text(traced: Traces) -> None:
    tokenizer = tsnb.load("tiny-bert")[1]
    tokenizer.padding_side = "left"
    assert unbuilt(traced(), tokenizer) == "inference.padding-counts"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
def test_rounding_is_not_taken_for_a_difference(dtype: torch.dtype) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    traced = tsnb.trace(model.to(dtype), tsnb.dummy_inputs(tokenizer, model, max_length=16))
    wide = replace(traced, contract=replace(traced.contract, verified=((1, 8), (2, 16))))
    assert tsnb.Runner(wide, tokenizer).dynamic


@pytest.mark.parametrize("given", ["model.pt", None, 5, torch.nn.Linear(2, 2)])
def test_what_is_no_trace(load: Callable[..., Any], given: Any) -> None:
    assert unbuilt(given, load()[1]) == "tracing.not-a-trace"


def test_what_is_no_tokenizer(traced: Traces) -> None:
    assert unbuilt(traced(), None) == "inference.not-a-tokenizer"


@pytest.mark.parametrize("max_tokens", [None, "512", 0, 2.5])
def test_a_budget_that_is_no_whole_number(load: Callable[..., Any], traced: Traces, max_tokens: Any) -> None:
    assert unbuilt(traced(), load()[1], max_tokens=max_tokens) == "inputs.bad-size"


@pytest.mark.parametrize("texts", [5, None])
def test_what_is_no_list_of_texts(runners: Callable[..., tsnb.Runner], texts: Any) -> None:
    assert refused(runners(), texts).key == "inference.no-texts"


@pytest.mark.parametrize(("text", "key"), [(("a",), "inference.not-text"), ("\ud83d", "lengths.no-unicode")])
def test_what_is_no_text(runners: Callable[..., tsnb.Runner], text: Any, key: str) -> None:
    error = refused(runners(), ["jim", text])
    assert (error.key, error.gaps["index"]) == (key, 1)
