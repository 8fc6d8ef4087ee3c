"""What a file of TorchScript holds, without running or unpickling it. Taught in notebook 03."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path
from pickle import BYTEARRAY8, _Unpickler
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER, Archive, Digest, digest, read
from tsnb.base.errors import ArtifactError
from tsnb.tracing.traced import KINDS

if TYPE_CHECKING:
    from tsnb.tracing.contract import Contract

SHOWN = 5  # storages that the text names
PICKLES = {"data": "", "constants": "CONSTANTS.c"}  # and how the code calls what they hold
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
DIGESTS: dict[Digest, str] = {
    "matches": "digest: matches; no byte was changed since tsnb.save",
    "differs": "digest: DIFFERS; the file was damaged or changed, and tsnb.load_traced refuses it",
    "absent": "digest: none; what was changed since the file was saved cannot be told",
    "newer": "digest: of a newer format, which this tsnb does not know",
}


class Weight(NamedTuple):
    """A tensor in the file.

    Attributes
    ----------
    name
        Its path in the module, or `CONSTANTS.c0` as in the code; the member's name where the file
        does not tell in a way that tsnb can follow.
    dtype
        Such as `float32`; empty where not known.
    shape
        Its sizes; empty where not known.
    member
        The member that holds its numbers. Weights with the same member are tied.
    size
        Bytes of that member.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    member: str
    size: int


@dataclass(frozen=True, repr=False)
class Artifact(Archive):
    """What a file of TorchScript says of itself; prints as text. Taught in notebook 03.

    Attributes
    ----------
    path, root, members
        Of the archive: the file, the folder in it that holds everything, bytes of each member below that.
    size
        Bytes of the file.
    digest
        `matches`: no byte was changed since `tsnb.save`; `differs`: some were; `absent`: there is
        none, as in a file that tsnb did not write; `newer`: of a format unknown to this tsnb.
    contract
        The contract inside; `None` where tsnb did not write the file, or it cannot be read.
    weights
        Every tensor, constants too, in the order of the file.
    """

    size: int
    digest: Digest
    contract: Contract | None
    weights: tuple[Weight, ...]

    @property
    def code(self) -> dict[str, int]:
        """Bytes of the members that hold the recording as source text."""
        return {name: self.members[name] for name in self.below("code/") if name.endswith(".py")}

    @property
    def tokenizer(self) -> dict[str, int]:
        """Bytes of the tokenizer's files, by their members."""
        return {name: self.members[name] for name in self.below(TOKENIZER)}

    @property
    def storages(self) -> dict[str, tuple[Weight, ...]]:
        """The weights of each member that holds numbers, the largest first; tied ones together."""
        largest_first = sorted(self.weights, key=lambda weight: (-weight.size, weight.member))
        by_member = groupby(largest_first, key=lambda weight: weight.member)
        return {member: tuple(weights) for member, weights in by_member}

    def read(self, member: str) -> str:
        """Return a member as text, at most 64 MiB of it; for code and the contract.

        Raises
        ------
        ArtifactError
            There is no such member, or it is damaged.
        """
        return self.read_bytes(member).decode(errors="replace")

    @property
    def without_contract(self) -> str:
        """Why there is no contract: there is none in the file, or one that cannot be read."""
        if EXTRA + MEMBER in self.members:
            return "contract: there is one, and it cannot be read; the file was damaged or changed"
        return "no contract: tsnb did not write this file"

    def __str__(self) -> str:
        tokenizer, code, storages = self.tokenizer, self.code, self.storages
        numbers = sum(weights[0].size for weights in storages.values())
        return "\n".join(
            [
                f"{self.path}, {self.size:,} bytes",
                DIGESTS[self.digest],
                f"tokenizer: {len(tokenizer)} files, {sum(tokenizer.values()):,} bytes",
                f"code: {len(code)} files, {sum(code.values()):,} bytes",
                f"weights and constants: {len(storages)} storages, {numbers:,} bytes, the largest first:",
                *map(_line, list(storages.values())[:SHOWN]),
                str(self.contract or self.without_contract),
            ]
        )

    __repr__ = __str__


def inspect(path: str | Path) -> Artifact:
    """Tell what is in a file of TorchScript; nothing in it is run, built or unpickled.

    Reads the tables of the zip archive, the JSON of the contract, and the outline of the pickle that
    names the weights, with a stub for everything that it asks for. A damaged file is shown as far as it
    can be read.

    Parameters
    ----------
    path
        A `.pt` file, of `tsnb.save` or anybody else.

    Returns
    -------
    Artifact
        Contract, digest, weights by size, code, tokenizer.

    Raises
    ------
    ArtifactError
        No such file, or not a TorchScript file.

    Examples
    --------
    >>> import tempfile, torch, tsnb
    >>> traced = tsnb.trace(torch.nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     artifact = inspect(tsnb.save(traced, folder + "/linear.pt"))
    >>> artifact.digest, [(weight.name, weight.shape, weight.size) for weight in artifact.weights]
    ('matches', [('weight', (3, 2), 24), ('bias', (3,), 12)])

    Taught in notebook 03.
    """
    path = Path(path).expanduser()
    state = digest(path)
    archive = read(path)
    if archive.format != "torchscript":
        raise ArtifactError(
            f"{path} is not a TorchScript file but another: {KINDS[archive.format]}. tsnb.load_traced(path) loads it, "
            "and its .contract says the rest."
        )
    weights = tuple(weight for folder in PICKLES for weight in _weights(archive, folder))
    contract = None
    with suppress(ArtifactError):
        contract = archive.read_contract()
    return Artifact(path, archive.root, archive.members, path.stat().st_size, state, contract, weights)


class _Stub:
    """Stands for what a pickle names: keeps the state that it is given, and does nothing."""

    state: Any = None

    def __init__(self, state: Any = None, *_: Any) -> None:
        self.state = state  # a list or a dict, which comes with its type

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Tensor(_Stub):
    """Stands for a tensor: its storage, offset and shape."""

    def __init__(self, storage: Any, _: Any, shape: Any, *__: Any) -> None:
        (_, kind, self.storage, *_) = storage
        name = kind.__name__.removesuffix("Storage")
        self.dtype, self.shape = DTYPES.get(name, name), tuple(map(int, shape))


class _Outline(_Unpickler):
    """Unpickles to plain containers and stubs: nothing that the pickle names is imported or called.

    Python's own implementation, because the one in C makes a list as long as the largest number that a
    pickle gives to a memo; without the one instruction that reserves memory for bytes before it reads them.
    """

    dispatch: ClassVar = {code: load for code, load in _Unpickler.dispatch.items() if code != BYTEARRAY8[0]}

    def find_class(self, module: str, name: str) -> type[_Stub]:
        return type(name, (_Tensor if module == "torch._utils" else _Stub,), {})

    def persistent_load(self, pid: Any) -> Any:
        return pid


def _weights(archive: Archive, folder: str) -> list[Weight]:
    """Return the weights in a folder; a storage that no name leads to goes by its member's."""
    sizes = {name: archive.members[name] for name in archive.below(f"{folder}/")}
    try:
        outline = _Outline(BytesIO(archive.read_bytes(f"{folder}.pkl"))).load()
        tensors = list(_tensors(outline, "", set()))
    except Exception:  # noqa: BLE001, a pickle that is damaged or of another kind may raise anything
        tensors = []
    named = [
        Weight(PICKLES[folder] + name, tensor.dtype, tensor.shape, member, sizes[member])
        for name, tensor in tensors
        if (member := f"{folder}/{tensor.storage}") in sizes
    ]
    nameless = sizes.keys() - {weight.member for weight in named}
    return [*named, *(Weight(name, "", (), name, sizes[name]) for name in sorted(nameless))]


def _tensors(node: Any, name: str, seen: set[int]) -> Iterator[tuple[str, _Tensor]]:
    """Yield the tensors below a node by name; each container once, so that no file can make this long."""
    if isinstance(node, _Tensor):
        yield name, node
    elif isinstance(node, _Stub):
        yield from _tensors(node.state, name, seen)
    elif isinstance(node, (dict, list, tuple)) and id(node) not in seen:
        seen.add(id(node))
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _tensors(child, f"{name}.{key}" if name else str(key), seen)


def _line(weights: tuple[Weight, ...]) -> str:
    """Return a storage as a line: bytes, every name that it has, dtype and shape."""
    first = weights[0]
    shape = " × ".join(map(str, first.shape))
    names = " = ".join(weight.name for weight in weights)
    return f"{first.size:>13,}  {names}  {first.dtype} {shape}".rstrip()
