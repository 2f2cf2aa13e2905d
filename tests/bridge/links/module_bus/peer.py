"""Modules, sensors and boxes of the open module protocol, written from PROTOCOL.md alone: the other end of a bus."""

import asyncio
from collections.abc import Callable
import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
import pty
import tty
from typing import Self

REQUESTS = {65: 7, 66: 7, 67: 7, 69: 7, 70: 7, 71: 7, 72: 4, 100: 8, 101: 8, 103: 6, 104: 6, 105: 5, 106: 7, 107: 9}


def crc(data: bytes) -> bytes:
    """CRC-16 of Modbus, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def frame(function: int, *parts: int | bytes) -> bytes:
    """Make a frame; numbers are 16 bits."""
    data = b"".join(part if isinstance(part, bytes) else part.to_bytes(2) for part in parts)
    body = bytes((0xF7, function)) + data
    return body + crc(body)


@dataclass
class FakeModule:
    """One module."""

    number: int
    serial: int
    voltage: int = 13500
    temperature: int = 235
    impedance: int = 520
    duty: int = 0
    status: int = 0
    type: int = 12
    hardware: tuple[int, int] = (2, 1)
    firmware: tuple[int, int] = (3, 4)
    calibration: int = 1
    silent: bool = False
    addressing: bool = False
    blinking: bool = False


@dataclass
class FakeBox:
    """One box."""

    inputs: int = 0
    outputs: int = 0
    safe: tuple[int, int, int] | None = None
    silent: bool = False


@dataclass
class FakeBus:
    """What is on one bus; `answer` takes what the master says and returns what is heard of the others."""

    modules: list[FakeModule] = field(default_factory=list)
    sensors: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Number to status, mA, 0.01 A."""
    boxes: dict[int, FakeBox] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    told: list[tuple[int, list[int]]] = field(default_factory=list)
    """Duties: first number and values."""
    measured: list[int] = field(default_factory=list)
    announced: int = 0
    taken: FakeModule | None = None
    spoil: Callable[[bytes], bytes] = lambda data: data
    """What the line does to what is said."""
    echo: bool = False
    dead: bool = False
    deaf: set[int] = field(default_factory=set)
    """Functions that nobody obeys."""
    _rest: bytes = b""

    @classmethod
    def of(cls, count: int, first: int = 1) -> Self:
        """Make so many modules with consecutive numbers."""
        return cls([FakeModule(number, 1000 + number) for number in range(first, first + count)])

    def module(self, number: int) -> FakeModule:
        """Return the first module with a number."""
        return next(module for module in self.modules if module.number == number)

    def press(self, module: FakeModule) -> None:
        """Press the button of a module shortly."""
        module.status |= 0x80
        module.blinking = False
        if module.addressing and module.number == 0 and self.announced:
            module.number, module.addressing = self.announced, False
            self.taken = module

    def hear(self, data: bytes) -> bytes:
        """Take bytes of the master."""
        if self.dead:
            return b""
        said = b""
        self._rest += data
        while len(self._rest) >= 4:
            length = self._length()
            if length is None or len(self._rest) < length:
                break
            request, self._rest = self._rest[:length], self._rest[length:]
            if crc(request[:-2]) != request[-2:]:
                self._rest = b""
                break
            self.asked.append(request)
            answer = b"" if request[1] in self.deaf else self.answer(request)
            said += (request if self.echo else b"") + (self.spoil(answer) if answer else b"")
        return said

    def _length(self) -> int | None:
        function = self._rest[1]
        if function == 68:
            return 7 + self._rest[4] if len(self._rest) > 4 else None
        if function == 102:
            return 9 + self._rest[6] if len(self._rest) > 6 else None
        return REQUESTS[function]

    def answer(self, request: bytes) -> bytes:
        """Say what follows a request."""
        function, data = request[1], request[2:-2]
        word = int.from_bytes(data[:2])
        match function:
            case 65 | 66 | 67:
                return b"".join(self._slot(function, number) for number in range(word, word + data[2]))
            case 68:
                self.told.append((word, list(data[3:])))
                for offset, duty in enumerate(data[3:]):
                    for module in self._having(word + offset):
                        module.duty = duty
            case 69:
                for number in range(word, word + data[2]):
                    self.measured.append(number)
                    for module in self._having(number):
                        module.impedance += 1
                        module.status |= 0x02
            case 70:
                for module in self._having(word):
                    module.blinking = bool(data[2])
                return frame(70, data) if word and self._having(word) else b""
            case 71:
                self.announced, self.taken = word, None
                for module in self.modules:
                    if module.number == 0:
                        module.addressing = word != 0
            case 72:
                return b"" if self.taken is None else frame(72, self.taken.number, self.taken.serial.to_bytes(4))
            case 100:
                changed = self._having(word)
                new = int.from_bytes(data[2:4])
                for module in changed:
                    module.number = new
                return self._collided([frame(100, new, module.serial.to_bytes(4)) for module in changed])
            case 101:
                for module in self.modules:
                    if word <= module.number <= int.from_bytes(data[2:4]):
                        module.number = 0
            case 102:
                return request if word and self._having(word) else b""
            case 103:
                answers = sorted((module.serial % 8, module.serial) for module in self._having(word))
                slots: dict[int, list[bytes]] = {}
                for slot, serial in answers:
                    slots.setdefault(slot, []).append(frame(103, word, serial.to_bytes(4)))
                return b"".join(map(self._collided, slots.values()))
            case 104:
                first, count = data
                return b"".join(
                    frame(
                        104,
                        bytes((number, self.sensors[number][0])),
                        self.sensors[number][1].to_bytes(4, signed=True),
                        self.sensors[number][2],
                    )
                    for number in range(first, first + count)
                    if number in self.sensors
                )
            case 105 | 106 | 107:
                return self._box(function, data)
        return b""

    def _box(self, function: int, data: bytes) -> bytes:
        box = self.boxes.get(data[0])
        if box is None or box.silent:
            return b""
        if function == 107:
            box.safe = data[1], data[2], int.from_bytes(data[3:5])
            return frame(107, data)
        if function == 106:
            box.outputs = box.outputs & ~data[1] | data[2] & data[1]
        return frame(function, bytes((data[0], box.inputs, box.outputs)))

    def _having(self, number: int) -> list[FakeModule]:
        return [module for module in self.modules if module.number == number and not module.silent]

    def _slot(self, function: int, number: int) -> bytes:
        return self._collided([self._said(function, module) for module in self._having(number)])

    @staticmethod
    def _collided(frames: list[bytes]) -> bytes:
        """Two that speak at once spoil one another's frame."""
        return frames[0] if len(frames) == 1 else frames[0][:4] + b"\x55" * (len(frames[0]) - 4) if frames else b""

    @staticmethod
    def _said(function: int, module: FakeModule) -> bytes:
        if function == 66:
            return frame(66, module.number, module.voltage)
        if function == 67:
            return frame(
                67,
                module.number,
                bytes((module.type, *module.hardware, *module.firmware)),
                module.serial.to_bytes(4),
                bytes((module.calibration,)),
            )
        status, module.status = module.status, module.status & ~0xA2
        return frame(
            65,
            module.number,
            status,
            module.voltage,
            module.temperature.to_bytes(2, signed=True),
            module.impedance,
            bytes((module.duty,)),
        )


class Served:
    """A bus behind the raw TCP port of a device server."""

    def __init__(self, bus: FakeBus) -> None:
        self.bus = bus
        self.where = ""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.where = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(self.bus.hear(data))
        self._writers.discard(writer)
        writer.close()


class Terminal:
    """A bus, or one end of it, behind a pseudo-terminal."""

    def __init__(self, path: Path, bus: FakeBus, delay: float = 0.0) -> None:
        self.path = str(path)
        self.bus = bus
        self._delay = delay
        """Seconds for which its adapter gathers bytes."""
        self.other: Terminal | None = None
        """The other end of a ring, which hears everything as well."""

    def close_ring(self, other: Terminal) -> None:
        """Be one end of a ring."""
        self.other, other.other = other, self

    async def __aenter__(self) -> Self:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.symlink(os.ttyname(self._slave), self.path)  # noqa: PTH211  pathlib is held for blocking here
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Vanish, as an adapter that is pulled out."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._slave)
            os.close(self._master)
            self._master = -1

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            asked = os.read(self._master, 4096)
            said = self.bus.hear(asked)
            if self.other is not None:
                self.other._say(asked + said)
            if self._delay and said:
                asyncio.get_running_loop().call_later(self._delay, self._say, said)
            else:
                self._say(said)

    def _say(self, said: bytes) -> None:
        if self._master >= 0:
            os.write(self._master, said)
