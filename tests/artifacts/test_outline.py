"""Names of tensors are read off a pickle's instructions, and nothing in it is run."""

from __future__ import annotations

import pickle
import subprocess
import time
import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import tsnb
from tsnb.artifacts.outline import Stored, tensors
from tsnb.tracing.traced import quiet_jit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Holding(nn.Module):
    """Tensors in a list, a dict, a tuple and a module, beside what is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 3)])
        self.table = {"half": torch.ones(2, dtype=torch.float16)}
        self.pair = (torch.ones(3, dtype=torch.int64), 2)
        self.several = [torch.ones(1), torch.ones((), dtype=torch.bool)]
        self.names = ["a", "b"]
        self.number = 3.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers = self.several[0] + self.table["half"][0] + self.pair[0].sum()
        for layer in self.layers:
            x = layer(x)
        return x + numbers + len(self.names) + self.number


def pickled(module: torch.jit.ScriptModule, folder: Path, member: str = "data.pkl") -> bytes:
    path = folder / "held.pt"
    with quiet_jit() as jit:
        jit.save(module, str(path))
    with zipfile.ZipFile(path) as held:
        return held.read(f"held/{member}")


def script(module: nn.Module) -> torch.jit.ScriptModule:
    with quiet_jit() as jit, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jit.script(module)  # type: ignore[no-any-return]


@pytest.mark.parametrize("head", ["encoder", "masked-lm", "question-answering"])
def test_every_parameter_and_buffer_has_its_name_dtype_and_shape(
    traced: Callable[..., tsnb.Traced], tmp_path: Path, head: str
) -> None:
    module = traced(head).module
    expected = {
        name: (str(held.dtype).removeprefix("torch."), tuple(held.shape))
        for way in (module.named_parameters, module.named_buffers)
        for name, held in way(remove_duplicate=False)
    }
    found = tensors(pickled(module, tmp_path))
    assert {held.name: (held.dtype, held.shape) for held in found} == expected
    assert len(found) == len(expected)


def test_tied_weights_have_one_storage(traced: Callable[..., tsnb.Traced], tmp_path: Path) -> None:
    storages = {held.name: held.storage for held in tensors(pickled(traced().module, tmp_path))}
    first, second = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
    assert storages[first] == storages[second]
    assert list(storages.values()).count(storages[first]) == 2


def test_tensors_in_containers(tmp_path: Path) -> None:
    found = tensors(pickled(script(Holding()), tmp_path))
    assert {(held.name, held.dtype, held.shape) for held in found} == {
        ("layers.0.weight", "float32", (3, 2)),
        ("layers.0.bias", "float32", (3,)),
        ("table.half", "float16", (2,)),
        ("pair.0", "int64", (3,)),
        ("several.0", "float32", (1,)),
        ("several.1", "bool", ()),
    }


def test_constants(tmp_path: Path) -> None:
    with quiet_jit() as jit:
        traced = tsnb.trace(nn.Linear(2, 3).eval(), {"input": torch.zeros(1, 2)})
        found = tensors(pickled(jit.freeze(traced.module), tmp_path, "constants.pkl"))
    assert [(held.name, held.shape) for held in found] == [("0", (3, 2)), ("1", (3,))]


def test_quantised_weights(tmp_path: Path) -> None:
    with warnings.catch_warnings(), quiet_jit() as jit:
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 5)), {nn.Linear})
        found = tensors(pickled(jit.trace(model.eval(), torch.ones(1, 4)), tmp_path))
    assert [(held.dtype, held.shape) for held in found] == [("QInt8", (5, 4)), ("float32", (5,))]


class Touching:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.call, (["touch", str(self.path)],)


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path) -> None:
    path = tmp_path / "touched"
    content = pickle.dumps({"weight": Touching(path)}, 2)
    assert tensors(content) == []
    assert not path.exists()
    pickle.loads(content)
    assert path.exists()


def test_a_container_in_itself_ends() -> None:
    held: list[object] = []
    held.append(held)
    assert tensors(pickle.dumps(held, 2)) == []


def test_one_that_doubles_at_every_step_ends_soon() -> None:
    held: object = ("a", "b")
    for _ in range(200):
        held = (held, held)
    begun = time.perf_counter()
    assert tensors(pickle.dumps(held, 2)) == []
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02", b"\x80\x02h\x09.", b"\x80\x02)t."])
def test_bytes_that_are_no_such_pickle(content: bytes) -> None:
    assert tensors(content) == []


def test_damaged_bytes_never_raise(traced: Callable[..., tsnb.Traced], tmp_path: Path) -> None:
    whole = pickled(traced().module, tmp_path)
    for place in range(0, len(whole), 23):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        assert all(isinstance(held, Stored) for held in tensors(bytes(changed)))
