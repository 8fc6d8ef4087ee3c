"""Make a trace quicker: weights folded into its graph, laid out once, in fewer bits. Taught in notebook 04."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tsnb.base.errors import InputError
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    import torch

Bits = Literal[32, 16, 8]
ATTENTION = "scaled_dot_product_attention"
LAYOUT = ["view", "reshape", "transpose", "permute", "expand", "contiguous", "slice", "unsqueeze", "flatten"]


def freeze(module: torch.jit.ScriptModule, bits: Bits = 32) -> torch.jit.ScriptModule:
    """Return a copy of a trace whose weights are constants, laid out for oneDNN.

    `torch.jit.freeze` folds the weights into the graph. A linear layer then still lays its weight out anew in each
    call; here that is done once, and a GELU after it is computed in the same operation. What oneDNN lacks stays.

    Parameters
    ----------
    module
        A trace in eval mode; it is not changed.
    bits
        Of linear layers. 16: bfloat16, in the attention between them too, and the rest stays in float32. 8: a weight
        is rounded once, row by row, and a layer's input in every call, by one scale for the whole batch.

    Returns
    -------
    torch.jit.ScriptModule
        For inference in this process: it can be neither trained nor saved.

    Raises
    ------
    InputError
        Fewer bits for a trace without linear layers in float32 on the CPU.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> traced = tsnb.trace(model, inputs)
    >>> bool((freeze(traced.module)(**inputs)[0] - traced.module(**inputs)[0]).abs().max() < 1e-4)
    True

    Taught in notebook 04.
    """
    import torch

    with quiet_jit() as jit:
        frozen: torch.jit.ScriptModule = jit.freeze(module)
    graph: Any = frozen.graph
    nodes = graph.findAllNodes("aten::linear") if torch.backends.mkldnn.is_available() else []
    outputs = [replace_linear(frozen, node, f"weight_{number}", bits) for number, node in enumerate(nodes)]
    if bits != 32 and not any(outputs):
        raise InputError(f"The trace has no float32 linear layers that could be in {bits} bits here. Leave bits out.")
    if bits == 16:
        widen(graph, {output.debugName(): output for output in outputs if output}, torch.float32)
        torch._C._jit_pass_cse(graph)  # what several layers read is converted once
    torch._C._jit_pass_dce(graph)  # frees the weights of the old layout
    return frozen


def replace_linear(frozen: Any, node: Any, name: str, bits: Bits) -> Any:
    """Put another operation in the place of a linear layer, and of a GELU after it, and return its output."""
    import torch

    graph, (features, weight, bias) = frozen.graph, node.inputs()
    users = [use.user for use in node.output().uses()]
    gelu = users[0] if bits != 8 and len(users) == 1 and users[0].kind() == "aten::gelu" else None
    dtype, weight, shift = torch.bfloat16 if bits == 16 else torch.float32, weight.toIValue(), bias.toIValue()
    if weight is None or (weight.dtype, weight.device.type) != (torch.float32, "cpu"):
        return None
    if bits == 8:
        scales = (weight.abs().amax(1).double() / 127).clamp(min=1e-12)
        with no_warnings():  # the function is to move to another package
            rounded = torch.quantize_per_channel(weight, scales, torch.zeros(len(weight)).long(), 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(rounded, shift)
        kind = packed._type()
    else:
        packed, kind = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype)), torch._C.TensorType.get()
    frozen._c._register_attribute(name, kind, packed)
    with graph.insert_point_guard(node):
        layer = graph.insertNode(graph.create("prim::GetAttr", [next(graph.inputs())]).s_("name", name)).output()
        layer.setType(kind)
        if bits == 8:
            spare = graph.insertConstant(not torch.cpu._is_vnni_supported())  # a bit, so that sums do not overflow
            made = graph.create("quantized::linear_dynamic", [features, layer, spare])
        else:
            features = convert(graph, features, dtype) if bits == 16 else features
            bias = bias if shift is None else graph.insertConstant(shift.to(dtype))
            scalars = graph.insertNode(graph.create("prim::ListConstruct", [])).output()  # what other functions take
            scalars.setType(torch._C.ListType(torch._C.OptionalType(torch._C.NumberType.get())))
            function, form = ("gelu", gelu.inputsAt(1).toIValue()) if gelu else ("none", None)
            rest = [graph.insertConstant(function), scalars, graph.insertConstant(form)]
            made = graph.create("mkldnn::_linear_pointwise", [features, layer, bias, *rest])
        output = graph.insertNode(made).output()
    (gelu or node).output().replaceAllUsesWith(output)
    return output


def widen(graph: Any, half: dict[str, Any], dtype: torch.dtype) -> None:
    """Convert what is in bfloat16 again, but where a linear layer, an attention or a layout reads it."""
    for node in graph.nodes():
        inputs, kind = [value.debugName() for value in node.inputs()], node.kind().removeprefix("aten::")
        if (kind in LAYOUT and inputs[0] in half) or (kind == ATTENTION and half.keys() >= {*inputs[:3]}):
            half[node.output().debugName()] = node.output()
    for value in list(half.values()):
        for user in [use.user for use in value.uses()]:
            if user.kind() not in {"aten::size", "aten::to"} and user.output().debugName() not in half:
                with graph.insert_point_guard(user):
                    user.replaceInputWith(value, convert(graph, value, dtype))


def convert(graph: Any, value: Any, dtype: torch.dtype) -> Any:
    """Insert what converts a value, at the graph's point of insertion; a value that has the dtype stays."""
    options = [graph.insertConstant(option) for option in (dtype, False, False, None)]
    return graph.insertNode(graph.create("aten::to", [value, *options])).output()
