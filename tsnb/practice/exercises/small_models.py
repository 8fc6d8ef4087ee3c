"""Small models that the exercises are about; none takes the inputs of a BERT."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from torch import Tensor, nn

VOCABULARY, HIDDEN, PADDING = 100, 16, 9


class Pooled(nn.Module):
    """What the models of one vector a text have in common: an embedding of 100 ids."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)


# Notebook 02: three that trace without an error; one of the traces would reach production, wrong


class Mean(Pooled):
    """The mean of a text's vectors."""

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: Tensor = self.embedding(input_ids)
        return hidden.sum(1) / hidden.shape[1]


class Scaled(Pooled):
    """The sum of a text's vectors, divided by the root of how many there are."""

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: Tensor = self.embedding(input_ids)
        return hidden.sum(1) / math.sqrt(hidden.shape[1])


class Placed(Pooled):
    """The mean of a text's vectors, with a vector for each position added."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(64, HIDDEN))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: Tensor = self.embedding(input_ids)
        positions = self.positions[: int(hidden.shape[1])]
        return (hidden + positions).mean(1)


SUSPECTS = (Mean, Scaled, Placed)


# Notebook 03: two with other inputs than a BERT's


class FloatMask(Pooled):
    """The mean of the vectors that a mask of float32 leaves visible."""

    config = SimpleNamespace(pad_token_id=0)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        """Return one vector a text in a tuple, `(batch, 16)`, float32."""
        total = attention_mask[:, None] @ self.embedding(input_ids)
        return (total[:, 0] / attention_mask.sum(1, keepdim=True),)


class NoMask(Pooled):
    """The mean of the vectors of all ids but 9, which is its padding."""

    config = SimpleNamespace(pad_token_id=PADDING)

    def forward(self, input_ids: Tensor) -> tuple[Tensor]:
        """Return one vector a text in a tuple, `(batch, 16)`, float32."""
        visible = input_ids.ne(PADDING).float()[:, :, None]
        return ((self.embedding(input_ids) * visible).sum(1) / visible.sum(1),)


# Notebook 05: one that traces for no Neuron chip as it is, with a fused operator and a dict


class Classifier(nn.Module):
    """Scores of two classes for a text, by attention over its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.scores = nn.Linear(32, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return the scores by name, `(batch, 2)`, float32."""
        hidden = self.embedding(input_ids)
        visible = attention_mask.bool()[:, None]
        mixed = nn.functional.scaled_dot_product_attention(hidden, hidden, hidden, attn_mask=visible)
        return {"scores": self.scores(mixed[:, 0])}


class MaskFirst(Classifier):
    """The same, with its two inputs in the other order."""

    def forward(self, attention_mask: Tensor, input_ids: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the scores by name, `(batch, 2)`, float32."""
        return super().forward(input_ids, attention_mask)
