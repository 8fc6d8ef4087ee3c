"""Answers to the exercises of notebook 01."""

from typing import Any

import torch

from tsnb.practice.exercises import flag_and_untying

TIED = {"deepcopy": True, "half": True, "state_dict": False, "new": True}
NUMBERS = 250_002 * 768


def price(single: float, half: float) -> dict[str, float]:
    return {"float32": single, "float16": half}


ANSWERS: list[tuple[str, Any, str]] = [
    ("tied-or-not", TIED | {"state_dict": True}, "equal-numbers"),
    ("tied-or-not", TIED | {"deepcopy": False}, "copies-part"),
    ("tied-or-not", TIED | {"half": False}, "other-dtype"),
    ("tied-or-not", TIED | {"new": False}, "wrong"),
    ("shares-storage", torch.equal, "equal-numbers"),
    ("shares-storage", lambda first, second: first.data_ptr() == second.data_ptr(), "first-number"),
    ("shares-storage", lambda first, _: torch.eq(first, first), "not-a-bool"),
    ("shares-storage", lambda *_: ..., "not-yet"),
    ("untying-price", price(NUMBERS, NUMBERS), "numbers"),
    ("untying-price", price(NUMBERS * 8, NUMBERS * 4), "both-copies"),
    ("untying-price", price(0, 0), "wrong"),
    ("safe-order", ["train", "save"], "done"),
    ("safe-order", ["untie", "train", "save"], "trained-apart"),
    ("safe-order", ["save", "train", "untie"], "saved-early"),
    ("safe-order", ["train", "untie"], "missing-step"),
]


def test_the_truth_is_measured() -> None:
    assert flag_and_untying.tied_copies() == TIED
