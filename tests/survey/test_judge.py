"""The survey's judge finds what is wrong without a word, and what tsnb must not say. `test_again` runs the rest."""

from typing import Any
from unittest.mock import Mock

import pytest
import torch

import tsnb
from tests.kinds import MonkeyPatch
from tools.survey.factories import OWN, Candidate, Shape
from tools.survey.judge import TRACED, faults, judge_model
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


def draw(shape: Shape) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(shape.seed)
    return {"input_ids": torch.randint(60, (shape.batch, round(16 * shape.part)), generator=generator)}


def test_a_traceback_and_a_false_refusal_are_faults(monkeypatch: MonkeyPatch) -> None:
    falsely = tsnb.TraceError("The PositionLoop itself cannot run these inputs")
    for error, fault in ((KeyError("x"), "raw traceback"), (falsely, "false refusal")):
        monkeypatch.setattr(tsnb, "trace", Mock(side_effect=error))
        assert faults(judge_model(ANY, traps.make(traps.PositionLoop), draw)) == [fault]


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
