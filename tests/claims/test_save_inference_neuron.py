"""Claims of notebooks 03, 04 and 05."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tsnb
from tsnb.tiny_bert import corpus

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


@pytest.mark.claim("a-batch-equals-its-rows")
def test_a_row_of_a_padded_batch_equals_the_text_alone(masked_lm: Load, tokenizer: Any) -> None:
    questions = ["Who was Jim Henson ?", "Did Karl West work at the school ?"]
    answers = ["Jim [MASK] was a puppeteer", "yes , Karl [MASK] worked at the school in Rome"]
    model = masked_lm()
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    batch = traced(**tokenizer(questions, answers, padding=True, return_tensors="pt"))["logits"]
    for row, text in enumerate(zip(questions, answers, strict=True)):
        alone = traced(**tokenizer(*text, return_tensors="pt"))["logits"][0]
        assert (batch[row, : len(alone)] - alone).abs().max() <= 1e-4


@pytest.mark.claim("padding-costs-time")
def test_the_same_text_padded_to_128_takes_several_times_as_long() -> None:
    model, tokenizer = tsnb.load("bert-mini", head="encoder")
    rows = {
        length: tsnb.dummy_inputs(tokenizer, model, max_length=length, batch_size=4)
        for length in (16, 128)
    }
    traced = tsnb.trace(model, rows[16])

    def seconds(length: int) -> float:
        start = time.perf_counter()
        traced(**rows[length])
        return time.perf_counter() - start

    rounds = [(seconds(16), seconds(128)) for _ in range(12)][2:]
    short, long = (statistics.median(times) for times in zip(*rounds, strict=True))
    assert long / short > 1.5


@pytest.mark.claim("planned-batches-beat-padding")
def test_planned_batches_are_several_times_faster_and_equal() -> None:
    model, tokenizer = tsnb.load("bert-mini", head="encoder")
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=16))
    runner, texts = tsnb.Runner(traced, tokenizer), corpus.texts(64)
    batches = [
        tokenizer(texts[at : at + 8], padding="max_length", max_length=128, return_tensors="pt")
        for at in range(0, len(texts), 8)
    ]

    def padded() -> list[torch.Tensor]:
        return [row for batch in batches for row in traced(**batch)["pooler_output"]]

    for row, result in zip(padded(), runner(texts), strict=True):
        assert (row - result["pooler_output"]).abs().max() <= 1e-4
    rounds = [(_seconds(padded), _seconds(lambda: runner(texts))) for _ in range(3)]
    slow, fast = (statistics.median(times) for times in zip(*rounds, strict=True))
    assert slow / fast > 2


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.mark.claim("seed-diff-names-a-missing-variable")
def test_the_published_line_stops_with_a_name_error() -> None:
    """The tracer is a stand-in that takes anything: the line does not get as far as calling it."""
    neuron = SimpleNamespace(neuron=SimpleNamespace(trace=print))
    names = {"torch": neuron, "model": None, "tokens_tensor": None, "segments_tensors": None}
    line = "torch.neuron.trace(model, [token_tensor, segments_tensors])"
    with pytest.raises(NameError, match="token_tensor"):
        eval(line, names)


@pytest.mark.claim("inf1-tasks-trace")
@pytest.mark.parametrize(
    "head", ["question-answering", "sequence-classification", "token-classification"]
)
def test_the_heads_that_suit_inf1_trace(head: Any) -> None:
    model, tokenizer = tsnb.load("tiny-bert", head=head, torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model)
    traced = tsnb.trace(model, inputs)
    with torch.no_grad():
        for found, expected in zip(traced(**inputs).values(), model(**inputs), strict=True):
            assert (found - expected).abs().max() <= 1e-4
