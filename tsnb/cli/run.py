"""Run notebooks in fresh kernels, measure them, and write what came out as HTML."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from tqdm.auto import tqdm

from tsnb.base.errors import TsnbError
from tsnb.base.files import prepare_folder, write_text
from tsnb.base.machine import MIB
from tsnb.base.tables import as_markdown
from tsnb.practice.record import FILE, VARIABLE

if TYPE_CHECKING:
    from nbformat import NotebookNode

STARTUP = 300  # seconds that a kernel may take to start, where ten do at once
EVERY = 0.05  # seconds between two tries to end a kernel
SUMMARY = "summary.md"
ERROR_WIDTH = 120
BAR = re.compile(r"\d+%\||\[\d+:\d\d[<,]")  # what a progress bar of tqdm says of itself
WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookError(TsnbError, ValueError):
    """A notebook that cannot be read, or none at all."""


@dataclass
class Result:
    """What running one notebook took.

    Attributes
    ----------
    name
        The file's name without `.ipynb`.
    seconds
        From the start of the kernel to its end.
    peak_mib
        The kernel's largest resident memory in MiB, without that of programs that it starts; outside
        Linux, its largest at the end of a cell.
    slowest_cell_seconds
        What the slowest cell took.
    slowest_cell
        Its number, as in `In [3]`; `None` where no cell ran.
    error
        The exception's name, its message and the cell's number; `None` where all went well.
    """

    name: str
    seconds: float = 0.0
    peak_mib: float = 0.0
    slowest_cell_seconds: float = 0.0
    slowest_cell: int | None = None
    error: str | None = None


def run(paths: Iterable[str | Path], output: str | Path | None = None, *, timeout: int = 120) -> list[Result]:
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
        raise NotebookError(f"There are no notebooks to run in {', '.join(map(str, resolved))}.")
    if output is not None:
        names = [path.stem for path in notebooks]
        if len(set(names)) < len(names):
            raise NotebookError("Two of the notebooks have one name. Run them with an output folder each.")
        output = prepare_folder(output)
    results = []
    with tqdm(total=sum(len(notebook.cells) for notebook in notebooks.values()), unit="cell") as bar:
        for path, notebook in notebooks.items():
            bar.set_description(path.stem)
            end = bar.n + len(notebook.cells)
            results.append(_run_one(path, notebook, timeout, bar.update))
            bar.update(end - bar.n)  # the cells after one that raised
            if output is not None:
                write_text(output / f"{path.stem}.html", to_html(notebook, path))
                write_text(output / SUMMARY, table(results))
    return results


def notebooks_in(folder: Path) -> list[Path]:
    """Return the notebooks in a folder by name, without the checkpoints that Jupyter keeps.

    >>> notebooks_in(Path("no such folder"))
    []
    """
    return [path for path in sorted(folder.glob("*.ipynb")) if not path.stem.endswith("-checkpoint")]


def read(path: Path) -> NotebookNode:
    """Read a notebook, as nbformat 4, with the outputs of earlier runs taken out.

    Raises
    ------
    NotebookError
        The file is missing or is no valid notebook.
    """
    if not path.is_file():
        raise NotebookError(f"There is no file {path}. Give an .ipynb file, or a folder that holds some.")
    try:
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.convert(nbformat.reader.reads(text), 4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises whatever it stumbles over
        why = shorten(str(error), ERROR_WIDTH, placeholder=" ...")
        raise NotebookError(f"{path} is not a notebook that nbformat can read: {why}") from error
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
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
    """Return results as a Markdown table.

    >>> print(table([Result("00_start", 3.21, 210.4, 1.5, 2)]), end="")
    | notebook | result | seconds | peak MiB | slowest cell  | error |
    | -------- | ------ | ------- | -------- | ------------- | ----- |
    | 00_start | ok     | 3.2     | 210      | 1.5 s, In [2] |       |
    """
    rows: list[tuple[str, ...]] = [("notebook", "result", "seconds", "peak MiB", "slowest cell", "error")]
    for result in results:
        slowest = f"{result.slowest_cell_seconds:.1f} s, In [{result.slowest_cell}]"
        error = shorten(result.error or "", ERROR_WIDTH, placeholder=" ...").replace("|", "\\|")
        sizes = (f"{result.seconds:.1f}", f"{result.peak_mib:.0f}", slowest if result.slowest_cell else "-")
        rows.append((result.name, "FAILED" if result.error else "ok", *sizes, error))
    return f"{as_markdown(rows)}\n"


def peak_mib(pid: int) -> float:
    """Return the largest resident memory that a process has had, in MiB; outside Linux, what it has now.

    `resource.getrusage` of a new process begins with its parent's.

    >>> peak_mib(os.getpid()) > 1
    True
    """
    try:
        [kib] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return float(psutil.Process(pid).memory_info().rss / MIB)
    return int(kib) / 1024


def _is_bar(data: dict[str, Any]) -> bool:
    """Tell whether an output is a progress bar in a widget, which brings no HTML along."""
    return WIDGET in data and "text/html" not in data and bool(BAR.search(str(data.get("text/plain", ""))))


def _run_one(path: Path, notebook: NotebookNode, timeout: int, tick: Callable[[], object]) -> Result:
    """Run a notebook in a kernel that is this very interpreter.

    With no folder to look in, jupyter_client falls back on ipykernel's own kernelspec, so that a
    `python3` that comes first in Jupyter's path does not count. The thread has a loop of its own, also
    where this one has a loop, as in a notebook.
    """
    manager = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True),
        transport_encryption="auto" if zmq.has("curve") else "disabled",  # ipykernel warns without
    )
    client = NotebookClient(
        notebook, km=manager, timeout=timeout, startup_timeout=STARTUP, coalesce_streams=True, store_widget_state=False
    )
    result, begin = Result(path.stem), perf_counter()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(_execute, client, path.parent, result, tick)
        try:
            work.result()
        except (CellExecutionError, CellTimeoutError, RuntimeError) as raised:
            result.error = f"{': '.join(_reason(raised, client))} (cell {client.code_cells_executed})"
        except KeyboardInterrupt:
            while not work.done():  # a kernel that is about to start has no process yet
                if manager.has_kernel:
                    run_sync(manager.provisioner.kill)()
                sleep(EVERY)
            raise
    result.seconds = perf_counter() - begin
    return result


def _execute(client: NotebookClient, folder: Path, result: Result, tick: Callable[[], object]) -> None:
    """Run all cells and measure them; exercises are recorded in a file that is gone with the kernel."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as record:
        variables = {**os.environ, VARIABLE: str(Path(record, FILE))}
        with client.setup_kernel(cwd=str(folder), env=variables, cleanup_kc=True):
            pid = client.km.provisioner.pid
            for index, cell in enumerate(client.nb.cells):
                start = perf_counter()
                try:
                    client.execute_cell(cell, index)
                except (CellTimeoutError, DeadKernelError) as raised:  # the kernel writes nothing any more
                    kind, why = _reason(raised, client)
                    cell.outputs.append(new_output("error", ename=kind, evalue=why, traceback=[f"{kind}: {why}"]))
                    raise
                finally:
                    seconds = perf_counter() - start
                    if seconds > result.slowest_cell_seconds and cell.cell_type == "code":
                        result.slowest_cell_seconds, result.slowest_cell = seconds, client.code_cells_executed
                    with suppress(psutil.Error):  # of a kernel that died
                        result.peak_mib = max(result.peak_mib, peak_mib(pid))
                tick()


def _reason(raised: Exception, client: NotebookClient) -> tuple[str, str]:
    """Return the name and the message of what stopped a notebook."""
    if isinstance(raised, CellExecutionError):
        return raised.ename, raised.evalue
    reasons: dict[type, str] = {
        CellTimeoutError: f"The cell ran longer than the timeout, {client.timeout} s.",
        DeadKernelError: "The kernel died, often because memory ran out.",
    }
    return type(raised).__name__, reasons.get(type(raised), str(raised))
