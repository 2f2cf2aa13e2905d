"""Recipient lists: who is told of events, where, and when (ASHRAE 135 §12.21.8, BACnetDestination)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bacpypes3.basetypes import (
    DaysOfWeek,
    Destination,
    DeviceAddress,
    EventTransitionBits,
    Recipient as LibraryRecipient,
)
from bacpypes3.constructeddata import ListOf
from bacpypes3.errors import PropertyError
from bacpypes3.pdu import Address, LocalBroadcast, LocalStation, PDUData, RemoteBroadcast, RemoteStation
from bacpypes3.primitivedata import TagList, Time

from ridethrough.feeds.base import FeedError

from .event_state import HUNDREDTH, Transition

DESTINATIONS = ListOf(Destination)
"""The library's type of a recipient list."""
_UNSPECIFIED = 255
_IP_STATION = 6
"""Octets of an address in BACnet/IP (Annex J)."""
_GLOBAL = 65535
"""The network number that stands for all."""
_DEVICE = 8
"""The object type of devices."""


def configured(recipients: Sequence[str]) -> list[Any]:
    """Make destinations of the addresses in the configuration, told at all times of everything that is reported.

    A station gets confirmed notifications, so that nothing is lost unnoticed; a broadcast (`*`) cannot be confirmed.
    Raises FeedError for what is no address.
    """
    return [_configured(text) for text in recipients]


def _configured(text: str) -> Any:
    try:
        address = Address(text)
        recipient = LibraryRecipient(address=DeviceAddress(address))
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


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where notifications go. Two entries of lists that say the same are one recipient."""

    place: str
    """For the log."""
    address: Any
    """None: where the device is has to be asked."""
    device: int
    process: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a recipient list, read once and not for each event: who is told, and when."""

    recipient: Recipient
    days: tuple[bool, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    transitions: tuple[bool, ...]

    def wants(self, transition: Transition, now: datetime) -> bool:
        """Whether such a transition is told at this local time (§12.21.8)."""
        if not self.transitions[transition] or not self.days[now.weekday()]:
            return False
        moment = (now.hour, now.minute, now.second, now.microsecond // HUNDREDTH)
        # A time that is not specified is no limit.
        return (_UNSPECIFIED in self.begin or self.begin <= moment) and (_UNSPECIFIED in self.end or moment <= self.end)


def entry_of(destination: Any) -> Entry:
    """Read a destination of the library's."""
    address = address_of(destination)
    device = -1 if address is not None else int(destination.recipient.device[1])
    confirmed = bool(destination.issueConfirmedNotifications)
    if address is not None and (address.is_localbroadcast or address.is_remotebroadcast):
        confirmed = False  # nobody answers to a broadcast
    place = f"device {device}" if address is None else _worded(address)
    return Entry(
        Recipient(place, address, device, int(destination.processIdentifier), confirmed),
        days=tuple(map(bool, destination.validDays)),
        begin=tuple(destination.fromTime),
        end=tuple(destination.toTime),
        transitions=tuple(map(bool, destination.transitions)),
    )


def _worded(address: Any) -> str:
    octets = bytes(address.addrAddr or b"")
    if len(octets) != _IP_STATION:
        return str(address)
    host = ".".join(map(str, octets[:4]))
    return f"{host}:{int.from_bytes(octets[4:])}"


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
        named = destination.recipient.address
        octets = bytes(named.macAddress or b"")
        # A station of our own network has an IPv4 address and a port; of those behind routers nothing is known.
        valid = len(octets) in (0, _IP_STATION) if named.networkNumber == 0 else named.networkNumber < _GLOBAL
    if not valid or (len(destination.validDays) != 7 or len(destination.transitions) != 3):
        raise PropertyError("valueOutOfRange")


def encode_recipients(recipients: Any) -> str:
    """Put a recipient list into a word, to remember it."""
    return bytes(DESTINATIONS(list(recipients)).encode().encode().pduData).hex()


def decode_recipients(word: str) -> list[Any]:
    """Read what `encode_recipients` gave."""
    return list(DESTINATIONS.decode(TagList.decode(PDUData(bytes.fromhex(word)))))


__all__ = [
    "DESTINATIONS",
    "Entry",
    "Recipient",
    "check",
    "configured",
    "decode_recipients",
    "encode_recipients",
    "entry_of",
]
