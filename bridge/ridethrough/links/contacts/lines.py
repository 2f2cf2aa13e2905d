"""Modem lines, wherever they are: on a serial port of this computer, or on one of a serial device server (RFC 2217)."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from ridethrough.clock import Clock
from ridethrough.links.port import SerialPort
from ridethrough.links.ports import SerialPorts
from ridethrough.serial_line import LineSettings

from .cables import BREAK
from .rfc2217 import RemotePort, connect


class ModemLines(Protocol):
    """Lines that can be looked at and driven. All raise LinkError or OSError when they have gone."""

    def read(self) -> frozenset[str]:
        """Tell which inputs are high: of cts, dcd, dsr, ri."""

    def drive(self, outputs: AbstractSet[str]) -> None:
        """Make these outputs high and the others low: of dtr, rts, break."""

    async def close(self) -> None:
        """Give them back. The outputs stay as they are where the hardware allows."""


class LocalLines:
    """The modem lines of a serial port that is owned."""

    def __init__(self, port: SerialPort) -> None:
        """Use them from now on."""
        self._port = port

    def read(self) -> frozenset[str]:
        """See `ModemLines`."""
        return self._port.modem_lines()

    def drive(self, outputs: AbstractSet[str]) -> None:
        """See `ModemLines`."""
        self._port.drive(dtr="dtr" in outputs, rts="rts" in outputs, brk=BREAK in outputs)

    async def close(self) -> None:
        """See `ModemLines`."""
        await self._port.close()


async def local_lines(ports: SerialPorts, path: str, outputs: AbstractSet[str]) -> LocalLines:
    """Own a serial port and drive its outputs. Raises LinkError, also when the port has no modem lines."""
    port = await ports.open(path, LineSettings(dtr="dtr" in outputs, rts="rts" in outputs))
    try:
        # A shutdown must not be ordered by our going away.
        port.keep_outputs()
        lines = LocalLines(port)
        lines.read()
        lines.drive(outputs)
    except BaseException:
        await port.close()
        raise
    return lines


async def remote_lines(host: str, number: int, outputs: AbstractSet[str], clock: Clock) -> RemotePort:
    """Connect to a port of a serial device server. Raises LinkError or OSError."""
    port = await connect(host, number, clock)
    port.drive(outputs)
    return port


__all__ = ["LocalLines", "ModemLines", "local_lines", "remote_lines"]
