"""One server and one browser for all tests of this folder, and one open notebook at a time."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.lab import PICTURES, ROOT, STEP, Notebook, Server, launch
from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import Frontend

HERE = "tests/browser/"
LONG = "a_folder_of_one_word_that_is_longer_than_a_widget_beside_the_list_of_files_is_wide"
expect.set_options(timeout=STEP)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all tests of one notebook follow each other, so that each is opened once."""
    places = [place for place, item in enumerate(items) if item.nodeid.startswith(HERE)]
    ordered = sorted((items[place] for place in places), key=_book)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _book(item: pytest.Item) -> tuple[str, str]:
    """Return front end and name of the notebook that a test opens; those without one come first."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("book", ("", "")) if callspec else ("", "")


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Frontend], Server]]:
    """Start a server for each front end, in a long path, with one thread a kernel, as on Binder.

    One of its own, because jupyter_server remembers where a file lies by its name alone, so that
    the second front end is refused the fonts that both have; and because both restore one list of
    files.
    """
    root = str(ROOT)
    path = os.pathsep.join([root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}

    @cache
    def started(frontend: Frontend) -> Server:
        folder = tmp_path_factory.mktemp(frontend) / LONG
        server = Server.start(folder, {**own, VARIABLE: str(folder / FILE)})
        ends.callback(server.stop)
        return server

    with ExitStack() as ends:
        yield started


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start a browser that leaves its pictures in output/browser, those of this run only."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def book(
    request: pytest.FixtureRequest, servers: Callable[[Frontend], Server], browser: Browser
) -> Iterator[Notebook]:
    """Open a notebook in a front end, and run all of it."""
    notebook = Notebook(servers(request.param.frontend), browser, request.param)
    notebook.open()
    notebook.run_first()
    notebook.run_all()
    yield notebook
    notebook.close()
