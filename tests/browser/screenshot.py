"""Take the picture that the README shows: `make screenshot`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.lab import LAB, ROOT, Notebook, Server, launch

HEIGHT = 672


def main(target: Path) -> None:
    """Open notebook 02, choose a length that cuts some texts, and take the picture."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server.start(Path(folder), environment)
        try:
            notebook = Notebook(server, launch(playwright), LAB[2])
            notebook.open()
            notebook.run_all()
            take(notebook, target)
        finally:
            server.stop()


def take(notebook: Notebook, target: Path) -> None:
    """Show the max-length chooser below its cell, without the list of files, and keep it."""
    page = notebook.page
    notebook.ask("execute", "application:toggle-left-area")
    notebook.look("light", 1280, HEIGHT)
    view = notebook.view("length-chooser")
    slider = view.get_by_role("slider", name="max length")
    for _ in range(24):
        slider.press("ArrowLeft")
    expect(view.get_by_role("img", name="max length, 48.")).to_be_visible()
    expect(view.get_by_text("ms a batch")).to_be_visible(timeout=30_000)
    notebook.cell("length-chooser").evaluate("(cell) => cell.scrollIntoView({ block: 'start' })")
    notebook.ask("frames")
    page.screenshot(path=target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
