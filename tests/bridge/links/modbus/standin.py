"""A scripted Modbus device on a socket: it has the registers it is given, and does wrong what a test wants it to."""

import asyncio
from collections.abc import Callable, Mapping
import struct
from typing import Self

type Script = Callable[[Heard], bytes | None]

STATUS = 109
ONE_PHASE: Mapping[int, int] = dict.fromkeys(range(97, 151), 0) | {
    97: 230,  # OUTPUT_VOLT0
    100: 42,  # OUTP0WER0
    103: 87,  # BATTCAP
    104: 228,  # INVOLT0
    107: 0xFFFB,  # TEMPDEG: -5
    108: 15,  # AUTONOMTIME, minutes
    STATUS: 4,
    110: 54,  # BATTVOLT
    111: 50,  # INFREQ0
    114: 7,  # CNT_PF
}
"""The cards' default map (manual M:8240-8313) of a UPS with one phase on mains."""


class Heard:
    """A question, taken apart by hand."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.transaction, self.unit = frame[:2], frame[6]
        self.function, self.address, self.count = struct.unpack(">BHH", frame[7:12])

    def answer(self, pdu: bytes, *, transaction: bytes | None = None, unit: int | None = None) -> bytes:
        """Frame an answer."""
        head = self.transaction if transaction is None else transaction
        number = self.unit if unit is None else unit
        return head + b"\x00\x00" + (len(pdu) + 1).to_bytes(2) + bytes([number]) + pdu

    def values(self, words: list[int]) -> bytes:
        """Word an answer."""
        return bytes([self.function, 2 * len(words)]) + b"".join(word.to_bytes(2) for word in words)

    def bits(self, bits: list[int]) -> bytes:
        """Word an answer about coils."""
        number = sum(bool(bit) << position for position, bit in enumerate(bits))
        data = number.to_bytes((len(bits) + 7) // 8, "little")
        return bytes([self.function, len(data)]) + data

    def exception(self, code: int) -> bytes:
        """Refuse."""
        return self.answer(bytes([self.function | 0x80, code]))


class Standin:
    """A device on a free port of the loopback."""

    def __init__(self, registers: Mapping[int, int]) -> None:
        self.registers = dict(registers)
        self.script: Script | None = None
        """Asked first; None leaves it to the registers, b"" is silence."""
        self.heard: list[Heard] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Its link, asked often and given up soon."""
        return f"modbus://127.0.0.1:{self.port}/1?poll=0.1&timeout=0.2"

    def hang_up(self) -> None:
        """Drop every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def answer(self, heard: Heard) -> bytes:
        """Answer from the registers; exception 2 if one of them is not there."""
        span = range(heard.address, heard.address + heard.count)
        if any(address not in self.registers for address in span):
            return heard.exception(2)
        words = [self.registers[address] for address in span]
        return heard.answer(heard.bits(words) if heard.function in (1, 2) else heard.values(words))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                heard = Heard(await reader.readexactly(12))
                self.heard.append(heard)
                said = None if self.script is None else self.script(heard)
                writer.write(self.answer(heard) if said is None else said)
        except asyncio.IncompleteReadError, ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
