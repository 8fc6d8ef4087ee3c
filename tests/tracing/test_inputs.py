from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel, BartConfig, CLIPTextConfig, GPT2Config, PretrainedConfig

import tsnb
from tests.kinds import Load
from tests.tracing.architectures import make
from tsnb.tracing.inputs import EXAMPLE, in_forward_order, max_positions

NEEDED = 14  # tokens that the example makes
TABLE = 12  # positions of a small model
ONE_HEAD = {"num_attention_heads": 1, "intermediate_size": 8}
LIMITED = [
    CLIPTextConfig(vocab_size=9, max_position_embeddings=TABLE, hidden_size=8, num_hidden_layers=1, **ONE_HEAD),
    BartConfig(vocab_size=9, max_position_embeddings=TABLE, d_model=16, encoder_layers=1, decoder_layers=1),
    GPT2Config(vocab_size=9, n_positions=TABLE, n_embd=8, n_layer=1, n_head=1),
]
Tiny = tuple[Any, Any]


class Named(nn.Module):
    """Required inputs, one with a default, and the two kinds of rest."""

    def forward(self, a: Any, b: Any, *rest: Any, c: Any = None, **others: Any) -> Any:
        return a, b, c, rest, others


@pytest.fixture(scope="session")
def tiny(load: Load) -> Tiny:
    """Give what `dummy_inputs` takes first: the tokenizer, then the model."""
    model, tokenizer = load()
    return tokenizer, model


def refused(message: str, tokenizer: Any, model: nn.Module, *choices: Any, **named: Any) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        tsnb.dummy_inputs(tokenizer, model, *choices, **named)


@pytest.mark.parametrize(("length", "size"), [(16, 4), (512, 2), (NEEDED, 3)])
def test_names_shapes_and_dtypes_in_the_order_of_forward(tiny: Tiny, length: int, size: int) -> None:
    assert list(tiny[0]("jim")) == ["input_ids", "token_type_ids", "attention_mask"]
    inputs = tsnb.dummy_inputs(*tiny, max_length=length, batch_size=size)
    assert list(inputs) == ["input_ids", "attention_mask", "token_type_ids"]
    assert {tuple(tensor.shape) for tensor in inputs.values()} == {(size, length)}
    assert {tensor.dtype for tensor in inputs.values()} == {torch.int64}
    assert list(tsnb.dummy_inputs(tiny[0], make("distilbert"), max_length=16)) == ["input_ids", "attention_mask"]


def test_padding_is_real_and_masked(tiny: Tiny) -> None:
    inputs = tsnb.dummy_inputs(*tiny, max_length=20)
    assert inputs["attention_mask"][0].tolist() == [1] * NEEDED + [0] * 6
    assert set(inputs["input_ids"][0, NEEDED:].tolist()) == {tiny[0].pad_token_id}


def test_a_pair_has_token_types_0_and_1(tiny: Tiny) -> None:
    for pair in (EXAMPLE, list(EXAMPLE)):
        inputs = tsnb.dummy_inputs(*tiny, pair, max_length=NEEDED)  # type: ignore[arg-type]
        assert inputs["token_type_ids"][0].tolist() == [0] * 7 + [1] * 7
    assert not tsnb.dummy_inputs(*tiny, "jim henson", max_length=8)["token_type_ids"].any()


def test_a_length_that_numpy_counted_and_any_length_where_there_is_no_limit(tiny: Tiny) -> None:
    longest = tsnb.token_lengths(tiny[0], ["a " * 20]).max()
    assert tsnb.dummy_inputs(*tiny, max_length=longest)["input_ids"].shape == (1, 22)
    unlimited = make("t5-encoder")
    assert max_positions(unlimited) is None
    assert tsnb.dummy_inputs(tiny[0], unlimited, max_length=600)["input_ids"].shape == (1, 600)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"max_length": NEEDED - 1}, f"makes {NEEDED} tokens, .*max_length is {NEEDED - 1}"),
        ({"max_length": 513}, "over the model's position limit: it has embeddings for 512"),
        ({"max_length": 16.0}, "max_length must be a whole number of at least 1; got 16.0"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"text": ("who was jim ?", " ")}, "The text is empty"),
        ({"text": 5}, "The text is a int; expected a text, or a pair"),
        ({"text": ("a", "b", "c")}, "The text is a tuple; expected a text, or a pair"),
        ({"text": "\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_texts_and_sizes_that_make_no_inputs(tiny: Tiny, choices: dict[str, Any], message: str) -> None:
    refused(message, *tiny, **choices)


def test_padding_needs_a_pad_token_and_an_exact_fit_does_not() -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    tokenizer.pad_token = None
    refused("has no pad token", tokenizer, model, max_length=16)
    assert tsnb.dummy_inputs(tokenizer, model, max_length=NEEDED)["attention_mask"].all()


class Pictures(nn.Module):
    """Takes pictures, as ViT does."""

    def forward(self, pixel_values: Any) -> Any:
        return pixel_values


def test_a_model_that_takes_nothing_of_what_the_tokenizer_makes(tiny: Tiny) -> None:
    refused("it takes pixel_values. Give tsnb.trace", tiny[0], Pictures())


def test_names_in_the_order_of_forward() -> None:
    assert list(in_forward_order(Named(), {"c": 3, "b": 2, "a": 1})) == ["a", "b", "c"]
    with pytest.raises(tsnb.InputError, match=r"missing: a\. Given: c, b"):
        in_forward_order(Named(), {"c": 3, "b": 2})
    for name in ("inputs_id", "others", "rest"):
        with pytest.raises(tsnb.InputError, match=f"no input called {name}"):
            in_forward_order(Named(), {"a": 1, "b": 2, name: 3})


@pytest.mark.parametrize("config", LIMITED, ids=lambda config: config.model_type)
def test_the_position_limit_is_where_the_model_stops(config: PretrainedConfig) -> None:
    """One token more and the model raises, whatever its table of positions is called."""
    model = AutoModel.from_config(config).eval()
    assert max_positions(model) == TABLE
    ids = torch.ones(1, TABLE + 1, dtype=torch.long)
    others = {"decoder_input_ids": ids[:, :1]} if config.is_encoder_decoder else {}
    model(input_ids=ids[:, :TABLE], **others)
    with pytest.raises((IndexError, ValueError, RuntimeError)):
        model(input_ids=ids, **others)
