"""The code to type for each generation, as text. Taught in notebook 05."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsnb.models.load import CLASSES
from tsnb.neuron.targets import target as find_target

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = """\
import torch

names = {names}
example = tuple(inputs[name] for name in names)
traced = torch.jit.trace(model, example)
torch.jit.save(traced, "model.pt")
"""
NEURON = """\
import torch
import {package}

names = {names}
example = {example}
traced = {package}.trace(model, example{options})
torch.jit.save(traced, "model.pt")
"""
ANALYZE = {
    "inf1": """\
import torch
import torch_neuron

names = {names}
torch.neuron.analyze_model(model, example_inputs=[inputs[name] for name in names])
""",
    "inf2": """\
import torch_neuronx

names = {names}
example = tuple(inputs[name] for name in names)
torch_neuronx.analyze(model, example, is_hf_transformers=True)
""",
}
LOAD = """\
from transformers import {model_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder)
model = {model_class}.from_pretrained(
    folder, torchscript=True, attn_implementation="{attention}"
).eval()
inputs = tokenizer(
    text, return_tensors="pt",
    padding="max_length", max_length={length}, truncation=True,
)

"""
EXAMPLES = {
    "list": "[inputs[name] for name in names]",
    "tuple": "tuple(inputs[name] for name in names)",
}
WITHOUT_DEVICE = {"inf1": "", "inf2": ', compiler_args="--target inf2", cpu_backend=True'}


def code(names: Sequence[str], target: str = "", *, device: bool = True) -> str:
    """Return the program that traces a model, or compiles it for a generation.

    Parameters
    ----------
    names
        Of the inputs, in the order of the model's `forward`; Neuron takes them by position.
    target
        `"inf1"` or `"inf2"`; nothing for plain torch.
    device
        Whether the compiling machine has a Neuron device; Inf2's compiler must be told.

    Raises
    ------
    NeuronError
        Unknown target.

    Examples
    --------
    >>> print(code(["input_ids"], "inf1").rstrip())
    import torch
    import torch_neuron
    <BLANKLINE>
    names = ('input_ids',)
    example = [inputs[name] for name in names]
    traced = torch_neuron.trace(model, example)
    torch.jit.save(traced, "model.pt")

    Taught in notebook 05.
    """
    if not target:
        return PLAIN.format(names=tuple(names))
    found = find_target(target)
    return NEURON.format(
        package=found.package,
        names=tuple(names),
        example=EXAMPLES[found.inputs],
        options="" if device else WITHOUT_DEVICE[target],
    )


def load_code(head: str, attention: str, length: int) -> str:
    """Return the lines that stand before those of `code`: a model and inputs of a checkpoint.

    They are plain transformers, because a host for Inf1 is too old for tsnb.

    Parameters
    ----------
    head
        As `tsnb.load` takes it.
    attention
        `"eager"` or `"sdpa"`.
    length
        That inputs are padded and cut to, in tokens.

    Examples
    --------
    >>> print(load_code("encoder", "eager", 32).splitlines()[0])
    from transformers import AutoModel, AutoTokenizer

    Taught in notebook 05.
    """
    return LOAD.format(model_class=CLASSES[head], attention=attention, length=length)


def analyze_code(names: Sequence[str], target: str) -> str:
    """Return the program that asks the installed compiler which operators it takes.

    Raises
    ------
    NeuronError
        Unknown target.

    Examples
    --------
    >>> print(analyze_code(["input_ids"], "inf2").splitlines()[-1])
    torch_neuronx.analyze(model, example, is_hf_transformers=True)

    Taught in notebook 05.
    """
    return ANALYZE[find_target(target).name].format(names=tuple(names))
