from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing import compare as verdicts
from tsnb.tracing.compare import ORDER, SYMBOLS, TOLERANCE, Verdict, compare
from tsnb.tracing.contract import Contract
from tsnb.tracing.traps import BakedDropout
from tsnb.tracing.traps import make as make_trap

if TYPE_CHECKING:
    from collections.abc import Callable

INF, NAN = float("inf"), float("nan")
X = Contract(("x",), dtypes={"x": "float32"}, input_axes={"x": ("batch", "length")})
MASKED = Contract(
    ("input_ids", "attention_mask"),
    dtypes={"input_ids": "int64", "attention_mask": "int64"},
    input_axes=dict.fromkeys(("input_ids", "attention_mask"), ("batch", "length")),
    pad_token_id=0,
)


class Saying(nn.Module):
    """A stand-in for a model or a trace: says what a function gives for its inputs."""

    def __init__(self, say: Callable[..., Any]) -> None:
        super().__init__()
        self.say = say

    def forward(self, *tensors: torch.Tensor, **named: torch.Tensor) -> Any:
        return self.say(*tensors, *named.values())


def raising(error: Exception) -> Callable[..., Any]:
    def say(*_: torch.Tensor) -> Any:
        raise error

    return say


def verdict(
    model: Callable[..., Any],
    trace: Callable[..., Any],
    shape: tuple[int, int] = (2, 4),
    contract: Contract = X,
    tolerance: float = TOLERANCE,
) -> Verdict:
    stand_in: Any = Saying(trace)
    return compare(tsnb.Traced(stand_in, contract), Saying(model), shape, tolerance)


def test_equal_results_are_the_same() -> None:
    found = verdict(lambda x: x, lambda x: x)
    assert (found.kind, found.difference, found.error) == ("same", 0.0, "")
    assert found.shapes == (("x", (2, 4)),)


@pytest.mark.parametrize(
    ("apart", "kind"),
    [(0.25, "same"), (0.2500001, "wrong"), (-0.25, "same"), (0.1, "same"), (1.0, "wrong")],
)
def test_the_tolerance_itself_is_allowed(apart: float, kind: str) -> None:
    found = verdict(torch.zeros_like, lambda x: torch.zeros_like(x) + apart, tolerance=0.25)
    assert found.kind == kind
    assert found.difference == pytest.approx(abs(apart))


@pytest.mark.parametrize("say", [lambda x: x[:, 1:], lambda x: x[:0], lambda x: (x, x), lambda _: ()])
def test_another_form_of_output_is_wrong(say: Callable[..., Any]) -> None:
    found = verdict(lambda x: x, say)
    assert (found.kind, found.difference) == ("wrong", INF)


@pytest.mark.parametrize(
    ("model", "trace", "kind"), [(NAN, NAN, "same"), (INF, INF, "same"), (1.0, NAN, "wrong")]
)
def test_undefined_numbers(model: float, trace: float, kind: str) -> None:
    found = verdict(lambda x: torch.full_like(x, model), lambda x: torch.full_like(x, trace))
    assert found.kind == kind


def test_a_trace_that_raises() -> None:
    found = verdict(lambda x: x, raising(RuntimeError("first line\nlast line")))
    assert (found.kind, found.difference, found.error) == ("raises", None, "first line\nlast line")
    assert str(found) == "the trace raises: last line"


def test_an_error_without_words_is_named() -> None:
    assert verdict(lambda x: x, raising(ZeroDivisionError())).error == "ZeroDivisionError"


def test_what_the_model_itself_cannot_run_is_unsupported() -> None:
    found = verdict(raising(IndexError("too long")), lambda x: x)
    assert (found.kind, found.error) == ("unsupported", "too long")
    assert str(found) == "the model itself cannot run it: too long"


def test_the_user_may_stop_it() -> None:
    def stop(_: torch.Tensor) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict(stop, lambda x: x)


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.25, "runs, and differs from the model by 0.25"),
        (INF, "runs, and differs from the model in shape"),
    ],
)
def test_a_wrong_verdict_in_words(difference: float, words: str) -> None:
    assert words in str(Verdict("wrong", difference))


def test_every_kind_has_a_symbol_of_its_own() -> None:
    assert set(SYMBOLS) == set(ORDER)
    assert len({Verdict(kind).symbol for kind in SYMBOLS}) == len(SYMBOLS)


@pytest.mark.parametrize("kind", SYMBOLS)
def test_every_kind_has_words_of_its_own(kind: verdicts.Kind) -> None:
    assert len({str(Verdict(other, 0.5, "why")) for other in SYMBOLS}) == len(SYMBOLS)
    assert str(Verdict(kind, 0.5, "why"))


def only(padded: bool, fails: Callable[..., Any]) -> Callable[..., Any]:  # noqa: FBT001
    """Answer rightly but for inputs that are padded, or that are full."""

    def say(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        return fails(ids) if bool((mask == 0).any()) == padded else ids

    return say


@pytest.mark.parametrize("padded", [True, False])
def test_one_row_is_tried_padded_and_full(*, padded: bool) -> None:
    trace = only(padded, lambda ids: ids + 1)
    assert verdict(only(True, lambda ids: ids), trace, (1, 8), MASKED).kind == "wrong"


@pytest.mark.parametrize("padded", [True, False])
def test_of_one_row_the_graver_verdict_counts(*, padded: bool) -> None:
    def same(ids: torch.Tensor, _: torch.Tensor) -> Any:
        return ids

    trace = only(padded, raising(RuntimeError("no")))
    assert verdict(same, trace, (1, 8), MASKED).kind == "raises"
    model = only(padded, raising(RuntimeError("no")))
    assert verdict(model, same, (1, 8), MASKED).kind == "unsupported"


def test_of_one_row_the_larger_difference_counts() -> None:
    def trace(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        return ids + (2 if mask.all() else 1)

    found = verdict(lambda ids, _: ids, trace, (1, 8), MASKED)
    assert (found.kind, found.difference) == ("wrong", 2.0)


@pytest.mark.parametrize("name", ["roberta", "mpnet"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_limit_that_counts_real_tokens_is_not_hidden_by_padding(name: str, batch: int) -> None:
    model = make(name)
    traced = tsnb.trace(model, example(name))
    assert traced.contract.max_positions == 62
    assert compare(traced, model, (batch, 62)).kind == "same"
    assert compare(traced, model, (batch, 63)).kind == "unsupported"


def test_padding_alone_would_hide_it() -> None:
    model = make("mpnet")
    traced = tsnb.trace(model, example("mpnet"))
    found = verdicts._judge_once(traced, model, (1, 63), TOLERANCE, padded=True)
    assert found.kind == "same"


def test_nothing_of_the_model_or_of_torch_is_changed() -> None:
    model = make("bert")
    traced = tsnb.trace(model, example("bert"))
    before = (model.config.return_dict, torch.random.get_rng_state(), torch.is_grad_enabled())
    compare(traced, model, (2, 8))
    compare(traced, model, (1, 65))
    assert not any(part.training for part in model.modules())
    assert (model.config.return_dict, torch.is_grad_enabled()) == (before[0], before[2])
    assert torch.equal(before[1], torch.random.get_rng_state())


def test_a_trace_that_draws_at_random_leaves_the_random_state_alone() -> None:
    model = make_trap(BakedDropout)
    ids = torch.ones(1, 7, dtype=torch.int64)
    traced = tsnb.trace(model, {"input_ids": ids})
    baked = replace(traced, module=torch.jit.trace(model.train(), ids, check_trace=False))
    before = torch.random.get_rng_state()
    assert compare(baked, model.eval(), (1, 7)).kind == "wrong"
    assert torch.equal(before, torch.random.get_rng_state())


def test_warnings_of_a_model_are_not_said_for_every_shape(recwarn: Any) -> None:
    def warn(x: torch.Tensor) -> Any:
        import warnings

        warnings.warn("again", UserWarning, stacklevel=1)
        return x

    verdict(warn, warn)
    assert not recwarn.list
