"""What a shape error of TorchScript says, taken apart. Taught in notebook 02."""

from __future__ import annotations

import linecache
import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import TYPE_CHECKING

from tsnb.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from tsnb.contract import Contract
    from tsnb.tracing import Traced

FRAME = re.compile(r"^(?P<file>\S.*?)\((?P<line>\d+)\): (?P<function>\S+)$", re.MULTILINE)
CALL = re.compile(r"torch\.(\w+)\(")
TORCH = re.compile(r"[/\\]torch[/\\]")
TRACER = re.compile(r"[/\\]torch[/\\]jit[/\\]_trace\.py$")
TABLES = {
    "position": "position-limit",
    "token_type": "token-type",
    "word": "vocabulary",
    "embed_tokens": "vocabulary",
    "tokens": "vocabulary",
}


@dataclass(frozen=True)
class ShapeError:
    """A shape error, taken apart; prints as a few lines of plain text.

    Attributes
    ----------
    family
        Which kind of message it is, or `unknown`.
    op
        The operation that raised, such as `expand`; empty where it cannot be told.
    dimension
        The dimension of the tensors that did not fit; `None` where the message names none.
    traced_size, given_size
        What the trace expects there, and what the input brought.
    input_dimension
        `length` or `batch`, where the sizes tell which dimension of the input they stem from.
    source
        `file:line` of the model's code that was recorded there.
    code
        That line of code, where the file is on this machine.
    cause, advice
        One sentence on what happened, one on what to do.
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
            *(say("explain.at", place=where) for where in place),
            say("explain.cause", cause=self.cause),
            say("explain.advice", advice=self.advice),
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
        What was called and with what; they tell which dimension of the input a size stems from,
        and which of two sizes was the traced one.

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
    return dissect(str(error), traced.contract if traced else None, shapes)


def dissect(
    text: str, contract: Contract | None, shapes: Mapping[str, tuple[int, ...]]
) -> ShapeError:
    """Do what `explain` does, on the text and the shapes of the inputs."""
    lines = text.strip().splitlines() or [""]
    message = re.sub(r"^\w*(Error|Exception): ", "", lines[-1])
    source, code = _source(text)
    found = _matched(message) or ShapeError(
        "unknown", "", None, None, None, None, "", "", "", "", text.strip()
    )
    found = replace(found, source=source, code=code)
    found = _by_table(found) if found.family == "embedding" else found
    found = _by_inputs(found, contract, shapes)
    return _in_words(replace(found, op=_recorded_op(text) or found.op))


@cache
def _families() -> dict[str, dict[str, str]]:
    """Return the kinds of messages, in the order in which they are tried."""
    path = files("tsnb") / "shape_errors.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _matched(message: str) -> ShapeError | None:
    """Find the family of a message and read the numbers out of it."""
    for family, rule in _families().items():
        if found := re.search(rule["pattern"], message):
            held = {name: int(text) for name, text in found.groupdict().items() if text}
            return ShapeError(
                family,
                rule.get("op", ""),
                held.get("dimension"),
                held.get("traced"),
                held.get("given"),
                None,
                "",
                "",
                "",
                "",
                message,
            )
    return None


def _source(text: str) -> tuple[str, str]:
    """Return the innermost line of the model's own code in a traceback, and that line of code."""
    inside = takewhile(lambda found: not TRACER.search(found["file"]), FRAME.finditer(text))
    frames = list(inside)
    own = [found for found in frames if not TORCH.search(found["file"])]
    for found in own[:1] or frames[:1]:
        line = linecache.getline(found["file"], int(found["line"])).strip()
        return f"{found['file']}:{found['line']}", line
    return "", ""


def _recorded_op(text: str) -> str:
    """Return the operation that a loaded file's traceback points at with `<--- HERE`."""
    lines = text.splitlines()
    marks = [number for number, line in enumerate(lines) if "<--- HERE" in line]
    for number in marks[-1:]:
        found = CALL.match(lines[number - 1][lines[number].index("~") :])
        return found[1].rstrip("_") if found else ""
    return ""


def _by_table(found: ShapeError) -> ShapeError:
    """Tell from the line of code which embedding an index ran out of."""
    family = next((name for word, name in TABLES.items() if word in found.code), "embedding")
    return replace(found, family=family)


def _by_inputs(
    found: ShapeError, contract: Contract | None, shapes: Mapping[str, tuple[int, ...]]
) -> ShapeError:
    """Tell, where contract and inputs allow it, which input dimension the sizes stem from."""
    if contract is None or not shapes:
        return found
    given = next((shape for shape in shapes.values() if len(shape) > 1), None)
    if given is None or found.given_size is None:
        return found
    if found.traced_size in given and found.given_size not in given:  # the message names them so
        found = replace(found, traced_size=found.given_size, given_size=found.traced_size)
    sides = {"batch": (contract.batch_size, given[0]), "length": (contract.length, given[1])}
    stems = [side for side, sizes in sides.items() if _stems(found, *sizes)]
    limit = contract.max_positions
    if limit is not None and given[1] > limit and limit in (found.traced_size, found.given_size):
        return replace(
            found,
            family="position-limit",
            input_dimension="length",
            traced_size=limit,
            given_size=given[1],
        )
    return replace(found, input_dimension=stems[0] if len(stems) == 1 else None)


def _stems(found: ShapeError, traced: int | None, given: int) -> bool:
    """Tell whether a dimension that changed from `traced` to `given` explains the two sizes."""
    if traced in (None, given) or found.given_size is None:
        return False
    if found.family == "view":  # counts of elements: products of the dimension and others
        return (found.traced_size or 0) % (traced or 1) == 0 and found.given_size % given == 0
    return found.given_size == given and found.traced_size in (traced, None)


def _in_words(found: ShapeError) -> ShapeError:
    """Add the sentences for the family."""
    side = say(f"explain.side-{found.input_dimension or 'unknown'}")
    gaps = {
        "op": found.op,
        "traced": found.traced_size,
        "given": found.given_size,
        "dimension": found.dimension,
        "side": side,
    }
    return replace(
        found,
        cause=say(f"explain.{found.family}-cause", **gaps),
        advice=say(f"explain.{found.family}-advice", **gaps),
    )
