"""The progress panel: which exercises are solved. Taught in notebook 01."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipywidgets import HTML

from tsnb.widgets.base import View


class ProgressView(View):
    """Show how far a reader is, as a table.

    Parameters
    ----------
    progress
        Returns how far one is now: what prints as text, and shows as HTML.
    """

    def __init__(self, progress: Callable[[], Any]) -> None:
        self.progress, self.table = progress, HTML()
        super().__init__(self.table)
        self.draw()

    def draw(self) -> None:
        """Bring the table to how far the reader is now."""
        self.table.value = self.progress()._repr_html_()

    def __repr__(self) -> str:
        return str(self.progress())
