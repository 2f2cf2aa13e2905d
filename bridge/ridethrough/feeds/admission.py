"""Who may ask, and how much of the bridge those who ask may use."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

from ridethrough.addresses import plain
from ridethrough.clock import Clock
from ridethrough.config.feeds import Network

from .base import Traffic

RECENT = 300.0
"""Seconds for which somebody who has asked without a connection counts as a client."""
REMEMBERED = 1024
"""Clients without a connection that are counted at most: addresses can be made up."""


class Admission:
    """Says whether an address is one of those from where a feed may be asked."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """Every address is admitted when there are no networks."""
        self._networks = tuple(networks)
        self.admits = lru_cache(maxsize=REMEMBERED)(self._admits)
        """Whether this address, as a socket words it, is admitted; what is no address is not."""

    def _admits(self, host: str) -> bool:
        if not self._networks:
            return True
        try:
            address = plain(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class Callers:
    """Counts who asks over a protocol without connections."""

    def __init__(self, clock: Clock, traffic: Traffic) -> None:
        """Nobody has asked yet."""
        self._clock = clock
        self._traffic = traffic
        self._last: OrderedDict[str, float] = OrderedDict()

    def heard(self, host: str) -> None:
        """Note that this address has asked; `traffic.clients` follows."""
        now = self._clock.monotonic()
        self._last[host] = now
        self._last.move_to_end(host)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        self.count(now)

    def count(self, now: float | None = None) -> None:
        """Forget those who have not asked for long."""
        now = self._clock.monotonic() if now is None else now
        while self._last and next(iter(self._last.values())) < now - RECENT:
            self._last.popitem(last=False)
        self._traffic.clients = len(self._last)


__all__ = ["Admission", "Callers"]
