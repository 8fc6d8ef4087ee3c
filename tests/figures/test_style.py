"""What all figures share: words, the page's ink, the reader's settings left alone, and speed."""

from __future__ import annotations

import re
from time import process_time
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style

from tsnb import figures, padding_cost
from tsnb.figures.style import INK, PAGE_INK
from tsnb.lengths.lengths import presets

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = np.clip(np.random.default_rng(0).lognormal(3.3, 0.6, 1000).astype(np.int64), 5, 128)
MARKS = presets(REAL, 512)
SLIDERS: dict[str, Callable[[int], Any]] = {
    "histogram": lambda step: figures.length_histogram(REAL, 40 + step, MARKS),
    "plan": lambda step: figures.bucket_plan(REAL, [30 + step, 128]),
    "panels": lambda step: figures.padding_panels(padding_cost(REAL, buckets=1 + step % 12)),
}


def test_a_figure_is_drawn_with_its_words_beside_it() -> None:
    drawn = figures.svg(figures.warm_up_curve([0.5, 0.1]), "first call: 'slow'")
    assert re.match("<svg role='img' aria-label='first call: &#x27;slow&#x27;' ", drawn)
    assert ">milliseconds<" in drawn  # text stays text


@pytest.mark.parametrize("slider", SLIDERS.values(), ids=SLIDERS)
def test_all_ink_is_the_pages_whatever_style_the_reader_has(slider: Callable[[int], Any]) -> None:
    with mpl.rc_context():
        style.use("dark_background")
        before = dict(mpl.rcParams)
        drawn = figures.svg(slider(0), "a figure")
        assert dict(mpl.rcParams) == before
    texts = re.findall(r"<text[^>]*style=\"([^\"]*)\"", drawn)
    assert len(texts) > 4
    assert all(f"fill: {PAGE_INK}" in look for look in texts)
    assert INK not in drawn
    assert not re.search("#(ffffff|000000)", drawn)


@pytest.mark.parametrize("slider", SLIDERS.values(), ids=SLIDERS)
def test_a_slider_draws_at_once(slider: Callable[[int], Any]) -> None:
    took = []
    for step in range(12):
        start = process_time()
        drawn = figures.svg(slider(step), "a figure")
        took.append(process_time() - start)
    assert np.median(took) <= 0.15  # p95 alone on a machine; the median holds on a busy one too
    assert len(drawn) < 250_000
