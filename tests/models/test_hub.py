"""The Hugging Face Hub cannot be reached from a test, so a server on loopback stands in for it.

It serves the embedded model as `someone/tiny` by the addresses and headers that huggingface_hub
0.36 uses. What it cannot show: tokens, gated models, the storage behind large files.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import pytest

from tsnb import tiny_bert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

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
import sys, time
import huggingface_hub
from huggingface_hub import HfApi, snapshot_download
from tsnb.base import errors
from tsnb.models import hub
start = time.perf_counter()
try:
    print("fetched", hub.fetch(sys.argv[1]).name)
except errors.ModelError as error:
    print(round(time.perf_counter() - start, 1), error)
"""


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
        tree = [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in self.files]
        siblings = [{"rfilename": name} for name in self.files]
        name = path.removeprefix(f"/someone/tiny/resolve/{COMMIT}/")
        if path == f"{MODEL}/tree/main":
            self.answer(json.dumps(tree).encode())
        elif path == f"{MODEL}/revision/main":
            about = {"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}
            self.answer(json.dumps(about).encode())
        elif name in self.files:
            self.answer(self.files[name], name)
        else:
            self.answer(b"", status=404)

    do_GET = do_HEAD  # noqa: N815, the name that http.server calls

    def answer(self, body: bytes, name: str = "", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status != 200:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if name in self.broken else body)
        self.close_connection = name in self.broken

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class CutOff(Stand):
    """Break off in the middle of the weights, as a bad connection does."""

    broken: ClassVar[set[str]] = {"model.safetensors"}


class Pickled(Stand):
    """Have weights in torch's own format only."""

    files: ClassVar[dict[str, bytes]] = {"config.json": b"{}", "pytorch_model.bin": b"weights"}


class Portal(Stand):
    """Answer every question with a page to log in on, as a hotel's network does."""

    def do_GET(self) -> None:
        self.answer(b"<html>Welcome! Please log in.</html>")


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def refusing() -> Iterator[str]:
    """Give an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def silent() -> Iterator[str]:
    """Give an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def unknown() -> Iterator[str]:
    """Give an address whose host has no number (RFC 2606 keeps `.invalid` free for this)."""
    yield "http://no-such-hub.invalid"


@contextmanager
def portal() -> Iterator[str]:
    with served(Portal) as endpoint:
        yield endpoint


def test_a_hub_model_is_downloaded_and_then_needs_no_hub(python: Callable[..., str], tmp_path: Path) -> None:
    with served(Stand) as endpoint:
        assert python(LOAD, HF_ENDPOINT=endpoint, HF_HOME=tmp_path) == "someone/tiny henson\n"
    assert python(LOAD, HF_ENDPOINT=endpoint, HF_HOME=tmp_path) == "someone/tiny henson\n"


@pytest.mark.parametrize("way", [refusing, silent, unknown, portal])
def test_no_way_to_the_hub_is_said_within_seconds(
    python: Callable[..., str], tmp_path: Path, way: Callable[[], AbstractContextManager[str]]
) -> None:
    with way() as endpoint:
        printed = python(FETCH, "someone/tiny", HF_ENDPOINT=endpoint, HF_HOME=tmp_path)
    assert "the hub cannot be reached" in printed
    assert float(printed.split()[0]) <= 5


def test_offline_by_the_readers_own_setting(python: Callable[..., str], tmp_path: Path) -> None:
    printed = python(FETCH, "someone/tiny", HF_HUB_OFFLINE=1, HF_HOME=tmp_path)
    assert "the hub cannot be reached" in printed


@pytest.mark.parametrize("name", ["someone/else", "some one/tiny"])
def test_a_model_that_the_hub_does_not_have(python: Callable[..., str], tmp_path: Path, name: str) -> None:
    with served(Stand) as endpoint:
        printed = python(FETCH, name, HF_ENDPOINT=endpoint, HF_HOME=tmp_path)
    assert "The hub knows no public model" in printed


def test_a_download_that_broke_off_starts_again(python: Callable[..., str], tmp_path: Path) -> None:
    with served(CutOff) as endpoint:
        printed = python(FETCH, "someone/tiny", HF_ENDPOINT=endpoint, HF_HOME=tmp_path)
    assert "the hub cannot be reached" in printed
    with served(Stand) as endpoint:
        printed = python(FETCH, "someone/tiny", HF_ENDPOINT=endpoint, HF_HOME=tmp_path)
    assert printed == f"fetched {COMMIT}\n"
    [weights] = tmp_path.rglob("snapshots/*/model.safetensors")
    assert weights.read_bytes() == Stand.files["model.safetensors"]


def test_pickled_weights_are_fetched_where_there_are_no_others(python: Callable[..., str], tmp_path: Path) -> None:
    with served(Pickled) as endpoint:
        python(FETCH, "someone/tiny", HF_ENDPOINT=endpoint, HF_HOME=tmp_path)
    [weights] = tmp_path.rglob("snapshots/*/pytorch_model.bin")
    assert weights.read_bytes() == b"weights"
