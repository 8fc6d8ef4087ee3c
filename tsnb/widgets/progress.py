"""The progress panel: which exercises are solved. Taught in notebook 01."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipywidgets import HTML

from tsnb.widgets.base import View

if TYPE_CHECKING:
    from collections.abc import Callable


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
