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
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.artifacts.save import save
from tsnb.base.errors import NeuronError
from tsnb.inference.runner import Runner
from tsnb.models.load import load
from tsnb.neuron.conversion import check_difference, convert
from tsnb.neuron.detection import detect_one, installed
from tsnb.neuron.targets import target
from tsnb.tiny_bert import corpus
from tsnb.tracing.contract import versions
from tsnb.tracing.inputs import dummy_inputs
from tsnb.tracing.outputs import relative_difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsnb.tracing.traced import Traced

PASSED, FAILED, CANNOT = 0, 1, 2
LENGTHS = (32, 64)
TEXTS = 20
INF2 = target("inf2")
RELOAD = """
import sys, torch, tsnb
torch.save(tsnb.load_traced(sys.argv[1])(**torch.load(sys.argv[2])), sys.argv[3])
"""


def main() -> int:
    """Run the self-test, print its report, and return the exit code.

    Taught in notebook 05.
    """
    detection = detect_one(INF2)
    packages = ", ".join(
        f"{name} {number}" for name, number in (versions() | installed(*INF2.install)).items()
    )
    _print("tsnb.neuron.selftest", f"machine: {platform.platform()}", f"versions: {packages}", str(detection))
    if not detection.can_convert:
        _print("Cannot run, because nothing here can convert; the lines above say why.")
        return CANNOT
    with tempfile.TemporaryDirectory() as folder:
        for label, step in _steps(Path(folder)).items():
            start = time.perf_counter()
            try:
                result = step()
            except Exception as error:  # noqa: BLE001, whatever fails on a real instance is the report
                _print(f"{label}: FAILED. {type(error).__name__}: {error}")
                return FAILED
            _print(f"{label}: {result} ({time.perf_counter() - start:.2f} s)")
            if detection.state != "ready":
                _print("The rest cannot run here, because there is no Neuron device.")
                return CANNOT
    _print("Passed.")
    return PASSED


def _steps(folder: Path) -> dict[str, Callable[[], str]]:
    """Return what is checked, in order; each step returns what to print."""
    import torch

    model, tokenizer = load("tiny-bert")
    examples = {length: dummy_inputs(tokenizer, model, max_length=length) for length in LENGTHS}
    traces: list[Traced] = []

    def difference(inputs: Any, logits: torch.Tensor) -> float:
        with torch.no_grad():
            return relative_difference([model(**inputs).logits], [logits])

    def convert_and_save() -> str:
        for length, inputs in examples.items():
            traces.append(convert(model, inputs, INF2.name))
            save(traces[-1], folder / f"{length}.pt")
        return ", ".join(f"1 × {length}" for length in LENGTHS)

    def compare() -> str:
        pairs = zip(traces, examples.values(), strict=True)
        parts = [difference(inputs, traced(**inputs)["logits"]) for traced, inputs in pairs]
        return check_difference(max(parts), INF2.tolerance)

    def reload() -> str:
        inputs = examples[LENGTHS[0]]
        paths = [folder / name for name in (f"{LENGTHS[0]}.pt", "inputs.pt", "outputs.pt")]
        torch.save(dict(inputs), paths[1])
        command = [sys.executable, "-c", RELOAD, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, ours
        if done.returncode:
            raise NeuronError(f"the new process ended with: {done.stderr.strip().rpartition(chr(10))[2]}")
        return check_difference(difference(inputs, torch.load(paths[2])["logits"]), INF2.tolerance)

    def run_texts() -> str:
        texts = corpus.texts(TEXTS, longest=LENGTHS[-1])
        results = zip(texts, Runner(traces, tokenizer)(texts), strict=True)
        parts = [
            difference(tokenizer(text, return_tensors="pt"), result["logits"].unsqueeze(0))
            for text, result in results
        ]
        return check_difference(max(parts), INF2.tolerance)

    return {
        "convert and save": convert_and_save,
        "compare with the model": compare,
        "load in a new process": reload,
        "Runner with two lengths": run_texts,
    }


def _print(*lines: str) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
