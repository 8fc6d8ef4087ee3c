"""The survey's judge finds what is wrong: traces that bake something in, random models, false words."""

from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import MonkeyPatch
from tools.survey.factories import OWN, Candidate, Shape
from tools.survey.judge import FALSELY, RAW, REFUSED, TRACED, faults, judge_model
from tsnb.tracing import traps
from tsnb.tracing.survey import Row

ANY = Candidate("text encoder", "trap", "Trap")


class Branches(torch.nn.Linear):
    """A model that does something else on the inputs that are traced."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.weight * input_ids.unsqueeze(-1) * (2.0 if input_ids.equal(draw(OWN)["input_ids"]) else -1.0)


class Noise(torch.nn.Linear):
    """A model that is random in eval mode."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.weight * input_ids.unsqueeze(-1) + torch.randn(1)


class Stops(torch.nn.Linear):
    """A model that takes no more than 16 tokens."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.weight * input_ids * torch.ones(16)[: input_ids.shape[1]]


def draw(shape: Shape) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(shape.seed)
    return {"input_ids": torch.randint(60, (shape.batch, round(16 * shape.part)), generator=generator)}


@pytest.mark.parametrize(
    ("model", "found", "said"),
    [
        (traps.make(traps.PositionLoop), "✓✓✓✗✗≠", "✓✓✓✗✗≠"),  # bakes its length
        (traps.make(traps.BakedDropout), "✓✓✓✓✓✓", "✓✓✓✓✓✓"),
        (Branches(1, 1).eval(), "≠≠≠≠≠≠", "≠≠≠≠≠≠"),  # bakes values
        (Stops(1, 1).eval(), "✓✓✓✓✓·", "✓✓✓✓✓·"),
    ],
)
def test_model_and_word_are_judged_at_every_variant(model: Any, found: str, said: str) -> None:
    row = judge_model(ANY, model, draw)
    assert (row.outcome, row.plain, row.said) == (TRACED, found, said)
    assert (row.difference > 0.1) == ("≠" in found)
    assert faults(row) == []


def test_a_random_model_is_refused_with_a_true_word_and_never_the_same() -> None:
    row = judge_model(ANY, Noise(1, 1).eval(), draw, unsteady=1.0)
    assert (row.outcome, faults(row)) == (REFUSED, [])
    assert "Something random runs" in row.reason


@pytest.mark.parametrize(
    ("error", "outcome", "fault"),
    [
        (KeyError("x"), RAW, "raw traceback"),
        (tsnb.TraceError("The Stops itself cannot run these inputs"), FALSELY, "false refusal"),
        (tsnb.TraceError("torch.jit.trace could not trace the model."), FALSELY, "false refusal"),
    ],
)
def test_what_tsnb_must_not_say_is_a_fault(
    monkeypatch: MonkeyPatch, error: Exception, outcome: str, fault: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(tsnb, "trace", fails)
    row = judge_model(ANY, Stops(1, 1).eval(), draw)
    assert (row.outcome, faults(row)) == (outcome, [fault])


@pytest.mark.parametrize("model", [Branches(1, 1), Noise(1, 1)])
def test_a_trace_that_comes_without_a_word_is_compared_in_plain_torch(
    monkeypatch: MonkeyPatch, model: torch.nn.Module
) -> None:
    def silent(model: Any, inputs: Any) -> tsnb.Traced:
        module = torch.jit.trace(model, example_kwarg_inputs=inputs, check_trace=False)
        axes = {"input_ids": ("batch", "length")}
        return tsnb.Traced(module, tsnb.Contract(("input_ids",), ("output_0",), input_axes=axes))

    monkeypatch.setattr(tsnb, "trace", silent)
    row = judge_model(ANY, model.eval(), draw, unsteady=float(isinstance(model, Noise)))
    assert faults(row) == ["wrong without a word"]


@pytest.mark.parametrize(
    ("found", "said", "fault"),
    [
        ("✓✓✓✓✓✓", "✓✓✓✓✓✓", []),
        ("✓✓≠✗··", "✓✓≠✗··", []),
        ("✓✓≠✓✓✓", "✓✓?✓✓✓", []),  # it says that it cannot judge
        ("✓✓≠✓✓✓", "✓✓✓✓✓✓", ["wrong without a word"]),
        ("✓✓✓✗✓✓", "✓✓✓✓✓✓", ["wrong without a word"]),
        ("✓✓✓✓✓✓", "✓✓✓✓✓·", ["false refusal"]),
        ("≠✓✓✓✓✓", "✓✓✓✓✓·", ["wrong without a word", "false refusal"]),
    ],
)
def test_faults_of_a_row(found: str, said: str, fault: list[str]) -> None:
    assert faults(Row(*ANY, "0", TRACED, found, said)) == fault
