"""Which Neuron packages this machine has, and whether they can trace. Taught in notebook 05."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tsnb.base.tables import wrapped
from tsnb.neuron.targets import TARGETS, Target, facts

State = Literal["absent", "broken", "no-trace", "no-compiler", "no-device", "ready"]
INDENT = " " * 6  # below a generation's name
DEVICES = Path("/dev")
PROBE = """
import importlib, sys
package = importlib.import_module(sys.argv[1])
print("\\ntsnb:", callable(getattr(package, "trace", None)))
"""
STATES: dict[State, dict[str, str]] = facts()["state"]  # what is here, what works, what to do next


@dataclass(frozen=True, repr=False)
class Detection:
    """What this machine has of one generation's packages; prints as text.

    Attributes
    ----------
    target
        The generation and what it needs.
    state
        `absent`: no package; `broken`: its import fails; `no-trace`: a package of that name
        without the function `.trace`; `no-compiler`; `no-device`: can compile, cannot run;
        `ready`.
    detail
        What the import said, for `broken`.
    """

    target: Target
    state: State
    detail: str = ""

    @property
    def can_convert(self) -> bool:
        """Whether `convert` can compile here; for Inf1 it never does."""
        return self.target.name != "inf1" and self.state in ("no-device", "ready")

    @property
    def lines(self) -> tuple[str, ...]:
        """What is here, what works, what to do next, which versions fit, where to compile, and until when."""
        need, known = self.target, facts()
        texts = STATES[self.state] | (known["inf1"] if need.name == "inf1" else {})
        values = vars(need) | {"install": " ".join(need.install), "detail": self.detail}
        python, torch = platform.python_version(), installed("torch").get("torch", "-")
        fits = {True: "fits", False: "does not fit"}
        python_fits = fits[sys.version_info.minor in need.python]
        torch_fits = fits[f"{torch.partition('+')[0]}.".startswith(f"{need.torch}.")]
        return (
            *(texts[key].format(**values) for key in ("here", "works", "next")),
            f"Needs Python {need.pythons}; here Python {python} {python_fits}.",
            f"Needs torch {need.torch}; here torch {torch} {torch_fits}.",
            f"As of {known['as_of']} (SDK {known['sdk']}): {need.status}",
        )

    def __repr__(self) -> str:
        here, *rest = self.lines
        parts = (f"{self.target.name}: {here}", *(INDENT + line for line in rest))
        return "\n".join(wrapped(part, INDENT) for part in parts)


class Detections(tuple[Detection, ...]):
    """What this machine has of every generation that traces, in order; prints as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(str, self))


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
    >>> [detection.target.name for detection in detect()]
    ['inf1', 'inf2']

    Taught in notebook 05.
    """
    return Detections(map(detect_one, TARGETS))


def detect_one(target: Target) -> Detection:
    """Look for one generation's packages; see `detect`."""
    if find_spec(target.package) is None:
        return Detection(target, "absent")
    traces, problem = _traces(target.package)
    if problem:
        return Detection(target, "broken", problem)
    if not traces:
        return Detection(target, "no-trace")
    if find_spec(target.compiler) is None:
        return Detection(target, "no-compiler")
    return Detection(target, "ready" if any(DEVICES.glob("neuron*")) else "no-device")


def installed(*distributions: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed, by their pip names."""
    versions = {}
    for name in (distribution.partition("[")[0] for distribution in distributions):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _traces(package: str) -> tuple[bool, str]:
    """Tell whether a package has the function `trace`, or what went wrong on the way there."""
    if package in sys.modules:
        return callable(getattr(sys.modules[package], "trace", None)), ""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    command, env = [sys.executable, "-c", PROBE, package], os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603, ours
    _, reached, answer = done.stdout.rpartition("tsnb: ")
    if done.returncode or not reached:
        last = done.stderr.strip().rpartition("\n")[2]
        return False, last or f"the import ended Python with code {done.returncode}"
    return answer.startswith("True"), ""
