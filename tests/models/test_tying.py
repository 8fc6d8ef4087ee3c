from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
)

import tsnb
from tsnb.models.tying import TiedPair, TyingReport

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS, OUT = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
BIASES = ("cls.predictions.bias", "cls.predictions.decoder.bias")
TRANSLATORS = ["marian", "t5"]


class Shared(nn.Module):
    """Two layers that share a weight, as a reader might write them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(self.first(x))
        return found


def marian(*, torchscript: bool) -> Any:
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ids = {"pad_token_id": 0, "decoder_start_token_id": 0}
    config = MarianConfig(vocab_size=16, d_model=8, torchscript=torchscript, **sizes, **heads, **ids)
    return MarianMTModel(config).eval()


def t5(*, torchscript: bool) -> Any:
    sizes = {"vocab_size": 16, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    config = T5Config(torchscript=torchscript, decoder_start_token_id=0, **sizes)
    return T5ForConditionalGeneration(config).eval()


def translator(kind: str, *, torchscript: bool = False) -> Any:
    return {"marian": marian, "t5": t5}[kind](torchscript=torchscript)


def pairs(model: nn.Module) -> list[tuple[str, str, bool]]:
    return [(pair.first, pair.second, pair.tied) for pair in tsnb.tying(model).pairs]


@pytest.mark.parametrize("torchscript", [False, True])
def test_bert_is_tied_unless_the_flag_is_set(load: Callable[..., Any], *, torchscript: bool) -> None:
    model, _ = load(torchscript=torchscript)
    address = model.get_parameter(WORDS).data_ptr()
    assert (model.get_parameter(OUT).data_ptr() == address) is not torchscript
    assert (WORDS, OUT, not torchscript) in pairs(model)


@pytest.mark.parametrize("torchscript", [False, True])
def test_the_biases_are_shared_with_and_without_the_flag(
    load: Callable[..., Any], *, torchscript: bool
) -> None:
    assert (*BIASES, True) in pairs(load(torchscript=torchscript)[0])


def test_untie_does_to_bert_what_the_flag_does(load: Callable[..., Any]) -> None:
    untied = tsnb.untie(tsnb.load("tiny-bert")[0])
    assert set(pairs(untied)) == set(pairs(load(torchscript=True)[0]))
    assert len(pairs(untied)) == 2


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_untie_does_to_a_translator_what_the_flag_does(kind: str) -> None:
    untied, flagged = tsnb.untie(translator(kind)), translator(kind, torchscript=True)
    assert set(pairs(untied)) == set(pairs(flagged))


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_a_translator_shares_its_embedding_three_times(kind: str) -> None:
    found = [(second.rpartition(".")[0], tied) for _, second, tied in pairs(translator(kind))]
    ends = [(name.rpartition(".")[2] or name, tied) for name, tied in found]
    assert ends == [("embed_tokens", True), ("embed_tokens", True), ("lm_head", True)]


def test_sizes_are_those_of_one_copy(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    [pair] = [pair for pair in tsnb.tying(model).pairs if pair.second == OUT]
    elements = len(tokenizer) * model.config.hidden_size
    assert (pair.parameters, pair.bytes) == (elements, 4 * elements)


@pytest.mark.parametrize("head", ["encoder", "question-answering"])
def test_a_model_without_a_language_head_has_nothing_to_tie(load: Callable[..., Any], head: str) -> None:
    assert tsnb.tying(load(head=head)[0]) == TyingReport(())


def test_a_module_of_the_readers_own() -> None:
    module = Shared()
    assert pairs(module) == [("first.weight", "second.weight", True)]
    assert pairs(tsnb.untie(module)) == []
    assert torch.equal(module.first.weight, module.second.weight)


def test_a_model_that_cannot_name_its_embeddings() -> None:
    part = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    part["intermediate_size"] = 8
    assert pairs(CLIPModel(CLIPConfig(text_config=part, vision_config=part))) == []


def test_untie_changes_no_output_by_a_single_bit(load: Callable[..., Any]) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    with torch.no_grad():
        assert torch.equal(tsnb.untie(model)(**inputs).logits, load()[0](**inputs).logits)


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_untie_changes_no_output_of_a_translator(kind: str) -> None:
    model, ids = translator(kind), torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        before = model(input_ids=ids, decoder_input_ids=ids).logits
        after = tsnb.untie(model)(input_ids=ids, decoder_input_ids=ids).logits
    assert torch.equal(before, after)


@pytest.mark.parametrize("trainable", [False, True])
def test_untie_keeps_requires_grad(*, trainable: bool) -> None:
    module = Shared().requires_grad_(trainable)
    copy = tsnb.untie(module).second.weight
    assert (copy.requires_grad, copy.is_leaf) == (trainable, True)


def test_untie_works_in_place_and_twice() -> None:
    module = Shared()
    assert tsnb.untie(tsnb.untie(module)) is module


def test_tied_are_the_pairs_that_share_storage(load: Callable[..., Any]) -> None:
    report = tsnb.tying(load(torchscript=True)[0])
    assert [pair.first for pair in report.tied] == [BIASES[0]]


def test_a_report_prints_a_line_a_pair() -> None:
    report = TyingReport((TiedPair("a", "b", True, 512, 2048), TiedPair("c", "d", False, 512, 2048)))
    first, second = str(report).splitlines()
    assert first.split()[:4] == ["tied", "a", "=", "b"]
    assert second.split()[:4] == ["apart", "c", "|", "d"]
    assert "2,048 bytes" in first
    assert repr(report) == str(report)


def test_an_empty_report_says_so() -> None:
    assert str(TyingReport(())).startswith("No weights are shared")
