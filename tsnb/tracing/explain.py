"""What a shape error of TorchScript says, taken apart. Taught in notebook 02."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tsnb.base.tables import wrapped
from tsnb.tracing.graphs import innermost

if TYPE_CHECKING:
    import torch

    from tsnb.tracing.contract import Contract
    from tsnb.tracing.traced import Traced

    Shapes = Mapping[str, tuple[int, ...]]
    Sizes = tuple[int | None, int | None]

FAMILIES: dict[str, dict[str, Any]] = tomllib.loads(  # of messages, in the order in which they are tried
    (files("tsnb.tracing") / "shape_errors.toml").read_text(encoding="utf-8")
)
IN_A_TRACE = "Traceback of TorchScript"
TABLES = {  # what the line of code says of the embedding that an index ran out of
    "position-limit": ("position", "wpe"),
    "token-type": ("token_type",),
    "vocabulary": ("input_ids", "word_embeddings", "embed_tokens", "wte"),
}
VALUES = {"embedding", *TABLES}  # families about what tensors hold, not about their shapes
SIDES = {"batch": "the batch size", "length": "the sequence length"}
FROZEN = (
    "If the model itself runs this input, the trace is at fault: Python fixed a size, or took a branch, "
    "while it was recorded."
)


@dataclass(frozen=True)
class ShapeError:
    """A shape error, taken apart; prints as a few lines of plain text.

    Attributes
    ----------
    family
        Which kind of message it is; `unknown`, or `no-error` where there is no text at all.
    op
        The operation that raised, such as `expand`; empty where it cannot be told.
    dimension
        The dimension of the tensors that did not fit; `None` where the message names none.
    traced_size, given_size
        What was recorded there, and what this input brings. Where `input_dimension` is `None`, the
        two sizes of the message as they come, so that it may be the other way round; `None` where
        it names none.
    input_dimension
        `length` or `batch`, where it can be told which dimension of the input is to blame.
    source
        `file:line` of the model's code that was recorded there.
    code
        That line of code, where the file is on this machine.
    cause, advice
        What happened, and what to do, in plain sentences.
    message
        The last line of the error, in torch's words.
    """

    family: str
    op: str
    dimension: int | None
    traced_size: int | None
    given_size: int | None
    input_dimension: str | None
    source: str
    code: str
    cause: str
    advice: str
    message: str

    def __str__(self) -> str:
        file = re.split(r"site-packages[/\\]", self.source)[-1]
        place = f"Where: {file}: {self.code}".rstrip(": ") if self.source else ""
        ending = wrapped(f"Cause: {self.cause}"), wrapped(f"What to do: {self.advice}")
        return "\n".join(filter(None, [self.message, place, *ending]))


def explain(
    error: BaseException | str, traced: Traced | None = None, inputs: Mapping[str, torch.Tensor] | None = None
) -> ShapeError:
    """Take a TorchScript shape error apart.

    Parameters
    ----------
    error
        The exception, or its text.
    traced, inputs
        What was called and with what; they tell which dimension of the input is to blame, and
        which of two sizes was the traced one.

    Returns
    -------
    ShapeError
        For a message it does not know, `family` is `unknown` and the message stands there whole.

    Examples
    --------
    >>> error = explain("The expanded size of the tensor (3) must match the existing size (7) "
    ...                 "at non-singleton dimension 2")
    >>> error.op, error.dimension, error.traced_size, error.given_size
    ('expand', 2, 7, 3)

    Taught in notebook 02.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in (inputs or {}).items()}
    text = error if isinstance(error, str) else str(error) or type(error).__name__
    return dissect(text, traced.contract if traced else None, shapes)


def dissect(text: str, contract: Contract | None, shapes: Shapes) -> ShapeError:
    """Do what `explain` does, on the text and the shapes of the inputs."""
    message = re.sub(r"^[\w.]*(Error|Exception): ", "", (text.strip().splitlines() or [""])[-1])
    family, groups = _matched(message)
    source, code = innermost(text)
    op, recorded = FAMILIES[family].get("op", ""), IN_A_TRACE in text
    if family == "embedding":  # which one, where the line of code names just one
        named = [table for table, words in TABLES.items() if any(word in code for word in words)]
        family = named[0] if len(named) == 1 else family
    side, sizes, note = None, (groups.get("traced"), groups.get("given")), ""
    if contract is not None and family not in {"unknown", "no-error"}:
        family, side, sizes, note = _by_inputs(family, groups, contract, shapes, recorded=recorded)
    entry = FAMILIES[family]
    fixed = "patterns" in entry and family not in VALUES and (recorded or contract is None)
    return ShapeError(
        family=family,
        op=op,
        dimension=groups.get("dimension"),
        traced_size=sizes[0],
        given_size=sizes[1],
        input_dimension=side,
        source=source,
        code=code,
        cause=" ".join(filter(None, [entry["cause"].format(**groups), FROZEN if fixed else "", note])),
        advice=entry["advice"].format(**groups),
        message=text.strip() if family == "unknown" else message,
    )


def _matched(message: str) -> tuple[str, dict[str, Any]]:
    """Return the family of a message, and what its pattern reads out of it."""
    for family, entry in FAMILIES.items():
        for pattern in entry.get("patterns", ()):
            if match := re.search(pattern, message):
                return family, {
                    name: int(text) if re.fullmatch(r"-?\d+", text) else text
                    for name, text in match.groupdict().items()
                }
    return ("unknown" if message else "no-error"), {}


def _by_inputs(
    family: str, groups: Mapping[str, Any], contract: Contract, shapes: Shapes, *, recorded: bool
) -> tuple[str, str | None, Sizes, str]:
    """Return the family, the side of the input to blame, its recorded and its present size, and a sentence.

    The message's two sizes, or the one that it names, tell the side; otherwise, in a trace, a side
    that alone differs from the inputs that were traced is to blame.
    """
    sizes = (groups.get("traced"), groups.get("given"))
    named = {size for size in sizes if size is not None}
    rows = next((shape for shape in shapes.values() if len(shape) > 1), None)
    if rows is None:
        return family, None, sizes, ""
    batch, length = rows[:2]
    limit = contract.max_positions or length  # where there is none, it is not passed
    passed = length in named and any(limit <= size < length for size in named)
    if length > limit and (passed or family in VALUES):
        note = f"The limit is {limit} positions; this input has {length}."
        return "position-limit", "length", (limit, length), note
    if family in VALUES:
        return family, None, sizes, ""
    for side, words in SIDES.items():  # inputs that differ; a decoder's may have sizes of their own
        own = {
            name: shapes[name][axes.index(side)]
            for name, axes in contract.input_axes.items()
            if side in axes[: len(shapes.get(name, ()))] and not name.startswith("decoder_")
        }
        if len(named) > 1 and named <= {*own.values()}:
            listed = ", ".join(f"{name} {size}" for name, size in own.items())
            return "inputs", side, sizes, f"Inputs that belong together differ in {words}: {listed}."
    entries = groups.get("entries")
    if "shape" in groups and "dimension" in groups:
        entries = int(groups["shape"].split(", ")[groups["dimension"]])
    pairs = {"batch": (contract.batch_size, batch), "length": (contract.length, length)}
    changed = {side: pair for side, pair in pairs.items() if pair[0] and pair[0] != pair[1]}
    blamed = [side for side, pair in changed.items() if named == {*pair} or pair[1] == entries]
    blamed = blamed or (list(changed) if recorded else [])
    if len(blamed) != 1:
        return family, None, sizes, ""
    side, pair = blamed[0], changed[blamed[0]]
    note = f"The trace was recorded with {pair[0]} as {SIDES[side]}; this input has {pair[1]}."
    return family, side, pair if named <= {*pair} else sizes, note
