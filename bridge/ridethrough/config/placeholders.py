"""Placeholders in the texts of jobs and plans (manual M:2690): `{event}`, `{ups.load}`, `{ups-1:battery.charge}`.

This is the whole syntax. A placeholder is a word of the table or the key of a point, in braces; a point of another
device than the one the text is about has the device's id and a colon before it. Nothing in it is evaluated, and what
is put in is not looked at again. `{{event}}` stands for the text `{event}`; braces around anything else, as in JSON,
stay as they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
import re

from ridethrough.catalogue import load_catalogue

WORDS: Mapping[str, str] = {
    "event": "the event in a sentence, e.g. `Rack UPS: On battery: begun`",
    "condition": "the name of the event's condition, e.g. `On battery`",
    "key": "the key of the event's condition, e.g. `on_battery`",
    "edge": "`begun` or `over`",
    "severity": "`info`, `warning` or `alarm`",
    "number": "the event's number in the event log",
    "message": "what the event says of itself, e.g. the outcome of a command",
    "device": "the name of the event's device",
    "id": "the id of the event's device in the configuration",
    "ups": "the name of the UPS that is the event's device, or that it belongs to",
    "manufacturer": "of that UPS or device",
    "model": "of that UPS or device",
    "serial": "the serial number of that UPS or device",
    "firmware": "of that UPS or device",
    "alarms": "the warnings and alarms that the UPS or device has at present",
    "time": "when the event happened, in local time",
    "now": "the present local time",
    "job": "the id of the job, or what else the text is sent by",
    "test": "`Test` when a person tries the job out, else nothing",
    "bridge": "the name of the bridge",
}
"""What may stand in braces besides the keys of points."""

EXPLAINED: Mapping[str, str] = {
    **WORDS,
    "ups.load": "a value of the event's device or of the UPS that it belongs to; CATALOGUE.md lists the points",
    "ups-1:ups.load": "the same of the device ups-1",
}
"""Everything that may stand in braces, for people."""

_FOUND = re.compile(r"\{\{(?P<literal> *[A-Za-z][^{}\"'\n]{0,199})\}\}|\{(?P<name> *[A-Za-z][^{}\"'\n]{0,199})\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder of a text."""

    key: str
    """A word, or the key of a point."""
    device: str | None = None
    """The id of the device whose point it is; None: the one that the text is about."""

    @property
    def is_word(self) -> bool:
        """Whether it stands for something of the event, not for a point."""
        return self.device is None and self.key in WORDS

    def __str__(self) -> str:
        """As it stands in a text."""
        return f"{{{self.key}}}" if self.device is None else f"{{{self.device}:{self.key}}}"


def parts(text: str) -> Iterator[str | Placeholder]:
    """Give the pieces of a text in their order: texts that stay, and placeholders."""
    end = 0
    for found in _FOUND.finditer(text):
        if found.start() > end:
            yield text[end : found.start()]
        end = found.end()
        if (literal := found["literal"]) is not None:
            yield f"{{{literal}}}"
            continue
        device, colon, key = found["name"].partition(":")
        yield Placeholder(key.strip(), device.strip()) if colon else Placeholder(device.strip())
    if end < len(text):
        yield text[end:]


def placeholders(text: str) -> Iterator[Placeholder]:
    """Give the placeholders of a text."""
    return (part for part in parts(text) if isinstance(part, Placeholder))


def fault(text: str) -> str | None:
    """Say which placeholder of a text nobody could fill in, whatever devices there are; None if there is none."""
    for placeholder in placeholders(text):
        if placeholder.is_word:
            continue
        if placeholder.device is None:
            known = any(load_catalogue().point(kind, placeholder.key) for kind in load_catalogue().kinds)
        else:
            known = True
        if not known:
            return unknown(placeholder, tuple(load_catalogue().kinds))
    return None


def unknown(placeholder: Placeholder, kinds: tuple[str, ...]) -> str:
    """Say that no such placeholder exists for these kinds of devices, and which was probably meant."""
    points = [
        point.key.text for point in load_catalogue().points if point.key.plain and not point.kinds.isdisjoint(kinds)
    ]
    if placeholder.device is not None:
        near = [f"{{{placeholder.device}:{key}}}" for key in get_close_matches(placeholder.key, points, n=3)]
    else:
        near = [f"{{{key}}}" for key in get_close_matches(placeholder.key, [*WORDS, *points], n=3)]
    hint = f", did you mean {' or '.join(near)}?" if near else ""
    return (
        f"the placeholder {placeholder} is unknown{hint} (permitted: {', '.join(WORDS)}, the keys of points such as "
        f"ups.load, and ups-1:ups.load for a certain device; write {{{placeholder}}} for the braces themselves)"
    )


__all__ = ["EXPLAINED", "WORDS", "Placeholder", "fault", "parts", "placeholders", "unknown"]
