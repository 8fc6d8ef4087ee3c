"""Inputs of any shape that a model takes, drawn from a seed and like an example. Taught in notebook 02."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from math import prod
from typing import TYPE_CHECKING

from tsnb.tracing.contract import resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tsnb.tracing.contract import Contract, Shape

    Tensors = Mapping[str, torch.Tensor]

IDS = ("ids", "tokens", "src", "x", "input", "inputs")  # and whatever ends with input_ids
MASKS = ("attention_mask", "decoder_attention_mask", "mask")  # ones for tokens, zeros for padding
IDS_AND_MASK = ("batch", "length")
QUARTERED = 4  # tokens from which on a quarter of the first row is padding


def sample_inputs(  # noqa: C901, PLR0913, what to draw, and how
    contract: Contract,
    model: nn.Module,
    shape: Shape,
    *,
    padded: bool = True,
    seed: int = 0,
    example: Tensors | None = None,
    own: bool = False,
) -> dict[str, torch.Tensor]:
    """Draw inputs for a trace at a shape.

    Masks are ones up to each row's own length and zeros beyond it: if `padded`, the first row is
    padded (where it has two tokens) and the last of several is full. Token ids are drawn from the
    model's vocabulary; the pad id stands where the mask is zero and nowhere else, and the special
    tokens of the example stand where it has them: at both ends, and between in proportion. Positions
    count, and token types are those that the model knows. Other whole numbers are the example's own,
    repeated or cut along each axis, in another order along the length; numbers with a point have its
    mean and spread, and for an odd seed the other sign.

    Parameters
    ----------
    contract
        Names, dtypes and axes of the inputs.
    model
        Tells how large its vocabulary is, which tokens are special, and the device.
    shape
        `(batch, length)`; a length that no input has is ignored.
    padded
        Whether some rows are shorter than the length.
    seed
        The same seed gives the same inputs.
    example
        Inputs that the model takes. Without it, an input of unknown meaning is drawn from the vocabulary,
        or from a normal distribution.
    own
        Take the example's ids, and its numbers made smaller by up to a half, for a model that does not
        take any others.

    Returns
    -------
    dict of str to Tensor
        In the contract's order, on the model's device.

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
    example = {name: tensor.detach().cpu() for name, tensor in (example or {}).items()}
    masked = any(_is_mask(name, contract) for name in contract.input_names)

    def draw(name: str) -> torch.Tensor:  # noqa: PLR0911, a rule for each kind of input
        axes, value = contract.input_axes.get(name, IDS_AND_MASK), example.get(name)
        sizes, dtype = resolve(axes, batch, length), getattr(torch, contract.dtypes.get(name, "int64"))
        counts = torch.arange(sizes[-1] if sizes else 1).expand(sizes)
        tokens = real if axes[-1:] == ("length",) and masked else torch.full((batch,), counts.shape[-1])
        number = prod(sizes[:-1])  # several rows belong to one of the batch where texts are choices
        rows = tokens[torch.arange(number) * batch // number]
        if _is_mask(name, contract):
            return (counts < rows.view(*sizes[:-1], 1)).to(dtype)
        if name.endswith("position_ids") and (value is None or bool((value.diff(dim=-1) == 1).all())):
            return (counts + (0 if value is None else value.min())).to(dtype)
        if name.endswith("token_type_ids") and axes[-1:] == ("length",):
            types = max(1, getattr(getattr(model, "config", None), "type_vocab_size", 1) or 1)
            return torch.randint(types, sizes, generator=generator).to(dtype)
        if value is None and dtype.is_floating_point:
            return torch.randn(sizes, generator=generator).to(dtype)
        named_ids = (name.endswith("input_ids") or name in IDS) and len(sizes) > 1
        if value is None or (named_ids and not dtype.is_floating_point):
            known = None if value is None else _texts(value, example, contract.pad_token_id)
            ids = _ids(model, (number, counts.shape[-1]), contract.pad_token_id, known if own else None, generator)
            for row, (line, count) in enumerate(zip(ids, rows.tolist(), strict=True)):
                for place, token in special_places(known[row % len(known)], special, count) if known else ():
                    line[place] = token
                if contract.pad_token_id is not None:
                    line[count:] = contract.pad_token_id
            return ids.view(sizes).to(dtype)
        if dtype.is_floating_point and not own and bool(value.isfinite().all()):
            spread = float(value.double().std(correction=0)) or 1.0
            drawn = float(value.double().mean()) + spread * torch.randn(sizes, generator=generator)
            return (-drawn if seed % 2 else drawn).to(dtype)
        return _like(value, sizes, axes.index("length") if "length" in axes else None, generator)

    special = special_ids(model)
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    return {name: draw(name).to(device) for name in contract.input_names}


def special_places(text: list[int], special: Collection[int], length: int) -> list[tuple[int, int]]:
    """Return where the special tokens of a text stand in another of some length, with their ids.

    Those at its start and end stay there; those between move in proportion, and keep their order.

    >>> special_places([0, 5, 6, 2, 2, 7, 2], {0, 2}, 10)
    [(0, 0), (4, 2), (5, 2), (9, 2)]
    >>> special_places([0, 5, 6, 2], {0, 2}, 1)
    [(0, 2)]
    """
    places = [place for place, token in enumerate(text) if token in special]
    if len(places) >= length:
        return [(place, text[old]) for place, old in enumerate(places[len(places) - length :])]
    head = next((place for place in range(len(text)) if place not in places), len(text))
    tail = next((place for place in range(len(text) - head) if len(text) - 1 - place not in places), 0)
    room, before, last = length - head - tail, len(text) - head - tail, head - 1
    moved = []
    for number, old in enumerate(places):
        place = old
        if old >= len(text) - tail:
            place = old + length - len(text)
        elif old >= head:
            left = len(places) - tail - number  # with this one, still to be placed
            place = min(max(last + 1, head + (old - head) * room // before), head + room - left)
        last = place
        moved.append((place, text[old]))
    return moved


def special_ids(model: nn.Module) -> set[int]:
    """Return the token ids to which a model's configuration gives a meaning, such as `eos_token_id`.

    >>> import tsnb
    >>> special_ids(tsnb.load("tiny-bert")[0])
    {0}
    """
    config = getattr(model, "config", None)
    parts = [config, getattr(config, "get_text_config", lambda: None)()]
    named = [vars(part).items() for part in parts if hasattr(part, "__dict__")]
    values = [value for name, value in chain(*named) if name.endswith(("_token_id", "_token_ids", "_token_index"))]
    flat = chain(*(value if isinstance(value, (list, tuple)) else [value] for value in values))
    return {value for value in flat if isinstance(value, int)}


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


def _ids(
    model: nn.Module,
    sizes: tuple[int, int],
    pad: int | None,
    known: list[list[int]] | None,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw ids that are neither special nor padding, from the vocabulary or from known texts."""
    import torch

    size, special = vocabulary(model), special_ids(model) | {pad}
    if known is not None:
        flat = list(chain(*known))
        words = torch.tensor([token for token in flat if token not in special] or flat)
        return words[torch.randint(len(words), sizes, generator=generator)]
    left_out = sorted(each for each in special if each is not None and 0 <= each < size)
    ids = torch.randint(max(1, size - len(left_out)), sizes, generator=generator)
    for each in left_out if len(left_out) < size else ():
        ids += ids >= each
    return ids


def _texts(ids: torch.Tensor, example: Tensors, pad: int | None) -> list[list[int]]:
    """Return the rows of an example's ids without their padding."""
    mask = next((example[name] for name in MASKS if name in example and example[name].shape == ids.shape), None)
    kept = ids != (-1 if pad is None else pad) if mask is None else mask.bool()
    rows = zip(ids.view(-1, ids.shape[-1]), kept.view(-1, ids.shape[-1]), strict=True)
    return [row[keep].tolist() for row, keep in rows]


def _like(value: torch.Tensor, sizes: tuple[int, ...], length: int | None, generator: torch.Generator) -> torch.Tensor:
    """Repeat or cut a tensor along each dimension; change the order along the length, or the numbers."""
    import torch

    whole = not value.is_floating_point() or bool((value == value.round()).all())
    for dimension, size in enumerate(sizes):
        places = torch.arange(size) % value.shape[dimension]
        if whole and dimension == length:
            places = places[torch.randperm(size, generator=generator)]
        value = value.index_select(dimension, places)
    return value if whole else value * (1 - torch.rand(sizes, generator=generator) / 2).to(value.dtype)


def _is_mask(name: str, contract: Contract) -> bool:
    return name in MASKS and contract.input_axes.get(name, IDS_AND_MASK)[-1:] == ("length",)
