from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing.compare import TOLERANCE, Verdict, compare
from tsnb.tracing.contract import Contract

INF = float("inf")
X = Contract(("x",), dtypes={"x": "float32"}, input_axes={"x": ("batch", "length")})
NAMES = ("input_ids", "attention_mask")
MASKED = Contract(
    NAMES, dtypes=dict.fromkeys(NAMES, "int64"), input_axes=dict.fromkeys(NAMES, ("batch", "length")), pad_token_id=0
)


class Returning(nn.Module):
    """A stand-in for a model or a trace: returns what a function makes of its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor, **named: torch.Tensor) -> Any:
        return self.function(*tensors, *named.values())


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: torch.Tensor) -> Any:
        raise error

    return function


def same(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
    return x


def verdict(
    model: Callable[..., Any],
    trace: Callable[..., Any],
    shape: tuple[int, int] = (2, 4),
    contract: Contract = X,
    tolerance: float = TOLERANCE,
) -> Verdict:
    stand_in: Any = Returning(trace)
    return compare(tsnb.Traced(stand_in, contract), Returning(model), shape, tolerance)


@pytest.mark.parametrize(("apart", "kind"), [(0.25, "same"), (-0.25, "same"), (0.2500001, "wrong")])
def test_the_tolerance_itself_is_allowed(apart: float, kind: str) -> None:
    result = verdict(torch.zeros_like, lambda x: torch.zeros_like(x) + apart, tolerance=0.25)
    assert result.kind == kind
    assert result.difference == pytest.approx(abs(apart))


@pytest.mark.parametrize("form", [lambda x: x[:, 1:], lambda x: (x, x)])
def test_another_form_of_output_is_wrong(form: Callable[..., Any]) -> None:
    result = verdict(same, form)
    assert (result.kind, result.difference) == ("wrong", INF)
    assert "differs from the model in shape" in str(result)


def test_what_raises_is_told_apart_from_what_the_model_cannot_run() -> None:
    result = verdict(same, raising(RuntimeError("first line\nlast line")))
    assert (result.kind, result.difference, result.error) == ("raises", None, "first line\nlast line")
    assert str(result) == "the trace raises: last line"
    assert verdict(same, raising(ZeroDivisionError())).error == "ZeroDivisionError"
    result = verdict(raising(IndexError("too long")), same)
    drawn = "not compared, since the model raises at inputs drawn without an example: too long"
    assert (result.kind, str(result)) == ("unsupported", drawn)
    assert str(replace(result, sound=True)) == "the model itself cannot run it: too long"
    with pytest.raises(KeyboardInterrupt):
        verdict(raising(KeyboardInterrupt()), same)


@pytest.mark.parametrize("padded", [True, False])
def test_one_row_is_tried_padded_and_full_and_the_graver_counts(*, padded: bool) -> None:
    def trace(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        return ids + (2 if bool((mask == 0).any()) == padded else 1)

    result = verdict(same, trace, (1, 8), MASKED)
    assert (result.kind, result.difference) == ("wrong", 2.0)

    def model(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        return same(ids) if bool((mask == 0).any()) == padded else raising(IndexError())(ids)

    assert verdict(model, same, (1, 8), MASKED).kind == "unsupported"


def test_a_limit_that_counts_real_tokens_is_not_hidden_by_padding() -> None:
    model = make("roberta")
    traced = tsnb.trace(model, example("roberta"))
    assert traced.contract.max_positions == 62
    for batch in (1, 2):
        assert compare(traced, model, (batch, 62)).kind == "same"
        assert compare(traced, model, (batch, 63)).kind == "unsupported"
