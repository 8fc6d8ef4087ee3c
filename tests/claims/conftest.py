"""What the claims are measured on: the embedded model and the sentence of the notebooks."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoModelForMaskedLM, AutoTokenizer

import tsnb
from tsnb.models.load import quiet_transformers
from tsnb.tiny_bert import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

QUESTION, ANSWER = "Who was Jim Henson ?", "Jim [MASK] was a puppeteer"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)


MEASURED = """
import resource, sys, tsnb
tsnb.cpp.build(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture(scope="session")
def peak_of_the_build(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Build the C++ loader where all tests look for it; return the most memory of a tool, in GB."""
    place = tmp_path_factory.mktemp("built before") if any(folder.iterdir()) else folder
    command: list[str | Path] = [sys.executable, "-c", MEASURED, place]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(printed) * (1 if sys.platform == "darwin" else 1024) / 1e9


@pytest.fixture(scope="session")
def loader(peak_of_the_build: float, folder: Path) -> Path:
    """Return the C++ loader, whose build was measured."""
    assert peak_of_the_build
    return tsnb.cpp.build(folder)


@pytest.fixture
def inputs(tokenizer: Any) -> dict[str, torch.Tensor]:
    return dict(tokenizer(QUESTION, ANSWER, return_tensors="pt"))


@pytest.fixture
def masked_lm() -> Callable[..., Any]:
    """Load the masked-language model with plain transformers, quietly."""

    def load(**options: Any) -> Any:
        with quiet_transformers():
            return AutoModelForMaskedLM.from_pretrained(FOLDER, **options).eval()

    return load
