"""Named dummy inputs, in the order of the model's forward. Taught in notebook 02."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from tsnb.errors import InputError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Value = TypeVar("Value")
Text = str | tuple[str, str]

EXAMPLE = ("Who was Jim Henson ?", "Jim Henson was a puppeteer")


def dummy_inputs(
    tokenizer: PreTrainedTokenizerBase,
    model: nn.Module,
    text: Text | None = None,
    max_length: int = 128,
    batch_size: int = 1,
) -> dict[str, torch.Tensor]:
    """Make example inputs to trace a model with: real text, real padding, real mask.

    Parameters
    ----------
    tokenizer
        The model's tokenizer.
    model
        Its `forward` decides which inputs are kept, and their order.
    text
        A text, or a pair of texts as `(first, second)`; by default a question and its answer.
    max_length
        Sequence length in tokens, special tokens and padding included.
    batch_size
        Number of rows; each holds the same text.

    Returns
    -------
    dict of str to Tensor
        int64 tensors `(batch_size, max_length)` by name, in the order of `forward`.

    Raises
    ------
    InputError
        Empty text, a text longer than `max_length`, a length over the model's position limit, or
        padding needed and no pad token.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> [(name, tuple(tensor.shape)) for name, tensor in inputs.items()]
    [('input_ids', (1, 16)), ('attention_mask', (1, 16)), ('token_type_ids', (1, 16))]

    Taught in notebook 02.
    """
    texts = _checked_texts(EXAMPLE if text is None else text)
    _check_size(model, max_length, batch_size)
    needed = len(tokenizer(*texts, verbose=False)["input_ids"])
    if needed > max_length:
        raise InputError("inputs.too-long", tokens=needed, length=max_length)
    if needed < max_length and tokenizer.pad_token is None:
        raise InputError("inputs.no-pad-token", tokens=needed, length=max_length)
    padding = {"padding": "max_length", "max_length": max_length} if needed < max_length else {}
    rows = tokenizer(*texts, return_tensors="pt", **padding)
    kept = {name: rows[name].repeat(batch_size, 1) for name in rows if name in parameters(model)}
    return in_forward_order(model, kept)


def parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    """Return the parameters of a model's `forward` by name, in their order.

    >>> from torch import nn
    >>> list(parameters(nn.Linear(2, 2)))
    ['input']
    """
    return dict(inspect.signature(model.forward).parameters)


def in_forward_order(model: nn.Module, named: Mapping[str, Value]) -> dict[str, Value]:
    """Return named values in the order of a model's `forward`.

    Raises
    ------
    InputError
        A name that `forward` does not have, or a required one that is missing.

    Examples
    --------
    >>> from torch import nn
    >>> in_forward_order(nn.Bilinear(2, 2, 2), {"input2": 2, "input1": 1})
    {'input1': 1, 'input2': 2}
    """
    known = parameters(model)
    rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    plain = [name for name, found in known.items() if found.kind not in rest]
    for name in named:
        if name not in plain:
            raise InputError("inputs.misnamed", given=name, near=suggest(name, plain))
    required = [name for name in plain if known[name].default is inspect.Parameter.empty]
    missing = [name for name in required if name not in named]
    if missing:
        raise InputError("inputs.missing", names=", ".join(missing), given=", ".join(named))
    return {name: named[name] for name in plain if name in named}


def max_positions(model: nn.Module) -> int | None:
    """Return the longest sequence that a model's position embeddings allow, in tokens.

    RoBERTa and its kin start counting after the padding index, so that their table of 514 rows
    allows 512 tokens. `None` where nothing limits the length, as with relative positions.

    Examples
    --------
    >>> import tsnb
    >>> max_positions(tsnb.load("tiny-bert")[0])
    512

    Taught in notebook 02.
    """
    from torch import nn

    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - skipped
    return None


def _checked_texts(text: object) -> tuple[str, ...]:
    texts = tuple(text) if isinstance(text, (tuple, list)) else (text,)
    if len(texts) not in (1, 2) or not all(isinstance(part, str) for part in texts):
        raise InputError("inputs.not-text", given=type(text).__name__)
    if not all(part.strip() for part in texts):
        raise InputError("inputs.empty-text")
    return texts


def _check_size(model: nn.Module, max_length: int, batch_size: int) -> None:
    sizes: dict[str, Any] = {"max_length": max_length, "batch_size": batch_size}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise InputError("inputs.bad-size", name=name, given=size)
    limit = max_positions(model)
    if limit is not None and max_length > limit:
        raise InputError("inputs.over-limit", given=max_length, limit=limit)
