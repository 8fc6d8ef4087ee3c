"""Models to explore shapes on: the embedded BERT, the traps, two that go wrong in silence.

And a small one that writes. Taught in notebooks 02 and 05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tsnb.models.load import SEED, load, quiet_transformers, seeded
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.inputs import dummy_inputs, parameters
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import Traced, quiet_jit

if TYPE_CHECKING:
    from torch import nn
    from transformers import MarianMTModel

TINY = {"vocab_size": 99, "max_position_embeddings": 64}
LENGTHS = (4, 8, 15, 16, 24, 32)


@dataclass(frozen=True)
class Subject:
    """A trace, its model, and shapes that are worth a look."""

    traced: Traced
    model: nn.Module
    lengths: tuple[int, ...]
    batch_sizes: tuple[int, ...] = (1, 2, 3)


def bert() -> Subject:
    """Return the embedded BERT, traced at one row of 24."""
    model, tokenizer = load("tiny-bert")
    traced = trace(model, dummy_inputs(tokenizer, model, max_length=24))
    return Subject(traced, model, (8, 16, 24, 32, 64, 128, 512, 513), (1, 2))


def baked_dropout() -> Subject:
    """Return the trap with dropout, traced in training mode by plain torch."""
    import torch

    subject = _trap("BakedDropout")
    with quiet_jit() as jit:
        ids = torch.ones(1, 7, dtype=torch.int64)
        baked = jit.trace(subject.model.train(), ids, check_trace=False)
    subject.model.eval()
    return replace(subject, traced=replace(subject.traced, module=baked))


def funnel() -> Subject:
    """Return a small Funnel transformer with random weights, traced at two rows of 16."""
    from transformers import FunnelConfig, FunnelModel

    sizes = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 37, "num_decoder_layers": 1}
    return _of_ids(_seeded(FunnelModel, FunnelConfig(block_sizes=[1, 1], **sizes, **TINY)), 2, 16, LENGTHS)


def longformer() -> Subject:
    """Return a small Longformer with random weights, traced at two rows of 16."""
    from transformers import LongformerConfig, LongformerModel

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 37}
    config = LongformerConfig(attention_window=4, **sizes, **TINY)
    return _of_ids(_seeded(LongformerModel, config), 2, 16, LENGTHS)


def marian() -> MarianMTModel:
    """Return a small translation model with random weights: 40 tokens, 39 is padding, 0 the end.

    Its weights are large and their seed is chosen, so that it writes several tokens that differ with the
    source; transformers 4 and 5 draw other weights from one seed.
    """
    from transformers import MarianConfig, MarianMTModel

    parts = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
    sizes = {f"{part}_{name}": size for part in ("encoder", "decoder") for name, size in parts.items()}
    tokens = {"vocab_size": 40, "pad_token_id": 39, "decoder_start_token_id": 39}
    others = {"max_position_embeddings": 32, "tie_word_embeddings": False, "attn_implementation": "eager"}
    config = MarianConfig(d_model=16, **sizes, **tokens, **others, init_std=0.5, scale_embedding=True)
    model: MarianMTModel = _seeded(MarianMTModel, config, 3)
    return model


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "bert": bert,
    "int-mask": lambda: _trap("IntMask"),
    "position-loop": lambda: _trap("PositionLoop"),
    "baked-dropout": baked_dropout,
    "funnel": funnel,
    "longformer": longformer,
}


def _trap(name: str) -> Subject:
    """Return one of the traps, traced at one row of 7."""
    from tsnb.tracing import traps

    return _of_ids(traps.make(getattr(traps, name)), 1, 7, (3, 5, 7, 9, 16))


def _of_ids(model: nn.Module, batch: int, length: int, lengths: tuple[int, ...]) -> Subject:
    """Trace a model on token ids, and on a mask where it takes one."""
    import torch

    ids = torch.arange(2, 2 + length).repeat(batch, 1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    taken = {name: tensor for name, tensor in inputs.items() if name in parameters(model)}
    with no_warnings(), quiet_transformers():
        return Subject(trace(model, taken), model, lengths)


def _seeded(kind: Callable[[Any], Any], config: Any, seed: int = SEED) -> Any:
    with seeded(seed):
        return kind(config).eval()
