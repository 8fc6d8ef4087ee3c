"""Numbers and shapes travel to the C++ loader and back unchanged."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import MonkeyPatch


class Odd(nn.Module):
    """Answer in several dtypes, nested, with what text formats lose."""

    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> Any:
        x = input_ids.double()
        odd = torch.cat([(x - 1).log(), -0.0 * x, x / 0, x.sqrt() / 3], dim=1)
        kinds = (odd.float(), odd.half(), input_ids * 1_000_003, mask & (input_ids > 1))
        return odd, (kinds, [x.sum(), x.mean()])


class Long(nn.Module):
    """Answer whole numbers as they come, and as other types hold them."""

    def forward(self, input_ids: torch.Tensor) -> Any:
        return input_ids, input_ids.to(torch.uint64), input_ids.to(torch.uint8), input_ids.double(), input_ids[:, :0]


class Mean(nn.Module):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return input_ids.float().mean(dim=1)


check_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)  # names, dtypes, shapes, numbers


def refused(error: type[tsnb.TsnbError], *arguments: Any) -> str:
    with pytest.raises(error) as caught:
        tsnb.cpp.run(*arguments)
    return str(caught.value)


@pytest.fixture
def mean(tmp_path: Path) -> Path:
    traced = tsnb.trace(Mean().eval(), {"input_ids": torch.ones(1, 4, dtype=torch.int64)})
    return tsnb.save(traced, tmp_path / "mean.pt")


def test_dtypes_not_a_number_infinity_and_minus_zero_survive(loader: Path, tmp_path: Path) -> None:
    inputs = {
        "input_ids": torch.tensor([[0, 1, 2], [3, 4, 2**31 - 1]]).int() % 1000,
        "mask": torch.tensor([[True, False, True], [True, True, False]]),
    }
    traced = tsnb.trace(Odd().eval(), inputs)
    outputs = tsnb.cpp.run(loader, tsnb.save(traced, tmp_path / "odd.pt"), inputs)
    assert len({tensor.dtype for tensor in outputs.values()}) == 5
    first = outputs["output_0"]
    assert bool(first.isnan().any() and first.isposinf().any() and first.isneginf().any())
    assert bool(((first == 0) & first.signbit()).any())
    check_same(outputs, traced(**inputs))


def test_whole_numbers_keep_their_last_bit_both_ways(loader: Path, tmp_path: Path) -> None:
    ids = torch.tensor([[2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**17 + 1, -1, 0]])
    traced = tsnb.trace(Long().eval(), {"input_ids": ids})
    outputs = tsnb.cpp.run(loader, tsnb.save(traced, tmp_path / "long.pt"), {"input_ids": ids})
    check_same(outputs, traced(input_ids=ids))
    assert torch.equal(outputs["output_0"], ids)


def test_more_ids_than_a_command_line_holds(loader: Path, mean: Path) -> None:
    ids = torch.arange(400_000).reshape(200, 2_000)
    outputs = tsnb.cpp.run(loader, mean, {"input_ids": ids})
    check_same(outputs, tsnb.load_traced(mean)(input_ids=ids))


def test_what_cannot_be_run_is_one_sentence(loader: Path, mean: Path, tmp_path: Path) -> None:
    message = refused(tsnb.CppError, loader, mean, {"ids": torch.ones(1, 2, dtype=torch.int64)})
    assert "It said: load_traced: there is no input ids; the trace takes input_ids" in message
    message = refused(tsnb.CppError, tmp_path / "none", mean, {"input_ids": torch.ones(1, 1)})
    assert f"The C++ loader {tmp_path / 'none'} cannot be started" in message
    assert "tsnb.cpp.build" in message


def test_what_is_not_rows_of_ids(tmp_path: Path) -> None:
    message = refused(tsnb.InputError, tmp_path / "none", tmp_path / "x.pt", {"input_ids": torch.ones(3)})
    assert "The input input_ids is [3]; expected" in message


@pytest.mark.skipif(os.name == "nt", reason="a stand-in for the program that is a shell script")
def test_the_program_gets_the_threads_of_this_process(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    program = tmp_path / "echo"
    program.write_text('#!/bin/sh\necho "$OMP_NUM_THREADS threads" >&2; exit 3\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    message = refused(tsnb.CppError, program, tmp_path / "x.pt", {"a": torch.tensor([[1]])})
    assert message.endswith(f"It said: {torch.get_num_threads()} threads")
