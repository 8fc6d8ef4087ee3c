"""Claims of notebook 05, and its table of facts against the data of the package."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import tsnb
from tests.kinds import MonkeyPatch
from tsnb.base.versions import has_flag
from tsnb.neuron.operators import operators_of
from tsnb.neuron.targets import TARGETS, facts
from tsnb.tiny_bert import corpus
from tsnb.widgets.neuron_planner import NeuronPlanner

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_neuron_conversion.ipynb"
ROWS, EDGES = 4, [33, 56, 127]


def cell(name: str) -> str:
    """Return the source of a cell of notebook 05."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return str(next(held.source for held in cells if held.id == name))


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    return tsnb.load("tiny-bert", torchscript=True)


@pytest.fixture(scope="module")
def eager() -> Any:
    return tsnb.load("tiny-bert", torchscript=True, attn_implementation="eager")[0]


@pytest.fixture(scope="module")
def buckets(tiny: tuple[Any, Any]) -> tsnb.Runner:
    """Return what notebook 05 practises on: stand-ins of four rows."""
    model, tokenizer = tiny
    examples = [tsnb.dummy_inputs(tokenizer, model, "who ?", edge, ROWS) for edge in EDGES]
    stand_ins = [tsnb.neuron.fixed_shape(tsnb.trace(model, example)) for example in examples]
    return tsnb.Runner(stand_ins, tokenizer)


@pytest.mark.claim("seed-diff-names-a-missing-variable")
def test_the_published_line_stops_with_a_name_error() -> None:
    """The tracer is a stand-in that takes anything: the line does not get as far as calling it."""
    neuron = SimpleNamespace(neuron=SimpleNamespace(trace=print))
    names = {"torch": neuron, "model": None, "tokens_tensor": None, "segments_tensors": None}
    line = "torch.neuron.trace(model, [token_tensor, segments_tensors])"
    with pytest.raises(NameError, match="token_tensor"):
        eval(line, names)


@pytest.mark.claim("inf1-tasks-trace")
@pytest.mark.parametrize("head", tsnb.neuron.SUITED)
def test_the_heads_that_suit_inf1_trace(head: Any) -> None:
    model, tokenizer = tsnb.load("tiny-bert", head=head, torchscript=True)
    inputs = tsnb.dummy_inputs(tokenizer, model)
    traced = tsnb.trace(model, inputs)
    with torch.no_grad():
        for found, expected in zip(traced(**inputs).values(), model(**inputs), strict=True):
            assert (found - expected).abs().max() <= 1e-4


def best(head: Any, *texts: str) -> list[tuple[str, str]]:
    """Return each piece with the label that a head of the embedded model gives the place."""
    model, tokenizer = tsnb.load("tiny-bert", head=head)
    encoded = tokenizer(*texts, return_tensors="pt")
    with torch.no_grad():
        labels = model(**encoded).logits.argmax(-1).flatten().tolist()
    pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    names = [model.config.id2label[label] for label in labels]
    return list(zip(pieces, names, strict=False))  # of a whole text there is one label


@pytest.mark.claim("a-name-and-a-city-are-no-answer")
@pytest.mark.parametrize(
    ("question", "expected"),
    [("where did jim henson work ?", "answers"), ("where was jim henson born ?", "does not answer")],
)
def test_a_text_with_the_right_words_may_not_answer(question: str, expected: str) -> None:
    story = "jim henson worked at the theatre in london . jim henson was a puppeteer ."
    assert {label for _, label in best("sequence-classification", question, story)} == {expected}


@pytest.mark.claim("a-tag-depends-on-the-neighbours")
@pytest.mark.parametrize(
    ("text", "expected"), [("nora weaver was a singer .", "person"), ("nora gray was a weaver .", "job")]
)
def test_one_word_is_a_name_here_and_a_job_there(text: str, expected: str) -> None:
    assert ("weaver", expected) in best("token-classification", text)


@pytest.mark.claim("eager-leaves-the-embeddings")
def test_with_eager_attention_only_the_embeddings_are_off_the_list(tiny: tuple[Any, Any], eager: Any) -> None:
    model, tokenizer = tiny
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=32)
    sdpa, written = (operators_of(tsnb.trace(held, inputs).module) for held in (model, eager))
    left = {"aten::embedding"} if has_flag() else {"aten::embedding", "aten::index"}
    assert set(sdpa.outside) == left | {"aten::scaled_dot_product_attention"}
    assert set(written.outside) == left


@pytest.mark.claim("eager-attention-gives-the-same-numbers")
def test_both_kinds_of_attention_agree(tiny: tuple[Any, Any], eager: Any) -> None:
    model, tokenizer = tiny
    inputs = tsnb.dummy_inputs(tokenizer, model, max_length=32)
    with torch.no_grad():
        assert (model(**inputs)[0] - eager(**inputs)[0]).abs().max() <= 1e-4


@pytest.mark.claim("stand-in-takes-one-shape")
def test_a_stand_in_refuses_what_its_trace_takes(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    traced = tsnb.trace(model, tsnb.dummy_inputs(tokenizer, model, max_length=32))
    fixed = tsnb.neuron.fixed_shape(traced)
    for shape in ((1, 24), (1, 40), (2, 32)):
        other = tsnb.dummy_inputs(tokenizer, model, None, shape[1], shape[0])
        assert traced(**other)["logits"].shape[:2] == shape
        with pytest.raises(tsnb.InputError, match="and no other"):
            fixed(**other)


@pytest.mark.claim("runner-cuts-only-when-asked")
def test_a_text_that_is_too_long_is_refused_or_cut(tiny: tuple[Any, Any], buckets: tsnb.Runner) -> None:
    text = "jim [MASK] was a poet " * 60
    with pytest.raises(tsnb.InputError, match="or pass truncate=True"):
        buckets([text])
    cutting = tsnb.Runner(list(buckets.traces.values()), tiny[1], truncate=True)
    assert len(cutting([text])[0]["logits"]) == EDGES[-1]


@pytest.mark.claim("short-batches-are-filled")
def test_six_texts_are_two_graphs_of_four_rows_and_the_last_text_fills_two(
    tiny: tuple[Any, Any], buckets: tsnb.Runner, monkeypatch: MonkeyPatch
) -> None:
    texts, given = corpus.texts(6, longest=EDGES[0]), []
    traced = buckets.traces[ROWS, EDGES[0]]
    call = type(traced).__call__

    def recorded(self: tsnb.Traced, **inputs: torch.Tensor) -> Any:
        given.append(inputs)
        return call(self, **inputs)

    monkeypatch.setattr(type(traced), "__call__", recorded)
    assert len(buckets(texts)) == 6
    assert buckets.work.computed == 2 * ROWS * EDGES[0]
    rows = [row[kept == 1].tolist() for held in given for row, kept in _rows(held)]
    assert len(rows) == 2 * ROWS
    assert sorted(rows[:6]) == sorted(tiny[1](text)["input_ids"] for text in texts)
    assert rows[6] == rows[7] == rows[5]


def _rows(inputs: dict[str, torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Return the ids and the mask of each row of a batch."""
    return zip(inputs["input_ids"], inputs["attention_mask"], strict=True)


@pytest.mark.claim("stand-in-buckets-equal-the-model")
def test_buckets_and_batches_give_what_the_model_gives(tiny: tuple[Any, Any], buckets: tsnb.Runner) -> None:
    model, tokenizer = tiny
    texts = corpus.texts(30)
    for text, result in zip(texts, buckets(texts), strict=True):
        with torch.no_grad():
            alone = model(**tokenizer(text, return_tensors="pt"))[0][0]
        assert (result["logits"] - alone).abs().max() <= 1e-4


@pytest.mark.claim("two-graphs-generate-the-same")
def test_encoder_and_decoder_apart_generate_what_the_model_does() -> None:
    names: dict[str, Any] = {"torch": torch, "tsnb": tsnb}
    for name in ("generation-model", "generation-eager", "generation-traced"):
        exec(cell(name), names)
    expected = names["eager_text"]
    assert expected.unique().numel() > 5
    assert torch.equal(names["two_graphs"], expected)


@pytest.mark.claim("a-decoder-traces-without-its-cache")
def test_a_trace_of_a_decoder_returns_logits_alone_at_any_length() -> None:
    config = GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=50, n_positions=32, bos_token_id=0, eos_token_id=0)
    ids = torch.arange(8).repeat(2, 1)
    contract = tsnb.trace(GPT2LMHeadModel(config).eval(), {"input_ids": ids, "attention_mask": ids >= 0}).contract
    assert (contract.output_names, contract.verified) == (("logits",), ((2, 4), (2, 8), (2, 16), (3, 8)))


@pytest.mark.claim("eager-takes-a-finding-away")
def test_in_the_planner_eager_attention_takes_its_finding_away() -> None:
    planner = NeuronPlanner(lengths=[32])
    before = [finding for finding in planner.plan.report.of("attention") if "eager attention" in finding.todo]
    planner.attention = "eager"
    assert len(before) == 1
    assert before[0] not in planner.plan.report.of("attention")
    assert "eager attention" not in str(planner.plan.report)


@pytest.mark.claim("checked-without-an-account")
def test_what_is_checked_without_an_account_is_run_in_the_notebook() -> None:
    ran = "\n".join(part.source for part in nbformat.read(NOTEBOOK, as_version=4).cells if part.cell_type == "code")
    first, _, _ = cell("without-aws").partition("| on Linux")
    names = re.findall(r"`(tsnb\.[\w.]+)", first)
    assert len(names) == first.count("\n") - 4 + 2  # lines that are no row; rows with two names
    assert [name for name in names if name not in ran] == []


# Facts that nobody can measure here: their date, and the data that they are from


def told() -> dict[str, list[str]]:
    """Return the rows of the table of generations."""
    rows = re.findall(r"^\| (.+) \|$", cell("generations"), flags=re.MULTILINE)
    cells = [row.split(" | ") for row in rows]
    return {name: [part.strip("`") for part in parts] for name, *parts in cells}


def test_the_table_of_generations_agrees_with_the_data() -> None:
    table, third = told(), facts()["untraced"]
    assert facts()["as_of"] in table
    for column, target in enumerate(TARGETS):
        assert table["import"][column] == target.package
        assert table["you call"][column] == f"{target.package}.trace"
        assert table["inputs"][column] == target.inputs
        assert table["torch"][column] == target.torch
        assert table["Python"][column] == target.pythons
        assert table["last SDK whose images hold it"][column] == target.sdk
    assert table["you call"][2] == third["call"]
    assert table["torch"][2] == " or ".join(third["torch"])
    assert table["Python"][2] == ", ".join(f"3.{minor}" for minor in third["python"])
    assert table["status"][2].endswith(facts()["sdk"])


def test_the_date_of_what_is_said_of_aws_is_that_of_the_data() -> None:
    assert f"as of {facts()['as_of']} (SDK {facts()['sdk']})" in cell("title")


def test_the_table_of_generations_names_its_sources() -> None:
    links = set(re.findall(r"\]\((https://[^)]+)\)", cell("generations")))
    assert links == {facts()["sources"][name] for name in ("inf1-trace", "inf2-lifecycle", "untraced")}


def test_no_link_of_the_published_page_that_is_gone() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for gone in ("neuron-guide/", "models-inferentia", "neuron-frameworks/"):
        assert gone not in text
