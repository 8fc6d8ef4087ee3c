"""The printed programs run: plain ones here, Neuron's against stand-ins."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import Capture, Load, Machine, MonkeyPatch
from tsnb.models.load import CLASSES
from tsnb.neuron.snippets import analyze_code, code
from tsnb.neuron.targets import TARGETS
from tsnb.tiny_bert import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
NAMES = ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize("head", ["", "masked-lm"])
def test_plain_torch(head: str, load: Load, tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    model, tokenizer = load(torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"model": model, "inputs": inputs}
    exec(code(NAMES, head=head, length=16).replace("my-model", str(FOLDER)), names)
    assert names["inputs"]["input_ids"].shape == (1, 16)
    with torch.no_grad():
        expected = model(**inputs)[0]
    assert torch.allclose(torch.jit.load("model.pt")(*inputs.values())[0], expected, atol=1e-4)


def test_neuron_s_programs_make_the_documented_calls(
    machine: Machine, tmp_path: Path, monkeypatch: MonkeyPatch, capsys: Capture
) -> None:
    for target in TARGETS:
        machine(target.package, device=True)
    monkeypatch.chdir(tmp_path)

    def run(package: str, program: str, names: dict[str, Any]) -> Any:
        exec(program.replace("my-model", str(FOLDER)).replace('"/dev"', repr(str(tmp_path / "dev"))), names)
        return sys.modules[package].CALLS[-1]

    names: dict[str, Any] = {}
    call = run("torch_neuron", code(NAMES, "inf1", length=16), names)
    assert (call["type"], call["args"], call["model"]) == ("list", None, "BertForMaskedLM")
    assert run("torch_neuron", analyze_code(NAMES, "inf1"), names) == {"analyzed": 3}
    printed = capsys.readouterr().out
    assert "of the largest number; BF16 alone may be off by 0.05" in printed
    assert 0 <= float(printed.split()[2]) < 1e-4
    names = {}
    call = run("torch_neuronx", code(NAMES, "inf2", head="question-answering", attention="eager", length=16), names)
    assert (call["type"], call["cpu"], call["model"]) == ("tuple", False, "BertForQuestionAnswering")
    call = run("torch_neuronx", code(NAMES, "inf2", device=False), names)
    assert (call["args"], call["cpu"]) == ("--target inf2", True)
    assert run("torch_neuronx", analyze_code(NAMES, "inf2"), names) == {"analyzed": 3, "hf": True}


@pytest.mark.parametrize("head", CLASSES)
def test_the_program_for_inf1_is_of_its_python(head: str) -> None:
    program = code(NAMES, "inf1", head=head, attention="sdpa", length=48)
    ast.parse(program, feature_version=(3, 9))
    assert f"model = {CLASSES[head]}.from_pretrained(folder, return_dict=False).eval()" in program
    assert "max_length=48, truncation=True" in program


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(tsnb.NeuronError, match="Did you mean masked-lm"):
        code(NAMES, "inf1", head="masked")
