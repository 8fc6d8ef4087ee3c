from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModel,
    BartConfig,
    CLIPTextConfig,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    MarianConfig,
    OPTConfig,
    PretrainedConfig,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
)

import tsnb
from tsnb.tracing.inputs import EXAMPLE, in_forward_order, max_positions

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDED = 14  # tokens that the example makes
TABLE = 12  # positions of a small model
ONE_LAYER: dict[str, Any] = {
    "vocab_size": 9,
    "max_position_embeddings": TABLE,
    "num_hidden_layers": 1,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "num_attention_heads": 1,
    "encoder_attention_heads": 1,
    "decoder_attention_heads": 1,
    "hidden_size": 8,
    "d_model": 8,
    "intermediate_size": 8,
    "encoder_ffn_dim": 8,
    "decoder_ffn_dim": 8,
}
STARTS: dict[str, Any] = {"pad_token_id": 0, "decoder_start_token_id": 0}
LIMITED = [
    CLIPTextConfig(**ONE_LAYER),
    BartConfig(**ONE_LAYER, **STARTS, bos_token_id=1, eos_token_id=2, forced_eos_token_id=2),
    GPT2Config(vocab_size=9, n_positions=TABLE, n_embd=8, n_layer=1, n_head=1),
    OPTConfig(**ONE_LAYER, ffn_dim=8, word_embed_proj_dim=8),
    MarianConfig(**ONE_LAYER, **STARTS),
]
Tiny = tuple[Any, Any]


class Named(nn.Module):
    """Required inputs, one with a default, and the two kinds of rest."""

    def forward(self, a: Any, b: Any, *rest: Any, c: Any = None, **others: Any) -> Any:
        return a, b, c, rest, others


def distilbert() -> DistilBertModel:
    return DistilBertModel(DistilBertConfig(vocab_size=623, dim=8, n_layers=1, n_heads=2, hidden_dim=8))


def roberta() -> RobertaModel:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = RobertaConfig(vocab_size=623, intermediate_size=8, max_position_embeddings=514, **sizes)
    return RobertaModel(config)


def t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=623, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))


@pytest.fixture(scope="session")
def tiny(load: Callable[..., Any]) -> Tiny:
    """Give what `dummy_inputs` takes first: the tokenizer, then the model."""
    model, tokenizer = load()
    return tokenizer, model


def refused(tokenizer: Any, model: nn.Module, *choices: Any, **named: Any) -> tsnb.InputError:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.dummy_inputs(tokenizer, model, *choices, **named)
    return caught.value


def test_the_order_is_that_of_forward_and_not_of_the_tokenizer(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    assert list(tokenizer("jim")) == ["input_ids", "token_type_ids", "attention_mask"]
    names = list(tsnb.dummy_inputs(tokenizer, model))
    assert names == ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize(("length", "size"), [(128, 1), (16, 4), (512, 2), (NEEDED, 3)])
def test_shapes_and_dtypes(tiny: Tiny, length: int, size: int) -> None:
    inputs = tsnb.dummy_inputs(*tiny, max_length=length, batch_size=size)
    assert {tuple(tensor.shape) for tensor in inputs.values()} == {(size, length)}
    assert {tensor.dtype for tensor in inputs.values()} == {torch.int64}


def test_padding_is_real_and_masked(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=20)
    assert inputs["attention_mask"][0].tolist() == [1] * NEEDED + [0] * 6
    assert set(inputs["input_ids"][0, NEEDED:].tolist()) == {tokenizer.pad_token_id}


def test_a_pair_has_token_types_0_and_1(tiny: Tiny) -> None:
    inputs = tsnb.dummy_inputs(*tiny, EXAMPLE, max_length=NEEDED)
    assert inputs["token_type_ids"][0].tolist() == [0] * 7 + [1] * 7


def test_a_single_text_has_token_type_0(tiny: Tiny) -> None:
    inputs = tsnb.dummy_inputs(*tiny, "jim henson", max_length=8)
    assert set(inputs["token_type_ids"].unique().tolist()) == {0}


def test_a_pair_may_be_a_list(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model, list(EXAMPLE))  # type: ignore[arg-type]
    assert torch.equal(inputs["input_ids"], tsnb.dummy_inputs(tokenizer, model, EXAMPLE)["input_ids"])


def test_distilbert_takes_no_token_types(load: Callable[..., Any]) -> None:
    inputs = tsnb.dummy_inputs(load()[1], distilbert())
    assert list(inputs) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize(
    ("make", "limit"),
    [(distilbert, 512), (roberta, 512), (t5, None), (lambda: nn.Linear(2, 2), None)],
)
def test_position_limit(make: Callable[[], nn.Module], limit: int | None) -> None:
    assert max_positions(make()) == limit


def test_robertas_limit_is_what_it_can_run(load: Callable[..., Any]) -> None:
    model, tokenizer = roberta().eval(), load()[1]
    inputs = tsnb.dummy_inputs(tokenizer, model, "jim " * 510, max_length=512)
    ids = {"input_ids": inputs["input_ids"] + 2}  # RoBERTa's padding id is 1
    with torch.no_grad():
        assert model(**ids).last_hidden_state.shape == (1, 512, 8)
    with torch.no_grad(), pytest.raises(IndexError):
        model(input_ids=torch.full((1, 513), 7))


def test_a_length_over_the_limit(load: Callable[..., Any]) -> None:
    error = refused(load()[1], roberta(), max_length=513)
    assert (error.key, error.gaps) == ("inputs.over-limit", {"given": 513, "limit": 512})


def test_no_limit_allows_any_length(load: Callable[..., Any]) -> None:
    assert tsnb.dummy_inputs(load()[1], t5(), max_length=600)["input_ids"].shape == (1, 600)


def test_a_text_that_is_too_long_is_not_cut(tiny: Tiny) -> None:
    error = refused(*tiny, max_length=NEEDED - 1)
    assert (error.key, error.gaps) == ("inputs.too-long", {"tokens": NEEDED, "length": NEEDED - 1})


@pytest.mark.parametrize("text", ["", "  \n", ("who was jim ?", " ")])
def test_an_empty_text(tiny: Tiny, text: Any) -> None:
    assert refused(*tiny, text).key == "inputs.empty-text"


@pytest.mark.parametrize("text", [5, ("a", 5), ("a", "b", "c"), (), {"a": "b"}, b"jim"])
def test_what_is_no_text(tiny: Tiny, text: Any) -> None:
    error = refused(*tiny, text)
    assert (error.key, error.gaps["given"]) == ("inputs.not-text", type(text).__name__)


@pytest.mark.parametrize("name", ["max_length", "batch_size"])
@pytest.mark.parametrize("size", [0, -1, 16.0, "16", None])
def test_a_size_that_is_no_whole_number_above_0(tiny: Tiny, name: str, size: Any) -> None:
    error = refused(*tiny, **{name: size})
    assert (error.key, error.gaps) == ("inputs.bad-size", {"name": name, "given": size})


def test_padding_needs_a_pad_token() -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    tokenizer.pad_token = None
    assert refused(tokenizer, model, max_length=16).key == "inputs.no-pad-token"


def test_an_exact_fit_needs_no_pad_token() -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    tokenizer.pad_token = None
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=NEEDED)
    assert inputs["attention_mask"].all()


def test_names_in_the_order_of_forward() -> None:
    assert list(in_forward_order(Named(), {"c": 3, "b": 2, "a": 1})) == ["a", "b", "c"]


def test_an_input_that_is_missing() -> None:
    with pytest.raises(tsnb.InputError) as caught:
        in_forward_order(Named(), {"c": 3, "b": 2})
    assert (caught.value.key, caught.value.gaps["names"]) == ("inputs.missing", "a")


@pytest.mark.parametrize("name", ["inputs_id", "others", "rest"])
def test_an_input_that_forward_does_not_have(name: str) -> None:
    with pytest.raises(tsnb.InputError) as caught:
        in_forward_order(Named(), {"a": 1, "b": 2, name: 3})
    assert (caught.value.key, caught.value.gaps["given"]) == ("inputs.misnamed", name)


def test_a_length_that_numpy_counted(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    longest = tsnb.token_lengths(tokenizer, ["a " * 20]).max()
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=longest)
    assert inputs["input_ids"].shape == (1, 22)


def test_half_of_a_surrogate_pair(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.dummy_inputs(tokenizer, model, "\ud83d")
    assert caught.value.key == "inputs.no-unicode"


class Pictures(nn.Module):
    """Takes pictures, as ViT does."""

    def forward(self, pixel_values: Any) -> Any:
        return pixel_values


def test_a_model_that_takes_nothing_of_what_the_tokenizer_makes(load: Callable[..., Any]) -> None:
    with pytest.raises(tsnb.InputError) as caught:
        tsnb.dummy_inputs(load()[1], Pictures())
    assert (caught.value.key, caught.value.gaps["taken"]) == ("inputs.none-kept", "pixel_values")


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
