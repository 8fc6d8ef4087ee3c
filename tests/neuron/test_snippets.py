"""The printed programs run: plain ones here, Neuron's against stand-ins in a fresh Python."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tsnb
from tests.kinds import Load, Python
from tests.neuron.stand_ins import environment, install
from tsnb.models.load import CLASSES
from tsnb.neuron.snippets import analyze_code, code
from tsnb.neuron.targets import TARGETS
from tsnb.tiny_bert import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
RUN = """
import importlib, json, os, sys, warnings
from tsnb.tiny_bert import FOLDER
warnings.simplefilter("ignore")
os.chdir(sys.argv[1])
calls = []
for package, program in json.loads(sys.argv[2]):
    scope = scope if program.startswith("import") else {}
    exec(program.replace("my-model", str(FOLDER)), scope)
    calls.append(importlib.import_module(package).CALLS[-1])
print(json.dumps(calls))
"""


@pytest.mark.parametrize("head", ["", "masked-lm"])
def test_plain_torch(head: str, load: Load, tmp_path: Path, monkeypatch: Any) -> None:
    model, tokenizer = load(torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"model": model, "inputs": inputs}
    exec(code(NAMES, head=head, length=16).replace("my-model", str(FOLDER)), names)
    assert names["inputs"]["input_ids"].shape == (1, 16)
    with torch.no_grad():
        expected = model(**inputs)[0]
    assert torch.allclose(torch.jit.load("model.pt")(*inputs.values())[0], expected, atol=1e-4)


def test_neuron_s_programs_make_the_documented_calls(python: Python, tmp_path: Path) -> None:
    for target in TARGETS:
        install(tmp_path, target.package, device=True)
    compared = code(NAMES, "inf1", length=16).replace('"/dev"', repr(str(tmp_path / "dev")))
    programs = [
        ("torch_neuron", compared),
        ("torch_neuron", analyze_code(NAMES, "inf1")),
        ("torch_neuronx", code(NAMES, "inf2", head="question-answering", attention="eager", length=16)),
        ("torch_neuronx", code(NAMES, "inf2", device=False)),
        ("torch_neuronx", analyze_code(NAMES, "inf2")),
    ]
    printed = python(RUN, tmp_path, json.dumps(programs), **environment(tmp_path))
    assert "of the largest number; BF16 alone may be off by 0.05" in printed
    assert 0 <= float(printed.split()[2]) < 1e-4
    inf1, inf1_analyzed, inf2, inf2_host, inf2_analyzed = json.loads(printed.splitlines()[-1])
    assert (inf1["type"], inf1["args"], inf1["model"]) == ("list", None, "BertForMaskedLM")
    assert inf1_analyzed == {"analyzed": 3}
    assert (inf2["type"], inf2["cpu"], inf2["model"]) == ("tuple", False, "BertForQuestionAnswering")
    assert (inf2_host["args"], inf2_host["cpu"]) == ("--target inf2", True)
    assert inf2_analyzed == {"analyzed": 3, "hf": True}


@pytest.mark.parametrize("head", CLASSES)
def test_the_program_for_inf1_is_of_its_python(head: str) -> None:
    program = code(NAMES, "inf1", head=head, attention="sdpa", length=48)
    ast.parse(program, feature_version=(3, 9))
    assert f"model = {CLASSES[head]}.from_pretrained(folder, return_dict=False).eval()" in program
    assert "max_length=48, truncation=True" in program


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(tsnb.NeuronError, match="Did you mean masked-lm"):
        code(NAMES, "inf1", head="masked")
