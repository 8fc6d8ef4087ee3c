"""Claims of notebook 03."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Any]
    Inputs = dict[str, torch.Tensor]

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")


@pytest.fixture
def saved(masked_lm: Load, inputs: Inputs, tmp_path: Path) -> tuple[Any, Path]:
    """Return a trace and the file it was saved to, by plain torch."""
    traced = torch.jit.trace(masked_lm(torchscript=True), example_kwarg_inputs=inputs)
    torch.jit.save(traced, tmp_path / "bert.pt")
    return traced, tmp_path / "bert.pt"


@pytest.mark.claim("loaded-equals-saved")
def test_a_loaded_trace_gives_the_same_bits(saved: tuple[Any, Path], inputs: Inputs) -> None:
    traced, path = saved
    assert torch.equal(torch.jit.load(path)(**inputs)[0], traced(**inputs)[0])


@pytest.mark.claim("eval-mode-is-saved")
def test_a_trace_in_eval_mode_loads_in_eval_mode(saved: tuple[Any, Path], inputs: Inputs) -> None:
    loaded = torch.jit.load(saved[1])
    assert not any(module.training for module in loaded.modules())
    assert torch.equal(loaded(**inputs)[0], loaded.eval()(**inputs)[0])


@pytest.mark.claim("runs-without-transformers")
def test_a_trace_runs_where_transformers_cannot_be_imported(
    saved: tuple[Any, Path], inputs: Inputs
) -> None:
    traced, path = saved
    numbers = {name: tensor.tolist() for name, tensor in inputs.items()}
    program = f"""
import sys, torch
sys.modules["transformers"] = sys.modules["tsnb"] = None
names = {numbers!r}
logits = torch.jit.load({str(path)!r})(**{{n: torch.tensor(v) for n, v in names.items()}})[0]
print(logits[0, 8].argmax().item())
"""
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) == traced(**inputs)[0][0, 8].argmax().item()


@pytest.mark.claim("a-pt-file-is-a-zip")
def test_a_pt_file_is_a_zip_of_code_and_data(saved: tuple[Any, Path]) -> None:
    with zipfile.ZipFile(saved[1]) as archive:
        parts = {name.split("/")[1] for name in archive.namelist()}
    assert {"code", "data", "constants.pkl"} <= parts


@pytest.mark.claim("extra-files-travel")
def test_plain_torch_reads_the_model_and_the_contract(
    masked_lm: Load, inputs: Inputs, tmp_path: Path
) -> None:
    traced = tsnb.trace(masked_lm(), inputs)
    extra = {"tsnb_contract.json": ""}
    plain = torch.jit.load(tsnb.save(traced, tmp_path / "x.pt"), _extra_files=extra)
    assert torch.equal(plain(**inputs)[0], traced(**inputs)["logits"])
    assert tsnb.Contract.from_json(extra["tsnb_contract.json"]) == traced.contract
