"""Which Neuron packages this machine has, and whether they can trace. Taught in notebook 05."""

from __future__ import annotations

import importlib
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tsnb.neuron.targets import TARGETS, Target
from tsnb.words import say

if TYPE_CHECKING:
    from types import ModuleType

State = Literal["absent", "broken", "no-trace", "no-compiler", "no-device", "ready"]
DEVICES = Path("/dev")


@dataclass(frozen=True)
class Detection:
    """What was found of one generation's packages; prints as text.

    Attributes
    ----------
    target
        The generation and what it needs.
    state
        `absent`: no package; `broken`: its import raises; `no-trace`: a package of that name
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

    def __str__(self) -> str:
        need = self.target
        found = say(
            f"neuron.{self.state}",
            package=need.package,
            compiler=need.compiler,
            install=need.install,
            sdk=need.sdk,
            detail=self.detail,
        )
        wants = say(
            "neuron.versions",
            pythons=need.pythons,
            torch=need.torch,
            python=self.python,
            found=self.torch or "-",
        )
        return f"{need.name}: {found}\n      {wants}"


def detect() -> tuple[Detection, ...]:
    """Look for each generation's packages by looking for the function that traces.

    A package's name proves nothing: the third generation reuses the names of the first two and has
    no `.trace`. A package is imported only if it is installed, and a broken one is reported.

    Returns
    -------
    tuple of Detection
        For `inf1` and `inf2`.

    Examples
    --------
    >>> [found.target.name for found in detect()]
    ['inf1', 'inf2']

    Taught in notebook 05.
    """
    return tuple(map(detect_one, TARGETS))


def detect_one(target: Target) -> Detection:
    """Look for one generation's packages; see `detect`."""
    state, detail = _state(target)
    return Detection(target, state, platform.python_version(), _torch_version(), detail)


def _state(target: Target) -> tuple[State, str]:
    if find_spec(target.package) is None:
        return "absent", ""
    try:
        package = importlib.import_module(target.package)
    except Exception as error:  # noqa: BLE001, whatever a broken install raises
        return "broken", f"{type(error).__name__}: {error}"
    return _installed_state(package, target), ""


def _installed_state(package: ModuleType, target: Target) -> State:
    if not callable(getattr(package, "trace", None)):
        return "no-trace"
    if find_spec(target.compiler) is None:
        return "no-compiler"
    return "ready" if any(DEVICES.glob("neuron*")) else "no-device"


def _torch_version() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""
