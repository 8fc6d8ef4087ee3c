from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tsnb.tracing.contract import batch_and_length, input_axes, output_axes, resolve

IDS = torch.zeros(2, 7, dtype=torch.int64)


class Pair(nn.Module):
    """Returns outputs of several forms."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = x.unsqueeze(1) + x.unsqueeze(2)
        return x, x.sum(), x.sum(1), pairs, torch.cat([x, x], 1), torch.zeros(5)


class Rigid(nn.Module):
    """Raises at every length but seven."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.zeros(7)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 7)], (2, 7)),
        ([(2, 7, 3)], (2, 7)),
        ([(5,), (2, 7)], (2, 7)),
        ([(), (5,)], (5, None)),
        ([()], (None, None)),
        ([], (None, None)),
    ],
)
def test_batch_and_length(shapes: list[tuple[int, ...]], expected: tuple[Any, Any]) -> None:
    inputs = {f"x{number}": torch.zeros(shape) for number, shape in enumerate(shapes)}
    assert batch_and_length(inputs) == expected


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 7), ("batch", "length")),
        ((2, 4), ("batch", 4)),
        ((3, 7), (3, "length")),
        ((2, 7, 16), ("batch", "length", 16)),
        ((2, 7, 7), ("batch", "length", 7)),
        ((2,), ("batch",)),
        ((7,), (7,)),
        ((), ()),
    ],
)
def test_axes_of_an_input_beside_token_ids(shape: tuple[int, ...], axes: tuple[Any, ...]) -> None:
    assert input_axes({"input_ids": IDS, "x": torch.zeros(shape)})["x"] == axes


def test_a_square_batch_is_told_by_place() -> None:
    assert input_axes({"x": torch.zeros(3, 3)})["x"] == ("batch", "length")


@pytest.mark.parametrize(
    ("axes", "shape"),
    [(("batch", "length"), (3, 9)), (("batch", 128), (3, 128)), ((4, "length", 2), (4, 9, 2))],
)
def test_resolve(axes: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    assert resolve(axes, 3, 9) == shape


def test_resolving_the_axes_gives_the_shapes_back() -> None:
    inputs = {"input_ids": IDS, "scale": torch.zeros(5), "x": torch.zeros(2, 7, 3)}
    for name, axes in input_axes(inputs).items():
        assert resolve(axes, 2, 7) == inputs[name].shape


def axes_of(model: nn.Module, x: torch.Tensor) -> tuple[tuple[Any, ...], ...]:
    found = model(x)
    return output_axes(model, {"x": x}, list(found) if isinstance(found, tuple) else [found])


def test_axes_of_outputs() -> None:
    assert axes_of(Pair(), torch.zeros(2, 7)) == (
        ("batch", "length"),
        (),
        ("batch",),
        ("batch", "length", "length"),
        ("batch", "other"),
        (5,),
    )


def test_a_length_that_the_model_cannot_leave_is_told_by_place_and_size() -> None:
    assert axes_of(Rigid(), torch.zeros(2, 7)) == (("batch", "length"),)


def test_of_one_token_there_is_no_shorter_length() -> None:
    assert axes_of(Pair(), torch.zeros(2, 1))[0] == ("batch", 1)
