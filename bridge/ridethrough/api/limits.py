"""How much of the bridge one client may use; each number with its reason."""

from dataclasses import dataclass

from ridethrough.events.orders import OrderLimits

API_VERSION = 1
"""The version of the contract spoken here; the oldest and the newest one."""

MAX_REQUEST = 64 * 1024
"""Bytes of a client's message. The longest sensible one, a command with arguments, has a few hundred."""


@dataclass(frozen=True, slots=True)
class Limits(OrderLimits):
    """Times in seconds. Tests shorten them; nothing else should need to."""

    auth: float = 10.0
    """For the token, after the hello (contract)."""
    heartbeat: float = 20.0
    """Within which a client gives a sign of life; asked after half of it, given up after twice of it at most."""
    send: float = 15.0
    """For a client to take one message. Shorter than a missed heartbeat, so that it learns why it is dropped."""
    farewell: float = 1.0
    """For a client to answer a close; also how long stopping waits for clients."""
    idle: float = 10.0
    """For a request on a TCP connection; also how long a kept-alive connection may do nothing."""
    recheck: float = 10.0
    """Between checks whether the tokens of connected clients are still valid."""
    tick: float = 0.05
    """Between deltas while changes keep coming (contract)."""

    connections: int = 128
    """TCP connections, whatever they do."""
    clients: int = 64
    """Clients with a valid token."""
    strangers: int = 16
    """Connections that have not shown a token yet. When there are more, the oldest must go: a client that has a
    token shows it within milliseconds, so that whoever only occupies places cannot keep it out."""

    pending: int = 16
    """Commands of one client being carried out at once."""
    configuring: int = 16
    """Requests about the configuration of all clients at once, tests among them."""
    configuring_each: int = 4
    """The same of one client."""
    tests: int = 3
    """Tests of connections at once: each may take 20 s, and people try one after the other."""
    events_recent: int = 2048
    """Events kept at hand as text; older ones are read from the journal."""
    events_behind: int = 10_000
    """Undelivered events after which a client is too slow. They wait in the journal, not in memory; the number is
    far above what the worst moment makes: 512 modules with a dozen conditions each."""

    failures: int = 10
    """Wrong tokens from one address in a row before it is told to come later; good ones always pass."""
    failure_every: float = 6.0
    """Then one more attempt per this many seconds."""
    addresses: int = 1024
    """Addresses whose failures are remembered."""


__all__ = ["API_VERSION", "MAX_REQUEST", "Limits"]
