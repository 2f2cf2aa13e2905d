"""Who may ask what by v1 and v2c: communities, each bound to addresses."""

from collections.abc import Iterable
from dataclasses import dataclass

from ridethrough.config.feeds import SnmpCommunity
from ridethrough.feeds.admission import Admission

from .counters import BAD_NAMES, BAD_USES, Counters


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who may read, and perhaps write."""

    name: str
    """For the journal."""
    write: bool
    device: str | None
    """Key of the device that is shown; None: the agent's."""


class Communities:
    """The communities of the configuration. There is none that is not written there."""

    def __init__(self, communities: Iterable[SnmpCommunity], counters: Counters) -> None:
        """Count who is turned away."""
        self._known = {one.name.encode(): (one, Admission(one.clients)) for one in communities}
        self._counters = counters

    def find(self, name: bytes, host: str) -> Asker | None:
        """Return who asks with this name from this address; None for somebody who may not."""
        found = self._known.get(name)
        if found is None:
            self._counters.add(BAD_NAMES)
            return None
        community, admission = found
        if not admission.admits(host):
            self._counters.add(BAD_USES)
            return None
        return Asker(f"SNMP {host}", community.write, community.device)


__all__ = ["Asker", "Communities"]
