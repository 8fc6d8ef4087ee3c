"""The code to type for each generation, as text: `programs.toml`. Taught in notebook 05."""

from __future__ import annotations

from collections.abc import Sequence

from tsnb.base.errors import NeuronError, suggest
from tsnb.models.load import CLASSES
from tsnb.neuron.targets import data, find_target

WITHOUT_DEVICE = ', compiler_args="--target inf2", cpu_backend=True'


def code(  # noqa: PLR0913, a program has as many choices
    names: Sequence[str],
    target: str = "",
    *,
    device: bool = True,
    head: str = "",
    attention: str = "",
    length: int = 128,
) -> str:
    """Return the program that traces a model, or compiles it for a generation.

    For Inf1 it is a whole program for Python 3.9 and torch 1.13, which are too old for tsnb: it loads a
    checkpoint, compiles it, saves the graph, and where there is a device, compares it with the model.

    Parameters
    ----------
    names
        Of the inputs, in the order of the model's `forward`; Neuron takes them by position.
    target
        `"inf1"` or `"inf2"`; nothing for plain torch.
    device
        Whether the compiling machine has a Neuron device; without one, Inf2's compiler needs its target.
    head
        As `tsnb.load` takes it: the program begins with `load_code`. Without it, `model` and `inputs` are
        yours; for Inf1 it is `"masked-lm"` by default.
    attention, length
        See `load_code`; torch 1.13 has eager attention only.

    Raises
    ------
    NeuronError
        Unknown target or head.

    Examples
    --------
    >>> print(code(["input_ids"], "inf2").rstrip())
    import torch
    import torch_neuronx
    <BLANKLINE>
    names = ('input_ids',)
    example = tuple(inputs[name] for name in names)
    traced = torch_neuronx.trace(model, example)
    torch.jit.save(traced, "model.pt")
    >>> code(["input_ids"], "inf1").splitlines()[0]
    'from transformers import AutoModelForMaskedLM, AutoTokenizer'

    Taught in notebook 05.
    """
    tolerance = find_target(target).tolerance if target else 0
    options = "" if device else WITHOUT_DEVICE
    program: str = data("programs")[target or "plain"].format(names=tuple(names), options=options, tolerance=tolerance)
    if target == "inf1":
        return load_code(head or "masked-lm", "", length) + program
    return (load_code(head, attention, length) if head else "") + program


def load_code(head: str, attention: str, length: int) -> str:
    """Return the lines that stand before those of `code`: a model and inputs of a checkpoint.

    They are plain transformers, version 4 or 5, because a host for Inf1 is too old for tsnb.

    Parameters
    ----------
    head
        As `tsnb.load` takes it.
    attention
        `"eager"` or `"sdpa"`; nothing leaves it to transformers.
    length
        That inputs are padded and cut to, in tokens.

    Raises
    ------
    NeuronError
        Unknown head.

    Examples
    --------
    >>> print(load_code("encoder", "eager", 32).splitlines()[0])
    from transformers import AutoModel, AutoTokenizer

    Taught in notebook 05.
    """
    if head not in CLASSES:
        raise NeuronError(f"There is no head called {head}. {suggest(str(head), CLASSES)}")
    options = f'return_dict=False, attn_implementation="{attention}"' if attention else "return_dict=False"
    program: str = data("programs")["load"]
    return program.format(model_class=CLASSES[head], options=options, length=length)


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
    program: str = data("programs")["analyze"][find_target(target).name]
    return program.format(names=tuple(names))
