"""Texts that strangers send, made fit for a log, a terminal or a screen."""

from __future__ import annotations

import unicodedata

_UNFIT = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories that move the cursor, turn the direction of writing, break lines or mean nothing."""


def clean(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text` on one line, each unfit character replaced by a space."""
    fit = "".join(" " if unicodedata.category(character) in _UNFIT else character for character in text[:limit])
    return fit.strip()


__all__ = ["clean"]
