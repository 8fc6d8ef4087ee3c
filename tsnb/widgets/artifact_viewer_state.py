"""What the artefact viewer knows: the parts of a file, and what is said of the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import traitlets

from tsnb.artifacts.archive import EXTRA, MEMBER
from tsnb.artifacts.inspect import inspect
from tsnb.base.errors import ArtifactError
from tsnb.base.words import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tsnb.artifacts.archive import Digest
    from tsnb.artifacts.inspect import Artifact

PARTS = ("contract", "weights", "code", "tokenizer", "rest")
SYMBOLS: dict[Digest, str] = {"matches": "✓", "differs": "✗", "absent": "–", "newer": "?"}  # noqa: RUF001
CELLS = 8  # characters that the longest bar takes
LONGEST = 42  # characters of a name in the list; the end of a path tells more than its beginning
SHOWN = 50_000  # characters of a text that are shown
PICKLES = ("pkl", "debug_pkl")


class Node(NamedTuple):
    """A member of the file: its bytes, and how the list calls it."""

    member: str
    size: int
    name: str


class Content(NamedTuple):
    """What is said of a node: a heading, a sentence, and a table or a text."""

    heading: str
    note: str
    rows: tuple[tuple[str, str], ...] = ()
    text: str = ""


class ArtifactState(traitlets.HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A file of TorchScript and the member of it that is looked at; prints as `tsnb.inspect`.

    Parameters
    ----------
    path
        A `.pt` file; it is neither run nor unpickled. It is looked at once: when it changes on the
        disk, make another state.

    Attributes
    ----------
    chosen
        A trait: a name in `artifact.members`, or one of `PARTS`; at first the contract.
    artifact
        What `tsnb.inspect` tells of the file.
    parts
        For each of `PARTS` its members, the largest first.
    damaged
        The first member that differs from its checksum in the archive, looked for where the digest
        does not match; empty where there is none.

    Raises
    ------
    ArtifactError
        No such file, or not TorchScript; also where something is chosen that is not in the file.

    Examples
    --------
    >>> import tempfile, torch, tsnb
    >>> traced = tsnb.trace(torch.nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     state = ArtifactState(tsnb.save(traced, folder + "/linear.pt"))
    >>> [(node.name, node.size) for node in state.parts["weights"]]
    [('3 × 2  weight', 24), ('    3  bias', 12)]

    Taught in notebook 03.
    """

    chosen = traitlets.Unicode()

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.artifact = inspect(path)
        self._stamp = _stamp(self.artifact.path)
        self.parts = _parts(self.artifact)
        self.damaged = _damaged(self.artifact)
        self.chosen = self.first("contract")

    @property
    def part(self) -> str:
        """Which of `PARTS` the chosen member belongs to."""
        return next(part for part in PARTS if self.chosen in {part, *self.members(part)})

    def members(self, part: str) -> list[str]:
        """Return the members of a part, the largest first."""
        return [node.member for node in self.parts[part]]

    def first(self, part: str) -> str:
        """Return the largest member of a part; the part's own name where it has none."""
        return [*self.members(part), part][0]

    def check(self, chosen: str) -> str:
        """Return what is to be chosen, or raise an ArtifactError where it is not in the file."""
        if chosen not in self.artifact.members and chosen not in PARTS:
            raise ArtifactError(
                f"{self.artifact.path} has no readable member {chosen}. Call tsnb.inspect(path) "
                "to see what it holds."
            )
        return chosen

    def heads(self) -> list[str]:
        """Return the file, its digest's state and what was found to be damaged, a line each."""
        held = self.artifact
        file = f"{held.path}, {held.size:,} bytes"
        digest = say(f"inspection.digest-{held.digest}")
        names = [self.damaged, *(weight.name for weight in held.storages.get(self.damaged, ()))]
        damage = f"The first member that does not fit its checksum: {' = '.join(names)}"
        return [file, f"{SYMBOLS[held.digest]} {digest}", *[damage] * bool(self.damaged)]

    def part_labels(self) -> list[str]:
        """Return a line for each part: bytes, bar, and how many members it has."""
        bytes_of = {part: sum(node.size for node in nodes) for part, nodes in self.parts.items()}
        marked = {part: self.damaged in self.members(part) for part in PARTS}
        return _labels([(bytes_of[part], marked[part], self._called(part)) for part in PARTS])

    def labels(self, part: str) -> list[str]:
        """Return a line for each member of a part: bytes, bar, and name; ✗ where it is damaged."""
        nodes = self.parts[part]
        return _labels([(node.size, node.member == self.damaged, node.name) for node in nodes])

    def content(self) -> Content:
        """Return what is to say of what is chosen; a text is read from the file only now."""
        part, member = self.part, self.chosen
        if member in PARTS:
            return Content(say(f"artifact-viewer.part-{part}"), self._about(part))
        tell: dict[str, Callable[[str], Content]] = {
            "contract": self._contract,
            "weights": self._weight,
        }
        return tell.get(part, self._text)(member)

    def __str__(self) -> str:
        return str(self.artifact)

    @traitlets.validate("chosen")  # type: ignore[untyped-decorator]
    def _possible(self, proposal: Any) -> str:
        return self.check(proposal.value)

    def _called(self, part: str) -> str:
        name, count = say(f"artifact-viewer.part-{part}"), len(self.parts[part])
        if not count:
            return f"{name}: none"
        return f"{name} ({count})"

    def _about(self, part: str) -> str:
        """Return what is to say of a part; where it is empty, that it is."""
        if self.parts[part]:
            return say(f"artifact-viewer.of-{part}")
        if part == "contract":
            return self.artifact.without_contract
        return say(f"artifact-viewer.no-{part}")

    def _contract(self, member: str) -> Content:
        contract = self.artifact.contract
        return Content(member, self._about("contract"), tuple(contract.rows() if contract else ()))

    def _weight(self, member: str) -> Content:
        weights, total = self.artifact.storages[member], self.artifact.size
        first, unknown = weights[0], "not known"
        share = f"{first.size / total:.1%}".replace("%", " %")
        rows = (
            ("names", " = ".join(weight.name for weight in weights)),
            ("dtype", first.dtype or unknown),
            ("shape", _sizes(first.shape) if first.dtype else unknown),
            (
                "bytes",
                f"{first.size:,} ({share} of the file)",
            ),
            ("member", member),
        )
        tied = len(weights) > 1
        note = f"One storage with {len(weights)} names: the weights are tied." if tied else ""
        return Content(first.name, note or self._about("weights"), rows)

    def _text(self, member: str) -> Content:
        """Return the beginning of a member as text, or why it is not shown."""
        note = self._about(self.part)
        now = _stamp(self.artifact.path)
        if now != self._stamp:
            return Content(member, say(f"artifact-viewer.{'changed' if now else 'gone'}"))
        if member.endswith(PICKLES):
            return Content(member, "A pickle. It is not opened here: unpickling runs what the file asks for.")
        try:
            text = self.artifact.read(member)
        except ArtifactError:
            return Content(
                member,
                ("These bytes do not fit their checksum in the archive: they were damaged or changed."),
            )
        if not text:
            return Content(member, "It is empty.")
        if "\0" in text or "\ufffd" in text:
            return Content(member, "Bytes that are not text.")
        if len(text) > SHOWN:
            gaps = {"shown": f"{SHOWN:,}", "size": f"{len(text):,}"}
            note = f"{note} {say('artifact-viewer.beginning', **gaps)}"
        return Content(member, note, text=text[:SHOWN])


def _parts(held: Artifact) -> dict[str, tuple[Node, ...]]:
    """Sort the members of a file into the parts that a reader looks for."""
    contract = {name: held.members[name] for name in (EXTRA + MEMBER,) if name in held.members}
    parts = {
        "contract": _nodes(contract),
        "weights": _weights(held),
        "code": _nodes(held.code, "code/"),
        "tokenizer": _nodes(held.tokenizer, "extra/tokenizer/"),
    }
    seen = {node.member for nodes in parts.values() for node in nodes}
    rest = {name: size for name, size in held.members.items() if name not in seen}
    return {**parts, "rest": _nodes(rest)}


def _nodes(sizes: dict[str, int], folder: str = "") -> tuple[Node, ...]:
    """Return members as nodes, the largest first, without the name of their folder."""
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    return tuple(Node(name, size, _short(name.removeprefix(folder))) for name, size in ordered)


def _weights(held: Artifact) -> tuple[Node, ...]:
    """Return the storages as nodes: shapes below each other, and every name."""
    shapes = {member: _sizes(weights[0].shape) for member, weights in held.storages.items()}
    width = max(map(len, shapes.values()), default=0)
    names = {
        member: " = ".join(_short(weight.name) for weight in weights)
        for member, weights in held.storages.items()
    }
    return tuple(
        Node(member, held.members[member], f"{shapes[member]:>{width}}  {name}")
        for member, name in names.items()
    )


def _short(name: str) -> str:
    """Return the end of a name that is too long for the list."""
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _labels(lines: list[tuple[int, bool, str]]) -> list[str]:
    """Return bytes, a bar, a mark and a name, a line each; bars are to one scale."""
    largest = max((size for size, _, _ in lines), default=0) or 1
    width = len(f"{largest:,}")
    halves = [round(2 * CELLS * size / largest) for size, _, _ in lines]
    bars = ["━" * (half // 2) + "╸" * (half % 2) for half in halves]
    return [
        f"{size:>{width},} {bar:<{CELLS}} {SYMBOLS['differs'] if damaged else ' '} {name}"
        for (size, damaged, name), bar in zip(lines, bars, strict=True)
    ]


def _sizes(shape: tuple[int, ...]) -> str:
    """Return a shape as text; a single number has none."""
    return " × ".join(map(str, shape)) or "-"


def _damaged(held: Artifact) -> str:
    """Return the first member that differs from its checksum, if the digest leaves room for one."""
    found = held.digest != "matches" and held.archive.first_damaged()
    return str(found).removeprefix(f"{held.archive.root}/") if found else ""


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file does; `None` where it is gone."""
    try:
        held = path.stat()
    except OSError:
        return None
    return held.st_mtime_ns, held.st_size
