"""Files of what tsnb.export recorded: whole, read by others, refused where they are damaged."""

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch._inductor import aoti_load_package

import tsnb

FORMATS = ["export", "aotinductor", "onnx"]
FLIPS = 40  # places in a file, one bit each


@pytest.mark.parametrize("to", FORMATS)
def test_contract_tokenizer_and_numbers_survive_saving_twice(
    exports: Callable[[str], tsnb.Traced], load: Any, tmp_path: Path, to: str
) -> None:
    program, (_, tokenizer) = exports(to), load()
    first = tsnb.save(program, tmp_path / "first.bin", tokenizer)
    second = tsnb.save(tsnb.load_traced(first), tmp_path / "second.bin", tsnb.load_tokenizer(first))
    assert abs(second.stat().st_size - first.stat().st_size) < 1000
    loaded = tsnb.load_traced(second)
    assert loaded.contract == program.contract
    inputs = tokenizer(["jim henson was a poet", "a poet"], padding=True, return_tensors="pt")
    assert tsnb.load_tokenizer(second)("a poet") == tokenizer("a poet")
    assert torch.equal(loaded(**inputs)["logits"], program(**inputs)["logits"])
    with pytest.raises(tsnb.ArtifactError, match=r"is not a TorchScript file but another: .* tsnb.load_traced"):
        tsnb.inspect(second)


def test_other_programs_read_the_files(exports: Callable[[str], tsnb.Traced], load: Any, tmp_path: Path) -> None:
    _, tokenizer = load()
    inputs = dict(tokenizer("a poet", return_tensors="pt"))
    paths = {to: str(tsnb.save(exports(to), tmp_path / f"{to}.{to[:4]}2", tokenizer)) for to in FORMATS}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    numbers = [
        torch.export.load(BytesIO((tmp_path / "export.expo2").read_bytes())).module()(**inputs)["logits"].detach(),
        aoti_load_package(paths["aotinductor"])(**inputs)["logits"],
        onnxruntime.InferenceSession(paths["onnx"]).run(None, arrays)[0],
    ]
    assert all(np.allclose(each, exports("export")(**inputs)["logits"], atol=1e-4) for each in numbers)


@pytest.mark.parametrize("to", FORMATS)
def test_a_changed_bit_or_a_missing_end_is_refused(
    exports: Callable[[str], tsnb.Traced], tmp_path: Path, to: str
) -> None:
    whole = tsnb.save(exports(to), tmp_path / "whole.bin").read_bytes()
    draw = random.Random(to)
    places = draw.sample(range(100, len(whole)), FLIPS)
    flipped = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in places]
    for content in (whole[: len(whole) // 2], whole[:-1], whole + b"\0", *flipped):
        (tmp_path / "damaged.bin").write_bytes(content)
        with pytest.raises(tsnb.ArtifactError):
            tsnb.load_traced(tmp_path / "damaged.bin")


def test_what_others_exported_is_called_by_its_names(
    exports: Callable[[str], tsnb.Traced], load: Any, tmp_path: Path
) -> None:
    model, tokenizer = load()
    inputs = dict(tokenizer("a poet", return_tensors="pt"))
    torch.export.save(torch.export.export(model, (), inputs), tmp_path / "plain.pt2")
    (tmp_path / "plain.onnx").write_bytes(exports("onnx").module.content)
    for name in ("plain.pt2", "plain.onnx"):
        loaded = tsnb.load_traced(tmp_path / name)
        assert not loaded.contract.known
        assert np.allclose(loaded(**inputs)["output_0"], exports("export")(**inputs)["logits"], atol=1e-4)
    (tmp_path / "plain.aoti").write_bytes(exports("aotinductor").module.content)
    (tmp_path / "cut.onnx").write_bytes(exports("onnx").module.content[:100])
    with pytest.raises(tsnb.ArtifactError, match="cannot load"):
        tsnb.load_traced(tmp_path / "cut.onnx")
    with pytest.raises(tsnb.ArtifactError, match="does not say the names of its inputs"):
        tsnb.load_traced(tmp_path / "plain.aoti")
