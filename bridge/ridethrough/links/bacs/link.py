"""The links to a BACS web manager: `bacs://host:502/1` by Modbus, `bacs+snmp://host` by SNMP."""

from collections.abc import Mapping
from typing import ClassVar

from ridethrough.links.base import CommandError, CommandResult, Credentials, LinkUrl, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.modbus import ModbusLink
from ridethrough.links.modbus.options import OPTIONS, ModbusOptions, assemble
from ridethrough.links.option import Option, Options, number
from ridethrough.links.snmp import SnmpLink
from ridethrough.links.snmp.agent import Agent
from ridethrough.links.snmp.options import OPTIONS as SNMP_OPTIONS
from ridethrough.maps.registers import load_profile
from ridethrough.site import Value

from .session import BLOCKS, BacsSession

_OTHERWISE = {
    "poll": number("poll", "how often its state is asked", 0.1, 60, default=2, unit="s"),
    "longest": number("longest", "registers that one request may read", 1, 125, default=125),
}
"""Options of Modbus that are different here: the blocks make 5 registers each, so that 125 hold 25 of them."""
_LEFT_OUT = frozenset({"profile", "map", "phases"})


class BacsLink(ModbusLink):
    """Reads a web manager by the registers 1000–4515; everything else is as with any device on Modbus."""

    scheme: ClassVar[str] = "bacs"
    title: ClassVar[str] = "BACS web manager (Modbus)"
    example: ClassVar[str] = "bacs://192.0.2.10:502/1"
    kind: str = "battery_system"
    judges: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = tuple(
        _OTHERWISE.get(option.name, option) for option in OPTIONS if option.name not in _LEFT_OUT
    )

    def _understand(self, url: LinkUrl) -> ModbusOptions:
        return assemble(url, Options(self.scheme, self.options, url.options), load_profile("bacs"), self.example)


class BacsSnmpLink(SnmpLink):
    """Reads a web manager by the objects below mib-2.33.5; how it is reached is as with any card on SNMP."""

    scheme: ClassVar[str] = "bacs+snmp"
    title: ClassVar[str] = "BACS web manager (SNMP)"
    example: ClassVar[str] = "bacs+snmp://192.0.2.10"
    kind = "battery_system"
    kind_is_certain: ClassVar[bool] = True
    judges: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = tuple(option for option in SNMP_OPTIONS if option.name != "mib")

    def __init__(self, url: LinkUrl, credentials: Credentials, context: LinkContext) -> None:
        """See `SnmpLink`."""
        super().__init__(url, credentials, context)
        self.deadline = max(self.deadline, 3 * BLOCKS + self.deadline)

    def _begin_session(self, agent: Agent, address: str, report: Report) -> BacsSession:
        return BacsSession(agent, self._options, self._context.clock, report, self._context.layout, self._wait)

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Refuse: a web manager is only read. Raises CommandError."""
        raise CommandError("unknown_command", "A BACS web manager is only read; its own page gives it commands.")


__all__ = ["BacsLink", "BacsSnmpLink"]
