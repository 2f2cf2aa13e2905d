"""The options of link URLs as tables: what may be written, what it means, and how a person is asked for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class OptionKind(StrEnum):
    """What is written after the option's equals sign."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    """yes or no."""
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a link's URL."""

    name: str
    summary: str
    """What it is, for people: a phrase without a full stop."""
    kind: OptionKind = OptionKind.TEXT
    default: str | None = None
    """What holds when it is not written; None: nothing."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    @property
    def permitted(self) -> str:
        """What may be written, for messages."""
        match self.kind:
            case OptionKind.CHOICE:
                return ", ".join(self.choices)
            case OptionKind.FLAG:
                return "yes, no"
            case OptionKind.NUMBER:
                return f"{self.minimum:g} to {self.maximum:g} {self.unit}".strip()
        return "a text"

    def check(self, text: str) -> None:
        """Raise ValueError, with a sentence that says what is permitted, when this cannot be written."""
        match self.kind:
            case OptionKind.CHOICE:
                possible = text in self.choices
            case OptionKind.FLAG:
                possible = text in {"yes", "no"}
            case OptionKind.NUMBER:
                possible = self._possible(text)
            case _:
                possible = bool(text)
        if not possible:
            raise ValueError(f"{self.name}={text} is not possible; permitted: {self.permitted}.")

    def _possible(self, text: str) -> bool:
        assert self.minimum is not None
        assert self.maximum is not None
        try:
            return self.minimum <= float(text) <= self.maximum
        except ValueError:
            return False


def choice(name: str, summary: str, choices: Iterable[str], default: str | None = None) -> Option:
    """Make an option that is one of some words."""
    return Option(name, summary, OptionKind.CHOICE, default, tuple(choices))


def number(
    name: str, summary: str, minimum: float, maximum: float, default: float | None = None, unit: str = ""
) -> Option:
    """Make an option that is a number within bounds."""
    text = None if default is None else f"{default:g}"
    return Option(name, summary, OptionKind.NUMBER, text, minimum=minimum, maximum=maximum, unit=unit)


def flag(name: str, summary: str, *, default: bool | None = None) -> Option:
    """Make an option that is yes or no."""
    return Option(name, summary, OptionKind.FLAG, None if default is None else "yes" if default else "no")


class Options:
    """The options of one URL, checked against the table of its link."""

    def __init__(self, scheme: str, table: Iterable[Option], written: Mapping[str, str]) -> None:
        """Check what is written. Raises ValueError with a sentence when an option is unknown or impossible."""
        self._table = {option.name: option for option in table}
        self.written = written
        for name, text in written.items():
            option = self._table.get(name)
            if option is None:
                permitted = ", ".join(self._table) or "none"
                raise ValueError(f"{scheme} knows no option {name}; permitted: {permitted}.")
            option.check(text)

    def text(self, name: str) -> str | None:
        """Return what is written or holds by default."""
        return self.written.get(name, self._table[name].default)

    def word(self, name: str) -> str:
        """Return a choice that has a default."""
        text = self.text(name)
        assert text is not None
        return text

    def number(self, name: str) -> float | None:
        """Return a number, None if there is none."""
        text = self.text(name)
        return None if text is None else float(text)

    def amount(self, name: str) -> float:
        """Return a number that has a default."""
        return float(self.word(name))

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        """Return whether it is yes; `otherwise` if it neither is written nor has a default."""
        text = self.text(name)
        return otherwise if text is None else text == "yes"


__all__ = ["Option", "OptionKind", "Options", "choice", "flag", "number"]
