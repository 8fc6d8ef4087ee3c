"""Ways to run a model on texts, each from text to result. Taught in notebook 04."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tsnb.artifacts.cpp.building import tools
from tsnb.base.errors import InputError
from tsnb.inference.runner import Runner
from tsnb.models.load import quiet_transformers
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.outputs import flatten, traceable
from tsnb.tracing.recording import masks_without_vmap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.tracing.traced import Traced

    Run = Callable[[Sequence[str]], "Outputs"]


class Outputs(NamedTuple):
    """What one pass over the texts gives.

    Attributes
    ----------
    tensors
        The model's first output for each text, in their order, padding removed.
    computed
        Tokens that were computed, padding included.
    """

    tensors: list[torch.Tensor]
    computed: int


@dataclass(frozen=True)
class BenchmarkConfig:
    """What all backends share.

    Attributes
    ----------
    model, tokenizer
        In eval mode; the tokenizer that belongs to the model.
    traced
        A dynamic trace of the model.
    max_length
        What the padded backends pad to, in tokens.
    batch_size
        Texts in a batch, where batches are not planned.
    max_tokens
        Tokens in a batch, padding included, where they are.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    traced: Traced
    max_length: int
    batch_size: int
    max_tokens: int


class MissingPeerError(InputError):
    """A backend needs something that is not installed; the benchmark goes on without it."""


def in_order(config: BenchmarkConfig, call: Any, padding: Literal["longest", "max_length"]) -> Run:
    """Return what runs batches in the order of the texts, padded as a tokenizer's `padding` says."""
    import torch

    names, size = config.traced.contract.input_names, config.batch_size
    length = config.max_length if padding == "max_length" else None

    def run(texts: Sequence[str]) -> Outputs:
        tensors: list[torch.Tensor] = []
        computed = 0
        for start in range(0, len(texts), size):
            rows = list(texts[start : start + size])
            batch = config.tokenizer(rows, padding=padding, max_length=length, return_tensors="pt")
            batch = batch.to(config.model.device)
            with torch.inference_mode():
                [first, *_] = flatten(call(**{name: batch[name] for name in names}))
            masks = batch["attention_mask"].bool()
            tensors += [row[mask] for row, mask in zip(first, masks, strict=True)]
            computed += batch["input_ids"].numel()
        return Outputs(tensors, computed)

    return run


def eager_alone(config: BenchmarkConfig) -> Run:
    """One text at a time, never padded: what all backends must equal."""
    return in_order(replace(config, batch_size=1), config.model, "longest")


def pipeline(config: BenchmarkConfig) -> Run:
    """The pipeline of transformers, which batches in the order of the texts too."""
    import transformers

    make: Any = transformers.pipeline  # not typed
    model, tokenizer, size = config.model, config.tokenizer, config.batch_size
    unused = {"attention_mask", "token_type_ids"}.difference(config.traced.contract.input_names)
    options = {f"return_{name}": False for name in unused}
    with quiet_transformers():
        extract = make("feature-extraction", model, tokenizer=tokenizer, device=model.device, tokenize_kwargs=options)

    def run(texts: Sequence[str]) -> Outputs:
        lengths = [len(ids) for ids in tokenizer(list(texts))["input_ids"]]
        with quiet_transformers():
            rows = extract(list(texts), batch_size=size, return_tensors=True)
        groups = [lengths[start : start + size] for start in range(0, len(lengths), size)]
        computed = sum(len(group) * max(group) for group in groups)
        pairs = zip(rows, lengths, strict=True)
        return Outputs([row.flatten(0, -2)[:length] for row, length in pairs], computed)

    return run


def planned(config: BenchmarkConfig, module: Any) -> Run:
    """Return what runs any module on the batches that the Runner plans."""
    runner = Runner(replace(config.traced, module=module), config.tokenizer, max_tokens=config.max_tokens)

    def run(texts: Sequence[str]) -> Outputs:
        tensors = [next(iter(result.values())) for result in runner(texts)]
        return Outputs(tensors, runner.work.computed)

    return run


def compiled(config: BenchmarkConfig) -> Run:
    """`torch.compile(dynamic=True)` on the Runner's batches."""
    import torch

    if config.model.device.type == "cpu" and tools()["C++ compiler"] is None:
        raise MissingPeerError("torch.compile needs a C++ compiler, and there is no c++, g++, clang++ or cl.")
    if " " in torch.__file__:
        raise MissingPeerError(f"torch.compile cannot link in a folder with a space: {torch.__file__}. Move it.")
    model: Any = torch.compile(config.model, dynamic=True)
    names = config.traced.contract.input_names
    return planned(config, lambda *tensors: model(**dict(zip(names, tensors, strict=True))))


def onnx_runtime(config: BenchmarkConfig) -> Run:
    """ONNX Runtime on the Runner's batches, with as many threads as torch has."""
    check_cpu(config)
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingPeerError(f"Not installed: {', '.join(missing)}. pip install 'tsnb[bench]' brings them.")
    import onnxruntime
    import torch

    contract, options = config.traced.contract, onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    example = config.tokenizer(["a", "a"], return_tensors="pt")
    outputs = zip(contract.output_names, contract.output_axes, strict=True)
    free = {  # every axis that follows batch size or length
        name: {place: axis for place, axis in enumerate(axes) if isinstance(axis, str)}
        for name, axes in (*contract.input_axes.items(), *outputs)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.onnx"))
        with no_warnings(), torch.no_grad(), masks_without_vmap():
            torch.onnx.export(
                traceable(config.model),
                (),
                path,
                kwargs={name: example[name] for name in contract.input_names},
                input_names=list(contract.input_names),
                output_names=list(contract.output_names),
                dynamic_axes=free,
                dynamo=False,
            )
        session = onnxruntime.InferenceSession(path, options)

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        arrays = [tensor.numpy() for tensor in tensors]
        inputs = dict(zip(contract.input_names, arrays, strict=True))
        return [torch.from_numpy(array) for array in session.run(None, inputs)]

    return planned(config, call)


def int8(config: BenchmarkConfig) -> Run:
    """A trace with the weights of linear layers in 8 bits; its numbers are others."""
    import torch

    check_cpu(config)
    with no_warnings(), torch.no_grad(), masks_without_vmap():
        quantized = torch.ao.quantization.quantize_dynamic(config.model, {torch.nn.Linear}, dtype=torch.qint8)
        example = config.tokenizer(["a"], return_tensors="pt")
        inputs = {name: example[name] for name in config.traced.contract.input_names}
        module = torch.jit.trace(traceable(quantized), example_kwarg_inputs=inputs, check_trace=False)
    return planned(config, module)


def check_cpu(config: BenchmarkConfig) -> None:
    """Raise a MissingPeerError where a model is not on the CPU, for a backend that runs there only."""
    if config.model.device.type != "cpu":
        raise MissingPeerError(f"Runs on the CPU only, and the model is on {config.model.device}.")


class Backend(NamedTuple):
    """A way to run a model.

    Attributes
    ----------
    make
        Returns what runs texts; raises a `MissingPeerError` where it cannot run here.
    label
        Its name for readers, with places for `{length}` and `{size}`.
    exact
        Whether its numbers must be the model's; an 8-bit model's are not.
    """

    make: Callable[[BenchmarkConfig], Run]
    label: str
    exact: bool = True


BACKENDS = {
    "eager-padded": Backend(
        lambda config: in_order(config, config.model, "max_length"), "model, every text padded to {length}"
    ),
    "eager-longest": Backend(
        lambda config: in_order(config, config.model, "longest"),
        "model, batches of {size} in order, padded to their longest",
    ),
    "pipeline": Backend(pipeline, "transformers pipeline, batch_size={size}"),
    "trace-padded": Backend(
        lambda config: in_order(config, config.traced, "max_length"),
        "trace, every text padded to {length}: the usual advice",
    ),
    "runner": Backend(
        lambda config: planned(config, config.traced.module), "tsnb.Runner: trace, batches planned by length"
    ),
    "compiled": Backend(compiled, "torch.compile(dynamic=True), the same batches"),
    "onnx-runtime": Backend(onnx_runtime, "ONNX Runtime, the same batches"),
    "int8": Backend(int8, "trace in 8 bits, the same batches", exact=False),
}
