"""The map of shapes and the boxes of two: a colour, a symbol and a word for each."""

from typing import Any

import pytest

from tsnb import Contract, ShapeMap, Verdict
from tsnb.figures import shape_boxes, shape_map, survey_families
from tsnb.tracing.compare import SYMBOLS
from tsnb.tracing.survey import LEGEND, Row, Survey

CONTRACT = Contract(("input_ids",), batch_size=2, length=16)
CELLS = {
    (1, 8): Verdict("same", 1e-7),
    (1, 16): Verdict("wrong", 0.5),
    (2, 8): Verdict("raises", error="RuntimeError"),
    (2, 16): Verdict("same", 1e-7),
    (2, 99): Verdict("unsupported", error="index out of range in self"),
}
MAP = ShapeMap(CELLS, CONTRACT)
ROWS = (
    Row("decoder", "gpt2", "GPT2Model", "4", "traced", "✓✓✓✓✓·", "✓✓✓✓✓·"),
    Row("decoder", "gpt2", "GPT2Model", "5", "traced", "✓✓✓✗✓·", "✓✓✓✗✓·"),
    Row("pictures", "vit", "ViTModel", "4", "traced", "✓✓✓≠✗·", "✓✓✓≠✗·"),
    Row("pictures", "vit", "ViTForImageClassification", "4", "refused", reason="Something random runs."),
    Row("pictures", "detr", "DetrModel", "4", "not made", reason="a package is missing"),
)


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_coloured_cell_and_a_symbol_for_each_shape() -> None:
    figure: Any = shape_map(MAP)
    kinds = [verdict.kind for verdict in CELLS.values()]
    assert words(figure) == [SYMBOLS[kind] for kind in kinds]
    cells = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert len({patch.get_facecolor() for patch in cells}) == len(SYMBOLS)
    [frame] = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    assert frame.get_center() == pytest.approx((1, 1))  # the traced shape
    [axes] = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["8", "16", "99"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "2"]
    assert axes.get_xlabel() == f"length in tokens\n{MAP.legend()}"


@pytest.mark.parametrize(("axis", "marks"), [("length", ["↔ 16", "↔ 8"]), ("batch", ["↕ 2", "↕ 1"]), (None, [])])
def test_boxes_are_to_scale_and_have_the_sizes_of_the_marked_side(axis: Any, marks: list[str]) -> None:
    figure: Any = shape_boxes((2, 16), (1, 8), axis)
    assert [text for text in words(figure) if "×" not in text] == marks
    assert [text for text in words(figure) if "×" in text] == ["traced: 2 × 16", "given: 1 × 8"]
    traced, other = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert (traced.get_width(), traced.get_height()) == (2 * other.get_width(), 2 * other.get_height())


def test_a_family_has_the_gravest_symbol_of_its_classes_on_each_line() -> None:
    figure: Any = survey_families(Survey(ROWS, ("values",), ""))
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["decoder", "✓", "✗", "gpt2", "pictures", "·", " ", "detr", "≠", " ", "vit", LEGEND]
    colours = {text.get_text(): text.get_bbox_patch().get_facecolor() for text in figure.axes[0].texts[1:3]}
    assert len(set(colours.values())) == 2
