"""The exercises of notebook 04. How to write one: `tsnb.checks`."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from tsnb.practice.exercises.base import Exercise, Facts, Mistake, embedded, is_blank, listed
from tsnb.practice.exercises.predictions import all_right, compared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from tsnb.practice.exercises.warm_machine import Machine
    from tsnb.tracing.traced import Traced

    Pair = tuple[str, str]
    Filled = tuple[str, float]
    Task = tuple[list[int], int]  # lengths, and the most places of a batch

PAIRS: tuple[tuple[Pair, ...], ...] = (
    (
        ("Who was Jim Henson ?", "Jim [MASK] was a puppeteer"),
        ("Where was Nora Gray born ?", "[MASK] Gray was born in Oslo"),
        ("Did Karl West work at the school ?", "yes , Karl [MASK] worked at the school in Rome"),
    ),
    (
        (
            "Did Karl West work at the school ? Karl West was a painter . He was born in Rome .",
            "yes , Karl [MASK] worked at the school in Rome",
        ),
        ("Who was Jim Henson ?", "[MASK] Henson"),
        ("Where was Nora ?", "[MASK]"),
    ),
    (("Where was Karl West born ?", "Karl [MASK] was born in Rome"),),
)
SIX = (5, 30, 8, 6, 24, 7)  # tokens of six texts, in the order of arrival
ROWS = 3
ROUNDING = 0.006  # a share may be given with two decimals
SHARE = 6e-4  # of a probability, which may be given with three
TOLERANCE = 1e-4
MOST_PADDING, MOST_BATCHES = 0.10, 1.5
SHOWN = 5  # indices that are named
WARM_UP = 2  # calls that TorchScript takes to watch and to compile
CLOSE, NEAR = 0.15, 3e-5  # of a ratio of times; of a time that is explained
TEXTS = ("one text", "and another one")
QUIZ = "acb"


# Mend the reader of a batch


@cache
def _trace() -> Traced:
    from tsnb import dummy_inputs, trace

    model, tokenizer = embedded()
    return trace(model, dummy_inputs(tokenizer, model, max_length=32))


def _read(pairs: Sequence[Pair], *, hide: bool = True, own: bool = True) -> list[Filled]:
    """Fill in a padded batch: with its mask or with ones, at each row's place or the first one's.

    Both false is what the starter does.
    """
    import torch

    tokenizer = embedded()[1]
    batch = tokenizer(list(pairs), padding=True, return_tensors="pt")
    if not hide:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits = _trace()(**batch)["logits"]
    places = [row.index(tokenizer.mask_token_id) for row in batch["input_ids"].tolist()]
    rows = torch.arange(len(places))
    best = logits[rows, places if own else places[:1] * len(places)].softmax(-1).max(-1)
    words = [tokenizer.decode(index) for index in best.indices]
    return list(zip(words, best.values.tolist(), strict=True))


@cache
def _readings() -> dict[str, list[Filled]]:
    """Return what each way to read gives for all batches; `alone` is what is meant."""
    return {
        "alone": [filled for batch in PAIRS for pair in batch for filled in _read([pair])],
        "ones": [filled for batch in PAIRS for filled in _read(batch, hide=False)],
        "first": [filled for batch in PAIRS for filled in _read(batch, own=False)],
        "starter": [filled for batch in PAIRS for filled in _read(batch, hide=False, own=False)],
    }


def _filled_in(answer: Callable[..., Any]) -> Facts:
    """Let the reader read each batch; note the calls of the trace."""
    calls: list[int] = []
    traced = _noting(calls)
    found = [answer(traced, list(batch)) for batch in PAIRS]
    if is_blank(found):
        return _as_alone(_readings()["starter"])
    for held, batch in zip(found, PAIRS, strict=True):
        if not isinstance(held, (list, tuple)) or not all(map(_is_filled, held)):
            return {"kind": _kind(held)}
        if len(held) != len(batch):
            return {"kind": "", "count": len(held), "expected": len(batch)}
    words = [(str(word).strip(), float(share)) for held in found for word, share in held]
    facts = _as_alone(words) | {"calls": len(calls), "fewest": len(PAIRS)}
    return facts | {"scores": any(share < 0 or share > 1 for _, share in words)}


def _noting(calls: list[int]) -> Traced:
    """Return the trace, which notes the rows of each call."""
    traced = _trace()
    module: Any = traced.module

    def noted(*given: Tensor, **named: Tensor) -> Any:
        calls.append(len(next(iter([*given, *named.values()]))))
        return module(*given, **named)

    return replace(traced, module=cast("Any", noted))


def _is_filled(held: Any) -> bool:
    """Return whether this is a word and a number."""
    if not (isinstance(held, (list, tuple)) and len(held) == len(("word", "share"))):
        return False
    return isinstance(held[0], str) and (isinstance(held[1], Real) or hasattr(held[1], "item"))


def _kind(found: Any) -> str:
    """Return the type of what came back, and of its first parts."""
    kind = type(found).__name__
    if not (isinstance(found, (list, tuple, dict)) and found):
        return kind
    parts = list(found.values()) if isinstance(found, dict) else list(found)
    held = parts if isinstance(found, tuple) else parts[:1]
    return f"{kind} of {' and '.join(map(_kind, held))}"


def _as_alone(found: list[Filled]) -> Facts:
    """Compare words and probabilities with each way to read; name the text that is furthest off."""
    readings = _readings()
    gaps = [_gap(*both) for both in zip(found, readings["alone"], strict=True)]
    furthest = gaps.index(max(gaps))
    texts = [" ".join(pair) for batch in PAIRS for pair in batch]
    like = [name for name, meant in readings.items() if _agree(found, meant)]
    return {
        "kind": "",
        "count": len(texts),
        "expected": len(texts),
        "like": like,
        "text": texts[furthest],
        "found": _shown(found[furthest]),
        "alone": _shown(readings["alone"][furthest]),
        "right": sum(gap <= SHARE for gap in gaps),
        "mixed": sorted(found) != found and _agree(sorted(found), sorted(readings["alone"])),
    }


def _gap(found: Filled, meant: Filled) -> float:
    """Return how far two probabilities are apart; infinite for two words."""
    gap = abs(found[1] - meant[1]) if found[0] == meant[0] else math.inf
    return math.inf if math.isnan(gap) else gap


def _agree(found: list[Filled], meant: list[Filled]) -> bool:
    return all(_gap(*both) <= SHARE for both in zip(found, meant, strict=True))


def _shown(filled: Filled) -> str:
    return f"{filled[0]} ({filled[1]:.3f})"


FILL_BATCH = Exercise(
    name="fill-batch",
    notebook="04",
    minutes=4,
    fits=callable,
    prepare=_readings,
    measure=_filled_in,
    starter=lambda facts: facts.get("like") == ["starter"],
    mistakes=(
        Mistake("no-pairs", lambda facts: facts["kind"]),
        Mistake("other-count", lambda facts: facts["count"] != facts["expected"]),
        Mistake("first-row", lambda facts: "first" in facts["like"]),
        Mistake("all-ones", lambda facts: "ones" in facts["like"]),
        Mistake(
            "row-a-call",
            lambda facts: "alone" in facts["like"] and facts["calls"] > facts["fewest"],
        ),
        Mistake("no-call", lambda facts: "alone" in facts["like"] and not facts["calls"]),
        Mistake("no-probability", lambda facts: facts["scores"]),
        Mistake("other-order", lambda facts: "alone" not in facts["like"] and facts["mixed"]),
    ),
    right=lambda facts: "alone" in facts["like"],
)


# Count the padding


def _places(lengths: Sequence[int]) -> int:
    """Return the places of batches of three rows, taken in this order."""
    parts = [lengths[start : start + ROWS] for start in range(0, len(lengths), ROWS)]
    return sum(len(part) * max(part) for part in parts)


def _six() -> dict[str, Any]:
    longest, real = len(SIX) * max(SIX), sum(SIX)
    return {"longest": longest, "sorted": _places(sorted(SIX)), "padding": 1 - real / longest}


def _padding_counted(answer: Mapping[str, Any]) -> Facts:
    truth, real = _six(), sum(SIX)
    said = {name: float(answer[name]) for name in truth}
    ratio = truth["longest"] / real
    close = {name: abs(said[name] - truth[name]) < ROUNDING for name in truth}
    facts = said | compared(close, dict.fromkeys(truth, True))
    return facts | {
        "real": real,
        "tokens_only": real in {said["longest"], said["sorted"]},
        "padding_only": said["longest"] == truth["longest"] - real,
        "one_length": said["sorted"] == truth["longest"],
        "arrival": said["sorted"] == _places(SIX),
        "percent": abs(said["padding"] - 100 * truth["padding"]) < 100 * ROUNDING,
        "of_tokens": abs(said["padding"] - (ratio - 1)) < ROUNDING,
        "real_share": abs(said["padding"] - 1 / ratio) < ROUNDING,
        "of_sorted": abs(said["padding"] - (1 - real / truth["sorted"])) < ROUNDING,
        "places": said["padding"] == truth["longest"] - real,
        "shown": f"{truth['longest']:g} and {truth['sorted']:g}",
        "first": f"{truth['padding']:.0%}",
        "second": f"{1 - real / truth['sorted']:.0%}",
    }


def _are_numbers(answer: Any) -> bool:
    if not (isinstance(answer, dict) and set(answer) == set(_six())):
        return False
    return all(isinstance(held, Real) and not isinstance(held, bool) for held in answer.values())


COUNT_PADDING = Exercise(
    name="count-padding",
    notebook="04",
    minutes=2,
    fits=_are_numbers,
    measure=_padding_counted,
    mistakes=(
        Mistake("tokens-only", lambda facts: facts["tokens_only"]),
        Mistake("padding-only", lambda facts: facts["padding_only"]),
        Mistake("one-length", lambda facts: facts["one_length"]),
        Mistake("arrival", lambda facts: facts["arrival"]),
        Mistake("percent", lambda facts: facts["percent"]),
        Mistake("of-tokens", lambda facts: facts["of_tokens"]),
        Mistake("real-share", lambda facts: facts["real_share"]),
        Mistake("of-sorted", lambda facts: facts["of_sorted"]),
        Mistake("no-share", lambda facts: facts["places"]),
    ),
    right=all_right,
)


# Plan your own batches


@cache
def _tasks() -> tuple[Task, ...]:
    """Return several sets of lengths, each with a budget that its longest text fits in."""
    from tsnb import token_lengths
    from tsnb.tiny_bert import corpus

    lengths: list[int] = token_lengths(embedded()[1], corpus.texts(1000)).tolist()
    drawn = random.Random(4)
    long_tail = [max(3, min(int(drawn.lognormvariate(3, 0.8)), 200)) for _ in range(400)]
    return (lengths, 512), (lengths[:250], 256), (long_tail, 400), ([12] * 40, 100), ([7], 7)


def _planned(answer: Callable[..., Any]) -> Facts:
    """Let the reader plan each set; return the facts of the first that is not right."""
    first: Facts = {}
    for lengths, budget in _tasks():
        given = list(lengths)
        found = answer(given, budget)
        if is_blank(found):
            found = [[index] for index in range(len(lengths))]  # as the starter
        batches = _as_indices(found)
        if batches is None:
            return {"kind": type(found).__name__}
        facts = _plan_facts(batches, lengths, budget)
        if not _is_plan(facts):
            return facts | {"sorted_list": given != lengths and sorted(given) == sorted(lengths)}
        first = first or facts
    return first


def _as_indices(found: Any) -> list[list[int]] | None:
    """Return batches as lists of whole numbers, whatever holds them; none where they are not."""
    try:
        return [[int(index) for index in batch] for batch in found]
    except (TypeError, ValueError, OverflowError):
        return None


def _plan_facts(batches: list[list[int]], lengths: list[int], budget: int) -> Facts:
    """Count which texts are in the batches; where each is in one, what the batches compute."""
    indices, held = set(range(len(lengths))), [index for batch in batches for index in batch]
    counts = Counter(held)
    facts: Facts = {
        "kind": "",
        "texts": len(lengths),
        "budget": budget,
        "as_lengths": sorted(held) == sorted(lengths) and bool(indices - set(held)),
        "lost": _some(indices - set(held)),
        "lost_count": len(indices - set(held)),
        "unknown": _some(set(held) - indices),
        "twice": _some(index for index, count in counts.items() if count > 1),
        "empty": not all(batches),
    }
    problems = ("as_lengths", "lost", "unknown", "twice", "empty")
    if any(facts[problem] for problem in problems):
        return facts
    return facts | _computed(batches, lengths, budget)


def _computed(batches: list[list[int]], lengths: list[int], budget: int) -> Facts:
    """Count places, padding and batches, and look at the largest batch."""
    rows = [[lengths[index] for index in batch] for batch in batches]
    places = [len(row) * max(row) for row in rows]
    largest = rows[places.index(max(places))]
    over = [row for row, held in zip(rows, places, strict=True) if held > budget]
    fewest = sum(lengths) / budget
    padding = 1 - sum(lengths) / sum(places)
    return {
        "over": max(places) > budget,
        "rows": len(largest),
        "longest": max(largest),
        "places": f"{max(places):,}",
        "real": sum(largest),
        "real_fits": max(map(sum, rows)) <= budget,
        "by_last": all(len(row) * row[-1] <= budget for row in over),
        "one_more": all(len(row[:-1]) * max(row[:-1], default=0) <= budget for row in over),
        "padding": padding,
        "shown_padding": f"{padding:.1%}",
        "most_padding": f"{MOST_PADDING:.0%}",
        "batches": len(batches),
        "fewest": f"{fewest:.1f}",
        "most": math.ceil(MOST_BATCHES * fewest),
        "alone": len(batches) == len(lengths) > 1,
        "arrived": [index for batch in batches for index in batch] == list(range(len(lengths))),
    }


def _some(indices: Iterable[int]) -> str:
    """Return the first few indices."""
    found = sorted(indices)
    return ", ".join(map(str, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")


def _is_plan(facts: Facts) -> bool:
    """Return whether every condition holds."""
    if "padding" not in facts or facts["over"]:
        return False
    return bool(facts["padding"] <= MOST_PADDING and facts["batches"] <= facts["most"])


PLAN_BATCHES = Exercise(
    name="plan-batches",
    notebook="04",
    minutes=7,
    fits=callable,
    prepare=_tasks,
    measure=_planned,
    starter=lambda facts: facts.get("alone", False),
    mistakes=(
        Mistake("no-indices", lambda facts: facts["kind"]),
        Mistake("lengths", lambda facts: facts["as_lengths"]),
        Mistake("unknown", lambda facts: facts["unknown"]),
        Mistake("twice", lambda facts: facts["twice"]),
        Mistake("lost", lambda facts: facts["lost"]),
        Mistake("empty", lambda facts: facts["empty"]),
        Mistake("sorted-list", lambda facts: facts.get("sorted_list", False)),
        Mistake("real-tokens", lambda facts: facts["over"] and facts["real_fits"]),
        Mistake("one-more", lambda facts: facts["over"] and facts["one_more"]),
        Mistake("by-last", lambda facts: facts["over"] and facts["by_last"]),
        Mistake("over-budget", lambda facts: facts["over"]),
        Mistake(
            "arrival",
            lambda facts: facts["arrived"] and facts["padding"] > MOST_PADDING,
        ),
        Mistake("padding", lambda facts: facts["padding"] > MOST_PADDING),
        Mistake("many-batches", lambda facts: facts["batches"] > facts["most"]),
    ),
    right=_is_plan,
)


# Mend the race


def _raced(answer: Callable[..., Any]) -> Facts:
    """Let the reader race the candidates of a machine whose every call is noted."""
    from tsnb.practice.exercises.warm_machine import ERRORS, REFERENCE, SECONDS, Machine, naive

    machine = Machine()
    found = answer(machine.candidates(), list(TEXTS), machine.clock)
    if is_blank(found):
        return _raced(naive)
    if not (isinstance(found, dict) and all(map(_is_seconds, found.values()))):
        return {"kind": _kind(found)}
    seconds = {name: float(held) for name, held in found.items() if _is_finite(held)}
    same = [name for name, error in ERRORS.items() if abs(error) <= TOLERANCE]
    facts: Facts = {
        "kind": "",
        "kept": listed(name for name in seconds if name not in same),
        "dropped": listed(name for name in same if name not in seconds),
        "error": max(map(abs, ERRORS.values())),
        "rounding": max(ERRORS[name] for name in same),
    }
    known = {name: held for name, held in seconds.items() if name in SECONDS}
    return facts | _timed(machine, known) | _ratios(known, REFERENCE)


def _is_seconds(held: Any) -> bool:
    return held is None or isinstance(held, Real)


def _is_finite(held: Any) -> bool:
    return held is not None and math.isfinite(held)


def _timed(machine: Machine, seconds: Mapping[str, float]) -> Facts:
    """Return whose clock was read, which calls a time counts, and whether turns were taken."""
    names = [name for name, _ in machine.calls]
    taken = {name: machine.taken(name) for name in seconds}
    counted = {name: _first_counted(held, taken[name]) for name, held in seconds.items()}
    other = [name for name, held in seconds.items() if held < min(taken[name], default=0) / 2]
    first = [name for name, place in counted.items() if place is not None and place < WARM_UP]
    return {
        "other_clock": listed(other),
        "first": listed(first),
        "turns": len(set(names[-2:])) > 1,
        "averaged": any(place is not None for place in counted.values()),
        "disturbed": any(
            place is not None and max(taken[name][place:]) > 2 * min(taken[name][place:])
            for name, place in counted.items()
        ),
    }


def _first_counted(seconds: float, taken: Sequence[float]) -> int | None:
    """Return the first call that a sum or a mean counts; none where a time is neither."""
    for start in range(len(taken)):
        total = sum(taken[start:])
        if any(abs(seconds - held) < NEAR for held in (total, total / len(taken[start:]))):
            return start
    return None


def _ratios(seconds: Mapping[str, float], reference: str) -> Facts:
    """Compare how many times as long as the reference each takes with the machine's own times."""
    from tsnb.practice.exercises.warm_machine import SECONDS

    base = seconds.get(reference) or math.nan
    said = {name: held / base for name, held in seconds.items()}
    meant = {name: SECONDS[name] / SECONDS[reference] for name in seconds}
    off = {name: abs(said[name] / meant[name] - 1) for name in seconds}
    worst = max(off, key=lambda name: off[name], default=reference)
    return {
        "fair": all(held <= CLOSE for held in off.values()) and len(off) > 1,
        "worst": worst,
        "said": f"{said.get(worst, math.nan):.2f}",
        "meant": f"{meant.get(worst, math.nan):.2f}",
        "shown": ", ".join(f"{name} {held:.2f}" for name, held in said.items()),
    }


def _is_old_race(facts: Facts) -> bool:
    """Return whether nothing was mended: all kept, first calls counted, one after another."""
    return bool(facts.get("kept") and facts["first"] and not facts["turns"])


MEND_RACE = Exercise(
    name="mend-race",
    notebook="04",
    minutes=7,
    fits=callable,
    measure=_raced,
    starter=_is_old_race,
    mistakes=(
        Mistake("no-seconds", lambda facts: facts["kind"]),
        Mistake("kept", lambda facts: facts["kept"]),
        Mistake("dropped", lambda facts: facts["dropped"]),
        Mistake("other-clock", lambda facts: facts["other_clock"]),
        Mistake("first-calls", lambda facts: not facts["fair"] and facts["first"]),
        Mistake("no-turns", lambda facts: not facts["turns"]),
        Mistake(
            "mean",
            lambda facts: facts["disturbed"] or (facts["averaged"] and not facts["fair"]),
        ),
    ),
    right=lambda facts: facts["fair"],
)

EXERCISES = (FILL_BATCH, COUNT_PADDING, PLAN_BATCHES, MEND_RACE)
