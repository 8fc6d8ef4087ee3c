"""Errors of real traces, taken apart: each as torch raises it, and from the same trace loaded."""

import io
import linecache
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import example, make
from tsnb.tracing.compare import no_warnings
from tsnb.tracing.explain import VALUES, explain
from tsnb.tracing.trace import trace
from tsnb.tracing.traced import Traced, quiet_jit
from tsnb.tracing.traps import IntMask, PositionLoop
from tsnb.tracing.traps import make as make_trap

SEED = "The expanded size of the tensor (3) must match the existing size (7) at non-singleton dimension 2"
CATALOGUE = tomllib.loads((files("tsnb.tracing") / "shape_errors.toml").read_text(encoding="utf-8"))


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


def freezing(use: Callable[[Any, torch.Tensor, int, int], Any]) -> type[Embedded]:
    return type("Freezing", (Embedded,), {"use": use})


Add = freezing(lambda _, x, _b, n: x + torch.arange(n).unsqueeze(-1))
View = freezing(lambda _, x, _b, n: x.view(-1, n * 8))
Index = freezing(lambda _, x, _b, n: x[:, torch.tensor([0, n - 1])])
Join = freezing(lambda _, x, b, n: torch.cat([x, torch.ones(b, n, 1)], -1))
Multiply = freezing(lambda _, x, _b, n: x.sum(-1) @ torch.ones(n, 3))
MultiplyBatches = freezing(lambda _, x, b, n: torch.bmm(x.transpose(1, 2), torch.ones(b, n, 3)))
Narrow = freezing(lambda _, x, _b, n: x.narrow(1, 0, n))
Split = freezing(lambda _, x, _b, n: x.split([2, n - 2], 1)[1].sum(1))
Rows = freezing(lambda _, x, _b, _n: torch.stack([row.sum(0) for row in x]))
Strided = freezing(lambda _, x, b, n: x.as_strided((b, n, 8), (n * 8, 8, 1)))


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
    dimension: int | None
    side: str
    sizes: tuple[int, int]


CASES = [
    Case(IntMask, (1, 7), (1, 3), "expand", 2, "length", (7, 3)),
    Case(Add, (2, 7), (2, 3), "mismatch", 1, "length", (7, 3)),
    Case(View, (2, 7), (2, 3), "view", None, "length", (7, 3)),
    Case(PositionLoop, (2, 7), (2, 3), "select", 1, "length", (7, 3)),
    Case(Index, (2, 7), (5, 3), "bounds", 0, "length", (7, 3)),
    Case(Join, (2, 7), (2, 3), "cat", None, "length", (7, 3)),
    Case(Multiply, (2, 7), (2, 3), "matmul", None, "length", (7, 3)),
    Case(MultiplyBatches, (2, 7), (2, 3), "matmul", None, "length", (7, 3)),
    Case(Narrow, (2, 7), (5, 3), "narrow", None, "length", (7, 3)),
    Case(Split, (2, 7), (2, 3), "split", 1, "length", (7, 3)),
    Case(Rows, (2, 7), (3, 7), "unpack", None, "batch", (2, 3)),
    Case(Strided, (2, 7), (2, 3), "storage", None, "length", (7, 3)),
    Case(Squeezed, (2, 7), (1, 7), "rank", 1, "batch", (2, 1)),
]


def ids(*shape: int, value: int = 1) -> torch.Tensor:
    return torch.full(shape, value)


def loaded(traced: Traced) -> Traced:
    """Return the same trace after a way through a file."""
    file = io.BytesIO()
    with quiet_jit() as jit:
        jit.save(traced.module, file)
        file.seek(0)
        return Traced(jit.load(file), traced.contract)


def made(model: type[nn.Module], shape: tuple[int, int]) -> Traced:
    with no_warnings():
        return trace(make_trap(model), {"input_ids": ids(*shape)})


def raised(traced: Any, **inputs: torch.Tensor) -> Exception:
    with pytest.raises(Exception, match=r".*") as caught:
        traced(**inputs)
    return caught.value


def explained(traced: Traced, **inputs: torch.Tensor) -> tsnb.ShapeError:
    return explain(raised(traced, **inputs), traced, inputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model.__name__ + case.family)
def test_each_error_is_taken_apart_fresh_and_loaded(case: Case) -> None:
    """Family, operation, side, sizes and the line of the model; the model itself runs the input."""
    recorded, size = case.sizes
    side = {"length": "the sequence length", "batch": "the batch size"}[case.side]
    make_trap(case.model)(ids(*case.given))
    fresh = made(case.model, case.traced)
    for traced in (fresh, loaded(fresh)):
        error = explained(traced, input_ids=ids(*case.given))
        assert (error.family, error.dimension) == (case.family, case.dimension)
        assert (error.input_dimension, error.traced_size, error.given_size) == (case.side, recorded, size)
        assert "If the model itself runs this input" in error.cause
        assert f"was recorded with {recorded} as {side}; this input has {size}." in error.cause
        file, _, line = error.source.rpartition(":")
        if case.model is Rows:  # torch says no line where a tensor is taken apart
            assert error.source == ""
        else:
            assert error.code == linecache.getline(file, int(line)).strip() != ""
        shown = " ".join(str(error).split())
        assert str(error).startswith(error.message)
        assert shown.endswith(f"{error.code} Cause: {error.cause} What to do: {error.advice}".strip())


def test_the_cases_cover_every_family_and_each_has_a_cause_and_advice() -> None:
    families = {name for name, entry in CATALOGUE.items() if "patterns" in entry}
    assert {case.family for case in CASES} == families - VALUES
    assert all(entry["cause"] and entry["advice"] for entry in CATALOGUE.values())
    assert CATALOGUE.keys() >= VALUES


def test_the_message_of_the_documentation_word_for_word() -> None:
    raises = raised(made(IntMask, (1, 7)), input_ids=ids(1, 3))
    assert SEED in str(raises)
    error = explain(raises)
    assert error.message.startswith(SEED)
    assert (error.traced_size, error.given_size, error.input_dimension) == (7, 3, None)
    assert error.cause.startswith("A tensor of size 7 is to be expanded to 3 in dimension 2,")
    assert error.code.startswith("mask = torch.tril(torch.ones(1, n, n)).expand(")


def test_both_sides_changed_so_that_neither_can_be_blamed() -> None:
    assert explained(made(Add, (7, 7)), input_ids=ids(3, 3)).input_dimension is None
    assert explained(made(View, (2, 7)), input_ids=ids(3, 5)).input_dimension is None


def bert_inputs(length: int = 24, batch: int = 1) -> dict[str, torch.Tensor]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return dict.fromkeys(names, ids(batch, length))


@pytest.fixture(params=["fresh", "loaded"])
def bert(traced: Any, request: pytest.FixtureRequest) -> Traced:
    fresh: Traced = traced()
    return fresh if request.param == "fresh" else loaded(fresh)


@pytest.mark.parametrize(
    ("name", "value", "family"), [("input_ids", -1, "vocabulary"), ("token_type_ids", 2, "token-type")]
)
def test_an_index_outside_a_table(bert: Traced, name: str, value: int, family: str) -> None:
    error = explained(bert, **(bert_inputs() | {name: ids(1, 24, value=value)}))
    assert (error.family, error.op) == (family, "embedding")
    assert (error.traced_size, error.given_size, error.input_dimension) == (None, None, None)


@pytest.mark.parametrize("name", ["mpnet", "roberta", "distilbert", "albert", "electra", "deberta-v2", "gpt2"])
def test_the_position_limit_is_told_of_every_architecture(name: str) -> None:
    with no_warnings():
        traced = tsnb.trace(make(name), example(name))
    error = explained(traced, **example(name, 1, 65))
    limit = 62 if name in {"mpnet", "roberta"} else 64
    assert (error.family, error.traced_size, error.given_size) == ("position-limit", limit, 65)
    assert name != "mpnet" or "self.position_embeddings(position_ids)" in error.code  # looked up in a table


def test_a_line_with_two_tables_tells_neither() -> None:
    error = explained(made(Positions, (1, 7)), input_ids=ids(1, 7, value=20))
    assert error.family == "embedding"
    assert error.cause.startswith("An index is outside the embedding")


@pytest.mark.parametrize(
    ("mask", "side", "sizes"),
    [
        ((2, 20), "length", "input_ids 24, attention_mask 20, token_type_ids 24"),
        ((3, 24), "batch", "input_ids 2, attention_mask 3, token_type_ids 2"),
    ],
)
def test_inputs_that_differ_are_named(bert: Traced, mask: tuple[int, int], side: str, sizes: str) -> None:
    error = explained(bert, **(bert_inputs(24, 2) | {"attention_mask": ids(*mask)}))
    assert (error.family, error.input_dimension) == ("inputs", side)
    assert error.cause.endswith(f": {sizes}.")
    assert "trace is at fault" not in error.cause


def test_a_row_without_a_batch_dimension(bert: Traced) -> None:
    error = explained(bert, **{name: row[0] for name, row in bert_inputs().items()})
    assert (error.family, error.dimension, error.input_dimension) == ("rank", 1, None)
    assert "lacks the batch dimension" in error.cause
    assert "unsqueeze(0)" in error.advice


def test_a_text_beyond_the_position_limit_whether_trace_or_model_raises(load: Any, traced: Any) -> None:
    inputs = bert_inputs(513)
    for part in (traced(), loaded(traced()), load()[0]):
        with torch.no_grad():
            error = explain(raised(part, **inputs), traced(), inputs)
        assert (error.family, error.input_dimension) == ("position-limit", "length")
        assert (error.traced_size, error.given_size) == (512, 513)
        assert error.cause.endswith("The limit is 512 positions; this input has 513.")
        assert "trace is at fault" not in error.cause


def test_an_unknown_message_is_shown_whole() -> None:
    text = "first line\nRuntimeError: the frobnicator (3) is out of grommets"
    error = explain(RuntimeError(text))
    assert (error.family, error.op, error.dimension) == ("unknown", "", None)
    assert str(error).startswith(text)
    assert (explain(ZeroDivisionError()).message, explain(" \n").family) == ("ZeroDivisionError", "no-error")
    text = str(raised(made(Add, (2, 7)), input_ids=ids(2, 3))).strip()
    strange = text.replace("The size of tensor a", "The colour of tensor a")
    error = explain(strange, made(Add, (2, 7)), {"input_ids": ids(2, 3)})
    assert (error.family, error.input_dimension, error.message) == ("unknown", None, strange)
    assert "x + torch.arange(n).unsqueeze(-1)" in error.code


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
    verdicts = tsnb.probe(traced, model, [1, 3, 7, 9], [1, 2, 5])
    assert {verdict.kind for verdict in verdicts.values()} == {"same"}
