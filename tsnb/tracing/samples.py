"""Seeded inputs of any shape for a trace, with real padding in the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.tracing.contract import resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Contract, Shape

IDS_AND_MASK = ("batch", "length")
QUARTERED = 4  # tokens from which on a quarter of the first row is padding


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
    real = torch.full((batch,), length)  # tokens of each row
    if padded:
        real = torch.randint((length + 1) // 2, length + 1, (batch,), generator=generator)
        real[-1] = length
        real[0] = length - length // 4 if length >= QUARTERED else max(1, length - 1)
    beyond = torch.arange(length).expand(batch, length) >= real.unsqueeze(-1)

    def draw(name: str) -> torch.Tensor:
        axes = contract.input_axes.get(name, IDS_AND_MASK)
        sizes = resolve(axes, batch, length)
        dtype = getattr(torch, contract.dtypes.get(name, "int64"))
        if name.endswith("mask") and axes == IDS_AND_MASK:
            return (~beyond).to(dtype)
        if dtype.is_floating_point:
            return torch.randn(sizes, dtype=dtype, generator=generator)
        if name.endswith("position_ids"):
            return torch.arange(sizes[-1]).expand(sizes).to(dtype)
        if name.endswith("token_type_ids"):
            types = max(1, getattr(getattr(model, "config", None), "type_vocab_size", 1) or 1)
            return torch.randint(types, sizes, generator=generator).to(dtype)
        pad, known = contract.pad_token_id, vocabulary(model)
        if pad is None:
            return torch.randint(known, sizes, generator=generator).to(dtype)
        ids = torch.randint(max(1, known - 1), sizes, generator=generator)
        ids = ids + (ids >= pad).long()  # skips the pad id
        masked = any(each.endswith("attention_mask") for each in contract.input_names)
        return (ids.masked_fill(beyond, pad) if masked and sizes == shape else ids).to(dtype)

    return {name: draw(name) for name in contract.input_names}


def vocabulary(model: nn.Module) -> int:
    """Return how many token ids a model knows: what its configuration says, or its smallest embedding.

    >>> from torch import nn
    >>> vocabulary(nn.Embedding(20, 4))
    20
    """
    from torch import nn

    configured = getattr(getattr(model, "config", None), "vocab_size", None)
    tables = [part.num_embeddings for part in model.modules() if isinstance(part, nn.Embedding)]
    return configured or min(tables, default=2)
