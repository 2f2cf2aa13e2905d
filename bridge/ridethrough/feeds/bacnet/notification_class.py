"""Notification classes: how urgent events are, who is told of them, and when (ASHRAE 135 §12.21)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import csv
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from bacpypes3.basetypes import DaysOfWeek, Destination, DeviceAddress, EventTransitionBits, NotifyType, Recipient
from bacpypes3.constructeddata import ArrayOf, ListOf
from bacpypes3.errors import ExecutionError, PropertyError
from bacpypes3.local.object import Object as LocalObject
from bacpypes3.object import NotificationClassObject
from bacpypes3.pdu import Address, LocalBroadcast, LocalStation, PDUData, RemoteBroadcast, RemoteStation
from bacpypes3.primitivedata import PropertyIdentifier, TagList, Time, Unsigned

from ridethrough.catalogue import Severity
from ridethrough.feeds.base import FeedError

from .event_state import HUNDREDTH, Flags, Reporting, Transition

MOST_RECIPIENTS = 32
"""Destinations that a recipient list may have: each costs a queue."""
_ALARM, _EVENT = NotifyType("alarm"), NotifyType("event")
_NOTIFY = {"alarm": _ALARM, "event": _EVENT}
_DESTINATIONS = ListOf(Destination)
_PRIORITIES = ArrayOf(Unsigned, _length=3)
_UNSPECIFIED = 255
_DEVICE = 8
"""The object type of devices."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How conditions of a severity are reported."""

    number: int
    """Of the class, and the instance of its object."""
    severity: Severity
    name: str
    notify: Any
    """The library's NotifyType."""
    priority: tuple[int, int, int]
    reporting: Reporting

    @property
    def alarms(self) -> bool:
        """Whether GetAlarmSummary names such objects (§13.10)."""
        return bool(self.notify == _ALARM)


@cache
def load_classes() -> Mapping[Severity, ClassRow]:
    """Read the table of notification classes."""
    text = resources.files(__package__).joinpath("notification_classes.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {Severity(row["severity"]): _row(row) for row in csv.DictReader(lines, strict=True)}


def _row(row: Mapping[str, str]) -> ClassRow:
    first, second, third = map(int, row["priority"].split())
    return ClassRow(
        number=int(row["number"]),
        severity=Severity(row["severity"]),
        name=row["name"],
        notify=_NOTIFY[row["notify"]],
        priority=(first, second, third),
        reporting=Reporting(row["detection"] == "yes", _flags(row["enable"]), _flags(row["ack"])),
    )


def _flags(cell: str) -> Flags:
    first, second, third = (word == "1" for word in cell.split())
    return first, second, third


class NotificationClass(LocalObject, NotificationClassObject):
    """The object of a class. Its recipients may be written where that is granted, and nothing else."""

    _written: Callable[[], None] | None = None

    def let_write(self, written: Callable[[], None]) -> None:
        """Let clients write the recipients; `written` is called after each time."""
        self._written = written

    async def write_property(
        self, attr: Any, value: Any, index: int | None = None, priority: int | None = None
    ) -> None:
        """Take a new recipient list. Raises PropertyError and ExecutionError."""
        name = attr if isinstance(attr, str) else PropertyIdentifier(attr).attr
        if name != "recipientList" or self._written is None:
            raise PropertyError("writeAccessDenied")
        if index is not None:
            raise PropertyError("propertyIsNotAnArray")
        if len(value) > MOST_RECIPIENTS:
            raise ExecutionError("resources", "noSpaceToWriteProperty")
        for destination in value:
            check(destination)
        self.recipientList = value
        self._written()


def make_class(row: ClassRow, recipients: Iterable[Any]) -> NotificationClass:
    """Make the object of a class with these destinations."""
    return NotificationClass(
        objectIdentifier=("notificationClass", row.number),
        objectName=f"notification-class-{row.severity}",
        description=row.name,
        notificationClass=row.number,
        priority=_PRIORITIES(list(row.priority)),
        ackRequired=EventTransitionBits([int(flag) for flag in row.reporting.ack_required]),
        recipientList=_DESTINATIONS(list(recipients)),
    )


def configured(recipients: Sequence[str]) -> list[Any]:
    """Make destinations of the addresses in the configuration, told at all times of everything that is reported.

    A station gets confirmed notifications, so that nothing is lost unnoticed; a broadcast (`*`) cannot be confirmed.
    Raises FeedError for what is no address.
    """
    return [_configured(text) for text in recipients]


def _configured(text: str) -> Any:
    try:
        address = Address(text)
        recipient = Recipient(address=DeviceAddress(address))
    except (ValueError, TypeError) as error:
        raise FeedError(
            f"{text!r} is no address to tell of alarms: give one like 192.0.2.7 or 192.0.2.7:47809, or * for all."
        ) from error
    return Destination(
        validDays=DaysOfWeek([1] * 7),
        fromTime=Time((0, 0, 0, 0)),
        toTime=Time((23, 59, 59, 99)),
        recipient=recipient,
        processIdentifier=0,
        issueConfirmedNotifications=bool(address.is_localstation or address.is_remotestation),
        transitions=EventTransitionBits([1, 1, 1]),
    )


def wants(destination: Any, transition: Transition, now: datetime) -> bool:
    """Whether a destination is to be told of such a transition at this local time (§12.21.8)."""
    if not destination.transitions[transition] or not destination.validDays[now.weekday()]:
        return False
    moment = (now.hour, now.minute, now.second, now.microsecond // HUNDREDTH)
    begin, end = tuple(destination.fromTime), tuple(destination.toTime)
    # A time that is not specified is no limit.
    return (_UNSPECIFIED in begin or begin <= moment) and (_UNSPECIFIED in end or moment <= end)


def address_of(destination: Any) -> Any:
    """Give the address of a destination that is named by one, None for one that is named by its device."""
    named = destination.recipient.address
    if named is None:
        return None
    network, station = named.networkNumber, bytes(named.macAddress or b"")
    if network == 0:
        return LocalStation(station) if station else LocalBroadcast()
    return RemoteStation(network, station) if station else RemoteBroadcast(network)


def check(destination: Any) -> None:
    """Refuse a destination that nobody could be told at. Raises PropertyError."""
    device = destination.recipient.device
    if device is not None:
        valid = int(device[0]) == _DEVICE
    else:
        try:
            valid = address_of(destination) is not None
        except ValueError, TypeError:
            valid = False
    if not valid or (len(destination.validDays) != 7 or len(destination.transitions) != 3):
        raise PropertyError("valueOutOfRange")


def encode_recipients(recipients: Any) -> str:
    """Put a recipient list into a word, to remember it."""
    return bytes(_DESTINATIONS(list(recipients)).encode().encode().pduData).hex()


def decode_recipients(word: str) -> list[Any]:
    """Read what `encode_recipients` gave."""
    return list(_DESTINATIONS.decode(TagList.decode(PDUData(bytes.fromhex(word)))))


__all__ = [
    "MOST_RECIPIENTS",
    "ClassRow",
    "NotificationClass",
    "address_of",
    "check",
    "configured",
    "decode_recipients",
    "encode_recipients",
    "load_classes",
    "make_class",
    "wants",
]
