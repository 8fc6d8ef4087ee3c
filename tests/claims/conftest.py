"""What the claims are measured on: the embedded model and the sentence of the notebooks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tsnb.base.versions import has_flag
from tsnb.models.load import quiet_transformers
from tsnb.tiny_bert import FOLDER

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
QUESTION, ANSWER = "Who was Jim Henson ?", "Jim [MASK] was a puppeteer"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)


@pytest.fixture(scope="session")
def source() -> Callable[[str, str], str]:
    """Return the source of a cell, by the number of its notebook and its id."""

    def find(number: str, name: str) -> str:
        [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
        return str(next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.id == name))

    return find


@pytest.fixture
def inputs(tokenizer: Any) -> dict[str, torch.Tensor]:
    return dict(tokenizer(QUESTION, ANSWER, return_tensors="pt"))


@pytest.fixture
def masked_lm() -> Callable[..., Any]:
    """Load the masked-language model with plain transformers, quietly; without the flag, by hand."""

    def load(*, torchscript: bool = False, **options: Any) -> Any:
        if torchscript:
            options |= {"torchscript": True} if has_flag() else {"return_dict": False}
        with quiet_transformers():
            model = AutoModelForMaskedLM.from_pretrained(FOLDER, **options).eval()
        if torchscript and not has_flag():
            decoder = model.get_output_embeddings()
            decoder.weight = torch.nn.Parameter(decoder.weight.detach().clone())
        return model

    return load
