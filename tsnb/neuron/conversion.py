"""The real conversion, where the Neuron SDK is installed. Taught in notebook 05."""

from __future__ import annotations

import importlib
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import NeuronError
from tsnb.neuron.checks import gap_before
from tsnb.neuron.detection import Detection, detect_one
from tsnb.neuron.operators import is_compiled
from tsnb.neuron.targets import target as find_target
from tsnb.tracing.contract import batch_and_length
from tsnb.tracing.inputs import in_forward_order
from tsnb.tracing.outputs import flatten, relative_difference, run, traceable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn

    from tsnb.neuron.targets import Target
    from tsnb.tracing.traced import Traced

    Tensors = Mapping[str, torch.Tensor]


def convert(
    model: nn.Module,
    inputs: Tensors,
    target: str = "inf2",
    *,
    tolerance: float | None = None,
    **options: Any,
) -> Traced:
    """Compile a model for a Neuron device, with the call of that generation.

    Inf1 takes the inputs as a list, Inf2 as a tuple; both by position, so they are put in the order
    of `forward` first, and a model whose given names leave a gap there is wrapped. Where there is
    no device, Inf2's compiler is told to do without. Where there is one, the compiled graph is
    compared with the model. With the packages of both generations installed, the target decides.

    Parameters
    ----------
    model
        Any module in eval mode; not a trace.
    inputs
        Tensors by name; the compiled graph accepts their shapes and no others.
    target
        `"inf1"`, or `"inf2"` (for Trn1 too, with `compiler_args="--target trn1"`).
    tolerance
        Largest difference to the model, as a part of its largest output; by default 0.05 for
        Inf1, which casts to BF16, and 0.01 for Inf2.
    **options
        Passed on to `torch_neuron.trace` or `torch_neuronx.trace`, such as `compiler_args`.

    Returns
    -------
    Traced
        With `contract.fixed_shape` true; `contract.verified` is empty where there was no device to
        compare on.

    Raises
    ------
    InputError
        Names that `forward` does not have, or that are missing.
    TraceError
        The model is in training mode, or does not trace even with plain torch.
    NeuronError
        Unknown target, what is missing here, a trace in place of the model, a compiler that fails,
        or a graph that disagrees with the model.

    Taught in notebook 05.
    """
    from tsnb.tracing.inputs import checked_tensors
    from tsnb.tracing.trace import trace
    from tsnb.tracing.traced import Traced

    found = _ready(model, target)
    ordered = in_forward_order(model, checked_tensors(inputs))
    batch, length = batch_and_length(ordered)
    asked = [] if batch is None or length is None else [(batch, length)]
    plain = trace(model, ordered, verify=asked).contract
    module = _compile(model, ordered, found, options)
    contract = replace(
        plain,
        fixed_shape=True,
        target=found.target.name,
        versions={**plain.versions, **versions(found.target)},
        verified=tuple(asked) if found.state == "ready" else (),
    )
    if found.state == "ready":
        _compare(model, module, ordered, found.target, tolerance)
    return Traced(module, contract)


def versions(target: Target) -> dict[str, str]:
    """Return the versions of a generation's packages that are installed, by their pip names."""
    found = {}
    for name in (package.partition("[")[0] for package in target.install):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _ready(model: object, target: str) -> Detection:
    """Return what is installed for a target, if it can compile and the model can be compiled."""
    import torch

    found = find_target(target)
    if isinstance(getattr(model, "module", model), torch.jit.ScriptModule):
        compiled = is_compiled(getattr(model, "module", model))
        raise NeuronError("neuron.already-converted" if compiled else "neuron.not-a-model")
    detected = detect_one(found)
    if not detected.can_trace:
        raise NeuronError(f"The model cannot be converted for {target} here. {detected}")
    return detected


def _compile(model: nn.Module, inputs: Tensors, found: Detection, options: dict[str, Any]) -> Any:
    """Call the generation's own trace function."""
    name = found.target.name
    if name == "inf2" and found.state == "no-device":
        options = {"cpu_backend": True, **options, **_with_target(options.get("compiler_args"))}
    tensors = list(inputs.values()) if found.target.inputs == "list" else tuple(inputs.values())
    try:
        package = importlib.import_module(found.target.package)
        return package.trace(_by_position(traceable(model), tuple(inputs)), tensors, **options)
    except Exception as error:  # whatever a compiler raises
        key = "neuron.failed-inf1" if name == "inf1" else "neuron.failed-inf2"
        raise NeuronError(key, why=error) from error


def _with_target(given: str | list[str] | None) -> dict[str, Any]:
    """Return compiler arguments that name a target, which a compiler without a device must know."""
    if given is None:
        return {"compiler_args": "--target inf2"}
    if "--target" in " ".join([given] if isinstance(given, str) else given):
        return {"compiler_args": given}
    added = f"{given} --target inf2" if isinstance(given, str) else [*given, "--target", "inf2"]
    return {"compiler_args": added}


def _by_position(model: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """Return a model that takes these inputs by position: itself, unless they leave a gap."""
    from torch import nn

    if not gap_before(model, names):
        return model

    class ByPosition(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True)))

    return ByPosition().eval()


def _compare(model: nn.Module, module: Any, inputs: Tensors, target: Target, tolerance: float | None) -> None:
    """Run the compiled graph and the model on the inputs, and raise where they differ too much."""
    import torch

    allowed = target.tolerance if tolerance is None else tolerance
    with torch.no_grad():
        eager = list(run(model, inputs).values())
        try:
            found = flatten(module(*inputs.values()))
        except Exception as error:  # whatever a runtime raises
            raise NeuronError(
                f"The model was compiled for {target.name}, and running it on this device "
                f"failed: {error} If the device is of another generation, run it there."
            ) from error
    part = relative_difference(eager, found)
    if not part <= allowed:
        gaps = {"target": target.name, "part": f"{part:.2g}", "tolerance": allowed}
        raise NeuronError("neuron.disagrees", **gaps)
