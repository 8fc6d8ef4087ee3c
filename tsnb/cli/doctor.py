"""Look at the machine before the course does: versions, cores, memory, tools, a model."""

from __future__ import annotations

import json
import platform
import sys
import textwrap
from dataclasses import asdict, dataclass
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unicodedata import east_asian_width

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tqdm.auto import tqdm

from tsnb.artifacts.cpp.building import tools
from tsnb.base.machine import MIB, memory_limit, usable_cores
from tsnb.base.tables import CELL
from tsnb.base.words import say
from tsnb.cli import jupyter

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["ok", "warning", "problem"]
Finding = tuple[Status, str, str]  # status, what was found, what to do

SYMBOLS: dict[Status, str] = {"ok": "✓", "warning": "!", "problem": "✗"}
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
    found
        What is there.
    advice
        What to do; empty where there is nothing to do.
    key
        What was looked at, the same in every language.
    """

    name: str
    status: Status
    found: str
    advice: str = ""
    key: str = ""

    @property
    def symbol(self) -> str:
        """`✓`, `!` or `✗`."""
        return SYMBOLS[self.status]


@dataclass(frozen=True, repr=False)
class Report:
    """Every check; prints as aligned text, and shows as a table in a notebook."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings do not count."""
        return all(check.status != "problem" for check in self.checks)

    @property
    def to_mend(self) -> Report:
        """The checks alone that are not in order."""
        return Report(tuple(check for check in self.checks if check.status != "ok"))

    def to_json(self) -> str:
        """Return everything as JSON, for an issue; the reader's home folder is written as `~`.

        Examples
        --------
        >>> json.loads(Report(()).to_json())["ok"]
        True
        """
        rows = [asdict(check) for check in self.checks]
        told = {"tsnb": metadata.version("tsnb"), "ok": self.ok, "checks": rows}
        home = json.dumps(str(Path.home()))[1:-1]  # as JSON writes its backslashes
        return json.dumps(told, indent=2, ensure_ascii=False).replace(home, "~")

    def __str__(self) -> str:
        width = max((_width(check.name) for check in self.checks), default=0)
        lines = [line for check in self.checks for line in _lines(check, width)]
        return "\n".join([*lines, "", self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(map(_row, self.checks))
        return f"<table><tbody>{rows}</tbody></table><p>{escape(self._verdict())}</p>"

    def _verdict(self) -> str:
        return say("checkup.ready" if self.ok else "checkup.not-ready")


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
        `.ok` is false where there is a problem; `.checks` holds what was found and what to do.

    Examples
    --------
    >>> import tsnb
    >>> tsnb.doctor().checks[0].status
    'ok'

    Taught in notebook 00.
    """
    checks = []
    with tqdm(CHECKS.items(), leave=False, disable=not progress) as bar:
        for key, look in bar:
            bar.set_description(say(f"checkup.name-{key}"))
            checks.append(_guarded(key, look))
    return Report(tuple(checks))


def _guarded(key: str, look: Callable[[], Finding]) -> Check:
    """Make a check of what `look` finds; where it raises, the error is the problem found."""
    try:
        found = look()
    except Exception as error:  # noqa: BLE001, a doctor must not fall ill
        found = (
            "problem",
            f"{type(error).__name__}: {error}",
            (
                "This check itself failed, which often means a broken installation. Install "
                "tsnb again in a new environment."
            ),
        )
    return Check(say(f"checkup.name-{key}"), *found, key)


def _pins() -> dict[str, Requirement]:
    """Return what tsnb's own metadata asks for, by name, extras left out."""
    wanted = map(Requirement, metadata.requires("tsnb") or ())
    return {pin.name: pin for pin in wanted if pin.marker is None}


def _machine() -> Finding:
    return "ok", platform.platform(), ""


def _python() -> Finding:
    found = platform.python_version()
    allowed = metadata.metadata("tsnb")["Requires-Python"]
    if SpecifierSet(allowed).contains(found, prereleases=True):
        return "ok", found, ""
    return (
        "problem",
        found,
        (
            f"tsnb needs Python {allowed}; torch.jit does not support 3.14. Make a new "
            "environment with such a Python."
        ),
    )


def _package(name: str) -> Finding:
    """Compare an installed version with the pin; a local part such as `+cpu` does not count."""
    pin = _pins()[name]
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "problem", "not installed", f"Install it: python -m pip install {pin}"
    if pin.specifier.contains(found, prereleases=True):
        return "ok", found, ""
    return (
        "warning",
        found,
        (
            f"The course is checked against {pin}; with another version, what you see may "
            f"differ from its text. Install that one: python -m pip install {pin}"
        ),
    )


def _transformers() -> Finding:
    """Compare as for any package; version 5 has no torchscript flag, and accepts it in silence."""
    status, found, advice = _package("transformers")
    if status == "warning" and Version(found).major >= 5:  # noqa: PLR2004, where the flag ended
        return (
            "problem",
            found,
            (
                "transformers 5 has no torchscript flag: it accepts torchscript=True and does "
                "nothing. Install the version of the course: python -m pip install "
                f"{_pins()['transformers']}"
            ),
        )
    return status, found, advice


def _others() -> Finding:
    """Compare every package that no other line is about."""
    others = {name: _package(name) for name in _pins() if name not in CHECKS}
    off = {name: finding for name, finding in others.items() if finding[0] != "ok"}
    if not off:
        return "ok", f"{len(others)}, each as pinned", ""
    status: Status = max((finding[0] for finding in off.values()), key=list(SYMBOLS).index)
    found = ", ".join(f"{name} {finding[1]}" for name, finding in off.items())
    pins = " ".join(str(_pins()[name]) for name in off)
    return status, found, f"Install it: python -m pip install {pins}"


def _widgets() -> Finding:
    """Look for what draws widgets in the page, which Jupyter loads when it starts."""
    there = jupyter.front_ends()
    missing = [name for name, version in there.items() if version is None]
    if missing:
        advice = (
            "Without it a widget shows as text. Install both again in this environment, "
            f"{sys.prefix}, and load the page anew: python -m pip install --force-reinstall "
            "--no-deps jupyterlab_widgets anywidget"
        )
        return "problem", f"no {', '.join(missing)}", advice
    return "ok", ", ".join(f"{name} {version}" for name, version in there.items()), ""


def _kernel() -> Finding:
    """Look which Python a notebook gets; another environment's lacks the course's packages."""
    program = jupyter.kernel()
    if program is not None and jupyter.is_this_environment(program):
        return "ok", program, ""
    found = program or f"no {jupyter.KERNEL}"
    return (
        "warning",
        found,
        (
            'The kernel "Python 3" is not this environment, so that a notebook may not '
            f"find the course's packages. Start Jupyter with this Python: {sys.executable} "
            f"-m jupyterlab. Or name it as the kernel: {sys.executable} -m ipykernel install "
            "--sys-prefix"
        ),
    )


def _folder() -> Finding:
    here = Path.cwd()
    if jupyter.can_write(here):
        return "ok", str(here), ""
    return (
        "warning",
        f"{here} cannot be written to",
        (
            "Notebooks 00 and 03 write files beside themselves. Copy the folder notebooks "
            "to one of your own and open it there."
        ),
    )


def _memory() -> Finding:
    limit = memory_limit()
    available = min(psutil.virtual_memory().available / MIB, limit)
    found = f"{available:,.0f} MiB available of {limit:,.0f} MiB"
    if limit < NEEDED_MIB:
        return (
            "problem",
            found,
            (f"A notebook needs up to {NEEDED_MIB} MiB. Give the container or the machine more memory."),
        )
    if available < NEEDED_MIB:
        return (
            "warning",
            found,
            (
                f"A notebook needs up to {NEEDED_MIB} MiB. Shut down other kernels and close "
                "other programs first."
            ),
        )
    return "ok", found, ""


def _build_tools() -> Finding:
    there = tools()
    found = ", ".join(path or f"no {name}" for name, path in there.items())
    if all(there.values()):
        return "ok", found, ""
    return (
        "warning",
        found,
        (
            "Only the C++ part of notebook 03 needs them; the rest goes on without. Debian "
            "and Ubuntu: sudo apt install g++ cmake make. macOS: xcode-select --install, "
            "then brew install cmake. conda: conda install cxx-compiler cmake make. "
            "Windows: Visual Studio's build tools for C++, with Jupyter started from their "
            "x64 Native Tools prompt."
        ),
    )


def _neuron() -> Finding:
    present = [name for name in NEURON if find_spec(name)]
    if present:
        return "ok", ", ".join(present), ""
    return "ok", "not installed", "Only needed on AWS; notebook 05 works without."


def _threads() -> Finding:
    """Compare torch's threads with the cores; ask before `load`, which lowers their number."""
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    found = f"torch starts {threads}, this process may use {cores} cores"
    if threads <= cores:
        return "ok", found, ""
    return (
        "warning",
        found,
        (
            "More threads than cores wait for each other. tsnb.load lowers the number; in "
            f"your own code call torch.set_num_threads({cores}), or set "
            f"OMP_NUM_THREADS={cores} before you start Jupyter."
        ),
    )


def _model() -> Finding:
    from tsnb.models.load import EMBEDDED, load

    model, _ = load(EMBEDDED)
    return "ok", f"{EMBEDDED} loads, {model.num_parameters():,} parameters", ""


CHECKS: dict[str, Callable[[], Finding]] = {  # quick ones first; those after Neuron import torch
    "machine": _machine,
    "python": _python,
    "torch": lambda: _package("torch"),
    "transformers": _transformers,
    "jupyterlab": lambda: _package("jupyterlab"),
    "ipywidgets": lambda: _package("ipywidgets"),
    "others": _others,
    "widgets": _widgets,
    "kernel": _kernel,
    "folder": _folder,
    "memory": _memory,
    "build-tools": _build_tools,
    "neuron": _neuron,
    "threads": _threads,
    "model": _model,
}


def _lines(check: Check, width: int) -> list[str]:
    """Return a check as text: symbol, name, what was found, and the advice below it."""
    padding = " " * (width - _width(check.name))
    first, *others = [
        line for text in (check.found, check.advice) for line in textwrap.wrap(text, TEXT_WIDTH)
    ] or [""]
    head = f"{check.symbol} {check.name}{padding}  {first}".rstrip()
    return [head, *(" " * (width + 4) + line for line in others)]


def _width(text: str) -> int:
    """Return the columns a text takes in a terminal, where Korean letters are two wide.

    >>> _width("메모리"), _width("memory")
    (6, 6)
    """
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _row(check: Check) -> str:
    """Return a check as a row of HTML, in the colours of the page around it."""
    status = say(f"checkup.status-{check.status}")
    symbol = f'<span role="img" aria-label="{escape(status)}">{check.symbol}</span>'
    advice = f"<br>{escape(check.advice)}" if check.advice else ""
    cells = (
        f"<td style='{CELL}'>{symbol}</td>"
        f"<td style='{CELL}; white-space: nowrap'>{escape(check.name)}</td>"
        f"<td style='{CELL}; overflow-wrap: anywhere'>{escape(check.found)}{advice}</td>"
    )
    return f"<tr>{cells}</tr>"
