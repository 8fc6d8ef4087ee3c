"""What is no trace or no model is named in one sentence, before anything runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import tsnb
from tsnb.widgets import MaxLengthChooser, NeuronPlanner, ShapeErrorExplorer

LINEAR = torch.nn.Linear(2, 3).eval()
TRACED: Any = tsnb.trace(LINEAR, {"input": torch.zeros(1, 2)})
PLAIN: Any = TRACED.module  # what torch.jit.trace returns


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShapeErrorExplorer(PLAIN, LINEAR), "what tsnb.trace .*returns; got TopLevelTracedModule"),
        (lambda: ShapeErrorExplorer(TRACED), "got the trace alone"),
        (lambda: ShapeErrorExplorer(TRACED, LINEAR, lengths=[5, 2]), "that rise"),
        (lambda: MaxLengthChooser([3, 4], model=TRACED), r"a torch.nn.Module, .*got Traced\."),
        (lambda: NeuronPlanner(PLAIN, LINEAR, [3, 4]), "what tsnb.trace .*returns; got TopLevelTraced"),
    ],
)
def test_what_does_not_fit_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(tsnb.InputError, match=message):
        make()
