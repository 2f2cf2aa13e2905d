"""Tables of present alarms as conditions. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ridethrough.maps.objects import AlarmRow, Child, load_alarms

SEVERED = "1.3.6.1.2.1.33.1.6.3.20"
"""upsAlarmCommunicationsLost: the card has lost the UPS, and everything else it says is old."""
STANDARD = 24
"""Well-known alarms of RFC 1628: of these the absence says something too."""

_STANDARD = frozenset(f"1.3.6.1.2.1.33.1.6.3.{number}" for number in range(1, STANDARD + 1))

type Owner = Child | None


@dataclass(slots=True)
class Alarms:
    """What a table of alarms comes to, and which alarms have been in it before."""

    seen: set[str] = field(default_factory=set)
    """Alarms that were present once: of these, not being there means being over."""
    severed: bool = False
    """The card says that it has lost the UPS."""
    unknown: int = 0
    """Alarms of the last table that nobody knows."""

    def read(self, present: Iterable[str], *, standard: bool) -> Mapping[Owner, Mapping[str, bool]]:
        """Take the OIDs in the table; `standard` says that the agent has the alarms of RFC 1628.

        Returns the conditions by the device that has them, None for the UPS itself.
        """
        table = load_alarms()
        here = {oid.strip(".") for oid in present}
        self.severed = SEVERED in here
        self.unknown = sum(1 for oid in here if oid not in table)
        conditions: dict[Owner, dict[str, bool]] = {}
        baseline = (_STANDARD if standard else frozenset()) | self.seen
        for oid in sorted(baseline) + sorted(here):
            row = table.get(oid)
            if row is not None and row.condition is not None and oid != SEVERED:
                of = conditions.setdefault(row.child, {})
                of[row.condition] = of.get(row.condition, False) or oid in here
        if self.unknown or "other" in self.seen:
            conditions.setdefault(None, {})["device_alarm"] = bool(self.unknown)
        self.seen |= (here & table.keys()) | ({"other"} if self.unknown else set())
        return conditions

    def remember(self, raised: frozenset[str]) -> None:
        """Take alarms of the UPS for seen whose conditions were raised before the bridge was restarted."""
        self.seen |= {oid for oid, row in load_alarms().items() if _own(row) and row.condition in raised}


def _own(row: AlarmRow) -> bool:
    return row.child is None and row.condition is not None


__all__ = ["Alarms"]
