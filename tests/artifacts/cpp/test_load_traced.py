"""The program itself, as somebody types it in a shell."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import tsnb
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Shell = Callable[..., subprocess.CompletedProcess[str]]

IDS = ("input_ids=2 14 5 3", "attention_mask=1 1 1 1", "token_type_ids=0 0 0 0")
ROWS = {name: torch.tensor([list(map(int, ids.split()))]) for name, ids in (text.split("=") for text in IDS)}
TAKES = "the trace takes input_ids, attention_mask, token_type_ids"


@pytest.fixture
def bert(traced: Callable[..., tsnb.Traced], tmp_path: Path) -> Path:
    return tsnb.save(traced(), tmp_path / "bert.pt")


@pytest.fixture
def shell(loader: Path, tmp_path: Path) -> Shell:
    """Run the program where no variable of the environment helps it to find torch."""

    def run(*arguments: object, lines: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [loader, *map(str, arguments)],
            input=lines,
            env={"OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_ids_as_arguments_and_from_standard_input(
    shell: Shell, bert: Path, traced: Callable[..., tsnb.Traced]
) -> None:
    logits = traced()(**ROWS)["logits"]
    printed = answer(shell(bert, *IDS))
    assert (printed["logits"]["dtype"], printed["logits"]["shape"]) == ("float32", list(logits.shape))
    assert torch.equal(torch.tensor(printed["logits"]["values"]), logits.flatten()[:5])
    assert answer(shell(bert, "-", lines="\r\n".join([*IDS, ""]))) == printed
    assert answer(shell(bert, IDS[1], "-", lines=f"{IDS[0]}\n{IDS[2]}\n")) == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), f"the input input_ids is missing; {TAKES}"),
        ((*IDS, "Input_ids=1 1 1 1"), f"there is no input Input_ids; {TAKES}"),
        ((*IDS, IDS[0]), "input_ids is given twice"),
        ((f"input_ids={2**63}",), f"input_ids has {2**63}, which is not a whole number of 64 bits"),
        (("input_ids=1 2;;1 2",), "input_ids has rows of 2 and 0 ids"),
        ((IDS[0], "attention_mask=1", IDS[2]), "attention_mask has shape [1, 1], input_ids has [1, 4]; all"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    shell: Shell, bert: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = shell(bert, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"load_traced: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("contract", [None, '{"input_names": ["input_'])
def test_files_that_it_cannot_run(shell: Shell, tmp_path: Path, contract: str | None) -> None:
    (tmp_path / "empty.pt").touch()
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pt")
    extra = {"tsnb_contract.json": contract} if contract else {}
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Linear(2, 2)), str(tmp_path / "foreign.pt"), _extra_files=extra)
    for arguments, message in (
        (("empty.pt", *IDS), "empty.pt is not TorchScript that this torch can read"),
        (("weights.pt", *IDS), "weights.pt is not TorchScript that this torch can read"),
        (("none.pt", *IDS), "there is no file none.pt"),
        (("foreign.pt", "input=1 2"), "foreign.pt holds no contract; tsnb.save writes one"),
        ((), "usage: load_traced FILE [--all] name=ids ..."),
    ):
        done = shell(*arguments)
        assert (done.returncode, done.stderr) == (2, f"load_traced: {message}\n")


def test_a_model_that_fails_says_why_without_its_traceback(shell: Shell, bert: Path) -> None:
    done = shell(bert, IDS[0].replace("14", "99999"), *IDS[1:])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "load_traced: RuntimeError: index out of range in self\n"
