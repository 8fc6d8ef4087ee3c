"""Make a trace quicker: weights folded into its graph and laid out once. Taught in notebook 04."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    import torch


def freeze(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Return a copy of a trace whose weights are constants, laid out for oneDNN.

    `torch.jit.freeze` folds the weights into the graph. A linear layer then still lays its weight
    out anew for each multiplication; here that is done once, and a GELU that follows is computed in
    the same operation, as `torch.compile` does it with frozen weights on a CPU. What oneDNN does
    not take (another dtype or device, a weight that is computed) stays as it is.

    Parameters
    ----------
    module
        A trace in eval mode; it is not changed.

    Returns
    -------
    torch.jit.ScriptModule
        For inference in this process: it can be neither trained nor saved.

    Examples
    --------
    >>> import tsnb
    >>> model, tokenizer = tsnb.load("tiny-bert")
    >>> inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    >>> traced = tsnb.trace(model, inputs)
    >>> frozen = freeze(traced.module)
    >>> bool((frozen(**inputs)[0] - traced.module(**inputs)[0]).abs().max() < 1e-4)
    True

    Taught in notebook 04.
    """
    import torch

    with quiet_jit() as jit:
        frozen: torch.jit.ScriptModule = jit.freeze(module)
    graph: Any = frozen.graph
    if torch.backends.mkldnn.is_available():
        for number, node in enumerate(list(graph.findAllNodes("aten::linear"))):
            weight = node.inputsAt(1).toIValue()
            if weight is not None and (weight.dtype, weight.device.type) == (torch.float32, "cpu"):
                prepack_linear(frozen, node, weight, f"weight_{number}")
        torch._C._jit_pass_dce(graph)  # frees the weights of the old layout
    return frozen


def prepack_linear(frozen: Any, node: Any, weight: torch.Tensor, name: str) -> None:
    """Put oneDNN's linear operation in the place of a node, and of a GELU that follows it."""
    from torch import _C, ops

    frozen._c._register_attribute(name, _C.TensorType.get(), ops.mkldnn._reorder_linear_weight(weight))
    graph, users = frozen.graph, [use.user for use in node.output().uses()]
    gelu = users[0] if len(users) == 1 and users[0].kind() == "aten::gelu" else None
    with graph.insert_point_guard(node):
        packed = graph.insertNode(graph.create("prim::GetAttr", [next(graph.inputs())]).s_("name", name)).output()
        function = graph.insertConstant("gelu" if gelu else "none")
        scalars = graph.insertNode(graph.create("prim::ListConstruct", [])).output()  # what other functions would take
        scalars.setType(_C.ListType(_C.OptionalType(_C.NumberType.get())))
        form = graph.insertConstant(gelu.inputsAt(1).toIValue() if gelu else None)
        inputs = [node.inputsAt(0), packed, node.inputsAt(2), function, scalars, form]
        linear = graph.insertNode(graph.create("mkldnn::_linear_pointwise", inputs))
    (gelu or node).output().replaceAllUsesWith(linear.output())
    for old in filter(None, (gelu, node)):
        old.destroy()
