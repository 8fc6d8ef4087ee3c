"""Check conversion, equality and reload on a real instance: `python -m tsnb.neuron.selftest`.

It prints a report to paste into an issue. It ends with 0 where everything passed, 1 where
something failed, and 2 where this machine cannot run it, or not all of it. The SDK pins a torch of
its own: install tsnb beside it with `pip install --no-deps`, and then `transformers==4.57.6`,
`lazy-loader` and `psutil`, all that it imports here. Taught in notebook 05.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import NeuronError
from tsnb.base.words import say
from tsnb.neuron.conversion import convert, versions
from tsnb.neuron.detection import detect
from tsnb.neuron.targets import TARGETS
from tsnb.tracing.outputs import relative_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from tsnb.neuron.detection import Detection
    from tsnb.tracing.traced import Traced

PASSED, FAILED, CANNOT = 0, 1, 2
LENGTHS = (32, 64)
TEXTS = 20
RELOAD = """
import sys, torch, tsnb
torch.save(tsnb.load_traced(sys.argv[1])(**torch.load(sys.argv[2])), sys.argv[3])
"""


class Steps:
    """What is checked, one method a step; each returns what to print.

    Parameters
    ----------
    found
        The packages to check.
    folder
        Where to save.
    """

    def __init__(self, found: Detection, folder: Path) -> None:
        from tsnb.models.load import load
        from tsnb.tracing.inputs import dummy_inputs

        self.found, self.folder = found, folder
        self.model, self.tokenizer = load("tiny-bert")
        self.inputs = {
            length: dummy_inputs(self.tokenizer, self.model, max_length=length) for length in LENGTHS
        }
        self.traces: list[Traced] = []

    def convert(self) -> str:
        """Convert at each length and save."""
        from tsnb.artifacts.save import save

        for length, inputs in self.inputs.items():
            traced = convert(self.model, inputs, self.found.target.name)
            save(traced, self.folder / f"{length}.pt")
            self.traces.append(traced)
        return ", ".join(f"1 × {length}" for length in LENGTHS)

    def equal(self) -> str:
        """Compare each graph with the model."""
        pairs = zip(self.traces, self.inputs.values(), strict=True)
        parts = [self._part(inputs, list(traced(**inputs).values())) for traced, inputs in pairs]
        return self._judged(max(parts))

    def reload(self) -> str:
        """Load the first file in a new process and compare what it returns with the model."""
        import torch

        inputs = self.inputs[LENGTHS[0]]
        paths = [self.folder / name for name in (f"{LENGTHS[0]}.pt", "inputs.pt", "outputs.pt")]
        torch.save(dict(inputs), paths[1])
        command = [sys.executable, "-c", RELOAD, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603, ours
        if done.returncode:
            raise NeuronError("selftest.ended", why=done.stderr.strip().rpartition("\n")[2])
        return self._judged(self._part(inputs, list(torch.load(paths[2]).values())))

    def runner(self) -> str:
        """Run texts through all lengths and compare each with the model."""
        from tsnb.inference.runner import Runner
        from tsnb.tiny_bert.corpus import texts

        held = texts(TEXTS, longest=LENGTHS[-1])
        parts = [
            self._part(self.tokenizer(text, return_tensors="pt"), [result["logits"].unsqueeze(0)])
            for text, result in zip(held, Runner(self.traces, self.tokenizer)(held), strict=True)
        ]
        return self._judged(max(parts))

    def _part(self, inputs: Any, found: list[torch.Tensor]) -> float:
        """Return how far outputs are from the model's, as a part of its largest."""
        import torch

        with torch.no_grad():
            return relative_difference([self.model(**inputs)["logits"]], found)

    def _judged(self, part: float) -> str:
        target = self.found.target
        gaps = {"part": f"{part:.2g}", "tolerance": target.tolerance}
        if not part <= target.tolerance:
            raise NeuronError("neuron.disagrees", target=target.name, **gaps)
        return say("selftest.off", **gaps)


STEPS: tuple[tuple[str, Callable[[Steps], str]], ...] = (
    ("convert", Steps.convert),
    ("equal", Steps.equal),
    ("reload", Steps.reload),
    ("runner", Steps.runner),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the self-test, print its report, and return the exit code.

    Parameters
    ----------
    arguments
        Of the command line; by default the process's own.

    Taught in notebook 05.
    """
    parser = argparse.ArgumentParser(
        description=(
            "Convert tiny-bert on this machine and check it; prints a report to paste into an issue."
        )
    )
    names = [target.name for target in TARGETS]
    parser.add_argument(
        "--target", choices=names, help="which generation (default: the first that can convert here)"
    )
    wanted = parser.parse_args(arguments).target
    found = [item for item in detect() if wanted in (None, item.target.name)]
    able = [item for item in found if item.can_trace]
    _tell("\n".join(_head(able or found)))
    if not able:
        _tell("Cannot run, because nothing here can convert; the lines above say why.")
        return CANNOT
    with tempfile.TemporaryDirectory() as folder:
        return _run(Steps(able[0], Path(folder)))


def _head(found: list[Detection]) -> list[str]:
    """Return the report's first lines: machine, versions and what is installed."""
    from tsnb.tracing.contract import versions as general

    installed = dict(pair for item in found for pair in versions(item.target).items())
    held = ", ".join(f"{name} {number}" for name, number in {**general(), **installed}.items())
    machine = f"{say('selftest.machine')}: {platform.platform()}"
    return ["tsnb.neuron.selftest", machine, f"{say('selftest.versions')}: {held}", *map(str, found)]


def _run(steps: Steps) -> int:
    """Run the steps in order and stop at one that fails; without a device only the first can be."""
    for name, step in STEPS:
        label, start = say(f"selftest.step-{name}"), time.perf_counter()
        if name != "convert" and steps.found.state != "ready":
            _tell("Converted and saved. The rest cannot run here, because there is no Neuron device.")
            return CANNOT
        try:
            told = step(steps)
        except Exception as error:  # noqa: BLE001, whatever fails on a real instance is the report
            _tell(f"{label}: {say('selftest.failed', why=f'{type(error).__name__}: {error}')}")
            return FAILED
        took = f"{time.perf_counter() - start:.2f} s"
        _tell(f"{label}: {told} ({took})")
    _tell("Passed.")
    return PASSED


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
