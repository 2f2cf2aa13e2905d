"""The link to a device whose registers a map describes."""

from collections.abc import Mapping
from typing import ClassVar

from ridethrough.links.base import Credentials, Link, LinkUrl, RawValue, Reach, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.option import Option
from ridethrough.maps.registers import Device, Register
from ridethrough.site import CommandError, CommandResult, Value

from .battery import BLOCKS, BatterySession
from .options import OPTIONS, PORT, ModbusOptions, understand
from .plan import MOST
from .session import Session
from .unit import Unit
from .wire import SerialWire, TcpWire, Wire

_TURNAROUND = 0.05
"""Seconds that a device on a serial line takes to begin its answer, for the estimate of a whole reading."""


class ModbusLink(Link):
    """Reads a device by its register map; `modbus://host:502/1?profile=default`, `modbus:/dev/ttyUSB0?unit=1`."""

    scheme: ClassVar[str] = "modbus"
    title: ClassVar[str] = "Modbus (TCP, RS-485)"
    example: ClassVar[str] = "modbus://127.0.0.1:502/1?profile=default"
    reach: ClassVar[Reach] = Reach.EITHER
    port: ClassVar[int | None] = PORT
    shares_line: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = OPTIONS

    def __init__(self, url: LinkUrl, _credentials: Credentials, context: LinkContext) -> None:
        """See `Link` and `options.understand`; Modbus asks for no credentials."""
        self._options = self._understand(url)
        self.kind = self._options.profile.kind
        self._layout = context.layout
        self._clock = context.clock
        self._ports = context.ports
        self._session: Session | BatterySession | None = None
        self._children: set[Device] = set()
        self._reported: set[Register] = set()
        slowest = max(self._options.poll, BLOCKS) if self.kind == "battery_system" else self._options.poll
        self.deadline = max(5.0, 3 * (slowest + self._reading_time()) + self._options.patience)
        if self._options.path:
            self._ports.keep_trace(self._options.path)

    async def run(self, report: Report) -> None:
        """Connect and read until the device is lost (LinkError)."""
        wire = await self._open(report)
        try:
            unit = Unit(wire, self._options, report.count)
            self._session = session = self._begin(unit, report)
            await session.run()
        finally:
            await wire.close()

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Refuse: the maps are for reading. Raises CommandError."""
        raise CommandError(
            "unknown_command", f"The map {self._options.profile.name} of {self._options.where} has no commands."
        )

    def raw(self) -> tuple[RawValue, ...]:
        """Give every register of the last reading under its printed name."""
        return () if self._session is None else self._session.raw()

    def _understand(self, url: LinkUrl) -> ModbusOptions:
        """Read the URL. Raises ValueError with a sentence."""
        return understand(url, self.example)

    def _begin(self, unit: Unit, report: Report) -> Session | BatterySession:
        if self.kind == "battery_system":
            return BatterySession(unit, self._options, report, self._clock, self._layout, self._reported)
        return Session(unit, self._options, report, self._clock, self._children, self._reported)

    async def _open(self, report: Report) -> Wire:
        options = self._options
        if options.host:
            return await TcpWire.open(options.host, options.port, options.patience, report.count, rtu=options.rtu)
        return await SerialWire.open(self._ports, options.path, options.line, options.patience, report.count)

    def _reading_time(self) -> float:
        """Seconds that reading everything once may take on a serial line."""
        if not self._options.path:
            return 0.0
        registers = sum(row.count for row in self._options.profile.registers)
        requests = 1 + registers // min(MOST, self._options.reading.longest)
        return self._options.line.seconds(2 * registers + 13 * requests) + _TURNAROUND * requests


__all__ = ["ModbusLink"]
