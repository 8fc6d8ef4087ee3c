"""What transformers 4 and 5 do differently, on both; one that was not tried is used, and said in one line."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import BertConfig, BertForMaskedLM

import tsnb
from tests.kinds import MonkeyPatch, Python
from tsnb.base import versions

SIZES = {"vocab_size": 623, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
# the flag alone gives dicts of the last on 4; a tuple inside breaks the others on 5
FAMILIES = {
    "ConvBert": "masked-lm",
    "ModernBert": "masked-lm",
    "Bert": "masked-lm",
    "Llama": "sequence-classification",
}
BY_HAND = "tied weights are copied, and outputs are tuples."
HEADS = {"masked-lm": "ForMaskedLM", "sequence-classification": "ForSequenceClassification"}

CODE = """
import sys, warnings
from importlib import metadata
real = metadata.version
metadata.version = lambda name: dict([argument.split("=") for argument in sys.argv[1:]]).get(name) or real(name)
with warnings.catch_warnings(record=True) as shown:
    import tsnb
    tsnb.load, tsnb.trace, tsnb.load_traced
print(*(warning.message for warning in shown if "tried" in str(warning.message)), sep="\\n")
"""


@pytest.fixture(autouse=True)
def said_anew() -> Iterator[None]:
    versions.say_by_hand.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.mark.parametrize(("family", "head"), FAMILIES.items())
def test_copies_and_tuples_come_with_the_flag_or_by_hand(family: str, head: Any, tmp_path: Path) -> None:
    config = getattr(transformers, f"{family}Config")(**SIZES, pad_token_id=0, embedding_size=8)
    getattr(transformers, f"{family}{HEADS[head]}")(config).save_pretrained(tmp_path)
    plain, tokenizer = tsnb.load("tiny-bert")
    tokenizer.save_pretrained(tmp_path)
    (plain, _), (model, _) = tsnb.load(tmp_path, head), tsnb.load(tmp_path, head, torchscript=True)
    ids = {"input_ids": torch.tensor([[5, 6, 7]])}
    with torch.no_grad():
        for each in (model, deepcopy(model)):
            assert type(each(**ids)) is tuple
            assert torch.equal(each(**ids)[0], plain(**ids).logits)
        assert torch.equal(model(**ids, return_dict=True).logits, plain(**ids).logits)
    if head == "masked-lm":
        assert tsnb.trace(model, ids).contract.output_names == ("logits",)
    ends = [pair for pair in tsnb.tying(plain).tied if pair.first.endswith("weight")]
    assert len(ends) == (head == "masked-lm")
    assert not [pair for pair in tsnb.tying(model).tied if pair.first.endswith("weight")]


def test_it_is_said_once_where_it_is_done_by_hand() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("tiny-bert", "bert-mini"):
            tsnb.load(name, torchscript=True)
    said = [(str(each.message), each.filename) for each in caught if each.category is versions.FlagWarning]
    assert said == ([] if versions.has_flag() else [(f"{versions.describe_line()}: {BY_HAND}", __file__)])


@pytest.mark.line(5)
def test_an_ignored_flag_is_caught(monkeypatch: MonkeyPatch) -> None:
    """In a reader's own configuration, and where `load` sets it for a transformers that ignores it."""
    model = BertForMaskedLM(BertConfig(**SIZES, torchscript=True)).eval()
    with pytest.warns(versions.FlagWarning, match=r"of this BertForMaskedLM did nothing: transformers 5\.") as caught:
        tsnb.trace(model, {"input_ids": torch.ones(1, 4, dtype=torch.int64)})
    assert caught.pop(versions.FlagWarning).filename == __file__
    monkeypatch.setattr("tsnb.models.load.has_flag", lambda: True)
    with pytest.raises(tsnb.ModelError, match="torchscript=True did nothing: transformers 5"):
        tsnb.load("bert-mini", torchscript=True)


def test_it_is_said_once_when_it_is_first_used_and_nothing_refuses_to_start(python: Python) -> None:
    assert python(CODE, "torch=2.14.1+cu130", "transformers=4.57.0").split() == []
    [line, other] = python(CODE, "torch=2.15.0", "transformers=4.56.2").splitlines()
    assert line == "torch 2.15.0 was not tried, only 2.9 to 2.14; what you see may differ."
    assert other.startswith("transformers 4.56.2 was not tried, only 4.57 to 5.24;")
