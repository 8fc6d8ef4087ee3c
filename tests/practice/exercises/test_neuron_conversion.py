"""Answers to the exercises of notebook 05."""

from typing import Any

from tests.practice.exercises.judging import mistaken
from tsnb.practice.exercises.small_models import Classifier


class Fused(Classifier):
    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return super().forward(input_ids, attention_mask)["scores"]


def changed(right: str, wrong: str) -> Any:
    return mistaken("pass-preflight", (right, wrong))


MASKED, SCORES = "attention_mask[:, None] == 0", "self.scores(mixed[:, 0])"
BERTS = '("input_ids", "attention_mask", "token_type_ids")'

ANSWERS: list[tuple[str, Any, str]] = [
    ("by-position", mistaken("by-position", ("tuple(", "list(")), "not-a-tuple"),
    ("by-position", mistaken("by-position", ("name in names", f"name in {BERTS}")), "one-model"),
    ("by-position", lambda _, inputs: tuple(inputs.values())[::-1], "wrong"),
    ("pass-preflight", changed(SCORES, f'{{"scores": {SCORES}}}'), "not-yet"),
    ("pass-preflight", Fused, "still-fused"),
    ("pass-preflight", changed("== 0", "!= attention_mask[:, None]"), "no-mask"),  # nothing is hidden
    ("pass-preflight", changed(MASKED, "~attention_mask[:, None].bool()"), "unlisted"),
    ("pass-preflight", changed("32**0.5", "float('nan')"), "wrong"),
    ("pass-preflight", changed(SCORES, f"{SCORES} + abs(int(input_ids.shape[1]) - 16)"), "wrong"),
    ("fixed-rows", mistaken("fixed-rows", ("torch.zeros(4,", "torch.zeros(len(held),")), "short-batch"),
    ("fixed-rows", mistaken("fixed-rows", ("mask = torch.zeros", "mask = torch.ones")), "no-mask"),
    ("fixed-rows", mistaken("fixed-rows", ("results = []", "results, rows = [], rows[::-1]")), "wrong"),
    ("graphs-for-texts", [(24, 20), (24, 33), (12, 56), (8, 127)], "too-many"),
    ("graphs-for-texts", [(24, 33), (12, 56), (8, 100)], "too-short"),
    ("graphs-for-texts", [(4, 33), (4, 56), (4, 127)], "many-calls"),
    ("graphs-for-texts", [(16, 33), (16, 56), (16, 127)], "filler"),
    ("graphs-for-texts", [(10, 127)], "wrong"),
]
