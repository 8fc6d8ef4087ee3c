"""Fetch a model from the Hugging Face Hub to the local cache, or say within seconds why not."""

from __future__ import annotations

import errno
import json
import threading
from concurrent.futures import Future
from pathlib import Path

from tsnb.base.errors import ModelError

SECONDS = 4.0
SAFE = "*.safetensors"
PICKLED = "*.bin"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them
OTHER_FILES = ("*.json", "*.txt", "*.model", "*.spm", "*.codes")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "merges.txt", *OTHER_FILES[2:])
OF_BYTES = ("Canine", "ByT5", "MyT5", "Perceiver")  # tokenizers that have no vocabulary
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def fetch(name: str) -> Path:
    """Return the folder of a hub model in the local cache; download what is not there yet.

    A whole copy is taken without a look at the network. Where a download broke off, it goes on; weights come
    last, so that a copy which has them has the rest too.

    Parameters
    ----------
    name
        A hub id, `owner/name`.

    Raises
    ------
    ModelError
        The hub does not answer within `SECONDS`, does not know the model or keeps it back, the download broke
        off, or the cache cannot be written to.
    """
    from huggingface_hub import snapshot_download

    missing, files = "", None
    try:
        folder, missing = _cached(name)
        if folder and not missing:
            return folder
        files = [file for file in _files(name) if "/" not in file]
        weights = SAFE if any(file.endswith(".safetensors") for file in files) else PICKLED
        for patterns in (OTHER_FILES, (*OTHER_FILES, weights)):
            path = snapshot_download(name, allow_patterns=[*patterns], ignore_patterns="*/*")
        return Path(path)
    except Exception as error:  # the hub's, its HTTP library's and the disk's have no base of their own
        raise ModelError(_reason(name, missing, error, begun=files is not None)) from error


def _cached(name: str) -> tuple[Path | None, str]:
    """Return the snapshot in the local cache, and what it lacks; asks nobody.

    `huggingface_hub` 2 compares it with the list of files that it keeps; before that, only the part of a file
    that a download left tells that it broke off.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        patterns = [*OTHER_FILES]
        folder = Path(snapshot_download(name, local_files_only=True, allow_patterns=patterns, ignore_patterns="*/*"))
    except LocalEntryNotFoundError as error:
        return None, "some of its files" if hasattr(error, "snapshot_path") else ""
    repository, names = folder.parents[1], {path.name for path in folder.iterdir() if path.is_file()}
    weights = next((name for name in WEIGHTS if names & {name, f"{name}.index.json"}), "weights")
    parts = {"config.json", weights}
    if weights not in names and (index := f"{weights}.index.json") in names:
        parts = {"config.json", *json.loads((folder / index).read_bytes())["weight_map"].values()}
    if absent := sorted(parts - names):
        return folder, absent[0]
    settings = folder / "tokenizer_config.json"
    kind = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    if not any(any(folder.glob(pattern)) for pattern in VOCABULARIES) and not any(word in kind for word in OF_BYTES):
        return folder, "its tokenizer"
    broken_off = any(repository.glob("blobs/*.incomplete")) and not any(repository.glob(f"trees/{folder.name}.json"))
    return folder, "some of its files" if broken_off else ""


def _files(name: str) -> list[str]:
    """Return the files that the hub has of a model, or raise a TimeoutError after `SECONDS`.

    The timeout of an HTTP library does not bound the look-up of the host's name; this does.
    """
    from huggingface_hub import HfApi

    answer: Future[list[str]] = Future()

    def run() -> None:
        try:
            about = HfApi().model_info(name, revision="main")  # one request, and no second try
            answer.set_result([file.rfilename for file in about.siblings or ()])
        except Exception as error:  # noqa: BLE001, raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(SECONDS)


def _reason(name: str, missing: str, error: BaseException, *, begun: bool) -> str:
    """Return the sentence that says why a model cannot be fetched; `begun` once the hub has listed its files."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    causes = [error]
    while further := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(further)
    cause, answers = causes[-1], [getattr(one, "response", None) for one in causes]
    detail = getattr(cause, "strerror", None) or str(cause).partition("\n")[0].rstrip(".")
    if isinstance(error, GatedRepoError):
        return f"{name} is for people whom its owner let in. Ask on its page at the hub, then log in: hf auth login."
    if isinstance(error, (RepositoryNotFoundError, HFValidationError)):
        return f"The hub knows no public model {name}. Check the spelling (owner/name)."
    if getattr(cause, "errno", None) in DISK or "No space left" in detail:
        free = "Make room there, or name another folder in the environment variable HF_HOME."
        return f"{name} cannot be written to the local cache {HF_HUB_CACHE}: {detail}. {free}"
    if status := next((answer.status_code for answer in answers if answer is not None), 0):
        return f"The hub does not give {name} now: it answered with HTTP status {status}. Try again in some minutes."
    if isinstance(error, TimeoutError):
        detail = f"no answer within {SECONDS:.0f} seconds"
    elif any(isinstance(one, ValueError) for one in causes):
        detail = "something else answers in its place, such as a network's page to log in on"
    state = f"is in the local cache without {missing}" if missing else "is neither a folder nor in the local cache"
    state = "broke off while it was downloaded (what is there stays)" if begun else state
    return (
        f"The model {name} {state}, and the hub cannot be reached: {detail}. "
        'Offline, tsnb.load("tiny-bert") works, and so does a folder with the model\'s files.'
    )
