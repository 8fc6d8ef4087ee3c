"""Run notebooks in fresh kernels, measure them, and write what came out as HTML."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import nbformat
import psutil
import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm.auto import tqdm

from tsnb.base.errors import TsnbError
from tsnb.base.machine import MIB
from tsnb.base.words import say
from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from nbformat import NotebookNode

    Outcome = tuple[float, str | None]

TIMEOUT = 120
STARTUP = 300  # seconds that a kernel may take to start, where ten do at once
EVERY = 0.05  # seconds from one look at the memory to the next
SUMMARY = "summary.md"
ERROR_WIDTH = 120
BAR = re.compile(r"\d+%\||\[\d+:\d\d[<,]")  # what a progress bar of tqdm says of itself
WIDGET = "application/vnd.jupyter.widget-view+json"
COLUMNS = ("notebook", "result", "seconds", "peak", "slowest", "error")


class NotebookError(TsnbError, ValueError):
    """A notebook that cannot be read, or a folder that cannot be written."""


@dataclass(frozen=True)
class Result:
    """What running one notebook took.

    Attributes
    ----------
    name
        The file's name without `.ipynb`.
    seconds
        From the start of the kernel to its end.
    peak_mib
        The largest sum of resident memory of the kernel and its children, in MiB, looked at every
        50 ms. Pages that processes share count once for each.
    slowest_cell_seconds
        What the slowest cell took.
    slowest_cell
        Its number, as in `In [3]`; `None` where no cell ran.
    error
        The exception's name, its message and the cell's number; `None` where all went well.
    """

    name: str
    seconds: float
    peak_mib: float
    slowest_cell_seconds: float
    slowest_cell: int | None
    error: str | None = None


def run(
    paths: Iterable[str | Path], output: str | Path | None = None, *, timeout: int = TIMEOUT
) -> list[Result]:
    """Run notebooks one after another, each in a fresh kernel and in its own folder.

    The kernel is the interpreter that runs this function, whatever kernels are installed. The
    `.ipynb` files are not touched. One that fails does not stop those after it.

    Parameters
    ----------
    paths
        Notebooks; a folder stands for the notebooks in it.
    output
        A folder for `<name>.html`, one a notebook, and `summary.md`; made where it is missing.
        `None` writes nothing.
    timeout
        Seconds that a cell may take.

    Returns
    -------
    list of Result
        In the order in which the notebooks ran.

    Raises
    ------
    NotebookError
        A path that is no notebook, or a folder that cannot be written. Nothing has run then.
    """
    files = _expand(paths, distinct=output is not None)
    notebooks = {path: read(path) for path in files}
    if output is not None:
        output = _prepared(Path(output).expanduser())
    results = []
    with tqdm(total=sum(len(held.cells) for held in notebooks.values()), unit="cell") as bar:
        for path, notebook in notebooks.items():
            bar.set_description(path.stem)
            end = bar.n + len(notebook.cells)
            results.append(_run_one(path, notebook, timeout, bar.update))
            bar.update(end - bar.n)  # the cells after one that raised
            if output is not None:
                write_whole(output / f"{path.stem}.html", to_html(notebook, path))
                write_whole(output / SUMMARY, table(results))
    return results


def notebooks_in(folder: Path) -> list[Path]:
    """Return the notebooks in a folder by name, without the checkpoints that Jupyter keeps.

    >>> notebooks_in(Path("no such folder"))
    []
    """
    found = sorted(folder.glob("*.ipynb"))
    return [path for path in found if not path.stem.endswith("-checkpoint")]


def read(path: Path) -> NotebookNode:
    """Read a notebook, as nbformat 4, with the outputs and timings of earlier runs taken out.

    Raises
    ------
    NotebookError
        The file is missing or holds no valid notebook.
    """
    if not path.is_file():
        raise NotebookError(
            f"There is no file {path}. Give the path of an .ipynb file, or of a folder that holds some."
        )
    try:
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.convert(nbformat.reader.reads(text), 4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises whatever it stumbles over
        why = shorten(str(error), ERROR_WIDTH, placeholder=" ...")
        raise NotebookError(f"{path} is not a notebook that nbformat can read: {why}") from error
    return _blank(notebook)


def to_html(notebook: NotebookNode, path: Path) -> str:
    """Return a notebook as one HTML page that asks the network for nothing.

    Pictures are embedded; scripts from elsewhere (RequireJS, MathJax, the manager of widgets) are
    left out, so that a widget shows as the picture and the words that it brings along. The last
    state of a progress bar is left out.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True, require_js_url="", mathjax_url="")
    resources = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    return str(exporter.from_notebook_node(_without_bars(notebook), resources)[0])


def table(results: Iterable[Result]) -> str:
    """Return results as a Markdown table that is aligned as plain text too.

    >>> print(table([Result("00_start", 3.21, 210.4, 1.5, 2)]), end="")
    | notebook | result | seconds | peak MiB | slowest cell  | error |
    | -------- | ------ | ------- | -------- | ------------- | ----- |
    | 00_start | ok     | 3.2     | 210      | 1.5 s, In [2] |       |
    """
    head = [say(f"execute.column-{name}") for name in COLUMNS]
    rows = [head, *map(_row, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "".join(_aligned(row, widths) for row in rows)


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all.

    Raises
    ------
    NotebookError
        The folder cannot be written; what was there before is untouched.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            half = Path(folder) / path.name
            half.write_text(text, encoding="utf-8")
            os.replace(half, path)  # noqa: PTH105, the one atomic step
    except OSError as error:
        raise NotebookError(f"{path} cannot be written: {error}. Name another folder.") from error


class PeakMemory:
    """Watch the memory of a process and its children while a block runs.

    Examples
    --------
    >>> with PeakMemory(psutil.Process()) as memory:
    ...     pass
    >>> memory.mib > 1
    True
    """

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        self.mib = resident_mib(self.process)
        while not self._stop.wait(EVERY):
            self.mib = max(self.mib, resident_mib(self.process))


def resident_mib(process: psutil.Process) -> float:
    """Return the resident memory of a process and its children in MiB; none where it is gone."""
    family = [process]
    with suppress(psutil.Error):
        family += process.children(recursive=True)
    total = 0
    for member in family:
        with suppress(psutil.Error):
            total += member.memory_info().rss
    return total / MIB


def _expand(paths: Iterable[str | Path], *, distinct: bool) -> list[Path]:
    """Return the files that paths stand for, each once; with `distinct`, so must its name be."""
    given = [Path(path).expanduser().resolve() for path in paths]
    lists = [notebooks_in(path) if path.is_dir() else [path] for path in given]
    files = list(dict.fromkeys(path for held in lists for path in held))
    if not files:
        raise NotebookError(
            f"There are no notebooks to run. Looked at: {(', '.join(map(str, given)) or '-')}."
        )
    names = [path.stem for path in files]
    twice = [name for name in names if names.count(name) > 1]
    if distinct and twice:
        raise NotebookError(
            f"Two of the notebooks are called {twice[0]}, and their HTML files would "
            "overwrite each other. Run them one after the other with different output "
            "folders."
        )
    return files


def _blank(notebook: NotebookNode) -> NotebookNode:
    """Take out what earlier runs left, so that nothing old passes for a result."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def _without_bars(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the progress bars: nothing moves on a page, and some were cleared."""
    copy = deepcopy(notebook)
    for cell in copy.cells:
        if "outputs" in cell:
            cell.outputs = [held for held in cell.outputs if not _is_bar(held.get("data", {}))]
    return copy


def _is_bar(data: dict[str, Any]) -> bool:
    """Tell whether an output is a progress bar in a widget, which brings no HTML along."""
    told = str(data.get("text/plain", ""))
    return WIDGET in data and "text/html" not in data and bool(BAR.search(told))


def _prepared(folder: Path) -> Path:
    """Make the output folder, and find out before the first kernel starts if it can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise NotebookError(f"{folder} cannot be written: {error}. Name another folder.") from error


def _run_one(path: Path, notebook: NotebookNode, timeout: int, tick: Callable[[], object]) -> Result:
    begun = perf_counter()
    peak, error = _wait_for(_execute(_client(notebook, timeout), path.parent, tick))
    seconds = perf_counter() - begun
    slowest = max(map(_timing, notebook.cells), default=(0.0, None))
    return Result(path.stem, seconds, peak, *slowest, error)


def _wait_for(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a coroutine to its end, in a thread where this one has a loop, as in a notebook.

    `asyncio.run` turns Ctrl-C into a cancellation, which ends the kernel whatever it was doing.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _execute(client: Any, folder: Path, tick: Callable[[], object]) -> Outcome:
    """Run every cell until one fails; return the peak of memory in MiB, and the error."""
    memory = None
    try:
        async with _kernel(client, folder) as process:
            with PeakMemory(process) as memory:
                for index, cell in enumerate(client.nb.cells):
                    await client.async_execute_cell(cell, index)
                    tick()
    except (CellExecutionError, CellTimeoutError, RuntimeError) as raised:
        if asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise asyncio.CancelledError from raised  # nbclient takes Ctrl-C for a dead kernel
        return memory.mib if memory else 0.0, _told(raised, client)
    return memory.mib, None


def _client(notebook: NotebookNode, timeout: int) -> Any:
    """Return a client whose kernel is this very interpreter.

    With no folder to look in, jupyter_client falls back on ipykernel's own kernelspec, which names
    `sys.executable`; a `python3` that comes first in Jupyter's path is not found.
    """
    specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=specs,
        transport_encryption="auto" if zmq.has("curve") else "disabled",  # ipykernel warns without
    )
    return NotebookClient(
        notebook,
        km=manager,
        timeout=timeout,
        startup_timeout=STARTUP,
        shell_timeout_interval=1,  # a timeout is noticed to the second
        record_timing=True,
        coalesce_streams=True,
    )


@asynccontextmanager
async def _kernel(client: Any, folder: Path) -> AsyncIterator[psutil.Process]:
    """Start the kernel and give its process; it has ended when the block has, Ctrl-C or not.

    Exercises in it are recorded in a file of its own, which is gone with it.
    """
    manager, at_once = client.km, False
    record = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    environment = {**os.environ, VARIABLE: str(Path(record.name) / FILE)}
    try:
        await client.async_start_new_kernel(cwd=str(folder), env=environment)
        await client.async_start_new_kernel_client()
        yield psutil.Process(manager.provisioner.pid)
    except (asyncio.CancelledError, CellTimeoutError, DeadKernelError):
        at_once = True  # else the kernel may run what it registered with atexit
        raise
    finally:
        if await manager.is_alive():
            await manager.shutdown_kernel(now=at_once)
        await manager.cleanup_resources()
        if client.kc is not None:
            client.kc.stop_channels()
        record.cleanup()


def _told(raised: Exception, client: Any) -> str:
    """Say what stopped a notebook; where the kernel could not write it below the cell, do so."""
    number = client.code_cells_executed
    kind, why = type(raised).__name__, str(raised)
    if isinstance(raised, CellExecutionError):
        kind, why = raised.ename, raised.evalue
    elif isinstance(raised, (CellTimeoutError, DeadKernelError)):
        timed_out = isinstance(raised, CellTimeoutError)
        why = say("execute.timeout" if timed_out else "execute.died", seconds=client.timeout)
        _mark(client.nb, kind, why)
    return f"{kind}: {why} (cell {number})"


def _mark(notebook: NotebookNode, kind: str, why: str) -> None:
    """Write an error below the last cell that ran, and the time at which it was given up."""
    cell = [held for held in notebook.cells if "execution" in held.metadata][-1]
    cell.metadata.execution["shell.execute_reply"] = datetime.now(UTC).isoformat()
    text = f"{kind}: {why}"
    cell.outputs.append(nbformat.v4.new_output("error", ename=kind, evalue=why, traceback=[text]))


def _timing(cell: NotebookNode) -> tuple[float, int | None]:
    """Return how long a cell ran, by the clock of its messages, and its number."""
    times = sorted(map(datetime.fromisoformat, cell.metadata.get("execution", {}).values()))
    if not times:
        return 0.0, None
    return (times[-1] - times[0]).total_seconds(), cell.execution_count


def _row(result: Result) -> list[str]:
    slowest = f"{result.slowest_cell_seconds:.1f} s, In [{result.slowest_cell}]"
    return [
        result.name,
        say("execute.failed" if result.error else "execute.ok"),
        f"{result.seconds:.1f}",
        f"{result.peak_mib:.0f}",
        slowest if result.slowest_cell else "-",
        shorten(result.error or "", ERROR_WIDTH, placeholder=" ...").replace("|", "\\|"),
    ]


def _aligned(row: list[str], widths: list[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |\n"
