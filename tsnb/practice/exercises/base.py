"""What an exercise is, and how an answer is judged. How to write one: `tsnb.checks`."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from reprlib import Repr
from textwrap import shorten
from traceback import walk_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["done", "not-yet", "mistake", "wrong", "type", "raises", "stopped"]

PACKAGE = str(Path(__file__).parents[2])
LIBRARIES = (PACKAGE, *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
INTERPRETER = "The following operation failed in the TorchScript interpreter"
MOST_LETTERS = 200
SHORT = Repr()
SHORT.maxdict = SHORT.maxlist = SHORT.maxtuple = 6
SHORT.maxother = SHORT.maxstring = 60


class Outcome:
    """`"done"`, `"wrong"`, `"not-yet"` or a mistake's name, and values for its sentence."""

    def __init__(self, name: str, /, **values: object) -> None:
        self.name, self.values = name, values


class Judgement(NamedTuple):
    """A kind, the name of the mistake or nothing, and the sentences."""

    kind: Kind
    mistake: str
    text: str


class UnfitError(Exception):
    """The answer has not the form that the exercise takes."""


class BlankError(Exception):
    """The reader's function returned the `...` of the unchanged starter."""


@dataclass(frozen=True)
class Exercise:
    """An exercise: its texts, and the function that judges an answer.

    Attributes
    ----------
    name
        Its name in `checks.check`. The function of this name, with underscores, judges an answer.
    notebook
        The number of its notebook, such as `"01"`.
    module
        Where the function is; imported with the first answer, since it needs torch.
    text
        `title`, `minutes`, `skill`, `takes`, the sentences `not-yet`, `hint-1`, `hint-2`, `done` and
        `wrong`, and `mistakes`, a sentence for each.
    """

    name: str
    notebook: str
    module: str
    text: Mapping[str, Any] = field(repr=False)

    @property
    def title(self) -> str:
        """What stands in the notebook's heading."""
        return str(self.text["title"])

    @property
    def solution(self) -> str:
        """The file with the solution, from the folder of the notebooks."""
        return f"solutions/{self.notebook}_{self.name.replace('-', '_')}.py"

    def sentence(self, name: str, /, **values: object) -> str:
        """Return a sentence of this exercise with its values filled in."""
        text = self.text[name] if name in self.text else self.text["mistakes"][name]
        return " ".join(text.split()).format(**values)

    def judge(self, answer: Any) -> Judgement:  # noqa: PLR0911, a return for each way in which it may end
        """Judge an answer; never raises because of it, nor where the reader stops it."""
        takes = f"This exercise takes {self.sentence('takes')}."
        unfit = f"{takes} You gave {short(answer)}."
        try:
            if answer is ...:
                return Judgement("not-yet", "", f"{takes} Put yours in place of `...`.")
            if is_blank(answer):
                return Judgement("not-yet", "", self.sentence("not-yet"))
            outcome = getattr(import_module(self.module), self.name.replace("-", "_"))(answer)
        except BlankError:
            return Judgement("not-yet", "", self.sentence("not-yet"))
        except UnfitError:
            return Judgement("type", "", unfit)
        except KeyboardInterrupt:
            stopped = "The check was stopped before it was done. Does your code have a loop that never ends?"
            return Judgement("stopped", "", stopped)
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever the answer raises is shown
            message = ": ".join(filter(None, (type(error).__name__, short_text(str(error)))))
            message += "" if message.endswith((".", "!", "?", "…")) else "."
            if line := own_line(error.__traceback__):
                return Judgement("raises", "", f"{message} In your line: `{line}`")
            unusable = f"The check could not go on with what came back: {message} {takes}"
            return Judgement("type", "", unusable if callable(answer) else unfit)
        known = outcome.name in self.text["mistakes"]
        kind: Any = "mistake" if known else outcome.name
        sentence = self.sentence(outcome.name, **outcome.values)
        return Judgement(kind, outcome.name if known else "", sentence)


# What the functions that judge share


@cache
def embedded() -> tuple[Any, Any]:
    """Return the embedded masked-language model, untied and with tuples as output, and its tokenizer."""
    from tsnb import load
    from tsnb.base.versions import FlagWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlagWarning)  # the reader did not ask for the flag here
        return load("tiny-bert", "masked-lm", torchscript=True)


def fits(form: object) -> None:
    """Go on where an answer has the form that the exercise takes.

    Raises
    ------
    UnfitError
        It has not.
    """
    if not form:
        raise UnfitError


def call(answer: Any, *arguments: Any) -> Any:
    """Call the reader's function, and return what it returns.

    Raises
    ------
    UnfitError
        The answer cannot be called.
    BlankError
        There is a `...` in what it returns.
    """
    fits(callable(answer))
    result = answer(*arguments)
    if is_blank(result):
        raise BlankError
    return result


def first_of(conditions: Mapping[str, object], otherwise: str) -> str:
    """Return the first name whose condition holds.

    >>> first_of({"too-long": False, "too-short": True}, "done")
    'too-short'
    """
    return next((name for name, holds in conditions.items() if holds), otherwise)


def compare_guesses(
    answer: Any, truth: Mapping[Any, object], choices: Collection[object], mistakes: Mapping[Any, str]
) -> Outcome:
    """Compare a dict of guesses with what was measured; `mistakes` names some wrong pairs of key and guess.

    >>> compare_guesses({"half": True}, {"half": False}, (True, False), {}).values["named"]
    '`half`'
    """
    fits(isinstance(answer, dict) and set(answer) == set(truth))
    fits(all(guess in choices for guess in answer.values()))
    wrong = [(key, answer[key]) for key in truth if answer[key] != truth[key]]
    named = (name for pair, name in mistakes.items() if pair in wrong)
    name = next(named, "wrong" if wrong else "done")
    counts = {"right": len(truth) - len(wrong), "count": len(truth)}
    return Outcome(name, named=listed(f"`{key}`" for key, _ in wrong), **counts)


def distance(first: Tensor, second: Tensor) -> float:
    """Return the largest difference of two tensors."""
    return float((first - second).detach().abs().max())


def listed(names: Iterable[object]) -> str:
    """Return names side by side."""
    return ", ".join(map(str, names))


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
    return f"a {type(answer).__name__}, {SHORT.repr(answer)}"


def short_text(text: str) -> str:
    """Return the line of a message that says what happened; of TorchScript's, it is the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return shorten(lines[-1 if lines[0].startswith(INTERPRETER) else 0], MOST_LETTERS)


def own_line(trace: TracebackType | None) -> str:
    """Return the last line of a traceback that is neither this package's nor a library's."""
    places = [(frame.f_code.co_filename, number) for frame, number in walk_tb(trace)]
    own = [place for place in places if not place[0].startswith((*LIBRARIES, "<", sys.prefix))]
    return linecache.getline(*own[-1]).strip() if own else ""
