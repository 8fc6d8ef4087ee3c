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
                _lay_out(frozen, node, weight, f"weight_{number}")
        torch._C._jit_pass_dce(graph)  # frees the weights of the old layout
    return frozen


def _lay_out(frozen: Any, node: Any, weight: torch.Tensor, name: str) -> None:
    """Put oneDNN's linear operation in the place of a node, and of a GELU that follows it."""
    from torch import _C, ops

    ordered = ops.mkldnn._reorder_linear_weight(weight)
    frozen._c._register_attribute(name, _C.TensorType.get(), ordered)
    gelu = _gelu_after(node)
    graph = frozen.graph
    made = [
        graph.create("prim::GetAttr", [next(graph.inputs())]).s_("name", name),
        _text(graph, "gelu" if gelu else "none"),
        graph.create("prim::ListConstruct", []),  # numbers that other functions would take
        _text(graph, gelu.inputsAt(1).toIValue() if gelu else None),
    ]
    made[2].output().setType(_C.ListType(_C.OptionalType(_C.NumberType.get())))
    held, *options = (one.output() for one in made)
    given = [node.inputsAt(0), held, node.inputsAt(2), *options]
    made.append(graph.create("mkldnn::_linear_pointwise", given))
    for one in made:
        one.insertBefore(node)
    (gelu or node).output().replaceAllUsesWith(made[-1].output())
    for old in filter(None, (gelu, node)):
        old.destroy()


def _text(graph: Any, text: str | None) -> Any:
    """Make a constant that is not yet in the graph."""
    from torch import _C

    constant = graph.create("prim::Constant", 1)
    if text is None:
        constant.output().setType(_C.NoneType.get())
        return constant
    constant.output().setType(_C.StringType.get())
    return constant.s_("value", text)


def _gelu_after(node: Any) -> Any:
    """Return the GELU that is the only use of a node's output, or none."""
    users = [use.user for use in node.output().uses()]
    return users[0] if len(users) == 1 and users[0].kind() == "aten::gelu" else None
