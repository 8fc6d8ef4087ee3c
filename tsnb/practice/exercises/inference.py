"""The exercises of notebook 04. How to write one: `tsnb.checks`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import tsnb
from tsnb.practice.exercises.base import Outcome, call, embedded, first_of, fits, listed
from tsnb.tiny_bert import corpus
from tsnb.tracing.compare import TOLERANCE

if TYPE_CHECKING:
    Pair = tuple[str, str]
    Filled = tuple[str, float]

WORKED = "yes , Karl [MASK] worked at the school in Rome"
BATCHES: tuple[tuple[Pair, ...], ...] = (
    (
        ("Who was Jim Henson ?", "Jim [MASK] was a puppeteer"),
        ("Where was Nora Gray born ?", "[MASK] Gray was born in Oslo"),
        ("Did Karl West work at the school ?", WORKED),
    ),
    (
        ("Did Karl West work at the school ? Karl West was a painter . He was born in Rome .", WORKED),
        ("Who was Jim Henson ?", "[MASK] Henson"),
        ("Where was Nora ?", "[MASK]"),
    ),
    (("Where was Karl West born ?", "Karl [MASK] was born in Rome"),),
)
SIX = (5, 30, 8, 6, 24, 7)  # tokens of six texts, in the order of arrival
ROUNDING = 0.006  # a share may be given with two decimals
SHARE = 6e-4  # of a probability, which may be given with three
MOST_PADDING, MOST_BATCHES = 0.10, 1.5
READING = 1e-6  # seconds that a look at the clock takes, so that no loop waits for ever
SECONDS = {"eager": 0.30, "trace": 0.24, "planned": 0.12, "rounded": 0.06, "half": 0.05}  # of a call
ERRORS = {"eager": 0.0, "trace": 3e-6, "planned": 5e-6, "rounded": -0.02, "half": math.nan}  # of its last score
EFFECTS = {  # what a race has to withstand, by the mistake of one that does not
    "wrong": {},
    "first-calls": {"first": 2.0},
    "no-turns": {"warming": 0.04},
    "mean": {"disturbance": 1.0},
}
CLOSE = 0.1  # of a ratio of times


def fill_batch(answer: Any) -> Outcome:
    """Let the reader read each batch; compare with the texts alone, and with what each mistake gives."""
    results = [call(answer, _trace(), list(batch)) for batch in BATCHES]
    answers = [(word.strip(), float(share)) for result in results for word, share in result]
    texts, alone = [" ".join(pair) for batch in BATCHES for pair in batch], readings()["done"]
    if [*map(len, results)] != [*map(len, BATCHES)]:
        raise ValueError(f"{len(answers)} answers for {len(texts)} texts")
    distances = [*map(gap, answers, alone)]
    furthest = distances.index(max(distances))
    like = {
        name: all(distance <= SHARE for distance in map(gap, answers, filled)) for name, filled in readings().items()
    }
    counts = {"right": sum(distance <= SHARE for distance in distances), "count": len(texts)}
    mine, own = ("{} ({:.3f})".format(*filled[furthest]) for filled in (answers, alone))
    return Outcome(first_of(like, "wrong"), text=texts[furthest], answer=mine, alone=own, **counts)


@cache
def readings() -> dict[str, list[Filled]]:
    """Return what each way to read gives for all batches; `done` is what each text gives alone."""
    return {
        "done": [filled for batch in BATCHES for pair in batch for filled in _read([pair])],
        "all-ones": [filled for batch in BATCHES for filled in _read(batch, hide=False)],
        "first-row": [filled for batch in BATCHES for filled in _read(batch, own=False)],
        "not-yet": [filled for batch in BATCHES for filled in _read(batch, hide=False, own=False)],
    }


def _read(pairs: Sequence[Pair], *, hide: bool = True, own: bool = True) -> list[Filled]:
    """Fill in a padded batch: with its mask or with ones, at each row's own [MASK] or at the first one's."""
    tokenizer = embedded()[1]
    batch = tokenizer(list(pairs), padding=True, return_tensors="pt")
    if not hide:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits = _trace()(**batch)["logits"]
    blanks = [row.index(tokenizer.mask_token_id) for row in batch["input_ids"].tolist()]
    rows = torch.arange(len(blanks))
    best = logits[rows, blanks if own else blanks[:1] * len(blanks)].softmax(-1).max(-1)
    return list(zip(map(tokenizer.decode, best.indices), best.values.tolist(), strict=True))


def gap(first: Filled, second: Filled) -> float:
    """Return how far two probabilities are apart; infinite for two words."""
    return abs(first[1] - second[1]) if first[0] == second[0] else math.inf


@cache
def _trace() -> tsnb.Traced:
    model, tokenizer = embedded()
    return tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))


def count_padding(answer: Any) -> Outcome:
    """Compare three numbers with what batches of six texts compute."""
    real, longest = sum(SIX), len(SIX) * max(SIX)
    truth = {"longest": longest, "sorted": _of_threes(sorted(SIX)), "padding": 1 - real / longest}
    fits(isinstance(answer, dict) and set(answer) == set(truth))
    wrong = [name for name, number in truth.items() if not abs(answer[name] - number) < ROUNDING]
    mistakes = {
        "tokens-only": real in {answer["longest"], answer["sorted"]},
        "arrival": answer["sorted"] == _of_threes(SIX),
    }
    counts = {"right": len(truth) - len(wrong), "count": len(truth), "named": listed(f"`{name}`" for name in wrong)}
    shares = {"first": truth["padding"], "second": 1 - real / truth["sorted"]}
    return Outcome(first_of(mistakes, "wrong" if wrong else "done"), real=real, **counts, **shares)


def _of_threes(lengths: Sequence[int]) -> int:
    """Return the tokens, padding included, of batches of three rows, taken in this order."""
    batches = [lengths[start : start + 3] for start in range(0, len(lengths), 3)]
    return sum(len(batch) * max(batch) for batch in batches)


def plan_batches(answer: Any) -> Outcome:
    """Let the reader plan several sets of lengths; the first plan that is not right decides."""
    outcomes = [_planned(answer, *task) for task in _tasks()]
    return next((outcome for outcome in outcomes if outcome.name != "done"), outcomes[0])


def _planned(answer: Any, lengths: list[int], max_tokens: int) -> Outcome:
    batches = [[int(index) for index in batch] for batch in call(answer, list(lengths), max_tokens)]
    if sorted(chain(*batches)) != [*range(len(lengths))] or not all(batches):
        return Outcome("not-once", texts=len(lengths))
    rows = [[lengths[index] for index in batch] for batch in batches]
    tokens = [len(row) * max(row) for row in rows]
    largest = rows[tokens.index(max(tokens))]
    padding = 1 - sum(lengths) / sum(tokens)
    most = math.ceil(MOST_BATCHES * sum(lengths) / max_tokens)
    conditions = {
        "not-yet": len(batches) == len(lengths) > 1,
        "real-tokens": max(tokens) > max_tokens >= max(map(sum, rows)),
        "wrong": max(tokens) > max_tokens,
        "padding": padding > MOST_PADDING,
        "many-batches": len(batches) > most,
    }
    plan = {"texts": len(lengths), "batches": len(batches), "most": most, "max_tokens": max_tokens, "padding": padding}
    batch = {"rows": len(largest), "longest": max(largest), "real": sum(largest), "tokens": f"{max(tokens):,}"}
    return Outcome(first_of(conditions, "done"), **plan, **batch)


@cache
def _tasks() -> tuple[tuple[list[int], int], ...]:
    """Return several sets of lengths, each with a maximum of tokens that its longest text fits in."""
    lengths: list[int] = tsnb.token_lengths(embedded()[1], corpus.texts(1000)).tolist()
    return (lengths, 512), (lengths[:250], 256), ([12] * 40, 100), ([7], 7)


def mend_race(answer: Any) -> Outcome:
    """Let the reader race on simulated machines, each with one thing that may fool a benchmark."""
    same = {name for name, error in ERRORS.items() if abs(error) <= TOLERANCE}
    meant = {name: SECONDS[name] / SECONDS["eager"] for name in same}
    outcomes, timed = {}, set()
    for mistake, effect in EFFECTS.items():
        seconds = call(answer, *machine(**effect))
        timed = {name for name, time in seconds.items() if time is not None}
        if not timed >= same:
            break
        ratios = {name: seconds[name] / seconds["eager"] for name in same}
        worst = max(same, key=lambda name: abs(ratios[name] / meant[name] - 1))
        if not abs(ratios[worst] / meant[worst] - 1) <= CLOSE:
            outcomes[mistake] = Outcome(mistake, worst=worst, ratio=ratios[worst], meant=meant[worst])
    if "rounded" in timed and outcomes.keys() >= EFFECTS.keys() - {"wrong"}:
        return Outcome("not-yet")
    if timed != same:
        return Outcome("kept", kept=listed(sorted(timed)) or "nothing")
    return next(iter(outcomes.values()), Outcome("done"))


def machine(
    first: float = 0.0, warming: float = 0.0, disturbance: float = 0.0
) -> tuple[Mapping[str, Callable[[Sequence[str]], Tensor]], list[str], Callable[[], float]]:
    """Return candidates, texts, and a clock that moves only while a candidate runs.

    Parameters
    ----------
    first
        Seconds that each of the first two calls of a candidate takes more, but for `eager`.
    warming
        How much slower, as a share, each call is than the one before.
    disturbance
        Seconds that every fifth call takes more.

    >>> candidates, texts, clock = machine(first=2.0)
    >>> start = clock()
    >>> scores = candidates["trace"](texts)
    >>> round(clock() - start, 2)
    2.24
    """
    now, calls = 0.0, Counter[str]()

    def clock() -> float:
        nonlocal now
        now += READING
        return now

    def candidate(name: str) -> Callable[[Sequence[str]], Tensor]:
        def run(texts: Sequence[str]) -> Tensor:
            nonlocal now
            now += SECONDS[name] * (1 + warming * calls.total())
            now += first if calls[name] < 2 and name != "eager" else 0  # noqa: PLR2004, it watches, then compiles
            now += disturbance if calls.total() % 5 == 4 else 0  # noqa: PLR2004, every fifth
            calls[name] += 1
            scores = torch.linspace(0.1, 0.9, max(len(texts), 1))
            scores[-1] += ERRORS[name]
            return scores

        return run

    return {name: candidate(name) for name in SECONDS}, ["one text", "and another one"], clock
