"""What a trace was compared on, and what is said of it: values, masks, sizes; models of the readers' own kinds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tsnb
from tests.tracing.architectures import CODERS, VOCAB, WIDTH, like_bert, model_of
from tsnb.tracing.trace import UnverifiedWarning

IDS = torch.randint(5, 99, (2, 16), generator=torch.Generator().manual_seed(0))
TEXT = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


class Steps(nn.Module):
    """A loop as long as the first row's mask, as that of a conditional random field is."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        scores = input_ids / 99
        for step in range(1, int(attention_mask[0].sum())):
            scores = scores + input_ids[:, step : step + 1]
        return scores


class Deciding(nn.Module):
    """Python decides on the values."""

    def __init__(self, decides: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.decides, self.embedding = decides, nn.Embedding(99, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.embedding(input_ids)) * float(self.decides(input_ids))


class Sign(nn.Module):
    """Python decides on the sign of the numbers, as of a picture."""

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return pixel_values * 2 if bool(pixel_values.sum() > 0) else pixel_values


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Steps(), {name: tensor[:1] for name, tensor in TEXT.items()}),
        (Deciding(lambda ids: ids.sum()), {"input_ids": IDS}),
        (Deciding(lambda ids: ids[0, 0] % 7), {"input_ids": IDS[:1]}),
        (Deciding(lambda ids: bool((ids == IDS[0, 3]).any()) + 1), {"input_ids": IDS[:1]}),
        (Sign(), {"pixel_values": torch.ones(1, 3, 4, 4)}),
    ],
)
def test_what_differs_on_other_values_is_not_verified(model: nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    with pytest.warns(UnverifiedWarning, match="On other values than those that were traced"):
        traced = tsnb.trace(model.eval(), inputs)
    contract = traced.contract
    assert (contract.verified, contract.verified_inputs) == ((), ())  # values matter at other shapes too
    assert "NOT VERIFIED at the traced shape: On other values" in str(traced)
    assert tsnb.Contract.from_json(contract.to_json()).unverified == contract.unverified
    if contract.length:
        found = tsnb.probe(traced, model, [contract.length], [contract.batch_size or 0])
        assert found.of_kind("wrong")
        assert "NOT VERIFIED at the traced shape" in str(found)
        with pytest.raises(tsnb.TraceError, match="does not agree"):
            tsnb.trace(model, inputs, verify=[(contract.batch_size or 0, contract.length)])


WITH_ENDS = IDS.clone()
WITH_ENDS[:, 0], WITH_ENDS[:, [6, 7, 15]] = 0, 2  # <s> a </s></s> b </s>
CHOICES = {name: torch.stack([each, each], 1) for name, each in TEXT.items()}
BOXES = torch.tensor([10, 20, 30, 40]) * torch.arange(1, 17).view(1, 16, 1).expand(2, 16, 4)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (like_bert("LayoutLM"), TEXT | {"bbox": BOXES}),
        (like_bert("Ernie", use_task_id=True), TEXT | {"task_type_ids": IDS % 3}),
        (
            model_of("Bart", "ForSequenceClassification", d_model=16, **VOCAB, **CODERS),
            TEXT | {"input_ids": WITH_ENDS},
        ),
        (like_bert("Bert", "ForTokenClassification", num_labels=4), TEXT | {"labels": IDS % 4}),
        (like_bert("Bert", "ForMultipleChoice"), CHOICES),
    ],
    ids=["bbox", "task ids", "ends", "labels", "choices"],
)
def test_samples_are_what_the_model_takes(make: Callable[[], nn.Module], inputs: dict[str, torch.Tensor]) -> None:
    traced = tsnb.trace(make().eval(), inputs)
    assert (traced.contract.verified, traced.contract.unverified) == (((2, 8), (2, 16), (2, 32), (3, 16)), "")


def test_pictures_have_no_length_and_are_verified_at_other_sizes_by_inputs() -> None:
    model = model_of("ViT", "ForImageClassification", image_size=32, patch_size=8, num_labels=3, **WIDTH)().eval()
    picture = {"pixel_values": torch.rand(1, 3, 32, 32)}
    contract = tsnb.trace(model, picture).contract
    assert (contract.batch_size, contract.length, contract.verified) == (1, None, ())
    assert contract.input_axes == {"pixel_values": ("batch", 3, 32, 32)}
    assert contract.verified_inputs == ({"pixel_values": (1, 3, 32, 32)}, {"pixel_values": (2, 3, 32, 32)})
    assert contract.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    traced = tsnb.trace(model, picture, verify=[{"pixel_values": torch.rand(4, 3, 32, 32)}])
    assert {"pixel_values": (4, 3, 32, 32)} in traced.contract.verified_inputs
    assert "pixel_values 4 × 3 × 32 × 32" in str(traced)
    with pytest.raises(tsnb.InputError, match="have no length"):
        tsnb.trace(model, picture, verify=[(1, 16)])
    with pytest.raises(tsnb.TraceError, match=r"pixel_values 1 × 3 × 40 × 32: the model itself cannot run it"):
        tsnb.trace(model, picture, verify=[{"pixel_values": torch.rand(1, 3, 40, 32)}])


def test_sound_has_a_length() -> None:
    sizes: Any = {"conv_dim": (8, 8), "conv_kernel": (4, 4), "conv_stride": (4, 4), "num_feat_extract_layers": 2}
    sizes |= {"num_conv_pos_embedding_groups": 2, "num_conv_pos_embeddings": 4}
    model = model_of("Wav2Vec2", **sizes, **WIDTH)().eval()
    contract = tsnb.trace(model, {"input_values": torch.randn(1, 400)}).contract
    assert contract.input_axes == {"input_values": ("batch", "length")}
    assert contract.output_axes[0] == ("batch", "other", 32)
    assert (1, 200) in contract.verified


class Choosy(nn.Module):
    """A model that takes the ids of one example only, in any order or in its own."""

    def __init__(self, *, ordered: bool) -> None:
        super().__init__()
        self.ordered = ordered

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        if not set(input_ids.flatten().tolist()) <= set(IDS[0].tolist()) or (
            self.ordered and not torch.equal(input_ids, IDS[:1])
        ):
            raise ValueError("no such id")
        return input_ids * 2.0


def test_where_nothing_else_can_be_tried_that_is_said() -> None:
    inputs = {"input_ids": IDS[:1]}
    assert tsnb.trace(Choosy(ordered=False).eval(), inputs).contract.unverified == ""
    with pytest.warns(UnverifiedWarning, match=r"could not be compared on other values.*\(no such id\).*verify="):
        tsnb.trace(Choosy(ordered=True).eval(), inputs)


def test_a_trace_from_a_file_is_probed_on_an_example(tmp_path: Path) -> None:
    inputs, model = {"input_ids": IDS[:1]}, Choosy(ordered=False).eval()
    loaded = tsnb.load_traced(tsnb.save(tsnb.trace(model, inputs), tmp_path / "choosy.pt"))
    alone = tsnb.probe(loaded, model, [8, 16])
    assert "not compared, since the model raises at inputs drawn without an example" in str(alone[1, 8])
    assert tsnb.probe(loaded, model, [8, 16], example=inputs)[1, 8].kind == "same"


class Cached(nn.Module):
    """A model that runs with its cache, or without it, but not both."""

    def __init__(self, *, only: bool) -> None:
        super().__init__()
        self.only = only

    def forward(self, x: torch.Tensor, *, use_cache: bool = True) -> torch.Tensor:
        if use_cache is not self.only:
            raise TypeError("no cache")
        return x * 2


def test_a_model_that_runs_with_its_cache_only_or_without_it_only() -> None:
    inputs = {"x": torch.rand(1, 4)}
    assert tsnb.trace(Cached(only=False).eval(), inputs).contract.unverified == ""
    with pytest.raises(tsnb.TraceError, match="Cached runs these inputs with its cache only, and a trace has none"):
        tsnb.trace(Cached(only=True).eval(), inputs)
