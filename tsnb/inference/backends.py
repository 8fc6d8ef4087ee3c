"""Ways to run a model on texts, each from text to result. Taught in notebook 04."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tsnb.base.errors import InputError
from tsnb.base.words import say
from tsnb.inference.runner import Runner
from tsnb.models.load import quiet_transformers
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.outputs import flatten, traceable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.tracing.traced import Traced

    Run = Callable[[Sequence[str]], "Answers"]

STDOUT = 1  # its file descriptor
COMPILERS = ("c++", "g++", "clang++", "cl")


class Answers(NamedTuple):
    """What one pass over the texts gives.

    Attributes
    ----------
    tensors
        The model's first output for each text, in their order, padding removed.
    computed
        Places that were computed, padding included.
    """

    tensors: list[torch.Tensor]
    computed: int


@dataclass(frozen=True)
class Setting:
    """What all candidates share.

    Attributes
    ----------
    model, tokenizer
        In eval mode; the tokenizer that belongs to the model.
    traced
        A dynamic trace of the model.
    max_length
        What the padded candidates pad to, in tokens.
    batch_size
        Texts in a batch, where batches are not planned.
    max_tokens
        Places in a batch, where they are.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    traced: Traced
    max_length: int
    batch_size: int
    max_tokens: int

    def named(self, *tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return inputs in the order of the contract by their names."""
        return dict(zip(self.traced.contract.input_names, tensors, strict=True))


class MissingPeerError(InputError):
    """A candidate needs something that is not installed; the benchmark goes on without it."""


def eager_alone(setting: Setting) -> Run:
    """One text at a time, never padded: what all others must equal."""
    return _in_order(replace(setting, batch_size=1), setting.model, padding=True)


def eager_padded(setting: Setting) -> Run:
    """The model itself, every text padded to the max length."""
    return _in_order(setting, setting.model, padding="max_length")


def eager_longest(setting: Setting) -> Run:
    """The model itself, each batch padded to its longest text, in the order of the texts."""
    return _in_order(setting, setting.model, padding=True)


def pipeline(setting: Setting) -> Run:
    """The pipeline of transformers, which batches in the order of the texts too."""
    import transformers

    make: Any = transformers.pipeline  # not typed
    size, taken = setting.batch_size, setting.traced.contract.input_names
    unused = [name for name in ("attention_mask", "token_type_ids") if name not in taken]
    with quiet_transformers():
        extract = make(
            "feature-extraction",
            model=setting.model,
            tokenizer=setting.tokenizer,
            device="cpu",
            tokenize_kwargs={f"return_{name}": False for name in unused},
        )

    def run(texts: Sequence[str]) -> Answers:
        lengths = [len(ids) for ids in setting.tokenizer(list(texts))["input_ids"]]
        with quiet_transformers():
            rows = extract(list(texts), batch_size=size, return_tensors=True)
        groups = [lengths[start : start + size] for start in range(0, len(lengths), size)]
        computed = sum(len(group) * max(group) for group in groups)
        pairs = zip(rows, lengths, strict=True)
        return Answers([row.flatten(0, -2)[:length] for row, length in pairs], computed)

    return run


def trace_padded(setting: Setting) -> Run:
    """The usual advice: a trace, and every text padded to the length it was made for."""
    return _in_order(setting, setting.traced, padding="max_length")


def runner(setting: Setting) -> Run:
    """The Runner: batches planned by length, on a frozen trace."""
    return _planned(setting, setting.traced.module)


def compiled(setting: Setting) -> Run:
    """`torch.compile(dynamic=True)` on the Runner's batches."""
    import torch

    if not any(map(shutil.which, COMPILERS)):
        raise MissingPeerError(
            "torch.compile needs a C++ compiler, and none was found (c++, g++, clang++ or cl)."
        )
    if " " in torch.__file__:
        raise MissingPeerError(
            "torch.compile cannot link in a folder with a space in its name, such as "
            f"{Path(torch.__file__).parent}. Move the course, or its environment, to a "
            "folder without one."
        )
    model: Any = torch.compile(setting.model, dynamic=True)
    return _planned(setting, lambda *tensors: model(**setting.named(*tensors)))


def onnx_runtime(setting: Setting) -> Run:
    """ONNX Runtime on the Runner's batches."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingPeerError(
            f"Not installed: {', '.join(missing)}. Install the peers with: pip install 'tsnb[bench]'."
        )
    import torch

    session = _session(setting)

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in setting.named(*tensors).items()}
        return [torch.from_numpy(array) for array in session.run(None, arrays)]

    return _planned(setting, call)


def int8(setting: Setting) -> Run:
    """A trace with the weights of linear layers in 8 bits; its numbers are others."""
    import torch

    with no_warnings(), torch.no_grad():
        quantized = torch.ao.quantization.quantize_dynamic(
            setting.model, {torch.nn.Linear}, dtype=torch.qint8
        )
        example = setting.tokenizer(["a"], return_tensors="pt")
        inputs = {name: example[name] for name in setting.traced.contract.input_names}
        module = torch.jit.trace(traceable(quantized), example_kwarg_inputs=inputs, check_trace=False)
    return _planned(setting, module)


CANDIDATES: dict[str, Callable[[Setting], Run]] = {
    "eager-padded": eager_padded,
    "eager-longest": eager_longest,
    "pipeline": pipeline,
    "trace-padded": trace_padded,
    "runner": runner,
    "compiled": compiled,
    "onnx-runtime": onnx_runtime,
    "int8": int8,
}
EXACT = frozenset(CANDIDATES) - {"int8"}


def label(name: str, setting: Setting) -> str:
    """Return a candidate's name as a reader sees it."""
    return say(f"candidates.{name}", length=setting.max_length, size=setting.batch_size)


def _in_order(setting: Setting, call: Any, *, padding: bool | str) -> Run:
    """Return what runs batches in the order of the texts."""
    import torch

    names, size = setting.traced.contract.input_names, setting.batch_size

    def run(texts: Sequence[str]) -> Answers:
        tensors: list[torch.Tensor] = []
        computed = 0
        for start in range(0, len(texts), size):
            batch = setting.tokenizer(
                list(texts[start : start + size]),
                padding=padding,
                max_length=setting.max_length if padding == "max_length" else None,
                return_tensors="pt",
            )
            with torch.inference_mode():
                [first, *_] = flatten(call(**{name: batch[name] for name in names}))
            masks = batch["attention_mask"].bool()
            tensors += [row[mask] for row, mask in zip(first, masks, strict=True)]
            computed += batch["input_ids"].numel()
        return Answers(tensors, computed)

    return run


def _planned(setting: Setting, module: Any) -> Run:
    """Return what runs any module on the batches that the Runner plans."""
    planner = Runner(replace(setting.traced, module=module), setting.tokenizer, max_tokens=setting.max_tokens)

    def run(texts: Sequence[str]) -> Answers:
        tensors = [next(iter(result.values())) for result in planner(texts)]
        return Answers(tensors, planner.work.computed)

    return run


def _session(setting: Setting) -> Any:
    """Export the model and load it into ONNX Runtime with as many threads as torch has."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        _export(setting, path)
        return onnxruntime.InferenceSession(str(path), options)


def _export(setting: Setting, path: Path) -> None:
    """Write the model as ONNX; every axis that follows batch size or length stays free."""
    import torch

    contract = setting.traced.contract
    example = setting.tokenizer(["a", "a"], return_tensors="pt")
    outputs = zip(contract.output_names, contract.output_axes, strict=True)
    free = {
        name: {place: axis for place, axis in enumerate(axes) if isinstance(axis, str)}
        for name, axes in (*contract.input_axes.items(), *outputs)
    }
    with no_warnings(), torch.no_grad(), _nothing_printed():
        torch.onnx.export(
            traceable(setting.model),
            (),
            str(path),
            kwargs={name: example[name] for name in contract.input_names},
            input_names=list(contract.input_names),
            output_names=list(contract.output_names),
            dynamic_axes=free,
            dynamo=False,
        )


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Drop what C++ prints within the block: pages of a graph, where the ONNX exporter fails."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), STDOUT)
    try:
        yield
    finally:
        os.dup2(kept, STDOUT)
        os.close(kept)
