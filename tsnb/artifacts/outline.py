"""Names and shapes of the tensors in a pickle of TorchScript, read without unpickling it.

Unpickling runs what the file asks for. `pickletools.genops` of the standard library only splits a
pickle into its instructions; the few that TorchScript writes are followed here on plain lists,
dicts and tuples, and nothing is imported, called or built.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = object()
DTYPES = {  # how torch calls its storages
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}


class Stored(NamedTuple):
    """A tensor by the path of its attributes, and the storage that holds its numbers."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    storage: str


class Call(NamedTuple):
    """A function that unpickling would call, and with what; here nobody calls it."""

    function: Any
    arguments: Any


def tensors(pickled: bytes) -> list[Stored]:
    """Return the tensors in a pickle, in order; one under two names is there twice.

    Parameters
    ----------
    pickled
        The bytes of `data.pkl` or `constants.pkl`.

    Returns
    -------
    list of Stored
        Empty where the pickle is of another kind or damaged.

    Examples
    --------
    >>> import pickle
    >>> tensors(pickle.dumps({"training": False}, 2))
    []
    """
    try:
        return list(_found(_tree(pickled), "", set()))
    except Exception:  # noqa: BLE001, bytes that are no such pickle may raise anything
        return []


def _tree(pickled: bytes) -> Any:  # noqa: C901, PLR0912, one case an instruction
    """Follow a pickle's instructions on plain containers; an object is the dict of its state."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, value, _ in pickletools.genops(pickled):
        match opcode.name:
            case "PROTO" | "STOP" | "BINPERSID":
                pass
            case "MARK":
                stack.append(MARK)
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "TUPLE":
                stack.append(tuple(_since_mark(stack)))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEMS":
                items = _since_mark(stack)
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "EMPTY_LIST":
                stack.append([])
            case "APPENDS":
                items = _since_mark(stack)
                stack[-1].extend(items)
            case "NEWOBJ":
                stack[-2:] = [{}]
            case "BUILD":
                state = stack.pop()
                stack[-1].update(state if isinstance(state, dict) else {"state": state})
            case "REDUCE":
                stack[-2:] = [Call(*stack[-2:])]
            case _:
                stack.append(value)
    return stack[-1]


def _since_mark(stack: list[Any]) -> list[Any]:
    """Take what was put on the stack since the last mark, and the mark."""
    place = max(number for number, held in enumerate(stack) if held is MARK)
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _found(node: Any, name: str, seen: set[int]) -> Iterator[Stored]:
    """Give the tensors below a node; each container once, so that no file can make this long."""
    if isinstance(node, Call):
        if str(node.function).startswith("torch._utils _rebuild_"):
            yield _stored(name, node.arguments)
        else:  # a list or a dict with its type
            yield from _found(node.arguments[0], name, seen)
    elif isinstance(node, (dict, list, tuple)) and id(node) not in seen:
        seen.add(id(node))
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, held in pairs:
            yield from _found(held, f"{name}.{key}" if name else str(key), seen)


def _stored(name: str, arguments: Any) -> Stored:
    """Read the arguments of torch's function that rebuilds a tensor from its storage."""
    (_, kind, storage, *_), _, shape, *_ = arguments
    plain = str(kind).removeprefix("torch ").removesuffix("Storage")
    return Stored(name, DTYPES.get(plain, plain), tuple(map(int, shape)), str(storage))
