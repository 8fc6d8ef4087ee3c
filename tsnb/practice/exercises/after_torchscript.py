"""The exercises of notebook 06. How to write one: `tsnb.checks`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import tsnb
from tsnb.practice.exercises.base import Outcome, call, compare_guesses, distance, embedded, fits, short_text
from tsnb.practice.exercises.small_models import HIDDEN, Mean, Scaled
from tsnb.tracing.compare import TOLERANCE

PAIR = ("Who was Jim Henson ?", "Jim [MASK] was a puppeteer")
FREE = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
# what is wrong where a shape is refused; of each refusal a model, the rows of its example, and what was declared
SHAPES = {(3, 14): "frozen-rows", (1, 9): "frozen-length", (2, 512): "short-range"}
REFUSED = {"A": (Mean, 1, FREE), "B": (Scaled, 2, FREE), "C": (Mean, 2, None)}


def _inputs(rows: int, length: int) -> dict[str, Tensor]:
    ids = torch.arange(rows * length).reshape(rows, length) % 600 + 5
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": ids % 2}


def _refused_at(run: Callable[..., Tensor], model: nn.Module) -> Outcome | None:
    """Run each shape; return the first that is refused, or the largest difference where that is too large."""
    for (rows, length), mistake in SHAPES.items():
        inputs = _inputs(rows, length)
        with torch.no_grad():
            expected = model(**inputs)[0]
            try:
                difference = distance(run(**inputs), expected)
            except AssertionError as error:  # a guard of the program
                return Outcome(mistake, rows=rows, length=length, guard=short_text(str(error)))
        if not difference <= TOLERANCE:
            return Outcome("wrong", rows=rows, length=length, difference=difference)
    return None


def declare_shapes(answer: Any) -> Outcome:
    """Let the reader record BERT from one row; run the program at other shapes."""
    model, tokenizer = embedded()
    try:
        program = call(answer, model, dict(tokenizer(*PAIR, return_tensors="pt")))
    except ValueError as error:
        if "0/1 specialized" not in str(error):
            raise
        return Outcome("one-row")
    fits(isinstance(program, ExportedProgram))
    run = program.module()
    return _refused_at(lambda **inputs: run(**inputs)[0], model) or Outcome("done")


def whose_refusal(answer: Any) -> Outcome:
    """Compare guesses with what makes each of the refusals go away."""
    mistakes = {
        ("A", "model"): "blames-the-model",
        ("B", "example"): "blames-the-example",
        ("C", "model"): "undeclared",
    }
    return compare_guesses(answer, causes(), ("model", "example", "declaration"), mistakes)


@cache
def causes() -> dict[str, str]:
    """Tell for each refusal what has to change: the example, the declaration, or else the model."""

    def works(model: type[nn.Module], rows: int, declared: Any) -> bool:
        ids = torch.ones(rows, 7, dtype=torch.int64)
        shapes = declared and {"input_ids": declared}
        try:
            program: Any = torch.export.export(model().eval(), (), {"input_ids": ids}, dynamic_shapes=shapes)
            program.module()(input_ids=ids[:, :5])
        except (RuntimeError, ValueError, AssertionError):
            return False
        return True

    def cause(model: type[nn.Module], rows: int, declared: Any) -> str:
        assert not works(model, rows, declared)  # noqa: S101, or there is nothing to ask
        changes = {"example": (2, declared), "declaration": (rows, FREE)}
        return next((name for name, change in changes.items() if works(model, *change)), "model")

    return {name: cause(*case) for name, case in REFUSED.items()}


class _Calls(nn.Module):
    """Calls the reader's function."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, hidden: Tensor) -> Any:
        """Return what the reader's function returns."""
        return call(self.answer, hidden)


def weighted_by_loop(hidden: Tensor) -> Tensor:
    """Return the sum of a text's vectors, each divided by its place, `(batch, 16)`; the loop that is to go."""
    total = torch.zeros_like(hidden[:, 0])
    for place in range(hidden.shape[1]):
        total = total + hidden[:, place] / (place + 1)
    return total


def loop_exportable(answer: Any) -> Outcome:
    """Compare with the loop; then record with any length, and compare the program at others."""
    first, *others = (torch.randn(rows, length, HIDDEN) for rows, length in ((2, 7), (1, 3), (3, 12)))
    result = call(answer, first)
    fits(isinstance(result, Tensor) and result.shape == (2, HIDDEN))
    if not (difference := distance(result, weighted_by_loop(first))) <= TOLERANCE:
        return Outcome("other-numbers", difference=difference)
    try:
        run: Any = torch.export.export(_Calls(answer), (), {"hidden": first}, dynamic_shapes={"hidden": FREE}).module()
    except (RuntimeError, ValueError) as error:
        text = str(error)
        return Outcome("values" if "data-dependent" in text else "still-constant", reason=short_text(text))
    difference = max(distance(run(hidden=hidden), weighted_by_loop(hidden)) for hidden in others)
    return Outcome("done" if difference <= TOLERANCE else "wrong", difference=difference)


def move_service(answer: Any) -> Outcome:
    """Let the reader save and serve a model; open the file, and run it at other shapes."""
    fits(isinstance(answer, tuple) and len(answer) == 2)  # noqa: PLR2004, save and serve
    save, serve = answer
    model, tokenizer = tsnb.load("tiny-bert", "masked-lm")
    with TemporaryDirectory(prefix="tsnb-exercises-") as folder:
        path = str(Path(folder, "model.pt2"))
        call(save, model, dict(tokenizer([PAIR[0]] * 2, [PAIR[1]] * 2, return_tensors="pt")), path)
        call(serve, path, _inputs(2, 14))
        try:
            program = torch.export.load(path)
        except RuntimeError:
            return Outcome("still-torchscript")
        if refused := _refused_at(lambda **inputs: call(serve, path, inputs), model):
            return Outcome("frozen" if "guard" in refused.values else "wrong", **refused.values)
        kind = program.call_spec.out_spec.type
    return Outcome("needs-transformers" if kind.__module__.startswith("transformers") else "done", kind=kind.__name__)
