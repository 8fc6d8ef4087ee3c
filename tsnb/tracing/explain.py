"""What a shape error of TorchScript says, taken apart. Taught in notebook 02."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tsnb.base.words import say, wrapped
from tsnb.tracing.sources import innermost

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from tsnb.tracing.contract import Contract
    from tsnb.tracing.trace import Traced

    Shapes = Mapping[str, tuple[int, ...]]

CALL = re.compile(r"torch\.(\w+)\(")
IN_A_TRACE = "Traceback of TorchScript"
TABLES = {  # what the line of code says of the embedding that an index ran out of
    "position-limit": ("position", "wpe"),
    "token-type": ("token_type",),
    "vocabulary": ("input_ids", "word_embeddings", "embed_tokens", "wte"),
}
VALUES = {"embedding", *TABLES}  # families about what tensors hold, not about their shapes
LIMITED = {"expand", "mismatch", "embedding", "position-limit"}  # beyond the position limit


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
        place = [f"{file}: {self.code}".rstrip(": ")] if self.source else []
        lines = [
            self.message,
            *(f"Where: {where}" for where in place),
            wrapped(f"Cause: {self.cause}"),
            wrapped(f"What to do: {self.advice}"),
        ]
        return "\n".join(lines)


def explain(
    error: BaseException | str,
    traced: Traced | None = None,
    inputs: Mapping[str, torch.Tensor] | None = None,
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
    >>> told = explain("The expanded size of the tensor (3) must match the existing size (7) "
    ...                "at non-singleton dimension 2")
    >>> told.op, told.dimension, told.traced_size, told.given_size
    ('expand', 2, 7, 3)

    Taught in notebook 02.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in (inputs or {}).items()}
    text = error if isinstance(error, str) else str(error) or type(error).__name__
    return dissect(text, traced.contract if traced else None, shapes)


def dissect(text: str, contract: Contract | None, shapes: Shapes) -> ShapeError:
    """Do what `explain` does, on the text and the shapes of the inputs."""
    lines = text.strip().splitlines() or [""]
    message = re.sub(r"^[\w.]*(Error|Exception): ", "", lines[-1])
    family, numbers = _matched(message)
    source, code = innermost(text)
    found = ShapeError(
        family=family,
        op=_recorded_op(text) or _families().get(family, {}).get("op", ""),
        dimension=numbers.get("dimension"),
        traced_size=numbers.get("traced"),
        given_size=numbers.get("given"),
        input_dimension=None,
        source=source,
        code=code,
        cause="",
        advice="",
        message=message if family in _families() else text.strip(),
    )
    traced, entries = IN_A_TRACE in text, _entries(numbers)
    found, told = _by_inputs(_by_table(found), contract, shapes, entries, traced=traced)
    if found.family in _families().keys() - VALUES and (traced or contract is None):
        told = [
            (
                "If the model itself runs this input, the trace is at fault: Python fixed a "
                "size, or took a branch, while it was recorded."
            ),
            *told,
        ]
    return _in_words(found, numbers, told)


@cache
def _families() -> dict[str, dict[str, Any]]:
    """Return the kinds of messages, in the order in which they are tried."""
    path = files("tsnb.tracing") / "shape_errors.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _matched(message: str) -> tuple[str, dict[str, Any]]:
    """Find the family of a message, and read out what it says."""
    for family, rule in _families().items():
        for pattern in rule["patterns"]:
            if found := re.search(pattern, message):
                return family, {
                    name: int(text) if re.fullmatch(r"-?\d+", text) else text
                    for name, text in found.groupdict().items()
                }
    return ("unknown" if message else "no-error"), {}


def _recorded_op(text: str) -> str:
    """Return the operation that a loaded file's traceback points at with `<--- HERE`."""
    lines = text.splitlines()
    marks = [number for number, line in enumerate(lines) if "<--- HERE" in line]
    for number in marks[-1:]:
        found = CALL.match(lines[number - 1][lines[number].index("~") :])
        return found[1].rstrip("_") if found else ""
    return ""


def _by_table(found: ShapeError) -> ShapeError:
    """Tell from the line of code which embedding an index ran out of, if it names just one."""
    if found.family != "embedding":
        return found
    named = [family for family, held in TABLES.items() if any(word in found.code for word in held)]
    return replace(found, family=named[0]) if len(named) == 1 else found


def _by_inputs(
    found: ShapeError,
    contract: Contract | None,
    shapes: Shapes,
    entries: int | None,
    *,
    traced: bool,
) -> tuple[ShapeError, list[str]]:
    """Tell, where contract and inputs allow it, which side of the input is to blame, in words too.

    The message's two sizes, or the one that it gives, tell the side; otherwise, in a trace, a side
    that alone differs from the inputs that were traced is to blame.
    """
    given = next((shape for shape in shapes.values() if len(shape) > 1), None)
    if contract is None or given is None or found.family not in {*_families(), *VALUES}:
        return found, []
    if _over_limit(found, contract, given[1]):
        return _limited(found, contract.max_positions, given[1])
    if found.family in VALUES:
        return found, []
    for side in ("batch", "length"):
        if len(_sizes(found)) > 1 and _sizes(found) <= set(_sides(side, contract, shapes).values()):
            return _differing(found, side, _sides(side, contract, shapes))
    sides = {"batch": (contract.batch_size, given[0]), "length": (contract.length, given[1])}
    changed = {side: (old, new) for side, (old, new) in sides.items() if old and old != new}
    stems = [side for side, sizes in changed.items() if _sizes(found) == set(sizes)]
    stems = stems or [side for side, (_, new) in changed.items() if new == entries]
    stems = stems or (list(changed) if traced else [])
    return _stemming(found, stems[0], *changed[stems[0]]) if len(stems) == 1 else (found, [])


def _entries(numbers: Mapping[str, Any]) -> int | None:
    """Return how many entries a message says there are in the dimension that it names."""
    if "shape" in numbers and "dimension" in numbers:
        return int(str(numbers["shape"]).split(", ")[numbers["dimension"]])
    return numbers.get("entries")


def _sizes(found: ShapeError) -> set[int]:
    """Return the two sizes that did not fit; nothing where the message names none."""
    return {size for size in (found.traced_size, found.given_size) if size is not None}


def _sides(side: str, contract: Contract, shapes: Shapes) -> dict[str, int]:
    """Return how large a side is in each input that has it; a decoder's may be its own."""
    return {
        name: shapes[name][axes.index(side)]
        for name, axes in contract.input_axes.items()
        if side in axes[: len(shapes.get(name, ()))] and not name.startswith("decoder_")
    }


def _over_limit(found: ShapeError, contract: Contract, length: int) -> bool:
    """Tell whether a length is beyond the position limit, and the error the one that this gives."""
    limit = contract.max_positions
    if limit is None or length <= limit or found.family not in LIMITED:
        return False
    return found.family in VALUES or (
        length in _sizes(found) and any(limit <= size < length for size in _sizes(found))
    )


def _limited(found: ShapeError, limit: int | None, length: int) -> tuple[ShapeError, list[str]]:
    told = f"The limit is {limit} positions; this input has {length}."
    found = replace(found, traced_size=limit, given_size=length, input_dimension="length")
    return replace(found, family="position-limit"), [told]


def _differing(found: ShapeError, side: str, sizes: Mapping[str, int]) -> tuple[ShapeError, list[str]]:
    named = ", ".join(f"{name} {size}" for name, size in sizes.items())
    told = f"Inputs that belong together differ in {say(f'explain.side-{side}')}: {named}."
    return replace(found, family="inputs", input_dimension=side), [told]


def _stemming(found: ShapeError, side: str, recorded: int, given: int) -> tuple[ShapeError, list[str]]:
    told = f"The trace was recorded with {recorded} as {say(f'explain.side-{side}')}; this input has {given}."
    if _sizes(found) in (set(), {recorded, given}):
        found = replace(found, traced_size=recorded, given_size=given)
    return replace(found, input_dimension=side), [told]


def _in_words(found: ShapeError, numbers: Mapping[str, Any], told: list[str]) -> ShapeError:
    """Add the sentences for the family."""
    cause = say(f"explain.{found.family}-cause", **numbers)
    advice = say(f"explain.{found.family}-advice", **numbers)
    return replace(found, cause=" ".join([cause, *told]), advice=advice)
