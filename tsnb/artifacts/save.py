"""Save a trace as a file that says what it is, and load it again. Taught in notebook 03.

The file is the zip archive that `torch.jit.save` writes, so that `torch.jit.load` and C++ open it,
with

====================================  ============================================================
member                                holds
====================================  ============================================================
`ROOT/extra/tsnb_contract.json`       the contract, as JSON (`tsnb.tracing.contract.Contract.to_json`)
`ROOT/extra/tokenizer/NAME`           the tokenizer's files, as its `save_pretrained` wrote them
`ROOT/data.pkl`, `ROOT/data/NUMBER`   by torch: names and shapes of weights; their bytes
`ROOT/constants.pkl`, `…/NUMBER`      by torch: constants of the graph
`ROOT/code/…`                         by torch: the recording as source text
the archive's comment                 `tsnb 1 xxh3-128 ` and 32 hexadecimal digits
====================================  ============================================================

`ROOT` is the name that the file had when it was saved, without its ending; renaming the file
changes nothing. Other programs ask torch for an extra file by the part of its name after `extra/`.

The comment ends the file. `1` is the version of this format. The digits are the XXH3-128 digest of
every byte before them, so that any change is found: in weights and code, in the archive's own
tables, in padding, and bytes added at the end. It finds accidents; whoever changes a file on
purpose can write a new digest too.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from tsnb.artifacts.archive import EXTRA, MEMBER, TOKENIZER, append_digest, check
from tsnb.artifacts.neuron import neuron_operators
from tsnb.artifacts.programs import read_program, write_program
from tsnb.base.errors import ArtifactError, ModelError, NeuronError
from tsnb.base.files import refusals, whole_file
from tsnb.models.load import quiet_transformers, read_tokenizer
from tsnb.tracing.contract import Contract
from tsnb.tracing.exported import Program
from tsnb.tracing.graphs import constants
from tsnb.tracing.outputs import is_tensor
from tsnb.tracing.traced import Traced, checked_traced, quiet_jit

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


SPARE = 8 << 20  # bytes of code and tables beside the weights


class OtherVersionWarning(UserWarning):
    """A file was made with another version of torch than the one that loads it."""


class OtherDeviceWarning(UserWarning):
    """A graph puts tensors on another device than the one it is loaded onto."""


def save(traced: Traced, path: str | Path, tokenizer: PreTrainedTokenizerBase | None = None) -> Path:
    """Write a trace to a plain `.pt` file that `torch.jit.load` and C++ open too, or what `tsnb.export` recorded.

    The contract travels inside, and the tokenizer where one is given. Parent folders are made; the
    file appears whole or not at all, and an older one is replaced only by one that is whole and on the disk.
    A save that is killed leaves a hidden folder `.tsnb-…`, which the next save beside it takes away.

    Parameters
    ----------
    traced
        What `tsnb.trace` or `tsnb.export` returned: a `.pt`, `.pt2` or `.onnx` file, as others write it too.
    path
        Where to write; a link is followed.
    tokenizer
        The model's tokenizer; `tsnb.load_tokenizer` reads it back.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    InputError
        No trace.
    ArtifactError
        The path is a folder or a device or cannot be written, the disk is full, something else than a
        tokenizer was given, or the trace has names that torch could not read again.

    Examples
    --------
    >>> import tempfile, tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = tsnb.save(traced, folder + "/bert.pt", tokenizer)
    ...     tsnb.load_traced(path).contract == traced.contract
    True

    Taught in notebook 03.
    """
    module, path = checked_traced(traced).module, writable(path)
    target = path.resolve()
    extra: dict[str, Any] = {MEMBER: traced.contract.to_json(), **_files_of(tokenizer)}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as half, quiet_jit() as jit:
            _reserve(half.parent, _bytes_of(module) + sum(map(len, extra.values())) + SPARE)
            if isinstance(module, Program):
                write_program(module, half, extra)
            else:
                jit.save(module, str(half), _extra_files=extra)
                _check_names(half, path)
            append_digest(half)
    except ArtifactError:
        raise
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ArtifactError(f"{path} cannot be written: {why}. What was there before is untouched.") from error
    return path


def load_traced(path: str | Path, map_location: str | torch.device | None = "cpu") -> Traced:
    """Load a trace from a file that `save` or plain `torch.jit.save` wrote, or a program of `torch.export` or ONNX.

    The file is checked before torch sees it: a changed byte in a file of `save` is found by its
    digest, in a file of somebody else's most often by the checksums of its archive. That is no
    protection against malice: loading runs code from the file, so load only files from somebody you
    trust.

    Parameters
    ----------
    path
        A `.pt`, `.pt2` or `.onnx` file; what it holds is told by its content.
    map_location
        The device to load weights onto, such as `"cpu"` or `"cuda:0"`; None for the one that they were
        saved from.

    Returns
    -------
    Traced
        With its contract; for a file that tsnb did not write, `contract.known` is false.

    Raises
    ------
    ArtifactError
        No such file, not a TorchScript file, damaged, a contract that cannot be read, or a file
        that torch cannot load here.
    NeuronError
        The file was compiled for Neuron, and its package or its device is not here.

    Warns
    -----
    OtherVersionWarning
        The file was made with another version of torch.
    OtherDeviceWarning
        The graph puts tensors on a device that the tracer recorded, and `map_location` is another.

    Taught in notebook 03.
    """
    import torch

    archive = check(Path(path).expanduser())
    contract = archive.read_contract()
    try:
        with quiet_jit() as jit, neuron_operators(archive, contract.target if contract else ""):
            module: Any
            if archive.format == "torchscript":
                module = jit.load(str(archive.path), map_location=map_location)
            else:
                module = read_program(archive, contract.input_names if contract else (), map_location)
    except NeuronError:
        raise
    except Exception as error:
        why = str(error).strip().partition("\n")[0]
        raise ArtifactError(
            f"torch {torch.__version__} cannot load {archive.path} onto {map_location}. torch said: {why}. "
            "Check map_location; the file may also need another torch, or a package that is not installed or imported."
        ) from error
    if contract is None:
        return Traced(module, _contract_of(archive.path, module))
    traced = Traced(module, contract)
    _warn(contract, str(map_location or traced.device))
    return traced


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer that travelled in a file with its trace; opens no socket.

    Parameters
    ----------
    path
        A `.pt` file that `save` wrote with a tokenizer.

    Raises
    ------
    ArtifactError
        No such file, damaged, without a tokenizer, or one that transformers cannot load.

    Taught in notebook 03.
    """
    archive = check(Path(path).expanduser())
    names = archive.below(TOKENIZER)
    if not names:
        raise ArtifactError(f"{path} holds no tokenizer. Save it with one: tsnb.save(traced, path, tokenizer).")
    with tempfile.TemporaryDirectory() as folder, ZipFile(archive.path) as file, quiet_transformers():
        file.extractall(folder, [f"{archive.root}/{name}" for name in names])
        try:
            return read_tokenizer(Path(folder, archive.root, TOKENIZER))
        except ModelError as error:
            raise ArtifactError(
                f"{path} holds a tokenizer that this transformers cannot load. Load it with the version "
                "that the contract names, or load the model's own tokenizer."
            ) from error


def writable(path: str | Path) -> Path:
    """Return a path without `~`, if a file can be written there; nothing is left there yet.

    Raises
    ------
    ArtifactError
        It is no path, a folder or a device, or what would hold it is a file or may not be written
        to.
    """
    try:
        target = Path(path).expanduser()
    except (TypeError, RuntimeError):  # no path, or a home that nobody has
        target = None
    if target is None or "\0" in str(target):
        raise ArtifactError(f'Expected the path of a file to write, such as "artefacts/model.pt"; got {path!r}.')
    with refusals(target):
        if target.is_dir():
            raise ArtifactError(f"{target} is a folder. Give the name of a file in it, such as {target}/model.pt.")
        if target.exists() and not target.is_file():
            raise ArtifactError(
                f"{target} is no file but a device or the like. Give the name of a file, such as model.pt."
            )
        existing = next(parent for parent in target.absolute().parents if parent.exists())
        with tempfile.TemporaryFile(dir=existing):
            return target


def _files_of(tokenizer: PreTrainedTokenizerBase | None) -> dict[str, bytes]:
    """Return a tokenizer's files, by their names among the extra files."""
    if tokenizer is None:
        return {}
    from transformers import PreTrainedTokenizerBase

    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ArtifactError(
            f"Expected a tokenizer, as tsnb.load returns it beside the model; got {type(tokenizer).__name__}."
        )
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        inside = TOKENIZER.removeprefix(EXTRA)
        return {inside + file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _check_names(half: Path, target: Path) -> None:
    """Raise an ArtifactError where code has names with letters that torch writes, but cannot read."""
    with ZipFile(half) as archive:
        members = [name for name in archive.namelist() if name.endswith(".py")]
        code = "".join(archive.read(name).decode() for name in members)
    foreign = re.search(r"\w*[^\x00-\x7f]\w*", code)
    if foreign:
        raise ArtifactError(
            f"torch would write {target}, and could not read it again: the model's code has the name "
            f"{foreign.group()}, and TorchScript reads names in plain English letters only. Rename that "
            "attribute, input or class; nothing was written."
        )


def _reserve(folder: Path, size: int) -> None:
    """Raise an OSError where the disk has no room: torch would end the whole process later."""
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif shutil.disk_usage(folder).free < size:  # macOS and Windows
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _bytes_of(module: Any) -> int:
    """Return the bytes of a module's weights and constants, each storage counted once."""
    if isinstance(module, Program) and isinstance(module.content, bytes):
        return len(module.content)
    more: Any = module.content.constants.values() if isinstance(module, Program) else constants(module)
    holder = module.content if isinstance(module, Program) else module
    tensors = [each for each in (*holder.parameters(), *holder.buffers(), *more) if is_tensor(each)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _contract_of(path: Path, module: Any) -> Contract:
    """Read the input names off a graph that tsnb did not record."""
    if isinstance(module, Program):
        if not module.names:
            raise ArtifactError(
                f"{path} does not say the names of its inputs. Call it by torch._inductor.aoti_load_package(path)."
            )
        return Contract(module.names, known=False)
    forward: Any = getattr(module, "forward", None)
    if forward is None:
        raise ArtifactError(
            f"{path} holds a module without a forward, which tsnb cannot call. Use torch.jit.load and the "
            "methods that its maker names."
        )
    arguments = forward.schema.arguments[1:]  # the first is the module itself
    return Contract(tuple(argument.name for argument in arguments), known=False)


def _warn(contract: Contract, device: str) -> None:
    """Warn of a file made with another torch, builds apart, or of a graph that is tied to another device."""
    import torch

    made = contract.versions.get("torch", "").partition("+")[0]
    here = torch.__version__.partition("+")[0]
    if made not in ("", here):
        text = (
            f"The file was made with torch {made}, and this is torch {here}. Compare its results with the "
            "model's once before you rely on them."
        )
        warnings.warn(text, OtherVersionWarning, stacklevel=3)
    others = [name for name in contract.devices if name.removesuffix(":0") != device.removesuffix(":0")]
    if others:
        names = ", ".join(others)
        text = (
            f"The graph puts tensors on {names}, as recorded while it was traced, and is loaded onto "
            f"{device}: calls may fail where both meet. Load it onto {names}, or trace on {device}."
        )
        warnings.warn(text, OtherDeviceWarning, stacklevel=3)
