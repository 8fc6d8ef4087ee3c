"""Claims about the versions: deprecation, Python 3.14, transformers 5."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

import tsnb
from tests.kinds import MonkeyPatch
from tsnb.tiny_bert import FOLDER

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
def test_on_python_3_14_each_warns_that_it_may_break(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
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
@pytest.mark.line(5)
def test_the_flag_of_a_configuration_does_nothing_in_transformers_5() -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMaskedLM(BertConfig(vocab_size=9, **sizes, torchscript=True)).eval()
    ids = torch.ones(1, 4, dtype=torch.long)
    assert model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr()
    assert isinstance(model(ids), dict)
    with pytest.raises(RuntimeError, match="dict"):
        torch.jit.trace(model, ids)


@pytest.mark.claim("from-pretrained-flag-raises-in-5")
@pytest.mark.line(5)
def test_from_pretrained_does_not_know_the_flag_in_transformers_5() -> None:
    with pytest.raises(TypeError, match="torchscript"):
        BertForMaskedLM.from_pretrained(FOLDER, torchscript=True)


@pytest.mark.claim("load-works-on-both")
@pytest.mark.filterwarnings("ignore::tsnb.base.versions.FlagWarning")
def test_load_takes_weights_apart_and_returns_tuples_on_both_lines(inputs: dict[str, torch.Tensor]) -> None:
    model, _ = tsnb.load("tiny-bert", torchscript=True)
    assert model.get_input_embeddings().weight.data_ptr() != model.get_output_embeddings().weight.data_ptr()
    assert type(model(**inputs)) is tuple


@pytest.mark.claim("trace-works-on-5")
def test_tsnb_traces_on_both_lines_without_the_flag(inputs: dict[str, torch.Tensor]) -> None:
    model, _ = tsnb.load("tiny-bert")
    with torch.no_grad():
        assert torch.equal(tsnb.trace(model, inputs)(**inputs)["logits"], model(**inputs)["logits"])


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
