"""The exercises of notebook 03. How to write one: `tsnb.checks`."""

from __future__ import annotations

import inspect
import json
import subprocess
import zipfile
from contextlib import contextmanager
from functools import cache
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from tsnb.practice.exercises.base import Exercise, Facts, Mistake, embedded, listed, short_text
from tsnb.practice.exercises.predictions import all_right, compared, guesses, missed, missed_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    Tensors = Mapping[str, Tensor]

TOLERANCE = 1e-4
PAIR = ("Who was Jim Henson ?", "Jim [MASK] was a puppeteer")  # the notebook's own question
CONTENTS = ("weights", "operations", "input_names", "tokenizer", "python_source", "machine_paths")
WORDS = ("torch", "digest", "numbers", "nothing")
LONG = 8  # letters of a piece that is hardly in a file by chance
LENGTHS = (9, 6, 11)  # of the rows that a file is tried with
PARTS, MOST_LETTERS = 2, 40
QUIZ = "cba"


@cache
def _own_question() -> dict[str, Tensor]:
    return dict(embedded()[1](*PAIR, return_tensors="pt"))


@cache
def _folder() -> TemporaryDirectory[str]:
    """Return a folder that is removed when this process ends."""
    return TemporaryDirectory(prefix="tsnb-exercises-")


# What travels in a file


@cache
def _travels() -> dict[str, bool]:
    """Save a trace by plain torch, and look for each thing in the members of the file."""
    import transformers

    from tsnb.tracing.traced import quiet_jit

    model, tokenizer = embedded()
    path = Path(_folder().name) / "plain.pt"
    with quiet_jit() as jit:
        traced = jit.trace(model, example_kwarg_inputs=_own_question())
        jit.save(traced, str(path))
        schema = jit.load(str(path)).forward.schema
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    held, source = b"\n".join(members.values()), inspect.getsource(type(model).forward)
    code = b"".join(text for name, text in members.items() if name.endswith(".py"))
    pieces = [piece for piece in tokenizer.get_vocab() if len(piece) >= LONG]
    kinds = {node.kind().removeprefix("aten::") for node in traced.inlined_graph.nodes()}
    choices = [line.strip() for line in source.splitlines() if line.strip().startswith("if ")]
    return {
        "weights": model.get_input_embeddings().weight.detach().numpy().tobytes() in held,
        "operations": any(f"torch.{kind}(".encode() in code for kind in kinds),
        "input_names": set(_own_question()) <= {argument.name for argument in schema.arguments},
        "tokenizer": any(piece.encode() in held for piece in pieces),
        "python_source": any(line.encode() in held for line in choices),
        "machine_paths": str(Path(transformers.__file__).parent).encode() in held,
    }


WHAT_TRAVELS = Exercise(
    name="what-travels",
    notebook="03",
    minutes=2,
    fits=guesses(CONTENTS, bool),
    measure=lambda answer: compared(answer, _travels()),
    mistakes=(
        Mistake("with-tokenizer", missed("tokenizer")),
        Mistake("with-source", missed("python_source")),
        Mistake("without-names", missed("input_names")),
        Mistake("without-paths", missed_only("machine_paths")),
    ),
    right=all_right,
)


# Any file of tsnb, by plain torch


class File(NamedTuple):
    """A file, rows of ids for it, and the model's own output for each row alone."""

    path: Path
    rows: list[list[int]]
    expected: list[Tensor]


@cache
def _files() -> tuple[File, File, File]:
    """Return files of our BERT, of one with a mask of float32, and of one without."""
    from tsnb.practice.exercises.pooled import VOCABULARY, FloatMask, NoMask
    from tsnb.tracing import traps

    model, tokenizer = embedded()
    ids = _own_question()["input_ids"]
    floats = {"input_ids": ids, "attention_mask": ids.new_ones(ids.shape).float()}
    small = {"input_ids": ids % VOCABULARY}
    return (
        _file("bert", model, _own_question(), len(tokenizer)),
        _file("float_mask", traps.make(FloatMask), floats | small, VOCABULARY),
        _file("no_mask", traps.make(NoMask), small, VOCABULARY),
    )


def _file(name: str, model: nn.Module, example: Tensors, vocabulary: int) -> File:
    """Save a trace; run the model on each of a few rows that hold no padding."""
    import torch

    from tsnb import save, trace

    traced = trace(model, dict(example))
    path = save(traced, Path(_folder().name) / f"{name}.pt")
    draw = torch.Generator().manual_seed(3)
    drawn = [torch.randint(10, vocabulary, (1, size), generator=draw) for size in LENGTHS]
    with torch.no_grad():
        expected = [model(**_alone(ids, traced.contract.dtypes))[0][0] for ids in drawn]
    return File(path, [ids[0].tolist() for ids in drawn], expected)


def _alone(ids: Tensor, dtypes: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the inputs of one row without padding."""
    import torch

    made = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    return {name: made[name].to(getattr(torch, kind)) for name, kind in dtypes.items()}


def _opened(answer: Callable[..., Any]) -> Facts:
    """Let the reader run three files; what goes wrong with the second and third is a fact."""
    bert, floats, bare = _files()
    with _noted() as calls:
        facts = _ran(answer, bert)
    if not facts.get("fits"):
        return facts
    others = {"floats": _tried(answer, floats), "bare": _tried(answer, bare)}
    gaps = [*facts["gaps"], *others["floats"]["gaps"], *others["bare"]["gaps"]]
    longest = LENGTHS.index(max(LENGTHS))
    facts |= _filled_up(calls, bert.rows)
    return facts | {
        "unmasked": facts["gaps"][longest] <= TOLERANCE < max(facts["gaps"]),
        "unnamed": others["bare"]["raised"],
        "untyped": others["floats"]["raised"],
        "padded": max(others["bare"]["gaps"]),
        "difference": max(gaps),
    }


@contextmanager
def _noted() -> Iterator[list[dict[str, Tensor]]]:
    """Note the tensors, by name, of each call of a loaded file with as many as the BERT takes.

    No hook for all modules: of one that gets the names, torch 2.13 removes only a part.
    """
    from torch.jit import ScriptModule

    calls: list[dict[str, Tensor]] = []
    call: Callable[..., Any] = ScriptModule.__call__

    def noted(module: object, *given: Tensor, **named: Tensor) -> Any:
        calls.append({**dict(zip(_own_question(), given, strict=False)), **named})
        return call(module, *given, **named)

    with patch.object(ScriptModule, "__call__", noted):
        yield calls


def _filled_up(calls: Sequence[Tensors], rows: list[list[int]]) -> Facts:
    """Tell whether one call took all rows, with padding on their left or with a mask of padding."""
    row = min(rows, key=len)
    whole = [held for held in calls if len(held.get("input_ids", ())) == len(rows)]
    ids, mask = (
        [held[name][rows.index(row)].tolist() for held in whole if name in held]
        for name in ("input_ids", "attention_mask")
    )
    return {
        "calls": len(calls),
        "rows": len(rows),
        "one_by_one": bool(calls) and not whole,
        "on_the_left": any(held[-len(row) :] == row != held[: len(row)] for held in ids),
        "upside_down": any(not any(held[: len(row)]) and any(held) for held in mask),
    }


def _tried(answer: Callable[..., Any], file: File) -> Facts:
    """Run a file as `_ran` does; an error of torch, or a name that is not there, is a fact."""
    lost: Facts = {"gaps": [float("inf")], "raised": ""}
    try:
        return lost | _ran(answer, file)
    except (RuntimeError, LookupError) as error:
        told = str(error) if isinstance(error, RuntimeError) else repr(error)
        return lost | {"raised": short_text(told)}


def _ran(answer: Callable[..., Any], file: File) -> Facts:
    """Let the reader run a file's rows; compare each with the model's output for it alone."""
    import torch

    found = answer(str(file.path), [list(row) for row in file.rows])
    held = found[0] if isinstance(found, tuple) and found else found
    facts: Facts = {"answer": held} if held is ... else {"kind": type(held).__name__, "shape": ""}
    if not isinstance(held, torch.Tensor):
        return facts
    longest = max(file.expected, key=len)
    facts |= {"shape": tuple(held.shape), "needed": (len(file.rows), *longest.shape)}
    if held.ndim != longest.ndim + 1 or len(held) != len(file.rows):
        return facts
    if held.shape[1] < len(longest) or held.shape[2:] != longest.shape[1:]:
        return facts
    pairs = zip(held.detach(), file.expected, strict=True)
    gaps = [float((row[: len(alone)] - alone).abs().max()) for row, alone in pairs]
    return facts | {"fits": True, "gaps": gaps}


RUN_ANY_FILE = Exercise(
    name="run-any-file",
    notebook="03",
    minutes=6,
    fits=callable,
    prepare=_files,
    measure=_opened,
    mistakes=(
        Mistake("not-a-tensor", lambda facts: facts["kind"] not in {"Tensor", "Parameter"}),
        Mistake("other-shape", lambda facts: not facts.get("fits")),
        Mistake("row-by-row", lambda facts: facts["one_by_one"]),
        Mistake("on-the-left", lambda facts: facts["unmasked"] and facts["on_the_left"]),
        Mistake("upside-down", lambda facts: facts["upside_down"]),
        Mistake("no-mask", lambda facts: facts["unmasked"]),
        Mistake("other-names", lambda facts: facts["unnamed"]),
        Mistake("other-dtype", lambda facts: facts["untyped"]),
        Mistake(
            "other-padding",
            lambda facts: max(facts["gaps"]) <= TOLERANCE < facts["padded"],
        ),
    ),
    right=lambda facts: facts["difference"] <= TOLERANCE,
)


# Who notices what happened to a file


@cache
def _fates() -> dict[str, str]:
    """Tell for each story who is the first to notice, by loading and running the copy."""
    from tsnb import save, trace
    from tsnb.practice.exercises import stories

    folder = Path(_folder().name)
    traced = trace(embedded()[0], _own_question())
    copies = stories.write(save(traced, folder / "whole.pt"), folder / "stories")
    expected = traced(**_own_question())["logits"]
    return {story: _first_to_notice(copy, expected) for story, copy in copies.items()}


def _first_to_notice(copy: Path, expected: Tensor) -> str:
    import torch

    from tsnb import ArtifactError, load_traced
    from tsnb.tracing.traced import quiet_jit

    try:
        with quiet_jit() as jit:
            found = jit.load(str(copy))(**_own_question())[0]
    except (RuntimeError, ValueError, LookupError):
        return "torch"
    try:
        load_traced(copy)
    except ArtifactError:
        return "digest"
    return "nothing" if torch.equal(found, expected) else "numbers"


def _guessed(answer: dict[str, str]) -> Facts:
    unknown = listed(sorted(set(answer.values()) - set(WORDS)))
    facts = compared(answer, _fates())
    return facts | {"unknown": unknown, "said": {name: answer[name] for name in facts["missed"]}}


def _are_stories(answer: Any) -> bool:
    from tsnb.practice.exercises.stories import STORIES

    return guesses(STORIES, str)(answer)


WHO_NOTICES = Exercise(
    name="who-notices",
    notebook="03",
    minutes=3,
    fits=_are_stories,
    measure=_guessed,
    mistakes=(
        Mistake("unknown-word", lambda facts: facts["unknown"]),
        Mistake("torch-notices", lambda facts: facts["said"].get("hole_in_weights") == "torch"),
        Mistake("stops-a-forger", lambda facts: facts["said"].get("forged") in {"torch", "digest"}),
        Mistake("by-meaning", lambda facts: facts["said"].get("byte_more") == "nothing"),
        Mistake("by-name", missed("renamed")),
        Mistake("code-as-weights", missed("hole_in_code")),
        Mistake("half-a-file", missed("half")),
    ),
    right=all_right,
)


# A question of the reader's own, in C++


def _is_run(answer: Any) -> bool:
    """Tell a pair of a finished process, or none, and a word or its id."""
    if not (isinstance(answer, (tuple, list)) and len(answer) == PARTS):
        return False
    done, word = answer
    if done is None:
        return word is None or isinstance(word, (str, Integral))
    texts = isinstance(done, subprocess.CompletedProcess) and isinstance(done.args, (list, tuple))
    return texts and isinstance(done.stdout, str) and isinstance(word, (str, Integral))


def _asked(answer: tuple[subprocess.CompletedProcess[str] | None, str | int]) -> Facts:
    """Read the ids off the command; compare the numbers that it printed with the model's."""
    done, word = answer
    if done is None:
        return {"ran": False}
    facts: Facts = {"ran": True, "refused": ""}
    if done.returncode:
        return facts | {"refused": short_text(done.stderr or f"exit code {done.returncode}")}
    inputs, tokenizer = _given(done.args), embedded()[1]
    ids = inputs["input_ids"][0].tolist()
    facts |= {
        "old": ids == _own_question()["input_ids"][0].tolist(),
        "bare": (ids[0], ids[-1]) != (tokenizer.cls_token_id, tokenizer.sep_token_id),
        "blanks": ids.count(tokenizer.mask_token_id),
        "text": tokenizer.decode(ids),
    }
    return facts if facts["blanks"] != 1 else facts | _read(done.stdout, inputs, word)


def _given(arguments: Iterable[object]) -> dict[str, Tensor]:
    """Return the tensors that stand in a command as `name=ids`, as the program reads them."""
    import torch

    pairs = [str(held).split("=", 1) for held in arguments if "=" in str(held)]
    return {
        name: torch.tensor([list(map(int, row.split())) for row in rows.split(";") if row.strip()])
        for name, rows in pairs
        if name in _own_question()
    }


def _read(printed: str, inputs: Tensors, word: str | int) -> Facts:
    """Compare numbers with the model's, and a word with the one that they put in the blank."""
    import torch

    model, tokenizer = embedded()
    with torch.no_grad():
        expected = model(**inputs)[0]
    [output] = json.loads(printed).values()
    found = torch.tensor(output["values"], dtype=torch.float32)
    ids = inputs["input_ids"][0].tolist()
    blank = ids.index(tokenizer.mask_token_id)
    words = tokenizer.convert_ids_to_tokens(expected[0].argmax(-1).tolist())
    said = word.strip() if isinstance(word, str) else tokenizer.convert_ids_to_tokens(int(word))
    return {
        "difference": float((found - expected.flatten()[: len(found)]).abs().max()),
        "few": len(found) if len(found) < expected.numel() else 0,
        "all": f"{expected.numel():,}",
        "blank": blank,
        "word": shorten(said, MOST_LETTERS),
        "same": said.casefold() == words[blank],
        "elsewhere": listed(place for place, held in enumerate(words) if held == said.casefold()),
        "one_segment": ids.count(tokenizer.sep_token_id) == PARTS and not inputs["token_type_ids"].any(),
    }


ASK_IN_CPP = Exercise(
    name="ask-in-cpp",
    notebook="03",
    minutes=4,
    fits=_is_run,
    measure=_asked,
    starter=lambda facts: not facts["ran"],
    mistakes=(
        Mistake("refused", lambda facts: facts["refused"]),
        Mistake("old-ids", lambda facts: facts["old"]),
        Mistake("no-special-ids", lambda facts: facts["bare"]),
        Mistake("no-blank", lambda facts: facts["blanks"] != 1),
        Mistake("other-numbers", lambda facts: facts["difference"] > TOLERANCE),
        Mistake("one-segment", lambda facts: facts["one_segment"]),
        Mistake("few-numbers", lambda facts: facts["few"] and not facts["same"]),
        Mistake("other-place", lambda facts: facts["elsewhere"] and not facts["same"]),
    ),
    right=lambda facts: facts["same"],
)

EXERCISES = (WHAT_TRAVELS, RUN_ANY_FILE, WHO_NOTICES, ASK_IN_CPP)
