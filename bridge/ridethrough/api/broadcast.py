"""Observes the site and the journal once for all clients, and works out what each of them must be told."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from ridethrough.clock import Clock
from ridethrough.events.event import Event
from ridethrough.site import Change, ConditionState, Device, DeviceId, Reading, Site

from . import wire
from .delta import Delta
from .limits import Limits
from .outbox import Outbox
from .protocols import EventHistory, EventSource

SLICE = 0.004
"""Seconds of the event loop that writing a snapshot takes in one go."""
PAGE = 256
"""Events read from the journal, or sent, in one go."""


@dataclass(slots=True)
class Cut:
    """Everything as it was at one revision. Readings are immutable, so copying the tables is enough, and quick."""

    revision: int
    seq: int
    devices: list[Device]
    points: Mapping[DeviceId, dict[str, Reading]]
    conditions: Mapping[DeviceId, dict[str, ConditionState]]
    _text: bytes | None = None
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def text(self) -> bytes:
        """Return the snapshot message; it is written once, in slices that leave room for others on the event loop."""
        async with self._writing:
            if self._text is None:
                self._text = await self._write()
        return self._text

    async def _write(self) -> bytes:
        loop = asyncio.get_running_loop()
        points: dict[DeviceId, bytes] = {}
        conditions: dict[DeviceId, bytes] = {}
        began = loop.time()
        for device in self.devices:
            points[device.id] = wire.points(self.points[device.id])
            conditions[device.id] = wire.conditions(self.conditions[device.id])
            if loop.time() - began > SLICE:
                await asyncio.sleep(0)
                began = loop.time()
        return wire.snapshot(self.revision, self.seq, self.devices, points, conditions)


class Broadcast:
    """One observer of the site for any number of clients.

    The first change after quiet goes out at once, further ones are gathered for a tick. Each delta and each event is
    written as JSON once; clients that are behind get theirs merged.
    """

    def __init__(self, site: Site, source: EventSource, history: EventHistory, clock: Clock, limits: Limits) -> None:
        """Prepare; nothing is observed before `start`."""
        self._site = site
        self._source = source
        self._history = history
        self._clock = clock
        self._limits = limits
        self._outboxes: set[Outbox] = set()
        self._tick = Delta(site.revision)
        self._changed = asyncio.Event()
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=limits.events_recent)
        self._cut: Cut | None = None
        self._stop: list[Callable[[], None]] = []
        self.last_event = 0
        """The number of the last event known to be in the journal."""

    async def start(self) -> None:
        """Begin to observe. Raises JournalError."""
        self._tick = Delta(self._site.revision)
        self._stop = [self._site.observe(self._on_change), self._source.subscribe(self._on_event)]
        try:
            last = await self._history.last()
        except BaseException:
            self.stop()
            raise
        # Events may have been recorded while the journal was asked.
        self.last_event = max(self.last_event, last)

    def stop(self) -> None:
        """Observe no longer."""
        for stop in self._stop:
            stop()
        self._stop.clear()

    def join(self, outbox: Outbox) -> None:
        """Keep this client's outbox filled from its next subscription on."""
        self._outboxes.add(outbox)

    def leave(self, outbox: Outbox) -> None:
        """Forget the client; it is gone."""
        self._outboxes.discard(outbox)

    async def run(self) -> None:
        """Send out what has changed, at most once a tick, for ever."""
        while True:
            await self._changed.wait()
            self.flush()
            await self._clock.sleep(self._limits.tick)

    def flush(self) -> None:
        """Send out what has changed until now."""
        self._changed.clear()
        if not self._tick:
            return
        delta, self._tick = self._tick, Delta(self._site.revision)
        for outbox in self._outboxes:
            outbox.put(delta)

    def cut(self, outbox: Outbox, events_after: int | None) -> Cut:
        """Take a snapshot and begin the client's subscription there, in one step without waiting."""
        # Those who are live come to the same revision first, so that one delta fits everyone from here on.
        self.flush()
        site, cut = self._site, self._cut
        if cut is None or (cut.revision, cut.seq) != (site.revision, self.last_event):
            cut = self._cut = Cut(
                site.revision,
                self.last_event,
                list(site.devices.values()),
                {key: dict(site.readings(key)) for key in site.devices},
                {key: dict(site.conditions(key)) for key in site.devices},
            )
        outbox.begin(cut.seq, events_after)
        return cut

    def too_slow(self, outbox: Outbox) -> bool:
        """Whether a client is so many events behind that it had better subscribe anew."""
        if not outbox.live or outbox.replaying:
            return False
        return self.last_event - outbox.cursor > self._limits.events_behind

    async def events_after(self, seq: int) -> list[tuple[int, bytes]]:
        """Return the next few events as (number, message), from memory if they are recent. Raises JournalError."""
        if seq >= self.last_event:
            return []
        first = self._recent[0][0] if self._recent else self.last_event + 1
        if first <= seq + 1:
            begin = seq + 1 - first
            return list(islice(self._recent, begin, begin + PAGE))
        # An event that is written but not announced yet has its time coming: nobody can be told of it twice.
        events = await self._history.after(seq, PAGE)
        return [(event.seq, wire.event(event)) for event in events if event.seq <= self.last_event]

    def _on_change(self, change: Change) -> None:
        self._cut = None
        if not self._outboxes:
            self._tick = Delta(change.revision)
            return
        self._tick.absorb(change)
        self._changed.set()

    def _on_event(self, event: Event) -> None:
        if event.seq <= self.last_event:
            return
        if event.seq != self.last_event + 1:
            # What is kept at hand must be without gaps; whoever misses something finds it in the journal.
            self._recent.clear()
        self._recent.append((event.seq, wire.event(event)))
        self.last_event = event.seq
        for outbox in list(self._outboxes):
            outbox.news.set()
            if self.too_slow(outbox):
                outbox.overflow()


__all__ = ["Broadcast", "Cut"]
