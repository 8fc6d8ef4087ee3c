"""The program itself, as somebody types it in a shell."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.kinds import Traces
from tsnb.tracing.traced import quiet_jit

Shell = Callable[..., subprocess.CompletedProcess[str]]

IDS = ("input_ids=2 14 5 3", "attention_mask=1 1 1 1", "token_type_ids=0 0 0 0")
ROWS = {name: torch.tensor([list(map(int, ids.split()))]) for name, ids in (text.split("=") for text in IDS)}
WHOLE, SAME = "whole number of 64 bits", "all inputs need the same shape"
TAKES = "the trace takes input_ids, attention_mask, token_type_ids"


@pytest.fixture
def bert(traced: Traces, tmp_path: Path) -> Path:
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


def test_ids_as_arguments_and_from_standard_input(shell: Shell, bert: Path, traced: Traces) -> None:
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
        (("2 14 5 3",), "expected name=ids, got 2 14 5 3"),
        (("input_ids=2.0",), "input_ids has 2.0, which is not a " + WHOLE),
        (("input_ids=9223372036854775808",), "input_ids has 9223372036854775808, which is not a " + WHOLE),
        (("input_ids=;",), "input_ids has no ids"),
        (("input_ids=1 2;;1 2",), "input_ids has rows of 2 and 0 ids"),
        ((IDS[0], "attention_mask=1", IDS[2]), "attention_mask has shape [1, 1], input_ids has [1, 4]; " + SAME),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    shell: Shell, bert: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = shell(bert, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"load_traced: {message}\n"


def test_files_that_it_cannot_run(shell: Shell, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    (tmp_path / "half.pt").write_bytes(bert.read_bytes()[:-100])
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pt")
    for name in ("empty.pt", "half.pt", "weights.pt"):
        done = shell(name, *IDS)
        message = f"load_traced: {name} is not TorchScript that this torch can read\n"
        assert (done.returncode, done.stderr) == (2, message)
    done = shell("none.pt", *IDS)
    assert (done.returncode, done.stderr) == (2, "load_traced: there is no file none.pt\n")
    done = shell()
    assert (done.returncode, done.stderr) == (2, "load_traced: usage: load_traced FILE [--all] name=ids ...\n")


@pytest.mark.parametrize("contract", [None, "", '{"input_names": ["input_', "[" * 9])
def test_a_file_without_a_contract_that_can_be_read(shell: Shell, tmp_path: Path, contract: str | None) -> None:
    extra = {} if contract is None else {"tsnb_contract.json": contract}
    with quiet_jit() as jit:
        jit.save(jit.script(nn.Linear(2, 2)), str(tmp_path / "foreign.pt"), _extra_files=extra)
    done = shell("foreign.pt", "input=1 2")
    assert done.returncode == 2
    assert done.stderr == "load_traced: foreign.pt holds no contract; tsnb.save writes one\n"


def test_labels_in_the_contract_confuse_nothing(shell: Shell, tmp_path: Path) -> None:
    labels = {"0": "dtypes", "1": '"input_names":', "2": "]}[{ é\n", "3": "output_names"}
    contract = {
        "id2label": labels,
        "input_names": ["input"],
        "output_names": ["logits"],
        "dtypes": {"input": "float32"},
    }
    with quiet_jit() as jit:
        text = {"tsnb_contract.json": json.dumps(contract, indent=2)}
        jit.save(jit.trace(nn.Identity(), torch.ones(1, 2)), str(tmp_path / "labels.pt"), _extra_files=text)
    printed = answer(shell("labels.pt", "input=3 -1"))
    assert printed == {"logits": {"dtype": "float32", "shape": [1, 2], "values": [3, -1]}}


def test_a_model_that_fails_says_why_without_its_traceback(shell: Shell, bert: Path) -> None:
    done = shell(bert, IDS[0].replace("14", "99999"), *IDS[1:])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "load_traced: RuntimeError: index out of range in self\n"
    done = shell(bert, *(f"{name}={'1 ' * 513}" for name in ROWS))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "The size of tensor a (513) must match the size of tensor b (512)" in done.stderr
