"""What typical answers to the exercises of notebook 01 are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tsnb import checks
from tsnb.practice.exercises import flag_and_untying

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Said = Callable[[str, Any], tuple[str, str | None]]

RIGHT = {"deepcopy": True, "half": True, "state_dict": False, "new": True}
NUMBERS = 250_002 * 768


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"state_dict": True}, "equal-numbers"),
        ({"deepcopy": False}, "copies-part"),
        ({"half": False}, "other-dtype"),
        ({"deepcopy": False, "state_dict": True}, "equal-numbers"),
    ],
)
def test_tied_or_not(said: Said, change: dict[str, bool], mistake: str) -> None:
    assert said("tied-or-not", RIGHT | change) == ("mistake", mistake)


def test_tied_or_not_without_a_name(said: Said) -> None:
    assert said("tied-or-not", RIGHT | {"new": False}) == ("wrong", None)
    assert said("tied-or-not", RIGHT) == ("done", None)


@pytest.mark.parametrize("answer", [[True], {"deepcopy": True}, RIGHT | {"new": "yes"}, None])
def test_tied_or_not_of_another_type(said: Said, answer: Any) -> None:
    assert said("tied-or-not", answer) == ("type", None)


def test_the_truth_is_measured() -> None:
    assert flag_and_untying._tied_copies() == RIGHT


def equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first, second)


def same_object(first: Tensor, second: Tensor) -> bool:
    return first is second


def first_number(first: Tensor, second: Tensor) -> bool:
    return first.data_ptr() == second.data_ptr()


def storage(first: Tensor, second: Tensor) -> bool:
    return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [
        (equal, "equal-numbers"),
        (same_object, "same-object"),
        (first_number, "first-number"),
        (lambda _, __: True, "equal-numbers"),
        (lambda _, __: 1, "not-a-bool"),
        (lambda first, _: torch.eq(first, first), "not-a-bool"),
        (lambda _, __: None, "no-return"),
    ],
)
def test_shares_storage(said: Said, answer: Any, mistake: str) -> None:
    assert said("shares-storage", answer) == ("mistake", mistake)


def test_shares_storage_done_and_of_another_type(said: Said) -> None:
    assert said("shares-storage", storage) == ("done", None)
    assert said("shares-storage", True) == ("type", None)


@pytest.mark.parametrize(
    ("single", "half", "mistake"),
    [
        (NUMBERS, NUMBERS, "numbers"),
        (NUMBERS * 8, NUMBERS * 4, "both-copies"),
        (NUMBERS * 4, NUMBERS * 4, "same-twice"),
        (768, 384, "megabytes"),
        (732.4, 366.2, "megabytes"),
        (NUMBERS * 32, NUMBERS * 16, "bits"),
    ],
)
def test_untying_price(said: Said, single: float, half: float, mistake: str) -> None:
    assert said("untying-price", {"float32": single, "float16": half}) == ("mistake", mistake)


def test_untying_price_without_a_name(said: Said) -> None:
    assert said("untying-price", {"float32": 0, "float16": 0}) == ("wrong", None)
    right = {"float32": NUMBERS * 4, "float16": NUMBERS * 2}
    assert said("untying-price", right) == ("done", None)
    assert said("untying-price", [NUMBERS * 4, NUMBERS * 2]) == ("type", None)


@pytest.mark.parametrize(
    ("order", "mistake"),
    [
        (["untie", "train", "save"], "trained-apart"),
        (["save", "train", "untie"], "saved-early"),
        (["untie", "save"], "missing-step"),
        (["train", "untie"], "missing-step"),
        (["train", "train", "save"], "step-twice"),
        (["fly", "train", "save"], "unknown-step"),
    ],
)
def test_safe_order(said: Said, order: list[str], mistake: str) -> None:
    assert said("safe-order", order) == ("mistake", mistake)


@pytest.mark.parametrize("order", [["train", "save"], ["train", "save", "untie"]])
def test_other_orders_that_lose_nothing_are_right(said: Said, order: list[str]) -> None:
    assert said("safe-order", order) == ("done", None)


def test_an_order_of_other_types(said: Said) -> None:
    assert said("safe-order", "train") == ("type", None)
    assert said("safe-order", [1, 2, 3]) == ("type", None)


def test_numbers_are_filled_in() -> None:
    told = checks.check("safe-order", ["untie", "train", "save"]).text
    assert "differ by 0.002" in told
    right = {"float32": NUMBERS * 4.0, "float16": NUMBERS * 4 / 2}
    assert "768,006,144 and 384,003,072 bytes" in checks.check("untying-price", right).text
    assert "192,001,536" in checks.check("untying-price", {"float32": NUMBERS, "float16": 1}).text
