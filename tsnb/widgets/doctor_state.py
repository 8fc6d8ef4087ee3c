"""What the doctor's view shows: a report, whole or without what is in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, HasTraits

from tsnb.cli import doctor as checkup

if TYPE_CHECKING:
    from tsnb.cli.doctor import Report


class DoctorState(HasTraits):  # type: ignore[misc]  # traitlets is not followed
    """A report on this machine; prints as what is shown of it.

    Parameters
    ----------
    report
        What `tsnb.doctor` found; by default it looks now.

    Attributes
    ----------
    report
        A trait: the newest report.
    to_mend
        A trait: whether to show only what is not in order.

    Examples
    --------
    >>> from tsnb.cli.doctor import Check, Report
    >>> state = DoctorState(Report((Check("memory", "ok", "8,000 MiB"),)), to_mend=True)
    >>> state.shown.checks
    ()
    """

    report = AnyTrait()
    to_mend = Bool(False)

    def __init__(self, report: Report | None = None, **choices: Any) -> None:
        super().__init__(report=report or checkup.doctor(), **choices)

    @property
    def shown(self) -> Report:
        """The report, or the part of it that is not in order."""
        report: Report = self.report
        return report.to_mend if self.to_mend else report

    def look(self) -> None:
        """Look at the machine again."""
        self.report = checkup.doctor(progress=False)

    def __str__(self) -> str:
        return str(self.shown)
