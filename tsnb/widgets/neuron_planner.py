"""The Neuron planner: choose, and read what `tsnb.neuron.plan` says. Taught in notebook 05."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML
from traitlets import Any as AnyTrait

from tsnb.models.load import EMBEDDED, MINI
from tsnb.neuron.planning import LIMIT, max_lengths, plan
from tsnb.neuron.targets import TARGETS, facts
from tsnb.widgets.base import MONO, OneOf, View, choice_control, figures, live_region, row

if TYPE_CHECKING:
    from torch import nn

    from tsnb.lengths.lengths import Lengths
    from tsnb.neuron.planning import Plan
    from tsnb.tracing.traced import Traced

YOURS = "yours"
MOST_BUCKETS = 12
CONTROLS = {  # the label and the tooltip of each choice
    "subject": ("model", "The model that is traced and looked through"),
    "task": ("task", "What the model is for; it decides the head, and how well the generation suits"),
    "target": ("generation", "The Neuron hardware to compile for; Trn1 takes what Inf2 takes"),
    "attention": ("attention", "eager is single operators, sdpa is one operator for all of it"),
    "value": ("max length", "Tokens that longer texts are cut to; the presets come from the texts' lengths"),
    "buckets": ("buckets", "How many lengths to compile; 1 pads every text to the max length"),
}
TEXT = "line-height: 1.4; white-space: pre-wrap; overflow-wrap: anywhere"
CODE = f"{MONO}; margin: 0; padding: 4px 0; color: inherit; background: none; {TEXT}"


class NeuronPlanner(View):
    """Choose a model, a task, a generation and lengths; read what would stop you, and the code.

    Every choice is a trait that later cells read; nothing waits for a choice, and nothing is
    compiled. A change that needs another trace takes a moment; where there is no plan for it,
    it is taken back, and a note says why. Prints as text with everything that it shows.

    Parameters
    ----------
    traced
        The reader's own trace; without one the planner traces an embedded model.
    model
        The model it was made from: tells the architecture, the task and the order of inputs.
    lengths
        Tokens of each text, special tokens included; by default those of 1,000 generated texts.
    **choices
        `subject`, `task`, `target`, `attention`, `value` and `buckets` to begin with.

    Attributes
    ----------
    subject, task, target, attention, value, buckets
        Traits: what is chosen, as `tsnb.neuron.plan` takes it; `value` is its `max_length`, and
        `subject` is `"yours"` for the reader's own trace.
    plan
        A trait that follows the choices: a `tsnb.neuron.Plan` with `report`, `edges`, `code` and more.

    Raises
    ------
    InputError
        A choice that is none, no lengths, or what is no trace or no model.
    NeuronError
        What `tsnb.neuron.plan` says of the reader's trace and choices.

    Examples
    --------
    >>> planner = NeuronPlanner(lengths=[5, 9, 12, 30], buckets=2, attention="eager")
    >>> planner.plan.edges, planner.plan.report.ok
    ((12, 30), True)

    Taught in notebook 05.
    """

    subject: Any = OneOf()
    task: Any = OneOf()
    target: Any = OneOf()
    attention: Any = OneOf()
    value: Any = OneOf()
    buckets: Any = OneOf()
    plan = AnyTrait()

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Lengths | None = None,
        **choices: Any,
    ) -> None:
        self.sources: dict[str, Any] = {"traced": traced, "model": model, "lengths": lengths}
        begin: dict[str, Any] = {"subject": EMBEDDED if traced is None else YOURS, "target": TARGETS[0].name}
        begin |= {"attention": "sdpa", "buckets": 4} | choices
        first = self._planned(**begin)
        begin |= {"task": first.task, "value": first.max_length}
        limit = LIMIT if traced is None else traced.contract.max_positions
        self.options: dict[str, list[Any]] = {
            "subject": [EMBEDDED, MINI] if traced is None else [YOURS, EMBEDDED, MINI],
            "task": list(facts()["tasks"]),
            "target": [target.name for target in TARGETS],
            "attention": ["sdpa", "eager"],
            "value": sorted({first.max_length, *max_lengths(lengths, limit)}),
            "buckets": list(range(1, max(MOST_BUCKETS, begin["buckets"]) + 1)),
        }
        for name in CONTROLS:
            setattr(self, name, begin[name])
        self.controls = {name: choice_control(self, name, *words) for name, words in CONTROLS.items()}
        self.note, self.numbers, self.sections = live_region(), HTML(), HTML()
        super().__init__(row(*self.controls.values()), self.note, self.numbers, self.sections)
        for name, control in self.controls.items():  # `link` would raise where a choice is taken back
            control.observe(lambda change, name=name: setattr(self, name, change.new), "value")
        self.observe(self._follow, list(CONTROLS))
        self._show(first)

    def __repr__(self) -> str:
        return "\n\n".join(filter(None, [self.note.value, str(self.plan)]))

    def _follow(self, change: Any) -> None:
        """Plan for a new choice; where that fails, say so and take the choice back."""
        self.controls[change.name].value = change.new
        self._announce("Tracing and looking through the graph…")
        try:
            self._show(self._planned(**{name: getattr(self, name) for name in CONTROLS}))
        except Exception as error:  # noqa: BLE001, a model that is traced may raise anything
            setattr(self, change.name, change.old)
            why = str(error) or type(error).__name__
            self._announce(f"With {change.name} {change.new} there is no plan; it is as it was: {why}")

    def _planned(self, subject: str, value: int | None = None, **choices: Any) -> Plan:
        sources = self.sources if subject == YOURS else self.sources | {"traced": None, "subject": subject}
        return plan(**sources, max_length=value, **choices)

    def _announce(self, note: str) -> None:
        self.note.layout.display = "" if note else "none"  # first: what is hidden is not said
        self.note.value = escape(note, quote=False)

    def _show(self, planned: Plan) -> None:
        self.plan = planned
        self.controls["attention"].disabled = self.subject == YOURS
        self.numbers.value = figures(planned.figures)
        findings, code, install = planned.sections.values()
        bodies = (
            "".join(finding._repr_html_() for finding in findings),
            "".join([f"<pre style='{CODE}'>", escape("\n".join(code)), "</pre>"]),
            "".join([f"<div style='{TEXT}'>", escape("\n".join(install)), "</div>"]),
        )
        parts = zip(map(escape, planned.sections), bodies, strict=True)
        self.sections.value = "".join(f"<p><b>{heading}</b></p>{body}" for heading, body in parts)
        self._announce("")
