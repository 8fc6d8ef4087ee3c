"""Answers to the exercises of notebook 04."""

from typing import Any

from tests.practice.exercises.judging import mistaken

COUNTED = {"longest": 180, "sorted": 111, "padding": 0.56}
ALL_ONES = mistaken("fill-batch", ("**batch", '**{**batch, "attention_mask": torch.ones_like(batch["input_ids"])}'))
TURNS = "for _ in range(5):\n        for name in same:"
APART = "for name in same:\n        for _ in range(5):"
NO_TURNS = mistaken("mend-race", (TURNS, APART))
ROW, ROWS = "[lengths[i] for i in [*batches[-1], index]]", "(len(batches[-1]) + 1)"
UNSORTED = ("lengths.__getitem__", "lambda _: 0")
MEAN = ("min(times)", "sum(times) / 5")

ANSWERS: list[tuple[str, Any, str]] = [
    ("fill-batch", mistaken("fill-batch", ("places]", "places[0]]")), "first-row"),
    ("fill-batch", ALL_ONES, "all-ones"),
    ("fill-batch", lambda *_: {"henson": 0.9}, "type"),
    ("fill-batch", lambda _, pairs: [("jim", float("nan"))] * len(pairs), "wrong"),
    ("count-padding", COUNTED, "done"),
    ("count-padding", COUNTED | {"longest": 80}, "tokens-only"),
    ("count-padding", COUNTED | {"sorted": 3 * 30 + 3 * 24}, "arrival"),
    ("count-padding", COUNTED | {"longest": float("nan")}, "wrong"),
    ("plan-batches", mistaken("plan-batches", ("return batches", "return batches[:-1]")), "not-once"),
    ("plan-batches", mistaken("plan-batches", (f"{ROWS} * lengths[index]", f"sum({ROW})")), "real-tokens"),
    ("plan-batches", lambda lengths, _: [[*range(len(lengths))]], "wrong"),
    ("plan-batches", mistaken("plan-batches", UNSORTED, ("* lengths[index]", f"* max({ROW})")), "padding"),
    ("plan-batches", mistaken("plan-batches", ("* lengths[index]", "* max(lengths)")), "many-batches"),
    ("mend-race", mistaken("mend-race", ("<= 1e-4", "<= 1")), "kept"),
    ("mend-race", mistaken("mend-race", ("if (result", "if not (result"), ("<=", ">")), "kept"),  # nan passes
    ("mend-race", mistaken("mend-race", (".abs().max()", "[0].abs()")), "kept"),  # the first text only
    ("mend-race", mistaken("mend-race", ("candidates[name](texts)  #", "pass  #"), MEAN), "first-calls"),
    ("mend-race", NO_TURNS, "no-turns"),
    ("mend-race", mistaken("mend-race", MEAN), "mean"),
    ("mend-race", mistaken("mend-race", ("clock()", "perf_counter()")), "wrong"),
]
