from typing import Any

import pytest
import torch
from torch import nn

from tests.tracing.architectures import example, make
from tsnb.tracing.inputs import parameters
from tsnb.tracing.outputs import largest_difference, run, traceable

INF, NAN = float("inf"), float("nan")


# the first names return_dict, the second's decorator takes it
@pytest.mark.parametrize("name", ["bert", "modernbert"])
@pytest.mark.parametrize("setting", ["return_dict", "torchscript"])
def test_outputs_have_names_whatever_the_configuration_says(name: str, setting: str) -> None:
    model, inputs = make(name), example(name)
    with torch.no_grad():
        expected = run(model, inputs)
        setattr(model.config, setting, setting == "torchscript")
        names = vars(model.config).copy()
        outputs = run(model, inputs)
    assert next(iter(outputs)) == "last_hidden_state"
    assert outputs.keys() == expected.keys()
    assert torch.equal(outputs["last_hidden_state"], expected["last_hidden_state"])
    assert vars(model.config) == names


class Listing(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 2.0) -> Any:
        return [x, {"twice": x * scale}]


def test_what_is_traced_shares_the_models_weights_and_leaves_it_alone() -> None:
    model, inputs = make("bert"), example("bert")
    view = traceable(model)
    with torch.no_grad():
        assert isinstance(view(**inputs), tuple)
        assert isinstance(model(**inputs), dict)
    assert [id(weight) for weight in view.parameters()] == [id(weight) for weight in model.parameters()]
    positions = [inputs.get(name) for name in parameters(model)]  # as the exporter to ONNX passes them
    assert isinstance(view(*positions), tuple)
    assert type(view).__qualname__ == type(model).__name__
    assert [tensor.tolist() for tensor in traceable(Listing())(torch.ones(1))] == [[1.0], [2.0]]
    assert isinstance(traceable(nn.Identity())(torch.ones(1)), torch.Tensor)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, NAN], [3.0, NAN], 2.0),
        ([NAN, 1.0], [1.0, NAN], INF),
        ([INF, -INF], [INF, -INF], 0.0),
        ([True, False], [True, True], 1.0),
        ([1.0], [1.0, 1.0], INF),
    ],
)
def test_largest_difference(first: list[Any], second: list[Any], difference: float) -> None:
    same = torch.zeros(3)  # the difference is over all outputs
    tensors = [[same, torch.tensor(values), same] for values in (first, second)]
    assert largest_difference(*tensors) == difference


def test_a_difference_is_taken_in_double_and_another_number_of_outputs_is_one() -> None:
    halves = [[torch.tensor([value], dtype=torch.float16)] for value in (60000.0, -60000.0)]
    small = [[torch.tensor([value], dtype=torch.uint8)] for value in (0, 1)]
    assert (largest_difference(*halves), largest_difference(*small)) == (120000.0, 1.0)
    assert largest_difference([torch.zeros(1)], []) == INF
