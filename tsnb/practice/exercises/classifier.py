"""A small classifier that traces for no Neuron chip as it is: with a fused operator, and a dict."""

from __future__ import annotations

import torch
from torch import nn

VOCABULARY, HIDDEN = 1000, 32


class Classifier(nn.Module):
    """Scores of two classes for a text, by attention over its pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.scores = nn.Linear(HIDDEN, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the scores by name, `(batch, 2)`, float32."""
        hidden = self.embedding(input_ids)
        visible = attention_mask.bool()[:, None]
        mixed = nn.functional.scaled_dot_product_attention(hidden, hidden, hidden, attn_mask=visible)
        return {"scores": self.scores(mixed[:, 0])}


class MaskFirst(nn.Module):
    """The same, with its two inputs in the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier()

    def forward(self, attention_mask: torch.Tensor, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the scores by name, `(batch, 2)`, float32."""
        scores: dict[str, torch.Tensor] = self.classifier(input_ids, attention_mask)
        return scores
