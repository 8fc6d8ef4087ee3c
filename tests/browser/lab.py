"""A notebook open in a browser, in JupyterLab or in Notebook 7, and what a person does with it."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, which
from time import sleep
from typing import Any, Literal, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Playwright, Request

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "output/browser"
SCRIPT = Path(__file__).parent / "page.js"
OPEN, RUN, STEP = 60_000, 240_000, 20_000  # milliseconds that something may take
WIDE, NARROW, HEIGHT = 1280, 800, 1000
TOKEN = "a-token-of-the-tests"
Theme = Literal["light", "dark"]
THEMES: dict[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
Frontend = Literal["lab", "notebook"]
PLACES: dict[Frontend, str] = {"lab": "lab/workspaces/{name}/tree", "notebook": "notebooks"}
CONTROLS = "select, input, button, [role=slider], td[tabindex='0'], summary, [role=region]"
BROKEN = ("Error displaying widget", "Loading widget", "model not found", "Error creating widget")


class Book(NamedTuple):
    """Which notebook is opened in which front end."""

    frontend: Frontend
    name: str

    def __str__(self) -> str:
        return f"{self.frontend}-{self.name[:2]}"


NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
LAB = [Book("lab", name) for name in NAMES]
NOTEBOOK7 = [Book("notebook", NAMES[0]), Book("notebook", NAMES[2])]
VIEWS = [  # the widgets: where they are, and the id of their cell
    (LAB[1], "ex-untying-price-try"),
    (LAB[1], "quiz-try"),
    (LAB[2], "explorer"),
    (LAB[2], "length-chooser"),
    (LAB[3], "contract-save"),
    (LAB[4], "padding-view"),
    (LAB[5], "planner"),
    (NOTEBOOK7[1], "explorer"),
    (NOTEBOOK7[1], "length-chooser"),
]
# What a front end says without our doing, with the reason why it does.
NOISE: dict[Frontend, tuple[str, ...]] = {
    "lab": (),
    # Its list of shortcuts hears of settings that it has not loaded; so it is with any notebook.
    "notebook": ("Cannot read properties of undefined (reading 'schema')",),
}


def books(*chosen: Book) -> pytest.MarkDecorator:
    """Mark a test that wants these notebooks opened, one after the other, as `book`."""
    return pytest.mark.parametrize("book", chosen, ids=str, indirect=True, scope="package")


def views(*names: str) -> pytest.MarkDecorator:
    """Mark a test that wants these widgets, by default all, each in its `book` under its `name`."""
    chosen = [view for view in VIEWS if not names or view[1] in names]
    ids = [f"{book}-{name}" for book, name in chosen]
    return pytest.mark.parametrize(("book", "name"), chosen, ids=ids, indirect=["book"], scope="package")


def launch(playwright: Playwright) -> Browser:
    """Start Playwright's own browser, or Debian's where there is none."""
    chromium = playwright.chromium
    own = Path(chromium.executable_path).exists()
    path = None if own else which("chromium")
    assert own or path, "install chromium, or run: playwright install chromium"
    return chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])


@contextmanager
def serve(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a Jupyter server on a copy of the notebooks; give its address when it takes requests."""
    copytree(ROOT / "notebooks", folder / "notebooks")
    places = ("CONFIG", "DATA", "RUNTIME")
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in places}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    options = {
        "ServerApp.root_dir": folder / "notebooks",
        "ServerApp.port": 0,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": TOKEN,
        "LabApp.expose_app_in_browser": True,
        "JupyterNotebookApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
    command += [f"--{name}={value}" for name, value in options.items()]
    log, own["IPYTHONDIR"] = folder / "server.log", str(folder / "ipython")
    with (
        log.open("w") as printed,
        subprocess.Popen(command, env={**environment, **own}, cwd=folder, stdout=printed, stderr=printed) as process,
    ):
        try:
            while not (address := re.search(r"(http://.+/)lab\?token=", log.read_text())):
                assert process.poll() is None, log.read_text()
                sleep(0.1)
            yield address[1]
        finally:
            process.terminate()


class Notebook:
    """A notebook on a page, everything that went wrong on it, and what a person does there."""

    def __init__(self, url: str, browser: Browser, book: Book) -> None:
        self.url, self.book = url, book
        self.errors: list[str] = []
        self.requests_elsewhere: list[str] = []
        viewport: Any = {"width": WIDE, "height": HEIGHT}
        self.page = browser.new_page(viewport=viewport, device_scale_factor=2)
        self.page.set_default_timeout(STEP)
        self.page.add_init_script(path=SCRIPT)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self._on_error(f"page: {error.stack}"))
        self.page.on("request", self._on_request)

    def ask(self, what: str, *arguments: object) -> Any:
        """Call a function of page.js, and wait for what it promises."""
        return self.page.evaluate(f"(arguments) => window.course.{what}(...arguments)", arguments)

    def until(self, what: str, milliseconds: float = STEP) -> None:
        """Wait until a function of page.js says yes."""
        self.page.wait_for_function(f"() => window.course.{what}()", timeout=milliseconds)

    def open(self) -> None:
        """Open the page, and wait until the notebook has a kernel that waits."""
        place = PLACES[self.book.frontend].format(name=self.book.name)
        self.page.goto(f"{self.url}{place}/{self.book.name}.ipynb?token={TOKEN}")
        self.until("isOpen", OPEN)

    def run_all(self) -> None:
        """Run every cell, and wait until all have run and every widget is drawn."""
        self.ask("execute", "notebook:run-all-cells")
        self.wait()

    def restart_and_run_all(self) -> None:
        """Restart the kernel, say yes to the question, and run every cell."""
        self.page.evaluate("() => { window.running = window.course.execute('notebook:restart-run-all'); }")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.evaluate("() => window.running")
        self.wait()

    def wait(self) -> None:
        """Wait until every cell has run, or one has failed, and every widget is drawn."""
        self.until("hasRun", RUN)
        self.until("isDrawn")

    def cell(self, name: str) -> Locator:
        """Return the cell with this id, scrolled into view."""
        place = self.ask("place", name)
        assert place >= 0, name
        cell = self.page.locator(f'.jp-Cell[data-windowed-list-index="{place}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def view(self, name: str) -> Locator:
        """Return the widget below the cell with this id, scrolled into view."""
        view = self.cell(name).locator(".tsnb-view")
        view.scroll_into_view_if_needed()
        return view

    def look(self, theme: Theme, width: int, height: int = HEIGHT) -> None:
        """Change the theme and the size of the window, and wait until both are there."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.ask("execute", "apputils:change-theme", {"theme": THEMES[theme]})
        light = str(theme == "light").lower()
        self.page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached")
        self.ask("frames")

    @contextmanager
    def files_closed(self) -> Iterator[None]:
        """Close the list of files, as one does in a narrow window; Notebook 7 opens none."""
        lists = [self.page.locator("#jp-left-stack")] * (self.book.frontend == "lab")
        for place in lists:
            self.ask("execute", "application:toggle-left-area")
            place.wait_for(state="hidden")
        yield
        for place in lists:
            self.ask("execute", "application:toggle-left-area")
            place.wait_for()

    def finish(self) -> None:
        """Wait until the kernel has answered what was sent to it, and what was kept back then."""
        for _ in range(2):
            self.ask("inKernel", "0")

    def take_pictures(self, name: str) -> None:
        """Take pictures of the whole notebook, a window's height each, for people to judge."""
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        scroller.evaluate("(scroller) => scroller.scrollTo(0, 0)")
        more, number = True, 0
        while more:
            self.ask("frames")
            scroller.screenshot(path=PICTURES / f"{self.book}-{name}-page{number:02}.png", scale="css")
            more, number = scroller.evaluate("window.course.scrollOn"), number + 1

    def controls(self, view: Locator) -> list[Locator]:
        """Return one of each kind of what can be used in a widget now, in the order of the page."""
        usable = [control for control in view.locator(CONTROLS).all() if control.is_visible()]
        kinds = {control.evaluate("window.course.kind"): control for control in usable if control.is_enabled()}
        return list(kinds.values())

    def close(self) -> None:
        """Shut the kernel down and leave the page."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._on_error(f"console: {message.text} ({message.location})")

    def _on_error(self, error: str) -> None:
        if not any(words in error for words in NOISE[self.book.frontend]):
            self.errors.append(error)

    def _on_request(self, request: Request) -> None:
        if request.url.startswith(("http", "ws")) and not request.url.startswith(self.url):
            self.requests_elsewhere.append(request.url)
