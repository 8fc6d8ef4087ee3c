"""Stand-ins for AWS's packages, which cannot be installed here.

Each is a module with the names and signatures of AWS's documentation. It records how it is called,
and its graph holds an operator `neuron::forward_1`, behind which plain torch runs on the CPU. They
show that tsnb makes the documented call and treats such a graph rightly, not that a Neuron compiler
accepts a model. The fixture `machine` puts them on this process's path; for a process of its own, put them
into a folder with `install`, and give it `environment`.
"""

import os
from pathlib import Path

from tsnb.neuron.targets import TARGETS

ROOT = Path(__file__).parents[2]
COMPILERS = {target.package: target.compiler for target in TARGETS}

# A graph with one operator that holds a trace's bytes, as a real one holds what was compiled.
COMPILE = '''
"""A stand-in, not AWS's package."""
import io, os, sys, torch

CALLS = []
LIBRARY = torch.library.Library("neuron", "FRAGMENT")

def forward(tensors, held, shapes):
    found = str([list(tensor.shape) for tensor in tensors])
    assert found == shapes, f"stand-in: compiled for {shapes}, called with {found}"
    module = torch.jit.load(io.BytesIO(held.numpy().tobytes()))
    spoiled = float(os.environ.get("STAND_IN_OFF_BY", 0))
    return [tensor + spoiled for tensor in module(*tensors)]

if not hasattr(torch.ops.neuron, "forward_1"):
    LIBRARY.define("forward_1(Tensor[] tensors, Tensor held, str shapes) -> Tensor[]")
    LIBRARY.impl("forward_1", forward, "CompositeExplicitAutograd")

class Compiled(torch.nn.Module):
    def __init__(self, held, shapes):
        super().__init__()
        self.register_buffer("held", held)
        self.shapes = shapes

    def forward(self, *tensors):
        return tuple(torch.ops.neuron.forward_1(list(tensors), self.held, self.shapes))

def compiled(model, example):
    assert not model.training, "stand-in: a model in training mode"
    example, stream = tuple(example), io.BytesIO()
    torch.jit.save(torch.jit.trace(model, example, check_trace=False), stream)
    held = torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)
    shapes = str([list(tensor.shape) for tensor in example])
    return torch.jit.trace(Compiled(held, shapes).eval(), example, check_trace=False)
'''
INF1 = """
torch.neuron = sys.modules[__name__]

def trace(
    model, example_inputs, compiler_args=None, compiler_timeout=None, compiler_workdir=None,
    subgraph_builder_function=None, minimum_segment_size=2, single_fusion_ratio_threshold=0.6,
    fallback=True, dynamic_batch_size=False, optimizations=None, separate_weights=False,
    **jit_kwargs,
):
    assert isinstance(example_inputs, (list, tuple)), type(example_inputs)
    assert compiler_args is None or isinstance(compiler_args, list), compiler_args
    CALLS.append({
        "type": type(example_inputs).__name__, "args": compiler_args, "fallback": fallback,
        "model": type(model).__name__,
    })
    return compiled(model, example_inputs)

def analyze_model(model, example_inputs):
    assert isinstance(example_inputs, (list, tuple))
    CALLS.append({"analyzed": len(example_inputs)})
"""
INF2 = """
def trace(
    func, example_inputs, *_, input_output_aliases={}, compiler_workdir=None, compiler_args=None,
    partitioner_config=None, inline_weights_to_neff=True, cpu_backend=False,
):
    assert isinstance(example_inputs, (torch.Tensor, tuple)), type(example_inputs)
    assert not cpu_backend or "--target" in str(compiler_args), "stand-in: no --target"
    CALLS.append({
        "type": type(example_inputs).__name__, "args": compiler_args, "cpu": cpu_backend,
        "model": type(func).__name__,
    })
    return compiled(func, example_inputs)

def analyze(
    func, example_inputs, compiler_workdir=None, *, additional_ignored_ops=set(), max_workers=4,
    is_hf_transformers=False, cleanup=False,
):
    assert isinstance(example_inputs, (torch.Tensor, tuple))
    CALLS.append({"analyzed": len(example_inputs), "hf": is_hf_transformers})
"""
WORKING = {"torch_neuron": COMPILE + INF1, "torch_neuronx": COMPILE + INF2}
TRACING = "def trace(model, example_inputs): ..."  # enough to be detected
THIRD = "# a stand-in for TorchNeuron, which has this name and does not trace\nversion = 3"
# The first lines of a program that is given the folder: its devices are those of the stand-ins.
BEGIN = """
import sys, pathlib
from tsnb.neuron import detection
detection.DEVICES = pathlib.Path(sys.argv[1]) / "dev"
"""


def install(folder: Path, package: str, source: str = "", *, compiler: bool = True, device: bool = False) -> None:
    """Write a package into a folder, with its compiler and a device where they are asked for."""
    (folder / f"{package}.py").write_text(source or WORKING[package], encoding="utf-8")
    if compiler:
        (folder / f"{COMPILERS[package]}.py").write_text("# a stand-in, not AWS's compiler\n")
    if device:
        (folder / "dev").mkdir(exist_ok=True)
        (folder / "dev" / "neuron0").touch()


def environment(folder: Path) -> dict[str, str]:
    """Return variables for a process that finds the stand-ins, and this checkout."""
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
