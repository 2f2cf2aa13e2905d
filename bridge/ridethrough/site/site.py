"""The site: one writer, revisioned, observable. Cost is proportional to what changed."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
import heapq
import itertools
import logging

from ridethrough.catalogue import Catalogue
from ridethrough.clock import Clock
from ridethrough.logic.derivation import Derivation, Derived

from .device import Device
from .reading import ConditionState, DeviceId, Quality, Reading, Source, Value

_LOGGER = logging.getLogger(__name__)

MOST_REJECTED = 200
"""Keys counted one by one; further ones are counted together under `…`."""

type Unsubscribe = Callable[[], None]
type PointId = tuple[DeviceId, str]


@dataclass(frozen=True, slots=True)
class Edge:
    """A condition was raised or cleared; what an event is made of."""

    device: DeviceId
    condition: str
    active: bool
    at: datetime


@dataclass(slots=True)
class Change:
    """Everything that changed between two revisions, and nothing else."""

    revision: int
    points: dict[PointId, Reading] = field(default_factory=dict)
    conditions: dict[PointId, ConditionState] = field(default_factory=dict)
    devices: dict[DeviceId, Device | None] = field(default_factory=dict)
    """Added or altered devices; `None` for one that was removed."""
    edges: list[Edge] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything changed at all."""
        return bool(self.points or self.conditions or self.devices)

    def forget(self, device_id: DeviceId) -> None:
        """Drop what had changed about a device that was removed: it no longer matters."""
        for point in [point for point in self.points if point[0] == device_id]:
            del self.points[point]
        for point in [point for point in self.conditions if point[0] == device_id]:
            del self.conditions[point]
        self.edges = [edge for edge in self.edges if edge.device != device_id]
        self.devices[device_id] = None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What a derivation may look at: the good values and the good conditions of one device."""

    device: Device
    values: Mapping[str, Value]
    active: frozenset[str]
    """Conditions that are known to be active."""
    known: frozenset[str]
    """Conditions that are known to be so or not so."""


class Lane:
    """A writer's handle: the points of one device that one source refreshes together.

    A point that is not confirmed within `deadline` seconds becomes stale; `lost()` marks all of them lost.
    A `deadline` of None never expires (configured values).
    """

    def __init__(self, site: Site, device: DeviceId, deadline: float | None, source: Source) -> None:
        """Use `Site.lane` instead."""
        self._site = site
        self.device = device
        self.deadline = deadline
        self.source = source
        self.alive = True
        """False once its device has been removed; what is posted then is dropped."""
        self.awaited = False
        """Whether the site has it among those that expire."""
        self.confirmed: OrderedDict[tuple[str, bool], float] = OrderedDict()
        """(key, is a condition) to the monotonic time it was last confirmed, oldest first."""
        self.keys: dict[tuple[str, bool], None] = {}
        """What it answers for: whoever posted a key last does."""

    def post(
        self,
        points: Mapping[str, Value | None] | None = None,
        conditions: Mapping[str, bool] | None = None,
    ) -> None:
        """Post what was read. A point whose value is None is one the device does not support.

        Where two lanes post one key, the last one answers for it. But a computed value never takes the place of a
        good one from elsewhere, nor does None.
        """
        self._site.post(self, points or {}, conditions or {})

    def lost(self) -> None:
        """Mark everything the source had posted as lost until it is posted again: the source is gone."""
        self._site.degrade(self, list(self.keys), Quality.LOST)

    def drop(self, keys: list[str]) -> None:
        """Mark points that the source no longer mentions as stale, at once."""
        self._site.degrade(self, [(key, False) for key in keys if (key, False) in self.keys], Quality.STALE)


class Site:
    """The live state of all devices. Only this class changes it; everyone else observes."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        """Create an empty site."""
        self.catalogue = catalogue
        self._clock = clock
        self.revision = 0
        self._devices: dict[DeviceId, Device] = {}
        self._readings: dict[DeviceId, dict[str, Reading]] = {}
        self._conditions: dict[DeviceId, dict[str, ConditionState]] = {}
        self._lanes: dict[DeviceId, list[Lane]] = {}
        self._derivations: dict[DeviceId, list[tuple[Derivation, Lane]]] = {}
        self._owners: dict[DeviceId, dict[tuple[str, bool], Lane]] = {}
        self._watchers: dict[DeviceId, dict[str, dict[object, Callable[[Reading], None]]]] = {}
        self._observers: dict[object, Callable[[Change], None]] = {}
        self._again: dict[DeviceId, float] = {}
        """When a device's derivations want to be run again although nothing has changed."""
        self._expected: dict[DeviceId, dict[str, datetime]] = {}
        self._deadlines: list[tuple[float, int, Lane]] = []
        self._order = itertools.count()
        self._open: Change | None = None
        self._unheard: deque[Change] = deque()
        self._notifying = False
        self._failing: set[Derivation] = set()
        self._touched: dict[DeviceId, None] = {}
        self.rejected: dict[str, int] = {}
        """Keys that links posted but the catalogue does not know, or with values that cannot be, with how often."""

    # Reading

    @property
    def devices(self) -> Mapping[DeviceId, Device]:
        """All devices by id."""
        return self._devices

    def device_by_key(self, key: str) -> Device | None:
        """Return the device that the configuration calls `key`, or None."""
        return next((device for device in self._devices.values() if device.key == key), None)

    def readings(self, device: DeviceId) -> Mapping[str, Reading]:
        """All readings of a device by point key."""
        return self._readings.get(device, {})

    def reading(self, device: DeviceId, key: str) -> Reading | None:
        """One reading, or None if the point has never been posted."""
        return self._readings.get(device, {}).get(key)

    def conditions(self, device: DeviceId) -> Mapping[str, ConditionState]:
        """All conditions of a device by key."""
        return self._conditions.get(device, {})

    # Observing

    def observe(self, observer: Callable[[Change], None]) -> Unsubscribe:
        """Call `observer` with every change, once a revision and in their order. It must return quickly.

        It may post; what comes of that is a later revision, which everyone hears of after this one.
        """
        handle = object()
        self._observers[handle] = observer
        return lambda: _forget(self._observers, handle)

    def watch(self, device: DeviceId, key: str, watcher: Callable[[Reading], None]) -> Unsubscribe:
        """Call `watcher` when this one point changes."""
        handle = object()
        self._watchers.setdefault(device, {}).setdefault(key, {})[handle] = watcher
        return lambda: self._unwatch(device, key, handle)

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything posted within it one revision; nested transactions join the outer one.

        Nothing may be awaited within it. What was posted before an exception counts: it was read, after all.
        """
        if self._open is not None:
            yield
            return
        self._open = Change(self.revision + 1)
        try:
            yield
        finally:
            try:
                self._derive()
            finally:
                change, self._open = self._open, None
                self._touched.clear()
            if change:
                self.revision = change.revision
                self._notify(change)

    def put(self, device: Device) -> None:
        """Add a device or alter one; its points stay."""
        if self._devices.get(device.id) == device:
            return
        self.catalogue.kind(device.kind)
        with self.transaction():
            self._devices[device.id] = device
            self._readings.setdefault(device.id, {})
            self._conditions.setdefault(device.id, {})
            self._owners.setdefault(device.id, {})
            self._change.devices[device.id] = device
            for condition, since in self._expected.pop(device.id, {}).items():
                self.restore(device.id, condition, since)

    def remove(self, device_id: DeviceId) -> None:
        """Remove a device and its children with all their points, in one revision.

        Its lanes are dead and its watchers gone: a device that comes back under this id begins anew.
        """
        with self.transaction():
            if self._devices.pop(device_id, None) is None:
                return
            for lane in self._lanes.pop(device_id, ()):
                lane.alive = False
            for _, lane in self._derivations.pop(device_id, ()):
                lane.alive = False
            self._readings.pop(device_id, None)
            self._conditions.pop(device_id, None)
            self._owners.pop(device_id, None)
            self._again.pop(device_id, None)
            self._watchers.pop(device_id, None)
            self._touched.pop(device_id, None)
            self._change.forget(device_id)
            for child in [device.id for device in self._devices.values() if device.parent == device_id]:
                self.remove(child)

    def lane(self, device: DeviceId, deadline: float | None, source: Source = Source.MEASURED) -> Lane:
        """Open a writer's handle on a device; see `Lane`."""
        lane = Lane(self, device, deadline, source)
        self._lanes.setdefault(device, []).append(lane)
        return lane

    def derive(self, device: DeviceId, derivation: Derivation) -> None:
        """Work out further points and conditions of a device whenever it changes, in the same revision."""
        lane = Lane(self, device, None, Source.COMPUTED)
        self._derivations.setdefault(device, []).append((derivation, lane))
        with self.transaction():
            self._touched[device] = None

    def restore(self, device: DeviceId, condition: str, since: datetime) -> None:
        """Put back a condition that the journal knows as raised: active, but lost until a source posts it.

        Neither makes an edge, nor does a source that confirms it; one that says otherwise clears it. For a device that
        does not exist yet it waits until the device is put: restore before links start. Conditions that the catalogue
        does not know are ignored, and devices that never come cost nothing but this note.
        """
        if device not in self._devices:
            self._expected.setdefault(device, {})[condition] = since
            return
        if self.catalogue.condition(self._devices[device].kind, condition) is None:
            return
        with self.transaction():
            known = self._conditions[device].get(condition)
            if known is None:
                known = self._conditions[device][condition] = ConditionState(True, Quality.LOST, since)
            elif not known.active:
                # A source was quicker than the journal: what was raised is over, and the journal must hear of it.
                self._change.edges.append(Edge(device, condition, False, self._clock.utc()))
            self._change.conditions[device, condition] = known

    def settle(self, device: DeviceId) -> None:
        """End what was restored and no source has mentioned since, now that the sources of the device have spoken.

        Otherwise a condition that only a former link of the device could tell would be raised for ever.
        """
        owners, states = self._owners.get(device, {}), self._conditions.get(device, {})
        stamp = self._clock.utc()
        with self.transaction():
            for key in [key for key, state in states.items() if state.active and (key, True) not in owners]:
                states[key] = ConditionState(False, Quality.LOST, stamp)
                self._change.conditions[device, key] = states[key]
                self._change.edges.append(Edge(device, key, False, stamp))
                self._touched[device] = None

    def expire(self) -> float | None:
        """Mark what is older than its deadline as stale, and run the derivations that are due.

        Return the seconds until it need be called again, or None. Each lane is looked at once per deadline, not once
        per call: it costs nothing while nothing is due.
        """
        now = self._clock.monotonic()
        with self.transaction():
            while self._deadlines and self._deadlines[0][0] <= now:
                _, _, lane = heapq.heappop(self._deadlines)
                lane.awaited = False
                self._expire(lane, now)
            for device, due in self._again.items():
                if due <= now:
                    self._touched[device] = None
        dues = [*self._again.values(), *(deadline for deadline, _, _ in self._deadlines[:1])]
        return min(dues) - now if dues else None

    def _expire(self, lane: Lane, now: float) -> None:
        if lane.deadline is None or not lane.alive:
            return
        old = list(itertools.takewhile(lambda key: lane.confirmed[key] + (lane.deadline or 0.0) <= now, lane.confirmed))
        self.degrade(lane, old, Quality.STALE)
        if lane.confirmed:
            self._await(lane, next(iter(lane.confirmed.values())))

    def _await(self, lane: Lane, confirmed: float) -> None:
        if lane.deadline is not None and not lane.awaited:
            lane.awaited = True
            heapq.heappush(self._deadlines, (confirmed + lane.deadline, next(self._order), lane))

    # How it is done

    @property
    def _change(self) -> Change:
        assert self._open is not None
        return self._open

    def post(self, lane: Lane, points: Mapping[str, Value | None], conditions: Mapping[str, bool]) -> None:
        """Take what a lane posts; links use `Lane.post`."""
        device = self._devices.get(lane.device)
        if device is None or not lane.alive:
            return
        now, stamp = self._clock.monotonic(), self._clock.utc()
        readings = self._readings[lane.device]
        states = self._conditions[lane.device]
        with self.transaction():
            for key, value in points.items():
                point = self.catalogue.point(device.kind, key)
                try:
                    value = None if value is None or point is None else point.coerce(value)
                except ValueError:
                    point = None
                if point is None:
                    self._reject(key)
                    continue
                quality = Quality.UNSUPPORTED if value is None else Quality.GOOD
                old = readings.get(key)
                if old is not None and old.good and self._yields(lane, (key, False), unsupported=value is None):
                    continue
                reading = Reading(value, quality, stamp, lane.source)
                readings[key] = reading
                self._confirm(lane, (key, False), now)
                if old is None or old.value != value or old.quality is not quality or old.source is not lane.source:
                    self._change.points[lane.device, key] = reading
                    self._touched[lane.device] = None
            for key, active in conditions.items():
                if self.catalogue.condition(device.kind, key) is None:
                    self._reject(key)
                    continue
                before = states.get(key)
                known = before is not None and before.quality is Quality.GOOD
                if known and self._yields(lane, (key, True), unsupported=False):
                    continue
                self._confirm(lane, (key, True), now)
                if before is not None and before.active is active and before.quality is Quality.GOOD:
                    continue
                flipped = active if before is None else before.active is not active
                since = stamp if before is None or flipped else before.since
                states[key] = ConditionState(active, Quality.GOOD, since)
                self._change.conditions[lane.device, key] = states[key]
                self._touched[lane.device] = None
                if flipped:
                    self._change.edges.append(Edge(lane.device, key, active, stamp))

    def _reject(self, key: str) -> None:
        # A device could make up keys without end.
        key = key if key in self.rejected or len(self.rejected) < MOST_REJECTED else "…"
        self.rejected[key] = self.rejected.get(key, 0) + 1

    def _yields(self, lane: Lane, key: tuple[str, bool], *, unsupported: bool) -> bool:
        owner = self._owners[lane.device].get(key)
        if owner is None or owner is lane:
            return False
        return unsupported or (lane.source is Source.COMPUTED and owner.source is not Source.COMPUTED)

    def _confirm(self, lane: Lane, key: tuple[str, bool], now: float) -> None:
        owners = self._owners[lane.device]
        owner = owners.get(key)
        if owner is not lane:
            if owner is not None:
                owner.keys.pop(key, None)
                owner.confirmed.pop(key, None)
            owners[key] = lane
        lane.keys[key] = None
        lane.confirmed[key] = now
        lane.confirmed.move_to_end(key)
        self._await(lane, now)

    def degrade(self, lane: Lane, keys: list[tuple[str, bool]], quality: Quality) -> None:
        """Lower the quality of what a lane answers for; links use `Lane.lost` and `Lane.drop`."""
        if lane.device not in self._devices or not lane.alive:
            return
        readings = self._readings[lane.device]
        states = self._conditions[lane.device]
        with self.transaction():
            for key in keys:
                lane.confirmed.pop(key, None)
                name, is_condition = key
                if is_condition:
                    state = states[name]
                    if _worse(quality, state.quality):
                        states[name] = replace(state, quality=quality)
                        self._change.conditions[lane.device, name] = states[name]
                        self._touched[lane.device] = None
                    continue
                reading = readings[name]
                if _worse(quality, reading.quality):
                    readings[name] = replace(reading, quality=quality)
                    self._change.points[lane.device, name] = readings[name]
                    self._touched[lane.device] = None

    def _derive(self) -> None:
        """Run the derivations of every touched device; what one posts does not touch it again."""
        now = self._clock.monotonic()
        for device_id in list(self._touched):
            dues: list[float] = []
            for derivation, lane in self._derivations.get(device_id, ()):
                derived = self._work_out(derivation, self._view(device_id, lane), now)
                self.post(lane, derived.points, derived.conditions)
                if derived.again is not None:
                    dues.append(now + derived.again)
                given = {(key, False) for key in derived.points} | {(key, True) for key in derived.conditions}
                gone = [key for key in lane.keys if key not in given]
                if gone:
                    self.degrade(lane, gone, self._worst(device_id, lane))
            self._again.pop(device_id, None)
            if dues:
                self._again[device_id] = min(dues)

    def _work_out(self, derivation: Derivation, view: DeviceView, now: float) -> Derived:
        """Nothing, and one line in the log, when the derivation fails; the device's readings must still be heard of."""
        try:
            derived = derivation(view, now)
        except Exception:
            if derivation not in self._failing:
                _LOGGER.exception("A derivation failed for %s", view.device.key)
            self._failing.add(derivation)
            return Derived()
        self._failing.discard(derivation)
        return derived

    def _view(self, device_id: DeviceId, own: Lane) -> DeviceView:
        values = {
            key: reading.value
            for key, reading in self._readings[device_id].items()
            if reading.value is not None and reading.good and (key, False) not in own.keys
        }
        good = {
            key: state
            for key, state in self._conditions[device_id].items()
            if state.quality is Quality.GOOD and (key, True) not in own.keys
        }
        return DeviceView(
            self._devices[device_id],
            values,
            frozenset(key for key, state in good.items() if state.active),
            frozenset(good),
        )

    def _worst(self, device_id: DeviceId, own: Lane) -> Quality:
        """How bad that is from which a derivation would have worked something out; its own results do not count."""
        lost = any(
            reading.quality is Quality.LOST and (key, False) not in own.keys
            for key, reading in self._readings[device_id].items()
        ) or any(
            state.quality is Quality.LOST and (key, True) not in own.keys
            for key, state in self._conditions[device_id].items()
        )
        return Quality.LOST if lost else Quality.STALE

    def _notify(self, change: Change) -> None:
        self._unheard.append(change)
        if self._notifying:
            return
        self._notifying = True
        try:
            while self._unheard:
                self._tell(self._unheard.popleft())
        finally:
            self._notifying = False

    def _tell(self, change: Change) -> None:
        for (device, key), reading in change.points.items():
            watchers = self._watchers.get(device, {}).get(key, {})
            for handle, watcher in list(watchers.items()):
                if handle in watchers:
                    _guard(watcher, reading)
        for handle, observer in list(self._observers.items()):
            if handle in self._observers:
                _guard(observer, change)

    def _unwatch(self, device: DeviceId, key: str, handle: object) -> None:
        keys = self._watchers.get(device, {})
        _forget(keys.get(key, {}), handle)
        if not keys.get(key, True):
            del keys[key]
        if not self._watchers.get(device, True):
            del self._watchers[device]


def _worse(quality: Quality, than: Quality) -> bool:
    """Whether a reading may go from one to the other without being posted: never upwards, never from unsupported."""
    order = (Quality.GOOD, Quality.STALE, Quality.LOST)
    return than in order and order.index(quality) > order.index(than)


def _forget[T](table: dict[object, T], handle: object) -> None:
    table.pop(handle, None)


def _guard[T](call: Callable[[T], None], argument: T) -> None:
    """One failing observer must not keep the others from hearing of it."""
    try:
        call(argument)
    except Exception:
        _LOGGER.exception("An observer of the site failed")
