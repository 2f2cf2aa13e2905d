"""Keeps the engine going: feeds it what happens, notes what is due before it is done, and sleeps until the next time."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
import itertools
import logging

from ridethrough.clock import Clock
from ridethrough.config.jobs import Edge, JobConfig, JobsConfig
from ridethrough.events.event import Event, EventKind, Journal, JournalError
from ridethrough.events.notation import NotationError, event_json, event_of, read, write
from ridethrough.events.recorder import Recorder
from ridethrough.events.steps import Occasion, Step
from ridethrough.site import Change, DeviceId, Quality, Reading, Site

from .activation import edge_of
from .causes import Subject
from .core import PREFIX, Due, Engine
from .executor import LATE, Executor
from .ledger import Ledger
from .report import REMEMBERED
from .timeline import Mark, Timeline, boot

_LOGGER = logging.getLogger(__name__)

TRUST = 180.0
"""Seconds without the bridge after which nothing that was so before counts until a device confirms it."""
HEARTBEAT = 60.0
"""Seconds between two notes that the bridge is alive, while anything that is counted in seconds goes on."""
GRACE = 2.0
"""Seconds for which an edge may wait for the journal before it is acted upon without."""
AHEAD = 1.0
"""Seconds between two looks at such edges."""
BATCH = 200
"""Things that are taken in one go, so that the event loop is never held for long."""
CHUNK = 50
"""Steps that are handed on in one go, likewise."""
CAPACITY = 5_000
"""Events that wait here at most; beyond, they are read from the journal again."""
ASIDE = 100
"""Events of one device that is not there yet, kept at most."""
ON_BATTERY, RUNTIME = "on_battery", "battery.runtime"
_TIME, _ASIDE = f"{PREFIX}time", "aside/"

type _Identity = tuple[DeviceId | None, str, str, object]


@dataclass(frozen=True, slots=True)
class _Happened:
    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class _Seen:
    """A UPS has said something of itself."""

    at: float
    device: DeviceId


class Keeper:
    """The engine as a service. `run` it; it may be cancelled and run again."""

    def __init__(
        self,
        config: JobsConfig,
        site: Site,
        journal: Journal,
        recorder: Recorder,
        ledger: Ledger,
        executor: Executor,
        clock: Clock,
    ) -> None:
        """Have `executor` do what `config` wants because of the events of `journal`."""
        self._config = config
        self._site = site
        self._journal = journal
        self._recorder = recorder
        self._ledger = ledger
        self._executor = executor
        self._clock = clock
        self._engine = Engine(config)
        self._timeline = Timeline(clock)
        self._started = False
        self._away = False
        self._boot = ""
        self._seen: int | None = None
        self._noted: int | None = None
        """The number of the last event that is known to be noted as seen."""
        self._noted_at = 0.0
        self._dues: list[Due] = []
        self._memory: dict[str, str | None] = {}
        self._queue: deque[_Happened | _Seen] = deque()
        self._behind = False
        """Whether the journal has events that are not in the queue."""
        self._pending: set[DeviceId] = set()
        """UPSes in the queue."""
        self._watched: dict[DeviceId, object] = {}
        self._confirmations: dict[tuple[DeviceId, str, Edge], None] = {}
        self._unconfirmed: set[tuple[DeviceId, str]] = set()
        self._absent: set[DeviceId] = set()
        """Devices that are not there yet, and of which something is raised that was taken into account."""
        self._aside: dict[DeviceId, list[Event]] = {}
        self._aside_changed: set[DeviceId] = set()
        self._arrived: dict[DeviceId, None] = {}
        self._ahead: Counter[_Identity] = Counter()
        self._looked = 0.0
        self._configured: JobsConfig | None = None
        self._blinded = False
        """Whether the journal could not be read just now."""
        self.ready = asyncio.Event()
        """Set when everything from before the start is known; whoever else makes steps begins then."""
        self._wake = asyncio.Event()
        self._pulse = asyncio.Event()
        executor.events = self

    # What others ask of it

    @property
    def jobs(self) -> Mapping[str, JobConfig]:
        """The jobs by key, also those that are switched off."""
        return {job.key: job for job in self._config.jobs}

    def configure(self, config: JobsConfig) -> None:
        """Take another configuration; it counts from the next moment on."""
        self._configured = config
        self._wake.set()

    def lasts(self, event: Event) -> bool:
        """Whether an event goes on, as far as anybody knows."""
        return self._engine.lasts(event)

    async def settled(self, event: Event) -> None:
        """Wait until its device has said so, or the opposite, after the bridge was away."""
        while not self._started or not self._engine.confirmed(event):
            self._pulse.clear()
            await self._pulse.wait()

    async def run(self) -> None:
        """Keep the engine going for ever. Raises JournalError while what is remembered cannot be read."""
        if not self._started:
            await self._start()
        try:
            while True:
                await self._take_in()
                await self._commit()
                await self._rest()
        finally:
            # What came to nothing counts with the jobs there were, whatever the next configuration is.
            if self._seen != self._noted:
                await self._commit(force=True)

    # The start

    async def _start(self) -> None:
        steps = self._ledger.steps
        unfinished = await steps.unfinished()
        memory, aside, failing = [dict(await steps.recall(prefix)) for prefix in (PREFIX, _ASIDE, REMEMBERED)]
        seen = await steps.seen()
        last = await self._journal.last()
        latest = await self._journal.after(last - 1, 1) if last else []
        self._boot = await asyncio.to_thread(boot)
        mark = Mark.of(memory.pop(_TIME, None))
        remembered = None if mark is None else mark.moment
        self._timeline = Timeline.resumed(self._clock, mark, self._boot)
        now = self._timeline.now()
        # An entry in the journal is a sign of life, too.
        signs = [self._timeline.of(event.at, 0.0) for event in latest]
        alive = max([*signs, remembered or 0.0]) or now
        self._away = mark is None or mark.boot != self._boot or now - alive > TRUST
        self._engine = Engine(self._config)
        self._engine.load(memory, remembered or now, known_at=alive if self._away else None)
        self._load_aside(aside)
        self._seen = self._noted = last if seen is None else seen
        self._executor.restore(failing)
        for some in itertools.batched([step for step in unfinished if not step.occasion.planned], CHUNK):
            self._executor.resume(some, away=self._away)
            await asyncio.sleep(0)
        self._behind = True
        with ExitStack() as listening:
            listening.callback(self._recorder.subscribe(self._hear))
            listening.callback(self._site.observe(self._observe))
            while self._behind or self._queue:
                await self._take_in(confirmed=not self._away)
                await self._commit()
            await self._configure(self._config, starting=True)
            listening.pop_all()
        self._see_all()
        self._started = True
        await self._commit(force=True)
        self._pulse.set()
        self.ready.set()
        if self._away and self._engine.unconfirmed:
            _LOGGER.info("Jobs of events from before the start wait until their devices say that these go on")

    async def _configure(self, config: JobsConfig, *, starting: bool = False) -> None:
        raised = await self._journal.raised()
        now = self._timeline.now()
        found = []
        self._absent.clear()
        for event in raised:
            if event.device is None or event.seq > (self._seen or 0):
                continue
            subject = self._subject(event.device) or self._engine.subject(event)
            if subject is not None:
                found.append((event, subject, self._timeline.of(event.at, 0.0)))
            elif event.device not in self._aside:
                self._absent.add(event.device)
        before = self._config
        self._config, self._configured = config, None
        gone = self._engine.configure(config, found, now, starting=starting)
        if gone:
            _LOGGER.info(
                "Jobs that are no longer configured had something to do, which is dropped: %s", ", ".join(gone)
            )
        removed = {job.key for job in before.jobs} - {job.key for job in config.jobs if job.enabled}
        if removed:
            await self._executor.drop(
                {f"job:{key}" for key in removed}, "Not done: the configuration has this job no longer."
            )
        self._note_unconfirmed()

    # What arrives

    def _hear(self, event: Event) -> None:
        if self._behind:
            return
        if len(self._queue) >= CAPACITY:
            self._behind = True
            return
        self._queue.append(_Happened(self._timeline.now(), event))
        self._wake.set()

    def _observe(self, change: Change) -> None:
        for device, key in change.conditions:
            if key == ON_BATTERY:
                self._news(device)
            if (device, key) in self._unconfirmed:
                state = change.conditions[device, key]
                if state.quality is Quality.GOOD:
                    edge = Edge.RAISED if state.active else Edge.CLEARED
                    self._confirmations[device, key, edge] = None
                    self._wake.set()
        for device, put in change.devices.items():
            if put is None:
                self._watched.pop(device, None)
            else:
                self._arrive(device)
        if change.edges:
            # So that they are acted upon even if the journal cannot take them.
            self._wake.set()

    def _arrive(self, device: DeviceId) -> None:
        if device in self._aside:
            self._arrived[device] = None
            self._wake.set()
        if device in self._absent and self._configured is None:
            # Its jobs can be told only now.
            self.configure(self._config)
        if self._site.devices[device].kind == "ups" and device not in self._watched and self._engine.wants_batteries:

            def hear(_: Reading) -> None:
                self._news(device)

            self._watched[device] = self._site.watch(device, RUNTIME, hear)
            self._news(device)

    def _news(self, device: DeviceId) -> None:
        if device not in self._watched or device in self._pending:
            return
        self._pending.add(device)
        self._queue.append(_Seen(self._timeline.now(), device))
        self._wake.set()

    def _see_all(self) -> None:
        for device in list(self._site.devices):
            self._arrive(device)

    # What is done with it

    async def _take_in(self, *, confirmed: bool = True) -> None:
        """Tell the engine what has happened, and let time pass."""
        try:
            if self._configured is not None:
                await self._configure(self._configured)
                self._see_all()
            if self._behind and not any(isinstance(item, _Happened) for item in self._queue):
                await self._read_on()
        except JournalError as error:
            if not self._started:
                raise
            # What is known already goes on; the rest is tried again.
            self._blind(error)
        else:
            self._blind(None)
        for _ in range(min(BATCH, len(self._queue))):
            item = self._queue.popleft()
            if isinstance(item, _Seen):
                self._see(item)
            else:
                self._take(item, confirmed=confirmed)
        for device in list(self._arrived):
            self._bring_back(device)
        self._confirm()
        self._look_ahead()
        if self._started:
            self._engine.advance(self._timeline.now())

    async def _read_on(self) -> None:
        """Read from the journal what was not heard, or not yet."""
        self._behind = False
        try:
            events = await self._journal.after(self._seen or 0, BATCH)
        except JournalError:
            self._behind = True
            raise
        if len(events) == BATCH:
            # What was heard meanwhile comes after what is still to be read.
            self._queue = deque(item for item in self._queue if isinstance(item, _Seen))
            self._behind = True
        now = self._timeline.now()
        for event in reversed(events):
            at = now if self._started else self._timeline.of(event.at, self._engine.now)
            self._queue.appendleft(_Happened(at, event))

    def _blind(self, error: JournalError | None) -> None:
        if error is not None and not self._blinded:
            _LOGGER.error("The journal cannot be read: %s", error)
        self._blinded = error is not None

    def _take(self, item: _Happened, *, confirmed: bool) -> None:
        event = item.event
        if event.seq <= (self._seen or 0):
            return
        self._seen = event.seq
        if event.kind is not EventKind.CONDITION or event.device is None:
            return
        identity = _identity(event)
        if self._ahead[identity] > 0:
            self._ahead[identity] -= 1
            self._engine.number(event)
            return
        subject = self._subject(event.device) or self._engine.subject(event)
        if subject is None:
            # Once the bridge runs, only what has been removed is not there.
            if not self._started:
                self._put_aside(event.device, event)
            return
        self._engine.happen(event, subject, item.at, confirmed=confirmed)
        if not confirmed:
            self._note_unconfirmed()

    def _see(self, item: _Seen) -> None:
        self._pending.discard(item.device)
        device = self._site.devices.get(item.device)
        if device is None:
            return
        state = self._site.conditions(device.id).get(ON_BATTERY)
        reading = self._site.reading(device.id, RUNTIME)
        on_battery = state.active if state is not None and state.quality is Quality.GOOD else None
        runtime = reading.value if reading is not None and reading.good else None
        self._engine.see(
            device.key,
            item.at,
            on_battery=on_battery,
            runtime=float(runtime) if isinstance(runtime, int | float) else None,
        )

    def _subject(self, device_id: DeviceId) -> Subject | None:
        device = self._site.devices.get(device_id)
        if device is None:
            return None
        ups = device.key if device.kind == "ups" else None
        above = []
        parent = device.parent
        while parent is not None and (owner := self._site.devices.get(parent)) is not None and owner.kind != "bridge":
            above.append(owner.key)
            if ups is None and owner.kind == "ups":
                ups = owner.key
            parent = owner.parent
        return Subject(device.key, tuple(above), ups)

    # After an absence

    def _note_unconfirmed(self) -> None:
        self._unconfirmed = {(device, condition) for device, condition, _ in self._engine.unconfirmed}
        for device, condition in self._unconfirmed:
            state = self._site.conditions(device).get(condition)
            if state is not None and state.quality is Quality.GOOD:
                self._confirmations[device, condition, Edge.RAISED if state.active else Edge.CLEARED] = None

    def _confirm(self) -> None:
        if not self._confirmations:
            return
        now = self._timeline.now()
        for place in self._confirmations:
            self._engine.confirm(place, now)
        self._confirmations = {}
        self._unconfirmed = {(device, condition) for device, condition, _ in self._engine.unconfirmed}
        self._pulse.set()

    def _put_aside(self, device: DeviceId, event: Event) -> None:
        """Keep an event of a device that is not there yet: parts of a UPS come when it is connected."""
        events = self._aside.setdefault(device, [])
        events.append(event)
        del events[:-ASIDE]
        self._aside_changed.add(device)

    def _load_aside(self, memory: Mapping[str, str]) -> None:
        for key, text in memory.items():
            try:
                events = read(text, lambda json: [event_of(one) for one in json["events"]])
            except (KeyError, TypeError, NotationError) as error:
                _LOGGER.error("Events of a device that was not there yet cannot be read: %s", error)
                continue
            self._aside[DeviceId(key.removeprefix(_ASIDE))] = events

    def _bring_back(self, device: DeviceId) -> None:
        del self._arrived[device]
        subject = self._subject(device)
        if subject is None:
            return
        for event in self._aside.pop(device, ()):
            at = self._timeline.of(event.at, 0.0) if not self._away else self._timeline.now()
            self._engine.happen(event, subject, at, confirmed=not self._away)
        self._aside_changed.add(device)
        self._note_unconfirmed()

    # While the journal cannot be written

    def _look_ahead(self) -> None:
        """Take edges that wait for the journal: a full disk, or one that hangs, must not stop a shutdown."""
        now = self._clock.monotonic()
        if not self._recorder.waiting:
            if not self._queue and not self._behind:
                self._ahead.clear()
            return
        if now - self._looked < AHEAD:
            return
        self._looked = now
        counted: Counter[_Identity] = Counter()
        for event in self._recorder.overdue(0.0 if self._recorder.failing else GRACE):
            identity = _identity(event)
            counted[identity] += 1
            if counted[identity] <= self._ahead[identity] or event.device is None:
                continue
            self._ahead[identity] += 1
            subject = self._subject(event.device)
            subject = subject or self._engine.subject(event)
            if subject is not None:
                self._engine.happen(event, subject, self._timeline.now())

    # What comes of it

    async def _commit(self, *, force: bool = False) -> None:
        dues, memory = self._engine.take()
        # Kept until it is noted: a keeper that is cancelled in between has not noted it.
        self._dues += dues
        self._memory |= {**memory, **self._aside_texts()}
        now = self._timeline.now()
        behind = (self._seen or 0) - (self._noted or 0)
        beat = now - self._noted_at >= HEARTBEAT and (self._engine.waiting or behind)
        if not (self._dues or self._memory or force or beat or behind > CAPACITY):
            return
        steps: list[Step] = []
        for some in itertools.batched(tuple(self._dues), CHUNK):
            steps += [self._step(due, now) for due in some]
            await asyncio.sleep(0)
        texts = {**self._memory, _TIME: self._timeline.mark(self._boot).text()}
        seen = self._seen
        new = await self._ledger.commit(steps, texts, seen)
        self._dues, self._memory = [], {}
        self._noted, self._noted_at = seen, now
        self._pulse.set()
        for chunk in itertools.batched(new, CHUNK):
            self._executor.submit(chunk)
            await asyncio.sleep(0)

    def _aside_texts(self) -> Mapping[str, str | None]:
        changed, self._aside_changed = self._aside_changed, set()
        return {
            f"{_ASIDE}{device}": write({"events": [event_json(event) for event in events]})
            if (events := self._aside.get(device))
            else None
            for device in changed
        }

    def _step(self, due: Due, now: float) -> Step:
        behind = now - due.at
        late = behind if behind > LATE else 0.0
        occasion = Occasion(f"job:{due.job.key}", due.event, retry=due.retry, late=late)
        return Step(due.key, due.job.action, occasion, self._timeline.stamp(due.at))

    async def _rest(self) -> None:
        """Sleep until something happens or is due."""
        more = (self._behind or self._configured is not None) and not self._blinded
        if self._queue or self._confirmations or self._arrived or more:
            await asyncio.sleep(0)
            return
        now = self._timeline.now()
        times = [self._engine.next_due()]
        if self._engine.waiting:
            times.append(self._noted_at + HEARTBEAT)
        if self._recorder.waiting or self._blinded:
            times.append(now + AHEAD)
        due = min((time for time in times if time is not None), default=None)
        if due is None:
            await self._wake.wait()
        elif due > now:
            await self._sleep(due - now)
        self._wake.clear()

    async def _sleep(self, seconds: float) -> None:
        waits: Iterable[asyncio.Future[object]] = [
            asyncio.ensure_future(self._wake.wait()),
            asyncio.ensure_future(self._clock.sleep(seconds)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _identity(event: Event) -> _Identity:
    return event.device, event.key, edge_of(event).value, event.at


__all__ = ["Keeper"]
