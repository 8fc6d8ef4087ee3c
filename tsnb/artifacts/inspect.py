"""What a file of TorchScript holds, without running or unpickling it. Taught in notebook 03."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER, digest_of, look
from tsnb.artifacts.outline import tensors
from tsnb.artifacts.save import read_contract
from tsnb.base.errors import ArtifactError
from tsnb.base.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsnb.artifacts.archive import Archive, Digest
    from tsnb.tracing.contract import Contract

SHOWN = 5  # storages that the text names
PICKLES = {"data": "", "constants": "CONSTANTS.c"}  # and how the code calls what they hold


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
class Artifact:
    """What a file of TorchScript says of itself; prints as text. Taught in notebook 03.

    Attributes
    ----------
    archive
        Its members.
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

    archive: Archive
    size: int
    digest: Digest
    contract: Contract | None
    weights: tuple[Weight, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.archive.path

    @property
    def members(self) -> Mapping[str, int]:
        """Bytes of every member by its name, unpacked."""
        return self.archive.sizes

    @property
    def code(self) -> dict[str, int]:
        """Bytes of the members that hold the recording as source text."""
        held = self.archive.below("code/")
        return {name: self.members[name] for name in held if name.endswith(".py")}

    @property
    def tokenizer(self) -> dict[str, int]:
        """Bytes of the tokenizer's files, by their members."""
        return {name: self.members[name] for name in self.archive.below(TOKENIZER)}

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions that made the file; empty where it does not say."""
        return self.contract.versions if self.contract else {}

    @property
    def storages(self) -> dict[str, tuple[Weight, ...]]:
        """The weights of each member that holds numbers, the largest first; tied ones together."""
        ordered = sorted(self.weights, key=lambda weight: (-weight.size, weight.member))
        groups = groupby(ordered, key=lambda weight: weight.member)
        return {member: tuple(weights) for member, weights in groups}

    def read(self, member: str) -> str:
        """Return a member as text, at most 64 MiB of it; for code and the contract.

        Raises
        ------
        ArtifactError
            There is no such member, or it is damaged.
        """
        return self.archive.read(member).decode(errors="replace")

    @property
    def without_contract(self) -> str:
        """Why there is no contract: there is none in the file, or one that cannot be read."""
        held = EXTRA + MEMBER in self.archive.sizes
        return say("inspection.bad-contract" if held else "inspection.no-contract")

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.path}, {self.size:,} bytes",
                say(f"inspection.digest-{self.digest}"),
                self._parts(self.tokenizer, "tokenizer"),
                self._parts(self.code, "code"),
                *self._weights(),
                str(self.contract) if self.contract else self.without_contract,
            ]
        )

    __repr__ = __str__

    def _parts(self, sizes: Mapping[str, int], kind: str) -> str:
        size = f"{sum(sizes.values()):,}"
        return say(f"inspection.{kind}", count=len(sizes), size=size)

    def _weights(self) -> list[str]:
        """Return a line for all weights, and one for each of the largest storages."""
        held = self.storages
        sizes = {member: weights[0].size for member, weights in held.items()}
        return [self._parts(sizes, "weights"), *map(_line, list(held.values())[:SHOWN])]


def inspect(path: str | Path) -> Artifact:
    """Tell what is in a file of TorchScript; nothing in it is run, built or unpickled.

    Reads the tables of the zip archive, the JSON of the contract, and the instructions of the
    pickle that names the weights. A damaged file is shown as far as it can be read.

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
    ...     held = inspect(tsnb.save(traced, folder + "/linear.pt"))
    >>> held.digest, [(weight.name, weight.shape, weight.size) for weight in held.weights]
    ('matches', [('weight', (3, 2), 24), ('bias', (3,), 12)])

    Taught in notebook 03.
    """
    path = Path(path).expanduser()
    state = digest_of(path)
    archive = look(path)
    weights = tuple(weight for folder in PICKLES for weight in _weights_of(archive, folder))
    contract = None
    with suppress(ArtifactError):
        contract = read_contract(archive)
    return Artifact(archive, path.stat().st_size, state, contract, weights)


def _weights_of(archive: Archive, folder: str) -> list[Weight]:
    """Return the weights in a folder; a storage that no name leads to goes by its member's."""
    sizes = {name: archive.sizes[name] for name in archive.below(f"{folder}/")}
    pickled = b""
    with suppress(ArtifactError):  # damaged: its members are still there
        pickled = archive.read(f"{folder}.pkl")
    named = [
        Weight(PICKLES[folder] + name, dtype, shape, member, sizes[member])
        for name, dtype, shape, storage in tensors(pickled)
        if (member := f"{folder}/{storage}") in sizes
    ]
    nameless = sizes.keys() - {weight.member for weight in named}
    return [*named, *(Weight(name, "", (), name, sizes[name]) for name in sorted(nameless))]


def _line(weights: tuple[Weight, ...]) -> str:
    """Return a storage as a line: bytes, shape, and every name that it has."""
    first = weights[0]
    shape = " × ".join(map(str, first.shape))
    names = " = ".join(weight.name for weight in weights)
    return f"{first.size:>13,}  {names}  {first.dtype} {shape}".rstrip()
