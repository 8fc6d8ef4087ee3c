"""Every notebook, read and run in a real browser."""

import pytest

from tests.browser.lab import BROKEN, LAB, NARROW, NOTEBOOK7, WIDE, Notebook, Theme, books

pytestmark = pytest.mark.timeout(400)
everywhere = books(*LAB, *NOTEBOOK7)


def check(book: Notebook) -> None:
    """Assert that everything ran, that nothing failed, and that every widget is there."""
    assert [output for output in book.ask("outputs") if output["output_type"] == "error"] == []
    assert all(book.ask("counts"))
    assert [words for words in BROKEN if words in book.ask("words")] == []
    assert book.errors == []


@everywhere
def test_it_runs_and_the_page_asks_nobody_else(book: Notebook) -> None:
    """A room with bad Wi-Fi, or none, sees all of it."""
    check(book)
    assert book.requests_elsewhere == []


@pytest.mark.rehearsal
@books(*LAB)
def test_it_runs_again_in_a_new_kernel(book: Notebook) -> None:
    process = "__import__('os').getpid()"
    before = book.ask("inKernel", process)
    book.restart_and_run_all()
    assert book.ask("inKernel", process) != before
    counts = book.ask("counts")
    assert counts == list(range(1, len(counts) + 1))
    check(book)


@pytest.mark.parametrize(("theme", "width"), [("light", WIDE), ("dark", NARROW)])
@everywhere
def test_nothing_is_wider_than_its_place(book: Notebook, theme: Theme, width: int) -> None:
    """Widgets fit beside the open list of files too. Pictures are left in output/browser."""
    book.look(theme, width)
    assert book.ask("tooWide", ".tsnb-view") == []
    with book.files_closed():
        book.take_pictures(f"{theme}-{width}")
        assert book.ask("tooWide", ".jp-OutputArea-output, .jp-RenderedMarkdown") == []
