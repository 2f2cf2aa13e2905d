"""The ways in which the demonstration's UPS can be reached: a row for each kind of link."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Face:
    """How the simulated UPS shows itself, and how the bridge reaches it."""

    what: str
    """For people: `on a serial line`."""
    device: str
    """What `ridethrough simulate --device` is told."""
    where: tuple[str, ...]
    """The arguments that say where; `{line}` is a path, `{port}` a free port, `{traps}` the bridge's port for traps."""
    link: str
    """The URL of the link, with the same placeholders."""
    measures: bool = True
    """Whether the UPS tells load and battery; contacts do not, and what is worked out takes its time."""
    timed: bool = False
    """Whether the moment at which the wire said something is known to the millisecond."""
    upsd: bool = False
    """Whether Network UPS Tools stand between the UPS and the bridge."""
    settings: str = ""
    """Further lines of the bridge's configuration."""


FACES: Mapping[str, Face] = {
    "megatec": Face("on a serial line", "megatec", ("--port", "{line}"), "megatec:{line}?baud=2400", timed=True),
    "snmp": Face(
        "with an SNMP card",
        "snmp",
        ("--address", "127.0.0.1:{port}", "--trap", "127.0.0.1:{traps}"),
        "snmp://127.0.0.1:{port}?poll=1",
        settings="traps:\n  port: {traps}\n",
    ),
    "modbus": Face(
        "with Modbus TCP", "modbus", ("--address", "127.0.0.1:{port}"), "modbus://127.0.0.1:{port}/1?poll=0.5"
    ),
    "nut": Face(
        "behind Network UPS Tools", "megatec", ("--port", "{line}"), "nut://127.0.0.1:{port}/ups?poll=0.5", upsd=True
    ),
    "contacts": Face(
        "with contacts behind a serial device server",
        "contacts",
        ("--address", "127.0.0.1:{port}"),
        "contacts://127.0.0.1:{port}?power_fail=!cts&battery_low=!dcd&present=dsr&supply=rts",
        measures=False,
    ),
}

__all__ = ["FACES", "Face"]
