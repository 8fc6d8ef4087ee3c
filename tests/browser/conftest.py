"""One server for each front end, one browser for all tests of this folder, one open notebook at a time."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.lab import PICTURES, ROOT, STEP, Frontend, Notebook, launch, serve
from tsnb.practice.record import FILE, VARIABLE

LONG = "a_folder_of_one_word_that_is_longer_than_a_widget_beside_the_list_of_files_is_wide"
expect.set_options(timeout=STEP)


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Frontend], str]]:
    """Return the address of a server for each front end, in a long path.

    One of its own, because jupyter_server remembers where a file lies by its name alone, so that
    the second front end is refused the fonts that both have; and because both restore one list of
    files.
    """
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])

    @cache
    def started(frontend: Frontend) -> str:
        folder = tmp_path_factory.mktemp(frontend) / LONG
        own = {"PYTHONPATH": path, VARIABLE: str(folder / FILE)}
        return servers.enter_context(serve(folder, {**os.environ, **own}))

    with ExitStack() as servers:
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
def book(request: pytest.FixtureRequest, address: Callable[[Frontend], str], browser: Browser) -> Iterator[Notebook]:
    """Open a notebook in a front end, and run all of it; the tests of one book run together."""
    notebook = Notebook(address(request.param.frontend), browser, request.param)
    notebook.open()
    notebook.run_all()
    yield notebook
    notebook.close()
