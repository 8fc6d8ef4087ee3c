"""Named inputs of real text, in the order of the model's forward. Taught in notebook 02."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

from tsnb.base.errors import InputError, suggest

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Value = TypeVar("Value")
Text = str | tuple[str, str]

PAIR = 2
REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
POSITIONS = ("position_embeddings", "position_embedding", "embed_positions", "wpe")
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
        int64 tensors `(batch_size, max_length)` by name, in the order of `forward`, on the model's device.

    Raises
    ------
    InputError
        Empty text, one that makes no tokens, a text longer than `max_length`, a length over the model's
        position limit, padding needed and no pad token, or a model that takes nothing that the
        tokenizer makes.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> [(name, tuple(tensor.shape)) for name, tensor in inputs.items()]
    [('input_ids', (1, 16)), ('attention_mask', (1, 16)), ('token_type_ids', (1, 16))]

    Taught in notebook 02.
    """
    example: Any = EXAMPLE if text is None else text
    if isinstance(example, (list, tuple)):
        example = tuple(example) if len(example) != 1 else example[0]
    checked = checked_text(None, example)
    texts = checked if isinstance(checked, tuple) else (checked,)
    if not all(part.strip() for part in texts):
        raise InputError("The text is empty. Give at least one word to make inputs from.")
    max_length, batch_size = positive_int("max_length", max_length), positive_int("batch_size", batch_size)
    limit = max_positions(model)
    if limit is not None and max_length > limit:
        raise InputError(f"max_length={max_length} is over the model's position limit: it has embeddings for {limit}.")
    needed = len(tokenizer(*texts, verbose=False)["input_ids"])
    check_token_count(None, needed)
    if needed > max_length:
        raise InputError(
            f"The text makes {needed} tokens, special tokens included, and max_length is {max_length}; "
            "nothing is cut. Raise max_length, or shorten the text."
        )
    if needed < max_length and tokenizer.pad_token is None:
        raise InputError(
            f"The tokenizer has no pad token, and {needed} tokens must be padded to {max_length}. Set one "
            f"(tokenizer.pad_token = tokenizer.eos_token; tsnb export: --pad-token), or ask for max_length={needed}."
        )
    padding = {"padding": "max_length", "max_length": max_length} if needed < max_length else {}
    rows = tokenizer(*texts, return_tensors="pt", **padding)
    taken = parameters(model)
    device = next((weight.device for weight in model.parameters()), "cpu")
    kept = {name: rows[name].repeat(batch_size, 1).to(device) for name in rows if name in taken}
    if not kept:
        raise InputError(
            f"The model's forward takes nothing that this tokenizer makes ({', '.join(rows)}); it takes "
            f"{', '.join(taken)}. Give tsnb.trace tensors of your own by these names."
        )
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
    plain = [name for name, parameter in known.items() if parameter.kind not in REST]
    if named and not plain:
        raise InputError(
            f"The model's forward names no inputs (it takes *args or **kwargs), so {next(iter(named))} has "
            "no place there. Give the module inside, or wrap it in one whose forward names them."
        )
    required = [name for name in plain if known[name].default is inspect.Parameter.empty]
    check_names(named, plain, required)
    return {name: named[name] for name in plain if name in named}


def check_names(names: Iterable[str], known: Iterable[str], required: Iterable[str]) -> None:
    """Raise an InputError where a name is not known, or a required one is missing."""
    names, known = list(names), list(known)
    for name in names:
        if name not in known:
            near = suggest(str(name), known)
            raise InputError(f"The model's forward has no input called {name}. {near}")
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(f"These inputs are missing: {', '.join(missing)}. Given: {', '.join(names)}.")


def max_positions(model: nn.Module) -> int | None:
    """Return the longest sequence that a model's position embeddings allow, in tokens.

    RoBERTa and its kin start counting after the padding index, so that their table of 514 rows
    allows 512 tokens; BART's has an offset of two. `None` where nothing limits the length, as with
    relative positions.

    Examples
    --------
    >>> import tsnb
    >>> max_positions(tsnb.load("tiny-bert")[0])
    512

    Taught in notebook 02.
    """
    from torch import nn

    for name, module in model.named_modules():
        if name.endswith(POSITIONS) and isinstance(module, nn.Embedding):
            padding = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - int(getattr(module, "offset", padding))
    return None


def is_positive_int(value: object) -> bool:
    """True if something is a positive whole number, numpy's too.

    >>> is_positive_int(8), is_positive_int(8.0), is_positive_int(0), is_positive_int(True)
    (True, False, False, False)
    """
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


def positive_int(name: str, value: object) -> int:
    """Return a positive whole number as an int, or raise an InputError that names it.

    >>> positive_int("max_length", 128)
    128
    """
    if not is_positive_int(value):
        raise InputError(f"{name} must be a whole number of at least 1; got {value}.")
    return int(value)  # type: ignore[call-overload, no-any-return]  # is_positive_int says so


def rising(name: str, sizes: Any) -> list[int]:
    """Return positive whole numbers that rise as ints, or raise an InputError that names them.

    >>> rising("lengths", (8, 16))
    [8, 16]
    """
    values = list(sizes) if isinstance(sizes, Iterable) else []
    if not values or not all(map(is_positive_int, values)) or values != sorted({*values}):
        raise InputError(
            f"{name} must be positive whole numbers that rise, such as [8, 16, 32]; got {values or sizes}."
        )
    return [int(size) for size in values]


def checked_texts(texts: Iterable[Value]) -> Iterable[Value]:
    """Return texts, or raise an InputError where they are one text, or a table instead of its column.

    Columns of pandas, polars and `datasets`, arrays and iterators are taken, and none is looked into.

    >>> checked_texts(["who was jim henson ?"])
    ['who was jim henson ?']
    """
    table: Any = texts
    columns = getattr(table, "column_names", getattr(table, "columns", None))
    names: Any = [*table] if isinstance(table, Mapping) else columns
    if names is not None:
        cells = {name: next(iter(table[name]), None) for name in names if hasattr(table[name], "__iter__")}
        column = ["text", *names, *(name for name, cell in cells.items() if isinstance(cell, str))][-1]
        raise InputError(
            f"Expected one column of texts; got a {type(table).__name__} of the columns {', '.join(map(str, names))}. "
            f"Give one of them, such as df[{json.dumps(column, default=str, ensure_ascii=False)}]."
        )
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise InputError(
            f"Expected a list of texts; got one {type(texts).__name__}. Put one text into a list: [text]."
        )
    return texts


def check_token_count(index: int | None, count: int) -> None:
    """Raise an InputError where a text makes no tokens; its index is named among several.

    >>> check_token_count(0, 7)
    """
    if not count:
        name = "The text" if index is None else f"Text {index}"
        raise InputError(
            f"{name} makes no tokens: the tokenizer adds none, and leaves out every character of it. "
            "Leave the text out, or give at least one word."
        )


def checked_text(index: int | None, text: Any) -> Text:
    """Return a text or a pair of them, or raise an InputError that names its index among several.

    >>> checked_text(0, "who was jim henson ?")
    'who was jim henson ?'
    """
    name = "The text" if index is None else f"Text {index}"
    parts = text if isinstance(text, tuple) and len(text) == PAIR else (text,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(
            f"{name} is a {type(text).__name__}; expected a text, or a pair of texts as a tuple. Take a row's "
            "column, make it one with str(), or leave it out, as the dropna() of a pandas column does."
        )
    if not all(map(is_unicode, parts)):
        raise InputError(
            f"{name} holds half of a surrogate pair, which is no character; "
            'text.encode("utf-8", "replace").decode() replaces it.'
        )
    return text  # type: ignore[no-any-return]  # a str, or a tuple of them


def is_unicode(text: str) -> bool:
    r"""True if a text has characters only, no half of a surrogate pair.

    >>> is_unicode("안녕"), is_unicode("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_tensors(inputs: object) -> Mapping[str, torch.Tensor]:
    """Return inputs if they are tensors by name and none is empty, or raise an InputError."""
    if not isinstance(inputs, Mapping) or not inputs:
        raise InputError(f'Expected inputs by name, such as {{"input_ids": tensor}}; got {type(inputs).__name__}.')
    check_tensors(inputs)
    for name, tensor in inputs.items():
        if 0 in tensor.shape:
            raise InputError(f"The input {name} is empty: its shape is {tuple(tensor.shape)}.")
    return inputs


def check_tensors(inputs: Mapping[str, object]) -> None:
    """Raise an InputError that names the first input that is no tensor."""
    import torch

    for name, tensor in inputs.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"The input {name} is a {type(tensor).__name__}; expected a torch.Tensor.")
