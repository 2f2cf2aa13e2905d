"""The bridge's state as last told: devices, readings and conditions, and who wants to know of which.

A change wakes only those who asked for that point, that condition or that device.
"""

from collections.abc import Callable, Mapping, Set as AbstractSet
import logging
from typing import cast

from .wire import ConditionState, Delta, Device, Quality, Reading, Snapshot

_LOGGER = logging.getLogger(__name__)

type Listener = Callable[[], None]
type Unsubscribe = Callable[[], None]
type Topic = tuple[str, str, str]
"""`point` or `condition`, device, key; or `device`, device and nothing."""
type ChangeListener = Callable[[AbstractSet[Topic]], None]
"""Called once for each change, with all that is different now."""
type StructureListener = Callable[[frozenset[str], frozenset[str]], None]
"""Called with the devices that are new or have new points, conditions or commands, and with those removed."""


class Mirror:
    """What the bridge has told so far."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.revision = -1
        self.devices: dict[str, Device] = {}
        self._points: dict[str, dict[str, Reading]] = {}
        self._conditions: dict[str, dict[str, ConditionState]] = {}
        self._listeners: dict[Topic, list[Listener]] = {}
        self._structure: list[StructureListener] = []
        self._changes: list[ChangeListener] = []

    def points(self, device: str) -> Mapping[str, Reading]:
        """Return the readings of a device by key."""
        return self._points.get(device, {})

    def conditions(self, device: str) -> Mapping[str, ConditionState]:
        """Return the conditions of a device by key."""
        return self._conditions.get(device, {})

    def on_point(self, device: str, key: str, listener: Listener) -> Unsubscribe:
        """Call `listener` when this reading has changed or its device is gone."""
        return self._listen(("point", device, key), listener)

    def on_condition(self, device: str, key: str, listener: Listener) -> Unsubscribe:
        """Call `listener` when this condition has changed or its device is gone."""
        return self._listen(("condition", device, key), listener)

    def on_device(self, device: str, listener: Listener) -> Unsubscribe:
        """Call `listener` when what is known of this device has changed, e.g. its commands."""
        return self._listen(("device", device, ""), listener)

    def on_structure(self, listener: StructureListener) -> Unsubscribe:
        """Call `listener` when there are new devices, points, conditions or commands, or devices fewer."""
        self._structure.append(listener)
        return lambda: self._structure.remove(listener)

    def on_change(self, listener: ChangeListener) -> Unsubscribe:
        """Call `listener` once for each change: for those who show hundreds of readings as one thing."""
        self._changes.append(listener)
        return lambda: self._changes.remove(listener)

    def _listen(self, topic: Topic, listener: Listener) -> Unsubscribe:
        self._listeners.setdefault(topic, []).append(listener)

        def unsubscribe() -> None:
            listeners = self._listeners[topic]
            listeners.remove(listener)
            if not listeners:
                del self._listeners[topic]

        return unsubscribe

    def load(self, snapshot: Snapshot) -> None:
        """Replace everything by a snapshot; wakes only those whose value is another than before."""
        removed: dict[str, Device | None] = dict.fromkeys(self.devices.keys() - snapshot.devices.keys())
        topics = set[Topic]()
        for device in snapshot.devices:
            topics |= _vanished("point", device, self._points, snapshot.points)
            topics |= _vanished("condition", device, self._conditions, snapshot.conditions)
            self._points[device] = _without(self._points.get(device, {}), snapshot.points.get(device, {}))
            self._conditions[device] = _without(self._conditions.get(device, {}), snapshot.conditions.get(device, {}))
        self._change(snapshot.revision, removed | dict(snapshot.devices), snapshot.points, snapshot.conditions, topics)

    def apply(self, delta: Delta) -> bool:
        """Apply a delta. False, and nothing done, when it does not follow on what is known."""
        if delta.since != self.revision:
            return False
        self._change(delta.revision, delta.devices, delta.points, delta.conditions, set())
        return True

    def _change(
        self,
        revision: int,
        devices: Mapping[str, Device | None],
        points: Mapping[str, Mapping[str, Reading]],
        conditions: Mapping[str, Mapping[str, ConditionState]],
        topics: set[Topic],
    ) -> None:
        """Take over the change first, then tell everyone once."""
        self.revision = revision
        grown, removed = set[str](), set[str]()
        for device_id, device in devices.items():
            if device is None:
                topics |= self._remove(device_id)
                removed.add(device_id)
            elif device != (before := self.devices.get(device_id)):
                self.devices[device_id] = device
                topics.add(("device", device_id, ""))
                if before is None or before.commands != device.commands:
                    grown.add(device_id)
        for kind, table, changes in (
            ("point", self._points, points),
            ("condition", self._conditions, conditions),
        ):
            for device_id, values in changes.items():
                if device_id not in self.devices:
                    continue
                known = cast("dict[str, Reading | ConditionState]", table.setdefault(device_id, {}))
                for key, value in values.items():
                    if (known_value := known.get(key)) != value:
                        if known_value is None or known_value.quality is Quality.UNSUPPORTED:
                            grown.add(device_id)
                        known[key] = value
                        topics.add((kind, device_id, key))
        # A device whose description alone changed matters to the device registry too.
        grown |= {topic[1] for topic in topics if topic[0] == "device"} - removed
        if grown or removed:
            for structure_listener in tuple(self._structure):
                structure_listener(frozenset(grown), frozenset(removed))
        self._tell(topics)

    def _remove(self, device: str) -> set[Topic]:
        topics: set[Topic] = {("device", device, "")}
        topics |= {("point", device, key) for key in self._points.pop(device, {})}
        topics |= {("condition", device, key) for key in self._conditions.pop(device, {})}
        self.devices.pop(device, None)
        return topics

    def _tell(self, topics: AbstractSet[Topic]) -> None:
        # One listener's fault must not keep the news from the others.
        for change_listener in tuple(self._changes):
            try:
                change_listener(topics)
            except Exception:
                _LOGGER.exception("A listener for all changes failed")
        for topic in topics:
            for listener in tuple(self._listeners.get(topic, ())):
                try:
                    listener()
                except Exception:
                    _LOGGER.exception("A listener for %s failed", topic)


def _vanished(
    kind: str, device: str, before: Mapping[str, Mapping[str, object]], after: Mapping[str, Mapping[str, object]]
) -> set[Topic]:
    return {(kind, device, key) for key in before.get(device, {}).keys() - after.get(device, {}).keys()}


def _without[T](before: Mapping[str, T], after: Mapping[str, T]) -> dict[str, T]:
    """Keep what of `before` still exists."""
    return {key: value for key, value in before.items() if key in after}
