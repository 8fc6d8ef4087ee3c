import linecache
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, PreTrainedModel

import tsnb
from tests.kinds import Load, Traces
from tests.tracing.architectures import example, make
from tsnb.tracing.axes import with_axes
from tsnb.tracing.compare import TOLERANCE, no_warnings
from tsnb.tracing.traced import TraceWarning
from tsnb.tracing.traps import IntMask
from tsnb.tracing.traps import make as make_trap

AXES = {
    "encoder": (("batch", "length", 128), ("batch", 128)),
    "masked-lm": (("batch", "length", 623),),
    "sequence-classification": (("batch", 2),),
    "token-classification": (("batch", "length", 4),),
    "question-answering": (("batch", "length"), ("batch", "length")),
}
X = {"x": torch.ones(1, 2)}
INPUT = {"input": torch.ones(1, 2)}


class Calling(nn.Module):
    """A module whose forward is a function of one input."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


class Deciding(nn.Module):
    """Let Python decide on a tensor's value, three times on one line."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = x + 1 if bool(x.sum() > 0) else x - 1
        return x


class Own(PreTrainedModel):  # type: ignore[misc]
    """A Transformers model of the reader's own, whose forward knows nothing of dicts."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.layer = nn.Embedding(8, 4)

    def forward(self, input_ids: torch.Tensor) -> Any:
        return self.layer(input_ids)


def traced_of(function: Callable[[torch.Tensor], Any], x: torch.Tensor, **how: Any) -> tsnb.Traced:
    return tsnb.trace(Calling(function).eval(), {"x": x}, **how)


def untraceable(message: str, model: Any, inputs: Any) -> str:
    with pytest.raises(tsnb.TraceError, match=message) as caught:
        tsnb.trace(model, inputs)
    return str(caught.value)


def refused(message: str, model: Any, inputs: Any, verify: Any = ()) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        tsnb.trace(model, inputs, verify)


@pytest.mark.parametrize("head", AXES)
def test_a_trace_equals_its_model_by_name(load: Load, traced: Traces, head: str) -> None:
    model, tokenizer = load(head=head)
    inputs = tsnb.dummy_inputs(tokenizer, model, "jim henson", max_length=9, batch_size=2)
    with torch.no_grad():
        expected = model(**inputs)
    outputs, contract = traced(head)(**dict(reversed(inputs.items()))), traced(head).contract
    assert tuple(outputs) == tuple(expected) == contract.output_names
    assert contract.output_axes == AXES[head]
    for name, tensor in outputs.items():
        assert torch.allclose(tensor, expected[name], atol=TOLERANCE)


@pytest.mark.parametrize("torchscript", [False, True])
def test_a_trace_has_the_weights_of_its_model_and_a_contract_and_leaves_the_model_alone(
    load: Load, *, torchscript: bool
) -> None:
    model, tokenizer = load(torchscript=torchscript)
    before = (vars(model.config).copy(), torch.random.get_rng_state())
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16, batch_size=2)
    traced = tsnb.trace(model, dict(reversed(inputs.items())))
    addresses = [
        {name: weight.data_ptr() for name, weight in part.named_parameters(remove_duplicate=False)}
        for part in (traced.module, model)
    ]
    assert addresses[0] == addresses[1]
    assert isinstance(traced.module(**inputs), tuple)
    assert vars(model.config) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert not any(part.training for part in model.modules())
    contract = traced.contract
    assert (contract.input_names, contract.dtypes) == (tuple(inputs), dict.fromkeys(inputs, "int64"))
    assert (contract.output_names, contract.batch_size, contract.length) == (("logits",), 2, 16)
    assert (contract.pad_token_id, contract.max_positions, contract.model_id) == (0, 512, "tiny-bert")


def test_outputs_of_every_form() -> None:
    x = torch.zeros(2, 2)
    numbered = traced_of(lambda x: (x, (x + 1, {"y": x > 0})), x)
    assert list(numbered(x=x)) == ["output_0", "output_1", "output_2"]
    assert list(traced_of(lambda x: {"a": x, "b": [x + 1], "c": None}, x)(x=x)) == ["a", "b"]
    model = make("bert")
    model.config.output_hidden_states = True  # three tensors of one name
    names = tsnb.trace(model, example("bert")).contract.output_names
    assert names == tuple(f"output_{number}" for number in range(5))


def test_a_transformers_model_that_gives_no_dict() -> None:
    traced = tsnb.trace(Own(BertConfig()).eval(), {"input_ids": torch.tensor([[1, 2, 3]])})
    assert traced.contract.output_names == ("output_0",)
    assert traced.contract.output_axes == (("batch", "length", 4),)


def axes(function: Callable[[torch.Tensor], Any], x: torch.Tensor) -> Any:
    output = function(x)
    tensors = list(output) if isinstance(output, tuple) else [output]
    contract = tsnb.Contract(("x",), dtypes={"x": str(x.dtype).removeprefix("torch.")})
    return with_axes(contract, Calling(function), {"x": x}, tensors).output_axes


def test_axes_of_outputs() -> None:
    def several(x: torch.Tensor) -> Any:
        pairs = x.unsqueeze(1) + x.unsqueeze(2)
        strided = torch.cat([x, x], 1), x[:, ::2], x[:, :4], torch.cat([x, x[:, :1]], 1)
        return (x, x.sum(), x.sum(1), pairs, *strided, torch.zeros(5))

    pair = ("batch", "length", "length")
    strided = (("batch", "other"),) * 4  # twice, half, at most four, one more
    expected = (("batch", "length"), (), ("batch",), pair, *strided, (5,))
    assert axes(several, torch.zeros(2, 7)) == expected
    assert axes(several, torch.zeros(2, 1))[0] == ("batch", "length")
    assert axes(tuple, torch.zeros(2, 3)) == (("length",), ("length",))  # another number for another batch
    fixed = torch.zeros(7)
    assert axes(lambda x: x + fixed, torch.zeros(2, 7)) == (("batch", 7),)  # runs no other length: it has none


def test_warnings_are_grouped_by_line_of_source() -> None:
    [warning] = tsnb.trace(Deciding().eval(), {"x": torch.ones(2)}).warnings
    file, _, line = warning.source.rpartition(":")
    assert (file, warning.count) == (__file__, 3)
    assert warning.code == linecache.getline(file, int(line)).strip()
    assert "Python boolean" in warning.message
    assert str(warning).splitlines()[0] == f"{warning.source} (3 ×)"


def test_a_model_of_which_a_part_is_in_training_mode_is_refused() -> None:
    model = make("bert")
    model.get_submodule("encoder.layer.1.output").train()
    untraceable("first encoder.layer.1.output", model, example("bert"))


def test_what_differs_from_run_to_run_disagrees_and_shared_nan_does_not() -> None:
    x = torch.zeros(4, 4)
    untraceable("differs from the model by", Calling(lambda x: x + torch.rand_like(x)).eval(), {"x": x})
    assert traced_of(lambda x: x * 0 / 0, x)(x=x)["output_0"].isnan().all()


def test_an_error_of_the_model_itself_is_said_to_be_one(load: Load) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model)
    message = untraceable("itself cannot run", model, {**inputs, "input_ids": inputs["input_ids"] + 10**6})
    assert "IndexError: index out of range in self" in message


def test_what_is_no_model_is_refused(traced: Traces) -> None:
    refused("Expected a torch.nn.Module.*; got str", "tiny-bert", X)
    untraceable("got a trace already", traced(), X)
    untraceable("another TorchScript module", traced().module, X)


class Wrapper(nn.Module):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (Wrapper(), X, "names no inputs"),
        (nn.Linear(2, 2), {"inptu": torch.ones(1, 2)}, "Did you mean input"),
        (nn.Bilinear(2, 2, 2), {"input1": torch.ones(1, 2)}, "inputs are missing: input2"),
        (nn.Linear(2, 2), {"input": torch.ones(0, 2)}, r"is empty: its shape is \(0, 2\)"),
        (nn.Linear(2, 2), torch.ones(1, 2), "Expected inputs by name.*got Tensor"),
        (nn.Linear(2, 2), {"input": [[1, 2]]}, "input is a list; expected a torch.Tensor"),
    ],
)
def test_inputs_that_a_forward_cannot_take(model: nn.Module, inputs: Any, message: str) -> None:
    refused(message, model.eval(), inputs)


@pytest.mark.parametrize("verify", [None, (1, 8), [(0, 8)], [(1, 8, 3)], ["18"]])
def test_shapes_to_verify_that_are_none(verify: Any) -> None:
    refused("verify takes shapes as", nn.Linear(2, 2).eval(), INPUT, verify)


def test_calling_a_trace_with_other_inputs(traced: Traces) -> None:
    ids = torch.ones(1, 24, dtype=torch.int64)
    inputs = dict.fromkeys(traced().contract.input_names, ids)
    for other, message in (
        (inputs | {"position_ids": ids}, "no input called position_ids"),
        (inputs | {"input_ids": ids.float()}, "input_ids is float32; the trace was recorded with int64"),
        (inputs | {"input_ids": None}, "input_ids is a NoneType"),
        ({"input_ids": ids}, "are missing: attention_mask, token_type_ids"),
    ):
        with pytest.raises(tsnb.InputError, match=message):
            traced()(**other)


def test_no_deprecation_reaches_the_reader(load: Load, tmp_path: Path) -> None:
    model, tokenizer = load()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
        loaded = tsnb.load_traced(tsnb.save(traced, tmp_path / "bert.pt"))
        tsnb.Runner(loaded, tokenizer)(["jim henson"])
    assert [str(warning.message) for warning in caught] == []


def test_gradients_and_inputs_are_left_as_they_were() -> None:
    model, x = nn.Linear(3, 2).eval(), torch.rand(2, 3, requires_grad=True)
    before = x.detach().clone()
    tsnb.trace(model, {"input": x})
    assert torch.is_grad_enabled()
    assert model.weight.requires_grad
    assert torch.equal(x, before)
    assert (x.requires_grad, x.grad) == (True, None)


def test_one_tensor_under_two_names_is_two_inputs() -> None:
    x = torch.ones(1, 2)
    traced = tsnb.trace(nn.Bilinear(2, 2, 1, bias=False).eval(), {"input1": x, "input2": x})
    assert torch.equal(traced(input1=x, input2=2 * x)["output_0"], 2 * traced(input1=x, input2=x)["output_0"])


def test_shapes_that_were_verified_are_recorded() -> None:
    shapes: Any = ([1, 64], (np.int64(1), np.int64(3)))
    contract = tsnb.trace(make("bert"), example("bert"), verify=iter(shapes)).contract
    assert contract.verified == ((1, 3), (1, 64), (2, 16))
    assert tsnb.Contract.from_json(contract.to_json()) == contract


def test_shapes_that_are_not_the_same_are_named_and_no_trace_is_returned() -> None:
    message = r"verify: 2 × 24: runs, and differs from the model by 0\..*; 2 × 8: the trace raises: Runtime.*"
    with no_warnings(), pytest.raises(tsnb.TraceError, match=message):
        tsnb.trace(make("funnel"), example("funnel"), verify=[(2, 16), (2, 24), (2, 8)])


def marked(traced: tsnb.Traced) -> list[TraceWarning]:
    return [warning for warning in traced.warnings if not warning.device]


def marks(traced: tsnb.Traced) -> set[bool | None]:
    return {warning.harmless for warning in marked(traced)}


def test_where_the_neighbours_agree_the_warnings_are_harmless() -> None:
    traced = tsnb.trace(make("bert"), example("bert"))
    assert traced.contract.verified == ((2, 8), (2, 16), (2, 32), (3, 16))
    assert marks(traced) == {True}
    assert str(traced.warnings[0]).endswith("equals the model at 2 × 8, 2 × 32, 3 × 16 too")


def test_where_numbers_are_wrong_or_no_line_is_named_every_warning_may_be_the_cause() -> None:
    with no_warnings():
        funnel = tsnb.trace(make("funnel"), example("funnel"))
    assert (len(funnel.warnings) > 1, marks(funnel)) == (True, {False})
    assert funnel.contract.verified == ((2, 16), (3, 16))
    assert str(funnel.warnings[0]).endswith("trace and model part at 2 × 8, 2 × 32")
    mask = tsnb.trace(make_trap(IntMask), {"input_ids": torch.ones(1, 7, dtype=torch.int64)})
    assert [(warning.code, warning.harmless) for warning in marked(mask)] == [("n = int(length)", False)]


def test_where_the_error_names_a_line_that_warned_only_that_one_is_the_cause() -> None:
    def half(x: torch.Tensor) -> torch.Tensor:  # Python fixes the length on one line, not on another
        if bool(x.shape[0] > 0):
            x = x + 0 * float(x.sum() * 0)
        return x + torch.zeros(int(x.shape[1]))

    traced = traced_of(half, torch.rand(2, 6))
    causes = [warning.code for warning in traced.warnings if warning.harmless is False]
    assert causes == ["return x + torch.zeros(int(x.shape[1]))"]
    others = [str(warning) for warning in marked(traced) if warning.harmless is None]
    assert others
    assert all("the error names another line" in warning for warning in others)


def test_what_was_not_tried_is_not_called_harmless() -> None:
    alone = tsnb.trace(make("bert"), example("bert"), verify=[(2, 16)])
    assert marks(alone) == {None}
    assert str(alone.warnings[0]).endswith("not tried at another shape")

    tried = tsnb.trace(make("bert"), example("bert"), verify=[(1, 4)])
    assert [(warning.harmless, warning.shapes) for warning in tried.warnings] == [(True, ((1, 4),))]
