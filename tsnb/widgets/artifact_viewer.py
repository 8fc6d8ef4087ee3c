"""The artefact viewer: a file of TorchScript as a tree, without running it.

Taught in notebook 03.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Box, Layout, Select, Stack, VBox
from traitlets import Unicode, link, validate

from tsnb.base.palette import GREEN, GREY, ORANGE, VERMILION
from tsnb.base.tables import CELL
from tsnb.widgets.artifact_viewer_state import PARTS, ArtifactState
from tsnb.widgets.base import MONO, View

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tsnb.artifacts.archive import Digest

COLOURS: dict[Digest, str] = {
    "matches": GREEN,
    "differs": VERMILION,
    "absent": GREY,
    "newer": ORANGE,
}
SMALL = f"{MONO}; font-size: 12px; line-height: 1.4"
EDGE = f"1px solid var(--jp-border-color1, {GREY})"
BOX = f"border: {EDGE}; max-height: 32em; overflow: auto; margin: 0; padding: 6px 8px"
LISTS = "tsnb-members"  # bars and sizes stand below each other in a font of one width only
FEWEST, MOST = 2, 14  # lines of a list; a browser shows a list of one line as a menu
HALF = {"flex": "1 1 30em", "min_width": "0"}  # side by side where the page is wide enough


class ArtifactViewer(View):
    """Show what a file of TorchScript holds, part by part, without running or unpickling it.

    The list of parts stands above the list of what is in the chosen part, sizes as bars; beside
    them is what the chosen one holds. A file that was damaged or changed is shown too, and says so
    at the top. When the file changes on the disk, make another viewer. Prints as `tsnb.inspect`.

    Parameters
    ----------
    path
        A `.pt` file, of `tsnb.save` or anybody else.

    Attributes
    ----------
    chosen
        A trait: a name in `tsnb.inspect(path).members`, such as `Weight.member`, or one of
        `contract`, `weights`, `code`, `tokenizer` and `rest`.

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
    >>> viewer.state.content().heading
    'weight'

    Taught in notebook 03.
    """

    state: ArtifactState
    chosen = Unicode()

    def __init__(self, path: str | Path) -> None:
        state = ArtifactState(path)
        self.head, self.detail = HTML(value=_head(state)), HTML(layout=Layout(**HALF))
        self._make_lists(state)
        lists = VBox([self.parts, self.members], layout=Layout(**HALF, grid_gap="4px"))
        layout = Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="8px 16px")
        body = Box([lists, self.detail], layout=layout)
        body.add_class(LISTS)
        super().__init__(state, self.head, body)
        self._join()

    def html(self) -> str:
        """Return the file, its parts and what is chosen, for where there are no controls."""
        lines = "\n".join(self.state.part_labels())
        return f"{self.head.value}<pre style='{SMALL}'>{escape(lines)}</pre>{self.detail.value}"

    def draw(self) -> None:
        """Bring the lists and the content to what is chosen now."""
        part, chosen = self.state.part, self.state.chosen
        self.parts.value, self.members.selected_index = part, PARTS.index(part)
        members = self.members.children[PARTS.index(part)]
        members.value = None if chosen == part else chosen
        content = self.state.content()
        self.detail.value = (
            f"<div style='line-height: 1.4; overflow-wrap: anywhere'>"
            f"<b>{escape(content.heading)}</b><p style='margin: 4px 0'>{escape(content.note)}</p>"
            f"</div>{_table(content.rows, content.heading)}{_text(content.text, content.heading)}"
        )

    @validate("chosen")  # type: ignore[untyped-decorator]
    def _possible(self, proposal: Any) -> str:
        return self.state.check(proposal.value)

    def _make_lists(self, state: ArtifactState) -> None:
        """Make a list of parts, and one of members for each: no list's lines ever change."""
        self.parts = _select(
            zip(state.part_labels(), PARTS, strict=True), "Parts of the file, with the bytes that each takes"
        )
        words = "What is in the chosen part, the largest first: bytes and name"
        self.members = Stack(
            [_select(zip(state.labels(part), state.members(part), strict=True), words) for part in PARTS]
        )

    def _join(self) -> None:
        """Let the state follow the lists, and the view the state."""
        link((self.state, "chosen"), (self, "chosen"))
        self.state.observe(lambda _: self.draw(), "chosen")
        self.draw()
        self.parts.observe(self._choose_part, "value")
        for members in self.members.children:
            members.observe(self._choose, "value")

    def _choose_part(self, change: Any) -> None:
        if change["new"] != self.state.part:
            self.state.chosen = self.state.first(change["new"])

    def _choose(self, change: Any) -> None:
        if change["new"] is not None:
            self.state.chosen = change["new"]


def _select(lines: Iterable[tuple[str, str]], words: str) -> Select:
    """Return a list as wide as its place, where arrow keys move; one without lines is not shown."""
    options = list(lines)
    width = "calc(100% - 4px)"  # the margins that ipywidgets gives it
    layout = Layout(width=width, display="" if options else "none")
    rows = max(FEWEST, min(MOST, len(options)))
    return Select(options=options, value=None, rows=rows, tooltip=words, layout=layout)


def _head(state: ArtifactState) -> str:
    """Return the file and the state of its digest as HTML; its symbol has a colour."""
    file, digest, *more = map(escape, state.heads())
    mark = f"<b style='color: {COLOURS[state.artifact.digest]}'>{digest[0]}</b>{digest[1:]}"
    lines = "".join(f"<div>{line}</div>" for line in (f"<b>{file}</b>", mark, *more))
    narrow = f".{LISTS} .widget-html-content {{ min-width: 0 }}"  # else a long line widens its box
    style = f"<style>.{LISTS} select {{ {SMALL}; min-width: 0 }} {narrow}</style>"
    return f"{style}<div style='line-height: 1.5; overflow-wrap: anywhere'>{lines}</div>"


def _table(rows: Iterable[tuple[str, str]], name: str) -> str:
    """Return names and values as a table in a box of its own, which scrolls with the keyboard."""
    lines = "".join(
        f"<tr><th scope='row' style='{CELL}; font-weight: normal'>{escape(name)}</th>"
        f"<td style='{CELL}; overflow-wrap: anywhere'>{escape(value)}</td></tr>"
        for name, value in rows
    )
    table = f"<table style='{SMALL}; border-collapse: collapse'>{lines}</table>"
    return f"<div style='{BOX}' {_region(name)}>{table}</div>" if lines else ""


def _text(text: str, name: str) -> str:
    """Return a text in a box that scrolls, with the keyboard too."""
    style = f"{BOX}; {SMALL}; white-space: pre"
    return f"<pre style='{style}' {_region(name)}>{escape(text)}</pre>" if text else ""


def _region(name: str) -> str:
    """Return what makes a box one that the Tab key reaches and a screen reader names."""
    label = escape(f"Content of {name}", quote=True)
    return f"tabindex='0' role='region' aria-label='{label}'"
