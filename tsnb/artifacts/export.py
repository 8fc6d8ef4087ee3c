"""From a model's name to a file in one step: load, trace, check, save. Taught in notebook 03."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tsnb.artifacts.inspect import inspect
from tsnb.artifacts.save import save, writable
from tsnb.base.words import say
from tsnb.models import tying as tied_weights
from tsnb.models.load import load
from tsnb.tracing.compare import compare
from tsnb.tracing.inputs import dummy_inputs
from tsnb.tracing.trace import check_verified, checked_shapes, neighbours, trace
from tsnb.tracing.traced import Traced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import nn
    from tqdm import tqdm

    from tsnb.artifacts.inspect import Artifact
    from tsnb.models.load import Head
    from tsnb.tracing.compare import Verdict
    from tsnb.tracing.contract import Shape

DISAGREES = {"tracing.disagrees", "tracing.not-verified"}  # errors of a trace unlike its model


@dataclass(frozen=True, repr=False)
class Exported:
    """What `export` wrote; prints as text.

    Attributes
    ----------
    artifact
        The file, looked into again after it was written.
    verdicts
        What became of each shape that was tried besides the traced one.
    replaced
        Whether there was a file before.
    """

    artifact: Artifact
    verdicts: Mapping[Shape, Verdict]
    replaced: bool

    def __str__(self) -> str:
        tried = (f"{batch} × {length}: {verdict}" for (batch, length), verdict in self.verdicts.items())
        ending = say("export.replaced" if self.replaced else "export.written")
        return "\n".join([*tried, str(self.artifact), ending])

    __repr__ = __str__


def export(  # noqa: PLR0913, an argument for each option of the command
    name: str | Path,
    output: str | Path,
    head: Head = "masked-lm",
    *,
    max_length: int = 128,
    batch_size: int = 1,
    verify: Sequence[Shape] = (),
    untie: bool = False,
) -> Exported:
    """Load a model, trace it, compare trace and model, and save trace, contract and tokenizer.

    A progress bar shows each step. Nothing is written before every check has passed; an older file
    is replaced then. Tied weights trace as they are and are held once in the file.

    Parameters
    ----------
    name
        An embedded model, a folder, or a hub id, as for `tsnb.load`.
    output
        The `.pt` file to write.
    head
        What stands on the encoder.
    max_length, batch_size
        The shape to trace: tokens and rows.
    verify
        Shapes `(batch, length)` at which trace and model must agree. Where none is asked for, three
        neighbours of the traced shape are tried and told.
    untie
        Hold tied weights twice, as the `torchscript` flag does.

    Returns
    -------
    Exported
        The file and the verdicts.

    Raises
    ------
    ModelError, InputError
        The model cannot be loaded as asked, or the shape is not one of its own.
    TraceError
        The model cannot be traced, or disagrees with its trace: at the traced shape, or at one to
        verify. No file is written.
    ArtifactError
        The output is a folder or cannot be written.

    Taught in notebook 03.
    """
    from tqdm.auto import tqdm

    path = writable(output)
    asked = checked_shapes(verify)
    with tqdm(total=3, unit="step") as bar:
        with _step(bar, "load"):
            model, tokenizer = load(name, head)
            if untie:
                tied_weights.untie(model)
        with _step(bar, "trace"):
            inputs = dummy_inputs(tokenizer, model, None, max_length, batch_size)
            traced = trace(model, inputs, verify=[(batch_size, max_length)])
        verdicts = _verdicts(bar, traced, model, asked or neighbours(traced.contract))
        if asked:
            check_verified(verdicts)
        with _step(bar, "save"):
            replaced = path.exists()
            same = [shape for shape, verdict in verdicts.items() if verdict.kind == "same"]
            save(Traced(traced.module, traced.contract.with_verified(same)), path, tokenizer)
    return Exported(inspect(path), verdicts, replaced)


@contextmanager
def _step(bar: tqdm[NoReturn], name: str) -> Iterator[None]:
    """Name a step in the progress bar, and count it once it is done."""
    bar.set_description(name)
    yield
    bar.update()


def _verdicts(
    bar: tqdm[NoReturn], traced: Traced, model: nn.Module, shapes: list[Shape]
) -> dict[Shape, Verdict]:
    """Compare trace and model at shapes other than the traced one."""
    bar.total = (bar.total or 0) + len(shapes)
    verdicts = {}
    for batch, length in shapes:
        with _step(bar, f"compare at {batch} × {length}"):
            verdicts[batch, length] = compare(traced, model, (batch, length))
    return verdicts
