"""Look at the machine before the course does: versions, cores, memory, tools, Jupyter, a model."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import textwrap
from dataclasses import asdict, dataclass
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tqdm.auto import tqdm

from tsnb.artifacts.cpp.building import tools
from tsnb.base.machine import MIB, memory_limit, usable_cores
from tsnb.base.tables import CELL

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["ok", "warning", "problem"]
Finding = tuple[Status, str, str]  # status, result, advice

SYMBOLS: dict[Status, str] = {"ok": "✓", "warning": "!", "problem": "✗"}
FRONT_ENDS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")  # draw widgets in the page
NEEDED_MIB = 700  # the most that a notebook's kernel takes; `tsnb run` measures it
NEURON = ("torch_neuronx", "torch_neuron")
TEXT_WIDTH = 60


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was looked at.
    status
        `"ok"`, `"warning"` (part of the course needs it) or `"problem"` (the course needs it).
    result
        What is there.
    advice
        What to do; empty where there is nothing to do.
    """

    name: str
    status: Status
    result: str
    advice: str = ""


@dataclass(frozen=True, repr=False)
class Report:
    """Every check; prints as aligned text, and shows as a table in a notebook."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings do not count."""
        return all(check.status != "problem" for check in self.checks)

    @property
    def issues(self) -> Report:
        """The checks alone that are not in order."""
        return Report(tuple(check for check in self.checks if check.status != "ok"))

    def to_json(self) -> str:
        """Return everything as JSON, for an issue; the reader's home folder is written as `~`.

        Examples
        --------
        >>> json.loads(Report(()).to_json())["ok"]
        True
        """
        checks = [asdict(check) for check in self.checks]
        report = {"tsnb": metadata.version("tsnb"), "ok": self.ok, "checks": checks}
        home = json.dumps(str(Path.home()))[1:-1]  # as JSON writes its backslashes
        return json.dumps(report, indent=2, ensure_ascii=False).replace(home, "~")

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            texts = (check.result, check.advice)
            first, *others = [line for text in texts for line in textwrap.wrap(text, TEXT_WIDTH)] or [""]
            lines.append(f"{SYMBOLS[check.status]} {check.name:{width}}  {first}".rstrip())
            lines += [" " * (width + 4) + line for line in others]
        return "\n".join([*lines, "", self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        styles = (CELL, f"{CELL}; white-space: nowrap", f"{CELL}; overflow-wrap: anywhere")
        rows = []
        for check in self.checks:
            symbol = f'<span role="img" aria-label="{check.status}">{SYMBOLS[check.status]}</span>'
            words = "<br>".join(map(escape, filter(None, (check.result, check.advice))))
            cells = zip(styles, (symbol, escape(check.name), words), strict=True)
            rows.append("".join(f"<td style='{style}'>{cell}</td>" for style, cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><tbody>{body}</tbody></table><p>{escape(self._verdict())}</p>"

    def _verdict(self) -> str:
        if self.ok:
            return "Ready. A line with ! matters only in part of the course; its advice says where."
        return "Not ready yet. Follow the advice at the lines with ✗, then check again."


def doctor(*, progress: bool = True) -> Report:
    """Check that this machine can run the course; never raises, opens no socket.

    Importing torch and loading the embedded model take a few seconds, under a progress bar.

    Parameters
    ----------
    progress
        Whether to show the bar, on stderr.

    Returns
    -------
    Report
        `.ok` is false where there is a problem; `.checks` says what is there and what to do, `.issues`
        only where something is to do.

    Examples
    --------
    >>> import tsnb
    >>> tsnb.doctor().checks[0].status
    'ok'

    Taught in notebook 00.
    """
    checks = []
    with tqdm(CHECKS.items(), leave=False, disable=not progress) as bar:
        for name, look in bar:
            bar.set_description(name)
            try:
                status, result, advice = look()
            except Exception as error:  # noqa: BLE001, a doctor must not fall ill
                status, result = "problem", f"{type(error).__name__}: {error}"
                advice = (
                    "This check itself failed, which often means a broken installation. Install tsnb again "
                    "in a new environment."
                )
            checks.append(Check(name, status, result, advice))
    return Report(tuple(checks))


def _pins() -> dict[str, Requirement]:
    """Return what tsnb's own metadata requires, by name, extras left out."""
    requirements = map(Requirement, metadata.requires("tsnb") or ())
    return {pin.name: pin for pin in requirements if pin.marker is None}


def _python() -> Finding:
    version, allowed = platform.python_version(), metadata.metadata("tsnb")["Requires-Python"]
    if SpecifierSet(allowed).contains(version, prereleases=True):
        return "ok", version, ""
    advice = f"tsnb needs Python {allowed}; torch.jit does not support 3.14. Make a new environment with one."
    return "problem", version, advice


def _package(name: str) -> Finding:
    """Compare an installed version with the pin; a local part such as `+cpu` does not count."""
    pin = _pins()[name]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "problem", "not installed", f"Install it: python -m pip install {pin}"
    if pin.specifier.contains(version, prereleases=True):
        return "ok", version, ""
    if name == "transformers" and Version(version).major >= 5:  # noqa: PLR2004, where the flag ended
        advice = (
            "transformers 5 has no torchscript flag: it accepts torchscript=True and does nothing. Install "
            f"the version of the course: python -m pip install {pin}"
        )
        return "problem", version, advice
    advice = (
        f"The course is checked against {pin}; with another version, what you see may differ from its text. "
        f"Install that one: python -m pip install {pin}"
    )
    return "warning", version, advice


def _others() -> Finding:
    """Compare every package that no other line is about."""
    findings = {name: _package(name) for name in _pins() if name not in map(str.lower, CHECKS)}
    off = {name: finding for name, finding in findings.items() if finding[0] != "ok"}
    if not off:
        return "ok", f"{len(findings)}, each as pinned", ""
    status: Status = max((finding[0] for finding in off.values()), key=list(SYMBOLS).index)
    versions = ", ".join(f"{name} {finding[1]}" for name, finding in off.items())
    pins = " ".join(str(_pins()[name]) for name in off)
    return status, versions, f"Install it: python -m pip install {pins}"


def _widgets() -> Finding:
    """Look for what draws widgets in the page, which Jupyter loads when it starts."""
    versions: dict[str, str] = {}
    for name in FRONT_ENDS:
        files = [Path(folder, name, "package.json") for folder in jupyter_path("labextensions")]
        for file in filter(Path.is_file, reversed(files)):  # the first folder counts
            versions[name] = json.loads(file.read_text(encoding="utf-8"))["version"]
    missing = [name for name in FRONT_ENDS if name not in versions]
    if not missing:
        return "ok", ", ".join(f"{name} {version}" for name, version in versions.items()), ""
    advice = (
        f"Without it a widget shows as text. Install both again in this environment, {sys.prefix}, and load "
        "the page anew: python -m pip install --force-reinstall --no-deps jupyterlab_widgets anywidget"
    )
    return "problem", f"no {', '.join(missing)}", advice


def _kernel() -> Finding:
    """Look which Python a notebook gets; another environment's lacks the course's packages."""
    program = str(KernelSpecManager().get_kernel_spec("python3").argv[0])
    if not Path(program).is_absolute():
        program = sys.executable  # a kernelspec without a folder starts the Python that Jupyter runs in
    if os.path.realpath(Path(program).parent) == os.path.realpath(Path(sys.executable).parent):
        return "ok", program, ""
    advice = (
        'The kernel "Python 3" is not this environment, so that a notebook may lack what the course needs. '
        f"Start Jupyter with this Python: {sys.executable} -m jupyterlab. Or name it as the kernel: "
        f"{sys.executable} -m ipykernel install --sys-prefix"
    )
    return "warning", program, advice


def _folder() -> Finding:
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            return "ok", str(Path.cwd()), ""
    except OSError:
        advice = (
            "Notebooks 00 and 03 write files beside themselves. Copy the folder notebooks to one of your own "
            "and open it there."
        )
        return "warning", f"{Path.cwd()} cannot be written to", advice


def _memory() -> Finding:
    limit = memory_limit()
    available = min(psutil.virtual_memory().available / MIB, limit)
    result, needs = (
        f"{available:,.0f} MiB available of {limit:,.0f} MiB",
        f"A notebook needs up to {NEEDED_MIB} MiB.",
    )
    if limit < NEEDED_MIB:
        return "problem", result, f"{needs} Give the container or the machine more memory."
    if available < NEEDED_MIB:
        return "warning", result, f"{needs} Shut down other kernels and close other programs first."
    return "ok", result, ""


def _build_tools() -> Finding:
    paths = tools()
    result = ", ".join(path or f"no {name}" for name, path in paths.items())
    if all(paths.values()):
        return "ok", result, ""
    advice = (
        "Only the C++ part of notebook 03 needs them; the rest goes on without. Debian and Ubuntu: sudo apt "
        "install g++ cmake make. macOS: xcode-select --install, then brew install cmake. conda: conda "
        "install cxx-compiler cmake make. Windows: Visual Studio's build tools for C++, with Jupyter started "
        "from their x64 Native Tools prompt."
    )
    return "warning", result, advice


def _neuron() -> Finding:
    present = [name for name in NEURON if find_spec(name)]
    if present:
        return "ok", ", ".join(present), ""
    return "ok", "not installed", "Only needed on AWS; notebook 05 works without."


def _threads() -> Finding:
    """Compare torch's threads with the cores."""
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    result = f"torch starts {threads}, this process may use {cores} cores"
    if threads <= cores:
        return "ok", result, ""
    advice = (
        f"More threads than cores wait for each other. Call torch.set_num_threads({cores}), or set "
        f"OMP_NUM_THREADS={cores} before you start Jupyter."
    )
    return "warning", result, advice


def _model() -> Finding:
    from tsnb.models.load import EMBEDDED, load

    model, _ = load(EMBEDDED)
    return "ok", f"{EMBEDDED} loads, {model.num_parameters():,} parameters", ""


CHECKS: dict[str, Callable[[], Finding]] = {  # quick ones first; those after Neuron import torch
    "machine": lambda: ("ok", platform.platform(), ""),
    "Python": _python,
    "torch": lambda: _package("torch"),
    "transformers": lambda: _package("transformers"),
    "JupyterLab": lambda: _package("jupyterlab"),
    "ipywidgets": lambda: _package("ipywidgets"),
    "other packages": _others,
    "widgets": _widgets,
    "kernel": _kernel,
    "folder": _folder,
    "memory": _memory,
    "C++ tools": _build_tools,
    "Neuron": _neuron,
    "threads": _threads,
    "embedded model": _model,
}
