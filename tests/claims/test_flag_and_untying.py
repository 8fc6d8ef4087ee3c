"""Claims of notebook 01, and of the first pages of 00."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM
from transformers.modeling_outputs import ModelOutput

import tsnb
from tsnb.tiny_bert import FOLDER

Load = Callable[..., Any]
Source = Callable[[str, str], str]
Inputs = dict[str, torch.Tensor]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _ends(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return model.get_input_embeddings().weight, model.get_output_embeddings().weight


def _together(model: Any) -> bool:
    first, second = _ends(model)
    return first.data_ptr() == second.data_ptr()


def _trace(model: Any, inputs: Inputs) -> Any:
    return torch.jit.trace(model, example_kwarg_inputs=inputs, check_trace=False)


def _step(model: Any, inputs: Inputs) -> None:
    """Train for one step, as the notebook does."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(**inputs, labels=inputs["input_ids"])[0].backward()
    optimizer.step()


@contextmanager
def _all_that_is_said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect warnings of Python and messages of transformers, whose log goes no further."""
    said: list[str] = []
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    caplog.clear()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield said
    finally:
        logger.removeHandler(caplog.handler)
    # a ResourceWarning is of whatever the garbage collector met
    said += [str(note) for note in warned if note.category is not ResourceWarning] + caplog.messages


@pytest.mark.claim("whole-way-answers-henson")
def test_a_loaded_trace_fills_in_henson(masked_lm: Load, inputs: Inputs, tokenizer: Any, tmp_path: Path) -> None:
    torch.jit.save(_trace(masked_lm(torchscript=True), inputs), tmp_path / "bert.pt")
    logits = torch.jit.load(tmp_path / "bert.pt")(**inputs)[0]
    assert tokenizer.decode(logits[0, 8].argmax()) == "henson"


@pytest.mark.claim("masked-lm-is-tied")
def test_embedding_and_decoder_are_one_tensor(masked_lm: Load) -> None:
    assert _together(masked_lm())


@pytest.mark.claim("flag-unties-embeddings")
def test_the_flag_takes_them_apart(masked_lm: Load) -> None:
    assert not _together(masked_lm(torchscript=True))


@pytest.mark.claim("flag-leaves-the-bias-tied")
def test_the_flag_leaves_the_bias_shared(masked_lm: Load) -> None:
    head = masked_lm(torchscript=True).cls.predictions
    assert head.bias.data_ptr() == head.decoder.bias.data_ptr()


@pytest.mark.claim("flag-message-is-misleading")
@pytest.mark.line(4)
def test_the_weight_called_newly_initialized_is_an_exact_copy(masked_lm: Load) -> None:
    model = masked_lm(torchscript=True)
    _, info = type(model).from_pretrained(tsnb.tiny_bert.FOLDER, torchscript=True, output_loading_info=True)
    assert info["missing_keys"] == ["cls.predictions.decoder.weight"]
    assert torch.equal(*_ends(model))


@pytest.mark.claim("flag-gives-tuples")
def test_the_flag_makes_the_model_return_a_tuple(masked_lm: Load, inputs: Inputs) -> None:
    assert isinstance(masked_lm()(**inputs), ModelOutput)
    assert type(masked_lm(torchscript=True)(**inputs)) is tuple


@pytest.mark.claim("dict-output-fails")
def test_tracing_a_dict_output_fails_and_says_dict(masked_lm: Load, inputs: Inputs) -> None:
    with pytest.raises(RuntimeError, match="Encountering a dict at the output"):
        _trace(masked_lm(), inputs)


@pytest.mark.claim("strict-false-lets-a-dict-out")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_strict_false_lets_a_dict_of_tensors_out_and_nothing_more(masked_lm: Load, inputs: Inputs) -> None:
    def trace(model: Any, **example: Any) -> Any:
        return torch.jit.trace(model, **example, strict=False, check_trace=False)

    def halved(x: torch.Tensor) -> Inputs:
        return {"y": x / 2 if x.sum() > 0 else x * 100}

    model = masked_lm()
    found = trace(model, example_kwarg_inputs=inputs)(**inputs)
    assert list(found) == list(model(**inputs)) == ["logits"]
    assert torch.equal(found["logits"], model(**inputs).logits)
    x = torch.ones(3)
    assert torch.equal(trace(halved, example_inputs=x)(-x)["y"], -x / 2), "the branch of the example"
    for other in (None, 3, {"z": x}):
        with pytest.raises(RuntimeError):
            trace(lambda x, other=other: {"y": x, "other": other}, example_inputs=x)


@pytest.mark.claim("tied-model-traces")
def test_a_tied_model_that_returns_a_tuple_traces(masked_lm: Load, inputs: Inputs) -> None:
    model = masked_lm(return_dict=False)
    assert _together(model)
    assert torch.equal(_trace(model, inputs)(**inputs)[0], model(**inputs)[0])


@pytest.mark.claim("tied-stays-tied-after-loading")
def test_a_tied_trace_is_tied_after_loading(masked_lm: Load, inputs: Inputs, tmp_path: Path) -> None:
    torch.jit.save(_trace(masked_lm(return_dict=False), inputs), tmp_path / "tied.pt")
    held = dict(torch.jit.load(tmp_path / "tied.pt").named_parameters(remove_duplicate=False))
    addresses = {
        held[f"{name}.weight"].data_ptr() for name in ("bert.embeddings.word_embeddings", "cls.predictions.decoder")
    }
    assert len(addresses) == 1


@pytest.mark.claim("untied-file-is-larger-by-one-copy")
def test_the_untied_file_is_larger_by_vocabulary_times_hidden(masked_lm: Load, inputs: Inputs, tmp_path: Path) -> None:
    sizes = []
    for model in (masked_lm(return_dict=False), masked_lm(torchscript=True)):
        torch.jit.save(_trace(model, inputs), tmp_path / "model.pt")
        sizes.append((tmp_path / "model.pt").stat().st_size)
    copy = 4 * model.config.vocab_size * model.config.hidden_size
    assert abs(sizes[1] - sizes[0] - copy) <= 0.1 * copy  # a first trace has shorter names in it


@pytest.mark.claim("headless-has-nothing-tied")
def test_a_headless_model_has_nothing_tied_with_or_without_the_flag() -> None:
    for torchscript in (False, True):
        model, _ = tsnb.load("tiny-bert", head="encoder", torchscript=torchscript)
        assert tsnb.tying(model).pairs == ()


@pytest.mark.claim("one-step-parts-the-copies")
def test_one_step_parts_the_copies(masked_lm: Load, inputs: Inputs) -> None:
    model = masked_lm(torchscript=True)
    _step(model, inputs)
    assert not torch.equal(*_ends(model))


@pytest.mark.claim("one-step-keeps-tied-weights-tied")
def test_one_step_moves_a_tied_tensor_as_one(masked_lm: Load, inputs: Inputs) -> None:
    model = masked_lm()
    before = _ends(model)[0].detach().clone()
    _step(model, inputs)
    assert _together(model)
    assert not torch.equal(_ends(model)[0], before)


@pytest.mark.claim("untie-leaves-the-output-alone")
def test_untie_takes_weights_apart_and_tracing_raises_as_before(masked_lm: Load, inputs: Inputs) -> None:
    model = tsnb.untie(masked_lm())
    assert not _together(model)
    assert isinstance(model(**inputs), ModelOutput)
    with pytest.raises(RuntimeError, match="Encountering a dict at the output"):
        _trace(model, inputs)


@pytest.mark.claim("untied-training-is-lost-on-reload")
@pytest.mark.line(4)
@pytest.mark.parametrize("torchscript", [False, True])
def test_what_the_decoder_learnt_is_lost_on_reload(
    masked_lm: Load,
    inputs: Inputs,
    tmp_path: Path,
    torchscript: bool,  # noqa: FBT001, a parameter of the test
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = masked_lm(torchscript=True)
    _step(model, inputs)
    model.save_pretrained(tmp_path)
    with _all_that_is_said(caplog) as said:
        reloaded = type(model).from_pretrained(tmp_path, torchscript=torchscript).eval()
    assert said == []
    with _all_that_is_said(caplog) as said:
        type(model).from_pretrained(tsnb.tiny_bert.FOLDER, torchscript=True)
    assert "newly initialized" in str(said), "which shows that messages are seen here"
    embedding, decoder = _ends(model)
    assert torch.equal(_ends(reloaded)[1], embedding)
    assert not torch.equal(_ends(reloaded)[1], decoder)
    assert (reloaded(**inputs)[0] - model.eval()(**inputs)[0]).abs().max() > 1e-2


@pytest.mark.claim("untied-training-is-kept-on-5")
@pytest.mark.line(5)
def test_5_keeps_two_weights_that_differ_and_says_so(
    masked_lm: Load, inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = masked_lm(torchscript=True)
    _step(model, inputs)
    model.save_pretrained(tmp_path)
    with _all_that_is_said(caplog) as said:
        reloaded = type(model).from_pretrained(tmp_path).eval()
    assert "so we will NOT tie them" in str(said)
    assert torch.equal(reloaded(**inputs)[0], model.eval()(**inputs)[0])
    assert not torch.equal(*_ends(reloaded))


@pytest.mark.claim("plain-lines-work-on-both")
def test_the_plain_lines_give_copies_and_a_trace(source: Source, inputs: Inputs) -> None:
    names: dict[str, Any] = {"AutoModelForMaskedLM": AutoModelForMaskedLM, "FOLDER": FOLDER, "torch": torch}
    exec(source("01", "five-plain"), names | {"inputs": inputs}, names)
    assert not _together(names["plain"])
    assert torch.equal(names["traced_plain"](**inputs)[0], names["plain"](**inputs)[0])
