"""Errors of real traces, taken apart: each as torch raises it, and from the same trace loaded."""

from __future__ import annotations

import io
import linecache
import tomllib
from importlib.resources import files
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import example, make
from tsnb.base import words
from tsnb.base.words import WIDTH
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.explain import VALUES, explain
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import Traced, quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop
from tsnb.tracing.traps import make as make_trap

SEED = "The expanded size of the tensor (3) must match the existing size (7) at non-singleton dimension 2"
SPLIT = "split_with_sizes"
FAMILIES = tomllib.loads((files("tsnb") / "shape_errors.toml").read_text(encoding="utf-8"))


class Embedded(nn.Module):
    """Base of the models below: each freezes a size, `n`, in one operation."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)

    def forward(self, input_ids: torch.Tensor) -> Any:
        batch, length = input_ids.shape
        return self.use(self.table(input_ids), int(batch), int(length))

    def use(self, x: torch.Tensor, b: int, n: int) -> Any:
        raise NotImplementedError


class ExpandInput(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x.sum(-1, keepdim=True).expand(-1, n, 4)


class Add(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x + torch.arange(n).unsqueeze(-1)


class AddReversed(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return torch.arange(n).unsqueeze(-1) + x


class View(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x.view(-1, n * 8)


class ViewAll(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:
        return x.view(b, n, 4, 2)


class Index(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x[:, torch.tensor([0, n - 1])]


class Join(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:
        return torch.cat([x, torch.ones(b, n, 1)], -1)


class Multiply(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x.sum(-1) @ torch.ones(n, 3)


class MultiplyBatches(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:
        return torch.bmm(x.transpose(1, 2), torch.ones(b, n, 3))


class Narrow(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return x.narrow(1, 0, n)


class Split(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        first, rest = x.split([2, n - 2], 1)
        return first.sum(1) + rest.sum(1)


class Rows(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        return torch.stack([row.sum(0) for row in x])


class Strided(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:
        return x.as_strided((b, n, 8), (n * 8, 8, 1))


class Squeezed(Embedded):
    def use(self, x: torch.Tensor, b: int, n: int) -> Any:  # noqa: ARG002
        one = x[:, :, 0].squeeze(0)
        return one.sum(1) if b > 1 else one.unsqueeze(0).sum(1)


class Positions(nn.Module):
    """Two tables on one line, so that the line does not tell which one an index ran out of."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.position_embeddings = nn.Embedding(20, 8), nn.Embedding(9, 8)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        places = torch.ones_like(input_ids).cumsum(1) - 1
        both: torch.Tensor = self.words(input_ids) + self.position_embeddings(places)
        return both


class Case(NamedTuple):
    """A model, the shape it was traced at, the shape that raises, and what is to be told."""

    model: type[nn.Module]
    traced: tuple[int, int]
    given: tuple[int, int]
    family: str
    op: str
    loaded_op: str
    dimension: int | None
    side: str
    sizes: tuple[int, int]


CASES = [
    Case(IntMask, (1, 7), (1, 3), "expand", "expand", "expand", 2, "length", (7, 3)),
    Case(ExpandInput, (2, 7), (2, 3), "expand", "expand", "expand", 1, "length", (7, 3)),
    Case(Add, (2, 7), (2, 3), "mismatch", "", "add", 1, "length", (7, 3)),
    Case(AddReversed, (2, 7), (5, 3), "mismatch", "", "add", 1, "length", (7, 3)),
    Case(View, (2, 7), (2, 3), "view", "view", "view", None, "length", (7, 3)),
    Case(ViewAll, (2, 7), (3, 7), "view", "view", "view", None, "batch", (2, 3)),
    Case(PositionLoop, (2, 7), (2, 3), "select", "select", "select", 1, "length", (7, 3)),
    Case(PositionLoop, (2, 7), (5, 3), "select", "select", "select", 1, "length", (7, 3)),
    Case(Index, (2, 7), (5, 3), "bounds", "index", "index", 0, "length", (7, 3)),
    Case(Join, (2, 7), (2, 3), "cat", "cat", "cat", None, "length", (7, 3)),
    Case(Join, (2, 7), (3, 7), "cat", "cat", "cat", None, "batch", (2, 3)),
    Case(Multiply, (2, 7), (2, 3), "matmul", "matmul", "matmul", None, "length", (7, 3)),
    Case(MultiplyBatches, (2, 7), (2, 3), "matmul", "matmul", "bmm", None, "length", (7, 3)),
    Case(MultiplyBatches, (2, 7), (3, 7), "matmul", "matmul", "bmm", None, "batch", (2, 3)),
    Case(Narrow, (2, 7), (5, 3), "narrow", "narrow", "narrow", None, "length", (7, 3)),
    Case(Split, (2, 7), (2, 3), "split", SPLIT, SPLIT, 1, "length", (7, 3)),
    Case(Rows, (2, 7), (3, 7), "unpack", "", "", None, "batch", (2, 3)),
    Case(Strided, (2, 7), (2, 3), "storage", "as_strided", "as_strided", None, "length", (7, 3)),
    Case(Squeezed, (2, 7), (1, 7), "rank", "", "sum", 1, "batch", (2, 1)),
]
NAMES = [f"{case.model.__name__}-{case.given}" for case in CASES]
by_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


def ids(*shape: int, value: int = 1) -> torch.Tensor:
    return torch.full(shape, value)


def loaded(traced: Traced) -> Traced:
    """Return the same trace after a way through a file."""
    held = io.BytesIO()
    with quiet_jit() as jit:
        jit.save(traced.module, held)
        held.seek(0)
        return Traced(jit.load(held), traced.contract)


def made(model: type[nn.Module], shape: tuple[int, int]) -> Traced:
    with no_warnings():
        return trace(make_trap(model), {"input_ids": ids(*shape)})


def raised(traced: Any, **inputs: torch.Tensor) -> Exception:
    with pytest.raises(Exception, match=r".*") as caught:
        traced(**inputs)
    return caught.value


def told(traced: Traced, **inputs: torch.Tensor) -> tsnb.ShapeError:
    return explain(raised(traced, **inputs), traced, inputs)


def both(case: Case) -> list[tsnb.ShapeError]:
    fresh = made(case.model, case.traced)
    return [told(traced, input_ids=ids(*case.given)) for traced in (fresh, loaded(fresh))]


@by_case
def test_the_family_and_the_dimension(case: Case) -> None:
    for found in both(case):
        assert (found.family, found.dimension) == (case.family, case.dimension)


@by_case
def test_the_operation(case: Case) -> None:
    assert [found.op for found in both(case)] == [case.op, case.loaded_op]


@by_case
def test_the_side_of_the_input_and_its_sizes(case: Case) -> None:
    for found in both(case):
        assert found.input_dimension == case.side
        assert (found.traced_size, found.given_size) == case.sizes


@by_case
def test_the_source_is_the_line_of_the_model_that_was_recorded(case: Case) -> None:
    for found in both(case):
        if case.model is Rows:  # torch says no line where a tensor is taken apart
            assert (found.source, found.code) == ("", "")
            continue
        file, _, line = found.source.rpartition(":")
        assert file in {__file__, tsnb.tracing.traps.__file__}
        assert found.code == linecache.getline(file, int(line)).strip() != ""


@by_case
def test_the_printed_form(case: Case) -> None:
    for found in both(case):
        told = str(found)
        place = [f"Where: {found.source}: {found.code}"] if found.source else []
        ending = [f"Cause: {found.cause}", f"What to do: {found.advice}"]
        assert told.split() == " ".join([found.message, *place, *ending]).split()
        cause = told.splitlines()[found.message.count("\n") + 1 + len(place) :]
        assert max(map(len, cause)) <= WIDTH  # a cell of output would break inside a word
        assert "{" not in found.cause + found.advice
        assert "None" not in found.cause + found.advice


@by_case
def test_the_cause_ends_with_what_was_traced_and_given(case: Case) -> None:
    side = {"length": "the sequence length", "batch": "the batch size"}[case.side]
    recorded, given = case.sizes
    ending = f"The trace was recorded with {recorded} as {side}; this input has {given}."
    assert all(found.cause.endswith(ending) for found in both(case))


@by_case
def test_the_model_itself_runs_what_its_trace_does_not(case: Case) -> None:
    make_trap(case.model)(ids(*case.given))
    assert all("If the model itself runs this input" in found.cause for found in both(case))


def test_the_cases_cover_every_family() -> None:
    assert {case.family for case in CASES} == FAMILIES.keys() - VALUES


def test_every_family_has_a_cause_and_advice() -> None:
    english = words.sentences("en")
    families = {*FAMILIES, *VALUES, "inputs", "unknown", "no-error"}
    assert {f"explain.{family}-{part}" for family in families for part in ("cause", "advice")} <= set(english)


def test_the_message_of_the_documentation_word_for_word() -> None:
    error = raised(made(IntMask, (1, 7)), input_ids=ids(1, 3))
    assert SEED in str(error)
    found = explain(error)
    assert found.message.startswith(SEED)
    assert (found.traced_size, found.given_size, found.input_dimension) == (7, 3, None)
    assert found.cause.startswith("A tensor of size 7 is to be expanded to 3 in dimension 2,")
    assert found.code.startswith("mask = torch.tril(torch.ones(1, n, n)).expand(")


def test_without_the_inputs_two_sizes_stand_as_they_come() -> None:
    traced = made(AddReversed, (2, 7))
    found = explain(raised(traced, input_ids=ids(2, 3)))
    assert (found.traced_size, found.given_size, found.input_dimension) == (3, 7, None)
    assert "The trace was recorded" not in found.cause


@pytest.mark.parametrize("given", [(3, 3), (9, 9)])
def test_both_sides_changed_to_one_number_so_that_neither_can_be_told(
    given: tuple[int, int],
) -> None:
    traced = made(Add, (7, 7))
    assert told(traced, input_ids=ids(*given)).input_dimension is None


def test_both_sides_changed_and_the_sizes_tell_neither() -> None:
    assert told(made(View, (2, 7)), input_ids=ids(3, 5)).input_dimension is None


def bert_inputs(length: int = 24, batch: int = 1) -> dict[str, torch.Tensor]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return dict.fromkeys(names, ids(batch, length))


@pytest.fixture(params=["fresh", "loaded"])
def bert(traced: Any, request: pytest.FixtureRequest) -> Traced:
    found: Traced = traced() if request.param == "fresh" else loaded(traced())
    return found


@pytest.mark.parametrize(
    ("changes", "family", "code"),
    [
        ({"input_ids": ids(1, 24, value=623)}, "vocabulary", "self.word_embeddings(input_ids)"),
        ({"input_ids": ids(1, 24, value=-1)}, "vocabulary", "self.word_embeddings(input_ids)"),
        (
            {"token_type_ids": ids(1, 24, value=2)},
            "token-type",
            "self.token_type_embeddings(token_type_ids)",
        ),
    ],
)
def test_an_index_outside_a_table(
    bert: Traced, changes: dict[str, torch.Tensor], family: str, code: str
) -> None:
    found = told(bert, **(bert_inputs() | changes))
    assert (found.family, found.op, found.code.endswith(code)) == (family, "embedding", True)
    assert (found.traced_size, found.given_size, found.input_dimension) == (None, None, None)


def test_a_text_beyond_the_position_limit(bert: Traced) -> None:
    found = told(bert, **bert_inputs(513))
    assert (found.family, found.input_dimension) == ("position-limit", "length")
    assert (found.traced_size, found.given_size) == (512, 513)
    assert found.cause.endswith("The limit is 512 positions; this input has 513.")


def test_positions_that_are_looked_up_are_told_by_the_line() -> None:
    with no_warnings():
        model = make("mpnet")
        traced = tsnb.trace(model, example("mpnet"))
    long = {"input_ids": ids(1, 63, value=5), "attention_mask": ids(1, 63)}
    found = told(traced, **long)
    assert (found.family, found.traced_size, found.given_size) == ("position-limit", 62, 63)
    assert "self.position_embeddings(position_ids)" in found.code


def test_a_line_with_two_tables_tells_neither() -> None:
    found = told(made(Positions, (1, 7)), input_ids=ids(1, 7, value=20))
    assert found.family == "embedding"
    assert found.cause.startswith("An index is outside the embedding")


@pytest.mark.parametrize(
    ("shape", "mask", "side", "sizes"),
    [
        ((1, 24), (1, 20), "length", "input_ids 24, attention_mask 20, token_type_ids 24"),
        ((2, 20), (2, 24), "length", "input_ids 20, attention_mask 24, token_type_ids 20"),
        ((2, 24), (3, 24), "batch", "input_ids 2, attention_mask 3, token_type_ids 2"),
    ],
)
def test_inputs_that_differ_are_named(
    bert: Traced, shape: tuple[int, int], mask: tuple[int, int], side: str, sizes: str
) -> None:
    inputs = bert_inputs(shape[1], shape[0]) | {"attention_mask": ids(*mask)}
    found = told(bert, **inputs)
    assert (found.family, found.input_dimension) == ("inputs", side)
    assert found.cause.endswith(f": {sizes}.")
    assert "trace is at fault" not in found.cause


def test_a_row_without_a_batch_dimension(bert: Traced) -> None:
    found = told(bert, **{name: held[0] for name, held in bert_inputs().items()})
    assert (found.family, found.dimension, found.input_dimension) == ("rank", 1, None)
    assert "lacks the batch dimension" in found.cause
    assert "unsqueeze(0)" in found.advice


def test_an_error_of_the_model_itself(load: Any, traced: Any) -> None:
    inputs = bert_inputs(513)
    with torch.no_grad():
        error = raised(load()[0], **inputs)
    found = explain(error, traced(), inputs)
    assert (found.family, found.source, found.code) == ("position-limit", "", "")
    assert "trace is at fault" not in found.cause


def test_an_index_error_of_the_model_itself(load: Any) -> None:
    error = raised(load()[0], **(bert_inputs() | {"input_ids": ids(1, 24, value=623)}))
    assert isinstance(error, IndexError)
    found = explain(error)
    assert (found.family, found.message) == ("embedding", "index out of range in self")


def test_an_unknown_message_is_shown_whole() -> None:
    text = "first line\nRuntimeError: the frobnicator (3) is out of grommets"
    found = explain(RuntimeError(text))
    assert (found.family, found.op, found.dimension) == ("unknown", "", None)
    assert str(found).startswith(text)
    assert "does not guess" in found.cause


def test_an_unknown_message_of_a_trace_still_has_its_line() -> None:
    error = str(raised(made(Add, (2, 7)), input_ids=ids(2, 3))).strip()
    strange = error.replace("The size of tensor a", "The colour of tensor a")
    found = explain(strange, made(Add, (2, 7)), {"input_ids": ids(2, 3)})
    assert (found.family, found.input_dimension, found.message) == ("unknown", None, strange)
    assert found.code == "return x + torch.arange(n).unsqueeze(-1)"


@pytest.mark.parametrize(
    ("error", "family", "message"),
    [
        (ZeroDivisionError(), "unknown", "ZeroDivisionError"),
        (NotImplementedError(""), "unknown", "NotImplementedError"),
        ("", "no-error", ""),
        (" \n", "no-error", ""),
    ],
)
def test_an_empty_text(error: Any, family: str, message: str) -> None:
    found = explain(error)
    assert (found.family, found.message) == (family, message)
    assert found.cause


def test_a_size_that_no_dimension_of_the_input_has_is_not_swapped() -> None:
    found = explain(
        "index 24 is out of bounds for dimension 0 with size 16",
        made(Add, (2, 24)),
        {"input_ids": ids(5, 4)},
    )
    assert (found.traced_size, found.given_size, found.input_dimension) == (None, None, None)
    assert found.cause.startswith("Index 24 of dimension 0 is asked for, which has 16 entries.")


def test_a_path_that_holds_torch_or_tsnb_may_be_the_models() -> None:
    text = (
        "Traceback of TorchScript (most recent call last):\n"
        "/venv/lib/python3.11/site-packages/torch/nn/functional.py(10): embedding\n"
        "/home/me/torch/tsnb/model.py(12): forward\n"
        "/venv/lib/python3.11/site-packages/torch/jit/_trace.py(1204): trace_module\n"
        "/home/me/torch/run.py(3): <module>\n"
        "RuntimeError: index out of range in self"
    )
    assert explain(text).source == "/home/me/torch/tsnb/model.py:12"


def test_the_caller_of_the_tracer_is_not_the_source() -> None:
    linear = tsnb.trace(nn.Linear(3, 4).eval(), {"input": torch.zeros(2, 3)})
    found = told(linear, input=torch.zeros(2, 5))
    assert (found.family, {found.traced_size, found.given_size}) == ("matmul", {3, 5})
    assert __file__ not in found.source


class Advised(Embedded):
    """What the advice says, done: sizes that stay tensor sizes, `-1`, no loop."""

    def forward(self, input_ids: torch.Tensor) -> Any:
        batch, length = input_ids.shape
        x = self.table(input_ids)
        mask = torch.tril(torch.ones(1, length, length)).expand(batch, length, length)
        wide = x.view(-1, input_ids.shape[1] * 8)
        return mask @ x, wide, x.narrow(1, 0, input_ids.shape[1]), x.sum(1)


def test_the_advice_works() -> None:
    traced, model = made(Advised, (2, 7)), make_trap(Advised)
    found = tsnb.probe(traced, model, [1, 3, 7, 9], [1, 2, 5])
    assert {verdict.kind for verdict in found.values()} == {"same"}
