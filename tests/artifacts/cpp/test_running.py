"""Numbers and shapes travel to the C++ loader and back unchanged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from torch import nn

import tsnb
from tsnb.models.load import Head
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Tensors = Mapping[str, torch.Tensor]
    Traces = Callable[..., tsnb.Traced]

SENTENCES = [
    ("Who was Jim Henson ?", "Jim Henson was a puppeteer"),
    ("Who was Jim Henson ?", "Jim [MASK] was"),
    ("Jim", "Henson"),
]


class Odd(nn.Module):
    """Answer in several dtypes, nested, with what text formats lose."""

    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> Any:
        x = input_ids.double()
        odd = torch.cat([(x - 1).log(), -0.0 * x, x / 0, x.sqrt() / 3], dim=1)
        kinds = (odd.float(), odd.half(), input_ids * 1_000_003, mask & (input_ids > 1))
        return odd, (kinds, [x.sum(), x.mean()])


class Mean(nn.Module):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return input_ids.float().mean(dim=1)


def same(outputs: Tensors, expected: Tensors) -> bool:
    """Whether names, order, dtypes, shapes and bits are the same."""
    pairs = zip(outputs.items(), expected.items(), strict=True)
    return all(name == other and identical(a, b) for (name, a), (other, b) in pairs)


def identical(first: torch.Tensor, second: torch.Tensor) -> bool:
    equal = torch.equal(first.isnan(), second.isnan()) and first.dtype == second.dtype
    signs = torch.equal(first.signbit(), second.signbit()) or bool(first.isnan().any())
    return equal and signs and torch.equal(first.nan_to_num(7), second.nan_to_num(7))


def refused(error: type[tsnb.TsnbError], *arguments: Any) -> str:
    with pytest.raises(error) as caught:
        tsnb.cpp.run(*arguments)
    return str(caught.value)


@pytest.fixture
def mean(tmp_path: Path) -> Path:
    traced = tsnb.trace(Mean().eval(), {"input_ids": torch.ones(1, 4, dtype=torch.int64)})
    return tsnb.save(traced, tmp_path / "mean.pt")


def test_every_head_gives_the_numbers_of_the_trace_and_of_the_model(
    loader: Path, load: Callable[..., Any], traced: Traces, tmp_path: Path
) -> None:
    for head in get_args(Head):
        model, tokenizer = load(head=head)
        inputs = dict(tokenizer(SENTENCES, padding=True, return_tensors="pt"))
        path = tsnb.save(traced(head), tmp_path / "bert.pt")
        outputs = tsnb.cpp.run(loader, path, dict(reversed(inputs.items())))  # in any order
        with torch.no_grad():
            eager = model(**inputs, return_dict=True)
        assert same(outputs, traced(head)(**inputs))
        assert list(outputs) == list(eager)
        assert all((outputs[name] - eager[name]).abs().max() <= 1e-6 for name in outputs)


def test_dtypes_not_a_number_infinity_and_minus_zero_survive(loader: Path, tmp_path: Path) -> None:
    inputs = {
        "input_ids": torch.tensor([[0, 1, 2], [3, 4, 2**31 - 1]]).int() % 1000,
        "mask": torch.tensor([[True, False, True], [True, True, False]]),
    }
    traced = tsnb.trace(Odd().eval(), inputs)
    outputs = tsnb.cpp.run(loader, tsnb.save(traced, tmp_path / "odd.pt"), inputs)
    assert [str(tensor.dtype).removeprefix("torch.") for tensor in outputs.values()] == [
        "float64", "float32", "float16", "int32", "bool", "float64", "float64"
    ]  # fmt: skip
    assert [tensor.ndim for tensor in outputs.values()] == [2, 2, 2, 2, 2, 0, 0]
    first = outputs["output_0"]
    assert bool(first.isnan().any() and first.isposinf().any() and first.isneginf().any())
    assert bool(((first == 0) & first.signbit()).any())
    assert same(outputs, traced(**inputs))


def test_more_ids_than_a_command_line_holds(loader: Path, mean: Path) -> None:
    ids = torch.arange(400_000).reshape(200, 2_000)
    outputs = tsnb.cpp.run(loader, mean, {"input_ids": ids})
    assert same(outputs, tsnb.load_traced(mean)(input_ids=ids))


def test_a_foreign_trace_that_tsnb_saved_again_has_no_dtypes_and_runs(loader: Path, tmp_path: Path) -> None:
    with quiet_jit() as jit:
        jit.save(jit.script(Mean()), str(tmp_path / "foreign.pt"))
    again = tsnb.save(tsnb.load_traced(tmp_path / "foreign.pt"), tmp_path / "again.pt")
    outputs = tsnb.cpp.run(loader, again, {"input_ids": torch.tensor([[1, 2, 6]])})
    assert {name: tensor.tolist() for name, tensor in outputs.items()} == {"output_0": [3.0]}


def test_what_cannot_be_run_is_one_sentence(loader: Path, mean: Path, tmp_path: Path) -> None:
    message = refused(tsnb.CppError, loader, mean, {"ids": torch.ones(1, 2, dtype=torch.int64)})
    assert message == (
        "The C++ loader ended with exit code 2. It said: load_traced: there is no input ids; the trace takes input_ids"
    )
    message = refused(tsnb.CppError, loader, mean, {"input_ids": torch.tensor([[1.5]])})
    assert "input_ids has 1.5, which is not a whole number" in message
    message = refused(tsnb.CppError, tmp_path / "none", mean, {"input_ids": torch.ones(1, 1)})
    assert f"The C++ loader {tmp_path / 'none'} cannot be started" in message
    assert "tsnb.cpp.build" in message


@pytest.mark.parametrize(("ids", "kind"), [(torch.ones(3), "[3]"), ([[1, 2]], "list")])
def test_what_is_not_rows_of_ids(tmp_path: Path, ids: object, kind: str) -> None:
    message = refused(tsnb.InputError, tmp_path / "none", tmp_path / "x.pt", {"input_ids": ids})
    assert f"The input input_ids is {kind}; expected" in message


@pytest.mark.skipif(os.name == "nt", reason="a stand-in for the program that is a shell script")
def test_the_program_gets_lines_of_ids_and_the_threads_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "echo"
    program.write_text('#!/bin/sh\ncat >&2; echo "$OMP_NUM_THREADS threads" >&2; exit 3\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    inputs = {"a": torch.tensor([[1, -2], [3, 4]]), "mask": torch.tensor([[True, False]])}
    message = refused(tsnb.CppError, program, tmp_path / "x.pt", inputs)
    assert message.endswith("It said: a=1 -2;3 4\nmask=1 03 threads")
