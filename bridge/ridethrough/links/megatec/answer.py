"""Cuts an answer up as its row of the table says; nothing here knows a particular question."""

from collections.abc import Mapping
from dataclasses import dataclass

from .table import Number, Query

_ABSENT = frozenset("-@*?#xX. ")
"""What stands in the place of a value that the device does not have."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says."""

    numbers: Mapping[str, float | None]
    """By point; None where the device says that it does not have the value."""
    texts: Mapping[str, str]
    """Only those that are not blank."""
    bits: str | None
    """Eight characters, b7 first; other than 0 and 1 means unknown."""
    implausible: tuple[str, ...]
    """Points whose word is no number or lies beyond its range; noise, and dropped."""


def parse(query: Query, line: bytes) -> Parsed | None:
    """Take `line` (without its terminator) for an answer to `query`; None when it has another shape.

    What precedes the start character is noise, such as the rest of an answer that broke off.
    """
    text = line.decode("latin-1")
    at = text.find(query.start)
    while at >= 0:
        if query.shape.fullmatch(text, at + 1):
            return _cut(query, text[at:])
        at = text.find(query.start, at + 1)
    return None


def _cut(query: Query, text: str) -> Parsed:
    words = text[1:].split()
    numbers: dict[str, float | None] = {}
    implausible: list[str] = []
    for row in query.numbers:
        word = words[row.word]
        if not _ABSENT.issuperset(word):
            value = _value(row, word)
            if value is None:
                implausible.append(row.point)
            else:
                numbers[row.point] = value if value or row.zero else None
        else:
            numbers[row.point] = None
    texts = {row.name: text[row.start : row.end].strip() for row in query.texts}
    return Parsed(
        numbers,
        {name: value for name, value in texts.items() if not _ABSENT.issuperset(value)},
        None if query.bits is None else words[query.bits],
        tuple(implausible),
    )


def _value(row: Number, word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value * row.scale if row.low <= value <= row.high else None


__all__ = ["Parsed", "parse"]
