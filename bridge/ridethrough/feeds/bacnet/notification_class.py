"""Notification classes: how urgent events are, who is told of them, and when (ASHRAE 135 §12.21)."""

from collections.abc import Callable, Iterable, Mapping
import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from bacpypes3.basetypes import EventTransitionBits, NotifyType
from bacpypes3.constructeddata import ArrayOf
from bacpypes3.errors import ExecutionError, PropertyError
from bacpypes3.local.object import Object as LocalObject
from bacpypes3.object import NotificationClassObject
from bacpypes3.primitivedata import PropertyIdentifier, TagClass, Unsigned

from ridethrough.catalogue import Severity

from .event_state import Flags, Reporting
from .recipient_list import DESTINATIONS, Entry, check, entry_of

MOST_RECIPIENTS = 32
"""Destinations that a recipient list may have: each costs a queue."""
_ALARM, _EVENT = NotifyType("alarm"), NotifyType("event")
_NOTIFY = {"alarm": _ALARM, "event": _EVENT}
_PRIORITIES = ArrayOf(Unsigned, _length=3)


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
    _read: tuple[Any, tuple[Entry, ...]] = (None, ())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Who is told."""
        listed = self.recipientList
        if self._read[0] is not listed:
            self._read = (listed, tuple(map(entry_of, listed)))
        return self._read[1]

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

    async def write(self, name: str, content: Any, index: int | None = None) -> None:
        """Take what a request brings (the library's Any), where it has not been decoded yet.

        Raises PropertyError and ExecutionError.
        """
        if name != "recipientList" or self._written is None:
            raise PropertyError("writeAccessDenied")
        try:
            value = content.cast_out(DESTINATIONS)
        except Exception as error:  # the library raises whatever comes of wrong bytes
            raise PropertyError("invalidDataType") from error
        brought = list(content.tagList)
        around = 2 if brought and brought[0].tag_class == TagClass.opening else 0
        # The library stops quietly at the first entry that it cannot read.
        if len(list(value.encode())) + around != len(brought):
            raise PropertyError("invalidDataType")
        await self.write_property(name, value, index)


def make_class(row: ClassRow, recipients: Iterable[Any]) -> NotificationClass:
    """Make the object of a class with these destinations."""
    return NotificationClass(
        objectIdentifier=("notificationClass", row.number),
        objectName=f"notification-class-{row.severity}",
        description=row.name,
        notificationClass=row.number,
        priority=_PRIORITIES(list(row.priority)),
        ackRequired=EventTransitionBits([int(flag) for flag in row.reporting.ack_required]),
        recipientList=DESTINATIONS(list(recipients)),
    )


__all__ = ["MOST_RECIPIENTS", "ClassRow", "NotificationClass", "load_classes", "make_class"]
