"""Three small models that trace without an error; one of them would reach production, wrong."""

from __future__ import annotations

import math

import torch
from torch import nn

VOCABULARY, HIDDEN, POSITIONS = 100, 16, 64


class Mean(nn.Module):
    """The mean of a text's vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: torch.Tensor = self.embedding(input_ids)
        return hidden.sum(1) / hidden.shape[1]


class Scaled(nn.Module):
    """The sum of a text's vectors, divided by the root of how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: torch.Tensor = self.embedding(input_ids)
        return hidden.sum(1) / math.sqrt(hidden.shape[1])


class Placed(nn.Module):
    """The mean of a text's vectors, with a vector for each place added."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.places = nn.Parameter(torch.randn(POSITIONS, HIDDEN))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden: torch.Tensor = self.embedding(input_ids)
        places = self.places[: int(hidden.shape[1])]
        return (hidden + places).mean(1)
