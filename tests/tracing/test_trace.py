from __future__ import annotations

import linecache
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraForQuestionAnswering,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing import trace as tracing
from tsnb.tracing.compare import TOLERANCE, no_warnings
from tsnb.tracing.traps import IntMask
from tsnb.tracing.traps import make as make_trap

if TYPE_CHECKING:
    from collections.abc import Callable

AXES = {
    "encoder": (("batch", "length", 128), ("batch", 128)),
    "masked-lm": (("batch", "length", 623),),
    "sequence-classification": (("batch", 2),),
    "token-classification": (("batch", "length", 4),),
    "question-answering": (("batch", "length"), ("batch", "length")),
}
NAMES = {
    "encoder": ("last_hidden_state", "pooler_output"),
    "question-answering": ("start_logits", "end_logits"),
}


class Noisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Undefined(nn.Module):
    """0 / 0, and a second output that differs from run to run where `wrong` says so."""

    def __init__(self, *, wrong: bool) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, torch.rand_like(x) if self.wrong else x * 0 / 0


class Deciding(nn.Module):
    """Let Python decide on a tensor's value, three times on one line."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = x + 1 if bool(x.sum() > 0) else x - 1
        return x


class Nested(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x, (x + 1, [x + 2, x > 0])


class Rows(nn.Module):
    """Give as many outputs as there are rows, so that nothing is known of other batch sizes."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x)


class Own(PreTrainedModel):  # type: ignore[misc]
    """A Transformers model of the reader's own, whose forward knows nothing of dicts."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.layer = nn.Embedding(8, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(input_ids)
        return found


class Tuple(Own):
    """Another, that gives a tuple whatever it is asked."""

    def forward(
        self,
        input_ids: torch.Tensor,
        return_dict: Any = None,  # noqa: ARG002
    ) -> Any:
        return (self.layer(input_ids),)


def gpt2(*, use_cache: bool) -> GPT2LMHeadModel:
    config = GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1, use_cache=use_cache)
    return GPT2LMHeadModel(config).eval()


def untraceable(model: nn.Module, inputs: Any) -> tsnb.TraceError:
    with pytest.raises(tsnb.TraceError) as caught:
        tsnb.trace(model, inputs)
    return caught.value


def refused(call: Callable[[], object]) -> tsnb.InputError:
    with pytest.raises(tsnb.InputError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("head", AXES)
def test_a_trace_equals_its_model_by_name(
    load: Callable[..., Any], traced: Callable[..., tsnb.Traced], head: str
) -> None:
    model, tokenizer = load(head=head)
    inputs = tsnb.dummy_inputs(tokenizer, model, "jim henson", max_length=9, batch_size=2)
    with torch.no_grad():
        expected = model(**inputs)
    outputs = traced(head)(**inputs)
    assert list(outputs) == list(expected)
    for name, tensor in outputs.items():
        assert torch.allclose(tensor, expected[name], atol=TOLERANCE)


@pytest.mark.parametrize("head", AXES)
def test_axes_and_names_of_every_head(traced: Callable[..., tsnb.Traced], head: str) -> None:
    contract = traced(head).contract
    assert contract.output_axes == AXES[head]
    assert contract.output_names == NAMES.get(head, ("logits",))


def test_the_contract_holds_what_was_traced(traced: Callable[..., tsnb.Traced]) -> None:
    contract = traced("masked-lm", 24, 2).contract
    names = ("input_ids", "attention_mask", "token_type_ids")
    assert (contract.input_names, contract.dtypes) == (names, dict.fromkeys(names, "int64"))
    assert (contract.batch_size, contract.length) == (2, 24)
    assert (contract.pad_token_id, contract.max_positions) == (0, 512)
    assert (contract.model_id, contract.known, contract.fixed_shape) == ("tiny-bert", True, False)


def test_the_order_of_the_inputs_does_not_matter(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    backwards = dict(reversed(inputs.items()))
    traced = tsnb.trace(model, backwards)
    assert traced.contract.input_names == tuple(inputs)
    assert torch.equal(traced(**inputs)["logits"], traced(**backwards)["logits"])


@pytest.mark.parametrize("torchscript", [False, True])
def test_a_trace_has_as_many_weights_as_its_model(load: Callable[..., Any], *, torchscript: bool) -> None:
    model, tokenizer = load(torchscript=torchscript)
    module = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16)).module
    places = [{held.data_ptr() for held in each.parameters()} for each in (module, model)]
    assert places[0] == places[1]


def test_a_model_that_returns_a_dict_is_traced_to_a_tuple_and_stays_tied() -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    output = tsnb.trace(model, inputs).module(**inputs)
    assert isinstance(output, tuple)
    assert tsnb.tying(model).pairs[0].tied
    assert isinstance(model(**inputs), dict)


def test_a_module_of_the_readers_own_with_one_float_input() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval()
    traced = tsnb.trace(model, {"input": torch.rand(2, 3)})
    assert (traced.contract.input_names, traced.contract.output_names) == (
        ("input",),
        ("output_0",),
    )
    assert (traced.contract.dtypes, traced.contract.model_id) == (
        {"input": "float32"},
        "Sequential",
    )
    x = torch.rand(5, 3)
    assert torch.equal(traced(input=x)["output_0"], model(x))


def test_nested_outputs_are_numbered() -> None:
    traced = tsnb.trace(Nested().eval(), {"x": torch.zeros(2, 2)})
    assert list(traced(x=torch.zeros(2, 2))) == [f"output_{number}" for number in range(4)]


def test_hidden_states_share_a_name_so_they_are_numbered() -> None:
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=8, num_hidden_layers=2, output_hidden_states=True, **sizes)
    traced = tsnb.trace(BertModel(config).eval(), {"input_ids": torch.tensor([[1, 2, 3]])})
    assert traced.contract.output_names == tuple(f"output_{number}" for number in range(5))


@pytest.mark.parametrize("kind", [Own, Tuple])
def test_a_transformers_model_that_gives_no_dict(kind: type[Own]) -> None:
    traced = tsnb.trace(kind(BertConfig()).eval(), {"input_ids": torch.tensor([[1, 2, 3]])})
    assert traced.contract.output_names == ("output_0",)
    assert traced.contract.output_axes == (("batch", "length", 4),)


def test_another_number_of_outputs_at_another_shape_is_no_axis() -> None:
    traced = tsnb.trace(Rows().eval(), {"x": torch.zeros(2, 3)})
    assert traced.contract.output_axes == (("length",), ("length",))


def test_one_token_is_enough() -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    traced = tsnb.trace(model, {"input_ids": torch.tensor([[tokenizer.mask_token_id]])})
    assert (traced.contract.length, traced.contract.output_axes) == (1, (("batch", 1, 623),))


def test_warnings_are_grouped_by_line_of_source() -> None:
    [warning] = tsnb.trace(Deciding().eval(), {"x": torch.ones(2)}).warnings
    file, _, line = warning.source.rpartition(":")
    assert (file, warning.count) == (__file__, 3)
    assert warning.code == linecache.getline(file, int(line)).strip()
    assert warning.code.startswith("x = x + 1 if bool(")
    assert "Python boolean" in warning.message
    assert str(warning).splitlines()[0] == f"{warning.source} (3 ×)"


def test_a_warning_points_into_the_model(traced: Callable[..., tsnb.Traced]) -> None:
    for warning in traced().warnings:
        assert Path(warning.source.rpartition(":")[0]).is_file()
        assert "transformers" in warning.source


@pytest.mark.parametrize("part", ["", "bert.encoder.layer.1.output"])
def test_a_model_in_training_mode_is_refused(part: str) -> None:
    model, tokenizer = tsnb.load("tiny-bert")
    model.get_submodule(part).train()
    error = untraceable(model, tsnb.dummy_inputs(tokenizer, model))
    assert (error.key, error.gaps["first"]) == ("tracing.training", part or "BertForMaskedLM")


def test_a_random_model_disagrees_with_its_trace() -> None:
    error = untraceable(Noisy().eval(), {"x": torch.zeros(4, 4)})
    assert (error.key, float(error.gaps["difference"]) > 0.01) == ("tracing.disagrees", True)  # type: ignore[arg-type]


def test_nan_that_model_and_trace_share_is_no_disagreement() -> None:
    traced = tsnb.trace(Undefined(wrong=False).eval(), {"x": torch.zeros(3)})
    assert traced(x=torch.zeros(3))["output_1"].isnan().all()


def test_nan_in_one_output_hides_no_disagreement_in_another() -> None:
    assert untraceable(Undefined(wrong=True).eval(), {"x": torch.zeros(3)}).key == ("tracing.disagrees")


def test_a_model_that_cannot_be_traced_says_torchs_words_and_what_to_do() -> None:
    model, ids = gpt2(use_cache=False), torch.tensor([[1, 2]])
    error = untraceable(model, {"input_ids": ids})
    assert error.key == "tracing.failed"
    assert "unordered_map::at" in str(error)
    assert "torch.vmap" in str(error)
    assert isinstance(error.__cause__, RuntimeError)
    exported = torch.export.export(model, (), {"input_ids": ids}).module()  # as it says
    assert torch.equal(exported(input_ids=ids).logits, model(input_ids=ids).logits)
    hidden = torch.full((1, 1, 2, 2), float("-inf")).triu(1)  # and the other way
    traced = tsnb.trace(model, {"input_ids": ids, "attention_mask": hidden})
    assert torch.equal(traced(input_ids=ids, attention_mask=hidden)["logits"], model(ids).logits)


def test_a_model_that_returns_a_cache_says_what_to_do() -> None:
    error = untraceable(gpt2(use_cache=True), {"input_ids": torch.tensor([[1, 2]])})
    assert (error.key, error.gaps["given"]) == ("tracing.a-cache", "DynamicCache")


class Returning(nn.Module):
    """Returns whatever it was given to return."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor) -> Any:
        return x, self.output


@pytest.mark.parametrize(("output", "given"), [(3, "int"), (0.5, "float"), ("abc", "str")])
def test_outputs_that_are_no_tensors(output: Any, given: str) -> None:
    error = untraceable(Returning(output).eval(), {"x": torch.ones(1, 2)})
    assert (error.key, error.gaps["given"]) == ("tracing.not-tensors", given)


def test_a_dict_of_a_module_says_what_to_do_and_not_torchs_option() -> None:
    error = untraceable(Returning({"y": torch.ones(1)}).eval(), {"x": torch.ones(1, 2)})
    assert "tuple(output.values())" in str(error)


class Listing(nn.Module):
    """Holds a layer where torch does not find it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(200, 200)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers[0](x)
        return found


def test_no_page_of_numbers_is_printed() -> None:
    error = untraceable(Listing().eval(), {"x": torch.ones(1, 200)})
    assert len(str(error)) < 1500


def test_an_error_of_the_model_itself_is_said_to_be_one(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model)
    error = untraceable(model, {**inputs, "input_ids": inputs["input_ids"] + 10**6})
    assert error.key == "tracing.model-raises"
    assert "IndexError: index out of range in self" in str(error)


@pytest.mark.parametrize("model", [None, "tiny-bert", torch.nn.Linear])
def test_what_is_no_model_is_refused(model: Any) -> None:
    assert refused(lambda: tsnb.trace(model, {"x": torch.ones(1)})).key == "tracing.not-a-model"


@pytest.mark.parametrize("part", [lambda traced: traced, lambda traced: traced.module])
def test_a_trace_is_not_traced_again(traced: Callable[..., tsnb.Traced], part: Callable[[Any], Any]) -> None:
    given = part(traced())
    assert untraceable(given, {"x": torch.ones(1)}).key == "tracing.already-traced"


def test_an_empty_batch_is_refused() -> None:
    error = refused(lambda: tsnb.trace(nn.Linear(2, 2).eval(), {"input": torch.ones(0, 2)}))
    assert (error.key, error.gaps["given"]) == ("inputs.empty-tensor", (0, 2))


class ByNameOnly(nn.Module):
    """Takes its input by name only."""

    def forward(self, *, x: torch.Tensor) -> torch.Tensor:
        return x


class ByPositionOnly(nn.Module):
    """Takes its input by position only."""

    def forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return x


class Wrapper(nn.Module):
    """Passes on whatever it gets."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (ByNameOnly(), "inputs.one-way"),
        (ByPositionOnly(), "inputs.one-way"),
        (Wrapper(), "inputs.names-nothing"),
    ],
)
def test_a_forward_that_a_trace_cannot_follow(model: nn.Module, key: str) -> None:
    assert refused(lambda: tsnb.trace(model.eval(), {"x": torch.ones(1, 2)})).key == key


@pytest.mark.parametrize("verify", [None, 5])
def test_shapes_to_verify_that_are_no_list(verify: Any) -> None:
    error = refused(lambda: tsnb.trace(nn.Linear(2, 2).eval(), {"input": torch.ones(1, 2)}, verify))
    assert (error.key, error.gaps["given"]) == ("tracing.bad-verify", verify)


def test_shapes_to_verify_may_come_one_at_a_time() -> None:
    given = {"input": torch.ones(1, 2)}
    verify = ((batch, 2) for batch in (2, 3))
    assert tsnb.trace(nn.Linear(2, 2).eval(), given, verify).contract.verified[-1] == (3, 2)


def test_a_model_whose_parts_need_dicts_has_the_names_of_its_outputs() -> None:
    sizes = {"vocab_size": 20, "hidden_size": 8, "embedding_size": 8, "intermediate_size": 8}
    config = ElectraConfig(**sizes, num_hidden_layers=1, num_attention_heads=2)
    model = ElectraForQuestionAnswering(config).eval()
    traced = tsnb.trace(model, {"input_ids": torch.tensor([[1, 2, 3]])})
    assert traced.contract.output_names == ("start_logits", "end_logits")


def test_an_input_that_forward_does_not_have(load: Callable[..., Any]) -> None:
    model, tokenizer = load()
    inputs = tsnb.dummy_inputs(tokenizer, model)
    inputs["input_idz"] = inputs.pop("input_ids")
    error = refused(lambda: tsnb.trace(model, inputs))
    assert (error.key, error.gaps["near"]) == ("inputs.misnamed", "Did you mean input_ids?")


def test_an_input_that_is_missing() -> None:
    x = torch.zeros(1, 2)
    error = refused(lambda: tsnb.trace(nn.Bilinear(2, 2, 2).eval(), {"input1": x}))
    assert (error.key, error.gaps["names"]) == ("inputs.missing", "input2")


@pytest.mark.parametrize("inputs", [torch.zeros(1, 2), [torch.zeros(1, 2)], {}, None])
def test_inputs_without_names(inputs: Any) -> None:
    error = refused(lambda: tsnb.trace(nn.Linear(2, 2).eval(), inputs))
    assert (error.key, error.gaps["given"]) == ("inputs.not-named", type(inputs).__name__)


@pytest.mark.parametrize("value", [[[1, 2]], None, 3])
def test_an_input_that_is_no_tensor(traced: Callable[..., tsnb.Traced], value: Any) -> None:
    errors = [
        refused(lambda: tsnb.trace(nn.Linear(2, 2).eval(), {"input": value})),
        refused(lambda: traced()(input_ids=value)),
    ]
    assert {error.key for error in errors} == {"inputs.not-tensor"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"position_ids": torch.zeros(1, 24, dtype=torch.int64)}, "inputs.misnamed"),
        ({"input_ids": torch.zeros(1, 24)}, "inputs.wrong-dtype"),
    ],
)
def test_calling_a_trace_with_other_inputs(
    traced: Callable[..., tsnb.Traced], change: dict[str, torch.Tensor], key: str
) -> None:
    names = traced().contract.input_names
    inputs = dict.fromkeys(names, torch.ones(1, 24, dtype=torch.int64))
    assert refused(lambda: traced()(**(inputs | change))).key == key


def test_calling_a_trace_with_too_few_inputs(traced: Callable[..., tsnb.Traced]) -> None:
    error = refused(lambda: traced()(input_ids=torch.ones(1, 24, dtype=torch.int64)))
    assert error.gaps["names"] == "attention_mask, token_type_ids"


@pytest.mark.parametrize("shape", [(1, 23), (2, 24), (24,), (1, 1, 24)])
def test_a_graph_of_a_fixed_shape_takes_no_other(
    traced: Callable[..., tsnb.Traced], shape: tuple[int, ...]
) -> None:
    held = traced()
    fixed = replace(held, contract=replace(held.contract, fixed_shape=True))
    names = held.contract.input_names
    fixed(**dict.fromkeys(names, torch.ones(1, 24, dtype=torch.int64)))
    error = refused(lambda: fixed(**dict.fromkeys(names, torch.ones(shape, dtype=torch.int64))))
    assert error.key == "inputs.wrong-shape"
    assert (error.gaps["given"], error.gaps["expected"]) == (list(shape), [1, 24])


def test_no_deprecation_reaches_the_reader(load: Callable[..., Any], tmp_path: Path) -> None:
    model, tokenizer = load()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
        loaded = tsnb.load_traced(tsnb.save(traced, tmp_path / "bert.pt"))
        tsnb.Runner(loaded, tokenizer)(["jim henson"])
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("enabled", [False, True])
def test_gradients_are_left_as_they_were(*, enabled: bool) -> None:
    model = nn.Linear(2, 2).eval()
    model.bias.requires_grad_(False)
    with torch.set_grad_enabled(enabled):
        tsnb.trace(model, {"input": torch.zeros(1, 2)})
        assert torch.is_grad_enabled() == enabled
    assert (model.weight.requires_grad, model.bias.requires_grad) == (True, False)


class Two(nn.Module):
    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return input_ids * 10 + labels


class Half(nn.Module):
    """Let Python fix the length on one line, and decide rightly on another."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.shape[0] > 0):
            x = x + 0 * float(x.sum() * 0)
        return x + torch.zeros(int(x.shape[1]))


class Even(nn.Module):
    """Cannot run odd lengths itself; Python decides on a value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.view(x.shape[0], -1, 2).sum(-1)
        return y + 1 if bool(y.sum() > -1e9) else y


def test_one_tensor_under_two_names_is_two_inputs() -> None:
    ids = torch.ones(1, 3, dtype=torch.int64)
    traced = tsnb.trace(Two().eval(), {"input_ids": ids, "labels": ids})
    found = traced(input_ids=ids, labels=torch.tensor([[1, 2, 3]]))
    assert found["output_0"].tolist() == [[11, 12, 13]]


@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_inputs_are_left_as_they_were(*, requires_grad: bool) -> None:
    x = torch.rand(2, 3, requires_grad=requires_grad)
    before = x.detach().clone()
    tsnb.trace(nn.Sequential(nn.ReLU()).eval(), {"input": x})
    assert torch.equal(x, before)
    assert (x.requires_grad, x.grad) == (requires_grad, None)


def test_nothing_of_the_model_or_of_torch_is_changed() -> None:
    model = make("bert")
    before = torch.random.get_rng_state()
    tsnb.trace(model, example("bert"), verify=[(1, 8)])
    assert not any(part.training for part in model.modules())
    assert model.config.return_dict is True
    assert torch.equal(before, torch.random.get_rng_state())


def test_shapes_that_were_verified_are_recorded() -> None:
    asked: Any = [(4, 8), [1, 64], (np.int64(1), np.int64(3))]
    contract = tsnb.trace(make("bert"), example("bert"), verify=asked).contract
    assert contract.verified == ((1, 3), (1, 64), (2, 16), (4, 8))
    assert tsnb.Contract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("funnel", (2, 24), "2 × 24: runs, and differs from the model by 0."),
        ("funnel", (2, 8), "2 × 8: the trace raises: RuntimeError: index"),
        ("bert", (1, 65), "1 × 65: the model itself cannot run it: The expanded size"),
    ],
)
def test_a_shape_that_is_not_the_same_is_refused(name: str, shape: tuple[int, int], words: str) -> None:
    with no_warnings(), pytest.raises(tsnb.TraceError) as caught:
        tsnb.trace(make(name), example(name), verify=[(2, 16), shape])
    assert caught.value.key == "tracing.not-verified"
    assert words in str(caught.value)
    assert "2 × 16" not in str(caught.value)


@pytest.mark.parametrize(
    "verify", [(1, 8), [(0, 8)], [(1, -8)], [(1, 8.0)], [(1,)], [(1, 8, 3)], ["18"], [None]]
)
def test_shapes_to_verify_that_are_none(verify: Any) -> None:
    error = refused(lambda: tsnb.trace(make("bert"), example("bert"), verify=verify))
    assert error.key == "tracing.bad-verify"


@pytest.mark.parametrize(
    ("batch", "length", "limit", "expected"),
    [
        (1, 16, None, [(1, 8), (1, 32), (2, 16)]),
        (1, 16, 24, [(1, 8), (1, 24), (2, 16)]),
        (2, 16, 16, [(2, 8), (3, 16)]),
        (2, 1, None, [(2, 2), (3, 1)]),
        (2, None, None, []),
        (None, None, None, []),
    ],
)
def test_neighbours(
    batch: int | None, length: int | None, limit: int | None, expected: list[tuple[int, int]]
) -> None:
    contract = tsnb.Contract(("x",), batch_size=batch, length=length, max_positions=limit)
    assert tracing.neighbours(contract) == expected


def of_shapes(traced: tsnb.Traced) -> list[tracing.TraceWarning]:
    return [warning for warning in traced.warnings if not warning.device]


def marks(traced: tsnb.Traced) -> list[bool | None]:
    return [warning.harmless for warning in of_shapes(traced)]


def test_where_the_neighbours_agree_the_warnings_are_harmless() -> None:
    traced = tsnb.trace(make("bert"), example("bert"))
    assert set(marks(traced)) == {True}
    assert traced.contract.verified == ((2, 8), (2, 16), (2, 32), (3, 16))
    assert str(traced.warnings[0]).endswith("equals the model at 2 × 8, 2 × 32, 3 × 16 too")


def test_where_nothing_warned_the_neighbours_are_tried_all_the_same() -> None:
    traced = tsnb.trace(make("electra"), example("electra"))
    assert traced.warnings == ()
    assert traced.contract.verified == ((2, 8), (2, 16), (2, 32), (3, 16))


def test_where_numbers_are_wrong_every_warning_may_be_the_cause() -> None:
    with no_warnings():
        traced = tsnb.trace(make("funnel"), example("funnel"))
    assert len(traced.warnings) > 1
    assert set(marks(traced)) == {False}
    assert traced.contract.verified == ((2, 16), (3, 16))
    assert str(traced.warnings[0]).endswith("trace and model part at 2 × 8, 2 × 32")


def test_where_the_error_names_no_line_that_warned_every_warning_may_be_the_cause() -> None:
    traced = tsnb.trace(make_trap(IntMask), {"input_ids": torch.ones(1, 7, dtype=torch.int64)})
    assert [warning.code for warning in of_shapes(traced)] == ["n = int(length)"]
    assert marks(traced) == [False]


def test_where_the_error_names_a_line_that_warned_only_that_one_is_the_cause() -> None:
    traced = tsnb.trace(Half().eval(), {"x": torch.rand(2, 6)})
    cause = [warning.code for warning in traced.warnings if warning.harmless is False]
    assert cause == ["return x + torch.zeros(int(x.shape[1]))"]
    others = [warning for warning in of_shapes(traced) if warning.harmless is None]
    assert others
    assert all("the error names another line" in str(warning) for warning in others)


def test_a_model_without_a_length_is_not_tried() -> None:
    traced = tsnb.trace(Deciding().eval(), {"x": torch.ones(2)})
    assert marks(traced) == [None]
    assert str(traced.warnings[0]).endswith("not tried at another shape")


def test_what_the_model_itself_cannot_run_shows_nothing() -> None:
    traced = tsnb.trace(Even().eval(), {"x": torch.ones(1, 2)}, verify=[(1, 2)])
    assert marks(traced) == [None]


def test_the_traced_shape_alone_shows_no_warning_harmless() -> None:
    traced = tsnb.trace(make("bert"), example("bert"), verify=[(2, 16)])
    assert set(marks(traced)) == {None}


def test_shapes_that_were_asked_for_mark_the_warnings() -> None:
    traced = tsnb.trace(make("bert"), example("bert"), verify=[(1, 4)])
    assert [(warning.harmless, warning.shapes) for warning in traced.warnings] == [(True, ((1, 4),))]
