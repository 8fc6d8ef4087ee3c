"""Run notebooks in fresh kernels, measure them, and write what came out as HTML."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from time import perf_counter
from typing import TYPE_CHECKING, Any

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
from tsnb.cli.output import prepare, write
from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from nbformat import NotebookNode

TIMEOUT = 120
STARTUP = 300  # seconds that a kernel may take to start, where ten do at once
EVERY = 0.05  # seconds from one look at the memory to the next
SUMMARY = "summary.md"
ERROR_WIDTH = 120
BAR = re.compile(r"\d+%\||\[\d+:\d\d[<,]")  # what a progress bar of tqdm says of itself
WIDGET = "application/vnd.jupyter.widget-view+json"
HEADINGS = ("notebook", "result", "seconds", "peak MiB", "slowest cell", "error")


class NotebookError(TsnbError, ValueError):
    """A notebook that cannot be read, or none at all."""


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
        A path that is no notebook. Nothing has run then.
    ArtifactError
        A folder that cannot be written. Nothing has run then either.
    """
    resolved = [Path(path).expanduser().resolve() for path in paths]
    lists = [notebooks_in(path) if path.is_dir() else [path] for path in resolved]
    notebooks = {path: read(path) for files in lists for path in files}
    if not notebooks:
        looked = ", ".join(map(str, resolved)) or "-"
        raise NotebookError(f"There are no notebooks to run. Looked at: {looked}.")
    if output is not None:
        names = [path.stem for path in notebooks]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise NotebookError(
                f"Two of the notebooks are called {twice[0]}, and their pages would overwrite each other. "
                "Run them one after the other with different output folders."
            )
        output = prepare(output)
    results = []
    with tqdm(total=sum(len(notebook.cells) for notebook in notebooks.values()), unit="cell") as bar:
        for path, notebook in notebooks.items():
            bar.set_description(path.stem)
            end = bar.n + len(notebook.cells)
            results.append(_run_one(path, notebook, timeout, bar.update))
            bar.update(end - bar.n)  # the cells after one that raised
            if output is not None:
                write(output / f"{path.stem}.html", to_html(notebook, path))
                write(output / SUMMARY, table(results))
    return results


def notebooks_in(folder: Path) -> list[Path]:
    """Return the notebooks in a folder by name, without the checkpoints that Jupyter keeps.

    >>> notebooks_in(Path("no such folder"))
    []
    """
    return [path for path in sorted(folder.glob("*.ipynb")) if not path.stem.endswith("-checkpoint")]


def read(path: Path) -> NotebookNode:
    """Read a notebook, as nbformat 4, with the outputs and timings of earlier runs taken out.

    Raises
    ------
    NotebookError
        The file is missing or is no valid notebook.
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
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def to_html(notebook: NotebookNode, path: Path) -> str:
    """Return a notebook as one HTML page that asks the network for nothing.

    Pictures are embedded; scripts from elsewhere (RequireJS, MathJax, the manager of widgets) are
    left out, so that a widget shows as the picture and the words that it brings along. Progress bars,
    which bring none, leave the notebook: nothing moves on a page, and some were cleared.
    """
    from nbconvert import HTMLExporter

    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_bar(output.get("data", {}))]
    exporter = HTMLExporter(embed_images=True, require_js_url="", mathjax_url="")
    resources = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    return str(exporter.from_notebook_node(notebook, resources)[0])


def table(results: Iterable[Result]) -> str:
    """Return results as a Markdown table that is aligned as plain text too.

    >>> print(table([Result("00_start", 3.21, 210.4, 1.5, 2)]), end="")
    | notebook | result | seconds | peak MiB | slowest cell  | error |
    | -------- | ------ | ------- | -------- | ------------- | ----- |
    | 00_start | ok     | 3.2     | 210      | 1.5 s, In [2] |       |
    """
    rows: list[tuple[str, ...]] = [HEADINGS]
    for result in results:
        slowest = f"{result.slowest_cell_seconds:.1f} s, In [{result.slowest_cell}]"
        error = shorten(result.error or "", ERROR_WIDTH, placeholder=" ...").replace("|", "\\|")
        verdict = "FAILED" if result.error else "ok"
        sizes = (f"{result.seconds:.1f}", f"{result.peak_mib:.0f}")
        rows.append((result.name, verdict, *sizes, slowest if result.slowest_cell else "-", error))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = (" | ".join(map(str.ljust, row, widths)) for row in rows)
    return "".join(f"| {line} |\n" for line in lines)


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


def _is_bar(data: dict[str, Any]) -> bool:
    """Tell whether an output is a progress bar in a widget, which brings no HTML along."""
    return WIDGET in data and "text/html" not in data and bool(BAR.search(str(data.get("text/plain", ""))))


def _run_one(path: Path, notebook: NotebookNode, timeout: int, tick: Callable[[], object]) -> Result:
    """Run a notebook in a kernel that is this very interpreter.

    With no folder to look in, jupyter_client falls back on ipykernel's own kernelspec, so that a
    `python3` that comes first in Jupyter's path does not count.
    """
    manager = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True),
        transport_encryption="auto" if zmq.has("curve") else "disabled",  # ipykernel warns without
    )
    options = {"startup_timeout": STARTUP, "record_timing": True, "coalesce_streams": True}
    client = NotebookClient(notebook, km=manager, timeout=timeout, **options)
    start = perf_counter()
    peak, error = _complete(_execute(client, path.parent, tick))
    seconds = perf_counter() - start
    slowest, number = 0.0, None
    for cell in notebook.cells:  # by the clock of the cells' messages
        times = sorted(map(datetime.fromisoformat, cell.metadata.get("execution", {}).values()))
        if times and (taken := (times[-1] - times[0]).total_seconds()) >= slowest:
            slowest, number = taken, cell.execution_count
    return Result(path.stem, seconds, peak, slowest, number, error)


def _complete(work: Coroutine[Any, Any, tuple[float, str | None]]) -> tuple[float, str | None]:
    """Run a coroutine to its end, in a thread where this one has a loop, as in a notebook.

    `asyncio.run` turns Ctrl-C into a cancellation, which ends the kernel whatever it was doing.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _execute(client: Any, folder: Path, tick: Callable[[], object]) -> tuple[float, str | None]:
    """Run every cell until one fails; return the peak of memory in MiB, and the error.

    Exercises in the kernel are recorded in a file that is gone with it.
    """
    manager = client.km
    peak, error, ended, watcher = 0.0, None, False, None

    async def watch(process: psutil.Process) -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_mib(process))
            await asyncio.sleep(EVERY)

    with TemporaryDirectory(ignore_cleanup_errors=True) as record:
        try:
            variables = {**os.environ, VARIABLE: str(Path(record, FILE))}
            await client.async_start_new_kernel(cwd=str(folder), env=variables)
            await client.async_start_new_kernel_client()
            watcher = asyncio.create_task(watch(psutil.Process(manager.provisioner.pid)))
            for index, cell in enumerate(client.nb.cells):
                await client.async_execute_cell(cell, index)
                tick()
            ended = True
        except CellExecutionError as raised:
            error, ended = f"{raised.ename}: {raised.evalue} (cell {client.code_cells_executed})", True
        except (CellTimeoutError, RuntimeError) as raised:  # a kernel that died, or did not start
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise asyncio.CancelledError from raised  # nbclient takes Ctrl-C for a dead kernel
            error = _mark(raised, client)
        finally:
            if watcher is not None:
                watcher.cancel()
            if await manager.is_alive():
                await manager.shutdown_kernel(now=not ended)  # else it runs what it registered with atexit
            await manager.cleanup_resources()
            if client.kc is not None:
                client.kc.stop_channels()
    return peak, error


def _mark(raised: Exception, client: Any) -> str:
    """Return what stopped a notebook; where the kernel could not write it below the cell, do so."""
    kind, why = type(raised).__name__, str(raised)
    if isinstance(raised, (CellTimeoutError, DeadKernelError)):
        why = "The kernel died, often because memory ran out."
        if isinstance(raised, CellTimeoutError):
            why = f"The cell ran for more than {client.timeout} s."
        cell = [cell for cell in client.nb.cells if "execution" in cell.metadata][-1]
        cell.metadata.execution["shell.execute_reply"] = datetime.now(UTC).isoformat()
        text = f"{kind}: {why}"
        cell.outputs.append(nbformat.v4.new_output("error", ename=kind, evalue=why, traceback=[text]))
    return f"{kind}: {why} (cell {client.code_cells_executed})"
