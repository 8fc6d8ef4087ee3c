"""From a model's name to a file in one step: load, trace, check, save. Taught in notebook 03."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tsnb.artifacts.inspect import Artifact, inspect
from tsnb.artifacts.save import save, writable
from tsnb.base.errors import InputError
from tsnb.models import tying as tied_weights
from tsnb.models.load import Head, load
from tsnb.tracing.compare import Verdict, compare
from tsnb.tracing.inputs import dummy_inputs
from tsnb.tracing.trace import check_verified, checked_verify, neighbours, trace

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.tracing.contract import Shape


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
        older = "; it replaces an older file" * self.replaced
        return "\n".join([*tried, str(self.artifact), f"Written, and read again{older}."])

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
    pad_token: str | None = None,
) -> Exported:
    """Load a model, trace it, compare trace and model, and save trace, contract and tokenizer.

    A progress bar shows each step. Nothing is written before every check has passed; an older file
    is replaced then. Tied weights trace as they are and are stored once in the file.

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
        Shapes `(batch, length)` at which trace and model must agree. Where there are none, three
        neighbours of the traced shape are tried, and their verdicts shown.
    untie
        Store tied weights twice, as the `torchscript` flag does.
    pad_token
        For a tokenizer without a pad token, as GPT-2's: which token of its vocabulary to pad with.
        The tokenizer in the file keeps it.

    Returns
    -------
    Exported
        The file and the verdicts.

    Raises
    ------
    ModelError, InputError
        The model cannot be loaded as asked, the shape is not one of its own, or the tokenizer does
        not know `pad_token` or has another one.
    TraceError
        The model cannot be traced, or disagrees with its trace: at the traced shape, or at one to
        verify. No file is written.
    ArtifactError
        The output is a folder or cannot be written.

    Taught in notebook 03.
    """
    from tqdm.auto import tqdm

    path = writable(output)
    requested, _ = checked_verify(verify)
    with tqdm(desc="load", total=3, unit="step") as bar:

        def begin(step: str) -> None:
            bar.update()
            bar.set_description(step)

        model, tokenizer = load(name, head)
        if pad_token is not None:
            _set_pad_token(model, tokenizer, pad_token)
        if untie:
            tied_weights.untie(model)
        begin("trace")
        inputs = dummy_inputs(tokenizer, model, None, max_length, batch_size)
        traced = trace(model, inputs, verify=[(batch_size, max_length)])
        shapes = requested or neighbours(traced.contract)
        bar.total = 3 + len(shapes)
        verdicts: dict[Shape, Verdict] = {}
        for batch, length in shapes:
            begin(f"compare at {batch} × {length}")
            verdicts[batch, length] = compare(traced, model, (batch, length))
        if requested:
            check_verified(verdicts)
        begin("save")
        replaced = path.exists()
        same = [shape for shape, verdict in verdicts.items() if verdict.kind == "same"]
        save(replace(traced, contract=traced.contract.with_verified(same)), path, tokenizer)
        bar.update()
    return Exported(inspect(path), verdicts, replaced)


def _set_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, token: str) -> None:
    """Give a pad token to a tokenizer that has none, and tell the model, whose classifiers look for it."""
    vocabulary = tokenizer.get_vocab()
    if tokenizer.pad_token not in (None, token) or token not in vocabulary:
        why = f"the tokenizer pads with {tokenizer.pad_token} already; leave it out"
        if token not in vocabulary:
            end = f", such as {tokenizer.eos_token}" * bool(tokenizer.eos_token)
            why = f"it is not in the tokenizer's vocabulary of {len(vocabulary)}; give a token that is{end}"
        raise InputError(f"The pad token {token} cannot be set: {why}.")
    tokenizer.pad_token = token
    model.config.pad_token_id = tokenizer.pad_token_id
