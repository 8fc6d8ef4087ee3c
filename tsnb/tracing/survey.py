"""What became of hundreds of classes of transformers: `tsnb.survey("bert")`. Taught in notebook 02."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from tsnb.base.errors import InputError
from tsnb.base.tables import TableReport, wrapped

DATA = Path(__file__).with_suffix(".json")  # `make survey` writes it
LEGEND = "✓ same, ≠ runs and differs, ✗ raises, ~ random by itself, · the model itself cannot run it, ! refused"


class Row(NamedTuple):
    """What was found of a class on one line of transformers.

    Attributes
    ----------
    kind, family, name, line
        What its inputs are, its `model_type`, the class, the version of transformers.
    outcome
        `traced`, `refused` by `tsnb.trace`, or `not made`, for the `reason` given.
    plain, said
        A symbol for each shape: what plain torch found there, and what tsnb says of it (`?`: nothing).
    difference
        The largest between model and trace, over the largest number expected where that is above one.
    """

    kind: str
    family: str
    name: str
    line: str
    outcome: str
    plain: str = ""
    said: str = ""
    difference: float = 0.0
    reason: str = ""

    @property
    def symbol(self) -> str:
        """One character: ≠ where something differs without an error, else ✗ where something raises, ✓, ! or ·."""
        left = {"refused": "!", "not made": "·"}.get(self.outcome, "✓")
        return next((symbol for symbol in "~≠✗" if symbol in self.plain), left)


@dataclass(frozen=True, repr=False)
class Survey(TableReport):
    """Rows of the survey; prints as text and shows as a table.

    Attributes
    ----------
    rows
        A `Row` for each class and line of transformers.
    shapes
        What was tried: the traced shape with other values and other padding, then other shapes.
    about
        How, when and with which torch they were found.
    """

    rows: tuple[Row, ...]
    shapes: tuple[str, ...]
    about: str

    def table(self) -> list[list[str]]:
        """Return the head and a line for each row: a symbol for each shape, or the outcome's for all."""
        marks = [row.plain or row.symbol * len(self.shapes) for row in self.rows]
        body = [
            [row.name, row.line, *mark, f"{row.difference:.2g}"] for row, mark in zip(self.rows, marks, strict=True)
        ]
        return [["class", "transformers", *self.shapes, "difference"], *body]

    def notes(self) -> list[str]:
        """Return what stands below the table: symbols, how it was made, reasons."""
        reasons = [f"{row.name}, {row.line}: {row.outcome}. {row.reason}" for row in self.rows if row.reason]
        return [wrapped(each) for each in (LEGEND, self.about, *reasons)]


def survey(name: str = "") -> Survey:
    """Look up what became of classes of transformers that were made small, traced, and compared with plain torch.

    Parameters
    ----------
    name
        A family (`model_type`) such as `bert`; a class; or a part of a name of either, in capitals or not.
        Without it, all.

    Returns
    -------
    Survey
        Its rows, by family and class.

    Raises
    ------
    InputError
        No class or family has that in its name, so that nothing is known of it.

    Examples
    --------
    >>> import tsnb
    >>> {row.symbol for row in tsnb.survey("distilbert").rows}
    {'✓'}

    Taught in notebook 02.
    """
    data = json.loads(DATA.read_text(encoding="utf-8"))
    rows, wanted = [Row(*row) for row in data["rows"]], str(name).lower()
    found = [row for row in rows if wanted in {row.family, row.name.lower()}]
    found = found or [row for row in rows if wanted in row.family or wanted in row.name.lower()]
    if not found:
        near = get_close_matches(wanted, {name for row in rows for name in (row.family, row.name)}, n=3, cutoff=0.5)
        raise InputError(
            f"The survey has no class or family of transformers with {name!r} in its name, so that it says nothing of "
            f"it. Near: {', '.join(near) or 'nothing'}. Judge your own model with tsnb.trace and tsnb.probe."
        )
    return Survey(tuple(found), tuple(data["shapes"]), data["about"])
