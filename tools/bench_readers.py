"""What memory thirty readers at once take: each a JupyterLab server and a kernel that runs a notebook.

Run by hand, on a machine that has 16 GB free:
`python -m tools.bench_readers [NOTEBOOK] [READERS]`.
Linux only. PSS counts pages that processes share, such as torch's libraries, once for all of them;
RSS counts them in each. The sum of PSS is what a node needs; one reader's RSS is what a limit sees.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tsnb.base.machine import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTEBOOK = Path(__file__).parents[1] / "notebooks/02_dummy_inputs_and_tracing.ipynb"
READERS = 30
TICK = 1.0  # seconds between two looks
TIMEOUT = 3600  # seconds for a cell, where thirty kernels share two cores


class Memory(NamedTuple):
    """What processes take, in MiB: all of them together (PSS), and the largest one."""

    pss: float = 0.0
    largest_pss: float = 0.0
    largest_rss: float = 0.0

    @classmethod
    def of(cls, processes: Sequence[psutil.Process]) -> Memory:
        """Measure processes; one that ended meanwhile takes nothing."""
        sizes = [(0.0, 0.0)]
        for process in processes:
            with suppress(psutil.Error):
                info = process.memory_full_info()
                sizes.append((info.pss / MIB, info.rss / MIB))
        every_pss, every_rss = zip(*sizes, strict=True)
        return cls(sum(every_pss), max(every_pss), max(every_rss))


def peaks(notebook: Path, readers: int) -> tuple[Memory, Memory]:
    """Run a notebook for several readers at once; return the peaks of the kernels, and of the servers."""
    lab = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command = [sys.executable, "-m", "tsnb.cli.main", "run", str(notebook), "--timeout", str(TIMEOUT)]
    kernels = servers = Memory()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        labs, runs = [], []
        for number in range(readers):
            log = stack.enter_context(Path(folder, str(number)).open("w+"))
            labs.append(psutil.Popen([*lab, f"--ServerApp.root_dir={folder}"], stderr=log))
            stack.callback(labs[-1].wait)
            stack.callback(labs[-1].kill)
            while "is running at" not in Path(log.name).read_text():
                time.sleep(TICK)
        for number in range(readers):
            log = stack.enter_context(Path(folder, f"{number}.run").open("w+"))
            runs.append(stack.enter_context(psutil.Popen(command, stdout=log, stderr=log)))
        while any(process.poll() is None for process in runs):
            children = []
            for process in runs:
                with suppress(psutil.Error):
                    children += process.children(recursive=True)
            kernels = Memory(*map(max, kernels, Memory.of(children)))
            servers = Memory(*map(max, servers, Memory.of(labs)))
            time.sleep(TICK)
        failed = [Path(folder, f"{number}.run").read_text() for number, run in enumerate(runs) if run.returncode]
        if failed:
            raise RuntimeError(failed[0])
    return kernels, servers


def main() -> None:
    """Print the figures."""
    arguments = sys.argv[1:]
    notebook = Path(arguments[0]) if arguments else NOTEBOOK
    readers = int(arguments[1]) if arguments[1:] else READERS
    begun = time.monotonic()
    kernels, servers = peaks(notebook, readers)
    total = kernels.pss + servers.pss
    print(f"{notebook.stem}, {readers} readers at once, {time.monotonic() - begun:,.0f} s:")  # noqa: T201
    for name, memory in {"kernels": kernels, "servers": servers}.items():
        print(  # noqa: T201
            f"{name}: {memory.pss:,.0f} MiB together (PSS), {memory.pss / readers:,.0f} each;"
            f" the largest {memory.largest_pss:,.0f} PSS, {memory.largest_rss:,.0f} RSS"
        )
    print(f"all: {total:,.0f} MiB, {total / readers:,.0f} a reader")  # noqa: T201


if __name__ == "__main__":
    main()
