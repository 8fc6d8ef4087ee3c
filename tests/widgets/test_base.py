"""What every view does: text and a picture beside the widget, controls that say what they are."""

import asyncio
from collections.abc import Generator

from ipywidgets import HTML, IntSlider, Widget

from tests.kinds import MonkeyPatch, Python
from tsnb.widgets import base
from tsnb.widgets.event_loop import Steps

WIDGET = "application/vnd.jupyter.widget-view+json"


class Count(base.View):
    """The least view that works in steps: it counts to a number."""

    def __init__(self, *children: Widget, most: int = 3) -> None:
        self.count, self.steps = 3, Steps(failed=print)
        super().__init__(*children)
        self.steps.start(self._up(most))

    def _up(self, most: int) -> Generator[None, None, None]:
        while self.count < most:
            self.count += 1
            yield

    def __repr__(self) -> str:
        return f"count: {self.count}"


def test_a_view_brings_its_html_parts_and_its_text() -> None:
    view = Count(base.row(IntSlider()), HTML("<svg></svg>"), HTML("<p>three</p>"))
    bundle = view._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == view.model_id
    assert bundle["text/html"] == "<svg></svg>\n<p>three</p>"
    assert bundle["text/plain"] == repr(view) == str(view) == "count: 3"


def test_what_is_kept_of_a_view_has_the_steps_that_fit_and_closed_it_takes_none(monkeypatch: MonkeyPatch) -> None:
    """Cells of "Run All" follow each other, and the kernel's loop stands still meanwhile."""

    async def cell(most: int) -> int:
        view = Count(most=most)
        shown = int(view._repr_mimebundle_()["text/plain"].split()[1])
        view.close()
        await asyncio.sleep(0.02)
        assert (view.comm, view.count) == (None, shown)
        return shown

    assert asyncio.run(cell(100)) == 100
    monkeypatch.setattr(base, "SHOW_WITHIN", 0.05)
    assert 3 < asyncio.run(cell(9**9)) < 9**9


def test_figures_are_escaped() -> None:
    html = base.figures([("a < b", "1 & 2")])
    assert ("a &lt; b" in html, "1 &amp; 2" in html) == (True, True)


def test_importing_the_widgets_imports_no_ipywidgets(python: Python) -> None:
    code = "import sys, tsnb.widgets; print('ipywidgets' in sys.modules)"
    assert python(code) == "False\n"
