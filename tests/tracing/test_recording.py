"""What the tracer records of models as readers have them, what it leaves out, and what is said where it cannot."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from transformers import masking_utils

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing.compare import no_warnings

X = {"x": torch.ones(2, 4)}
DECODERS = {"gpt2": ("logits",), "gemma2": ("logits",), "llama-classifier": ("logits",)}


class Calling(nn.Module):
    """A module with a layer, whose forward is a function of that and of one input."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self.layer, x)


class Point(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


@dataclass
class Scored:
    scores: Any
    best: int
    label: str = "poet"


class Within(torch.autograd.Function):
    """Call a layer where the tracer does not look, as reversible layers do."""

    @staticmethod
    def forward(_: Any, x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
        return layer(x) + 1  # type: ignore[no-any-return]


def traced_of(function: Callable[..., Any]) -> tsnb.Traced:
    with no_warnings():
        return tsnb.trace(Calling(function).eval(), X)


def refusal(model: nn.Module, inputs: Any = X) -> str:
    with no_warnings(), pytest.raises(tsnb.TraceError) as caught:
        tsnb.trace(model, inputs)
    assert "unordered_map" not in f"{caught.value} {caught.value.__cause__}"
    return str(caught.value)


def functions(module: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if callable(value)}


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_traces_without_its_cache_and_nothing_of_the_reader_changes(name: str) -> None:
    model, inputs = make(name), example(name)
    before = vars(model.config).copy(), functions(masking_utils)
    with no_warnings():
        traced = tsnb.trace(model, inputs)
    assert (vars(model.config), functions(masking_utils)) == before
    assert traced.contract.output_names == DECODERS[name]
    with torch.no_grad():
        expected = model(**inputs).logits  # with the cache
    assert torch.allclose(traced(**inputs)["logits"], expected, atol=1e-5)
    [note] = [warning for warning in traced.warnings if warning.output]
    assert "(DynamicCache)" in note.message
    assert "each new token" in note.message
    assert note.message in str(traced)
    assert "not tried" not in str(note)


def test_the_cache_is_not_said_to_be_left_out_where_the_model_makes_none() -> None:
    model = make("gpt2")
    model.config.use_cache = False
    with no_warnings():
        for silent in (tsnb.trace(model, example("gpt2")), tsnb.trace(make("bert"), example("bert"))):
            assert not any(warning.output for warning in silent.warnings)
        pair = tsnb.trace(make("marian"), example("marian"))
    assert pair.contract.output_names == ("logits", "encoder_last_hidden_state")
    assert ["EncoderDecoderCache" in warning.message for warning in pair.warnings if warning.output] == [True]


def test_a_readers_own_module_around_a_decoder_traces_too() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make("gpt2")

        def forward(self, input_ids: torch.Tensor) -> Any:
            output = self.inner(input_ids)
            return output.logits[:, -1], output.past_key_values

    with no_warnings():
        traced = tsnb.trace(Last().eval(), {"input_ids": torch.full((2, 8), 5)})
    assert len(traced.contract.verified) == 4
    assert ["(DynamicCache)" in warning.message for warning in traced.warnings if warning.output] == [True]


@pytest.mark.parametrize(
    ("function", "names", "left_out"),
    [
        (lambda layer, x: Point(layer(x), x), ("left", "right"), []),
        (lambda layer, x: Scored(layer(x), x.shape[1]), ("scores", "best"), ["label"]),
        (lambda layer, x: {"scores": layer(x), "best": {1, 2}}, ("scores",), ["best"]),
        (lambda layer, x: (layer(x), 3, "poet"), ("output_0", "output_1"), ["a part of the output"]),
    ],
)
def test_an_output_is_flattened_and_what_is_no_tensor_is_said(
    function: Callable[..., Any], names: tuple[str, ...], left_out: list[str]
) -> None:
    traced = traced_of(function)
    assert traced.contract.output_names == names
    assert [warning.output for warning in traced.warnings if warning.output] == left_out
    assert all(f"leaves {name} out" in str(traced) for name in left_out)


def test_hooks_and_what_replaces_forward_are_recorded_as_they_run() -> None:
    model, inputs = make("bert"), example("bert")
    expected = model(**inputs).pooler_output
    model.register_forward_hook(lambda _, __, output: {"pooled": 2 * output.pooler_output})  # reads the dict
    model.register_full_backward_hook(lambda *_: None)
    model.forward = partial(model.forward, output_attentions=False)
    calls = len(model._forward_hooks)
    with no_warnings():
        traced = tsnb.trace(model, inputs)
    assert torch.allclose(traced(**inputs)["pooled"], 2 * expected, atol=1e-5)
    assert (len(model._forward_hooks), type(model.forward)) == (calls, partial)


@pytest.mark.parametrize("way", [{"cache_enabled": False}, {"requires_grad": False}])
def test_under_autocast_a_trace_needs_one_of_two_things(way: dict[str, bool]) -> None:
    model, inputs = make("bert"), example("bert")
    with torch.autocast("cpu", torch.bfloat16):
        message = refusal(model, inputs)
    assert "cache_enabled=False" in message
    assert "requires_grad_(False)" in message
    model.requires_grad_(way.get("requires_grad", True))
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=way.get("cache_enabled", True)), no_warnings():
        traced = tsnb.trace(model, inputs)
        assert torch.equal(traced(**inputs)["pooler_output"], model(**inputs).pooler_output)


def test_a_tensor_that_is_in_no_part_of_the_model() -> None:
    layer = nn.Linear(4, 4)
    message = refusal(Calling(lambda _, x: layer(x) + 0).eval())
    assert ("is no parameter of the model" in message, len(message) < 1500) == (True, True)  # no page of numbers
    layer.requires_grad_(False)
    assert traced_of(lambda _, x: layer(x) + 0).contract.output_names == ("output_0",)


def test_layers_within_an_autograd_function() -> None:
    apply: Any = Within.apply
    model = Calling(lambda layer, x: apply(x, layer)).eval()
    assert "torch.autograd.Function" in refusal(model)
    with torch.no_grad():
        exported = torch.export.export(model, (), X).module()
        assert torch.equal(exported(**X), model(**X))
    assert traced_of(lambda layer, x: layer(x) + 1).contract.output_names == ("output_0",)


def test_what_was_compiled_is_traced_as_it_was_before() -> None:
    plain = Calling(lambda layer, x: layer(x)).eval()
    whole: Any = torch.compile(plain, backend="eager")
    assert "tsnb.trace(model._orig_mod, inputs)" in refusal(whole)
    assert "model.module" in refusal(nn.DataParallel(plain))
    part = Calling(lambda layer, x: layer(x)).eval()
    part.layer = torch.compile(part.layer, backend="eager")  # type: ignore[assignment]
    assert "what torch.compile made" in refusal(part)
    plain.compile(backend="eager")  # in its place
    for model in (plain, whole._orig_mod):
        assert tsnb.trace(model, X).contract.verified_inputs


def test_weights_without_numbers_and_inputs_elsewhere() -> None:
    message = refusal(Calling(lambda layer, x: layer(x)).eval().to("meta"))
    assert "2 weights of the model are on the device meta and hold no numbers (first layer.weight)" in message
    half = Calling(lambda layer, x: layer(x)).eval().half()
    assert "x is torch.float32 on cpu, and the model begins with torch.float16 on cpu" in refusal(half)
    assert tsnb.trace(half, {"x": X["x"].half()}).contract.dtype == "float16"  # on the CPU
    away = {name: tensor.to("meta") for name, tensor in example("bert").items()}
    assert "input_ids is torch.int64 on meta" in refusal(make("bert"), away)


def test_a_model_whose_own_parts_cannot_return_tuples() -> None:
    model, inputs = make("llama-classifier"), example("llama-classifier")
    model.config.return_dict = False
    assert "'last_hidden_state' Set model.config.return_dict = True" in refusal(model, inputs)
    model.config.return_dict = True
    with no_warnings():
        assert tsnb.trace(model, inputs).contract.output_names == ("logits",)


def test_what_returns_no_tensor_is_refused() -> None:
    for output, words in (("poet", "str"), (None, "nothing")):
        assert f"returns no tensor ({words})" in refusal(Calling(lambda *_, output=output: output).eval())
