"""Which Neuron packages this machine has, and whether they can trace. Taught in notebook 05."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tsnb.base.words import say, wrapped
from tsnb.neuron.targets import TARGETS, Target, facts

if TYPE_CHECKING:
    from types import ModuleType

State = Literal["absent", "broken", "no-trace", "no-compiler", "no-device", "ready"]
INDENT = " " * 6  # below a generation's name
DEVICES = Path("/dev")
SECONDS = 120  # an import on a cold disk takes long; one that hangs takes longer
PROBE = """
import importlib, sys
package = importlib.import_module(sys.argv[1])
print()
print("tsnb:", callable(getattr(package, "trace", None)))
"""


@dataclass(frozen=True, repr=False)
class Detection:
    """What was found of one generation's packages; prints as text.

    Attributes
    ----------
    target
        The generation and what it needs.
    state
        `absent`: no package; `broken`: its import fails; `no-trace`: a package of that name
        without the function `.trace`; `no-compiler`; `no-device`: can compile, cannot run;
        `ready`.
    python, torch
        Versions found; torch's is empty where it is not installed.
    detail
        What the import said, for `broken`.
    """

    target: Target
    state: State
    python: str
    torch: str
    detail: str = ""

    @property
    def can_trace(self) -> bool:
        """Whether `convert` can compile here."""
        return self.state in ("no-device", "ready")

    @property
    def python_fits(self) -> bool:
        """Whether the last release runs on this Python."""
        return self.python.split(".")[:2] in [["3", str(minor)] for minor in self.target.python]

    @property
    def torch_fits(self) -> bool:
        """Whether the last release was made for this torch."""
        return f"{self.torch.partition('+')[0]}.".startswith(f"{self.target.torch}.")

    @property
    def found(self) -> str:
        """What is installed, in a sentence."""
        need = self.target
        return say(
            f"neuron.state-{self.state}",
            package=need.package,
            compiler=need.compiler,
            detail=self.detail,
        )

    @property
    def works(self) -> str:
        """What can be done in this state."""
        return say(f"neuron.works-{self.state}", runs_on=self.target.runs_on)

    @property
    def todo(self) -> str:
        """What to do next."""
        need = self.target
        install = " ".join(need.install)
        return say(f"neuron.next-{self.state}", install=install, sdk=need.sdk, runs_on=need.runs_on)

    @property
    def versions(self) -> str:
        """What the last release needs, what is here, and whether that fits."""
        return (
            f"Needs Python {self.target.pythons} and torch {self.target.torch}; here Python "
            f"{self.python} ({_fits(fits=self.python_fits)}), torch {(self.torch or '-')} "
            f"({_fits(fits=self.torch_fits)})."
        )

    @property
    def hosts(self) -> str:
        """Where to compile, and where to run."""
        return say(f"neuron.hosts-{self.target.name}")

    @property
    def lifecycle(self) -> str:
        """How long this generation's tracing is supported, with the date of that statement."""
        known = facts()
        return say(f"neuron.lifecycle-{self.target.name}", date=known["as_of"], sdk=known["sdk"])

    def __str__(self) -> str:
        parts = (self.works, self.todo, self.versions, self.hosts, self.lifecycle)
        head = wrapped(f"{self.target.name}: {self.found}", INDENT)
        return "\n".join((head, *(wrapped(INDENT + part, INDENT) for part in parts)))

    __repr__ = __str__


class Detections(tuple[Detection, ...]):
    """What was found of every generation that traces, in order; prints as text."""

    __slots__ = ()

    @property
    def both(self) -> bool:
        """Whether the packages of both generations are installed."""
        return len(self) > 1 and all(found.state != "absent" for found in self)

    def __str__(self) -> str:
        note = (
            [
                (
                    "torch_neuron and torch_neuronx are both installed here. Their last releases "
                    "need different versions of Python and of torch, so that one environment cannot "
                    "be right for both: make one for each. Until then the target given to "
                    "tsnb.neuron.convert decides which is used."
                )
            ]
            if self.both
            else []
        )
        return "\n".join([*map(str, self), *note])

    __repr__ = __str__


def detect() -> Detections:
    """Look for each generation's packages by looking for the function that traces.

    A name proves nothing: `torch_neuronx` is also the third generation, which has no `.trace`, and
    `torch.neuron` may be a device. A package that is installed is imported in a process of its
    own, so that a broken one, even one that crashes, is only reported.

    Returns
    -------
    Detections
        A `Detection` for `inf1` and one for `inf2`.

    Examples
    --------
    >>> [found.target.name for found in detect()]
    ['inf1', 'inf2']

    Taught in notebook 05.
    """
    return Detections(map(detect_one, TARGETS))


def detect_one(target: Target) -> Detection:
    """Look for one generation's packages; see `detect`."""
    state, detail = _state(target)
    return Detection(target, state, platform.python_version(), _torch_version(), detail)


def _state(target: Target) -> tuple[State, str]:
    if not _installed(target.package):
        return "absent", ""
    traces, detail = _traces(target.package)
    if detail:
        return "broken", detail
    return _traceable(target) if traces else "no-trace", ""


def _traceable(target: Target) -> State:
    """Return the state of a package that has the function `trace`."""
    if not _installed(target.compiler):
        return "no-compiler"
    return "ready" if any(DEVICES.glob("neuron*")) else "no-device"


def _installed(module: str) -> bool:
    """Tell whether a module could be imported; an odd one, without a spec, counts as there."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return True


def _traces(package: str) -> tuple[bool, str]:
    """Tell whether a package has the function `trace`, or what went wrong on the way there."""
    imported: ModuleType | None = sys.modules.get(package)
    if imported is not None:
        return callable(getattr(imported, "trace", None)), ""
    command = [sys.executable, "-c", PROBE, package]
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment = os.environ | {"PYTHONPATH": path}
    try:
        done = subprocess.run(  # noqa: S603, this Python and a name from facts.toml
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"the import took more than {SECONDS} s"
    answers = [line for line in done.stdout.splitlines() if line.startswith("tsnb:")]
    if done.returncode or not answers:
        return False, _last_words(done)
    return answers[-1].endswith("True"), ""


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of an import's traceback, or how its process ended."""
    if done.returncode < 0:
        return f"the import crashed Python ({signal.Signals(-done.returncode).name})"
    last = done.stderr.strip().rpartition("\n")[2]
    return last or f"the import ended Python with code {done.returncode}"


def _fits(*, fits: bool) -> str:
    return say("neuron.fits" if fits else "neuron.fits-not")


def _torch_version() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""
