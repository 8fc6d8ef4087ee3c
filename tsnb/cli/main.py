"""The command `tsnb`: one function a subcommand, each returning the exit code."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsnb.base.errors import ArtifactError, TraceError, TsnbError
from tsnb.base.words import say
from tsnb.inference.backends import CANDIDATES
from tsnb.models.load import CheckpointWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tsnb.inference.benchmark import Benchmark

    Options = argparse.Namespace

FOLDER = "notebooks"
FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # 130 is 128 + SIGINT, as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code.

    Parameters
    ----------
    argv
        Arguments without the command's own name; those of the process by default.

    Returns
    -------
    int
        0, or 1 where the machine has a problem or a notebook failed, 2 for what cannot be done
        (said in one sentence on stderr), 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets ?, not a traceback
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except TsnbError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSED
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; nothing keeps running." + "\n")
        return INTERRUPTED


def doctor(options: Options) -> int:
    """Print what `tsnb.doctor` finds."""
    from tsnb.cli.doctor import doctor as look

    report = look()
    sys.stdout.write(f"{report.to_json() if options.json else report}\n")
    return 0 if report.ok else FAILED


def run(options: Options) -> int:
    """Run notebooks and print a table of what they took."""
    from tsnb.cli import run as execute

    paths = options.notebooks or [find_notebooks(Path.cwd())]
    results = execute.run(paths, options.output, timeout=options.timeout)
    sys.stdout.write(execute.table(results))
    return FAILED if any(result.error for result in results) else 0


def bench(options: Options) -> int:
    """Compare candidates on texts; print a table, write CSV and a figure."""
    from tsnb.inference.benchmark import benchmark
    from tsnb.lengths.texts import read_texts
    from tsnb.models.load import load
    from tsnb.tiny_bert import corpus

    texts = read_texts(options.file) if options.file else corpus.texts(options.texts)
    if options.output:
        _made(options.output)  # before minutes of measuring, not after
    with _told_plainly():
        model, tokenizer = load(options.model, head="encoder")
    report = benchmark(
        model,
        tokenizer,
        texts,
        candidates=options.candidates,
        rounds=options.rounds,
        batch_size=options.batch_size,
        max_tokens=options.max_tokens,
    )
    sys.stdout.write(f"{report}\n")
    if options.output:
        _write_benchmark(report, options.output)
    return 0


def _made(folder: Path) -> None:
    """Make a folder, or say why it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"Nothing can be written to {folder}: {error.strerror}. Choose another folder."
        ) from error


def _write_benchmark(report: Benchmark, folder: Path) -> None:
    """Write a benchmark as CSV and as a figure."""
    from tsnb.figures.costs import benchmark_bars

    table, figure = folder / "benchmark.csv", folder / "benchmark.svg"
    table.write_text(report.to_csv(), encoding="utf-8")
    benchmark_bars(report).savefig(figure, facecolor="white")
    sys.stdout.write(say("cli.bench-written", paths=f"{table}, {figure}") + "\n")


def export(options: Options) -> int:
    """Write a model's trace to a file, unless trace and model disagree."""
    from tsnb.artifacts.export import export as write

    rows = options.batch_size
    shapes = [(rows if batch is None else batch, length) for batch, length in options.verify]
    try:
        with _told_plainly():
            done = write(
                options.model,
                options.output,
                options.head,
                max_length=options.max_length,
                batch_size=options.batch_size,
                verify=shapes,
                untie=options.untie,
            )
    except TraceError as error:
        sys.stderr.write(f"{error} No file was written.\n")
        return FAILED
    sys.stdout.write(f"{done}\n")
    return 0


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Say on stderr what checkpoint and model do not share, without a path and a line of source."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointWarning)
        try:
            yield
        finally:
            told = [note.message for note in caught if issubclass(note.category, CheckpointWarning)]
            sys.stderr.writelines(f"{text}\n" for text in told)


def progress(options: Options) -> int:
    """Print how far the reader is with the exercises, or forget it, or write it as a page."""
    from tsnb import checks
    from tsnb.practice.progress import progress_in
    from tsnb.practice.record import record

    if options.export:
        done = checks.export(options.export, options.name, replace=options.replace)
        sys.stdout.write(f"{done}\n")
    elif options.reset:
        sys.stdout.write(f"{checks.reset(options.notebook)}\n")
    else:
        sys.stdout.write(f"{progress_in(record(), options.notebook)}\n")
    return 0


def shape(text: str) -> tuple[int | None, int]:
    """Return the batch size, where one is given, and the length of `64` or `2x64`.

    >>> shape("64"), shape("2x64")
    ((None, 64), (2, 64))
    """
    batch, _, length = text.lower().replace("×", "x").rpartition("x")
    if not length.isdecimal() or not (batch.isdecimal() or batch == ""):
        raise argparse.ArgumentTypeError(
            f"expected a length, such as 64, or rows and length, such as 2x64; got {text}"
        )
    return int(batch) if batch else None, int(length)


def find_notebooks(start: Path) -> Path:
    """Return the nearest folder `notebooks` that holds some, from `start` upward.

    Failing that, the one beside the package, where it is a checkout.

    Raises
    ------
    NotebookError
        There is none.
    """
    from tsnb.cli.run import NotebookError, notebooks_in

    beside = Path(__file__).resolve().parent.parent
    for folder in (start, *start.parents, beside):
        if notebooks_in(folder / FOLDER):
            return folder / FOLDER
    raise NotebookError(
        f"There is no folder notebooks with .ipynb files in {start} or above it. Name the notebooks to run."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsnb",
        description=(
            "A course on TorchScript: check the machine, run the notebooks, export a model, measure."
        ),
    )
    parser.add_argument("--version", action="version", version=f"tsnb {version('tsnb')}")
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser(
        "doctor",
        help="check that this machine can run the course",
        description="check that this machine can run the course",
    )
    command.add_argument("--json", action="store_true", help="print JSON, for an issue")
    command.set_defaults(command=doctor)

    command = commands.add_parser(
        "run",
        help="run notebooks in fresh kernels and say what they took",
        description="run notebooks in fresh kernels and say what they took",
    )
    command.add_argument(
        "notebooks",
        nargs="*",
        type=Path,
        help="notebooks or folders of them (default: the nearest folder called notebooks)",
    )
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="a folder for HTML, one file a notebook, and summary.md"
    )
    command.add_argument(
        "--timeout", type=int, default=120, metavar="S", help="seconds that a cell may take (default: 120)"
    )
    command.set_defaults(command=run)

    _add_bench(commands)
    _add_export(commands)
    _add_progress(commands)
    return parser


def _add_bench(commands: Any) -> None:
    command = commands.add_parser(
        "bench",
        help="compare ways to run a model on texts: padded, batched, planned, and peers",
        description="compare ways to run a model on texts: padded, batched, planned, and peers",
    )
    known = ", ".join(CANDIDATES)
    add = command.add_argument
    add(
        "model",
        nargs="?",
        default="bert-mini",
        help="an embedded model, a folder or a hub id (default: bert-mini)",
    )
    add("--texts", type=int, default=1000, metavar="N", help="how many texts to generate (default: 1000)")
    add("--file", type=Path, metavar="FILE", help="texts of your own instead: a .txt, .csv or .jsonl file")
    add("--rounds", type=int, default=5, metavar="N", help="how often each candidate is timed (default: 5)")
    add(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="texts in a batch, where batches are not planned (default: 8)",
    )
    add(
        "--budget",
        type=int,
        default=512,
        metavar="N",
        help="places in a planned batch, padding included (default: 512)",
    )
    add(
        "--candidates",
        nargs="+",
        default=CANDIDATES,
        metavar="NAME",
        help=f"some of: {known} (default: all)",
    )
    add("--output", type=Path, metavar="DIR", help="a folder for benchmark.csv and benchmark.svg")
    command.set_defaults(command=bench)


def _add_export(commands: Any) -> None:
    command = commands.add_parser(
        "export",
        help=(
            "load a model, trace it, compare trace and model, and save the trace with its "
            "contract and tokenizer. Exit code 1, and no file, where they disagree. An "
            "older file is replaced once everything has passed"
        ),
        description=(
            "load a model, trace it, compare trace and model, and save the trace with its "
            "contract and tokenizer. Exit code 1, and no file, where they disagree. An "
            "older file is replaced once everything has passed"
        ),
    )
    command.add_argument("model", metavar="MODEL", help="tiny-bert, bert-mini, a folder, or a hub id")
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the .pt file to write; missing folders are made",
    )
    command.add_argument(
        "--head",
        default="masked-lm",
        metavar="HEAD",
        help=(
            "encoder, masked-lm, sequence-classification, token-classification or "
            "question-answering (default: masked-lm)"
        ),
    )
    command.add_argument(
        "--max-length", type=int, default=128, help="length of the traced inputs in tokens (default: 128)"
    )
    command.add_argument("--batch-size", type=int, default=1, help="rows of the traced inputs (default: 1)")
    command.add_argument(
        "--verify",
        type=shape,
        nargs="+",
        action="extend",
        default=[],
        help=(
            "shapes at which trace and model must agree: a length, such as 64, or rows and "
            "length, such as 2x64 (default: none must; three near the traced one are tried "
            "and told)"
        ),
    )
    command.add_argument(
        "--untie",
        action="store_true",
        help=("hold tied weights twice, as the torchscript flag does; without, the file holds them once"),
    )
    command.set_defaults(command=export)


def _add_progress(commands: Any) -> None:
    told = "show which exercises are solved, from the record on this machine"
    command = commands.add_parser("progress", help=told, description=told)
    add = command.add_argument
    add("notebook", nargs="?", metavar="NN", help="one notebook, such as 01 (default: the course)")
    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--reset",
        action="store_true",
        help=("forget attempts and hints, for the next reader of this machine; there is no way back"),
    )
    either.add_argument(
        "--export", type=Path, metavar="FILE", help="write one page for the team: a .md or .html file"
    )
    add("--name", default="", metavar="NAME", help="whose page it is")
    add("--replace", action="store_true", help="the page may replace an older one")
    command.set_defaults(command=progress)


if __name__ == "__main__":
    sys.exit(main())
