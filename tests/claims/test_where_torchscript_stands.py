"""Claims about the versions: deprecation, Python 3.14, transformers 5."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

FIVE = Path(__file__).parents[2] / ".venv/transformers5"


def _on_five(program: str) -> str:
    """Run a program under transformers 5 and return what it prints."""
    assert FIVE.is_dir(), "make .venv/transformers5.done installs transformers 5 for the tests"
    program = f"import torch, transformers\nassert transformers.__version__[0] == '5'\n{program}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PYTHONPATH": str(FIVE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


WAY = """
import torch
traced = torch.jit.trace(torch.nn.Identity(), torch.ones(1))
torch.jit.save(traced, "identity.pt")
_ = torch.jit.load("identity.pt")
"""
AS_A_CELL = f"""
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance().run_cell({WAY!r}).raise_error()
"""


def _written(program: str, folder: Path, *options: str) -> str:
    """Run a program in a fresh Python and return all that it writes."""
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=inherited | {"IPYTHONDIR": str(folder / "ipython")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (folder / "identity.pt").is_file()
    return done.stdout + done.stderr


@pytest.mark.claim("torch-jit-deprecated")
def test_python_shows_that_they_are_deprecated_only_when_asked(tmp_path: Path) -> None:
    assert _written(WAY, tmp_path) == ""
    assert "Deprecat" not in _written(AS_A_CELL, tmp_path)
    shown = _written(WAY, tmp_path, "-W", "default")
    told = dict(re.findall(r"DeprecationWarning: `torch\.jit\.(\w+)` is deprecated\. (.+)", shown))
    assert {"trace", "save", "load"} <= told.keys()
    assert all("`torch.export`" in advice for advice in told.values())
    assert "`torch.compile`" in told["trace"]
    assert "compile" not in told["save"] + told["load"]


@pytest.mark.claim("torch-jit-python-3-14")
def test_on_python_3_14_each_warns_that_it_may_break(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The version is set by hand: this shows torch's own check, not a run on 3.14."""
    traced, path = torch.jit.trace(torch.nn.Identity(), torch.ones(1)), str(tmp_path / "x.pt")
    steps: dict[str, Callable[[], object]] = {
        "trace": lambda: torch.jit.trace(torch.nn.Identity(), torch.ones(1)),
        "save": lambda: torch.jit.save(traced, path),
        "load": lambda: torch.jit.load(path),
    }
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    for name, step in steps.items():
        with pytest.warns(DeprecationWarning, match=rf"{name}` is not supported .+ may break"):
            step()


@pytest.mark.claim("config-flag-ignored-in-5")
def test_the_flag_of_a_configuration_does_nothing_in_transformers_5() -> None:
    printed = _on_five(
        """
from transformers import BertConfig, BertForMaskedLM
config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=8, torchscript=True)
model = BertForMaskedLM(config).eval()
ends = model.get_input_embeddings(), model.get_output_embeddings()
ids = torch.ones(1, 4, dtype=torch.long)
print(ends[0].weight.data_ptr() == ends[1].weight.data_ptr(), isinstance(model(ids), dict))
try:
    torch.jit.trace(model, ids)
except RuntimeError as error:
    print("dict" in str(error))
"""
    )
    assert printed.split() == ["True", "True", "True"]


@pytest.mark.claim("from-pretrained-flag-raises-in-5")
def test_from_pretrained_does_not_know_the_flag_in_transformers_5() -> None:
    printed = _on_five(
        """
from transformers import BertForMaskedLM
from tsnb.tiny_bert import FOLDER
try:
    BertForMaskedLM.from_pretrained(FOLDER, torchscript=True)
except TypeError as error:
    print("torchscript" in str(error))
"""
    )
    assert printed == "True"


@pytest.mark.claim("trace-works-on-5")
def test_tsnb_traces_on_transformers_5_and_refuses_the_flag() -> None:
    printed = _on_five(
        """
import tsnb
model, tokenizer = tsnb.load("tiny-bert")
inputs = tsnb.dummy_inputs(tokenizer, model, max_length=16)
with torch.no_grad():
    print(torch.equal(tsnb.trace(model, inputs)(**inputs)["logits"], model(**inputs)["logits"]))
try:
    tsnb.load("tiny-bert", torchscript=True)
except tsnb.ModelError as error:
    print("torchscript=True did nothing" in str(error))
"""
    )
    assert printed.split() == ["True", "True"]


@pytest.mark.claim("torch-export-works")
def test_torch_export_records_the_model_with_a_length_that_varies(
    masked_lm: Callable[..., Any], inputs: dict[str, torch.Tensor]
) -> None:
    model = masked_lm()
    varying = {name: {1: torch.export.Dim("length", min=2, max=512)} for name in inputs}
    exported = torch.export.export(model, (), dict(inputs), dynamic_shapes=varying).module()
    longer = {name: torch.ones(1, 40, dtype=torch.long) for name in inputs}
    with torch.no_grad():
        difference = (exported(**longer)[0] - model(**longer)[0]).abs().max()
    assert difference <= 1e-4
