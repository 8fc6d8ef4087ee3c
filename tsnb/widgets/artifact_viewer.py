"""The artefact viewer: a file of TorchScript part by part, without running it. Taught in notebook 03."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Box, Layout, Select, Stack, VBox
from traitlets import Unicode, validate

from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER
from tsnb.artifacts.inspect import DIGESTS, inspect
from tsnb.base.errors import ArtifactError
from tsnb.base.palette import GREY
from tsnb.widgets.base import MONO, View

PARTS = {  # its title, and what it is
    "contract": ("contract", "What a caller must know; tsnb.load_traced returns it as the trace's contract."),
    "weights": ("weights and constants", "A storage: numbers, and the names that the module has for them."),
    "code": ("code", "The recording as source text. Whoever loads the file with torch runs it."),
    "tokenizer": ("tokenizer", "One of the tokenizer's own files; tsnb.load_tokenizer reads them."),
    "rest": ("everything else", "Neither weights nor code."),
}
MARKS = {"matches": "✓", "differs": "✗", "absent": "–", "newer": "?"}  # noqa: RUF001
LONGEST = 42  # characters of a name in the list; the end of a path tells more than its beginning
SHOWN = 50_000  # characters of a text that are shown
SMALL = f"{MONO}; font-size: 12px; line-height: 1.4"
BOX = f"border: 1px solid {GREY}; max-height: 32em; overflow: auto; margin: 0; padding: 8px; white-space: pre; {SMALL}"
HALF = {"flex": "1 1 30em", "min_width": "0"}  # side by side where the page is wide enough


class ArtifactViewer(View):
    r"""Show what a file of TorchScript holds, part by part, without running or unpickling it.

    The list of parts stands above the list of what is in the chosen part, the largest first; beside
    them is what the chosen one holds. A file that was damaged or changed is shown too, and says so
    at the top. When the file changes on the disk, make another viewer. Prints as `tsnb.inspect`.

    Parameters
    ----------
    path
        A `.pt` file, of `tsnb.save` or anybody else.

    Attributes
    ----------
    chosen
        A trait: a name in `tsnb.inspect(path).members`, such as `Weight.member`, or one of `contract`,
        `weights`, `code`, `tokenizer` and `rest`; at first the contract.
    artifact
        What `tsnb.inspect` shows of the file, which is neither run nor unpickled.
    parts
        For each of `PARTS` its members, the largest first, each with a line: bytes and name.
    part_lines
        A line for each of `PARTS`: bytes, and how many members it has.
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
    ...     viewer = ArtifactViewer(tsnb.save(traced, folder + "/linear.pt"))
    >>> viewer.chosen
    'extra/tsnb_contract.json'
    >>> viewer.chosen = "data/0"
    >>> print(*viewer.parts["weights"].values(), sep="\n")
    24   3 × 2  weight
    12   3  bias

    Taught in notebook 03.
    """

    chosen = Unicode()

    def __init__(self, path: str | Path) -> None:
        self.artifact = artifact = inspect(path)
        self.modified = artifact.path.stat().st_mtime_ns
        damaged = None if artifact.digest == "matches" else artifact.first_damaged()
        self.damaged = (damaged or "").removeprefix(f"{artifact.root}/")
        self._list_members()
        self.chosen = self.first("contract")
        self.head = HTML(self._summary())
        words = "Parts of the file, with the bytes that each takes"
        self.part_list = _select([*zip(self.part_lines, PARTS, strict=True)], words)
        words = "What is in the chosen part, the largest first: bytes and name"
        lists = ([(line, member) for member, line in members.items()] for members in self.parts.values())
        self.member_lists = Stack([_select(options, words) for options in lists])  # no list's lines ever change
        self.detail = HTML(layout=Layout(**HALF))
        left = VBox([self.part_list, self.member_lists], layout=Layout(**HALF, grid_gap="4px"))
        layout = Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="8px 16px")
        body = Box([left, self.detail], layout=layout)
        body.add_class("tsnb-members")  # which access.css knows
        super().__init__(self.head, body)
        self.observe(self._draw, "chosen")
        self._draw()
        self.part_list.observe(self._choose_part, "value")
        for members in self.member_lists.children:
            members.observe(self._choose, "value")

    def _list_members(self) -> None:
        """Sort the members into parts, and write a line for each."""
        sizes = self.artifact.members
        names = {
            "contract": {name: name for name in sizes if name == EXTRA + MEMBER},
            "weights": {
                member: f"{_sizes(weights[0].shape)}  {' = '.join(_short(name) for name, *_ in weights)}"
                for member, weights in self.artifact.storages.items()
            },
            "code": {name: _short(name.removeprefix("code/")) for name in self.artifact.code},
            "tokenizer": {name: _short(name.removeprefix(TOKENIZER)) for name in self.artifact.tokenizer},
        }
        sorted_out = {member for members in names.values() for member in members}
        names["rest"] = {name: _short(name) for name in sorted(sizes.keys() - sorted_out)}
        self.parts, totals = dict[str, dict[str, str]](), []
        for part, members in names.items():
            ordered = sorted(members, key=lambda member: -sizes[member])
            lines = _lines([(sizes[member], member == self.damaged, members[member]) for member in ordered])
            self.parts[part] = dict(zip(ordered, lines, strict=True))
            title = f"{PARTS[part][0]} ({len(ordered) or 'none'})"
            totals.append((sum(sizes[member] for member in ordered), self.damaged in members, title))
        self.part_lines = _lines(totals)

    def _summary(self) -> str:
        """Return the file, its digest's state and what is damaged as HTML, a line each."""
        artifact, digest = self.artifact, self.artifact.digest
        lines = [f"<b>{escape(str(artifact.path))}, {artifact.size:,} bytes</b>"]
        lines.append(f"<b>{MARKS[digest]}</b> {DIGESTS[digest]}")
        if self.damaged:
            names = [self.damaged, *(weight.name for weight in artifact.storages.get(self.damaged, ()))]
            lines.append(f"The first member that does not fit its checksum: {escape(' = '.join(names))}")
        divs = "".join(f"<div>{line}</div>" for line in lines)
        return f"<div style='line-height: 1.5; overflow-wrap: anywhere'>{divs}</div>"

    @validate("chosen")  # type: ignore[untyped-decorator]
    def _in_the_file(self, proposal: Any) -> str:
        if proposal.value not in self.artifact.members and proposal.value not in PARTS:
            raise ArtifactError(
                f"{self.artifact.path} has no member {proposal.value}. Call tsnb.inspect(path) to see them."
            )
        return str(proposal.value)

    @property
    def part(self) -> str:
        """Which of `PARTS` the chosen member belongs to."""
        return next(part for part in PARTS if self.chosen in {part, *self.parts[part]})

    def first(self, part: str) -> str:
        """Return the largest member of a part; the part's own name where it has none."""
        return next(iter(self.parts[part]), part)

    def content(self) -> tuple[str, str, str]:
        """Return a heading, a sentence and a text for what is chosen; a text is read from the file only now."""
        artifact, part, member = self.artifact, self.part, self.chosen
        title, about = PARTS[part]
        if part == "contract":
            contract = artifact.contract
            note = about if contract else artifact.without_contract
            return title if member == part else member, note, str(contract or "")
        if member == part:
            return title, f"There is no {title} in this file.", ""
        if part == "weights":
            weights = artifact.storages[member]
            name, dtype, shape, _, size = weights[0]
            if len(weights) > 1:
                about = f"One storage with {len(weights)} names: the weights are tied."
            text = (
                f"names   {' = '.join(weight.name for weight in weights)}\n"
                f"dtype   {dtype or 'not known'}\n"
                f"shape   {_sizes(shape) if dtype else 'not known'}\n"
                f"bytes   {size:,} ({100 * size / artifact.size:.1f} % of the file)\n"
                f"member  {member}"
            )
            return name, about, text
        return member, *self._text(about)

    def _text(self, about: str) -> tuple[str, str]:
        """Return the beginning of the chosen member as text, below what is to be said of it."""
        if self.chosen.endswith(("pkl", "debug_pkl")):
            return "A pickle. It is not opened here: unpickling runs what the file asks for.", ""
        text = None
        with suppress(ArtifactError, OSError):
            if self.artifact.path.stat().st_mtime_ns == self.modified:
                text = self.artifact.read(self.chosen)
        if text is None:
            return "It cannot be read: it is damaged, or the file was changed or deleted since.", ""
        if not text or "\0" in text or "\ufffd" in text:
            return "Bytes that are not text." if text else "It is empty.", ""
        more = f" The first {SHOWN:,} of {len(text):,} characters:" if len(text) > SHOWN else ""
        return about + more, text[:SHOWN]

    def __repr__(self) -> str:
        return str(self.artifact)

    def html(self) -> str:
        """Return the file, its parts and what is chosen, for where there are no controls."""
        lines = "\n".join(self.part_lines)
        return f"{self.head.value}<pre style='{SMALL}'>{escape(lines)}</pre>{self.detail.value}"

    def _draw(self, _: object = None) -> None:
        """Bring the lists and the content to what is chosen now."""
        part, index = self.part, list(PARTS).index(self.part)
        self.part_list.value, self.member_lists.selected_index = part, index
        self.member_lists.children[index].value = None if self.chosen == part else self.chosen
        heading, note, text = map(escape, self.content())
        region = f"tabindex='0' role='region' aria-label='Content of {heading}'"  # the Tab key reaches it
        box = f"<pre style='{BOX}' {region}>{text}</pre>" if text else ""
        style = "line-height: 1.4; overflow-wrap: anywhere"
        self.detail.value = f"<div style='{style}'><b>{heading}</b><p style='margin: 4px 0'>{note}</p></div>{box}"

    def _choose_part(self, change: Any) -> None:
        if change["new"] != self.part:
            self.chosen = self.first(change["new"])

    def _choose(self, change: Any) -> None:
        if change["new"] is not None:
            self.chosen = change["new"]


def _select(options: list[tuple[str, str]], words: str) -> Select:
    """Return a list as wide as its place, where arrow keys move; one without lines is not shown."""
    rows = max(2, min(14, len(options)))  # a browser shows a list of one line as a menu
    layout = Layout(width="calc(100% - 4px)", display="" if options else "none")  # ipywidgets' own margins
    return Select(options=options, value=None, rows=rows, tooltip=words, layout=layout)


def _short(name: str) -> str:
    """Return the end of a name that is too long for the list."""
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _sizes(shape: tuple[int, ...]) -> str:
    """Return a shape as text; a single number has none."""
    return " × ".join(map(str, shape)) or "-"


def _lines(rows: Sequence[tuple[int, bool, str]]) -> list[str]:
    """Return bytes, ✗ where it is damaged, and a name, a line each."""
    width = len(f"{max((size for size, _, _ in rows), default=0):,}")
    return [f"{size:>{width},} {'✗' if damaged else ' '} {name}" for size, damaged, name in rows]
