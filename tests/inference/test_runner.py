"""The Runner: the model's results text by text, in order, whatever the shapes; what it refuses, and how."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import nn
from transformers import ConvBertConfig, ConvBertModel

import tsnb
from tests.kinds import Load, MonkeyPatch, Traces
from tsnb.inference import runner as inference
from tsnb.models import load as models
from tsnb.tiny_bert import corpus
from tsnb.tracing.inputs import Text
from tsnb.tracing.trace import UnverifiedWarning

Runners = Callable[..., tsnb.Runner]

LENGTH = 24
TEXTS: list[Text] = [
    "jim [MASK] was a puppeteer",
    ("who was jim henson ?", "jim henson was a puppeteer"),
    "henson",
    ("where was mary smith born ?", "mary smith was born in seoul"),
    "jim [MASK] was a puppeteer",
    *corpus.texts(24, seed=3),
]


def encode(tokenizer: Any, text: Any) -> Any:
    return tokenizer(*(text if isinstance(text, tuple) else (text,)), return_tensors="pt")


def static(traced: tsnb.Traced) -> tsnb.Traced:
    """Return a trace that was verified at its traced shape only, so that it runs at no other."""
    contract = traced.contract
    shape = (contract.batch_size or 1, contract.length or 1)
    return replace(traced, contract=replace(contract, verified=(shape,)))


def refused(runner: tsnb.Runner, texts: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        runner(texts)
    return str(caught.value)


def unbuilt(traced: Any, tokenizer: Any, **options: Any) -> str:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.Runner(traced, tokenizer, **options)
    return str(caught.value)


@pytest.fixture(scope="module")
def runners(load: Load, traced: Traces) -> Runners:
    """Make a Runner of a dynamic trace, or of static ones at several lengths."""

    def runner(head: str = "masked-lm", lengths: tuple[int, ...] = (), **options: Any) -> tsnb.Runner:
        traces = [static(traced(head, length, 4)) for length in lengths] or [traced(head, LENGTH, 2)]
        return tsnb.Runner(traces, load(head=head)[1], **options)

    return runner


@pytest.mark.parametrize("lengths", [(), (32, 128)], ids=["dynamic", "static"])
@pytest.mark.parametrize("head", get_args(models.Head))
def test_the_results_equal_the_model_text_by_text(
    load: Load, runners: Runners, head: str, lengths: tuple[int, ...]
) -> None:
    model, tokenizer = load(head=head)
    runner = runners(head, lengths)
    assert runner.dynamic is not bool(lengths)
    for text, result in zip(TEXTS, runner(TEXTS), strict=True):
        with torch.no_grad():
            eager = model(**encode(tokenizer, text))
        assert list(result) == list(eager)
        for name, tensor in result.items():
            assert tensor.shape == eager[name][0].shape  # the text's own length: no padding
            assert torch.allclose(tensor, eager[name][0], atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_texts_fills_a_static_batch(runners: Runners, count: int) -> None:
    results = runners("sequence-classification", (LENGTH,))(["jim henson"] * count)
    assert [result["logits"].shape for result in results] == [(2,)] * count


class Pooling(nn.Module):
    """Numbers of texts that depend on padding in a way of their own, or do not."""

    def __init__(self, pool: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.embedding, self.pool = nn.Embedding(700, 8), pool
        self.strided = nn.Conv1d(8, 8, 4, stride=4)  # for one of them

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.pool(self.embedding(input_ids), attention_mask.unsqueeze(-1).float())


def trace_of(model: nn.Module, tokenizer: Any, length: int) -> tsnb.Traced:
    return tsnb.trace(model.eval(), tsnb.dummy_inputs(tokenizer, model, max_length=length))


@pytest.mark.parametrize("lengths", [(), (16,), (16, 24)], ids=["dynamic", "static", "several"])
def test_a_tokenizer_that_pads_on_the_left(traced: Traces, lengths: tuple[int, ...]) -> None:
    tokenizer = tsnb.load("tiny-bert")[1]
    tokenizer.padding_side = "left"
    bert = [static(traced("masked-lm", length, 4)) for length in lengths] or traced()
    assert "other numbers where padding stands beside it, on the left" in unbuilt(bert, tokenizer)  # it moves the text
    text = Pooling(lambda hidden, mask: (hidden * mask).sum(1) / mask.sum(1))
    pooled = [static(trace_of(text, tokenizer, length)) for length in lengths] or trace_of(text, tokenizer, 16)
    [result] = tsnb.Runner(pooled, tokenizer)(["jim henson"])
    row = tokenizer("jim henson", return_tensors="pt")
    alone = {"output_0": text(row["input_ids"], row["attention_mask"])}
    assert torch.allclose(result["output_0"], alone["output_0"][0], atol=1e-5)


def test_padding_is_tried_in_static_traces_too() -> None:
    tokenizer = tsnb.load("tiny-bert")[1]
    by_length = Pooling(lambda hidden, mask: (hidden * mask).mean(1))  # of padding too
    several = [static(trace_of(by_length, tokenizer, length)) for length in (16, 24)]
    assert "other numbers where padding" in unbuilt(several, tokenizer)
    mixing = Pooling(lambda hidden, mask: hidden + mask * hidden.mean(1, keepdim=True))
    assert "other numbers where padding" in unbuilt(static(trace_of(mixing, tokenizer, 16)), tokenizer)


class Strided(Pooling):
    """A convolution with a stride of four: fewer than four tokens are too few."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(input_ids) * attention_mask.unsqueeze(-1)
        return self.pool(hidden, self.strided(hidden.transpose(1, 2)).transpose(1, 2))


def test_a_model_with_a_least_length() -> None:
    tokenizer = tsnb.load("tiny-bert")[1]
    traced = trace_of(Strided(lambda _, strided: strided), tokenizer, 16)
    assert traced.contract.output_axes == (("batch", "other", 8),)
    assert "on the right (other shapes)" in unbuilt(traced, tokenizer)
    runner = tsnb.Runner(
        trace_of(Strided(lambda hidden, strided: hidden[:, 0] + 0 * strided.sum(1)), tokenizer, 16), tokenizer
    )
    assert len(runner(["jim henson was a poet"])) == 1
    assert "The trace raises at 1 × 3 tokens. It equals its model at 1 × 8, 1 × 16" in refused(runner, ["jim"])


def test_a_trace_that_is_not_its_model_is_refused() -> None:
    tokenizer = tsnb.load("tiny-bert")[1]

    def first(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return hidden[:, : int(mask.sum(1).max())].mean(1)

    with pytest.warns(UnverifiedWarning):
        traced = trace_of(Pooling(first), tokenizer, 16)
    assert "On other values than those that were traced: runs, and differs" in unbuilt(traced, tokenizer)


def test_a_saved_trace_runs_too(runners: Runners, traced: Traces, tmp_path: Any, load: Load) -> None:
    loaded = tsnb.load_traced(tsnb.save(traced("masked-lm", LENGTH, 2), tmp_path / "bert.pt"))
    [again], [before] = tsnb.Runner(loaded, load()[1])(TEXTS[:1]), runners()(TEXTS[:1])
    assert torch.allclose(again["logits"], before["logits"], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
def test_rounding_is_not_taken_for_a_difference(dtype: torch.dtype) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    traced = tsnb.trace(model.to(dtype), tsnb.dummy_inputs(tokenizer, model, max_length=16))
    dynamic = replace(traced, contract=replace(traced.contract, verified=((1, 8), (2, 16))))
    assert tsnb.Runner(dynamic, tokenizer).dynamic


def test_the_work_is_counted(load: Load, runners: Runners) -> None:
    runner, tokenizer = runners(), load()[1]
    runner(TEXTS)
    assert runner.work.real == sum(encode(tokenizer, text)["input_ids"].numel() for text in TEXTS)
    assert runner.work.real < runner.work.computed
    runner([])
    assert runner.work.share == 1.0


def test_an_iterator_gives_the_same_as_a_list_window_by_window(runners: Runners, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "WINDOW", 8)
    taken: list[int] = []

    def source() -> Iterator[Text]:
        for number, text in enumerate(TEXTS):
            taken.append(number)
            yield text

    runner = runners("encoder")
    stream = runner.stream(source())
    first = next(stream)
    assert len(taken) == 8
    for streamed, listed in zip([first, *stream], runner(TEXTS), strict=True):
        assert torch.allclose(streamed["pooler_output"], listed["pooler_output"], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (5, "is a int; expected a text"),
        (("who was jim ?", ""), "is empty"),
        ("jim " * 23, f"makes {LENGTH + 1} tokens, and the trace takes {LENGTH}"),
    ],
)
def test_a_text_that_cannot_be_run_is_named_by_its_index(runners: Runners, text: Any, message: str) -> None:
    runner = runners(lengths=(LENGTH,))
    assert refused(runner, ["jim", "jim " * 22, text, "jim"]).startswith(f"Text 2 {message}")
    assert "Expected a list of texts" in refused(runner, "jim henson")
    assert 'df["review"]' in refused(runner, {"id": [1, 2], "review": ["jim", "henson"]})


def test_beyond_the_first_window_a_text_is_named_by_its_own_index(runners: Runners, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "WINDOW", 2)
    message = refused(runners(max_tokens=8), ["jim", "jim", "jim", "jim was a poet in paris and london"])
    assert message.startswith("Text 3 has 10 tokens")


def test_a_text_over_the_limit_is_cut_only_when_asked(runners: Runners) -> None:
    assert refused(runners(), ["jim", "jim " * 600]).startswith("Text 1 makes 602 tokens")
    [result] = runners(truncate=True)(["jim " * 600])
    assert len(result["logits"]) == 512


def test_what_is_no_trace_or_tells_too_little_or_is_no_tokenizer_or_no_number(load: Load, traced: Traces) -> None:
    model, tokenizer = load()
    unknown = replace(traced(), contract=replace(traced().contract, known=False))
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    refusals = {
        "got no trace": [],
        "tsnb.trace or tsnb.load_traced returns; got str": "model.pt",
        "needs a trace with a known contract": unknown,
        "takes no attention_mask": tsnb.trace(model, {"input_ids": inputs["input_ids"]}),
    }
    for message, trace in refusals.items():
        assert message in unbuilt(trace, tokenizer)
    assert "takes the model's tokenizer" in unbuilt(traced(), None)
    assert "max_tokens must be a whole number" in unbuilt(traced(), tokenizer, max_tokens=2.5)


def test_a_tokenizer_that_makes_other_inputs_or_cannot_pad(traced: Traces) -> None:
    tokenizer = tsnb.load("tiny-bert")[1]
    tokenizer.pad_token = None
    assert "no pad token" in unbuilt(traced(), tokenizer)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    message = unbuilt(traced(), tokenizer)
    assert "takes token_type_ids, which this tokenizer does not make" in message


def test_a_model_that_reads_padding_for_all_its_mask(load: Load) -> None:
    """ConvBERT's convolutions mix a token with its neighbours, masked ones too."""
    tokenizer = load()[1]
    sizes = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 64}
    config = ConvBertConfig(vocab_size=len(tokenizer), num_hidden_layers=2, num_attention_heads=4, **sizes)
    model = ConvBertModel(config).eval()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    assert "other numbers where padding" in unbuilt(traced, tokenizer)


def test_two_runners_share_a_tokenizer_and_each_has_its_own(traced: Traces) -> None:
    """Where one thread changes a fast tokenizer's truncation, another's call of it ends in "Already borrowed"."""
    tokenizer = tsnb.load("tiny-bert")[1]
    runners = [tsnb.Runner(traced(), tokenizer, truncate=truncate) for truncate in (True, False)]
    expected = [[result["logits"] for result in runner(TEXTS[:5])] for runner in runners]
    tokenizer.padding_side, tokenizer.pad_token = "left", None  # the reader's, from now on for something else

    def run(number: int) -> bool:
        results = [result["logits"] for result in runners[number % 2](TEXTS[:5])]
        return all(map(torch.equal, results, expected[number % 2]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(80)))
    assert tokenizer.truncation_side == "right"
    assert tokenizer._tokenizer.truncation is None
