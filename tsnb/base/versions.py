"""Which releases of torch and transformers the course was tried with; others are used all the same."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata

from packaging.version import Version

TRIED = {"torch": ("2.9", "2.14"), "transformers": ("4.57", "5.24")}  # first and last; `make lane` tries another


def untried() -> list[str]:
    """Return a sentence for each of torch and transformers that is older or newer than all that were tried.

    Examples
    --------
    >>> untried()
    []
    """
    sentences = []
    for name, (first, last) in TRIED.items():
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(name)
            if not Version(first).release <= Version(version).release[:2] <= Version(last).release:
                sentences.append(f"{name} {version} was not tried, only {first} to {last}; what you see may differ.")
    return sentences
