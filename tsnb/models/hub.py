"""Fetch a model from the Hugging Face Hub to the local cache, or say within seconds why not."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from tsnb.base.errors import ModelError

SECONDS = 4.0
SAFE = "*.safetensors"
PICKLED = "*.bin"
OTHER_FILES = ("*.json", "*.txt", "*.model")


def fetch(name: str) -> Path:
    """Return the folder of a hub model in the local cache; download it where it is not there.

    Parameters
    ----------
    name
        A hub id, `owner/name`.

    Raises
    ------
    ModelError
        The hub does not answer within `SECONDS`, or does not know the model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if (cached := _cached(name)) is not None:
            return cached
        weights = SAFE if any(file.endswith(".safetensors") for file in _files(name)) else PICKLED
        return Path(snapshot_download(name, allow_patterns=[*OTHER_FILES, weights]))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(f"The hub knows no public model {name}. Check the spelling (owner/name).") from error
    except OSError as error:
        raise ModelError(
            f"The model {name} is neither a folder nor in the local cache, and the hub cannot be reached. "
            'Offline, tsnb.load("tiny-bert") works, and so does a folder with the model\'s files.'
        ) from error


def has_weights(folder: Path) -> bool:
    """True if a folder has weights in a form that transformers loads."""
    return any(any(folder.glob(pattern)) for pattern in (SAFE, PICKLED))


def _cached(name: str) -> Path | None:
    """Return the snapshot in the local cache, if it has weights; asks nobody."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if has_weights(folder) else None


def _files(name: str) -> list[str]:
    """Return the files that the hub has of a model, or raise a TimeoutError after `SECONDS`.

    The timeout of an HTTP library does not bound the look-up of the host's name; this does.
    """
    from huggingface_hub import HfApi

    answer: Future[list[str]] = Future()

    def run() -> None:
        try:
            answer.set_result(HfApi().list_repo_files(name))
        except Exception as error:  # noqa: BLE001, raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(SECONDS)
