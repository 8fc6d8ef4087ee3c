"""Three small models that trace without an error and break in three ways. Taught in notebook 02."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tsnb.models.load import seeded

VOCABULARY, HIDDEN = 100, 16
HIDDEN_SCORE = -1e9


class IntMask(nn.Module):
    """Attention with a causal mask whose size is a Python `int`.

    The trace keeps the number. At another length it raises, with the message that the Transformers
    documentation has shown since 2022 for every model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a token, `(batch, length, 16)`, float32."""
        batch, length = input_ids.shape
        hidden: torch.Tensor = self.embedding(input_ids)
        scores: torch.Tensor = self.query(hidden) @ hidden.transpose(1, 2)
        n = int(length)
        mask = torch.tril(torch.ones(1, n, n)).expand(batch, length, length)
        return scores.masked_fill(mask == 0, HIDDEN_SCORE).softmax(-1) @ hidden


class PositionLoop(nn.Module):
    """A running sum over positions, written as a Python loop.

    The trace writes out one step for each traced position. A shorter input raises; a longer one is
    cut off after the traced length, without an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, `(batch, 16)`, float32."""
        hidden = self.embedding(input_ids)
        state = torch.zeros_like(hidden[:, 0])
        for position in range(input_ids.shape[1]):
            state = torch.tanh(state + hidden[:, position])
        return state


class BakedDropout(nn.Module):
    """An embedding with dropout, harmless in eval mode.

    Traced in training mode, dropout stays in the trace for good.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.dropout = nn.Dropout(0.5)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return one vector a token, `(batch, length, 16)`, float32."""
        hidden: torch.Tensor = self.embedding(input_ids)
        dropped: torch.Tensor = self.dropout(hidden)
        return dropped


def make(trap: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Return one of the models in eval mode, with weights drawn from a seed.

    Examples
    --------
    >>> tuple(make(PositionLoop)(torch.ones(2, 7, dtype=torch.long)).shape)
    (2, 16)
    """
    with seeded(seed):
        return trap().eval()
