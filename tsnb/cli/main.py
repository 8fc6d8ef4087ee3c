"""The command `tsnb`: one function a subcommand, each returning the exit code."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from tsnb.base.errors import TraceError, TsnbError
from tsnb.base.machine import respect_quota
from tsnb.inference.backends import BACKENDS, QUICK
from tsnb.lengths.texts import TextsWarning, read_texts
from tsnb.models.load import CheckpointWarning, Head

Options = argparse.Namespace

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
        (in one sentence on stderr), 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets ?, not a traceback
    options = _parser().parse_args(argv)
    if options.command is not doctor:  # which compares torch's own number of threads with the cores
        respect_quota()
    try:
        with warnings.catch_warnings():  # only of checkpoints and files of texts, in plain words
            warnings.simplefilter("ignore")
            for category in (CheckpointWarning, TextsWarning):
                warnings.simplefilter("always", category)
            warnings.showwarning = lambda message, *_, **__: sys.stderr.writelines((f"{message}\n",))
            return int(options.command(options))
    except TsnbError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSED
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; nothing keeps running.\n")
        return INTERRUPTED


def doctor(options: Options) -> int:
    """Print what `tsnb.doctor` says."""
    from tsnb.cli.doctor import doctor as look

    report = look()
    sys.stdout.write(f"{report.to_json() if options.json else report}\n")
    return 0 if report.ok else FAILED


def course(options: Options) -> int:
    """Lay the course into a folder and open it in JupyterLab, which then asks the network for no news."""
    from tsnb.cli.course import FIRST, lay_out

    written, kept = lay_out(options.folder)
    sys.stdout.write(f"The course is in {options.folder}; files written: {len(written)}.\n")
    if kept:
        names = ", ".join(kept)
        sys.stdout.write(f"Kept, as they were changed: {names}. Rename one to have the course's own again.\n")
    if not options.no_lab:
        from jupyterlab.labapp import main as lab

        quiet = "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"
        lab([str(options.folder.expanduser() / FIRST), *quiet, *shlex.split(options.lab)])
    return 0


def run(options: Options) -> int:
    """Run notebooks and print a table of what they took."""
    from tsnb.cli import run as notebooks
    from tsnb.cli.course import lay_out

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        paths = options.notebooks or [find_notebooks(Path.cwd()) or Path(folder)]
        if paths == [Path(folder)]:
            lay_out(folder)
        results = notebooks.run(paths, options.output, timeout=options.timeout)
    sys.stdout.write(notebooks.table(results))
    return FAILED if any(result.error for result in results) else 0


def bench(options: Options) -> int:
    """Compare backends on texts; print a table, write CSV and a figure."""
    from tsnb.base.files import prepare_folder, write_text
    from tsnb.figures import benchmark_bars
    from tsnb.inference.benchmark import benchmark
    from tsnb.models.load import load
    from tsnb.tiny_bert import corpus

    own = options.file and read_texts(options.file, options.column, encoding=options.encoding)
    texts = own or corpus.texts(options.texts)
    folder = prepare_folder(options.output) if options.output else None
    model, tokenizer = load(options.model, head="encoder")
    report = benchmark(
        model,
        tokenizer,
        texts,
        backends=options.backends or (BACKENDS if options.full else QUICK),
        rounds=options.rounds,
        batch_size=options.batch_size,
        max_tokens=options.max_tokens,
        minutes=None if options.full else options.minutes,
        questions=True,
    )
    sys.stdout.write(f"{report}\n")
    if folder:
        svg = io.StringIO()
        benchmark_bars(report).savefig(svg, format="svg", facecolor="white")
        for name, text in (("benchmark.csv", report.to_csv()), ("benchmark.svg", svg.getvalue())):
            write_text(folder / name, text)
            sys.stdout.write(f"Written: {folder / name}\n")
    return INTERRUPTED if report.stopped else 0


def export(options: Options) -> int:
    """Write a model's trace to a file, unless it cannot be traced, or trace and model disagree."""
    from tsnb.artifacts.export import export as write

    shapes = [(options.batch_size if batch is None else batch, length) for batch, length in options.verify]
    chosen = {name: getattr(options, name) for name in ("max_length", "batch_size", "untie", "pad_token")}
    try:
        exported = write(options.model, options.output, options.head, verify=shapes, **chosen)
    except TraceError as error:
        sys.stderr.write(f"{error} No file was written.\n")
        return FAILED
    sys.stdout.write(f"{exported}\n")
    return 0


def progress(options: Options) -> int:
    """Print how far the reader is with the exercises, or forget it, or write it as a page."""
    from tsnb.practice import checks
    from tsnb.practice.progress import progress_in
    from tsnb.practice.record import record

    if options.export:
        sys.stdout.write(f"{checks.export(options.export, options.name, replace=options.replace)}\n")
    elif options.reset:
        sys.stdout.write(f"{checks.reset(options.notebook)}\n")
    else:
        sys.stdout.write(f"{progress_in(record(), options.notebook)}\n")
    return 0


def shape(text: str) -> tuple[int | None, int]:
    """Return the batch size, if there is one, and the length of `64` or `2x64`.

    >>> shape("64"), shape("2x64")
    ((None, 64), (2, 64))
    """
    batch, _, length = text.lower().replace("×", "x").rpartition("x")
    if not length.isdecimal() or not (batch.isdecimal() or batch == ""):
        raise argparse.ArgumentTypeError(f"expected a length such as 64, or rows and length as 2x64; got {text}")
    return int(batch) if batch else None, int(length)


def find_notebooks(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upward, that is a laid-out course or is called `notebooks`."""
    from tsnb.cli.course import MANIFEST
    from tsnb.cli.run import notebooks_in

    for folder in (start, *start.parents):
        if (folder / MANIFEST).is_file():
            return folder
        if notebooks_in(folder / "notebooks"):
            return folder / "notebooks"
    return None


def _parser() -> argparse.ArgumentParser:
    about = "A course on TorchScript: check the machine, run the notebooks, export a model, measure."
    parser = argparse.ArgumentParser(prog="tsnb", description=about)
    parser.add_argument("--version", action="version", version=f"tsnb {version('tsnb')}")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(function: Callable[[Options], int], about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__, help=about, description=about)
        sub.set_defaults(command=function)
        return sub

    add = command(doctor, "check that this machine can run the course").add_argument
    add("--json", action="store_true", help="print JSON, for an issue")

    add = command(course, "lay notebooks and solutions into a folder and open them in JupyterLab").add_argument
    add("folder", metavar="FOLDER", type=Path, help="where to; other files there, and what you changed, are kept")
    add("--no-lab", action="store_true", help="do not open JupyterLab")
    add("--lab", default="", metavar="OPTIONS", help="options for JupyterLab, as in --lab=--no-browser")

    add = command(run, "run notebooks in fresh kernels and say what they took").add_argument
    add("notebooks", nargs="*", type=Path, help="notebooks or folders (default: the nearest course, or tsnb's own)")
    add("--output", type=Path, metavar="DIR", help="a folder for HTML, one file a notebook, and summary.md")
    add("--timeout", type=int, default=120, metavar="S", help="seconds that a cell may take (default: 120)")

    add = command(bench, "compare ways to run a model on texts: padded, planned, and peers").add_argument
    add("model", nargs="?", default="bert-mini", help="an embedded model, a folder or a hub id")
    add("--texts", type=int, default=1000, metavar="N", help="how many texts to generate (default: 1000)")
    add("--file", type=Path, metavar="FILE", help="texts of your own instead: .txt, .csv, .tsv, .json or .jsonl")
    add("--column", default="text", metavar="NAME", help="the file's column, or key, with the texts (default: text)")
    add("--encoding", metavar="NAME", help="the file's, where it is neither UTF-8 nor Windows-1252")
    add("--rounds", type=int, default=5, metavar="N", help="how often each backend is timed (default: 5)")
    add("--batch-size", type=int, default=8, metavar="N", help="texts in a batch in their order (default: 8)")
    add("--max-tokens", type=int, default=512, metavar="N", help="tokens, padding included, in a planned batch (512)")
    which = f"some of: {', '.join(BACKENDS)} (default: {', '.join(QUICK)})"
    add("--backends", nargs="+", metavar="NAME", help=which)
    fitting = "about how long it may take: so many of the texts are taken (default: 5)"
    add("--minutes", type=float, default=5.0, metavar="M", help=fitting)
    add("--full", action="store_true", help="all backends on all texts, however long that takes")
    add("--output", type=Path, metavar="DIR", help="a folder for benchmark.csv and benchmark.svg")

    about = "trace a model, compare trace and model, and save the trace; exit code 1 where they disagree"
    add = command(export, about).add_argument
    add("model", metavar="MODEL", help="tiny-bert, bert-mini, a folder, or a hub id")
    add("-o", "--output", required=True, metavar="FILE", help="the .pt file to write, or to replace")
    add("--head", default="masked-lm", metavar="HEAD", help=f"{', '.join(get_args(Head))} (default: masked-lm)")
    add("--max-length", type=int, default=128, help="length of the traced inputs in tokens (default: 128)")
    add("--batch-size", type=int, default=1, help="rows of the traced inputs (default: 1)")
    shapes = "shapes at which trace and model must agree: a length such as 64, or rows and length as 2x64"
    add("--verify", type=shape, nargs="+", action="extend", default=[], help=shapes)
    add("--untie", action="store_true", help="have tied weights twice, as the torchscript flag does")
    add("--pad-token", metavar="TOKEN", help="pads, for a tokenizer without such a token, as <|endoftext|>")

    sub = command(progress, "show which exercises are solved, from the record on this machine")
    add, either = sub.add_argument, sub.add_mutually_exclusive_group().add_argument
    add("notebook", nargs="?", metavar="NN", help="one notebook, such as 01 (default: the course)")
    either("--reset", action="store_true", help="forget attempts and hints; there is no way back")
    either("--export", type=Path, metavar="FILE", help="write one page for the team: a .md file")
    add("--name", default="", metavar="NAME", help="whose page it is")
    add("--replace", action="store_true", help="the page may replace an older one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
