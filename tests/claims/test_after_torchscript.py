"""Claims of notebook 06: what torch.export refuses, guards and keeps; packages, ONNX, and a decoder's cache."""

import inspect
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from transformers.integrations.executorch import TorchExportableModuleWithStaticCache as Step

import tsnb
from tests.kinds import Capture
from tsnb import subjects, traps
from tsnb.base.versions import has_flag
from tsnb.practice.exercises.small_models import Mean

Inputs = dict[str, Tensor]
Load = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)

NOTEBOOK = Path(__file__).parents[2] / "notebooks/06_after_torchscript.ipynb"
CELLS = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
FREE = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
AUTO = {0: Dim.AUTO, 1: Dim.AUTO}
SEVEN = {"input_ids": torch.arange(14).reshape(2, 7)}


def defined(*names: str, **others: Any) -> Any:
    """Run cells of the notebook; return what they define."""
    namespace: dict[str, Any] = {"torch": torch, "Dim": Dim, **others}
    for name in names:
        exec(CELLS[name], namespace)
    return namespace


def declared(inputs: Inputs, how: Any = FREE) -> dict[str, Any]:
    return dict.fromkeys(inputs, how)


@pytest.fixture(scope="module")
def model(load: Load) -> Any:
    return load()[0]


@pytest.fixture(scope="module")
def two(load: Load) -> Inputs:
    texts = ["Who was Jim Henson ?"] * 2, ["Jim [MASK] was a puppeteer"] * 2
    return dict(load()[1](*texts, return_tensors="pt"))


@pytest.fixture(scope="module")
def program(model: Any, two: Inputs) -> ExportedProgram:
    return export(model, (), two, dynamic_shapes=declared(two))


@pytest.fixture(scope="module")
def plain(model: Any, two: Inputs) -> ExportedProgram:
    """Return the notebook's program that returns a dict."""
    named = CELLS["file-dict"].partition("\n\n\nwith")[0]
    names: dict[str, Any] = {"torch": torch}
    exec(named, names)
    with torch.no_grad():
        return export(names["Named"](model), (), two, dynamic_shapes=declared(two))


def made(rows: int, length: int) -> Inputs:
    ids = torch.arange(rows * length).reshape(rows, length) % 600 + 5
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}


def difference(run: Any, model: Any, rows: int, length: int) -> float:
    inputs = made(rows, length)
    with torch.no_grad():
        return float((run(**inputs)["logits"] - model(**inputs)["logits"]).abs().max())


@pytest.mark.claim("export-finds-the-position-limit")
def test_the_range_ends_at_the_position_limit(program: ExportedProgram, model: Any) -> None:
    ranges = [(int(each.lower), str(each.upper)) for each in program.range_constraints.values()]
    assert sorted(set(ranges)) == [(2, str(model.config.max_position_embeddings)), (2, "int_oo")]
    assert len(ranges) == (2 if has_flag() else 3)


@pytest.mark.claim("export-equals-model-in-range")
@pytest.mark.parametrize("shape", [(1, 15), (3, 24), (2, 512), (1, 1), (1, 2)])
def test_a_program_gives_the_models_numbers(program: ExportedProgram, model: Any, shape: tuple[int, int]) -> None:
    assert difference(program.module(), model, *shape) <= 1e-5


@pytest.mark.claim("export-guards-its-range")
def test_a_guard_names_input_and_limit(program: ExportedProgram) -> None:
    with pytest.raises(AssertionError, match=re.escape("Guard failed: input_ids.size()[1] <= 512")):
        program.module()(**made(1, 513))


@pytest.mark.claim("export-keeps-names-and-ties")
def test_output_and_tied_weights_stay_after_loading(program: ExportedProgram, two: Inputs, tmp_path: Path) -> None:
    torch.export.save(program, tmp_path / "x.pt2")
    for run in (program.module(), torch.export.load(tmp_path / "x.pt2").module()):
        assert (type(run(**two)).__name__, list(run(**two))) == ("MaskedLMOutput", ["logits"])
        weights: Any = dict(run.named_parameters(remove_duplicate=False))
        ends = ("word_embeddings.weight", "predictions.decoder.weight")
        assert len({weights[name].data_ptr() for name in weights if name.endswith(ends)}) == 1
    assert (tmp_path / "x.pt2").stat().st_size < 1.2 * sum(each.nbytes for each in program.parameters())


@pytest.mark.claim("export-is-called-by-name")
def test_positions_and_missing_names_are_refused(program: ExportedProgram, model: Any, two: Inputs) -> None:
    run: Any = program.module()
    model(two["input_ids"])  # which the model itself takes
    for args, kwargs in ((tuple(two.values()), {}), ((), {"input_ids": two["input_ids"]})):
        with pytest.raises(ValueError, match="keyword mismatch"):
            run(*args, **kwargs)
    assert torch.equal(run(**dict(reversed(two.items()))).logits, run(**two).logits)


@pytest.mark.claim("export-refuses-loop-and-int")
@pytest.mark.parametrize("trap", [traps.PositionLoop, traps.IntMask])
def test_a_number_taken_from_a_size_is_refused(trap: type[nn.Module]) -> None:
    with pytest.raises(RuntimeError, match=r"size\(\)\[1\] as dynamic but your code specialized it .* constant \(7\)"):
        export(traps.make(trap), (), SEVEN, dynamic_shapes={"input_ids": FREE})


@pytest.mark.claim("auto-keeps-the-number-behind-a-guard")
def test_auto_records_the_loop_for_its_length() -> None:
    run = export(traps.make(traps.PositionLoop), (), SEVEN, dynamic_shapes={"input_ids": AUTO}).module()
    with pytest.raises(AssertionError, match=re.escape("input_ids.size()[1] == 7")):
        run(input_ids=torch.ones(1, 9, dtype=torch.int64))


@pytest.mark.claim("export-refuses-the-branch")
def test_a_decision_on_values_is_refused_with_its_line(capsys: Capture) -> None:
    with pytest.raises(RuntimeError, match="data-dependent") as caught:
        export(Branch(), (), {"x": torch.ones(3)})
    assert "if x.sum() > 0:" in str(caught.value)
    assert "aten.sum" in capsys.readouterr().err


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x / 2
        return x * 100


@pytest.mark.claim("where-records-both-branches")
def test_where_decides_in_the_program() -> None:
    run = defined("refused-where")["either"]
    assert (run(x=torch.ones(3)).tolist(), run(x=-torch.ones(3)).tolist()) == ([0.5] * 3, [-100.0] * 3)


@pytest.mark.claim("export-refuses-funnel")
def test_funnel_is_refused_and_recorded_for_one_length() -> None:
    subject = subjects.funnel()
    inputs = dict(subject.traced.example)
    with pytest.raises(tsnb.TraceError, match=r"dimension 1 of input_ids .*was to be dynamic.+constant 16"):
        tsnb.export(subject.model, inputs)
    run = export(subject.model, (), inputs).module()
    assert run(**inputs) is not None
    with pytest.raises(AssertionError, match="Guard failed"):
        run(**{name: tensor[:, :8] for name, tensor in inputs.items()})


@pytest.mark.claim("export-static-is-guarded")
def test_what_is_not_declared_is_fixed(model: Any, two: Inputs) -> None:
    with pytest.raises(AssertionError, match=re.escape("input_ids.size()[1] == 14")):
        export(model, (), two).module()(**made(2, 9))


@pytest.mark.claim("one-row-dynamic-raises")
def test_one_row_is_a_constant_that_dynamic_refuses(model: Any, two: Inputs) -> None:
    one = {name: tensor[:1] for name, tensor in two.items()}
    with pytest.raises(
        ValueError, match=r"0/1 specialized due to hint of 1 for dimension inputs\['input_ids'\].shape\[0\]"
    ):
        export(model, (), one, dynamic_shapes=declared(one))


@pytest.mark.claim("one-row-auto-freezes")
def test_auto_freezes_one_row(model: Any, two: Inputs) -> None:
    one = {name: tensor[:1] for name, tensor in two.items()}
    chosen = export(model, (), one, dynamic_shapes=declared(one, AUTO))
    assert len(chosen.range_constraints) == 1
    with pytest.raises(AssertionError, match=re.escape("input_ids.size()[0] == 1")):
        chosen.module()(**two)


@pytest.mark.claim("export-records-dropout")
def test_dropout_is_recorded_and_eval_raises(two: Inputs, masked_lm: Load) -> None:
    run = export(masked_lm().train(), (), two, dynamic_shapes=declared(two)).module()
    assert (run(**two).logits - run(**two).logits).abs().max() > 0.1
    with pytest.raises(NotImplementedError, match="eval"):
        run.eval()


def elsewhere(path: Path, two: Inputs) -> subprocess.CompletedProcess[str]:
    """Run the notebook's program on a file."""
    program = CELLS["file-elsewhere"].split('"""')[1]
    numbers = [" ".join(map(str, two[name][0].tolist())) for name in ("input_ids", "token_type_ids")]
    return subprocess.run([sys.executable, "-c", program, path, *numbers], capture_output=True, text=True, check=False)


@pytest.mark.claim("plain-pt2-needs-transformers")
def test_an_output_of_transformers_is_not_read_without_it(
    program: ExportedProgram, two: Inputs, tmp_path: Path
) -> None:
    torch.export.save(program, tmp_path / "x.pt2")
    assert "MaskedLMOutput in pytree is not registered" in elsewhere(tmp_path / "x.pt2", two).stderr


@pytest.mark.claim("pt2-of-a-dict-runs-without-transformers")
def test_a_dict_is_read_without_transformers(plain: ExportedProgram, load: Load, two: Inputs, tmp_path: Path) -> None:
    torch.export.save(plain, tmp_path / "x.pt2")
    word, imported = elsewhere(tmp_path / "x.pt2", two).stdout.split()
    assert (load()[1].decode(int(word)), imported) == ("henson", "False")


@pytest.mark.claim("export-carries-extra-files")
def test_extra_files_travel_in_a_pt2(plain: ExportedProgram, tmp_path: Path) -> None:
    torch.export.save(plain, tmp_path / "x.pt2", extra_files={"order.txt": "ids, types, mask"})
    extra = {"order.txt": ""}
    torch.export.load(tmp_path / "x.pt2", extra_files=extra)
    assert extra["order.txt"] == "ids, types, mask"


@pytest.mark.claim("neither-reads-the-others-file")
def test_neither_loader_reads_the_others_file(plain: ExportedProgram, tmp_path: Path) -> None:
    torch.export.save(plain, tmp_path / "x.pt2")
    torch.jit.save(torch.jit.trace(nn.Identity(), torch.ones(1)), tmp_path / "x.pt")
    with pytest.raises(RuntimeError):
        torch.jit.load(tmp_path / "x.pt2")
    with pytest.raises(RuntimeError):
        torch.export.load(tmp_path / "x.pt")


@pytest.fixture(scope="module")
def package(plain: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("aoti") / "bert.pt2")
    return str(torch._inductor.aoti_compile_and_package(plain, package_path=path))


@pytest.mark.claim("two-kinds-of-pt2")
def test_neither_loader_reads_the_other_pt2(plain: ExportedProgram, package: str, tmp_path: Path) -> None:
    torch.export.save(plain, tmp_path / "x.pt2")
    with pytest.raises(RuntimeError, match="Failed to find a generated cpp file"):
        torch._inductor.aoti_load_package(str(tmp_path / "x.pt2"))
    with pytest.raises(RuntimeError, match="deserializing the saved file"):
        torch.export.load(package)


@pytest.mark.claim("aoti-equals-the-model")
@pytest.mark.parametrize("shape", [(1, 9), (3, 24), (2, 512)])
def test_a_package_gives_the_models_numbers(package: str, model: Any, shape: tuple[int, int]) -> None:
    assert difference(torch._inductor.aoti_load_package(package), model, *shape) <= 1e-4


@pytest.mark.claim("aoti-names-its-processor")
def test_a_package_names_the_instructions_of_its_processor(package: str) -> None:
    metadata = torch._inductor.aoti_load_package(package).get_metadata()
    assert metadata["AOTI_CPU_ISA"].startswith(torch.backends.cpu.get_cpu_capability().split()[0])


@pytest.mark.claim("aoti-is-no-leap")
def test_a_package_is_about_as_quick_as_the_frozen_trace(package: str, model: Any, two: Inputs) -> None:
    frozen, inputs = torch.jit.freeze(tsnb.trace(model, two).module), made(8, 32)
    ways: dict[str, Any] = {"frozen": frozen, "package": torch._inductor.aoti_load_package(package)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(40):
        for name, way in ways.items():
            start = time.perf_counter()
            way(**inputs)
            seconds[name].append(time.perf_counter() - start)
    assert 0.5 < statistics.median(seconds["package"]) / statistics.median(seconds["frozen"]) < 1.7


@pytest.mark.claim("aoti-was-no-quicker-on-bert-mini")
def test_the_package_took_longer_than_the_trace_in_the_figure_of_notebook_04() -> None:
    measured = tsnb.read_benchmark()
    package = measured["aotinductor"]
    assert 0 < package.median - measured["runner"].median < package.spread


@pytest.mark.claim("aoti-checks-no-sizes")
def test_a_package_computes_with_any_size(tmp_path: Path) -> None:
    mean = Mean().eval()
    path = torch._inductor.aoti_compile_and_package(export(mean, (), SEVEN), package_path=str(tmp_path / "x.pt2"))
    run, ids = torch._inductor.aoti_load_package(str(path)), torch.arange(27).reshape(3, 9)
    assert run(input_ids=ids[:, :7].contiguous()).shape[0] == 2 < mean(ids).shape[0]
    assert (run(input_ids=ids[:2]) - mean(ids[:2])).abs().max() > 0.01
    both = SEVEN["input_ids"]  # a view of its first row lies before the second in memory
    assert torch.equal(run(input_ids=both[:1]), run(input_ids=both))


@pytest.mark.claim("aoti-checks-no-range")
def test_a_dynamic_package_takes_one_row_and_names_no_limit(package: str, two: Inputs, model: Any) -> None:
    run = torch._inductor.aoti_load_package(package)
    one = {name: tensor[:1] for name, tensor in two.items()}
    assert (run(**one)["logits"] - model(**one).logits).abs().max() < 1e-4
    try:
        numbers = run(**{name: torch.ones(1, 513, dtype=torch.int64) for name in two})["logits"]
        assert numbers.shape[:2] == (1, 513)
    except RuntimeError as error:
        assert str(error).startswith("index out of bounds")  # noqa: PT017, either may come


@pytest.mark.claim("tsnb-checks-the-range")
def test_an_export_refuses_a_size_above_its_range_and_takes_one_row(
    exports: Callable[[str], tsnb.Traced], two: Inputs
) -> None:
    compiled = exports("aotinductor")
    assert compiled(**{name: tensor[:1] for name, tensor in two.items()})["logits"].shape[0] == 1
    with pytest.raises(tsnb.InputError, match="recorded for 512 at most"):
        compiled(**{name: torch.ones(1, 513, dtype=torch.int64) for name in two})


@pytest.mark.claim("aoti-order-is-the-examples")
def test_a_package_takes_tensors_in_the_order_of_the_example(package: str, two: Inputs, model: Any) -> None:
    tensors = [two[name] for name in ("input_ids", "token_type_ids", "attention_mask")]
    assert list(two) == ["input_ids", "token_type_ids", "attention_mask"]
    loader = torch._inductor.aoti_load_package(package).loader
    errors = [
        (loader.boxed_run(list(each))[0] - model(**two)["logits"]).abs().max().item()
        for each in (tensors, [tensors[0], *tensors[:0:-1]])
    ]
    assert errors[0] <= 1e-4
    assert errors[1] > 0.1


@pytest.mark.claim("aoti-runs-in-cpp")
def test_the_program_in_the_text_prints_the_word(package: str, two: Inputs, load: Load, tmp_path: Path) -> None:
    [source] = re.findall(r"```cpp\n(.+?)```", CELLS["aoti-cpp"], flags=re.DOTALL)
    (tmp_path / "ask.cpp").write_text(source, encoding="utf-8")
    [listed] = re.findall(r"`(tsnb/\S+\.txt)`", CELLS["aoti-cpp"])
    cmake = (NOTEBOOK.parents[1] / listed).read_text(encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(cmake.replace("load_traced", "ask"), encoding="utf-8")
    prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    for command in (["-S", str(tmp_path), "-B", f"{tmp_path}/build", prefix], ["--build", f"{tmp_path}/build"]):
        subprocess.run(["cmake", *command], check=True, capture_output=True)
    ids = " ".join(map(str, two["input_ids"][0].tolist()))
    done = subprocess.run([tmp_path / "build/ask", package], input=ids, capture_output=True, text=True, check=True)
    assert load()[1].decode(int(done.stdout)) == "henson"


@pytest.fixture(scope="module")
def session(plain: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = str(tmp_path_factory.mktemp("onnx") / "bert.onnx")
    torch.onnx.export(plain, dynamo=True, verbose=False).save(path)  # type: ignore[union-attr]
    return onnxruntime.InferenceSession(path)


@pytest.mark.claim("onnx-keeps-names-and-sizes")
def test_onnx_gives_the_models_numbers_by_name_at_other_sizes(session: Any, model: Any, two: Inputs) -> None:
    assert [each.name for each in session.get_inputs()] == list(two)
    assert all(isinstance(size, str) for each in session.get_inputs() for size in each.shape)
    for shape in ((1, 9), (3, 24)):
        inputs = made(*shape)
        [logits] = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        assert np.abs(logits - model(**inputs)["logits"].detach().numpy()).max() <= 1e-4


@pytest.mark.claim("onnx-has-no-guard")
def test_onnx_fails_inside_past_the_limit(session: Any) -> None:
    with pytest.raises(Exception, match="512 by 513"):
        session.run(None, {name: tensor.numpy() for name, tensor in made(1, 513).items()})


@pytest.fixture
def decoder() -> Any:
    """Return what the notebook's cells on the decoder define."""
    return defined("decoder", "decoder-static", "decoder-loop")


@pytest.mark.claim("export-refuses-a-growing-cache")
def test_a_growing_cache_is_refused(decoder: Any) -> None:
    with pytest.raises(RuntimeError, match="DynamicCache'> in output, which is not a known type"):
        export(defined("decoder")["llama"], (), {"input_ids": decoder["prompt"].repeat(2, 1)})


@pytest.mark.claim("strict-is-off-by-default")
def test_export_is_not_strict_unless_asked() -> None:
    assert inspect.signature(export).parameters["strict"].default is False


@pytest.mark.claim("static-cache-writes-what-generate-does")
def test_ten_tokens_are_those_of_generate(decoder: Any, tmp_path: Path) -> None:
    tokens, expected = decoder["prompt"][0].tolist(), decoder["expected"]
    assert len(set(expected[4:])) > 5  # or equality would say little
    torch.export.save(decoder["decoder"], tmp_path / "x.pt2")
    for step in (decoder["step"], torch.export.load(tmp_path / "x.pt2").module()):
        assert decoder["write"](step, tokens, 10) == expected


@pytest.mark.claim("a-static-cache-is-not-cleared-but-saved")
def test_a_second_text_follows_in_the_same_cache_and_in_the_saved_one(decoder: Any, tmp_path: Path) -> None:
    fresh, second = defined("decoder"), torch.tensor([[61, 9, 33]])
    expected = fresh["llama"].generate(second, **fresh["greedy"])[0].tolist()
    decoder["write"](decoder["step"], decoder["prompt"][0].tolist(), 10)  # more places than the second takes
    torch.export.save(decoder["decoder"], tmp_path / "x.pt2")
    loaded = torch.export.load(tmp_path / "x.pt2")
    cache, kept = (dict(each.named_buffers())["key_cache_0"] for each in (decoder["decoder"], loaded))
    assert torch.equal(kept, cache)
    assert cache.count_nonzero()
    for step in (decoder["step"], loaded.module()):
        assert decoder["write"](step, second[0].tolist(), 10) == expected


@pytest.mark.claim("static-cache-has-an-end")
def test_a_place_beyond_two_tokens_at_once_and_two_rows_are_refused(decoder: Any) -> None:
    refused = ((IndexError, [[5]], [32]), (AssertionError, [[5, 6]], [0, 1]), (AssertionError, [[5], [6]], [0]))
    for error, ids, place in refused:
        with pytest.raises(error), torch.no_grad():
            decoder["step"](input_ids=torch.tensor(ids), cache_position=torch.tensor(place))


@pytest.mark.claim("library-generate-is-one-place-off")
def test_the_librarys_loop_counts_one_place_too_far(decoder: Any) -> None:
    prompt, expected, step = decoder["prompt"], decoder["expected"], decoder["step"]

    def one_off(input_ids: Tensor, cache_position: Tensor) -> Tensor:
        place = cache_position + (cache_position >= prompt.shape[1])
        result: Tensor = step(input_ids=input_ids, cache_position=place)
        return result

    with torch.no_grad():
        written = Step.generate(decoder["decoder"], prompt, 10)[0].tolist()
    assert written == decoder["write"](one_off, prompt[0].tolist(), 10) != expected


@pytest.mark.claim("modules-of-a-program-share-its-cache")
def test_two_modules_share_one_cache_and_two_files_do_not(decoder: Any, tmp_path: Path) -> None:
    torch.export.save(decoder["decoder"], tmp_path / "x.pt2")
    tokens, expected = decoder["prompt"][0].tolist(), decoder["expected"]
    in_turns = defined("decoder-turns", **decoder)
    assert decoder["write"](in_turns["in_turns"], tokens, 10) != expected
    in_turns["neighbour"] = torch.export.load(tmp_path / "x.pt2").module()
    assert decoder["write"](in_turns["in_turns"], tokens, 10) == expected


@pytest.mark.claim("trace-writes-without-a-cache")
def test_a_trace_of_the_logits_writes_the_same(decoder: Any) -> None:
    llama, text = defined("decoder")["llama"], decoder["prompt"]
    traced = tsnb.trace(llama, {"input_ids": text})
    for _ in range(10):
        text = torch.cat([text, traced(input_ids=text)["logits"][:, -1:].argmax(-1)], 1)
    assert text[0].tolist() == decoder["expected"]


@pytest.mark.claim("trace-of-a-step-writes-the-same")
def test_a_trace_of_the_step_writes_the_same(decoder: Any, tmp_path: Path) -> None:
    example = {"input_ids": torch.tensor([[1]]), "cache_position": torch.tensor([0])}
    traced = torch.jit.trace(Step(decoder["llama"]), example_kwarg_inputs=example)
    torch.jit.save(traced, tmp_path / "x.pt")
    for step in (traced, torch.jit.load(tmp_path / "x.pt")):
        assert decoder["write"](step, decoder["prompt"][0].tolist(), 10) == decoder["expected"]


@pytest.mark.claim("trace-refuses-a-growing-cache")
def test_the_tracer_takes_no_growing_cache() -> None:
    with pytest.raises(RuntimeError, match="got value of type DynamicCache"):
        torch.jit.trace(defined("decoder")["llama"], example_kwarg_inputs=SEVEN)
