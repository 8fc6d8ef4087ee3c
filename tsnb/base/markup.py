"""Sentences with code between backticks, as HTML."""

from __future__ import annotations

import re
from html import escape


def marked(text: str) -> str:
    """Return a sentence as HTML, with what stands between backticks as code.

    >>> marked("`a < b` & so on")
    '<code>a &lt; b</code> &amp; so on'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
