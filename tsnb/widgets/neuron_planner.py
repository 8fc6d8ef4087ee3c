"""The Neuron planner: what a generation of Neuron makes of a model, and the code for it.

Taught in notebook 05.
"""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Dropdown, Layout
from traitlets import Any as AnyTrait
from traitlets import dlink, validate

from tsnb.base.words import say
from tsnb.neuron.findings import paragraph
from tsnb.widgets.base import LABELS, MONO, View, figures, live_region, row
from tsnb.widgets.neuron_planner_state import CHOICES, YOURS, NeuronPlannerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn
    from traitlets import HasTraits

    from tsnb.lengths.lengths import Lengths
    from tsnb.tracing.traced import Traced
    from tsnb.widgets.neuron_planner_state import Plan

CHANGED = {"+": "rgba(0, 158, 115, 0.25)", "-": "rgba(213, 94, 0, 0.25)"}
HANGING = "padding-left: 6ch; text-indent: -6ch"  # what a narrow page breaks off is set in
WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere"
CODE = f"{MONO}; margin: 0; padding: 4px 0; line-height: 1.4; {WRAPPED}"


class NeuronPlanner(View):
    """Choose a model, a task, a generation and lengths; read what would stop you, and the code.

    Every choice is a trait that later cells read; nothing waits for a choice, and nothing is
    compiled. A change that needs another trace takes a few seconds; where there is no plan for it,
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
        `subject`, `task`, `target`, `attention`, `value` and `buckets` to begin with; see
        `tsnb.widgets.neuron_planner_state.NeuronPlannerState`.

    Attributes
    ----------
    subject, task, target, attention, value, buckets
        Traits: what is chosen.
    plan
        A trait that follows the choices: a `Plan` with `report`, `edges`, `code` and more.

    Raises
    ------
    InputError
        A choice that is none, no lengths, or what is no trace or no model.
    NeuronError
        What `tsnb.neuron.preflight` says of the reader's trace.

    Examples
    --------
    >>> planner = NeuronPlanner(lengths=[5, 9, 12, 30], buckets=2, attention="eager")
    >>> planner.plan.edges, planner.plan.report.ok
    ((12, 30), True)
    >>> planner.plan.code.splitlines()[-2]
    'traced = torch_neuron.trace(model, example)'

    Taught in notebook 05.
    """

    state: NeuronPlannerState
    subject = AnyTrait()  # each is checked by the state
    task = AnyTrait()
    target = AnyTrait()
    attention = AnyTrait()
    value = AnyTrait()
    buckets = AnyTrait()
    plan = AnyTrait()

    def __init__(
        self,
        traced: Traced | None = None,
        model: nn.Module | None = None,
        lengths: Lengths | None = None,
        **choices: Any,
    ) -> None:
        state = NeuronPlannerState(traced, model, lengths, **choices)
        self.controls = {name: _control(name, state) for name in CHOICES}
        self.numbers, self.findings, self.code, self.install = HTML(), HTML(), HTML(), HTML()
        self.note = live_region()
        parts = self.note, self.numbers, self.findings, self.code, self.install
        super().__init__(state, row(*self.controls.values()), *parts)
        self._join()
        self._tell()
        self.draw()

    def draw(self) -> None:
        """Bring everything to what the plan is now."""
        plan: Plan = self.state.plan
        heads = plan.heads()
        self.numbers.value = figures(plan.figures())
        findings = "".join(finding.to_html() for finding in plan.findings)
        self.findings.value = _part(heads["findings"], findings)
        self.code.value = _part(heads["code"], _diff(plan.diff))
        self.install.value = _part(heads["install"], "".join(map(paragraph, plan.install)))
        self.controls["attention"].disabled = self.state.subject == YOURS

    @validate(*CHOICES)  # type: ignore[untyped-decorator]
    def _possible(self, proposal: Any) -> Any:
        return self.state.check(proposal.trait.name, proposal.value)

    def _join(self) -> None:
        """Let controls, traits and state follow each other, and the view the plan."""
        for name in CHOICES:
            _mirror(self.state, name, self, name)
            _mirror(self.state, name, self.controls[name], "value")
        dlink((self.state, "plan"), (self, "plan"))
        self.state.observe(lambda _: self.draw(), "plan")
        self.state.observe(lambda _: self._tell(), ["busy", "note"])

    def _tell(self) -> None:
        """Say that a model is being traced, which takes seconds, or why a choice went back."""
        text = "Tracing and looking through the graph…" if self.state.busy else self.state.note
        self.note.layout.display = "" if text else "none"  # first: what is hidden is not said
        self.note.value = paragraph(text) if text else ""


def _mirror(first: HasTraits, name: str, second: HasTraits, other: str) -> None:
    """Keep two traits equal; unlike `link`, also where setting one sets it back at once."""
    _copy(first, name, second, other, None)
    first.observe(partial(_copy, first, name, second, other), name)
    second.observe(partial(_copy, second, other, first, name), other)


def _copy(source: HasTraits, name: str, target: HasTraits, other: str, _: object) -> None:
    setattr(target, other, getattr(source, name))


def _control(name: str, state: NeuronPlannerState) -> Dropdown:
    words = {YOURS: "your trace"}
    return Dropdown(
        options=[(_label(name, held, words), held) for held in state.options[name]],
        value=getattr(state, name),
        description=say(f"planner.control-{name}"),
        tooltip=say(f"planner.tooltip-{name}"),
        style=LABELS,
        layout=Layout(width="max-content"),
    )


def _label(name: str, held: Any, words: dict[str, str]) -> str:
    if name == "value":
        return f"{held:,} tokens"
    return words.get(held, str(held))


def _part(head: str, inside: str) -> str:
    return f"<div style='margin-top: 4px'><b>{escape(head)}</b>{inside}</div>"


def _diff(lines: Iterable[str]) -> str:
    """Return the lines of both programs, with a colour beside each sign."""
    rows = (
        f"<div style='{HANGING}; background: {CHANGED.get(line[0], 'none')}'>{escape(line) or ' '}</div>"
        for line in lines
    )
    return f"<pre style='{CODE}; color: inherit; background: none'>{''.join(rows)}</pre>"
