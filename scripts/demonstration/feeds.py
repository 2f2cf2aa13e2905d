"""The feeds of the demonstration's bridge: where they serve, and how a person looks at them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import socket

COMMUNITY = "demo"
DEVICE_ID = 4711


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Find a port on loopback that nobody uses at the moment."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Feeds:
    """Their ports on loopback."""

    modbus: int = field(default_factory=free_port)
    snmp: int = field(default_factory=lambda: free_port(socket.SOCK_DGRAM))
    bacnet: int = field(default_factory=lambda: free_port(socket.SOCK_DGRAM))
    nut: int = field(default_factory=free_port)

    @property
    def settings(self) -> str:
        """What the bridge's configuration file says of them."""
        return f"""
# What building management reads, on this computer only.
feeds:
  allow: [feed]
  modbus: {{enabled: yes, port: {self.modbus}}}
  snmp: {{enabled: yes, port: {self.snmp}, communities: [{{name: {COMMUNITY}}}]}}
  bacnet: {{enabled: yes, port: {self.bacnet}, device_id: {DEVICE_ID}}}
  nut: {{enabled: yes, port: {self.nut}}}
"""

    def told(self, ups: str) -> Iterator[str]:
        """Say how each is asked by a program that people have."""
        yield f"mbpoll -1 -m tcp -p {self.modbus} -0 -r 97 -c 14 127.0.0.1"
        yield f"snmpwalk -v 2c -c {COMMUNITY} 127.0.0.1:{self.snmp} 1.3.6.1.2.1.33"
        yield f"upsc {ups}@127.0.0.1:{self.nut}"
        yield f"BACnet/IP: device {DEVICE_ID} at 127.0.0.1:{self.bacnet}"


__all__ = ["Feeds", "free_port"]
