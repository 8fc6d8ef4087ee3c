"""What a report on tied weights shows in a notebook: boxes to scale."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import tsnb
from tsnb.models.tying import TiedPair, TyingReport

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS, OUT = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"


def test_a_model_and_its_untied_copy_show_their_names_bytes_and_addresses(load: Callable[..., Any]) -> None:
    model = load()[0]
    tied, apart = (tsnb.tying(shown)._repr_html_() for shown in (model, tsnb.untie(deepcopy(model))))
    address = f"{model.get_parameter(WORDS).data_ptr() & 0xFFFFFF:06x}"
    assert f"{WORDS}<br>= {OUT}" in tied
    assert f"318,976 bytes at …{address}, 2 names" in tied
    assert "321,468 bytes." in tied
    assert f"{WORDS}<br>" not in apart
    assert apart.count("318,976 bytes at …") == 2
    assert "640,444 bytes." in apart


def test_a_tensor_is_one_box_as_wide_as_its_bytes_whatever_its_names() -> None:
    pairs = [("<a>", "b", True, 1000), ("<a>", "c", True, 1000), ("d", "e", False, 250)]
    report = TyingReport(tuple(TiedPair(first, second, tied, 9, size) for first, second, tied, size in pairs))
    html = report._repr_html_()
    assert "&lt;a&gt;<br>= b<br>= c" in html
    big, *small = [float(width) for width in re.findall(r"width: ([\d.]+)%", html)]
    assert small == [big / 4] * 2
    assert "1,500 bytes." in html
    assert "No weights are shared" in TyingReport(())._repr_html_()
