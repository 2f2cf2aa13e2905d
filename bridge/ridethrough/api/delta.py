"""What changed between two revisions: merged as changes come, written as JSON once for everyone."""

from collections.abc import Mapping

from ridethrough.site import Change, ConditionState, Device, DeviceId, Reading

from . import wire

type PointId = tuple[DeviceId, str]


class Delta:
    """Changes after revision `since` up to `revision`; only the last state of each thing is kept.

    So the largest delta is about as large as a snapshot, however long a client does not read.
    """

    __slots__ = ("_text", "conditions", "devices", "points", "revision", "since")

    def __init__(self, since: int) -> None:
        """Begin with nothing changed since that revision."""
        self.since = since
        self.revision = since
        self.points: dict[PointId, Reading] = {}
        self.conditions: dict[PointId, ConditionState] = {}
        self.devices: dict[DeviceId, Device | None] = {}
        self._text: bytes | None = None

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return self.revision != self.since

    def absorb(self, change: Change | Delta) -> None:
        """Add what came next.

        A device that was removed and is back begins anew. Within one delta that cannot be said: clients would keep
        its former points. Then `since` jumps, which every client knows as a gap and answers by subscribing again.
        """
        self._text = None
        devices: Mapping[DeviceId, Device | None] = change.devices
        returned = any(row is not None and self.devices.get(key, row) is None for key, row in devices.items())
        since = change.since if isinstance(change, Delta) else self.revision
        if returned or since != self.revision:
            self.since = since
            self.points, self.conditions, self.devices = {}, {}, {}
        self.points |= change.points
        self.conditions |= change.conditions
        self.devices |= devices
        self.revision = change.revision
        gone = {key for key, row in devices.items() if row is None}
        if gone:
            self.points = {point: row for point, row in self.points.items() if point[0] not in gone}
            self.conditions = {point: row for point, row in self.conditions.items() if point[0] not in gone}

    def merged(self, later: Delta) -> Delta:
        """Make a delta that spans this one and the one after it."""
        both = Delta(self.since)
        both.absorb(self)
        both.absorb(later)
        return both

    @property
    def text(self) -> bytes:
        """The message; written when first asked for, then shared."""
        if self._text is None:
            self._text = wire.delta(self.since, self.revision, self.devices, self.points, self.conditions)
        return self._text


__all__ = ["Delta"]
