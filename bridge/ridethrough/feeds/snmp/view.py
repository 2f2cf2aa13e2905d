"""What somebody sees who asks: what the agent says of itself, and one device of each kind that there are MIBs for."""

from collections.abc import Callable, Mapping, Sequence

from ridethrough.feeds.base import FeedContext
from ridethrough.maps.objects import Mib
from ridethrough.site import Change

from .ber import Oid
from .instances import Encoded, Instances
from .orders import oid_of
from .reading import Reading
from .tree import ALARM_ID, ALARM_TIME, Tree


class View:
    """Instances of several devices in one order."""

    def __init__(
        self, context: FeedContext, mibs: Sequence[Mib], common: Mapping[Oid, Encoded], uptime: Callable[[], float]
    ) -> None:
        """Show `common` and no device yet."""
        self._context = context
        self._uptime = uptime
        self._mibs: dict[str, list[Mib]] = {}
        for mib in mibs:
            self._mibs.setdefault(mib.kind, []).append(mib)
        self._trees: dict[str, Tree] = {}
        self.instances = Instances()
        for oid, value in common.items():
            self.instances.put(oid, value)
        self.reading = Reading(self.instances, _objects(mibs) | {oid[:-1] for oid in common})

    @property
    def own(self) -> Tree | None:
        """What there is of the UPS: the device that has commands and traps of its own."""
        return self._trees.get("ups")

    @property
    def trees(self) -> tuple[Tree, ...]:
        """What there is of each device."""
        return tuple(self._trees.values())

    @property
    def ready(self) -> bool:
        """Whether everything has been looked at that there was in the beginning."""
        return all(tree.ready for tree in self._trees.values())

    async def complete(self) -> None:
        """Wait until it is ready."""
        for tree in list(self._trees.values()):
            await tree.complete()

    def show(self, kind: str, key: str | None) -> None:
        """Show this device by the MIBs of a kind, or none."""
        tree = self._trees.get(kind)
        if (None if tree is None else tree.subject.key) == key or kind not in self._mibs:
            return
        if tree is not None:
            del self._trees[kind]
            tree.close()
        if key is not None:
            self._trees[kind] = Tree(self._context, key, self._mibs[kind], self.instances, self._uptime)

    def follow(self, change: Change) -> None:
        """Take note of a change of the site."""
        for tree in self._trees.values():
            tree.follow(change)

    def close(self) -> None:
        """Show no device any more."""
        for kind in list(self._trees):
            self.show(kind, None)


def _objects(mibs: Sequence[Mib]) -> frozenset[Oid]:
    """Give the names of all objects that there may be instances of."""
    tables = [oid_of(mib.alarms)[:-1] for mib in mibs if mib.alarms is not None]
    alarms = {(*table, column) for table in tables for column in (ALARM_ID, ALARM_TIME)}
    return frozenset(oid_of(row.oid) for mib in mibs for row in mib.rows) | alarms


__all__ = ["View"]
