"""The Modbus face of a UPS: a card that serves its default register map over TCP, for reading only.

mbpoll -m tcp -a 1 -0 -r 97 -c 54 127.0.0.1

Registers from the manual of such a card (M:8229-8313), by hand: 97-150, and 50000-50079 for sensors and contacts, of
which the simulated UPS has none.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
import socket
import struct
import time

from .dynamics import runtime_left
from .exchange import Exchanges
from .face import LOOPBACK, Place
from .line import SOUND, LineFaults, spoil
from .unit import Unit
from .ups import OffReason, Outcome, Supply, battery_low, gauges, has_fault, is_alive, mains_supply

_HEAD = 7
_MOST = 125
"""Registers that one request may ask for."""
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_PRESENT = (range(97, 151), range(50000, 50080))
_GARBAGE_EVERY = 0.02
_OVERLOAD = 1.0


def registers(unit: Unit, power_failures: int) -> Mapping[int, int]:
    """Give the registers that are not zero now. The only phase is the first one."""
    design, state, inputs = unit.design, unit.state, unit.inputs
    seen = gauges(design, state, inputs)
    shutting_down = state.shutdown_in is not None or state.off_reason is OffReason.SHUTDOWN
    low, overload = battery_low(design, state, inputs), state.output_on and inputs.load > _OVERLOAD
    bypass, hot = state.supply is Supply.BYPASS, state.temperature >= design.overtemperature
    fault, testing = has_fault(design, state, inputs), state.test is not None
    status = {
        0x0001: bypass,
        0x0002: shutting_down,
        0x0004: state.output_on,
        0x0008: state.on_battery,
        0x0010: low,
        0x0020: hot,
        0x0040: testing,
        0x0100: overload,
        0x2000: fault,
    }
    alarms = {
        116: state.on_battery,
        117: low,
        119: hot,
        120: mains_supply(design, inputs) is None,
        122: overload,
        123: bypass,
        125: state.off_reason is OffReason.SHUTDOWN,
        127: inputs.faults.charger,
        128: not state.output_on,
        130: inputs.faults.fan,
        132: fault,
        133: state.outcome is Outcome.FAILED,
        136: state.shutdown_in is not None,
        138: testing,
    }
    measured = {
        97: seen.output_voltage,
        100: seen.load * 100.0,
        103: state.charge * 100.0,
        104: seen.input_voltage,
        107: seen.temperature,
        108: min(runtime_left(design, state, inputs) / 60.0, 32767.0),
        110: seen.battery_voltage,
        111: seen.frequency,
        114: power_failures,
    }
    return {
        109: sum(bit for bit, is_set in status.items() if is_set),
        **{address: int(active) for address, active in alarms.items()},
        **{address: round(value) & 0xFFFF for address, value in measured.items()},
    }


class ModbusPeer:
    """A Modbus server on a TCP port. It answers to every unit number, one request after the other."""

    def __init__(self, unit: Unit, catch_up: Callable[[], None], place: Place, seed: int = 1) -> None:
        """Answer for `unit` at the place's address, a free port of the loopback if there is none.

        `catch_up` is called before each answer.
        """
        self._unit = unit
        self._catch_up = catch_up
        self._host, self._port = place.address or (LOOPBACK, 0)
        self.faults: LineFaults = SOUND
        self.exchanges = Exchanges()
        self.requests = self.ignored = self.lost_bytes = 0
        self._chance = Random(seed)
        self._plugged = True
        self._open = False
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._power_failures = 0
        self._failed = False

    @property
    def where(self) -> str | None:
        """Host and port; None while its cable is pulled."""
        if self._listener is None:
            return None
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def plugged(self) -> bool:
        """Whether its cable is plugged in."""
        return self._plugged

    def open(self) -> None:
        """Listen, unless it is to begin unplugged. Raises OSError when the address is taken or none of ours."""
        self._open = True
        self.set_plugged(self._plugged)

    def close(self) -> None:
        """Stop listening, and drop every client."""
        self._open = False
        self._unplug()

    def set_plugged(self, plugged: bool) -> None:
        """Pull the cable or put it back; before `open` it says how to begin. Raises OSError as `open` does."""
        self._plugged = plugged
        if not plugged:
            self._unplug()
        elif self._open and self._listener is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._listener = socket.create_server((self._host, self._port), family=family)
            self._port = self._listener.getsockname()[1]

    def look(self) -> None:
        """Count the power failures."""
        failed = mains_supply(self._unit.design, self._unit.inputs) is None
        self._power_failures += failed and not self._failed
        self._failed = failed

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                listener = self._listener
                if listener is not None and self._server is None:
                    # Known before it serves: the cable may be pulled while it begins.
                    self._server = await asyncio.start_server(self._welcome, sock=listener, start_serving=False)
                    await self._server.start_serving()
                self._flood()
                await asyncio.sleep(_GARBAGE_EVERY)
        finally:
            self._unplug()

    def answer(self, request: bytes) -> bytes:
        """Answer a request, header included; b"" when there is no answer."""
        unit = self._unit
        if not is_alive(unit.design, unit.state, unit.inputs):
            return b""
        function, data = request[_HEAD], request[_HEAD + 1 :]
        error = _ILLEGAL_FUNCTION
        if function in (3, 4):
            address, count = struct.unpack(">HH", data) if len(data) == 4 else (0, 0)
            span = range(address, address + count)
            if not 1 <= count <= _MOST:
                error = _ILLEGAL_VALUE
            elif not any(span[0] in present and span[-1] in present for present in _PRESENT):
                error = _ILLEGAL_ADDRESS
            else:
                now = registers(unit, self._power_failures)
                words = struct.pack(f">{count}H", *(now.get(register, 0) for register in span))
                return _framed(request, bytes([function, len(words)]) + words)
        return _framed(request, bytes([function | 0x80, error]))

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[writer] = task
        try:
            await self._serve(reader, writer)
        finally:
            del self._clients[writer]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(_HEAD)
                length = int.from_bytes(head[4:6])
                if head[2:4] != b"\x00\x00" or not 2 <= length <= 254:
                    self.ignored += 1
                    break
                request = head + await reader.readexactly(length - 1)
                received_at = time.time()
                self.requests += 1
                await asyncio.sleep(self.faults.delay)
                self._catch_up()
                self.look()
                answer = self.answer(request)
                answer = b"" if self.faults.silent else spoil(answer, self.faults, self._chance)
                if self.faults.echo:
                    answer = request + answer
                writer.write(answer)
                await writer.drain()
                self.exchanges.add(request, answer, received_at, time.time() if answer else None)

    def _flood(self) -> None:
        if self.faults.flood:
            for writer in self._clients:
                writer.write(self._chance.randbytes(16))

    def _unplug(self) -> None:
        if self._server is not None:
            self._server.close()
        elif self._listener is not None:
            self._listener.close()
        self._server = self._listener = None
        for writer, task in self._clients.items():
            task.cancel()
            writer.transport.abort()


def _framed(request: bytes, pdu: bytes) -> bytes:
    return request[:4] + (len(pdu) + 1).to_bytes(2) + request[6:_HEAD] + pdu
