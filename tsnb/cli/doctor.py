"""Look at the machine before the course does: versions, cores, memory, tools, Jupyter, a model."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from tqdm.auto import tqdm

from tsnb.artifacts.cpp.building import HOW_TO_INSTALL, tools
from tsnb.artifacts.neuron import PACKAGES
from tsnb.base.machine import MIB, memory_limit, usable_cores
from tsnb.base.tables import wrapped
from tsnb.base.versions import describe_line, untried
from tsnb.neuron.detection import installed

Status = Literal["ok", "warning", "problem"]
Finding = tuple[Status, str, str]  # status, result, advice

SYMBOLS: dict[Status, str] = {"ok": "✓", "warning": "!", "problem": "✗"}
CELL = "padding: 2px 1.2em 2px 0; text-align: left; vertical-align: top; overflow-wrap: anywhere"
FRONT_ENDS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")  # draw widgets in the page
NEEDED_MIB = 700  # the most that a notebook's kernel takes; `tsnb run` measures it


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was looked at.
    status
        `"ok"`, `"warning"` (part of the course needs it) or `"problem"` (all of it does).
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

    def __repr__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            begin, indent = f"{SYMBOLS[check.status]} {check.name:{width}}  ", " " * (width + 4)
            lines.append(wrapped(begin + check.result, indent))
            lines += [wrapped(indent + check.advice, indent)] * bool(check.advice)
        return "\n".join([*lines, "", self._verdict()])

    def _repr_html_(self) -> str:
        rows = ""
        for check in self.checks:
            words = "<br>".join(map(escape, filter(None, (check.result, check.advice))))
            cells = f"{SYMBOLS[check.status]} {check.status}", escape(check.name), words
            rows += f"<tr>{''.join(f'<td style={CELL!r}>{cell}</td>' for cell in cells)}</tr>"  # a long path breaks
        return f"<table><tbody>{rows}</tbody></table><p>{escape(self._verdict())}</p>"

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
                advice = "The installation may be broken: install tsnb again in a new environment."
            checks.append(Check(name, status, result, advice))
    return Report(tuple(checks))


def _judged(fits: bool, result: str, advice: str, otherwise: Status = "warning") -> Finding:  # noqa: FBT001
    return ("ok", result, "") if fits else (otherwise, result, advice)


def _python() -> Finding:
    version, allowed = platform.python_version(), metadata.metadata("tsnb")["Requires-Python"]
    fits = SpecifierSet(allowed).contains(version, prereleases=True)
    advice = f"Make a new environment with Python {allowed}: torch.jit does not support 3.14."
    return _judged(fits, f"{version} on {platform.platform()}", advice, "problem")


def _packages() -> Finding:
    """Compare what is installed with the ranges of tsnb, and with what was tried."""
    requirements = map(Requirement, metadata.requires("tsnb") or ())
    ranges = {needed.name: needed for needed in requirements if needed.marker is None}  # no extras
    versions = installed(*ranges)
    ok = {name for name in versions if ranges[name].specifier.contains(versions[name], prereleases=True)}
    off = [ranges[name] for name in ranges if name not in ok]
    if off:
        result = ", ".join(f"{needed.name} {versions.get(needed.name, 'not installed')}" for needed in off)
        needs = " ".join(f'"{needed}"' for needed in off)
        advice = f"What you see may differ from the course's text: python -m pip install {needs}"
        return "problem" if len(versions) < len(ranges) else "warning", result, advice
    first = f"torch {versions['torch']}, transformers {versions['transformers']}"
    beyond = " ".join(untried())
    return "warning" if beyond else "ok", f"{first} and {len(ranges) - 2} more, each in its range", beyond


def _widgets() -> Finding:
    """Look for what draws widgets in the page, which Jupyter loads when it starts."""
    folders = jupyter_path("labextensions")
    missing = [name for name in FRONT_ENDS if not any(Path(folder, name).is_dir() for folder in folders)]
    install = f"{sys.executable} -m pip install --force-reinstall --no-deps jupyterlab_widgets anywidget"
    result = f"no {', '.join(missing)}" if missing else ", ".join(FRONT_ENDS)
    return _judged(not missing, result, f"Load the page anew after {install}", "problem")


def _kernel() -> Finding:
    """Look which Python a notebook gets; another environment's lacks the course's packages."""
    program = str(KernelSpecManager().get_kernel_spec("python3").argv[0])
    if not Path(program).is_absolute():
        program = sys.executable  # a kernelspec without a folder starts the Python that Jupyter runs in
    same = os.path.realpath(Path(program).parent) == os.path.realpath(Path(sys.executable).parent)
    advice = f"Notebooks may lack packages there; start Jupyter with {sys.executable} -m jupyterlab."
    return _judged(same, program, advice)


def _memory() -> Finding:
    limit = memory_limit()
    available = min(psutil.virtual_memory().available / MIB, limit)
    result = f"{available:,.0f} MiB available of {limit:,.0f} MiB"
    if limit < NEEDED_MIB:
        return "problem", result, f"Give the container or the machine more memory: {NEEDED_MIB} MiB or more."
    advice = f"A notebook needs up to {NEEDED_MIB} MiB: shut down other kernels and programs first."
    return _judged(available >= NEEDED_MIB, result, advice)


def _build_tools() -> Finding:
    paths = tools()
    result = ", ".join(path or f"no {name}" for name, path in paths.items())
    return _judged(all(paths.values()), result, HOW_TO_INSTALL)


def _neuron() -> Finding:
    present = ", ".join(name for name in PACKAGES.values() if find_spec(name))
    return ("ok", present or "not installed", "" if present else "Only needed on AWS; notebook 05 works without.")


def _threads() -> Finding:
    """Compare torch's threads with the cores."""
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    calls = f"torch.set_num_threads({cores}), or set OMP_NUM_THREADS={cores} before you start Jupyter."
    result = f"torch starts {threads}, this process may use {cores} cores"
    return _judged(threads <= cores, result, f"More threads than cores wait for each other. Call {calls}")


def _model() -> Finding:
    from tsnb.models.load import EMBEDDED, load

    model, _ = load(EMBEDDED)
    return "ok", f"{EMBEDDED} loads, {model.num_parameters():,} parameters", ""


CHECKS: dict[str, Callable[[], Finding]] = {  # quick ones first; those after Neuron import torch
    "Python": _python,
    "packages": _packages,
    "transformers": lambda: ("ok", describe_line(), ""),  # both lines are fine
    "widgets": _widgets,
    "kernel": _kernel,
    "memory": _memory,
    "C++ tools": _build_tools,
    "Neuron": _neuron,
    "threads": _threads,
    "embedded model": _model,
}
