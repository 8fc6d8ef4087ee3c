"""Other engines for a recorded program, and fewer bits: what runs it on tensors in order. Taught in notebook 04."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tsnb.base.errors import InputError, suggest
from tsnb.base.silent import silently
from tsnb.inference.freezing import Bits, freeze
from tsnb.tracing.exported import Program, from_onnx, quiet, refusal, to_onnx
from tsnb.tracing.samples import sample_inputs

if TYPE_CHECKING:
    import torch

    from tsnb.tracing.traced import Traced

    Call = Callable[..., Any]

Engine = Literal["torch", "onnxruntime", "openvino"]
PACKAGES = {"torch": (), "onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino", "onnxruntime")}
WIDTH = 200  # characters of somebody else's error in a sentence


def run_by(traced: Traced, engine: Engine = "torch", bits: Bits = 32) -> Call:
    """Return what runs a trace's graph by an engine, on the CPU, with tensors in the contract's order.

    For another engine than torch the graph is written as ONNX: a trace by torch's older exporter, which takes a
    `ScriptModule` without its model.

    Parameters
    ----------
    traced
        What `tsnb.trace`, `tsnb.export` or `tsnb.load_traced` returns.
    engine
        `torch`, `onnxruntime` or `openvino`; the last two with as many threads as torch has.
    bits
        Of linear layers: 32; 16 is bfloat16, by torch and OpenVINO; 8 rounds weights and a layer's input.

    Raises
    ------
    InputError
        An engine that does not exist or is not installed, bits that it does not have, and a model that is not on
        the CPU or that it cannot take.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> traced = tsnb.trace(model, inputs)
    >>> [logits] = run_by(traced, bits=8)(*inputs.values())
    >>> bool(1e-4 < (logits - traced(**inputs)["logits"]).abs().max() < 1)
    True

    Taught in notebook 04.
    """
    name = f"{engine} in {bits} bits"
    if engine not in get_args(Engine):
        raise InputError(f"There is no engine called {engine}. {suggest(str(engine), get_args(Engine))}")
    if bits not in get_args(Bits):
        raise InputError(f"bits must be 32, 16 or 8; got {bits}.")
    if traced.device.type != "cpu" and (engine, bits) != ("torch", 32):
        raise InputError(f"{name} runs on the CPU only, and the model is on {traced.device}. Leave both out.")
    if missing := [each for each in PACKAGES[engine] if find_spec(each) is None]:
        raise InputError(f"{name} needs {', '.join(missing)}, not installed here: pip install 'tsnb[bench]'.")
    if (engine, bits) == ("onnxruntime", 16):
        raise InputError("ONNX Runtime has no bfloat16 on a CPU. Take bits=8, or the engine openvino.")
    try:
        with quiet():
            return _torch(traced, bits) if engine == "torch" else _onnx(traced, engine, bits)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # engines refuse in any kind of error
        raise InputError(
            f"{name} cannot take this model ({refusal(error)[:WIDTH]}). Take another engine, or torch in 32 bits."
        ) from error


def instructions() -> dict[str, bool]:
    """Return which instructions for fewer bits this processor has, as torch finds them.

    >>> list(instructions())
    ['AVX512-BF16', 'AMX', 'VNNI']
    """
    import torch

    names = {"AVX512-BF16": "_is_avx512_bf16_supported", "AMX": "_is_amx_tile_supported", "VNNI": "_is_vnni_supported"}
    return {name: bool(getattr(torch.cpu, function, bool)()) for name, function in names.items()}


def _torch(traced: Traced, bits: Bits) -> Call:
    """Freeze a trace; one that somebody compiled, or that has no weights left, stays, and so does another program."""
    import torch

    module: Any = traced.module
    is_trace = isinstance(module, torch.jit.ScriptModule)
    if bits != 32 and not is_trace:
        raise InputError("torch has fewer bits for a trace only: record the model with tsnb.trace.")
    stays = bits == 32 and (not is_trace or traced.contract.fixed_shape or not list(module.parameters()))
    call: Call = module if stays else freeze(module, bits)
    return call


def _onnx(traced: Traced, engine: Engine, bits: Bits) -> Call:
    content, names = onnx_of(traced), traced.contract.input_names
    if bits == 8:
        content = _in_8_bits(content)
    return from_onnx(content, names) if engine == "onnxruntime" else _openvino(content, names, bits)


def onnx_of(traced: Traced) -> bytes:
    """Write a trace's graph as ONNX, batch size and length dynamic where the contract has them so."""
    import torch

    contract, content = traced.contract, io.BytesIO()
    module: Any = traced.module
    if isinstance(module, Program):
        if module.format == "aotinductor":
            raise InputError("AOTInductor made machine code of it, which no other engine reads. Leave the engine out.")
        program = module if module.format == "onnx" else to_onnx(contract, module.content)
        return bytes(program.content)
    shape = (contract.batch_size or 1, contract.length or 1)
    example = traced.example or sample_inputs(contract, module, shape)
    axes = *contract.input_axes.items(), *zip(contract.output_names, contract.output_axes, strict=True)
    free = {name: {place: axis for place, axis in enumerate(sizes) if isinstance(axis, str)} for name, sizes in axes}
    write: Any = torch.onnx.export  # which takes an open file too
    with torch.no_grad():
        write(
            module,
            tuple(example[name] for name in contract.input_names),
            content,
            input_names=list(contract.input_names),
            output_names=list(contract.output_names),
            dynamic_axes={} if contract.fixed_shape else free,
            dynamo=False,
        )
    return content.getvalue()


def _in_8_bits(content: bytes) -> bytes:
    """Round the weights of an ONNX model, each column by itself; inputs are rounded when it runs."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        silently("onnxruntime.quantization").quantize_dynamic(onnx.load_from_string(content), path, per_channel=True)
        return path.read_bytes()


def _openvino(content: bytes, names: Sequence[str], bits: Bits) -> Call:
    import torch

    core = silently("openvino").Core()  # and read_model, as its convert_model reports
    hint = "bf16" if bits == 16 else "f32"
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": hint}
    compiled = core.compile_model(core.read_model(content), "CPU", options)

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        results = compiled({name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)})
        return [torch.from_numpy(results[output]) for output in compiled.outputs]

    return call
