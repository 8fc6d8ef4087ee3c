"""What an exercise is, and how an answer is judged. How to write one: `tsnb.checks`."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from reprlib import Repr
from textwrap import shorten
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from tsnb.base.words import say
from tsnb.practice.feedback import Feedback
from tsnb.practice.time_limit import TimeUp, limited

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from tsnb.practice.feedback import Kind

Facts = dict[str, Any]  # what was measured on an answer; fills the gaps of the sentences
Property = Callable[[Facts], bool]

PACKAGE = str(Path(__file__).parents[1])
LIBRARIES = (PACKAGE, *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
INTERPRETER = "The following operation failed in the TorchScript interpreter"
MOST_LETTERS = 200
SHORT = Repr()
SHORT.maxdict = SHORT.maxlist = SHORT.maxtuple = 6
SHORT.maxother = SHORT.maxstring = 60


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer with a sentence of its own.

    Attributes
    ----------
    key
        The sentence's name in the exercise's table of words.
    made
        Whether the facts show it.
    """

    key: str
    made: Property


@cache
def embedded() -> tuple[Any, Any]:
    """Return the embedded masked-language model, loaded with the flag, and its tokenizer."""
    from tsnb.models.load import load

    return load("tiny-bert", "masked-lm", torchscript=True)


def listed(names: Iterable[object]) -> str:
    """Return names side by side, for a gap in a sentence."""
    return ", ".join(map(str, names))


def given(answer: Any) -> Facts:
    """Return an answer as its only fact: for one that is a plain value."""
    return {"answer": answer}


def never(_: Facts) -> bool:
    """Return false: for an exercise whose blanks are all `...`."""
    return False


@dataclass(frozen=True)
class Exercise:
    """An exercise: what answers it takes, and how one is judged.

    Attributes
    ----------
    name
        Its name in `checks.check`, and of its table in `tsnb/words/exercises.en.toml`.
    notebook
        The number of its notebook, such as `"01"`.
    minutes
        What it takes a reader, about.
    fits
        Whether an answer has the form that can be judged.
    right
        Whether the facts are those of a right answer.
    measure
        Returns the facts about an answer. The reader's code runs in here, under the time limit.
    prepare
        Does, outside the limit, what `measure` needs and keeps: loading a model, for instance.
    mistakes
        The first one that was made is told.
    starter
        Whether the facts are those of the unchanged starter, where `...` does not show it.
    """

    name: str
    notebook: str
    minutes: int
    fits: Callable[[Any], bool]
    right: Property
    measure: Callable[[Any], Facts] = given
    prepare: Callable[[], object] = dict
    mistakes: tuple[Mistake, ...] = ()
    starter: Property = never

    @property
    def solution(self) -> str:
        """The file with the solution, from the folder of the notebooks."""
        return f"solutions/{self.notebook}_{self.name.replace('-', '_')}.py"

    def sentence(self, key: str, facts: Facts | None = None) -> str:
        """Return a sentence of this exercise with the facts filled in."""
        return say(f"exercise.{self.name}.{key}", **(facts or {}))

    def judge(self, answer: Any, limit: float) -> Feedback:
        """Return what there is to say about an answer; never raises because of it."""
        try:
            if is_blank(answer):
                return self._feedback("not-yet", text=self._untouched(answer))
            if not self.fits(answer):
                return self._feedback("type", text=self._other_type(answer))
            self.prepare()
            own_code = callable(answer)  # a function or a module; a plain value runs nothing
            facts = limited(lambda: self.measure(answer), limit) if own_code else self.measure(answer)
            return self._judged(facts)
        except TimeUp:
            return self._feedback(
                "time",
                text=(
                    f"Your code was still running after {limit:g} s, so it was stopped. Is there a "
                    "loop that never ends?"
                ),
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever it raises is told
            return self._raised(answer, error)

    def _judged(self, facts: Facts) -> Feedback:
        if is_blank(facts) or self.starter(facts):
            return self._feedback("not-yet", facts=facts)
        for mistake in self.mistakes:
            if mistake.made(facts):
                return self._feedback("mistake", mistake.key, facts)
        return self._feedback("done" if self.right(facts) else "wrong", facts=facts)

    def _feedback(
        self, kind: Kind, mistake: str | None = None, facts: Facts | None = None, text: str = ""
    ) -> Feedback:
        text = text or self.sentence(mistake or kind, facts)
        return Feedback(self.name, kind, mistake, text, self.sentence("title"), self.solution)

    def _untouched(self, answer: Any) -> str:
        """Return what to say of a `...` where code is wanted: nothing was measured to tell of."""
        if answer is not ... or self.starter is never:
            return ""
        return f"This exercise takes {self.sentence('takes')}. Put yours in place of `...`."

    def _other_type(self, answer: Any) -> str:
        return f"This exercise takes {self.sentence('takes')}. You gave {short(answer)}."

    def _raised(self, answer: Any, error: BaseException) -> Feedback:
        """Tell an error with the reader's own line; without one, the answer cannot be judged."""
        line = own_line(error.__traceback__)
        why = ": ".join(filter(None, (type(error).__name__, short_text(str(error)))))
        why += "" if why.endswith((".", "!", "?", "…")) else "."
        if line:
            return self._feedback("raises", text=f"{why} In your line: `{line}`")
        if callable(answer):
            told = (
                f"The check could not go on with what came back: {why} This exercise takes "
                f"{self.sentence('takes')}."
            )
            return self._feedback("type", text=told)
        return self._feedback("type", text=self._other_type(answer))


def is_blank(answer: Any) -> bool:
    """Return whether there is still a `...` to fill in.

    >>> is_blank({"tied": True, "untied": ...}), is_blank({"tied": True})
    (True, False)
    """
    if isinstance(answer, (Mapping, list, tuple, set)):
        return any(map(is_blank, answer.values() if isinstance(answer, Mapping) else answer))
    return answer is ...


def short(answer: Any) -> str:
    """Return an answer's type and its beginning.

    >>> short([1, 2])
    'a list, [1, 2]'
    """
    try:
        shown = SHORT.repr(answer)
    except Exception:  # noqa: BLE001, a class of the reader's own may fail to print itself
        shown = "?"
    return f"a {type(answer).__name__}, {shown}"


def short_text(text: str) -> str:
    """Return the line of a message that says what happened; of TorchScript's, it is the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return shorten(lines[-1 if lines[0].startswith(INTERPRETER) else 0], MOST_LETTERS)


def own_line(trace: TracebackType | None) -> str:
    """Return the last line of a traceback that is neither this package's nor a library's."""
    places = [(frame.f_code.co_filename, number) for frame, number in walk_tb(trace)]
    own = [place for place in places if not place[0].startswith((*LIBRARIES, "<", sys.prefix))]
    return linecache.getline(*own[-1]).strip() if own else ""
