"""How a model's architecture and its task fit a generation. Taught in notebook 05."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsnb.base.errors import NeuronError, suggest
from tsnb.base.words import say
from tsnb.neuron.findings import Finding
from tsnb.neuron.targets import facts, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from tsnb.neuron.checks import Case
    from tsnb.neuron.findings import Kind

SUITED = ("question-answering", "sequence-classification", "token-classification")
WRITING = ("causal-lm", "seq2seq-lm")
KINDS: dict[str, Kind] = {"supported": "ok", "no": "blocker"}  # everything else: attention


def architecture(case: Case) -> Iterator[Finding]:
    """Look the kind of model up in AWS's table of May 2023, which is historical."""
    kind = getattr(getattr(case.model, "config", None), "model_type", "")
    row = family(kind)
    rated = row.get(case.target.name, "unlisted" if kind else "unknown")
    why = say(
        f"fit.why-{rated}",
        kind=kind,
        family=say(f"fit.family-{row['family']}") if row else "",
        named=", ".join(row.get("named", ())),
        target=case.target.name,
    )
    if kind in row.get("like", ()):
        why = f"{why} {say('fit.like', kind=kind)}"
    todo = "" if rated == "supported" else say(f"fit.do-{rated}", runs_on=case.target.runs_on)
    yield Finding(
        KINDS.get(rated, "attention"),
        "architecture",
        why,
        todo,
        "AWS's table of May 2023; its page was deleted in 2024",
    )


def family(kind: str) -> dict[str, Any]:
    """Return the row of AWS's table for a `model_type`; empty where it has none.

    >>> family("electra")["family"], family("funnel")
    ('encoder', {})
    """
    rows = facts()["fit"]
    return next((row for row in rows if kind in (*row["named"], *row["like"])), {})


def task(case: Case) -> Iterator[Finding]:
    """Say whether the task is one of those that suit Inf1; AWS rates none for Inf2."""
    place = source("tasks")
    if not case.task:
        why, todo = "The task is unknown.", "Give task, such as question-answering, or the model."
        yield Finding("attention", "task", why, todo, place)
    elif case.task in WRITING:
        why, todo = (
            f"{case.task} writes text token by token, so that one graph is not enough.",
            "Trace encoder and decoder apart behind a wrapper, with a short maximum length.",
        )
        yield Finding("attention", "task", why, todo, place)
    elif case.target.name == "inf1" and case.task in SUITED:
        yield Finding(
            "ok", "task", f"{case.task} is one of the three tasks that suit Inf1 best.", source=place
        )
    else:
        yield Finding(
            "ok",
            "task",
            (f"{case.task} reads a text in one pass. AWS gives no rating of it for this generation."),
            source=place,
        )


def checked_task(given: str | None, model: nn.Module | None) -> str:
    """Return a task that is known: the given one, or what the class of a model is named for.

    Raises
    ------
    NeuronError
        A task that is not known; the near one is suggested.

    Examples
    --------
    >>> import tsnb
    >>> checked_task(None, tsnb.load("tiny-bert")[0])
    'masked-lm'
    """
    known: dict[str, list[str]] = facts()["tasks"]
    if given is not None and given not in known:
        raise NeuronError(f"There is no task called {given}. {suggest(str(given), known)}")
    name = type(model).__name__
    named = (task for task, ends in known.items() if name.endswith(tuple(ends)))
    return given or next(named, "")
