"""Who may try a token, and who may talk to us from a browser."""

from collections import OrderedDict
from urllib.parse import urlsplit

from ridethrough.addresses import network
from ridethrough.clock import Clock

from .limits import Limits

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Gate:
    """Counts wrong tokens. Only they meet it: a client with a good token never notices.

    An address may fail a few times in a row, then once in a while; what it tries in between is sent away unlogged. Its
    memory is bounded. Guessing 256 random bits is hopeless anyway: this keeps the log readable and tells a client in
    a loop to slow down.
    """

    def __init__(self, clock: Clock, limits: Limits) -> None:
        """Measure time with `clock`."""
        self._clock = clock
        self._limits = limits
        self._debts: OrderedDict[str, float] = OrderedDict()
        """Address to the monotonic time at which all its failures are forgotten; the last failed one at the end."""

    def wait(self, address: str) -> float:
        """Seconds until a wrong token from this address is counted and told again; 0 if it is now."""
        forgotten = self._debts.get(network(address), 0.0)
        most = (self._limits.failures - 1) * self._limits.failure_every
        return max(0.0, forgotten - self._clock.monotonic() - most)

    def failed(self, address: str) -> None:
        """Count a wrong token that came from there."""
        owner, now = network(address), self._clock.monotonic()
        self._debts[owner] = max(now, self._debts.pop(owner, now)) + self._limits.failure_every
        while len(self._debts) > self._limits.addresses or next(iter(self._debts.values())) <= now:
            self._debts.popitem(last=False)


def same_origin(origin: str | None, host: str, scheme: str) -> bool:
    """Whether a request with this `Origin` and `Host` comes from our own pages or from no browser at all.

    Browsers let any page open a WebSocket to anywhere, and tell in `Origin` whose page it was (RFC 6455 §10.2).
    """
    if origin is None:
        return True
    try:
        parts, ours = urlsplit(origin), urlsplit(f"{scheme}://{host}")
        return bool(parts.hostname) and (
            parts.scheme,
            parts.hostname,
            parts.port or _DEFAULT_PORTS.get(parts.scheme),
        ) == (
            scheme,
            ours.hostname,
            ours.port or _DEFAULT_PORTS.get(scheme),
        )
    except ValueError:
        return False


__all__ = ["Gate", "same_origin"]
