"""The exercises of notebook 03. How to write one: `tsnb.checks`."""

from __future__ import annotations

import inspect
import json
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import Tensor

import tsnb
from tsnb.practice.exercises import stories
from tsnb.practice.exercises.base import Outcome, call, compare_guesses, distance, embedded, first_of, fits, short_text
from tsnb.practice.exercises.small_models import VOCABULARY, FloatMask, NoMask
from tsnb.tracing import traps
from tsnb.tracing.compare import TOLERANCE

OWN = "our BERT"
PAIR = ("Who was Jim Henson ?", "Jim [MASK] was a puppeteer")  # the notebook's own question
WORDS = ("torch", "digest", "numbers", "nothing")
LONG = 8  # letters of a token that is hardly in a file by chance
LENGTHS = (9, 6, 11)  # of the rows that a file is tried with; the last is the longest


@cache
def _question() -> dict[str, Tensor]:
    return dict(embedded()[1](*PAIR, return_tensors="pt"))


@cache
def _folder() -> TemporaryDirectory[str]:
    """Return a folder that is removed when this process ends."""
    return TemporaryDirectory(prefix="tsnb-exercises-")


@cache
def _bert() -> tsnb.Traced:
    return tsnb.trace(embedded()[0], _question())


def what_travels(answer: Any) -> Outcome:
    """Compare guesses with the members of a file."""
    mistakes = {
        ("tokenizer", True): "with-tokenizer",
        ("python_source", True): "with-source",
        ("input_names", False): "without-names",
        ("machine_paths", False): "without-paths",
    }
    return compare_guesses(answer, travels(), (True, False), mistakes)


@cache
def travels() -> dict[str, bool]:
    """Save a trace by plain torch, and look for each thing in the members of the file."""
    model, tokenizer = embedded()
    module: Any = _bert().module
    path = Path(_folder().name) / "plain.pt"
    module.save(str(path))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole, source = b"\n".join(members.values()), inspect.getsource(type(model).forward)
    code = b"".join(text for name, text in members.items() if name.endswith(".py"))
    kinds = {node.kind().removeprefix("aten::") for node in module.inlined_graph.nodes()}
    choices = [line.strip() for line in source.splitlines() if line.strip().startswith("if ")]
    return {
        "weights": model.get_input_embeddings().weight.detach().numpy().tobytes() in whole,
        "operations": any(f"torch.{kind}(".encode() in code for kind in kinds),
        "input_names": all(f"{name}: Tensor".encode() in code for name in _question()),
        "tokenizer": any(token.encode() in whole for token in tokenizer.get_vocab() if len(token) >= LONG),
        "python_source": any(line.encode() in whole for line in choices),
        "machine_paths": str(Path(transformers.__file__).parent).encode() in whole,
    }


def run_any_file(answer: Any) -> Outcome:
    """Let the reader run three files; compare each row with the model's output for it alone."""
    largest = 0.0
    for about, (path, rows, expected) in _files().items():
        try:
            result = call(answer, str(path), [list(row) for row in rows])
        except (RuntimeError, LookupError) as error:
            if about == OWN:  # the error shows the reader's line
                raise
            return Outcome("other-file", file=about, error=f"{type(error).__name__}: {short_text(str(error))}")
        output = result[0] if isinstance(result, tuple) else result
        pairs = zip(output, expected, strict=True)
        distances = [distance(row[: len(alone)], alone) for row, alone in pairs]
        largest = max(largest, *distances)
        if not largest <= TOLERANCE:
            name = "no-mask" if distances[-1] <= TOLERANCE else "wrong"
            return Outcome(name, difference=largest, file=about)
    return Outcome("done", difference=largest)


@cache
def _files() -> dict[str, tuple[Path, list[list[int]], list[Tensor]]]:
    """Return three files, with rows of ids for each and the model's own output for each row alone."""
    bert, tokenizer = embedded()
    draw, files = torch.Generator().manual_seed(3), {}
    for about, model, vocabulary, dtype in (
        (OWN, bert, len(tokenizer), torch.int64),
        ("the file that takes ids alone", traps.make(NoMask), VOCABULARY, torch.int64),
        ("the file with a mask of float32", traps.make(FloatMask), VOCABULARY, torch.float32),
    ):
        names = inspect.signature(model.forward).parameters
        rows, expected = [], []
        for length in LENGTHS:
            ids = torch.randint(10, vocabulary, (1, length), generator=draw)
            made = {"input_ids": ids, "attention_mask": torch.ones_like(ids, dtype=dtype), "token_type_ids": ids * 0}
            inputs = {name: tensor for name, tensor in made.items() if name in names}
            rows.append(ids[0].tolist())
            with torch.no_grad():
                expected.append(model(**inputs)[0][0])
        path = tsnb.save(tsnb.trace(model, inputs), Path(_folder().name) / f"{type(model).__name__}.pt")
        files[about] = path, rows, expected
    return files


def who_notices(answer: Any) -> Outcome:
    """Compare guesses with what became of copies of a file."""
    mistakes = {
        ("hole_in_weights", "torch"): "torch-notices",
        ("forged", "torch"): "stops-a-forger",
        ("forged", "digest"): "stops-a-forger",
        ("byte_more", "nothing"): "by-meaning",
        ("hole_in_code", "digest"): "code-as-weights",
    }
    return compare_guesses(answer, fates(), WORDS, mistakes)


@cache
def fates() -> dict[str, str]:
    """Tell for each story who is the first to notice, by loading and running the copy."""

    def first_to_notice(copy: Path) -> str:
        try:
            logits = torch.jit.load(str(copy))(**_question())[0]
        except (RuntimeError, ValueError, LookupError):
            return "torch"
        try:
            tsnb.load_traced(copy)
        except tsnb.ArtifactError:
            return "digest"
        return "nothing" if torch.equal(logits, expected) else "numbers"

    expected = _bert()(**_question())["logits"]
    path = tsnb.save(_bert(), Path(_folder().name) / "whole.pt")
    copies = stories.write(path, Path(_folder().name) / "stories")
    return {story: first_to_notice(copy) for story, copy in copies.items()}


def ask_in_cpp(answer: Any) -> Outcome:
    """Read the ids off the command; compare the reader's word with what the model puts in their blank."""
    done, word = answer
    if done is None:
        return Outcome("not-yet")
    fits(isinstance(done, subprocess.CompletedProcess) and isinstance(word, str))
    if done.returncode:
        return Outcome("refused", message=short_text(done.stderr or f"exit code {done.returncode}"))
    model, tokenizer = embedded()
    pairs = [str(argument).split("=", 1) for argument in done.args if "=" in str(argument)]
    inputs = {name: torch.tensor([[*map(int, ids.split())]]) for name, ids in pairs if name in _question()}
    ids = inputs["input_ids"][0].tolist()
    text = tokenizer.decode(ids)
    if ids == _question()["input_ids"][0].tolist():
        return Outcome("old-ids")
    if ids.count(tokenizer.mask_token_id) != 1:
        return Outcome("no-blank", blanks=ids.count(tokenizer.mask_token_id), text=text)
    with torch.no_grad():
        logits = model(**inputs)[0]
    blank = ids.index(tokenizer.mask_token_id)
    right = tokenizer.convert_ids_to_tokens(int(logits[0, blank].argmax()))
    word = word.strip()
    [output] = json.loads(done.stdout).values()
    printed = len(output["values"])
    conditions = {"done": word.casefold() == right, "few-numbers": printed < logits.numel()}
    values = {"text": text, "word": word, "blank": blank, "printed": printed, "all": f"{logits.numel():,}"}
    return Outcome(first_of(conditions, "wrong"), **values)
