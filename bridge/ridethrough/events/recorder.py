"""Turns the site's edges into events: first into the journal, then to whoever listens, always in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import itertools
import logging
import random

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.site import Change, DeviceId, Edge, Lane, Site, Source
from ridethrough.tasks import Backoff

from .event import EdgeKind, Event, EventKind, Journal, JournalError

_LOGGER = logging.getLogger(__name__)

type Subscriber = Callable[[Event], None]
type Unsubscribe = Callable[[], None]

BATCH = 500
"""Events in one transaction at most."""
CAPACITY = 10_000
"""Events that wait at most while the journal cannot be written: some 5 MB, hours of a flapping UPS."""


class RecorderFull(JournalError):
    """The journal has not been writable for so long that no further command can be recorded."""


@dataclass(slots=True, eq=False)
class _Waiting:
    event: Event
    since: float
    """In seconds of the monotonic clock."""
    written: asyncio.Future[Event] | None = None
    """Whoever waits for its number."""


class Recorder:
    """Writes every edge of the site, and what else is recorded, into the journal and publishes it afterwards.

    What arrives during a write goes into the next one. While the journal cannot be written, everything waits in its
    order, writing is tried again with back-off, and the bridge's condition `journal_failed` is raised.

    At `capacity` waiting events the oldest half is thinned: a condition that was raised and cleared again (or the
    reverse) loses both edges, so that what remains still alternates and ends as it should. What was lost is said by a
    system event `events_lost` with their count. `record` is refused with RecorderFull meanwhile. What can remain is
    bounded by `capacity` and one edge for each condition.
    """

    def __init__(
        self,
        site: Site,
        journal: Journal,
        clock: Clock,
        *,
        capacity: int = CAPACITY,
        backoff: Backoff | None = None,
    ) -> None:
        """Observe `site` from now on; `run` writes."""
        self._site = site
        self._journal = journal
        self._clock = clock
        self._capacity = capacity
        self._backoff = backoff or Backoff(first=0.2, cap=10.0)
        self._waiting: deque[_Waiting] = deque()
        self._limit = capacity
        self._lost = 0
        self._arrived = asyncio.Event()
        self._write: asyncio.Task[bool] | None = None
        self._failures = 0
        self._subscribers: dict[object, Subscriber] = {}
        self._bridge: Lane | None = None
        self._closed = False
        self._ignore = site.observe(self._observe)

    @property
    def waiting(self) -> int:
        """How many events are not in the journal yet."""
        return len(self._waiting)

    @property
    def failing(self) -> bool:
        """Whether the journal cannot be written at the moment."""
        return self._failures > 0

    def overdue(self, patience: float) -> list[Event]:
        """Return the edges that have waited for the journal for so many seconds, oldest first.

        For whoever must act upon them although the disk is full, or hangs. They are published all the same once they
        are written.
        """
        latest = self._clock.monotonic() - patience
        waiting = (entry.event for entry in itertools.takewhile(lambda entry: entry.since <= latest, self._waiting))
        return [event for event in waiting if event.kind is EventKind.CONDITION]

    def subscribe(self, subscriber: Subscriber) -> Unsubscribe:
        """Call `subscriber` with every event once it is in the journal, in the order of `seq`. It must return quickly."""
        handle = object()
        self._subscribers[handle] = subscriber

        def unsubscribe() -> None:
            self._subscribers.pop(handle, None)

        return unsubscribe

    async def record(self, event: Event) -> Event:
        """Write an event that is no edge (a command, something the bridge did) and return it with its number.

        It waits until that is done. Raises RecorderFull when too many wait already, JournalError when the bridge ends.
        """
        if self._closed:
            raise JournalError("The bridge is ending; nothing more is recorded.")
        if len(self._waiting) >= self._capacity:
            raise RecorderFull("The journal cannot be written, and too many events wait for it already.")
        written: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._add(_Waiting(event, self._clock.monotonic(), written))
        return await written

    async def restore(self) -> None:
        """Put back what was raised when the bridge ended, however it ended. Call it before links start.

        Devices that are not there yet get theirs when they come; devices that never come are ignored. Raises
        JournalError.
        """
        for event in await self._journal.raised():
            if event.device is not None:
                self._site.restore(event.device, event.key, event.at)

    async def run(self) -> None:
        """Write for ever. It may be cancelled and run again at any time; nothing is lost or written twice."""
        self._post_failed(active=self._failures > 0)
        while True:
            if await self._write_some():
                if not self._waiting:
                    self._arrived.clear()
                    await self._arrived.wait()
                continue
            await self._clock.sleep(self._backoff.delay(self._failures, random.random()))

    async def close(self) -> None:
        """Observe no longer, and write what waits; what cannot be written now is lost, and said in the log."""
        self._ignore()
        self._closed = True
        while self._waiting and await self._write_some():
            pass
        if self._waiting:
            _LOGGER.error("%d events could not be written into the journal and are lost", len(self._waiting))
        for waiting in self._waiting:
            if waiting.written is not None and not waiting.written.done():
                waiting.written.set_exception(JournalError("The bridge ended before the journal could be written."))
        self._waiting.clear()

    # What arrives

    def _observe(self, change: Change) -> None:
        for edge in change.edges:
            self._add(_Waiting(self._event(edge), self._clock.monotonic()))

    def _event(self, edge: Edge) -> Event:
        device = self._site.devices.get(edge.device)
        definition = None if device is None else self._site.catalogue.condition(device.kind, edge.condition)
        return Event(
            at=edge.at,
            kind=EventKind.CONDITION,
            device=edge.device,
            key=edge.condition,
            edge=EdgeKind.RAISED if edge.active else EdgeKind.CLEARED,
            # A device that an observer removed before us: nobody can say how bad it was.
            severity=Severity.WARNING if definition is None else definition.severity,
        )

    def _add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if len(self._waiting) > self._limit:
            self._thin_out()
        self._arrived.set()

    def _thin_out(self) -> None:
        # Not what is being written at this moment.
        busy = min(BATCH, len(self._waiting)) if self._write is not None else 0
        entries = list(self._waiting)
        old, young = entries[busy : len(entries) // 2 + 1], entries[len(entries) // 2 + 1 :]
        surplus: dict[tuple[DeviceId | None, str], int] = {}
        for entry in old:
            if entry.event.kind is EventKind.CONDITION:
                condition = entry.event.device, entry.event.key
                surplus[condition] = surplus.get(condition, 0) + 1
        kept: list[_Waiting] = []
        drop = {condition: count - count % 2 for condition, count in surplus.items()}
        for entry in old:
            condition = entry.event.device, entry.event.key
            if entry.event.kind is EventKind.CONDITION and drop[condition] > 0:
                drop[condition] -= 1
                self._lost += 1
            else:
                kept.append(entry)
        self._waiting = deque([*entries[:busy], *kept, *young])
        self._limit = max(self._capacity, len(self._waiting) + self._capacity // 2)

    # What is written

    async def _write_some(self) -> bool:
        """Write one batch, or wait for the write that is under way; False when it failed."""
        if self._write is None:
            self._write = asyncio.create_task(self._write_batch())
        # A write that has begun ends and publishes, even when whoever asked for it is gone.
        return await asyncio.shield(self._write)

    async def _write_batch(self) -> bool:
        try:
            batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
            lost = self._lost
            events = [waiting.event for waiting in batch]
            if lost:
                events.append(self._events_lost(lost))
            try:
                written = await self._journal.append(events) if events else []
            except JournalError as error:
                self._failed(str(error))
                return False
            except Exception as error:
                _LOGGER.exception("The journal failed in a way nobody foresaw")
                self._failed(str(error))
                return False
            for _ in batch:
                self._waiting.popleft()
            self._lost -= lost
            self._limit = max(self._capacity, len(self._waiting))
        finally:
            self._write = None
        if self._failures:
            _LOGGER.info("The journal is written again")
            self._failures = 0
            self._post_failed(active=False)
        for waiting, event in zip(batch, written, strict=False):
            if waiting.written is not None and not waiting.written.done():
                waiting.written.set_result(event)
        for event in written:
            self._publish(event)
        return True

    def _events_lost(self, count: int) -> Event:
        return Event(
            at=self._clock.utc(),
            kind=EventKind.SYSTEM,
            device=None,
            key="events_lost",
            edge=EdgeKind.OCCURRED,
            severity=Severity.ALARM,
            details={"count": count},
        )

    def _publish(self, event: Event) -> None:
        for handle, subscriber in list(self._subscribers.items()):
            if handle not in self._subscribers:
                continue
            try:
                subscriber(event)
            except Exception:
                _LOGGER.exception("A subscriber to events failed")

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._failures == 1:
            _LOGGER.error("The journal cannot be written: %s", reason)
            self._post_failed(active=True)

    def _post_failed(self, *, active: bool) -> None:
        if self._bridge is None or not self._bridge.alive:
            bridge = next((device for device in self._site.devices.values() if device.kind == "bridge"), None)
            if bridge is None:
                return
            self._bridge = self._site.lane(bridge.id, None, Source.COMPUTED)
        self._bridge.post(conditions={"journal_failed": active})
