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
from pathlib import Path
from typing import TYPE_CHECKING

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
    from collections.abc import Iterator

    from tsnb.tracing.traced import Traced

PASSED, FAILED, CANNOT = 0, 1, 2
LENGTHS = (32, 64)
INF2 = target("inf2")
RELOAD = """
import sys, tsnb
from tsnb.neuron.selftest import compared
print(compared(tsnb.load_traced(sys.argv[1])))
"""


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
    ready = detection.state == "ready"
    try:
        with tempfile.TemporaryDirectory() as folder:
            for line in _steps(Path(folder) / "model.pt", ready=ready):
                _print(line)
    except Exception as error:  # noqa: BLE001, whatever fails on a real instance is the report
        _print(f"FAILED after that. {type(error).__name__}: {error}")
        return FAILED
    _print("Passed." if ready else "The rest cannot run here, because there is no Neuron device.")
    return PASSED if ready else CANNOT


def _steps(path: Path, *, ready: bool) -> Iterator[str]:
    """Yield what each step saw; where there is no device, nothing can be run after the first."""
    import torch

    model, tokenizer = load("tiny-bert")
    examples = [dummy_inputs(tokenizer, model, max_length=length) for length in LENGTHS]
    traces = [convert(model, inputs, INF2.name) for inputs in examples]
    save(traces[0], path)
    yield f"converted, one saved: {', '.join(f'1 × {length}' for length in LENGTHS)}"
    if not ready:
        return
    for traced in traces:
        yield f"compared at {traced.contract.length}: {compared(traced)}"
    command = [sys.executable, "-c", RELOAD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, ours
    if done.returncode:
        raise NeuronError(f"a new process ended with {done.stderr.strip().rpartition(chr(10))[2]}")
    yield f"loaded in a new process: {done.stdout.strip()}"
    texts, parts = corpus.texts(20, longest=LENGTHS[-1]), []
    for text, result in zip(texts, Runner(traces, tokenizer)(texts), strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        parts.append(relative_difference([logits], [result["logits"]]))
    yield f"Runner with two lengths: {check_difference(max(parts), INF2.tolerance)}"


def compared(traced: Traced) -> str:
    """Return how far a converted graph is from the model at its own length, or raise a NeuronError."""
    import torch

    model, tokenizer = load("tiny-bert")
    inputs = dummy_inputs(tokenizer, model, max_length=traced.contract.length or LENGTHS[0])
    with torch.no_grad():
        part = relative_difference([model(**inputs).logits], [traced(**inputs)["logits"]])
    return check_difference(part, INF2.tolerance)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
