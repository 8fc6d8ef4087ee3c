from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, T5Config, T5ForConditionalGeneration

import tsnb
from tests.kinds import Load

WORDS, OUT = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
BIASES = ("cls.predictions.bias", "cls.predictions.decoder.bias")


class Shared(nn.Module):
    """Two layers that share a weight, as a reader might write them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight


def translator(*, torchscript: bool = False) -> Any:
    sizes = {"vocab_size": 16, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    config = T5Config(**sizes, decoder_start_token_id=0, torchscript=torchscript)
    return T5ForConditionalGeneration(config).eval()


def pairs(model: nn.Module) -> list[tuple[str, str, bool]]:
    return [(pair.first, pair.second, pair.tied) for pair in tsnb.tying(model).pairs]


def test_untie_does_to_bert_what_the_flag_does_and_changes_no_output(load: Load) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    assert tsnb.untie(tsnb.untie(model)) is model
    assert set(pairs(model)) == set(pairs(load(torchscript=True)[0]))
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, load()[0](**inputs).logits)


@pytest.mark.line(4)
def test_untie_does_to_a_translator_what_the_flag_does() -> None:
    model, ids = translator(), torch.tensor([[3, 4, 5]])
    ends = [(second.rpartition(".")[0].rpartition(".")[2], tied) for _, second, tied in pairs(model)]
    assert ends == [("embed_tokens", True), ("embed_tokens", True), ("lm_head", True)]
    with torch.no_grad():
        before = model(input_ids=ids, decoder_input_ids=ids).logits
        after = tsnb.untie(model)(input_ids=ids, decoder_input_ids=ids).logits
    assert torch.equal(before, after)
    assert set(pairs(model)) == set(pairs(translator(torchscript=True)))


def test_a_model_without_a_language_head_has_nothing_to_tie(load: Load) -> None:
    report = tsnb.tying(load(head="question-answering")[0])
    assert report.pairs == ()
    assert str(report).startswith("No weights are shared")
    assert str(report) in report._repr_html_()


def test_a_module_of_the_readers_own() -> None:
    module = Shared().requires_grad_(False)
    assert pairs(module) == [("first.weight", "second.weight", True)]
    assert pairs(tsnb.untie(module)) == []
    assert torch.equal(module.first.weight, module.second.weight)
    assert not module.second.weight.requires_grad


def test_a_model_that_cannot_name_its_embeddings() -> None:
    part = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    assert pairs(CLIPModel(CLIPConfig(text_config=part, vision_config=part))) == []


def test_a_model_and_its_untied_copy_show_their_names_bytes_and_addresses(load: Load) -> None:
    model = load()[0]
    reports = [tsnb.tying(shown) for shown in (model, tsnb.untie(deepcopy(model)))]
    assert f"tied   {WORDS} = {OUT} (318,976 bytes, held once)" in str(reports[0]).splitlines()
    assert f"apart  {WORDS} | {OUT} (318,976 bytes, held twice)" in str(reports[1]).splitlines()
    assert [pair.first for pair in reports[1].tied] == [BIASES[0]]
    tied, apart = (report._repr_html_() for report in reports)
    address = f"{model.get_parameter(WORDS).data_ptr() & 0xFFFFFF:06x}"
    assert f"{WORDS}<br>= {OUT}" in tied
    assert f"318,976 bytes at …{address}, names: 2" in tied
    assert "321,468 bytes." in tied
    assert f"{WORDS}<br>" not in apart
    assert apart.count("318,976 bytes at …") == 2
    assert "640,444 bytes." in apart
