"""Tiny models of many architectures, by name, with random weights from a seed."""

from collections.abc import Callable
from typing import Any

import torch
import transformers

from tsnb.models.load import quiet_transformers

VOCABULARY, POSITIONS = 99, 64
VOCAB: dict[str, Any] = {"vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS}
WIDTH: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 37}
LAYERS: dict[str, Any] = {"num_layers": 2, "num_heads": 2}
FUNNEL: dict[str, Any] = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 37}
CANINE: dict[str, Any] = {"max_position_embeddings": POSITIONS, "num_hash_buckets": 64, "local_transformer_stride": 8}
KEYS: dict[str, Any] = {"num_key_value_heads": 1}
START: dict[str, Any] = {"pad_token_id": 0, "decoder_start_token_id": 0}
CODERS: dict[str, Any] = {
    f"{part}_{name}": size
    for part in ("encoder", "decoder")
    for name, size in {"layers": 1, "attention_heads": 2, "ffn_dim": 37}.items()
}


def like_bert(kind: str, model: str = "Model", **changes: Any) -> Callable[[], Any]:
    """Return what makes a model whose configuration names its sizes as BERT's does."""
    return model_of(kind, model, **{**VOCAB, **WIDTH, **changes})


def model_of(kind: str, /, model: str = "Model", **sizes: Any) -> Callable[[], Any]:
    """Return what makes a model of a family, by the name of its class, with random weights."""

    def factory() -> Any:
        config = getattr(transformers, f"{kind}Config")(**sizes)
        return getattr(transformers, f"{kind}{model}")(config)

    return factory


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "bert": like_bert("Bert"),
    "distilbert": model_of("DistilBert", **VOCAB, dim=32, n_layers=2, n_heads=2, hidden_dim=37),
    "roberta": like_bert("Roberta"),
    "albert": like_bert("Albert", embedding_size=16),
    "electra": like_bert("Electra", embedding_size=16),
    "mpnet": like_bert("MPNet"),
    "deberta-v2": like_bert("DebertaV2", relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"]),
    "t5-encoder": model_of("T5", "EncoderModel", vocab_size=VOCABULARY, d_model=32, d_kv=16, d_ff=37, **LAYERS),
    "modernbert": like_bert("ModernBert", global_attn_every_n_layers=2, local_attention=8, pad_token_id=0),
    "marian": model_of("Marian", "MTModel", **VOCAB, **CODERS, d_model=32, **START),
    "gpt2": model_of(
        "GPT2", "LMHeadModel", vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=32, n_layer=2, n_head=2
    ),
    "gemma2": like_bert("Gemma2", "ForCausalLM", sliding_window=6, head_dim=16, **KEYS),  # in every other layer
    "llama-classifier": like_bert("Llama", "ForSequenceClassification", pad_token_id=0, **KEYS),
    "funnel": model_of("Funnel", **VOCAB, block_sizes=[1, 1], num_decoder_layers=1, **FUNNEL),
    "longformer": like_bert("Longformer", attention_window=4),
    "canine": model_of("Canine", **WIDTH, **CANINE),
}


def make(name: str, seed: int = 0) -> Any:
    """Return a tiny model in eval mode; torch's random state is left as it was."""
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[name]().eval()


def example(name: str, batch: int = 2, length: int = 16) -> dict[str, torch.Tensor]:
    """Return inputs to trace a model with: every token the same, nothing masked."""
    ids = torch.full((batch, length), 5)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {**inputs, "decoder_input_ids": ids} if name == "marian" else inputs
