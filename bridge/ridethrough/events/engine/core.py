"""What is due when: the decisions of the engine, with neither a clock nor a disk of their own.

Everything is told with `now`, in engine time: seconds that never jump (see `EngineTime`). What must outlive a restart
is text by key, and only what has changed is written again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import heapq
import itertools
import logging

from ridethrough.config.jobs import Edge, JobConfig, JobsConfig, Timing
from ridethrough.events.event import Event
from ridethrough.events.notation import read, write
from ridethrough.site import DeviceId

from .activation import BATTERY, Activation, Place, Progress, Wait, edge_of, place_of
from .causes import Causes, Subject
from .outage import Outage, Supply

_LOGGER = logging.getLogger(__name__)

PREFIX = "engine/"
"""Of the keys of everything the engine remembers."""
MOST_DEAD = 500
_EVENT, _OUTAGE = f"{PREFIX}event/", f"{PREFIX}outage/"


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is due because of an event."""

    key: str
    """Of its step: the same whenever it is worked out again."""
    job: JobConfig
    event: Event
    at: float
    """When it became due, in engine time."""
    retry: bool = False
    """Whether it may have been done for this event before."""


class Engine:
    """The events that go on, the outages, and what is due because of them.

    Each call that takes `now` first lets become due what was due until then, in order; `take` fetches it.
    """

    def __init__(self, config: JobsConfig) -> None:
        """Begin with nothing."""
        self._causes = Causes(config.jobs)
        self._window = config.outage_window
        self._active: dict[Place, Activation] = {}
        self._waits: dict[Place, list[Wait]] = {}
        self._supplies: dict[str, Supply] = {}
        self._by_ups: dict[str, dict[Wait, None]] = {}
        self._highest: dict[str, float] = {}
        """The highest runtime at which anything of a UPS is due: above it a reading costs nothing."""
        self._heap: list[tuple[float, int, Wait | Supply]] = []
        """When to look again, at a job or at whether an outage is over; the truth is worked out then."""
        self._dead = 0
        """How many of them, about, are for events that are over."""
        self._order = itertools.count()
        self._doubtful: dict[Place, frozenset[str]] = {}
        """Where something went on that the journal had not heard of when the bridge was ended, and the jobs done for it."""
        self._dues: list[Due] = []
        self._changed: dict[str, None] = {}
        self._now = 0.0
        self._away = False
        """Whether nothing counts that was so before the start until somebody confirms it."""

    # What comes of it

    def take(self) -> tuple[list[Due], Mapping[str, str | None]]:
        """Return what has become due, and what is to be remembered with it; both only once."""
        dues, self._dues = self._dues, []
        memory = {key: self._text(key) for key in self._changed}
        self._changed = {}
        return dues, memory

    def next_due(self) -> float | None:
        """Return when something is due next if nothing happens until then; None for never."""
        while self._heap:
            hint, _, item = self._heap[0]
            due = item.due()
            if due is not None and due <= hint:
                return due
            heapq.heappop(self._heap)
            self._again(item, due)
        return None

    @property
    def now(self) -> float:
        """The moment up to which everything that was due has become so."""
        return self._now

    @property
    def waiting(self) -> bool:
        """Whether time matters: something goes on that is counted in seconds."""
        return bool(self._heap) or any(supply.outage is not None for supply in self._supplies.values())

    def lasts(self, event: Event) -> bool:
        """Whether an event goes on; for a cleared edge as long as it is not raised again."""
        device, condition, edge = place_of(event)
        if edge is Edge.CLEARED:
            return (device, condition, Edge.RAISED) not in self._active
        found = self._active.get((device, condition, edge))
        return found is not None and _same(found.event, event)

    def subject(self, event: Event) -> Subject | None:
        """Return whose event it is, if it is known from one edge or the other."""
        device, condition, _ = place_of(event)
        known = (self._active.get((device, condition, edge)) for edge in Edge)
        return next((activation.subject for activation in known if activation is not None), None)

    def confirmed(self, event: Event) -> bool:
        """Whether `lasts` goes by what the device itself has said since the bridge was away."""
        found = self._active.get(place_of(event))
        return found is None or found.confirmed

    @property
    def unconfirmed(self) -> Sequence[Place]:
        """The events of which nobody has said since the bridge was away whether they go on."""
        return [place for place, activation in self._active.items() if not activation.confirmed]

    @property
    def wants_batteries(self) -> bool:
        """Whether any job goes by a UPS."""
        return any(job.when.timing in BATTERY for job in self._causes.jobs.values())

    # What happens

    def advance(self, now: float) -> None:
        """Let time pass."""
        self._now = max(self._now, now)
        while self._heap and self._heap[0][0] <= self._now:
            _, _, item = heapq.heappop(self._heap)
            due = item.due()
            item.hint = None
            if due is None or due > self._now:
                self._again(item, due)
            elif isinstance(item, Wait):
                self._fire(item, due)
            elif item.expire(self._now):
                self._changed[f"{_OUTAGE}{item.ups}"] = None

    def happen(self, event: Event, subject: Subject, now: float, *, confirmed: bool = True) -> None:
        """Take the edge of a condition; not `confirmed` when it is from before a long absence."""
        self.advance(now)
        now = self._now
        place = device, condition, edge = place_of(event)
        known = self._active.get(place)
        if known is not None and _same(known.event, event):
            self.number(event)
            return
        opposite = (device, condition, Edge.CLEARED if edge is Edge.RAISED else Edge.RAISED)
        self._doubtful.pop(opposite, None)
        self._end(opposite)
        self._end(place)
        jobs = self._causes.of(subject, condition, edge, event.severity)
        if not jobs and edge is Edge.CLEARED:
            return
        repeated = self._doubtful.pop(place, frozenset())
        activation = Activation(event, _number(event), now, subject, confirmed=confirmed, repeated=repeated)
        self._active[place] = activation
        for job in jobs:
            activation.progress[job.key] = Progress()
        self._attach(activation)
        self._note(activation)
        self.advance(now)

    def number(self, event: Event) -> None:
        """Take the number that the journal has given at last to an event that was taken without one."""
        known = self._active.get(place_of(event))
        if known is not None and not known.event.seq and _same(known.event, event):
            known.event = event
            self._note(known)

    def confirm(self, place: Place, now: float) -> None:
        """Hear from the device itself that an event goes on."""
        self.advance(now)
        activation = self._active.get(place)
        if activation is None or activation.confirmed:
            return
        activation.confirmed = True
        for wait in self._waits.get(place, ()):
            self._look(wait)
        self.advance(now)

    def see(self, ups: str, now: float, *, on_battery: bool | None, runtime: float | None) -> None:
        """Take what a UPS says of itself; None for what nobody knows at the moment."""
        self.advance(now)
        now = self._now
        supply = self._supply(ups)
        changed = on_battery is not None and supply.see(on_battery, now)
        if changed:
            self._changed[f"{_OUTAGE}{ups}"] = None
        if supply.runtime != runtime:
            supply.runtime, supply.runtime_at = runtime, now
        if changed or (runtime is not None and runtime <= self._highest.get(ups, -1.0)):
            for wait in self._by_ups.get(ups, ()):
                self._look(wait)
        self._look(supply)
        self.advance(now)

    # Configuration and memory

    def configure(
        self, config: JobsConfig, raised: Iterable[tuple[Event, Subject, float]], now: float, *, starting: bool = False
    ) -> list[str]:
        """Take other jobs, and what is raised with its time; return the jobs that are gone and had something to do.

        A job that comes to an event that goes on already counts from its beginning, but is not done for it at once.
        When `starting`, after `load`, it sets right what is taken to go on.
        """
        self.advance(now)
        before, self._causes = self._causes, Causes(config.jobs)
        self._window = config.outage_window
        for supply in self._supplies.values():
            supply.window = config.outage_window
        gone = {
            wait.job.key
            for waits in self._waits.values()
            for wait in waits
            if wait.job.key not in self._causes.jobs and not wait.over
        }
        found = {place_of(event): (event, subject, at) for event, subject, at in raised}
        for place, activation in list(self._active.items()):
            # One that the journal could not be told of yet goes on all the same.
            told = activation.event.seq or starting
            if place[2] is Edge.RAISED and place not in found and told:
                if not activation.event.seq:
                    # The bridge was ended before the journal had it. Who raises it again may mean the same.
                    done = (key for key, progress in activation.progress.items() if progress.count)
                    self._doubtful[place] = frozenset(done)
                self._end(place)
        for place, (event, subject, at) in found.items():
            known = self._active.get(place)
            if known is not None and (_same(known.event, event) or not (known.event.seq or starting)):
                self.number(event)
                continue
            self._end(place)
            self._end((place[0], place[1], Edge.CLEARED))
            confirmed = known.confirmed if known is not None else not (starting and self._away)
            self._active[place] = Activation(event, _number(event), min(at, self._now), subject, confirmed=confirmed)
        for activation in list(self._active.values()):
            self._renew(activation)
        for supply in self._supplies.values():
            self._look(supply)
        self.advance(self._now)
        return sorted(gone & (before.jobs.keys() - self._causes.jobs.keys()))

    def load(self, memory: Mapping[str, str], now: float, *, known_at: float | None = None) -> None:
        """Remember. `known_at`: the bridge was away since then, too long for anything to count that nobody confirms."""
        self._now = now
        self._away = known_at is not None
        for key, text in memory.items():
            try:
                if key.startswith(_EVENT):
                    activation = read(text, Activation.of)
                    activation.confirmed = known_at is None
                    self._active[activation.place] = activation
                elif key.startswith(_OUTAGE):
                    supply = self._supply(key.removeprefix(_OUTAGE))
                    supply.outage = read(text, Outage.of)
                    supply.confirmed = known_at is None
                    supply.known_at = now if known_at is None else known_at
            except (KeyError, TypeError, ValueError) as error:
                _LOGGER.error("What was remembered under %s cannot be read, and is forgotten: %s", key, error)
                self._changed[key] = None
        for activation in list(self._active.values()):
            self._renew(activation)
        for supply in self._supplies.values():
            self._look(supply)

    # How it is done

    def _supply(self, ups: str) -> Supply:
        supply = self._supplies.get(ups)
        if supply is None:
            supply = self._supplies[ups] = Supply(ups, self._window, next(self._order))
        return supply

    def _attach(self, activation: Activation) -> None:
        """Begin to wait for the jobs of an activation."""
        waits = []
        for key in activation.progress:
            job = self._causes.jobs[key]
            ups = (job.ups or activation.subject.ups) if job.when.timing in BATTERY else None
            wait = Wait(activation, job, next(self._order), ups, None if ups is None else self._supply(ups))
            waits.append(wait)
            if ups is not None:
                self._by_ups.setdefault(ups, {})[wait] = None
                if job.when.timing is Timing.REMAINING:
                    self._highest[ups] = max(self._highest.get(ups, -1.0), job.when.seconds)
        self._waits[activation.place] = waits
        for wait in waits:
            self._look(wait)

    def _detach(self, place: Place) -> None:
        """Wait no longer for the jobs of an activation."""
        for wait in self._waits.pop(place, ()):
            wait.alive = False
            self._dead += wait.hint is not None
            if wait.ups is None:
                continue
            waits = self._by_ups[wait.ups]
            waits.pop(wait, None)
            if not waits:
                del self._by_ups[wait.ups]
                self._highest.pop(wait.ups, None)
        if self._dead > max(MOST_DEAD, len(self._heap) // 2):
            # A condition that flaps must not fill the heap with what it never came to.
            self._heap = [entry for entry in self._heap if not isinstance(entry[2], Wait) or entry[2].alive]
            heapq.heapify(self._heap)
            self._dead = 0

    def _renew(self, activation: Activation) -> None:
        """Let an activation have the jobs of the configuration as it is now."""
        event, before = activation.event, activation.progress
        jobs = self._causes.of(activation.subject, event.key, edge_of(event), event.severity)
        # What was cleared is past for a job that was not there.
        keys = [job.key for job in jobs if edge_of(event) is Edge.RAISED or job.key in before]
        self._detach(activation.place)
        activation.progress = {key: before.get(key, Progress()) for key in keys}
        for key in keys:
            if key not in before:
                Wait(activation, self._causes.jobs[key], 0, None, None).skip(self._now)
        self._attach(activation)
        if before.keys() != activation.progress.keys():
            self._changed[_key(activation.place)] = None

    def _end(self, place: Place) -> None:
        """Drop an activation, and with it what it has not come to."""
        known = self._active.pop(place, None)
        self._detach(place)
        if known is not None and known.progress:
            self._changed[_key(place)] = None

    def _note(self, activation: Activation) -> None:
        """See to it that an activation is remembered, or forgotten when nothing can come of it."""
        place = activation.place
        if activation.progress:
            self._changed[_key(place)] = None
        if place[2] is Edge.CLEARED and all(wait.over for wait in self._waits.get(place, ())):
            self._end(place)

    def _text(self, key: str) -> str | None:
        if key.startswith(_OUTAGE):
            supply = self._supplies.get(key.removeprefix(_OUTAGE))
            return None if supply is None or supply.outage is None else write(supply.outage.json())
        if not key.startswith(_EVENT):
            return None
        edge, device, condition = key.removeprefix(_EVENT).split("/", 2)
        activation = self._active.get((DeviceId(device), condition, Edge(edge)))
        # What has no jobs is known from the journal, should it ever have some.
        return None if activation is None or not activation.progress else write(activation.json())

    def _look(self, item: Wait | Supply) -> None:
        """Put something into the heap for when it is due, unless it stands there for that time or an earlier one."""
        due = item.due()
        if due is not None and (item.hint is None or due < item.hint):
            self._again(item, due)

    def _again(self, item: Wait | Supply, due: float | None) -> None:
        item.hint = due
        if due is not None:
            heapq.heappush(self._heap, (due, item.order, item))

    def _fire(self, wait: Wait, due: float) -> None:
        activation = wait.activation
        count = wait.fire(self._now)
        if wait.job.when.timing is Timing.EVERY:
            due = max(due, activation.at + (count - 1) * max(1.0, wait.job.when.seconds))
        key = f"job:{wait.job.key}/{activation.number}/{count}"
        retry = count == 1 and wait.job.key in activation.repeated
        self._dues.append(Due(key, wait.job, activation.event, due, retry))
        if wait.ups is not None:
            self._changed[f"{_OUTAGE}{wait.ups}"] = None
        self._look(wait)
        self._note(activation)


def _same(one: Event, other: Event) -> bool:
    """Whether two events at one place are one; the journal may have given it a number in the meantime."""
    return one.seq == other.seq if one.seq and other.seq else one.at == other.at


def _key(place: Place) -> str:
    """Name what is remembered of an event."""
    device, condition, edge = place
    return f"{_EVENT}{edge}/{device}/{condition}"


def _number(event: Event) -> str:
    """Name an event in the keys of its steps; by its time as long as the journal has given it no number."""
    if event.seq:
        return str(event.seq)
    return f"{event.at.timestamp():.6f}-{event.device}-{event.key}"


__all__ = ["PREFIX", "Due", "Engine"]
