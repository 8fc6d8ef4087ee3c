"""Ways to run a model on texts, each from text to result. Taught in notebook 04."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tsnb.artifacts.cpp.building import tools
from tsnb.base.errors import InputError
from tsnb.inference.runner import FULL, Runner
from tsnb.models.load import quiet_transformers
from tsnb.tracing.exported import export
from tsnb.tracing.outputs import flatten

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tsnb.inference.engines import Engine
    from tsnb.inference.freezing import Bits
    from tsnb.tracing.traced import Traced

    Run = Callable[[Sequence[str]], "Outputs"]

PT = "the trace's .pt file"


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
    traced = replace(config.traced, module=module)
    return planned_by(Runner(traced, config.tokenizer, max_tokens=config.max_tokens))


def planned_by(runner: Runner) -> Run:
    """Return what runs texts by a Runner, and counts its tokens."""

    def run(texts: Sequence[str]) -> Outputs:
        tensors = [next(iter(result.values())) for result in runner(texts)]
        return Outputs(tensors, runner.work.computed)

    return run


def check_compiler(device: torch.device) -> None:
    """Raise an InputError where torch would find no C++ compiler, or could not use one."""
    import torch

    if device.type == "cpu" and tools()["C++ compiler"] is None:
        raise InputError("It needs a C++ compiler, and there is no c++, g++, clang++ or cl.")
    if " " in torch.__file__:
        raise InputError(f"torch cannot link in a folder with a space: {torch.__file__}. Move it.")


def compiled(config: BenchmarkConfig) -> Run:
    """`torch.compile(dynamic=True)` on the Runner's batches."""
    import torch

    check_compiler(config.model.device)
    model: Any = torch.compile(config.model, dynamic=True)
    names = config.traced.contract.input_names
    return planned(config, lambda *tensors: model(**dict(zip(names, tensors, strict=True))))


def aotinductor(config: BenchmarkConfig) -> Run:
    """What AOTInductor compiles, on the Runner's batches."""
    check_compiler(config.model.device)
    return planned(config, export(config.model, config.traced.example, to="aotinductor").module)


def ctranslate2(config: BenchmarkConfig, bits: Bits = 32) -> Run:
    """CTranslate2 on the Runner's batches: it reads a model's folder, of the kinds of encoders that it knows."""
    if find_spec("ctranslate2") is None:
        raise InputError("ctranslate2 is not installed: pip install 'tsnb[bench]'.")
    import torch
    from ctranslate2 import Encoder, StorageView
    from ctranslate2.converters import TransformersConverter

    folder = tempfile.mkdtemp()
    try:
        config.model.save_pretrained(folder)
        config.tokenizer.save_pretrained(folder)
        TransformersConverter(folder).convert(f"{folder}/converted")
        kind, threads = ("int8" if bits != FULL else "float32"), torch.get_num_threads()
        encoder = Encoder(f"{folder}/converted", compute_type=kind, intra_threads=threads)
    finally:
        shutil.rmtree(folder)
    names = config.traced.contract.input_names

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        inputs = dict(zip(names, tensors, strict=True))
        rows = (inputs["input_ids"], inputs["attention_mask"].sum(1))
        ids, lengths = (StorageView.from_array(tensor.int().numpy()) for tensor in rows)
        result = encoder.forward_batch(ids, lengths, inputs["token_type_ids"].tolist())
        return torch.as_tensor(np.array(result.last_hidden_state))

    contract = config.traced.contract  # CTranslate2 gives the first output only
    contract = replace(contract, output_names=contract.output_names[:1], output_axes=contract.output_axes[:1])
    return planned(replace(config, traced=replace(config.traced, contract=contract)), call)


class Backend(NamedTuple):
    """A way to run a model.

    Attributes
    ----------
    make
        Returns what runs texts; raises an `InputError` where it cannot run here.
    label
        Its name for readers, with places for `{length}` and `{size}`.
    engine, bits
        What the Runner runs it by, where it does.
    packages
        That a service needs beside torch.
    ships
        What it would ship.
    build
        Seconds that making it, and asking it questions, may take, until that is measured.
    """

    make: Callable[[BenchmarkConfig], Run]
    label: str
    engine: Engine | None = None
    bits: Bits = 32
    packages: tuple[str, ...] = ("transformers",)
    ships: str = "the model's folder"
    build: float = 2.0

    @property
    def exact(self) -> bool:
        """Whether its numbers must be the model's; with fewer bits they are not."""
        return self.bits == FULL


def _by(engine: Engine, label: str, bits: Bits = 32) -> Backend:
    """Return the Runner with an engine and bits, as a backend."""

    def make(config: BenchmarkConfig) -> Run:
        options: dict[str, Any] = {"max_tokens": config.max_tokens, "backend": engine, "bits": bits}
        return planned_by(Runner(config.traced, config.tokenizer, **options))

    needs, ships = ((), PT) if engine == "torch" else ((engine,), "an .onnx file")
    return Backend(make, label, engine, bits, needs, ships, build=2.0 if bits == FULL else 8.0)


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
        packages=(),
        ships=PT,
    ),
    "runner": _by("torch", "tsnb.Runner: trace, batches planned by length"),
    "runner-bf16": _by("torch", "Runner, 16 bits (bfloat16)", 16),
    "runner-int8": _by("torch", "Runner, 8 bits", 8),
    "onnxruntime": _by("onnxruntime", "Runner by ONNX Runtime"),
    "onnxruntime-int8": _by("onnxruntime", "Runner by ONNX Runtime, 8 bits", 8),
    "openvino": _by("openvino", "Runner by OpenVINO"),
    "openvino-bf16": _by("openvino", "Runner by OpenVINO, 16 bits (bfloat16)", 16),
    "openvino-int8": _by("openvino", "Runner by OpenVINO, 8 bits", 8),
    "aotinductor": Backend(
        aotinductor, "AOTInductor, the same batches", packages=(), ships="a package of machine code", build=40.0
    ),
    "compiled": Backend(compiled, "torch.compile(dynamic=True), the same batches", build=40.0),
    "ctranslate2": Backend(ctranslate2, "CTranslate2, the same batches", packages=("ctranslate2",)),
    "ctranslate2-int8": Backend(
        partial(ctranslate2, bits=8), "CTranslate2, 8 bits, the same batches", None, 8, ("ctranslate2",)
    ),
}
SLOW = {"eager-padded", "compiled", "aotinductor", "ctranslate2", "ctranslate2-int8", "openvino-int8"}
QUICK = tuple(name for name in BACKENDS if name not in SLOW)
