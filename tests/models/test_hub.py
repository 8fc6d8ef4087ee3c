"""The Hugging Face Hub cannot be reached from a test, so a server on loopback stands in for it.

It serves the embedded model as `someone/tiny` by the addresses and headers that huggingface_hub
0.36 and 2.4 use. What it cannot show: tokens, the storage behind large files.
"""

import errno
import hashlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

import tsnb
from tests.kinds import MonkeyPatch, Python
from tsnb import tiny_bert
from tsnb.models import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = "/api/models/someone/tiny"
LOAD = """
import torch, tsnb
model, tokenizer = tsnb.load("someone/tiny")
inputs = tokenizer("Who was Jim Henson ?", "Jim [MASK] was a puppeteer", return_tensors="pt")
with torch.no_grad():
    print(model.name_or_path, tokenizer.decode(model(**inputs).logits[0, 8].argmax()))
"""
FETCH = """
import resource, sys, time
from tsnb.base import errors
from tsnb.models import hub
limit = int(sys.argv[2]) if sys.argv[2:] else resource.RLIM_INFINITY  # of a file's bytes: a disk that is full
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
start = time.perf_counter()
try:
    print("fetched", hub.fetch(sys.argv[1]).name)
except errors.ModelError as error:
    print(round(time.perf_counter() - start, 1), error)
"""
INDEX = b'{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}'
NO_HUB = "http://127.0.0.1:9"  # the port that discards


class Stand(BaseHTTPRequestHandler):
    """Answer as the hub does; `broken` names files whose download breaks off."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {
        path.name: path.read_bytes()
        for path in tiny_bert.FOLDER.iterdir()
        if path.suffix in {".json", ".txt", ".safetensors"}
    }
    broken: ClassVar[set[str]] = set()

    def do_HEAD(self) -> None:
        path = urlsplit(self.path).path
        names = [*self.files, "onnx/model.bin", "onnx/config.json"]  # of another library
        tree = [{"type": "file", "path": name, "size": len(self.files.get(name, "")), "oid": "0"} for name in names]
        name = path.removeprefix(f"/someone/tiny/resolve/{COMMIT}/")
        if path in {f"{MODEL}/tree/main", f"{MODEL}/tree/{COMMIT}"}:
            self.answer(json.dumps(tree).encode())
        elif path == f"{MODEL}/revision/main":
            about = {"id": "someone/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            self.answer(json.dumps(about).encode())
        elif name in self.files:
            self.answer(self.files[name], name)
        else:
            self.answer(b"", status=404, code="RepoNotFound")

    def do_GET(self) -> None:
        self.do_HEAD()

    def answer(self, body: bytes, name: str = "", status: int = 200, code: str = "") -> None:
        etag = hashlib.sha256(body).hexdigest()
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if begin else status)
        self.send_header("Content-Length", str(len(body) - begin))
        self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[begin : len(body) // 2] if name in self.broken else body[begin:])
        self.close_connection = name in self.broken

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class CutOff(Stand):
    """Break off in the middle of the weights, as a bad connection does."""

    broken: ClassVar[set[str]] = {"model.safetensors"}


class Pickled(Stand):
    """Have weights in torch's own format only."""

    files: ClassVar[dict[str, bytes]] = {"config.json": b"{}", "vocab.txt": b"a", "pytorch_model.bin": b"weights"}


class Sharded(Stand):
    """Have weights in two files, and an index of them."""

    files: ClassVar[dict[str, bytes]] = {
        **{name: content for name, content in Stand.files.items() if name != "model.safetensors"},
        "model.safetensors.index.json": INDEX,
        "model-1-of-2.safetensors": b"one",
        "model-2-of-2.safetensors": b"two",
    }


class Portal(Stand):
    """Answer every question with a page to log in on, as a hotel's network does."""

    def do_GET(self) -> None:
        self.answer(b"<html>Welcome! Please log in.</html>")


class Overloaded(Stand):
    """Answer that there are too many requests."""

    def do_GET(self) -> None:
        self.answer(b"", status=429)


class Gated(Stand):
    """List the files of a model, and give them to nobody."""

    def answer(self, body: bytes, name: str = "", status: int = 200, code: str = "") -> None:
        gated = (b"", name, 403, "GatedRepo") if name else (body, name, status, code)
        super().answer(*gated)


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """Give an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def unknown() -> AbstractContextManager[str]:
    """Give an address whose host has no number (RFC 2606 keeps `.invalid` free for this)."""
    return nullcontext("http://no-such-hub.invalid")


@pytest.fixture
def fetch(python: Python, tmp_path: Path) -> Callable[..., str]:
    """Fetch a model from a stand-in, or from an address, to a cache of the test's own; return what is printed."""

    def fetched(hub: type[Stand] | str = Stand, name: str = "someone/tiny", *limit: int) -> str:
        with served(hub) if isinstance(hub, type) else nullcontext(hub) as endpoint:
            return python(FETCH, name, *limit, HF_ENDPOINT=endpoint, HF_HOME=tmp_path)

    return fetched


def test_a_hub_model_is_downloaded_and_then_needs_no_hub(python: Python, tmp_path: Path) -> None:
    with served(Stand) as endpoint:
        assert python(LOAD, HF_ENDPOINT=endpoint, HF_HOME=tmp_path) == "someone/tiny henson\n"
    assert python(LOAD, HF_ENDPOINT=NO_HUB, HF_HOME=tmp_path) == "someone/tiny henson\n"
    assert not [*tmp_path.rglob("onnx")]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (silent, "no answer within 4 seconds"),
        (unknown, "Name or service not known"),
        (lambda: served(Portal), "page to log in on"),
        (lambda: nullcontext(NO_HUB), "Connection refused"),
    ],
)
def test_no_way_to_the_hub_is_said_within_seconds(
    fetch: Callable[..., str], way: Callable[[], AbstractContextManager[str]], why: str
) -> None:
    with way() as endpoint:
        printed = fetch(endpoint)
    assert "neither a folder nor in the local cache, and the hub cannot be reached: " in printed
    assert why in printed
    assert float(printed.split()[0]) < 10


def test_where_the_hub_is_switched_off(python: Python, tmp_path: Path) -> None:
    printed = python(FETCH, "someone/tiny", HF_HUB_OFFLINE=1, HF_HOME=tmp_path)
    assert "the hub cannot be reached" in printed
    assert "HF_HUB_OFFLINE" in printed


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((Stand, "someone/else"), "The hub knows no public model someone/else."),
        ((Stand, "some one/tiny"), "The hub knows no public model some one/tiny."),
        ((Gated,), "someone/tiny is for people whom its owner let in."),
        ((Overloaded,), "it answered with HTTP status 429"),
        ((Stand, "someone/tiny", 1_000_000), f"{os.strerror(errno.EFBIG)}. Make room there"),
    ],
)
def test_what_else_stands_in_the_way(fetch: Callable[..., str], arguments: tuple[object, ...], why: str) -> None:
    printed = fetch(*arguments)
    assert why in printed
    assert "cannot be reached" not in printed


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "local cache"),
        (RuntimeError("IO Error: No space left on device (os error 28)"), "local cache"),  # as hf_xet says it
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "the hub cannot be reached: Connection"),
    ],
)
def test_a_download_that_ends_early_tells_the_cause(monkeypatch: MonkeyPatch, error: Exception, why: str) -> None:
    monkeypatch.setattr(hub, "_files", lambda _: ["config.json", "model.safetensors"])
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Mock(side_effect=[LocalEntryNotFoundError(""), error]))
    with pytest.raises(tsnb.ModelError, match=why):
        hub.fetch("someone/tiny")


def test_a_download_that_broke_off_goes_on(fetch: Callable[..., str], tmp_path: Path) -> None:
    assert "broke off while it was downloaded (what is there stays)" in fetch(CutOff)
    assert "without weights, and the hub cannot be reached: Connection refused" in fetch(NO_HUB)
    assert fetch() == f"fetched {COMMIT}\n"
    [weights] = tmp_path.rglob("snapshots/*/model.safetensors")
    assert weights.read_bytes() == Stand.files["model.safetensors"]


@pytest.mark.parametrize(
    ("hub", "lost", "missing"),
    [
        (Stand, ["tokenizer.json", "vocab.txt"], "its tokenizer"),
        (Stand, ["config.json"], "config.json"),
        (Stand, ["model.safetensors"], "weights"),
        (Sharded, ["model-2-of-2.safetensors"], "model-2-of-2.safetensors"),
        (Sharded, ["model.safetensors.index.json"], "weights"),
        (Pickled, ["pytorch_model.bin"], "weights"),
        (Stand, [], "some of its files"),  # but part of a file
    ],
)
def test_a_copy_that_is_not_whole_is_completed(
    fetch: Callable[..., str], tmp_path: Path, hub: type[Stand], lost: list[str], missing: str
) -> None:
    assert fetch(hub) == fetch(NO_HUB) == f"fetched {COMMIT}\n"
    [folder] = tmp_path.rglob(f"snapshots/{COMMIT}")
    shutil.rmtree(folder.parents[1] / "trees", ignore_errors=True)  # as other programs leave a cache
    for name in lost:
        (folder / name).resolve().unlink()
    part = folder.parents[1] / "blobs/0123.incomplete"
    part.write_bytes(b"part of a file")
    assert f"is in the local cache without {missing}, and the hub cannot be reached" in fetch(NO_HUB)
    assert fetch(hub) == f"fetched {COMMIT}\n"
    part.unlink()
    assert fetch(NO_HUB) == f"fetched {COMMIT}\n"
    assert {name: (folder / name).read_bytes() for name in hub.files} == hub.files


def test_a_model_that_reads_bytes_needs_no_vocabulary(fetch: Callable[..., str], tmp_path: Path) -> None:
    settings = {"tokenizer_config.json": b'{"tokenizer_class": "ByT5Tokenizer"}', "vocab.txt": b""}
    fetch(type("Bytes", (Pickled,), {"files": Pickled.files | settings}))
    [vocabulary] = tmp_path.rglob("vocab.txt")
    vocabulary.unlink()
    shutil.rmtree(vocabulary.parents[2] / "trees", ignore_errors=True)
    assert fetch(NO_HUB) == f"fetched {COMMIT}\n"
