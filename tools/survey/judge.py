"""Judge classes: what `tsnb.trace` makes of each, and whether plain torch agrees.

As a program it reads names of classes and prints a row for each: `echo BertModel | python -m tools.survey.judge`.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

import tsnb
from tools.survey import plain
from tools.survey.factories import OWN, Candidate, Shape, candidates, example, make
from tsnb.models.load import quiet_transformers
from tsnb.tracing.compare import SYMBOLS, TOLERANCE, compare_on
from tsnb.tracing.contract import resolve
from tsnb.tracing.probe import probe_each
from tsnb.tracing.survey import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tensors = dict[str, torch.Tensor]

SECONDS = 120  # of a processor, for one class
RUNS = 4  # of the model alone, which show whether it is random
LONGEST = 240  # characters of a reason
SAME, WRONG, RAISES, UNSUPPORTED = SYMBOLS["same"], SYMBOLS["wrong"], SYMBOLS["raises"], SYMBOLS["unsupported"]
RANDOM, UNKNOWN = "~", "?"
GRAVITY = UNSUPPORTED + SAME + WRONG + RAISES + RANDOM
VARIANTS = {  # of the traced shape; each drawn more than once
    "values": [Shape(padded=False, seed=seed) for seed in (1, 2)],
    "padding": [Shape(seed=seed) for seed in (3, 4)],
    "batch": [Shape(batch=3, padded=padded, seed=5) for padded in (True, False)],
    "half": [Shape(part=0.5, padded=padded, seed=6) for padded in (True, False)],
    "shorter": [Shape(part=0.6875, padded=padded, seed=7) for padded in (True, False)],
    "longer": [Shape(part=1.5, padded=padded, seed=8) for padded in (True, False)],
}
TRACED, REFUSED, FALSELY, RAW, UNMADE = "traced", "refused", "refused falsely", "raw traceback", "not made"


class TimeUp(BaseException):
    """A class took too long; no `except Exception` on the way stops it."""


def faults(row: Row) -> list[str]:
    """Return what must not be: raw tracebacks, wrong numbers without a word, false refusals."""
    pairs = list(zip(row.plain, row.said, strict=True))
    found = {
        "raw traceback": row.outcome == RAW,
        "wrong without a word": any(found in WRONG + RAISES + RANDOM and said == SAME for found, said in pairs),
        "false refusal": row.outcome == FALSELY
        or any(found != UNSUPPORTED and said == UNSUPPORTED for found, said in pairs),
    }
    return [fault for fault, is_so in found.items() if is_so]


def judge(candidate: Candidate) -> Row:
    """Make a class, trace it, and judge it twice at each variant of its shape."""
    try:
        model = make(candidate)
        own = example(candidate, model)
        torch.manual_seed(RUNS)  # what is random is the same in every survey
        first, *others = [list(plain.run(model, own).values()) for _ in range(RUNS)]
    except Exception as error:  # noqa: BLE001, the reason why a class is not judged
        return row(candidate, UNMADE, reason=sentence(error))
    unsteady = max(plain.difference(first, other) for other in others)
    return judge_model(candidate, model, lambda shape: example(candidate, model, shape), unsteady)


def judge_model(candidate: Candidate, model: Any, draw: Callable[[Shape], Tensors], unsteady: float = 0.0) -> Row:
    """Judge a model on inputs drawn for each shape; `unsteady` says how far two runs of it are apart."""
    own = draw(OWN)
    try:
        with quiet() as caught:
            traced = tsnb.trace(model, own)
        says = words(traced, model, draw, [note.message for note in caught])
    except tsnb.TsnbError as error:
        truly = unsteady > plain.TOLERANCE or ("itself cannot run" not in str(error) and not plain.traces(model, own))
        return row(candidate, REFUSED if truly else FALSELY, reason=sentence(error))
    except Exception as error:  # noqa: BLE001, what a reader must not see
        return row(candidate, RAW, reason=sentence(error))
    results = [check(traced, model, [draw(shape) for shape in shapes]) for shapes in VARIANTS.values()]
    found = "".join(symbol for symbol, _ in results)
    reason = f"two runs of the model itself differ by {unsteady:.2g}" if unsteady > plain.TOLERANCE else ""
    if reason:
        found = found.replace(WRONG, RANDOM).replace(SAME, RANDOM)
    apart = max(apart for _, apart in results)
    return row(candidate, TRACED, found, says, float(f"{apart:.2g}"), reason)


def row(candidate: Candidate, outcome: str, *rest: Any, **others: Any) -> Row:
    """Return a row for a class on this line of transformers."""
    return Row(*candidate, transformers.__version__, outcome, *rest, **others)


def check(traced: tsnb.Traced, model: Any, draws: list[Tensors]) -> tuple[str, float]:
    """Run model and trace in plain torch; return the graver symbol and the largest difference.

    A copy of the model runs, because some remember: Swin of 4.57 cannot take its own size again after a smaller one.
    """
    symbols, largest, model = [UNSUPPORTED], 0.0, deepcopy(model)
    for inputs in draws:
        try:
            expected = plain.matching(plain.run(model, inputs), traced.contract.output_names)
        except Exception:  # noqa: BLE001, S112, the model itself cannot run it
            continue
        try:
            with torch.no_grad():
                output = traced.module(*(inputs[name] for name in traced.contract.input_names))
        except Exception:  # noqa: BLE001, whatever a trace raises
            symbols.append(RAISES)
            continue
        apart = plain.difference(expected, [tensor for _, tensor in plain.tensors(output)])
        symbols.append(SAME if apart <= plain.TOLERANCE else WRONG)
        largest = max(largest, apart)
    return max(symbols, key=GRAVITY.index), largest


def words(traced: tsnb.Traced, model: Any, draw: Callable[[Shape], Tensors], notes: list[Any]) -> str:
    """Return what tsnb says at each variant, as symbols.

    At the traced shape a trace that comes without a warning says that it is the same. Where a variant is a
    `(batch, length)` of the contract, the probe is asked; elsewhere what `verify=` asks, on the inputs themselves.
    """
    warned = " ".join(str(note) for note in notes if "not verified" in str(note))
    says = {"values": SAME, "padding": SAME}
    if warned:
        says = dict.fromkeys(says, UNKNOWN if "could not be compared" in warned else WRONG)
    for name in list(VARIANTS)[len(says) :]:
        draws = [draw(shape) for shape in VARIANTS[name]]
        pair = batch_and_length(traced.contract, draws[0])
        with quiet():
            if pair is not None:
                verdicts = [verdict for _, verdict in probe_each(traced, deepcopy(model), [pair])]
            else:
                copied = deepcopy(model)
                verdicts = [compare_on(traced, copied, inputs, TOLERANCE) for inputs in draws]
        symbol = max((verdict.symbol for verdict in verdicts), key=GRAVITY.index)
        says[name] = UNKNOWN if warned and symbol == SAME else symbol  # the map says that it is not verified
    return "".join(says.values())


def batch_and_length(contract: tsnb.Contract, inputs: Tensors) -> tuple[int, int] | None:
    """Return the pair that gives inputs their shapes by the axes of a contract, if there is one."""
    sizes = {
        axis: size
        for name, axes in contract.input_axes.items()
        for axis, size in zip(axes, inputs[name].shape, strict=True)
        if isinstance(axis, str)
    }
    if not sizes.keys() >= {"batch", "length"}:
        return None
    pair = sizes["batch"], sizes["length"]
    fits = all(resolve(axes, *pair) == tuple(inputs[name].shape) for name, axes in contract.input_axes.items())
    return pair if fits else None


def sentence(error: BaseException) -> str:
    """Return the beginning of what an error says, without paths of this machine."""
    text = " ".join(str(error).split()).replace(f"{Path(transformers.__path__[0]).parent}/", "")
    text = text if isinstance(error, tsnb.TsnbError) else f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


@contextmanager
def quiet() -> Iterator[list[Any]]:
    """Collect the warnings of the block, and keep transformers from printing."""
    with warnings.catch_warnings(record=True) as caught, quiet_transformers():
        warnings.simplefilter("always")
        yield caught


def time_up(*_: object) -> None:
    """End what takes too long."""
    raise TimeUp


def main() -> None:
    """Print a row for each class named on a line of the input; without any, what there is to judge."""
    answers, sys.stdout = sys.stdout, sys.stderr  # some models print
    torch.set_num_threads(1)
    known = {candidate.name: candidate for candidate in candidates()}
    if "--list" in sys.argv:
        print(json.dumps([torch.__version__, transformers.__version__, *known.values()]), file=answers)
        return
    signal.signal(signal.SIGPROF, time_up)
    for line in sys.stdin:
        candidate = known[line.strip()]
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            found = judge(candidate)
        except TimeUp:
            found = row(candidate, UNMADE, reason=f"it took more than {SECONDS} s of a processor")
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(found, ensure_ascii=False), file=answers, flush=True)


if __name__ == "__main__":
    main()
