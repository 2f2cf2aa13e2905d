"""What a configuration file says of the protected computers: their shutdown agents, and how the bridge talks to them."""

from dataclasses import dataclass
from typing import Literal

from .feeds import Network

AGENT_PORT = 6004
"""Where agents listen; 6003 is that of the public datagrams (manual M:2925)."""
PAIRING_PORT = 6005
"""Where the bridge listens while somebody may pair an agent."""
DATAGRAM_PORT = 6003


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """One protected computer."""

    key: str
    """`id:` in the file; the agent's identity."""
    name: str
    host: str
    port: int = AGENT_PORT
    enabled: bool = True
    mac: str | None = None
    """Hardware address for wake-on-LAN, as `00:11:22:33:44:55`."""
    broadcast: str = "255.255.255.255"
    """Where the magic packet is sent to: the broadcast address of the computer's network."""
    wake_port: Literal[7, 9] = 9
    shutdown_time: float = 180.0
    """Seconds that it may take from the order until it is down."""
    start_time: float = 600.0
    """Seconds that it may take from being woken until its agent answers."""
    supplies: tuple[str, ...] = ()
    """Keys of the UPSes that feed it."""
    allow: frozenset[str] = frozenset()
    """Command groups granted: message, execute, shutdown, start."""


@dataclass(frozen=True, slots=True)
class DatagramConfig:
    """The public datagrams, sent to programs that know nothing better; nothing is known of whether they arrive."""

    enabled: bool = False
    receivers: tuple[str, ...] = ()
    """Addresses, broadcast ones among them."""
    port: int = DATAGRAM_PORT


@dataclass(frozen=True, slots=True)
class AgentsConfig:
    """The section `agents:`."""

    listen: str = "127.0.0.1"
    """Where agents pair; the port is open only while an invitation is."""
    port: int = PAIRING_PORT
    clients: tuple[Network, ...] = ()
    """From where agents may pair; from everywhere when empty."""
    alive: float = 10.0
    """Seconds between two signs of life."""
    computers: tuple[AgentConfig, ...] = ()
    datagrams: DatagramConfig = DatagramConfig()


__all__ = ["AGENT_PORT", "DATAGRAM_PORT", "PAIRING_PORT", "AgentConfig", "AgentsConfig", "DatagramConfig"]
