"""Run the C++ loader: token ids travel to it as text, numbers come back. Taught in notebook 03."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.base.errors import CppError, InputError

if TYPE_CHECKING:
    import torch


def run(program: str | Path, path: str | Path, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Run a saved trace in the C++ loader and return its outputs by name.

    The program gets as many threads as torch has here, and prints so many digits that the numbers
    are the same to the last bit.

    Parameters
    ----------
    program
        What `build` returned.
    path
        A file that `tsnb.save` wrote.
    inputs
        Token ids `(batch, length)` by name, in any order.

    Returns
    -------
    dict of str to Tensor
        Each output with the dtype and shape it had in C++.

    Raises
    ------
    InputError
        An input that is no tensor of rows.
    CppError
        The program could not be started, or ended with an error: a wrong name or length, a file
        that it cannot read, or a model that failed.

    Examples
    --------
    What the program reads, from a file or from this function, is a line for each input:

    >>> import torch
    >>> print(as_line("input_ids", torch.tensor([[2, 14, 3], [2, 9, 3]])))
    input_ids=2 14 3;2 9 3

    Taught in notebook 03.
    """
    import torch

    libraries = str(Path(torch.__file__).parent / "lib")  # where Windows looks for torch's DLLs
    variables = {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PATH": os.pathsep.join([os.environ.get("PATH", ""), libraries]),
    }
    try:
        done = subprocess.run(  # noqa: S603, the reader's program and file
            [program, path, "--all", "-"],
            input="\n".join(as_line(name, ids) for name, ids in inputs.items()),
            env=os.environ | variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    except OSError as error:
        raise CppError(
            f"The C++ loader {program} cannot be started: {error}. Build it: tsnb.cpp.build(folder)."
        ) from error
    if done.returncode:
        raise CppError(f"The C++ loader ended with exit code {done.returncode}. It said: {done.stderr.strip()}")
    printed = json.loads(done.stdout, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
    return {
        name: torch.tensor(output["values"], dtype=getattr(torch, output["dtype"])).reshape(output["shape"])
        for name, output in printed.items()
    }


def as_line(name: str, ids: object) -> str:
    """Return an input as the C++ loader reads it: ids apart by spaces, rows by semicolons.

    Raises
    ------
    InputError
        `ids` is not a tensor `(batch, length)`.
    """
    import torch

    if not isinstance(ids, torch.Tensor) or ids.ndim != 2:  # noqa: PLR2004, rows and columns
        kind = list(ids.shape) if isinstance(ids, torch.Tensor) else type(ids).__name__
        raise InputError(f"The input {name} is {kind}; expected a torch.Tensor of token ids, batch × length.")
    numbers = ids.long() if ids.dtype == torch.bool else ids
    return f"{name}=" + ";".join(" ".join(map(str, row)) for row in numbers.tolist())
