"""Claims of notebook 02."""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

import tsnb
from tsnb import subjects
from tsnb.base.versions import has_flag
from tsnb.tiny_bert import FOLDER
from tsnb.tracing import traps
from tsnb.tracing.compare import DRAWS
from tsnb.tracing.trace import UnverifiedWarning

Load = Callable[..., Any]
Source = Callable[[str, str], str]
Inputs = dict[str, torch.Tensor]

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
MASKED, BAKED = 8, traps.BakedDropout


@pytest.fixture
def bert() -> Any:
    options = {"torchscript": True} if has_flag() else {"return_dict": False}
    return BertModel.from_pretrained(FOLDER, **options).eval()


def _difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


def _trace(model: Any, inputs: Any) -> Any:
    return torch.jit.trace(model, inputs, check_trace=False)


@pytest.mark.claim("tokenizer-order-differs-from-forward")
def test_the_tokenizer_and_forward_order_their_tensors_differently(inputs: Inputs, masked_lm: Load) -> None:
    forward = list(inspect.signature(masked_lm().forward).parameters)
    assert list(inputs)[1] == "token_type_ids"
    assert forward[1] == "attention_mask"


@pytest.mark.claim("trace-forgets-the-other-branch")
def test_a_trace_keeps_only_the_branch_that_ran() -> None:
    def shrink(x: torch.Tensor) -> torch.Tensor:
        return x / 2 if x.sum() > 0 else x * 100

    with pytest.warns(torch.jit.TracerWarning, match="Converting a tensor to a Python boolean"):
        recorded = torch.jit.trace(shrink, torch.ones(3), check_trace=False)
    assert torch.equal(recorded(-torch.ones(3)), -torch.ones(3) / 2)
    assert torch.equal(shrink(-torch.ones(3)), -torch.ones(3) * 100)


@pytest.mark.claim("bert-warning-is-harmless")
def test_what_the_tracer_warns_of_freezes_what_no_shape_changes(tokenizer: Any) -> None:
    model, _ = tsnb.load("tiny-bert", torchscript=True)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=24))
    frozen = [warning for warning in traced.warnings if not warning.device]
    assert all(warning.harmless for warning in frozen)
    codes = " ".join(warning.code for warning in frozen)
    lines = ["torch.tensor(1.0"] if has_flag() else ["is_causal = q_length > 1", "padding_length :="]
    assert (len(frozen), all(line in codes for line in lines)) == (len(lines), True)
    for batch, length in ((1, 14), (3, 20), (2, 130), (1, 512)):
        other = tsnb.dummy_inputs(tokenizer, model, max_length=length, batch_size=batch)
        with torch.no_grad():
            assert _difference(traced(**other)["logits"], model(**other)[0]) <= 1e-4


@pytest.mark.claim("dummy-inputs-without-a-text")
def test_without_a_text_the_inputs_are_the_question_and_its_answer(source: Source, tokenizer: Any) -> None:
    model, names = tsnb.load("tiny-bert")[0], {"tokenizer": tokenizer}
    exec(source("02", "inputs-encode"), names)
    encoded: Any = names["encoded"]
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=24)
    assert set(inputs) == set(encoded)
    assert all(torch.equal(inputs[name][:, :14], encoded[name]) for name in encoded)
    assert inputs["attention_mask"].sum() == encoded["input_ids"].shape[1] == 14


@pytest.mark.claim("snippet-segments-become-the-mask")
def test_by_position_the_segments_are_the_attention_mask(bert: Any, inputs: Inputs) -> None:
    tokens, segments = inputs["input_ids"], inputs["token_type_ids"]
    got = _trace(bert, [tokens, segments])(tokens, segments)[0]
    assert _difference(got, bert(input_ids=tokens, attention_mask=segments)[0]) <= 1e-5
    assert _difference(got, bert(input_ids=tokens, token_type_ids=segments)[0]) > 1


@pytest.mark.claim("snippet-answer-is-wrong")
def test_by_position_the_answer_is_not_henson(masked_lm: Load, inputs: Inputs, tokenizer: Any) -> None:
    model = masked_lm(torchscript=True)
    tokens, segments = inputs["input_ids"], inputs["token_type_ids"]
    right = model(input_ids=tokens, token_type_ids=segments)[0][0, MASKED].softmax(-1)
    wrong = model(tokens, segments)[0][0, MASKED].softmax(-1)
    henson = tokenizer.convert_tokens_to_ids("henson")
    assert right.argmax() == henson
    assert right[henson] >= 0.9
    assert wrong.argmax() != henson
    assert wrong[henson] < 0.05
    assert wrong.max() > 0.9  # and it is sure


@pytest.mark.claim("all-encoder-layers-is-the-last")
def test_the_first_output_is_the_last_hidden_state(bert: Any, inputs: Inputs) -> None:
    tokens = inputs["input_ids"]
    first = _trace(bert, [tokens, inputs["token_type_ids"]])(tokens, inputs["token_type_ids"])[0]
    everything = bert(tokens, inputs["token_type_ids"], output_hidden_states=True, return_dict=True)
    assert first.shape == everything.hidden_states[-1].shape
    assert _difference(first, everything.hidden_states[-1]) <= 1e-5


@pytest.mark.claim("old-vocab-argument-is-ignored")
def test_the_old_name_of_the_vocabulary_size_is_ignored() -> None:
    assert BertConfig(vocab_size_or_config_json_file=32000).vocab_size == 30_522


@pytest.mark.claim("names-are-kept")
def test_names_work_in_any_order_after_loading(bert: Any, inputs: Inputs, tmp_path: Path) -> None:
    traced = torch.jit.trace(bert, example_kwarg_inputs=inputs, check_trace=False)
    torch.jit.save(traced, tmp_path / "named.pt")
    loaded = torch.jit.load(tmp_path / "named.pt")
    backwards = dict(reversed(inputs.items()))
    assert list(backwards) != list(inputs)
    assert _difference(loaded(**backwards)[0], bert(**inputs)[0]) <= 1e-5


@pytest.mark.claim("padding-needs-the-mask")
def test_padding_shifts_the_result_only_without_a_mask(masked_lm: Load, tokenizer: Any) -> None:
    model = masked_lm(torchscript=True)
    padded = tsnb.dummy_inputs(tokenizer, model, max_length=64)
    exact = model(**tsnb.dummy_inputs(tokenizer, model, max_length=14))[0]
    unmasked = {**padded, "attention_mask": torch.ones_like(padded["attention_mask"])}
    rounding = _difference(model(**padded)[0][:, :14], exact)
    assert rounding <= 1e-4
    assert (model(**unmasked)[0][:, :14] - exact).abs().min() > rounding  # of every number


@pytest.mark.claim("bert-trace-runs-other-lengths")
@pytest.mark.parametrize(("batch", "length"), [(1, 14), (2, 14), (2, 40), (3, 21), (2, 512)])
def test_a_trace_of_bert_equals_bert_at_other_shapes(masked_lm: Load, tokenizer: Any, batch: int, length: int) -> None:
    model = masked_lm(torchscript=True)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=24))
    other = tsnb.dummy_inputs(tokenizer, model, max_length=length, batch_size=batch)
    with torch.no_grad():
        assert _difference(traced(**other)["logits"], model(**other)[0]) <= 1e-4


@pytest.mark.claim("over-the-limit-raises")
def test_past_the_position_limit_trace_and_model_raise(masked_lm: Load, tokenizer: Any) -> None:
    model = masked_lm(torchscript=True)
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=24))
    longer = dict.fromkeys(traced.contract.input_names, torch.ones(1, 513, dtype=torch.long))
    with pytest.raises(RuntimeError, match="513"):
        traced(**longer)
    with pytest.raises((RuntimeError, IndexError)):
        model(**longer)


@pytest.mark.claim("dropout-is-baked-in")
def test_eval_on_a_trace_does_not_take_dropout_out(bert: Any, inputs: Inputs) -> None:
    traced = _trace(bert.train(), [inputs["input_ids"]]).eval()
    first, second = (traced(inputs["input_ids"])[0] for _ in range(2))
    assert _difference(first, second) > 1e-2


@pytest.mark.claim("check-trace-compares-the-traced-inputs")
@pytest.mark.parametrize(
    ("trap", "check", "seen"), [(traps.PositionLoop, True, False), (BAKED, True, True), (BAKED, False, False)]
)
def test_check_trace_sees_dropout_and_no_other_length(trap: Any, *, check: bool, seen: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.jit.trace(traps.make(trap).train(), torch.arange(7)[None], check_trace=check)
    assert any("does not match" in str(each.message) for each in caught) is seen


class Branching(torch.nn.Module):
    """The notebook's `shrink`, on tensors that are no ids."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2 if bool(x.sum() > 0) else x * 100


@pytest.mark.claim("verified-means-other-values")
def test_verified_shapes_are_those_that_agree_on_other_values(masked_lm: Load, inputs: Inputs) -> None:
    model = masked_lm()
    traced = tsnb.trace(model, inputs)
    own = traced.contract.batch_size, traced.contract.length
    assert own in traced.contract.verified
    assert len(DRAWS) == 3
    assert len({seed for seed, _ in DRAWS}) == 3
    with pytest.warns(UnverifiedWarning):
        branching = tsnb.trace(Branching().eval(), {"x": torch.ones(1, 3)})
    assert (1, 3) not in branching.contract.verified
    assert "NOT VERIFIED" in str(branching)


@pytest.mark.claim("pictures-are-verified-by-inputs")
def test_pictures_are_verified_at_the_sizes_of_the_inputs_that_are_given() -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
    model = ViTModel(ViTConfig(image_size=16, patch_size=8, **sizes)).eval()
    picture, others = {"pixel_values": torch.rand(1, 3, 16, 16)}, {"pixel_values": torch.rand(5, 3, 16, 16)}
    contract = tsnb.trace(model, picture, verify=[others]).contract
    assert contract.length is None
    assert {"pixel_values": (5, 3, 16, 16)} in contract.verified_inputs


@pytest.mark.claim("what-trace-compares")
def test_trace_compares_near_shapes_by_itself_and_refuses_only_what_is_given_to_it() -> None:
    loop, seven = traps.make(traps.PositionLoop), {"input_ids": torch.arange(7)[None]}
    assert tsnb.trace(traps.make(traps.BakedDropout), seven).contract.verified == ((1, 3), (1, 7), (1, 14), (2, 7))
    assert tsnb.trace(loop, seven).contract.verified == ((1, 7), (2, 7))
    assert tsnb.trace(loop, seven, verify=[(3, 7)]).contract.verified == ((1, 7), (3, 7))
    for model, verify in ((loop, [(1, 9)]), (_Random().eval(), [])):
        with pytest.raises(tsnb.TraceError):
            tsnb.trace(model, seven, verify=verify)
    with pytest.warns(UnverifiedWarning):
        assert tsnb.trace(Branching().eval(), {"x": torch.ones(1, 3)}).contract.verified == ()


class _Random(torch.nn.Module):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return input_ids + torch.rand(())


@pytest.mark.claim("plain-lines-say-what-probe-says")
@pytest.mark.parametrize(
    ("name", "lengths"), [("bert", [8, 24, 513]), ("int-mask", [3, 7, 9]), ("position-loop", [5, 7, 9])]
)
def test_the_plain_lines_give_the_verdicts_of_probe(
    source: Source, tokenizer: Any, capsys: Any, name: str, lengths: list[int]
) -> None:
    bert, subject = subjects.bert(), subjects.SUBJECTS[name]()
    names = {"torch": torch, "tokenizer": tokenizer, "traced": bert.traced, "model": bert.model}
    exec(source("02", "shapes-plain"), names)
    assert capsys.readouterr().out.split() == ["14", "same", "512", "same", "513", "unsupported"]
    expected = tsnb.probe(subject.traced, subject.model, lengths, [1])
    for length in lengths:
        ids = torch.arange(length)[None] % 60
        every = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        inputs = {key: every[key] for key in subject.traced.contract.input_names}
        assert names["verdict"](subject.traced.module, subject.model, inputs) == expected[1, length].kind
