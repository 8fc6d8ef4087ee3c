"""Build the C++ loader out of tree, once for each torch. Taught in notebook 03."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from tqdm.auto import tqdm

from tsnb.base.errors import CppError

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = Path(__file__).parent
COMPILERS = ("c++", "g++", "clang++", "cl")
MAKERS = ("ninja", "make", "nmake")
PROGRAM = "load_traced" + (sysconfig.get_config_var("EXE") or "")
LAST_LINES = 15
TICK = 0.5  # seconds after which the bar's clock goes on


def tools() -> dict[str, str | None]:
    """Return where the tools are that a build needs, by name; `None` for one that is not there.

    The compiler is the one that CMake would take: the environment's `CXX` before any other.

    >>> len(tools())
    3
    """
    named = os.environ.get("CXX", "").split()[:1]
    wanted = {
        "C++ compiler": (*named, *COMPILERS),
        "cmake": ("cmake",),
        "make or ninja": MAKERS,
    }
    return {name: next(filter(None, map(shutil.which, programs)), None) for name, programs in wanted.items()}


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
    program = Path(folder).expanduser().resolve() / _key() / PROGRAM
    if program.is_file():
        return program
    lacking = missing()
    if lacking:
        advice = (
            "Only the C++ part of notebook 03 needs them; the rest goes on without. Debian "
            "and Ubuntu: sudo apt install g++ cmake make. macOS: xcode-select --install, "
            "then brew install cmake. conda: conda install cxx-compiler cmake make. "
            "Windows: Visual Studio's build tools for C++, with Jupyter started from their "
            "x64 Native Tools prompt."
        )
        raise CppError(f"The C++ loader cannot be built here: {', '.join(lacking)} not found. {advice}")
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as half:
            os.replace(_compile(Path(half)), program)  # noqa: PTH105, the one atomic step
    except OSError as error:
        raise CppError(
            f"The C++ loader cannot be written to {program.parent}: {error}. Give a folder "
            "that you may write to."
        ) from error
    return program


def _key() -> str:
    """Return a name for what a program depends on: the sources, and which torch lies where."""
    import torch

    sources = [(SOURCES / name).read_bytes() for name in ("CMakeLists.txt", "load_traced.cpp")]
    digest = sha256(b"\0".join([*sources, os.fsencode(torch.__file__)])).hexdigest()
    return f"torch-{torch.__version__}-{digest[:8]}"


def _compile(folder: Path) -> Path:
    """Configure and compile in a folder; return the program in it."""
    import torch

    prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    steps = {
        "configuring": ("-S", str(SOURCES), "-B", str(folder), prefix),
        "compiling": ("--build", str(folder), "--config", "Release"),
    }
    with tqdm(steps.items(), bar_format="{desc} {n_fmt}/{total_fmt} {bar} {elapsed}") as bar:
        for name, arguments in bar:
            bar.set_description_str(name)
            _watch(("cmake", *arguments), bar)
    return next(path for path in folder.rglob(PROGRAM) if path.is_file())


def _watch(command: Sequence[str], bar: tqdm[Any]) -> None:
    """Run a command to its end, however long it is silent; on Ctrl-C, end it and its children."""
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
            output = _output(process, bar)
        except BaseException:
            _end(process.pid)
            raise
    if process.returncode:
        said = [line for line in output.splitlines() if line.strip()]
        raise CppError("cpp.not-built", last="\n".join(["", *said[-LAST_LINES:]]))


def _output(process: subprocess.Popen[str], bar: tqdm[Any]) -> str:
    """Return what a process printed, once it has ended; meanwhile the bar shows the time."""
    while True:
        try:
            return process.communicate(timeout=TICK)[0]
        except subprocess.TimeoutExpired:
            bar.refresh()


def _end(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
