"""The figure of families: a symbol a line of transformers before each name, the gravest of its classes."""

from __future__ import annotations

from typing import Any

from tsnb.figures import survey_families
from tsnb.tracing.survey import Row, Survey

ROWS = (
    Row("decoder", "gpt2", "GPT2Model", "4", "traced", "✓✓✓✓✓·", "✓✓✓✓✓·"),
    Row("decoder", "gpt2", "GPT2Model", "5", "traced", "✓✓✓✗✓·", "✓✓✓✗✓·"),
    Row("pictures", "vit", "ViTModel", "4", "traced", "✓✓✓≠✗·", "✓✓✓≠✗·"),
    Row("pictures", "vit", "ViTForImageClassification", "4", "refused", reason="Something random runs."),
    Row("pictures", "detr", "DetrModel", "4", "not made", reason="a package is missing"),
)


def test_a_family_has_the_gravest_symbol_of_its_classes_on_each_line() -> None:
    figure: Any = survey_families(Survey(ROWS, ("values",), "2.13.0", "2026-11-29"))
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["decoder", "✓", "✗", "gpt2", "pictures", "·", " ", "detr", "≠", " ", "vit"]
    colours = {text.get_text(): text.get_bbox_patch().get_facecolor() for text in figure.axes[0].texts[1:3]}
    assert len(set(colours.values())) == 2
