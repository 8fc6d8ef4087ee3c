"""Record a model by torch.export: as a program, compiled by AOTInductor, or as ONNX. Taught in notebook 06."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tsnb.base.errors import InputError, TraceError, suggest
from tsnb.base.silent import silently
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.inputs import checked_tensors
from tsnb.tracing.outputs import named, traceable
from tsnb.tracing.probe import SHOW_AFTER
from tsnb.tracing.recording import masks_without_vmap
from tsnb.tracing.trace import Recording, recorded

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

    from tsnb.tracing.contract import Contract, Shape
    from tsnb.tracing.traced import Traced

    Tensors = Mapping[str, torch.Tensor]

Format = Literal["export", "aotinductor", "onnx"]
ONNX = ("onnx", "onnxscript", "onnxruntime")  # what writes a file, and what runs it
CONSTANT = re.compile(r"marked L\['(\w+)'\]\.size\(\)\[(\d+)\] as dynamic but your code specialized it .*?\((\d+)\)")
PLACE = re.compile(r'The following call raised this error:\s+File "([^"]+)", line (\d+), in \w+\s+(.+)')


@dataclass(frozen=True)
class Program:
    """A recording that is no TorchScript; called with tensors in the contract's order.

    Attributes
    ----------
    format
        `export`, `aotinductor` or `onnx`.
    content
        The `torch.export.ExportedProgram`; for the other two, the bytes of the file.
    call
        What runs it.
    names
        Of the inputs, as the recording itself has them; an AOTInductor package has none.
    """

    format: Format
    content: Any = field(repr=False)
    call: Callable[..., Any] = field(repr=False)
    names: tuple[str, ...] = ()

    def __call__(self, *tensors: torch.Tensor) -> Any:
        """Run the program; what it raises becomes a RuntimeError, of one line."""
        try:
            return self.call(*tensors)
        except Exception as error:
            raise RuntimeError(refusal(error)) from error


def export(
    model: nn.Module,
    inputs: Tensors,
    verify: Iterable[Shape | Tensors] = (),
    *,
    to: Format = "export",
    dynamic: bool = True,
) -> Traced:
    """Record a model by `torch.export`, and check that the program agrees with it.

    What a trace bakes in without a word, such as a loop in Python over the length, `torch.export` refuses. Batch
    size and length stay dynamic; the range that the program is recorded for is kept in the contract, and a call
    beyond it is refused. Inputs of one row are doubled, because a dimension of 1 would be recorded as a constant.
    Then program and model are compared at other values and shapes, as `tsnb.trace` does it.

    Parameters
    ----------
    model, inputs, verify
        As for `tsnb.trace`.
    to
        `export`: an `ExportedProgram`; `aotinductor`: compiled to machine code for this kind of processor, which
        takes half a minute and a C++ compiler; `onnx`: for other engines, run here by ONNX Runtime on the CPU.
    dynamic
        False to record the shape of the inputs only.

    Returns
    -------
    Traced
        To call, probe, save and run like a trace; its `module` is a `Program`.

    Raises
    ------
    InputError
        A format that does not exist, packages that are not installed, or what `tsnb.trace` does not take either.
    TraceError
        `torch.export` refuses the model, AOTInductor or ONNX cannot take the program, or what `tsnb.trace` raises.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> exported = tsnb.export(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    >>> exported.contract.ranges["length"], exported.contract.output_names
    ((2, 512), ('logits',))

    Taught in notebook 06.
    """
    if to not in get_args(Format):
        raise InputError(f"There is no format called {to}. {suggest(str(to), get_args(Format))}")
    missing = [name for name in ONNX if find_spec(name) is None] if to == "onnx" else []
    if missing:
        raise InputError(f"ONNX needs {', '.join(missing)}, not installed here: pip install 'tsnb[bench]'.")
    inputs = checked_tensors(inputs)
    if dynamic and all(tensor.dim() and tensor.shape[0] == 1 for tensor in inputs.values()):
        inputs = {name: tensor.repeat(2, *[1] * (tensor.dim() - 1)) for name, tensor in inputs.items()}
    return recorded(model, inputs, verify, partial(_record, to=to, dynamic=dynamic))


def _record(model: nn.Module, example: Tensors, contract: Contract, *, to: Format, dynamic: bool) -> Recording:
    """Let torch.export record a model, and turn the program into a format."""
    import torch
    from torch.export import Dim

    axes = contract.input_axes
    free = {
        name: {place: Dim.DYNAMIC for place, axis in enumerate(axes[name]) if isinstance(axis, str)}
        for name in example
    }
    view = traceable(model, named)
    with quiet(), masks_without_vmap():
        try:
            with redirect_stderr(StringIO()):  # pages, where it refuses
                program = torch.export.export(view, (), dict(example), dynamic_shapes=free if dynamic else None)
        except Exception as error:  # torch says in many kinds of errors what it refuses
            raise TraceError(
                f"torch.export refuses the {type(model).__name__}: {refusal(error)} tsnb.trace records what runs, "
                "and tsnb.probe shows at which shapes that holds."
            ) from error
        contract = replace(contract, ranges=_ranges(program, contract), fixed_shape=not dynamic)
        turn: Any = {"export": from_program, "aotinductor": compile_program, "onnx": partial(to_onnx, contract)}[to]
        try:
            turned = turn(program)
        except Exception as error:
            raise TraceError(f"The program could not be turned into {to}: {refusal(error)}") from error
    devices = tuple(filter(None, [contract.device])) if to != "export" else ()
    return Recording(turned, replace(contract, devices=devices))


def from_program(program: ExportedProgram) -> Program:
    """Return what runs an `ExportedProgram` on tensors in the order in which it takes them."""
    from torch.utils import _pytree as pytree

    module, spec = program.module(), program.call_spec.in_spec

    def call(*tensors: torch.Tensor) -> Any:
        args, kwargs = pytree.tree_unflatten(tensors, spec)
        return module(*args, **kwargs)

    return Program("export", program, call, tuple(map(str, program.graph_signature.user_inputs)))


def compile_program(program: ExportedProgram) -> Program:
    """Let AOTInductor compile a program to machine code; a C++ compiler works for half a minute."""
    from torch._inductor import aoti_compile_and_package
    from tqdm.auto import tqdm

    with tempfile.TemporaryDirectory() as folder, tqdm(desc="AOTInductor compiles", total=1, delay=SHOW_AFTER) as bar:
        path = Path(folder, "model.pt2")
        aoti_compile_and_package(program, package_path=str(path))
        bar.update()
        return from_package(path.read_bytes())


def from_package(content: bytes) -> Program:
    """Return what runs the package that AOTInductor wrote."""
    from torch._inductor import aoti_load_package

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pt2")
        path.write_bytes(content)
        loader = aoti_load_package(str(path)).loader  # which unpacks a copy of its own
    return Program("aotinductor", content, lambda *tensors: loader.boxed_run(list(tensors)))


def to_onnx(contract: Contract, program: ExportedProgram) -> Program:
    """Turn a program into ONNX, with the contract's names."""
    import torch

    names: dict[str, Any] = {"input_names": contract.input_names, "output_names": contract.output_names}
    model: Any = torch.onnx.export(program, dynamo=True, verbose=False, **names)
    return from_onnx(model.model_proto.SerializeToString(), contract.input_names)


def from_onnx(content: bytes, names: Sequence[str] = ()) -> Program:
    """Return what runs an ONNX model on the CPU, with as many threads as torch has.

    Parameters
    ----------
    content
        Of the file; 2 GB at most, as ONNX has it.
    names
        Of the tensors of a call, in order; where none are given, those of the file.
    """
    import torch

    onnxruntime = silently("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    taken = [item.name for item in session.get_inputs()]

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in zip(names or taken, tensors, strict=True)}
        return [torch.from_numpy(array) for array in session.run(None, {name: arrays[name] for name in taken})]

    return Program("onnx", content, call, tuple(taken))


def refusal(error: Exception) -> str:
    """Say in a sentence or two why `torch.export`, or a program of it, refuses; its own words may fill pages.

    >>> refusal(AssertionError("Guard failed: input_ids.size()[1] <= 512"))
    'Guard failed: input_ids.size()[1] <= 512.'
    """
    text = str(error).strip() or type(error).__name__
    place = PLACE.search(text)
    where = " It comes from {}, line {}: {} .".format(*place.groups()) if place else ""
    if constants := CONSTANT.findall(text):
        names, dimensions, sizes = zip(*constants, strict=True)
        return (
            f"dimension {dimensions[0]} of {' and of '.join(names)} was to be dynamic, and the model's code makes it "
            f"the constant {sizes[0]}, as int(…) or a loop over it does; an example of size 1 does it too. "
            f"With dynamic=False the shape of the example alone is recorded.{where}"
        )
    if "0/1 specialized" in text:
        return "a dimension of size 1 is recorded as a constant. Give an example of two rows, and of two tokens."
    if "data-dependent" in text:
        return (
            f"a decision of Python depends on values in a tensor, which a program for all inputs cannot know.{where}"
        )
    lines = [line for line in text.splitlines() if not line.startswith(("Exception from ", "Check '"))]  # OpenVINO's
    return f"{(lines or [text])[0].rstrip('.')}.{where}"


def _ranges(program: ExportedProgram, contract: Contract) -> dict[str, tuple[int, int | None]]:
    """Return the sizes that a program is recorded for: the least, and the largest where there is one."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    ranges: dict[str, tuple[int, int | None]] = {}
    for placeholder, name in zip(program.graph_signature.user_inputs, contract.input_names, strict=True):
        for size, axis in zip(values[str(placeholder)].shape, contract.input_axes[name], strict=True):
            if isinstance(axis, str) and not isinstance(size, int):
                limits: Any = program.range_constraints.get(size.node.expr)
                if limits is not None:
                    ranges[axis] = (int(limits.lower), int(limits.upper) if limits.upper.is_Integer else None)
    return ranges


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block torch logs nothing and warns of nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with no_warnings():
            yield
    finally:
        logging.disable(before)
