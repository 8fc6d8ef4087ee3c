"""The doctor's view: is this machine ready, and what to do if not. Taught in notebook 00."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ipywidgets import HTML, Layout, ToggleButton
from traitlets import link

from tsnb.base.words import say
from tsnb.widgets.base import MONO, RestingButton, View, row
from tsnb.widgets.doctor_state import DoctorState

if TYPE_CHECKING:
    from tsnb.cli.doctor import Report

ON, OFF = "☑", "☐"  # before a button's words, equally wide


class DoctorView(View):
    """Show what `tsnb.doctor` finds, look again after something was mended, give a text to send.

    Nothing waits for a click. Prints as the report.

    Parameters
    ----------
    report
        What `tsnb.doctor` found; by default it looks now.

    Examples
    --------
    >>> import tsnb
    >>> report = tsnb.doctor()
    >>> str(DoctorView(report)) == str(report)
    True

    Taught in notebook 00.
    """

    state: DoctorState

    def __init__(self, report: Report | None = None) -> None:
        state = DoctorState(report)
        narrow = Layout(width="max-content")
        self.again = RestingButton(description="Check again", layout=narrow)
        self.to_mend = ToggleButton(tooltip="Leave out what is in order", layout=narrow)
        self.as_json = ToggleButton(tooltip="Everything that was found, as JSON", layout=narrow)
        self.table, self.json = HTML(), HTML()
        controls = row(self.again, self.to_mend, self.as_json)
        super().__init__(state, controls, self.table, self.json)
        link((state, "to_mend"), (self.to_mend, "value"))
        self.again.on_click(self._look)
        self.as_json.observe(lambda _: self.draw(), "value")
        state.observe(lambda _: self.draw(), ["report", "to_mend"])
        self.draw()

    def draw(self) -> None:
        """Bring the table, the JSON and the buttons' words to what the state is now."""
        self.table.value = self.state.shown._repr_html_()
        told = escape(self.state.report.to_json()) if self.as_json.value else ""
        self.json.value = f"<pre style='{MONO}; overflow-x: auto'>{told}</pre>" if told else ""
        self.json.layout.display = "" if told else "none"
        for name, button in (("mend", self.to_mend), ("json", self.as_json)):
            button.description = f"{ON if button.value else OFF} {say(f'doctor.{name}')}"

    def _look(self, _: object) -> None:
        """Look again; the button says so for as long as it takes, and keeps the focus."""
        self.again.resting, self.again.description = True, "checking…"
        try:
            self.state.look()
        finally:
            self.again.resting, self.again.description = False, "Check again"
