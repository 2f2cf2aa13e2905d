"""A BACS web manager on pymodbus' server: its registers are worked out here from the manual (M:11154), not from our map."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Self

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

FIRST, LAST = 1000, 4515
NOT_SUPPORTED = -1


def module(number: int) -> int:
    """Give the address of a module's temperature; voltage, impedance, flags and balancing follow (M:11213, M:11311)."""
    return 1060 + 5 * (number - 1) if number <= 330 else 2740 + 5 * (number - 331)


def string(number: int) -> int:
    """Give the address of a string's current (M:11168, M:11289)."""
    return 1010 + 5 * (number - 1) if number <= 10 else 2710 + 5 * (number - 11)


def charge(number: int) -> int:
    """Give the address of a module's charge (M:11409)."""
    return 4003 + number


def empty() -> dict[int, int]:
    """Give the registers of a manager that supports none."""
    return dict.fromkeys(range(FIRST, LAST + 1), NOT_SUPPORTED)


def fleet(modules: int, strings: int) -> dict[int, int]:
    """Give the registers of a manager at rest: module n has 12.000 V + n mV, 25 °C and 4.00 mΩ + n/100."""
    registers = empty() | {1000: 0x0043, 1001: 0, 1002: 0, 1003: strings, 1004: modules, 1005: 0}
    for number in range(1, strings + 1):
        values = (-100 - number, 5400 + number, 13500 + number, 10 + number)
        for offset, value in enumerate(values):
            if number <= 10 or offset in (0, 3):
                registers[string(number) + offset] = value
    for number in range(1, modules + 1):
        for offset, value in enumerate((0x80, 12000 + number, 400 + number, 0, number % 101)):
            registers[module(number) + offset] = value
        registers[charge(number)] = 100 - number % 50
    return registers


class Manager:
    """Serves registers on a free port of the loopback, and keeps what was asked."""

    def __init__(self, registers: Mapping[int, int], *, last: int = LAST, port: int = 0) -> None:
        self.registers = dict(registers)
        self.asked: list[tuple[int, int, int]] = []
        """Function, address and count of each request."""
        self.silent = False
        self.delay = 0.0
        """Seconds that it takes for each answer."""
        self.port = port
        self._last = last
        self._server: ModbusTcpServer | None = None

    async def __aenter__(self) -> Self:
        words = [0] * (self._last + 1 - FIRST)
        device = SimDevice(1, SimData(FIRST, values=words, datatype=DataType.REGISTERS), action=self._asked)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port), trace_packet=self._sent)
        await self._server.serve_forever(background=True)
        transport = self._server.transport
        assert isinstance(transport, asyncio.Server)
        self.port = transport.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus has no types there

    @property
    def url(self) -> str:
        return f"bacs://127.0.0.1:{self.port}/1?poll=0.1&timeout=1"

    def requests(self) -> Iterator[tuple[int, int]]:
        """Give the first and the last address of each request."""
        for _, address, count in self.asked:
            yield address, address + count - 1

    async def _asked(
        self, function: int, start: int, address: int, count: int, registers: list[int], _values: object
    ) -> ExcCodes | None:
        self.asked.append((function, address, count))
        await asyncio.sleep(self.delay)
        for offset in range(count):
            if address + offset in self.registers:
                registers[address - start + offset] = self.registers[address + offset] & 0xFFFF
        return None

    def _sent(self, sending: bool, packet: bytes) -> bytes:
        return b"" if sending and self.silent else packet
