"""Two small models of a text's mean vector that take other inputs than a BERT does."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

VOCABULARY, HIDDEN, PADDING = 100, 16, 9


class FloatMask(nn.Module):
    """The mean of the vectors that a mask of float32 leaves visible."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.config = SimpleNamespace(pad_token_id=0)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor]:
        """Return one vector a text in a tuple, `(batch, 16)`, float32."""
        total = attention_mask[:, None] @ self.embedding(input_ids)
        return (total[:, 0] / attention_mask.sum(1, keepdim=True),)


class NoMask(nn.Module):
    """The mean of the vectors of all ids but 9, which is its padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.config = SimpleNamespace(pad_token_id=PADDING)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor]:
        """Return one vector a text in a tuple, `(batch, 16)`, float32."""
        visible = input_ids.ne(PADDING).float()[:, :, None]
        return ((self.embedding(input_ids) * visible).sum(1) / visible.sum(1),)
