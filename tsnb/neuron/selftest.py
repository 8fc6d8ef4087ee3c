"""Check conversion, equality and reload on a real Inf2 or Trn1 instance: `python -m tsnb.neuron.selftest`.

It prints a report to paste into an issue. It ends with 0 where everything passed, 1 where
something failed, and 2 where this machine cannot run it, or not all of it. The SDK pins a torch of
its own: install tsnb beside it with `pip install --no-deps`, and then `transformers==4.57.6`,
`lazy-loader` and `psutil`, all that it imports here. Taught in notebook 05.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch

from tsnb.artifacts.save import load_traced, save
from tsnb.inference.runner import Runner
from tsnb.models.load import load
from tsnb.neuron.conversion import check_difference, convert
from tsnb.neuron.detection import detect_one, installed
from tsnb.neuron.targets import find_target
from tsnb.tiny_bert import corpus
from tsnb.tracing.contract import versions
from tsnb.tracing.inputs import dummy_inputs
from tsnb.tracing.outputs import relative_difference

PASSED, FAILED, CANNOT = 0, 1, 2
LENGTHS = (32, 64)
INF2 = find_target("inf2")
_print = partial(print, flush=True)  # a line at once, as soon as it is so
RELOAD = "import sys; from tsnb.neuron.selftest import run_texts; print(run_texts(sys.argv[1]))"


def main() -> int:
    """Run the self-test, print its report, and return the exit code.

    Taught in notebook 05.
    """
    detection = detect_one(INF2)
    packages = (versions() | installed(*INF2.install)).items()
    _print(f"tsnb.neuron.selftest on {platform.platform()}")
    _print(f"versions: {', '.join(f'{name} {number}' for name, number in packages)}")
    _print(str(detection))
    if not detection.can_convert:
        _print("Cannot run, because nothing here can convert; the lines above say why.")
        return CANNOT
    try:
        with tempfile.TemporaryDirectory() as folder:
            model, tokenizer = load("tiny-bert")
            for length in LENGTHS:
                converted = convert(model, dummy_inputs(tokenizer, model, max_length=length), INF2.name)
                save(converted, Path(folder, f"{length}.pt"))
                compared = "equals the model" if converted.contract.verified else "not compared"
                _print(f"converted for 1 × {length}, and saved: {compared}")
            if detection.state != "ready":
                _print("The rest cannot run here, because there is no Neuron device.")
                return CANNOT
            command = [sys.executable, "-c", RELOAD, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, ours
    except Exception as error:  # noqa: BLE001, whatever fails on a real instance is the report
        _print(f"FAILED after that: {type(error).__name__}: {error}")
        return FAILED
    _print(f"loaded in a new process, both lengths in a Runner: {(done.stdout or done.stderr).strip()}")
    _print("FAILED." if done.returncode else "Passed.")
    return FAILED if done.returncode else PASSED


def run_texts(folder: str) -> str:
    """Run texts through the converted files of a folder; return how far from the model they are, or raise."""
    model, tokenizer = load("tiny-bert")
    traces = [load_traced(Path(folder, f"{length}.pt")) for length in LENGTHS]
    texts, parts = corpus.texts(20, longest=LENGTHS[-1]), []
    for text, result in zip(texts, Runner(traces, tokenizer)(texts), strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        parts.append(relative_difference([logits], [result["logits"]]))
    return check_difference(max(parts), INF2.tolerance)


if __name__ == "__main__":
    sys.exit(main())
