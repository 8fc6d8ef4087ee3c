"""The printed programs run: plain ones here, Neuron's against stand-ins in a fresh Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tests.neuron.stand_ins import environment, install
from tsnb.models.load import CLASSES
from tsnb.neuron.snippets import analyze_code, code, load_code
from tsnb.neuron.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
RUN = """
import json, os, sys, importlib, tsnb
from tsnb.neuron.snippets import analyze_code, code
names = ["input_ids", "attention_mask", "token_type_ids"]
model, tokenizer = tsnb.load("tiny-bert", torchscript=True)
inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
os.chdir(sys.argv[1])
calls = []
for target, package in (("inf1", "torch_neuron"), ("inf2", "torch_neuronx")):
    for program in (
        code(names, target), code(names, target, device=False), analyze_code(names, target)
    ):
        exec(program, {"model": model, "inputs": inputs})
        calls.append(importlib.import_module(package).CALLS[-1])
print(json.dumps(calls))
"""


def test_plain_torch(load: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    model, tokenizer = load(torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"model": model, "inputs": inputs}
    exec(code(NAMES), names)
    with torch.no_grad():
        expected = model(**inputs)[0]
    assert torch.allclose(torch.jit.load("model.pt")(*inputs.values())[0], expected, atol=1e-4)


def test_neuron_s_programs_make_the_documented_calls(python: Callable[..., str], tmp_path: Path) -> None:
    for target in TARGETS:
        install(tmp_path, target.package)
    inf1, inf1_host, inf1_asks, inf2, inf2_host, inf2_asks = json.loads(
        python(RUN, tmp_path, **environment(tmp_path))
    )
    assert inf1 == inf1_host
    assert (inf1["type"], inf1["args"]) == ("list", None)
    assert (inf2["type"], inf2["args"], inf2["cpu"]) == ("tuple", None, False)
    assert (inf2_host["args"], inf2_host["cpu"]) == ("--target inf2", True)
    assert inf1_asks == {"analyzed": 3}
    assert inf2_asks == {"analyzed": 3, "hf": True}


@pytest.mark.parametrize("write", [code, analyze_code])
def test_an_unknown_target(write: Callable[..., str]) -> None:
    with pytest.raises(tsnb.NeuronError, match="Did you mean inf2"):
        write(NAMES, "inf22")


@pytest.mark.parametrize("target", ["", "inf1", "inf2"])
def test_programs_are_plain_python(target: str) -> None:
    compile(code(NAMES, target), "program", "exec")
    assert "token_type_ids" in code(NAMES, target)


@pytest.mark.parametrize("head", CLASSES)
def test_the_lines_before_load_the_class_of_the_head(head: str) -> None:
    lines = load_code(head, "eager", 48)
    compile(lines, "<load>", "exec")
    assert f"model = {CLASSES[head]}.from_pretrained(" in lines
    assert 'torchscript=True, attn_implementation="eager"' in lines
    assert "max_length=48, truncation=True" in lines
