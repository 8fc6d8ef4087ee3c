"""The small models to look at; how their traces behave is tested with the claims of notebook 02."""

import torch

from tsnb.tracing import subjects


def texts(model: object) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8, 9, 0], [11, 12, 0, 39, 39, 39]])
    options = {"num_beams": 1, "do_sample": False, "max_length": 12}
    written: torch.Tensor = model.generate(ids, attention_mask=(ids != 39).long(), **options)  # type: ignore[attr-defined]
    return written


def test_marian_is_the_same_each_time_and_writes_texts_that_differ_with_the_source() -> None:
    torch.manual_seed(1)
    both, drawn = texts(subjects.marian()), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)  # the reader's random state is left alone
    assert torch.equal(both, texts(subjects.marian()))
    assert not torch.equal(*both)
    assert both.unique().numel() > 5
