"""Every notebook, read and run in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import BROKEN, LAB, NARROW, NOTEBOOK7, THEMES, WIDE, books

if TYPE_CHECKING:
    from tests.browser.lab import Notebook, Theme

pytestmark = pytest.mark.timeout(400)
RUN_TWICE = [book for book in LAB if book.name[:2] not in {"03", "04"}]  # those take longest
everywhere = books(*LAB, *NOTEBOOK7)


def check(book: Notebook) -> None:
    """Assert that everything ran, that nothing failed, and that every widget is there."""
    assert [held for held in book.ask("outputs") if held["output_type"] == "error"] == []
    assert all(book.ask("counts"))
    assert [words for words in BROKEN if words in book.ask("words")] == []
    assert book.errors == []


@everywhere
def test_it_runs(book: Notebook) -> None:
    check(book)


@books(LAB[0])
def test_the_first_cell_has_run_soon(book: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """Wanted on a quiet machine: within 20 s of asking for the page, with the start of a kernel."""
    with capsys.disabled():
        print(f"\n{book.book}: the first cell had run after {book.first_ran_after:.1f} s")  # noqa: T201, to be read
    assert 0 < book.first_ran_after < 120


@everywhere
def test_the_page_asks_nobody_else(book: Notebook) -> None:
    """A room with bad Wi-Fi, or none, sees all of it."""
    assert book.asked == []


@books(*RUN_TWICE)
def test_it_runs_again_in_a_new_kernel(book: Notebook) -> None:
    process = "__import__('os').getpid()"
    before = book.ask("inKernel", process)
    book.restart_and_run_all()
    assert book.ask("inKernel", process) != before
    counts = book.ask("counts")
    assert counts == list(range(1, len(counts) + 1))
    check(book)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("theme", THEMES)
@everywhere
def test_nothing_is_wider_than_its_place(book: Notebook, theme: Theme, width: int) -> None:
    """Widgets fit beside the open list of files too. Pictures are left in output/browser."""
    book.look(theme, width)
    assert book.ask("tooWide", ".tsnb-view") == []
    with book.files_closed():
        assert len(list(book.slices(f"{theme}-{width}"))) > 2
        assert book.ask("tooWide", ".jp-OutputArea-output, .jp-RenderedMarkdown") == []
