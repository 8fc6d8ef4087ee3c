"""Save a trace with its contract inside the file, and load it again. Taught in notebook 03."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.contract import Contract
from tsnb.errors import ArtifactError, NeuronError
from tsnb.tracing import Traced

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER = "tsnb_contract.json"


def save(traced: Traced, path: str | Path) -> Path:
    """Write a trace to a plain `.pt` file that `torch.jit.load` and C++ open too.

    The contract travels inside as the extra file `tsnb_contract.json`. Parent folders are made; the
    file appears whole or not at all, and an older one is replaced only by a whole one.

    Parameters
    ----------
    traced
        What `tsnb.trace` returned.
    path
        Where to write.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    ArtifactError
        The path cannot be written.

    Examples
    --------
    >>> import tempfile, tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tsnb.load_traced(tsnb.save(traced, folder + "/bert.pt")).contract == traced.contract
    True

    Taught in notebook 03.
    """
    path = Path(path).expanduser()
    extra = {MEMBER: traced.contract.to_json()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with quiet_jit() as jit, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            half = Path(folder) / path.name
            jit.save(traced.module, str(half), _extra_files=extra)
            os.replace(half, path)  # noqa: PTH105, the one atomic step
    except (OSError, RuntimeError) as error:
        raise ArtifactError("artifacts.not-written", path=path, why=error) from error
    return path


def load_traced(path: str | Path) -> Traced:
    """Load a trace from a file that `save` or plain `torch.jit.save` wrote.

    Loading runs code from the file: load only files from somebody you trust.

    Parameters
    ----------
    path
        A `.pt` file.

    Returns
    -------
    Traced
        With its contract; for a file that tsnb did not write, `contract.known` is false.

    Raises
    ------
    ArtifactError
        No such file, not a TorchScript file, or a contract that cannot be read.
    NeuronError
        The file was compiled for Neuron, and its package or its device is not here.

    Taught in notebook 03.
    """
    from tsnb.neuron.loading import neuron_operators

    path = Path(path).expanduser()
    if not path.is_file():
        raise ArtifactError("artifacts.no-file", path=path)
    extra = {MEMBER: ""}
    try:
        with quiet_jit() as jit, neuron_operators(path):
            module = jit.load(str(path), _extra_files=extra)
    except NeuronError:
        raise
    except (RuntimeError, ValueError, TypeError) as error:
        raise ArtifactError(
            "artifacts.not-torchscript", path=path, size=path.stat().st_size
        ) from error
    return Traced(module, _contract(path, module, extra[MEMBER]))


def _contract(path: Path, module: Any, text: str) -> Contract:
    """Return the contract that travelled in a file, or what the graph says where none did."""
    if not text:
        return _contract_of(module)
    try:
        return Contract.from_json(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise ArtifactError("artifacts.bad-contract", path=path, why=error) from error


def _contract_of(module: Any) -> Contract:
    """Read the input names off a graph that tsnb did not trace."""
    arguments = module.forward.schema.arguments[1:]  # the first is the module itself
    return Contract(tuple(argument.name for argument in arguments), known=False)


@contextmanager
def quiet_jit() -> Iterator[Any]:
    """Give `torch.jit` within the block, without the note that it is deprecated.

    Notebook 00 says it once, in full, and what to use for new work.
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield torch.jit
