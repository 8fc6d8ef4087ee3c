"""Look at what Jupyter needs for the course: its widgets' front end, its kernel, a folder."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_path

FRONT_ENDS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")
KERNEL = "python3"  # what the course's notebooks ask for


def front_ends(folders: list[str] | None = None) -> dict[str, str | None]:
    """Return the version of each extension that draws widgets in the page; `None` where it is not.

    Parameters
    ----------
    folders
        Where to look; by default where JupyterLab looks.

    Examples
    --------
    >>> list(front_ends([]).values())
    [None, None]
    """
    places = jupyter_path("labextensions") if folders is None else folders
    return {name: _version(name, places) for name in FRONT_ENDS}


def _version(name: str, folders: list[str]) -> str | None:
    """Return what the first `package.json` of an extension says of itself."""
    for folder in folders:
        path = Path(folder, name, "package.json")
        if path.is_file():
            return str(json.loads(path.read_text(encoding="utf-8"))["version"])
    return None


def kernel() -> str | None:
    """Return the interpreter that the kernel `python3` starts; `None` where there is none.

    A kernelspec that names no folder, as ipykernel's own does, starts the one Jupyter runs in.

    Examples
    --------
    >>> kernel() is None or Path(kernel()).is_absolute()
    True
    """
    try:
        program = str(KernelSpecManager().get_kernel_spec(KERNEL).argv[0])
    except NoSuchKernel:
        return None
    return program if Path(program).is_absolute() else sys.executable


def is_this_environment(program: str) -> bool:
    """Tell whether an interpreter is this one, under whatever name it is called.

    >>> is_this_environment(sys.executable), is_this_environment("/nowhere/bin/python")
    (True, False)
    """
    return os.path.realpath(Path(program).parent) == os.path.realpath(Path(sys.executable).parent)


def can_write(folder: Path) -> bool:
    """Tell whether a file can be made in a folder; what is made for that is gone again.

    >>> can_write(Path("no such folder"))
    False
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
