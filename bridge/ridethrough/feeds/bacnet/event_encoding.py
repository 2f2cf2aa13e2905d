"""Event notifications and the summaries of events as bytes (ASHRAE 135 §13.6, §13.8 to §13.12).

The library takes a millisecond for one of them. Of a thousand conditions that change at once, that would be a second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from .encoding import an_enumerated, an_object, an_unsigned, context, enclosed, unsigned
from .event_state import HUNDREDTH, EventState, Flags, Stamps

LONGEST_TEXT = 240
"""Octets of a message text: the notification must fit in the shortest packet that BACnet/IP devices are made for."""
_UTF8 = b"\x00"
_NEVER = b"\xa4\xff\xff\xff\xff\xb4\xff\xff\xff\xff"
"""A date and a time without anything specified."""
UNSPECIFIED = 255
"""In a date or a time: any."""
_PRESENT_VALUE = 85
_BIT_STRING = 8


class NotifyType(IntEnum):
    """What a notification is about (§21, BACnetNotifyType)."""

    ALARM = 0
    EVENT = 1
    ACKNOWLEDGEMENT = 2


class EventType(IntEnum):
    """How an event was detected (§21, BACnetEventType)."""

    CHANGE_OF_STATE = 1
    CHANGE_OF_RELIABILITY = 19


@dataclass(frozen=True, slots=True)
class Notification:
    """What recipients are told."""

    device: bytes
    """The four octets of our device's identifier."""
    object: bytes
    stamp: datetime
    notification_class: int
    priority: int
    text: str
    notify: NotifyType
    before: EventState
    after: EventState
    ack_required: bool
    active: bool
    """The value of the condition's object."""
    reliability: int

    @property
    def event_type(self) -> EventType:
        """Into and out of a fault it is the reliability that has changed (§13.2.5)."""
        fault = EventState.FAULT in (self.before, self.after)
        return EventType.CHANGE_OF_RELIABILITY if fault else EventType.CHANGE_OF_STATE

    def encode(self) -> bytes:
        """Return it without the process identifier, with which each recipient's own begins."""
        said = (
            context(1, self.device)
            + context(2, self.object)
            + enclosed(3, time_stamp(self.stamp))
            + context(4, unsigned(self.notification_class))
            + context(5, unsigned(self.priority))
            + context(6, unsigned(self.event_type))
            + context(7, _UTF8 + cut(self.text, LONGEST_TEXT))
            + context(8, unsigned(self.notify))
        )
        if self.notify is NotifyType.ACKNOWLEDGEMENT:
            return said + context(11, unsigned(self.after))
        return (
            said
            + context(9, unsigned(self.ack_required))
            + context(10, unsigned(self.before))
            + context(11, unsigned(self.after))
            + enclosed(12, self._values())
        )

    def _values(self) -> bytes:
        flags = context(1, bits((self.after is not EventState.NORMAL, self.reliability != 0, False, False)))
        if self.event_type is EventType.CHANGE_OF_STATE:
            return enclosed(self.event_type, enclosed(0, context(1, unsigned(self.active))) + flags)
        value = context(0, unsigned(_PRESENT_VALUE)) + enclosed(2, an_enumerated(int(self.active)))
        values = context(0, unsigned(self.reliability)) + flags + enclosed(2, value)
        # A tag above 14 stands in an octet of its own (§20.2.1.2).
        return bytes((0xFE, self.event_type)) + values + bytes((0xFF, self.event_type))


def for_process(process: int, notification: bytes) -> bytes:
    """Complete a notification for one recipient's process."""
    return context(0, unsigned(process)) + notification


def event_summary(
    number: bytes, state: EventState, acked: Flags, stamps: Stamps, notify: int, enable: Flags, priority: Iterable[int]
) -> bytes:
    """Give one entry of GetEventInformation (§13.12.1.3)."""
    return (
        context(0, number)
        + context(1, unsigned(state))
        + context(2, bits(acked))
        + enclosed(3, b"".join(map(time_stamp, stamps)))
        + context(4, unsigned(notify))
        + context(5, bits(enable))
        + enclosed(6, b"".join(map(an_unsigned, priority)))
    )


def event_information(summaries: Iterable[bytes], *, more: bool) -> bytes:
    """Give the answer to GetEventInformation."""
    return enclosed(0, b"".join(summaries)) + context(1, unsigned(more))


def alarm_summary(number: bytes, state: EventState, acked: Flags) -> bytes:
    """Give one entry of GetAlarmSummary (§13.10.1.3)."""
    content = bits(acked)
    return an_object(number) + an_enumerated(state) + bytes((_BIT_STRING << 4 | len(content),)) + content


def time_stamp(stamp: datetime | None) -> bytes:
    """Give a stamp as a date and a time; nothing specified for None."""
    if stamp is None:
        return enclosed(2, _NEVER)
    date = bytes((stamp.year - 1900, stamp.month, stamp.day, stamp.isoweekday()))
    time = bytes((stamp.hour, stamp.minute, stamp.second, stamp.microsecond // HUNDREDTH))
    return enclosed(2, b"\xa4" + date + b"\xb4" + time)


def moment_of(date: Sequence[int], time: Sequence[int]) -> datetime | None:
    """Read a date and a time; None when something is not specified, or there is no such moment.

    The day of the week is spare: clients that do not fill it in are understood.
    """
    try:
        year, month, day, _ = date
        hour, minute, second, hundredth = time
        return (
            None
            if year == UNSPECIFIED
            else datetime(year + 1900, month, day, hour, minute, second, hundredth * HUNDREDTH)
        )
    except ValueError, TypeError:
        return None


def bits(flags: Iterable[bool]) -> bytes:
    """Give up to eight flags as a bit string's content (§20.2.10)."""
    each = tuple(flags)
    return bytes((8 - len(each), sum(flag << (7 - place) for place, flag in enumerate(each))))


def cut(text: str, longest: int) -> bytes:
    """Give a text in UTF-8 with at most so many octets, of whole characters."""
    return text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore").encode()


__all__ = [
    "EventType",
    "Notification",
    "NotifyType",
    "alarm_summary",
    "bits",
    "cut",
    "event_information",
    "event_summary",
    "for_process",
    "moment_of",
    "time_stamp",
]
