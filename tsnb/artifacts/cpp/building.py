"""Build the C++ loader out of tree, once for each torch. Taught in notebook 03."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
from tqdm.auto import tqdm

from tsnb.base.errors import CppError
from tsnb.base.files import whole_file

SOURCES = Path(__file__).parent
PROGRAM = "load_traced" + (sysconfig.get_config_var("EXE") or "")
HOW_TO_INSTALL = (
    "Only the C++ part of notebook 03 needs them; the rest goes on without. Debian and Ubuntu: sudo apt install g++ "
    "cmake make. macOS: xcode-select --install, then brew install cmake. conda: conda install cxx-compiler cmake "
    "make. Windows: Visual Studio's build tools for C++, with Jupyter started from their x64 Native Tools prompt."
)
LAST_LINES = 15
TICK = 0.5  # seconds after which the bar's clock goes on


def tools() -> dict[str, str | None]:
    """Return where the tools are that a build needs, by name; `None` for one that is not there.

    The compiler is the one that CMake would take: the environment's `CXX` before any other.

    >>> len(tools())
    3
    """
    compilers = (*os.environ.get("CXX", "").split()[:1], "c++", "g++", "clang++", "cl")
    programs = {"C++ compiler": compilers, "cmake": ("cmake",), "make or ninja": ("ninja", "make", "nmake")}
    return {tool: next(filter(None, map(shutil.which, names)), None) for tool, names in programs.items()}


def missing() -> list[str]:
    """Return the names of the tools that a build needs and that are not on this machine.

    Examples
    --------
    >>> set(missing()) <= set(tools())
    True

    Taught in notebook 03.
    """
    return [name for name, path in tools().items() if path is None]


def build(folder: str | Path) -> Path:
    """Build the C++ loader against the installed torch, under a progress bar.

    A build takes about half a minute and 1 GB of memory. The program appears whole or not at all;
    where it is there for these sources and this torch, nothing is built. The package's own folder
    is only read.

    Parameters
    ----------
    folder
        Where to put the program, in a folder of its own for each torch.

    Returns
    -------
    Path
        The program. It finds torch's libraries by their place in this environment.

    Raises
    ------
    CppError
        A tool is missing, CMake or the compiler failed, or the folder cannot be written.

    Examples
    --------
    `tsnb.cpp.build("artefacts/cpp")` returns
    `artefacts/cpp/torch-2.13.0+cpu-<digest of the sources>/load_traced`.

    Taught in notebook 03.
    """
    import torch

    sources = [(SOURCES / name).read_bytes() for name in ("CMakeLists.txt", "load_traced.cpp")]
    key = sha256(b"\0".join([*sources, os.fsencode(torch.__file__)])).hexdigest()[:8]
    program = Path(folder).expanduser().resolve() / f"torch-{torch.__version__}-{key}" / PROGRAM
    if program.is_file():
        return program
    if absent := missing():
        raise CppError(f"The C++ loader cannot be built here: {', '.join(absent)} not found. {HOW_TO_INSTALL}")
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(program) as half:
            prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
            steps = {
                "configuring": ("-S", str(SOURCES), "-B", str(half.parent), prefix),
                "compiling": ("--build", str(half.parent), "--config", "Release"),
            }
            with tqdm(steps.items(), bar_format="{desc} {n_fmt}/{total_fmt} {bar} {elapsed}") as bar:
                for step, arguments in bar:
                    bar.set_description_str(step)
                    _run(["cmake", *arguments], bar)
            next(path for path in half.parent.rglob(PROGRAM) if path.is_file()).replace(half)
    except OSError as error:
        raise CppError(
            f"The C++ loader cannot be written to {program.parent}: {error}. Give a folder that you may write to."
        ) from error
    return program


def _run(command: list[str], bar: tqdm[Any]) -> None:
    """Run a command to its end while the bar's clock goes on; on Ctrl-C, end it and its children."""
    generator = {"CMAKE_GENERATOR": "Ninja"} if shutil.which("ninja") else {}
    with subprocess.Popen(  # noqa: S603, CMake with arguments of ours
        command,
        env=generator | os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    output, _ = process.communicate(timeout=TICK)
                    break
                bar.refresh()
        except BaseException:
            with suppress(psutil.NoSuchProcess):
                running = psutil.Process(process.pid)
                for member in [running, *running.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
            raise
    if process.returncode:
        last = "\n".join([line for line in output.splitlines() if line.strip()][-LAST_LINES:])
        raise CppError(
            "The C++ loader could not be built; nothing is left half-built, and the rest of notebook 03 "
            "goes on without it. The compiler needs about 1 GB of memory; where CMake asks for CUDA, it "
            f"needs torch's CPU build, or the CUDA toolkit. The last lines of the build were:\n{last}"
        )
