from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch

from tsnb.tracing.outputs import flatten, largest_difference, named_outputs

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("output", "count"),
    [
        (torch.zeros(1), 1),
        (None, 0),
        ((torch.zeros(1), None, [torch.zeros(2)]), 2),
        ({"a": torch.zeros(1), "b": (torch.zeros(1), torch.zeros(1))}, 3),
        ((), 0),
    ],
)
def test_flatten_counts_tensors_however_nested(output: Any, count: int) -> None:
    assert len(flatten(output)) == count


def test_flatten_keeps_the_order() -> None:
    held = [torch.full((1,), float(number)) for number in range(4)]
    nested = OrderedDict(last=held[0], states=(held[1], [held[2]]), other=held[3])
    assert [float(tensor) for tensor in flatten(nested)] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a", "b"), ["a", "b"]),
        (("a",), ["a", "output_1"]),
        ((), ["output_0", "output_1"]),
        (("a", "b", "c"), ["a", "b"]),
    ],
)
def test_outputs_beyond_the_names_are_numbered(names: tuple[str, ...], expected: list[str]) -> None:
    assert list(named_outputs((torch.zeros(1), torch.ones(1)), names)) == expected


def test_the_largest_difference_is_over_all_outputs() -> None:
    first = [torch.zeros(2, 2), torch.zeros(3)]
    second = [torch.full((2, 2), 0.5), torch.tensor([0.0, -2.0, 0.0])]
    assert largest_difference(first, second) == 2.0


def test_a_difference_in_half_precision_is_taken_in_double() -> None:
    first, second = (torch.tensor([held], dtype=torch.float16) for held in (60000.0, -60000.0))
    assert largest_difference([first], [second]) == 120000.0


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, NAN], [3.0, NAN], 2.0),
        ([1.0, NAN], [1.0, 2.0], INF),
        ([NAN, 1.0], [1.0, NAN], INF),
        ([INF, -INF], [INF, -INF], 0.0),
        ([INF], [-INF], INF),
        ([True, False], [True, True], 1.0),
        ([2, 3], [2, 7], 4.0),
        ([1.0], [1.0, 1.0], INF),
        ([], [], 0.0),
    ],
)
def test_largest_difference(first: list[Any], second: list[Any], difference: float) -> None:
    assert largest_difference([torch.tensor(first)], [torch.tensor(second)]) == difference


def test_largest_difference_of_small_unsigned_numbers() -> None:
    zero, one = (torch.tensor([held], dtype=torch.uint8) for held in (0, 1))
    assert largest_difference([zero], [one]) == 1.0


def test_largest_difference_where_only_the_first_output_is_undefined() -> None:
    first = [torch.tensor([1.0]), torch.tensor([NAN])]
    second = [torch.tensor([1.0]), torch.tensor([2.0])]
    assert largest_difference(first, second) == INF


def test_another_number_of_outputs_is_a_difference() -> None:
    assert largest_difference([torch.zeros(1)], []) == INF
