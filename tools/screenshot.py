"""Take the picture that the README shows: `make screenshot`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.lab import LAB, ROOT, Notebook, launch, serve


def main(target: Path) -> None:
    """Open notebook 02, choose a length that cuts some texts, and show what the chooser says to it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        serve(Path(folder), environment) as url,
    ):
        notebook = Notebook(url, launch(playwright), LAB[2])
        notebook.open()
        notebook.run_all()
        notebook.ask("execute", "application:toggle-left-area")
        notebook.look("light", width=1280, height=672)
        view = notebook.view("length-chooser")
        for _ in range(24):
            view.get_by_role("slider", name="max length").press("ArrowLeft")
        expect(view.get_by_role("img", name="max length, 48.")).to_be_visible()
        expect(view.get_by_text("ms a batch")).to_be_visible(timeout=30_000)
        notebook.cell("length-chooser").evaluate("(cell) => cell.scrollIntoView({ block: 'start' })")
        notebook.ask("frames")
        notebook.page.screenshot(path=target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
