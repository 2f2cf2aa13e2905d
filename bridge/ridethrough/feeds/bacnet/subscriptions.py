"""Who wants to be told of changes: SubscribeCOV and SubscribeCOVProperty (ASHRAE 135 §13.14, §13.15).

The library tells of each change at once, by a task of its own and a millisecond's work, and knows no limits. Here a
change is only noted; what is sent is the latest value, when the loop has time for it and the peer has answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
import math
import struct
import time
from typing import Any

from bacpypes3.apdu import (
    ConfirmedRequestPDU,
    ConfirmedServiceChoice,
    ErrorPDU,
    ErrorRejectAbortNack,
    SimpleAckPDU,
    UnconfirmedRequestPDU,
    UnconfirmedServiceChoice,
)
from bacpypes3.app import Application
from bacpypes3.basetypes import ErrorCode, PropertyIdentifier
from bacpypes3.errors import ExecutionError, ObjectError, PropertyError, ServicesError
from bacpypes3.pdu import Address

from ridethrough.clock import Clock
from ridethrough.tasks import Backoff

from .encoding import an_octet_string, an_unsigned, context, enclosed, object_number, unsigned
from .objects import Lean, Shown

PEERS = 64
PER_PEER = 200
IN_ALL = 2000
LONGEST = 7 * 86400
"""Seconds for which one may subscribe; without an end is permitted, and ends with the peer."""
AT_ONCE = 4
"""Notifications that one peer may have to confirm at once."""
GIVE_UP = 300.0
"""Seconds after which a notification counts as unanswered, whatever has become of it; the library gives up earlier."""
PATIENCE = 8
"""Times in a row that a peer may leave a notification unanswered, each after four attempts."""
SILENCE = Backoff(first=10.0, cap=600.0)
"""How long a peer that does not answer is left alone."""
SWEEP = 1.0
"""Seconds between looks for subscriptions that have ended."""
TURN = 0.001
"""Seconds of the loop after which others have their turn."""

_PRESENT_VALUE = PropertyIdentifier("present-value")
_STATUS_FLAGS = PropertyIdentifier("status-flags")
_UNKNOWN_SUBSCRIPTION = ErrorCode("unknown-subscription")
_FULL = "noSpaceToAddListElement"

type Key = tuple[Any, int, Any, str | None]


@dataclass(eq=False, slots=True)
class Subscription:
    """One peer's wish to be told of one object."""

    key: Key
    peer: Peer
    shown: Shown
    process: int
    property: str | None
    """None: what SubscribeCOV tells of that kind of object."""
    confirmed: bool
    ends: float
    """By the monotonic clock; infinity for never."""
    increment: float | None
    value: Any = None
    """What was told last."""
    told: bytes | None = None
    """The rest of what was told last; None for nothing yet."""

    def due(self) -> bool:
        """Whether there is something to tell."""
        if self.told is None:
            return True
        self.shown.refresh()
        if self.property == "presentValue" or self.property is None:
            if self.shown.moved(self.value, self.increment):
                return True
            return self.told != self.shown.encoded("statusFlags")
        return self.told != self.shown.encoded(self.property) + self.shown.encoded("statusFlags")

    def content(self, device: bytes, now: float) -> bytes:
        """Put a notification together, after which this counts as told (§13.1, table 13-1)."""
        name = self.property or "presentValue"
        number = _PRESENT_VALUE if self.property is None else PropertyIdentifier(name)
        value, flags = self.shown.encoded(name), self.shown.encoded("statusFlags")
        self.value = self.shown.presentValue
        self.told = flags if name == "presentValue" else value + flags
        remaining = 0 if self.ends == math.inf else max(1, round(self.ends - now))
        values = _value(number, value) + (b"" if number == _STATUS_FLAGS else _value(_STATUS_FLAGS, flags))
        return (
            context(0, unsigned(self.process))
            + context(1, device)
            + context(2, _identifier(self.shown))
            + context(3, unsigned(remaining))
            + enclosed(4, values)
        )


@dataclass(eq=False, slots=True)
class Peer:
    """Somebody who has subscribed."""

    address: Any
    subscriptions: dict[Key, Subscription] = field(default_factory=dict)
    due: dict[Subscription, None] = field(default_factory=dict)
    """What is to be told, the oldest first."""
    under_way: int = 0
    failures: int = 0
    silent_until: float = 0.0


class Subscriptions:
    """All of them, and the sending."""

    def __init__(
        self,
        clock: Clock,
        device: tuple[int, int],
        send: Callable[[Any], Coroutine[Any, Any, None]],
        ask: Callable[[Any], Awaitable[Any]],
    ) -> None:
        """`send` sends what needs no answer, `ask` what must be confirmed."""
        self._clock = clock
        self._device = object_number(*device)
        self._send = send
        self._ask = ask
        self._peers: dict[Any, Peer] = {}
        self._all: dict[Key, Subscription] = {}
        self._by_object: dict[Any, list[Subscription]] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def __iter__(self) -> Iterator[Subscription]:
        """Give them all."""
        return iter(self._all.values())

    def subscribe(
        self,
        peer: Any,
        process: int,
        shown: Shown,
        property_name: str | None = None,
        *,
        confirmed: bool,
        lifetime: int,
        increment: float | None = None,
    ) -> None:
        """Add a subscription or renew it; lifetime 0 has no end. Raises ExecutionError when there are too many."""
        if lifetime > LONGEST:
            raise ServicesError("valueOutOfRange")
        key = (peer, process, shown.objectIdentifier, property_name)
        ends = self._clock.monotonic() + lifetime if lifetime else math.inf
        found = self._all.get(key)
        if found is None:
            found = self._add(key, peer, shown, confirmed=confirmed, ends=ends)
        found.confirmed, found.ends, found.increment, found.told = confirmed, ends, increment, None
        # Whoever subscribes is there.
        found.peer.silent_until, found.peer.failures = 0.0, 0
        self._mark(found)

    def cancel(self, peer: Any, process: int, identifier: Any, property_name: str | None = None) -> None:
        """End a subscription if there is one."""
        found = self._all.get((peer, process, identifier, property_name))
        if found is not None:
            self._remove(found)

    def forget(self, identifier: Any) -> None:
        """End what is subscribed of an object that is gone."""
        for one in self._by_object.pop(identifier, ())[:]:
            self._remove(one)

    def changed(self, shown: Lean) -> None:
        """Note that an object has changed."""
        for one in self._by_object.get(shown.objectIdentifier, ()):
            if one not in one.peer.due and one.due():
                self._mark(one)

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._sweep()
                busy = await self._round()
                if not busy:
                    # Without subscriptions nothing ends, and nothing wakes it but a new one.
                    waiting = self._wake.wait()
                    try:
                        await (asyncio.wait_for(waiting, SWEEP) if self._all else waiting)
                    except TimeoutError:
                        continue
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def encoded(self) -> bytes:
        """Return all of them as Active_COV_Subscriptions has them (§12.11.39)."""
        now = self._clock.monotonic()
        return b"".join(_listed(one, now) for one in self._all.values())

    # How it is done

    def _add(self, key: Key, address: Any, shown: Shown, *, confirmed: bool, ends: float) -> Subscription:
        peer = self._peers.get(address)
        full = len(self._all) >= IN_ALL or (
            len(self._peers) >= PEERS if peer is None else len(peer.subscriptions) >= PER_PEER
        )
        if full:
            raise ExecutionError("resources", _FULL)
        if peer is None:
            peer = self._peers[address] = Peer(address)
        added = Subscription(key, peer, shown, key[1], key[3], confirmed, ends, None)
        self._all[key] = peer.subscriptions[key] = added
        self._by_object.setdefault(key[2], []).append(added)
        shown.watched = True
        return added

    def _remove(self, one: Subscription) -> None:
        self._all.pop(one.key, None)
        others = self._by_object.get(one.key[2], [])
        if one in others:
            others.remove(one)
        if not others:
            self._by_object.pop(one.key[2], None)
            one.shown.watched = False
        peer = one.peer
        peer.due.pop(one, None)
        peer.subscriptions.pop(one.key, None)
        if not peer.subscriptions and self._peers.get(peer.address) is peer:
            del self._peers[peer.address]

    def _mark(self, one: Subscription) -> None:
        one.peer.due[one] = None
        self._wake.set()

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        for one in [one for one in self._all.values() if one.ends <= now]:
            self._remove(one)

    async def _round(self) -> bool:
        """Send each peer something; returns whether more could be sent at once."""
        now = self._clock.monotonic()
        until = time.perf_counter() + TURN
        busy = False
        for peer in list(self._peers.values()):
            while peer.due and peer.under_way < AT_ONCE and peer.silent_until <= now:
                one = next(iter(peer.due))
                del peer.due[one]
                if not one.due():
                    continue
                await self._tell(one, now)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + TURN
                    busy = bool(peer.due)
                    break
        return busy

    async def _tell(self, one: Subscription, now: float) -> None:
        content = one.content(self._device, now)
        if one.confirmed:
            self._start(one.peer, self._confirm(one, content))
            return
        pdu = UnconfirmedRequestPDU(UnconfirmedServiceChoice.unconfirmedCOVNotification)
        pdu.pduDestination = one.peer.address
        pdu.put_data(content)
        if one.peer.address.addrType == Address.remoteStationAddr:
            # The way to another network may have to be asked for first, which takes its time.
            self._start(one.peer, self._send(pdu))
        else:
            await self._send(pdu)

    def _start(self, peer: Peer, work: Coroutine[Any, Any, None]) -> None:
        async def finish() -> None:
            try:
                await work
            finally:
                peer.under_way -= 1
                self._wake.set()

        peer.under_way += 1
        task = asyncio.create_task(finish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _confirm(self, one: Subscription, content: bytes) -> None:
        peer = one.peer
        pdu = ConfirmedRequestPDU(ConfirmedServiceChoice.confirmedCOVNotification)
        pdu.pduDestination = peer.address
        pdu.put_data(content)
        try:
            async with asyncio.timeout(GIVE_UP):
                await self._ask(pdu)
        except ErrorPDU as error:
            peer.failures = 0
            if getattr(error, "errorCode", None) == _UNKNOWN_SUBSCRIPTION:
                self._remove(one)
        except ErrorRejectAbortNack, TimeoutError:
            self._unanswered(one)
        else:
            peer.failures = 0

    def _unanswered(self, one: Subscription) -> None:
        peer = one.peer
        peer.failures += 1
        peer.silent_until = self._clock.monotonic() + SILENCE.delay(peer.failures, 0.5)
        if peer.failures >= PATIENCE * AT_ONCE:
            for each in [each for each in peer.subscriptions.values() if each.confirmed]:
                self._remove(each)
        elif one.key in peer.subscriptions:
            one.told = None
            self._mark(one)


class SubscriptionServices(Application):
    """Takes subscriptions; part of the application."""

    subscriptions: Subscriptions

    async def do_SubscribeCOVRequest(self, apdu: Any) -> None:
        """Subscribe to an object, or end that."""
        await self._take(apdu, None, None)

    async def do_SubscribeCOVPropertyRequest(self, apdu: Any) -> None:
        """Subscribe to a property, or end that."""
        wanted = apdu.monitoredPropertyIdentifier
        increment = None if apdu.covIncrement is None else float(apdu.covIncrement)
        if increment is not None and not increment >= 0:
            raise ServicesError("valueOutOfRange")
        if wanted.propertyArrayIndex is not None:
            raise PropertyError("propertyIsNotAnArray")
        await self._take(apdu, wanted.propertyIdentifier.attr, increment)

    async def _take(self, apdu: Any, name: str | None, increment: float | None) -> None:
        identifier, process = apdu.monitoredObjectIdentifier, int(apdu.subscriberProcessIdentifier)
        confirmed, lifetime = apdu.issueConfirmedNotifications, apdu.lifetime
        if confirmed is None and lifetime is None:
            self.subscriptions.cancel(apdu.pduSource, process, identifier, name)
        else:
            shown = self.get_object_id(identifier)
            if shown is None:
                raise ObjectError("unknownObject")
            if not isinstance(shown, Shown):
                raise ObjectError("optionalFunctionalityNotSupported")
            if name is not None:
                shown.encoded(name)
                if name not in shown.WATCHED:
                    raise PropertyError("notCovProperty")
            self.subscriptions.subscribe(
                apdu.pduSource,
                process,
                shown,
                name,
                confirmed=bool(confirmed),
                lifetime=int(lifetime or 0),
                increment=increment,
            )
        await self.response(SimpleAckPDU(context=apdu))

    def active_subscriptions(self) -> bytes:
        """Return who has subscribed to what, encoded."""
        return self.subscriptions.encoded()


def _value(number: Any, content: bytes) -> bytes:
    return context(0, unsigned(int(number))) + enclosed(2, content)


def _identifier(shown: Shown) -> bytes:
    kind, instance = shown.objectIdentifier
    return object_number(kind, instance)


def _listed(one: Subscription, now: float) -> bytes:
    """Encode a BACnetCOVSubscription (§21)."""
    address = one.peer.address
    network = address.addrNet if address.addrType == Address.remoteStationAddr else 0
    recipient = enclosed(1, an_unsigned(network or 0) + an_octet_string(bytes(address.addrAddr)))
    process = enclosed(0, recipient) + context(1, unsigned(one.process))
    name = one.property or "presentValue"
    reference = context(0, _identifier(one.shown)) + context(1, unsigned(int(PropertyIdentifier(name))))
    remaining = 0 if one.ends == math.inf else max(0, round(one.ends - now))
    increment = one.increment
    if increment is None and name == "presentValue":
        increment = getattr(one.shown, "covIncrement", None)
    return (
        enclosed(0, process)
        + enclosed(1, reference)
        + context(2, bytes((one.confirmed,)))
        + context(3, unsigned(remaining))
        + (b"" if increment is None else context(4, struct.pack(">f", increment)))
    )


__all__ = ["Peer", "Subscription", "SubscriptionServices", "Subscriptions"]
