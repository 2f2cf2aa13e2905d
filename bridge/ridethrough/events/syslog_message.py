"""A message of RFC 5424, written from an event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
import re

from ridethrough.catalogue import Catalogue, Severity
from ridethrough.site import Device

from .controls import without_controls
from .event import EdgeKind, Event
from .sentence import sentence

NOTICE, INFORMATIONAL = 5, 6
SEVERITIES: Mapping[tuple[EdgeKind, Severity], int] = {
    (EdgeKind.RAISED, Severity.ALARM): 2,
    (EdgeKind.RAISED, Severity.WARNING): 4,
    (EdgeKind.RAISED, Severity.INFO): INFORMATIONAL,
    (EdgeKind.CLEARED, Severity.ALARM): NOTICE,
    (EdgeKind.CLEARED, Severity.WARNING): NOTICE,
    (EdgeKind.CLEARED, Severity.INFO): INFORMATIONAL,
    (EdgeKind.OCCURRED, Severity.ALARM): 2,
    (EdgeKind.OCCURRED, Severity.WARNING): 4,
    (EdgeKind.OCCURRED, Severity.INFO): NOTICE,
}
"""RFC 5424 §6.2.1. An alarm is critical, 2: 1 and 0 make many a receiver write to every terminal. That something bad is
over, that somebody gave a command, that the bridge started, is normal but worth a notice, 5."""
FACILITIES: Mapping[str, int] = {
    **{
        name: number
        for number, name in enumerate(
            ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
        )
    },
    **{f"local{number}": 16 + number for number in range(8)},
}
APP_NAME = "ridethrough"
SD_ID = "ridethrough@32473"
"""Elements of one's own need an enterprise number; 32473 is the one for documentation (RFC 5612): we have none."""
LONGEST = 8192
"""Octets that a receiver should take over TCP and TLS (RFC 5425 §4.3.1); rsyslog's limit unless it is told otherwise."""
LONGEST_DATAGRAM = 2048
"""Octets that a receiver should take over UDP (RFC 5426 §3.2)."""
LONGEST_VALUE = 128
"""Characters of a value of the structured data: all of them together stay well below a datagram."""
LARGEST_SEQUENCE = 2147483647
_NIL = "-"
_BOM = b"\xef\xbb\xbf"
_SPECIAL = re.compile(r'(["\\\]])')
_NOT_PRINTABLE = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Sender:
    """What the headers of all messages say alike."""

    host: str
    process: int
    facility: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, whatever carries it."""

    at: datetime
    severity: int
    key: str
    """MSGID: the kind of message; what receivers sort by."""
    text: str
    data: Mapping[str, str]
    """Of our own element of the structured data."""


def message_of(event: Event, device: Device | None, catalogue: Catalogue) -> Message:
    """Make the message of an event."""
    data = {"seq": str(event.seq), "kind": event.kind.value}
    if device is not None:
        data |= {"device": device.key, "name": device.name}
    elif event.device is not None:
        data["device"] = event.device
    data |= {"key": event.key, "edge": event.edge.value, "severity": event.severity.value}
    data |= {name: str(event.details[name]) for name in ("actor", "outcome") if name in event.details}
    severity = SEVERITIES[event.edge, event.severity]
    return Message(event.at, severity, event.key, sentence(event, device, catalogue), data)


def write(message: Message, sender: Sender, sequence: int, longest: int = LONGEST) -> bytes:
    """Write a message in at most `longest` octets; what is too long loses the end of its text (RFC 5424 §6.1)."""
    stamp = message.at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    priority = FACILITIES[sender.facility] * 8 + message.severity
    header = (
        f"<{priority}>1 {stamp}Z {_name(sender.host, 255)} {APP_NAME} {sender.process} {_name(message.key, 32)} "
        f'[meta sequenceId="{(sequence - 1) % LARGEST_SEQUENCE + 1}"][{SD_ID}{"".join(_parameters(message.data))}] '
    ).encode("utf-8", "replace")
    text = without_controls(message.text).encode("utf-8", "replace")
    # UTF-8 is to be marked (RFC 5424 §6.4). Many receivers show the mark as rubbish, and ASCII reads the same without.
    mark = b"" if text.isascii() else _BOM
    room = max(0, longest - len(header) - len(mark))
    if len(text) > room:
        text = text[:room].decode("utf-8", "ignore").encode()
    return header + mark + text


def framed(message: bytes) -> bytes:
    """Put its length before a message: octet counting, which every text survives (RFC 6587 §3.4.1, RFC 5425 §4.3)."""
    return b"%d %b" % (len(message), message)


def _name(text: str, longest: int) -> str:
    """Make it one word of printable ASCII, `-` for nothing."""
    return _NOT_PRINTABLE.sub("_", text)[:longest] or _NIL


def _parameters(data: Mapping[str, str]) -> Iterator[str]:
    for name, value in data.items():
        yield f' {name}="{_SPECIAL.sub(r"\\\1", without_controls(value)[:LONGEST_VALUE])}"'


__all__ = [
    "LONGEST",
    "LONGEST_DATAGRAM",
    "SEVERITIES",
    "Message",
    "Sender",
    "framed",
    "message_of",
    "write",
]
