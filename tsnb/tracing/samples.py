"""Seeded inputs of any shape for a trace, with real padding in the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.tracing.axes import resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Contract, Shape

IDS_AND_MASK = ("batch", "length")


def sample_inputs(
    contract: Contract, model: nn.Module, shape: Shape, *, padded: bool = True, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Draw inputs for a trace at a shape.

    Masks are ones up to each row's own length and zeros beyond it: if `padded`, the first row is
    padded (where it has two tokens) and the last of several is full. Token ids are drawn from the
    model's vocabulary; the pad id stands where the mask is zero and nowhere else. Floating-point
    inputs are drawn from a normal distribution.

    Parameters
    ----------
    contract
        Names, dtypes and axes of the inputs.
    model
        Tells how large its vocabulary is.
    shape
        `(batch, length)`.
    padded
        Whether some rows are shorter than the length.
    seed
        The same seed gives the same inputs.

    Returns
    -------
    dict of str to Tensor
        In the contract's order.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> sample_inputs(traced.contract, model, (1, 8))["attention_mask"].tolist()
    [[1, 1, 1, 1, 1, 1, 0, 0]]
    """
    import torch

    batch, length = shape
    generator = torch.Generator().manual_seed(seed)
    real = _real_lengths(batch, length, generator) if padded else torch.full((batch,), length)
    beyond = torch.arange(length).expand(batch, length) >= real.unsqueeze(-1)
    draw = _Draw(contract, model, beyond, generator)
    return {name: draw(name, batch, length) for name in contract.input_names}


class _Draw:
    """Draws one input by what its name and dtype say it is."""

    def __init__(
        self, contract: Contract, model: nn.Module, padded: torch.Tensor, generator: torch.Generator
    ) -> None:
        self.contract, self.model = contract, model
        self.padded, self.generator = padded, generator
        self.masked = any(name.endswith("attention_mask") for name in contract.input_names)

    def __call__(self, name: str, batch: int, length: int) -> torch.Tensor:
        import torch

        axes = self.contract.input_axes.get(name, IDS_AND_MASK)
        shape = resolve(axes, batch, length)
        dtype = getattr(torch, self.contract.dtypes.get(name, "int64"))
        if name.endswith("mask") and axes == IDS_AND_MASK:
            return (~self.padded).to(dtype)
        if dtype.is_floating_point:
            return torch.randn(shape, dtype=dtype, generator=self.generator)
        if name.endswith("position_ids"):
            return torch.arange(shape[-1]).expand(shape).to(dtype)
        return self._integers(name, shape).to(dtype)

    def _integers(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Draw token types, or token ids with the pad id where the mask is zero."""
        import torch

        if name.endswith("token_type_ids"):
            types = max(1, getattr(getattr(self.model, "config", None), "type_vocab_size", 1) or 1)
            return torch.randint(types, shape, generator=self.generator)
        pad, known = self.contract.pad_token_id, vocabulary(self.model)
        if pad is None:
            return torch.randint(known, shape, generator=self.generator)
        ids = torch.randint(max(1, known - 1), shape, generator=self.generator)
        ids = ids + (ids >= pad).long()  # skips the pad id
        fits = self.masked and ids.shape == self.padded.shape
        return ids.masked_fill(self.padded, pad) if fits else ids


def vocabulary(model: nn.Module) -> int:
    """Return how many token ids a model knows: its configuration's word, or its smallest embedding.

    >>> from torch import nn
    >>> vocabulary(nn.Embedding(20, 4))
    20
    """
    from torch import nn

    said = getattr(getattr(model, "config", None), "vocab_size", None)
    tables = [part.num_embeddings for part in model.modules() if isinstance(part, nn.Embedding)]
    return said or min(tables, default=2)


def _real_lengths(batch: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """Return each row's tokens: three quarters in the first, all in the last of several."""
    import torch

    real = torch.randint((length + 1) // 2, length + 1, (batch,), generator=generator)
    real[-1] = length
    real[0] = length - length // 4 if length > 3 else max(1, length - 1)  # noqa: PLR2004, a quarter
    return real
