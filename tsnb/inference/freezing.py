"""Make a trace quicker: weights folded into its graph, laid out once, in fewer bits. Taught in notebook 04."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tsnb.base.errors import InputError
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    import torch

Bits = Literal[32, 16, 8]
LINEAR, ATTENTION = "mkldnn::_linear_pointwise", "aten::scaled_dot_product_attention"
LAYOUT = ["view", "reshape", "transpose", "permute", "expand", "contiguous", "slice", "unsqueeze", "flatten"]


def freeze(module: torch.jit.ScriptModule, bits: Bits = 32) -> torch.jit.ScriptModule:
    """Return a copy of a trace whose weights are constants, laid out for oneDNN.

    `torch.jit.freeze` folds the weights into the graph. A linear layer then still lays its weight out anew for each
    multiplication; here that is done once, and a GELU that follows is computed in the same operation. What oneDNN
    does not take (another dtype or device, a weight that is computed) stays as it is.

    Parameters
    ----------
    module
        A trace in eval mode; it is not changed.
    bits
        Of linear layers. 16: bfloat16, also in the attention between them; residuals and layer norms stay in float32.
        8: each row of a weight is rounded once, and a layer's input in every call, by one scale for the whole batch.

    Returns
    -------
    torch.jit.ScriptModule
        For inference in this process: it can be neither trained nor saved.

    Raises
    ------
    InputError
        Fewer bits for a trace without float32 linear layers on the CPU, or for a torch without oneDNN.

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
    layers = [node for node in graph.nodes() if node.kind() == "aten::linear" and _is_plain(node.inputsAt(1))]
    layers = layers if torch.backends.mkldnn.is_available() else []
    if bits != 32 and not layers:
        raise InputError(f"The trace has no float32 linear layers that could be in {bits} bits here. Leave bits out.")
    narrow: dict[str, Any] = {}  # inputs of layers, converted once for all that share them
    made = [replace_linear(frozen, node, f"weight_{number}", bits, narrow) for number, node in enumerate(layers)]
    if bits == 16:
        widen(graph, {value.debugName(): value for value in made})
    torch._C._jit_pass_dce(graph)  # frees the weights of the old layout
    return frozen


def _is_plain(value: Any) -> bool:
    weight = value.toIValue()
    return weight is not None and (str(weight.dtype), weight.device.type) == ("torch.float32", "cpu")


def replace_linear(frozen: Any, node: Any, name: str, bits: Bits, narrow: dict[str, Any]) -> Any:
    """Put another operation in the place of a linear layer, and of a GELU that follows it; return its output."""
    import torch
    from torch import _C, ops

    graph, (given, weight, bias) = frozen.graph, node.inputs()
    users = [use.user for use in node.output().uses()]
    gelu = users[0] if bits != 8 and len(users) == 1 and users[0].kind() == "aten::gelu" else None
    dtype, weight, shift = torch.bfloat16 if bits == 16 else torch.float32, weight.toIValue(), bias.toIValue()

    def attribute(value: Any, kind: Any) -> Any:
        frozen._c._register_attribute(name, kind, value)
        made = graph.insertNode(graph.create("prim::GetAttr", [next(graph.inputs())]).s_("name", name)).output()
        made.setType(kind)
        return made

    with graph.insert_point_guard(node):
        if bits == 8:
            scales = (weight.abs().amax(1).double() / 127).clamp(min=1e-12)
            with no_warnings():  # the function is to move to another package
                rounded = torch.quantize_per_channel(weight, scales, torch.zeros(len(weight)).long(), 0, torch.qint8)
            packed = ops.quantized.linear_prepack(rounded, shift)
            spare = graph.insertConstant(not torch.cpu._is_vnni_supported())  # a bit, so that sums do not overflow
            new = graph.create("quantized::linear_dynamic", [given, attribute(packed, packed._type()), spare])
        else:
            if bits == 16:
                key = given.debugName()
                given = narrow[key] = narrow.get(key) or convert(graph, given, dtype)
            packed = attribute(ops.mkldnn._reorder_linear_weight(weight.to(dtype)), _C.TensorType.get())
            bias = bias if shift is None else graph.insertConstant(shift.to(dtype))
            scalars = graph.insertNode(graph.create("prim::ListConstruct", [])).output()  # what other functions take
            scalars.setType(_C.ListType(_C.OptionalType(_C.NumberType.get())))
            rest = [scalars, graph.insertConstant(gelu.inputsAt(1).toIValue() if gelu else None)]
            new = graph.create(LINEAR, [given, packed, bias, graph.insertConstant("gelu" if gelu else "none"), *rest])
        graph.insertNode(new)
    (gelu or node).output().replaceAllUsesWith(new.output())
    for old in filter(None, (gelu, node)):
        old.destroy()
    return new.output()


def widen(graph: Any, half: dict[str, Any]) -> None:
    """Convert what is in bfloat16 to float32 again, but where a linear layer, an attention or a layout reads it."""
    import torch

    for node in graph.nodes():
        inputs, kind = [value.debugName() for value in node.inputs()], node.kind()
        moved = kind.removeprefix("aten::") in LAYOUT and inputs[0] in half
        if moved or (kind == ATTENTION and half.keys() >= {*inputs[:3]}):
            half[node.output().debugName()] = node.output()
    for value in list(half.values()):
        for user in [use.user for use in value.uses()]:
            if user.kind() not in {"aten::size", "aten::to", LINEAR} and user.output().debugName() not in half:
                with graph.insert_point_guard(user):
                    user.replaceInputWith(value, convert(graph, value, torch.float32))


def convert(graph: Any, value: Any, dtype: torch.dtype) -> Any:
    """Insert what converts a value, at the graph's point of insertion; a value that has the dtype stays."""
    options = [graph.insertConstant(option) for option in (dtype, False, False, None)]
    return graph.insertNode(graph.create("aten::to", [value, *options])).output()
