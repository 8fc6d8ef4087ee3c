"""What memory ten readers at once take: ten kernels that run a notebook, and JupyterLab's server.

Run by hand, on a machine that does nothing else:
`python -m tests.bench_readers [NOTEBOOK] [READERS]`.
Linux only: pages that kernels share, such as torch's libraries, count once (PSS).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from tsnb.base.machine import MIB

NOTEBOOK = Path(__file__).parents[1] / "notebooks/02_dummy_inputs_and_tracing.ipynb"
READERS = 10
TICK = 0.5  # seconds between two looks


def shares(process: psutil.Process) -> list[float]:
    """Return the memory of each child of a process in MiB, shared pages by their share."""
    sizes = []
    with suppress(psutil.Error):
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                sizes.append(child.memory_full_info().pss / MIB)
    return sizes


def run(notebook: Path, readers: int) -> tuple[float, float, float]:
    """Run a notebook in several kernels at once; return their peak, the largest, the seconds."""
    begun, total, largest = time.monotonic(), 0.0, 0.0
    command = [sys.executable, "-m", "tsnb.cli.main", "run", str(notebook), "--timeout", "1200"]
    with ExitStack() as stack:
        printed = stack.enter_context(tempfile.TemporaryFile())
        started = [
            stack.enter_context(psutil.Popen(command, stdout=printed, stderr=subprocess.DEVNULL))
            for _ in range(readers)
        ]
        while any(process.poll() is None for process in started):
            kernels = [mib for process in started for mib in shares(process)]
            total, largest = max(total, sum(kernels)), max([largest, *kernels])
            time.sleep(TICK)
        printed.seek(0)
        assert not any(process.returncode for process in started), printed.read().decode()
    return total, largest, time.monotonic() - begun


def server() -> float:
    """Return what JupyterLab's server takes as soon as it answers, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-browser", "--allow-root", "--port=0", f"--ServerApp.root_dir={folder}"]
        command = [sys.executable, "-m", "jupyterlab", *options]
        with psutil.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            next(line for line in process.stderr if "is running at" in line)
            mib = float(process.memory_info().rss / MIB)
            process.kill()
    return mib


def main() -> None:
    """Print the figures."""
    arguments = sys.argv[1:]
    notebook = Path(arguments[0]) if arguments else NOTEBOOK
    readers = int(arguments[1]) if arguments[1:] else READERS
    total, largest, seconds = run(notebook, readers)
    print(  # noqa: T201
        f"{notebook.stem}, {readers} kernels at once: {total:,.0f} MiB at the peak,"
        f" {total / readers:,.0f} each; the largest {largest:,.0f}; {seconds:.0f} s.\n"
        f"JupyterLab's server: {server():,.0f} MiB."
    )


if __name__ == "__main__":
    main()
