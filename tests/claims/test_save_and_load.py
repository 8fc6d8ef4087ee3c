"""Claims of notebook 03: the file, what it carries, what damages it, and who else reads it."""

import inspect
import io
import json
import pickle
import re
import shlex
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import FunnelConfig, FunnelModel

import tsnb
from tests.kinds import MonkeyPatch
from tsnb.artifacts.archive import append_digest
from tsnb.artifacts.save import OtherDeviceWarning
from tsnb.practice.exercises import stories

Load = Callable[..., Any]
Inputs = dict[str, torch.Tensor]
Source = Callable[[str, str], str]
Saved = tuple[Any, Path]  # a trace, and its file

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")


@pytest.fixture
def saved(masked_lm: Load, inputs: Inputs, tmp_path: Path) -> Saved:
    """Return a trace and the file it was saved to, by plain torch."""
    traced = torch.jit.trace(masked_lm(torchscript=True), example_kwarg_inputs=inputs)
    torch.jit.save(traced, tmp_path / "bert.pt")
    return traced, tmp_path / "bert.pt"


@pytest.fixture
def by_tsnb(masked_lm: Load, inputs: Inputs, tmp_path: Path) -> Saved:
    """Return a trace and the file it was saved to, both by tsnb."""
    traced = tsnb.trace(masked_lm(), inputs)
    return traced, tsnb.save(traced, tmp_path / "x.pt")


@pytest.mark.claim("loaded-equals-saved")
def test_a_loaded_trace_gives_the_same_bits(saved: Saved, inputs: Inputs) -> None:
    traced, path = saved
    assert torch.equal(torch.jit.load(path)(**inputs)[0], traced(**inputs)[0])


@pytest.mark.claim("eval-mode-is-saved")
def test_a_trace_in_eval_mode_loads_in_eval_mode(saved: Saved, inputs: Inputs) -> None:
    loaded = torch.jit.load(saved[1])
    assert not any(module.training for module in loaded.modules())
    assert torch.equal(loaded(**inputs)[0], loaded.eval()(**inputs)[0])


@pytest.mark.claim("runs-without-transformers")
def test_a_trace_runs_where_transformers_cannot_be_imported(saved: Saved, inputs: Inputs) -> None:
    traced, path = saved
    numbers = {name: tensor.tolist() for name, tensor in inputs.items()}
    program = f"""
import sys, torch
sys.modules["transformers"] = sys.modules["tsnb"] = None
names = {numbers!r}
logits = torch.jit.load({str(path)!r})(**{{n: torch.tensor(v) for n, v in names.items()}})[0]
print(logits[0, 8].argmax().item())
"""
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) == traced(**inputs)[0][0, 8].argmax().item()


@pytest.mark.claim("a-pt-file-is-a-zip")
def test_a_pt_file_is_a_zip_of_code_and_data(saved: Saved) -> None:
    with zipfile.ZipFile(saved[1]) as archive:
        parts = {name.split("/")[1] for name in archive.namelist()}
    assert {"code", "data", "constants.pkl"} <= parts


@pytest.mark.claim("input-names-are-those-of-forward")
@pytest.mark.parametrize("by_name", [True, False])
def test_a_file_has_the_names_of_forward_however_it_was_traced(
    masked_lm: Load, inputs: Inputs, tmp_path: Path, *, by_name: bool
) -> None:
    model = masked_lm(torchscript=True)
    names = list(inspect.signature(model.forward).parameters)[: len(inputs)]
    assert set(names) == set(inputs)
    assert names != list(inputs)
    if by_name:
        traced = torch.jit.trace(model, example_kwarg_inputs=inputs)
    else:
        traced = torch.jit.trace(model, tuple(inputs[name] for name in names))
    torch.jit.save(traced, tmp_path / "x.pt")
    loaded = torch.jit.load(tmp_path / "x.pt")
    assert [argument.name for argument in loaded.forward.schema.arguments[1:]] == names
    assert torch.equal(loaded(**inputs)[0], traced(**inputs)[0])


@pytest.mark.claim("a-file-knows-the-traced-sizes-only")
def test_a_file_holds_the_traced_sizes_and_no_padding_nor_versions(saved: Saved, inputs: Inputs) -> None:
    with zipfile.ZipFile(saved[1]) as archive:
        held = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    found = Sizes(io.BytesIO(held["traced_inputs.pkl"])).load()
    everything = b"".join(held.values())
    for unsaid in (b"pad", torch.__version__.encode(), transformers.__version__.encode()):
        assert unsaid not in everything
    assert found == {"forward": [tuple(tensor.shape) for tensor in inputs.values()]}


class Sizes(pickle.Unpickler):
    """Read the size of each tensor where a file has the tensor."""

    def persistent_load(self, _: object) -> None:
        """Leave out the numbers, which are not there."""

    def find_class(self, _: str, name: str) -> Any:
        return {
            "_rebuild_tensor_v2": lambda _storage, _offset, size, *_: size,
            "restore_type_tag": lambda held, _tag: held,
            "OrderedDict": dict,
        }.get(name)


@pytest.mark.claim("extra-files-travel")
def test_plain_torch_reads_the_model_and_the_contract(by_tsnb: Saved, inputs: Inputs) -> None:
    traced, path = by_tsnb
    extra = {"tsnb_contract.json": ""}
    plain = torch.jit.load(path, _extra_files=extra)
    assert torch.equal(plain(**inputs)[0], traced(**inputs)["logits"])
    assert tsnb.Contract.from_json(extra["tsnb_contract.json"]) == traced.contract


@pytest.mark.claim("untied-file-is-larger")
def test_the_copy_of_the_embedding_is_in_the_file(
    masked_lm: Load, inputs: Inputs, tokenizer: Any, tmp_path: Path
) -> None:
    sizes = {}
    for flag in (False, True):
        model = masked_lm(torchscript=flag)
        path = tsnb.save(tsnb.trace(model, inputs), tmp_path / "x.pt", tokenizer)
        sizes[flag] = path.stat().st_size
    copy = model.get_input_embeddings().weight.nbytes
    assert abs(sizes[True] - sizes[False] - copy) <= 0.1 * copy  # names in code vary in length


@pytest.mark.claim("torch-loads-damaged-weights")
def test_torch_loads_one_wrong_bit_without_a_word_and_tsnb_refuses_it(by_tsnb: Saved, inputs: Inputs) -> None:
    traced, path = by_tsnb
    name = "embeddings.LayerNorm.weight"
    weight = next(held for held in tsnb.inspect(path).weights if held.name.endswith(name))
    with zipfile.ZipFile(path) as archive:
        stored = archive.read(f"x/{weight.member}")
    data = bytearray(path.read_bytes())
    data[data.index(stored) + 3] ^= 0b10000000
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        wrong = torch.jit.load(path)
    assert (wrong(**inputs)[0] - traced(**inputs)["logits"]).abs().max() > 1e-3
    with pytest.raises(tsnb.ArtifactError, match="bytes were changed"):
        tsnb.load_traced(path)


class Busy(torch.nn.Module):
    """Writes a file, reads another and counts to a thousand when it is loaded."""

    def __init__(self, written: str, mine: str) -> None:
        super().__init__()
        self.written, self.mine, self.steps = written, mine, 0
        self.read = torch.zeros(1)

    def forward(self) -> torch.Tensor:
        return self.read

    @torch.jit.export
    def __getstate__(self) -> tuple[str, str, bool]:
        return (self.written, self.mine, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, str, bool]) -> None:
        self.written, self.mine, self.training = state[0], state[1], state[2]
        torch.save(torch.zeros(1), self.written)
        self.read = torch.from_file(self.mine, False, 8, dtype=torch.uint8).clone()
        self.steps = 0
        while self.steps < 1000:
            self.steps += 1


@pytest.fixture
def busy(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return the file of a busy module, the one that it will write, and the one that it will read."""
    path, written, mine = (tmp_path / name for name in ("x.pt", "written", "mine"))
    torch.jit.save(torch.jit.script(Busy(str(written), str(mine))), path)
    mine.write_bytes(b"my words")
    return path, written, mine


@pytest.mark.claim("loading-runs-code")
def test_a_module_can_write_and_read_files_and_be_busy_while_it_is_loaded(busy: tuple[Path, Path, Path]) -> None:
    path, written, mine = busy
    tsnb.inspect(path)
    assert not written.exists()  # looking runs nothing
    loaded = torch.jit.load(path)
    assert written.exists()
    mine.write_bytes(b"others..")
    assert bytes(loaded.read.tolist()) == b"my words"
    assert loaded.steps == 1000


@pytest.mark.claim("a-digest-is-not-a-signature")
def test_whoever_changes_a_file_can_seal_it_again(busy: tuple[Path, Path, Path]) -> None:
    path, written, _ = busy
    append_digest(path)
    assert tsnb.inspect(path).digest == "matches"
    tsnb.load_traced(path)
    assert written.exists()


@pytest.mark.claim("paths-travel")
def test_the_paths_of_the_machine_that_traced_are_in_the_file(saved: Saved, by_tsnb: Saved, masked_lm: Load) -> None:
    source = inspect.getsourcefile(type(masked_lm()))
    assert source is not None
    for path in (saved[1], by_tsnb[1]):
        with zipfile.ZipFile(path) as archive:
            assert f"{source}(".encode() in b"".join(map(archive.read, archive.namelist()))


@pytest.mark.claim("torch-compares-no-checksum")
def test_torch_refuses_code_that_it_cannot_read_and_loads_weights_with_holes(by_tsnb: Saved, tmp_path: Path) -> None:
    path = by_tsnb[1]
    held, whole = tsnb.inspect(path), path.read_bytes()
    refused = []
    for member in (*held.code, *held.storages):
        path.write_bytes(whole)
        stories.blank(path, member)
        try:
            torch.jit.load(path)
        except (RuntimeError, ValueError, LookupError):
            refused.append(member)
        else:  # zeros in zeros are no damage
            assert held.first_damaged() or path.read_bytes() == whole
    assert refused == list(held.code) != []
    _loads_changed_code(tmp_path / "y.pt")


class Times(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 4


def _loads_changed_code(path: Path) -> None:
    """Check that torch runs code that was changed and is still readable: its checksum is old."""
    torch.jit.save(torch.jit.trace(Times(), torch.ones(1)), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:  # not deflated, so that the code stands as text
        for name, data in members.items():
            archive.writestr(name, data)
    assert torch.jit.load(path)(torch.ones(1)) == 4
    path.write_bytes(path.read_bytes().replace(b"torch.mul(", b"torch.div("))
    changed = next(name for name, data in members.items() if b"torch.mul(" in data)
    with zipfile.ZipFile(path) as archive, pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        archive.read(changed)
    assert torch.jit.load(path)(torch.ones(1)) == 1 / 4


@pytest.mark.claim("a-digest-knows-bytes")
def test_another_byte_that_does_no_harm_is_refused(by_tsnb: Saved, inputs: Inputs, tmp_path: Path) -> None:
    traced, whole = by_tsnb
    longer, again = tmp_path / "longer.pt", tmp_path / "again.pt"
    longer.write_bytes(whole.read_bytes() + b"\n")
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(again, "w") as zipped:
        for name in archive.namelist():
            zipped.writestr(name, archive.read(name))
    for path in (longer, again):
        assert torch.equal(torch.jit.load(path)(**inputs)[0], traced(**inputs)["logits"])
        with pytest.raises(tsnb.ArtifactError, match="bytes were changed"):
            tsnb.load_traced(path)


@pytest.mark.claim("cpp-build-takes-a-gigabyte")
def test_building_the_loader_takes_about_a_gigabyte(peak_of_the_build: float) -> None:
    assert 0.6 < peak_of_the_build < 1.5


@pytest.mark.claim("cpp-takes-ids-by-name")
def test_the_loader_takes_names_in_any_order(loader: Path, by_tsnb: Saved, inputs: Inputs, source: Source) -> None:
    ids = {name: " ".join(map(str, tensor[0].tolist())) for name, tensor in inputs.items()}
    arguments = [f"{name}={numbers}" for name, numbers in ids.items()]
    printed = [
        subprocess.run([loader, by_tsnb[1], *order], capture_output=True, text=True, check=True).stdout
        for order in (arguments, arguments[::-1])
    ]
    assert printed[0] == printed[1] != ""
    [line] = re.findall(r"^build/.+", source("03", "cpp-intro"), flags=re.MULTILINE)
    program, _, *ids_of_a_text = shlex.split(line)
    assert Path(program).name == loader.stem
    done = subprocess.run([loader, by_tsnb[1], *ids_of_a_text], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["logits"]["shape"][:2] == [1, 3]


@pytest.mark.claim("cpp-equals-python")
def test_the_loader_gives_the_same_bits(loader: Path, by_tsnb: Saved, inputs: Inputs) -> None:
    traced, path = by_tsnb
    found = tsnb.cpp.run(loader, path, inputs)["logits"]
    assert torch.equal(found, traced(**inputs)["logits"])


@pytest.mark.claim("export-refuses-what-disagrees")
def test_export_ends_with_1_and_no_file_where_trace_and_model_disagree(tmp_path: Path) -> None:
    _, tokenizer = tsnb.load("tiny-bert")
    config = FunnelConfig(vocab_size=len(tokenizer), block_sizes=[1, 1], d_model=32, n_head=2, d_head=16, d_inner=37)
    FunnelModel(config).save_pretrained(tmp_path / "funnel")
    tokenizer.save_pretrained(tmp_path / "funnel")
    command = [sys.executable, "-m", "tsnb.cli.main", "export", str(tmp_path / "funnel")]
    options = ["--head", "encoder", "--max-length", "16", "--verify", "32", "-o", str(tmp_path / "x.pt")]
    assert subprocess.run([*command, *options], check=False, capture_output=True).returncode == 1
    assert not (tmp_path / "x.pt").exists()


@pytest.mark.claim("cpp-lines-are-the-loaders")
def test_the_lines_of_c_that_the_notebook_shows_are_those_of_the_loader(source: Source) -> None:
    [folder], [shown] = (
        re.findall(form, source("03", "cpp-intro")) for form in (r"cmake -S (\S+)", r"```cpp\n([^`]+)")
    )
    whole = (Path(__file__).parents[2] / folder / "load_traced.cpp").read_text(encoding="utf-8")
    lines, decisive = ({line.split("//")[0].strip() for line in text.splitlines()} for text in (whole, shown))
    assert decisive <= lines
    assert all(call in shown for call in ("torch::jit::load(", "module.forward("))


@pytest.mark.claim("a-device-is-recorded")
def test_a_file_keeps_the_device_of_weights_and_of_what_forward_makes(source: Source, tmp_path: Path) -> None:
    """A device stands as text in the file, and is changed there: to a GPU that no machine has."""
    names: dict[str, Any] = {"torch": torch}
    exec(source("03", "gpu-record"), names)
    path, gpu, x = tmp_path / "x.pt", tmp_path / "gpu.pt", torch.zeros(1, 3)
    torch.jit.save(names["made"], path)
    moved = torch.jit.load(path, map_location="meta")
    assert {weight.device.type for weight in moved.parameters()} == {"meta"}
    assert 'device=torch.device("cpu")' in moved.code
    with pytest.raises(RuntimeError):
        moved(x.to("meta"))
    own = tsnb.save(tsnb.trace(names["Positions"]().eval(), {"x": x}), tmp_path / "own.pt")
    with pytest.warns(OtherDeviceWarning):
        tsnb.load_traced(own, map_location="meta")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(gpu, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, archive.read(name).replace(b"X\x03\0\0\0cpu", b"X\x07\0\0\0cuda:99"))
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.jit.load(gpu)
    assert torch.equal(torch.jit.load(gpu, map_location="cpu")(x), names["made"](x))


@pytest.mark.claim("half-precision-of-the-whole-model")
def test_half_the_file_and_the_same_answer(  # noqa: PLR0913, PLR0917, what the cell reads
    source: Source,
    masked_lm: Load,
    inputs: Inputs,
    tokenizer: Any,
    capsys: Any,
    tmp_path: Path,
    monkeypatch: MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("artefacts").mkdir()
    names = {"torch": torch, "Path": Path, "inputs": inputs, "tokenizer": tokenizer}
    exec(source("03", "half"), names | {"model": masked_lm(torchscript=True)})
    rows = re.findall(r"([\d,]+) bytes, off by (\S+), (\w+)", capsys.readouterr().out)
    full, half, brain = (int(size.replace(",", "")) for size, _, _ in rows)
    assert all(0.45 * full < size < 0.6 * full for size in (half, brain))
    assert 0 <= float(rows[0][1]) < 1e-4 < float(rows[1][1]) < float(rows[2][1]) < 1
    assert {word for _, _, word in rows} == {"henson"}
    float32, float16, bfloat16 = (torch.finfo(kind).max for kind in (torch.float32, torch.float16, torch.bfloat16))
    assert (float16, bfloat16 > 0.99 * float32) == (65_504, True)


class Cast(torch.nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.to(self.weight.dtype))


@pytest.mark.claim("dtype-comes-before-the-trace")
def test_half_on_a_trace_leaves_what_python_read() -> None:
    late = torch.jit.trace(Cast(3, 3), torch.ones(1, 3, dtype=torch.int64)).half()
    assert late.weight.dtype == torch.float16
    with pytest.raises(RuntimeError, match="dtype"):
        late(torch.ones(1, 3, dtype=torch.int64))
    assert Cast(3, 3).half()(torch.ones(1, 3)).dtype == torch.float16
