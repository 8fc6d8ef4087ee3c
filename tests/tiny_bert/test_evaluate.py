"""The model's quality, and that its card says what is measured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import tsnb
from tools.tiny_bert import evaluate
from tsnb.tiny_bert import FOLDER

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@pytest.fixture(scope="module")
def loaded() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return tsnb.load("tiny-bert")


def test_henson_is_likely(
    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    assert evaluate.henson(*loaded) >= 0.9


@pytest.mark.parametrize("typed", [True, False])
def test_names_that_never_met_are_copied(
    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase],
    typed: bool,  # noqa: FBT001, a parameter of the test
) -> None:
    assert evaluate.copied(*loaded, sentences=1000, typed=typed) >= 0.9


def test_an_untrained_model_would_fail(
    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    from tools.tiny_bert.train import build_model

    untrained = build_model(0, len(loaded[1])).eval()
    assert evaluate.henson(untrained, loaded[1]) < 0.1
    assert evaluate.copied(untrained, loaded[1], sentences=50) < 0.1


def test_the_card_says_what_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate"])
    evaluate.main()
    assert capsys.readouterr().out.strip() in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_card_counts_the_parameters(
    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    assert f"| {loaded[0].num_parameters():,} |" in (FOLDER / "README.md").read_text(encoding="utf-8")
