"""What save and load cost beside bare torch, on bert-mini with BERT's own vocabulary.

Run by hand, on a machine that does nothing else: `python -m tools.bench_artifacts`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from transformers import BertConfig, BertForMaskedLM

import tsnb
from tsnb.models.load import MINI_GEOMETRY, quiet_transformers
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable

VOCABULARY, RUNS = 30_522, 31


def seconds(run: Callable[[], object]) -> float:
    """Return what a run took."""
    begun = perf_counter()
    run()
    return perf_counter() - begun


def compare(name: str, bare: Callable[[], object], ours: Callable[[], object]) -> str:
    """Run both in turns; the first turn warms up."""
    turns = [(seconds(bare), seconds(ours)) for _ in range(RUNS + 1)][1:]
    first, second = (1000 * median(times) for times in zip(*turns, strict=True))
    return f"{name}: torch {first:.0f} ms, tsnb {second:.0f} ms, ratio {second / first:.2f}"


def main() -> None:
    """Print the two ratios."""
    torch.set_num_threads(1)
    with quiet_transformers(), quiet_jit() as jit, tempfile.TemporaryDirectory() as folder:
        model = BertForMaskedLM(BertConfig(vocab_size=VOCABULARY, **MINI_GEOMETRY)).eval()
        tokenizer = tsnb.load("tiny-bert")[1]
        traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
        bare, ours = str(Path(folder) / "bare.pt"), Path(folder) / "ours.pt"
        print(  # noqa: T201
            compare("save", lambda: jit.save(traced.module, bare), lambda: tsnb.save(traced, ours, tokenizer)),
            compare("load", lambda: jit.load(bare), lambda: tsnb.load_traced(ours)),
            f"{ours.stat().st_size / 1e6:.1f} MB",
            sep="\n",
        )


if __name__ == "__main__":
    main()
