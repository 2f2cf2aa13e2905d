"""Cuts an answer up as its row of the table says; nothing here knows a particular question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import binary
from .table import Number, Query, Text, Yes

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
    conditions: Mapping[str, bool]
    """That are told besides the status bits."""
    points: Mapping[str, bool | str]
    """That are no numbers."""
    implausible: tuple[str, ...]
    """Points whose word is no number or lies beyond its range; noise, and dropped."""


def parse(query: Query, line: bytes) -> Parsed | None:
    """Take `line` (without its terminator) for an answer to `query`; None when it has another shape.

    What precedes the start character is noise, such as the rest of an answer that broke off.
    """
    text = binary.decoded(line) if query.hexadecimal else line.decode("latin-1")
    at = text.find(query.start)
    while at >= 0:
        if (match := query.shape.fullmatch(text, at + len(query.start))) is not None:
            return _cut(query, text[at:], match.groups("") or text[at + 1 :].split())
        # An answer without a start character is the whole line.
        at = text.find(query.start, at + 1) if query.start else -1
    return None


def _cut(query: Query, text: str, words: Sequence[str]) -> Parsed:
    numbers: dict[str, float | None] = {}
    implausible: list[str] = []
    for row in query.numbers:
        word = words[row.word].lstrip("# ")
        if not _ABSENT.issuperset(word):
            value = _value(row, word)
            if value is None:
                implausible.append(row.point)
            else:
                numbers[row.point] = value if value or row.zero else None
        else:
            numbers[row.point] = None
    texts = {row.name: _text(row, text, words) for row in query.texts}
    told = [(row, state) for row in query.yes if (state := _yes(row, words[row.word])) is not None]
    points: dict[str, bool | str] = {row.key: state for row, state in told if row.point}
    points |= {row.point: row.letter in words[0] for row in query.listed if row.letter in words[0] + words[1]}
    points |= {row.point: row.names[words[row.word]] for row in query.names if words[row.word] in row.names}
    return Parsed(
        numbers,
        {name: value for name, value in texts.items() if not _ABSENT.issuperset(value)},
        None if query.bits is None else words[query.bits],
        {row.key: state for row, state in told if not row.point},
        points,
        tuple(implausible),
    )


def _text(row: Text, text: str, words: Sequence[str]) -> str:
    return text[row.start : row.end].strip() if row.word is None else words[row.word].strip("# ")


def _yes(row: Yes, word: str) -> bool | None:
    told = word if row.at is None else word[row.at : row.at + 1]
    if any(character in row.yes for character in told):
        return True
    return False if not row.no or any(character in row.no for character in told) else None


def _value(row: Number, word: str) -> float | None:
    if row.values is not None:
        return row.values.get(word)
    try:
        value = float(word)
    except ValueError:
        return None
    return value * row.scale if row.low <= value <= row.high else None


__all__ = ["Parsed", "parse"]
