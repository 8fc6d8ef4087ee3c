"""What tests of figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def check_texts() -> Callable[[Any], None]:
    """Check that all texts stand within a figure, and none on another."""

    def check(figure: Any) -> None:
        figure.draw_without_rendering()
        [axes] = figure.axes
        boxes = [text.get_window_extent() for text in axes.texts]
        for index, box in enumerate(boxes):
            assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
            assert not any(box.overlaps(other) for other in boxes[:index])

    return check
