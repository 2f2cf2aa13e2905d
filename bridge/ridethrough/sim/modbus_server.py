"""A Modbus server on a TCP port, for whoever has registers: connections, headers and refusals."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
import socket
import struct
import time

from .exchange import Exchanges
from .face import LOOPBACK, Place
from .line import SOUND, LineFaults, spoil

_HEAD = 7
_MOST = 125
"""Registers that one request may ask for."""
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_GARBAGE_EVERY = 0.02


class ModbusServer:
    """Answers to every unit number, one request after the other. Subclasses say what stands in the registers."""

    def __init__(self, place: Place, seed: int = 1) -> None:
        """Listen at the place's address, on a free port of the loopback if there is none."""
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

    def prepare(self) -> bool:
        """Bring the registers up to date before an answer; whether there is anybody to answer."""
        raise NotImplementedError

    def registers(self, span: range) -> Sequence[int] | None:
        """Give these registers, 0–65535 each; None if one of them does not exist."""
        raise NotImplementedError

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
        if not self.prepare():
            return b""
        function, data = request[_HEAD], request[_HEAD + 1 :]
        error = _ILLEGAL_FUNCTION
        if function in (3, 4):
            address, count = struct.unpack(">HH", data) if len(data) == 4 else (0, 0)
            if not 1 <= count <= _MOST:
                error = _ILLEGAL_VALUE
            elif (found := self.registers(range(address, address + count))) is None:
                error = _ILLEGAL_ADDRESS
            else:
                words = struct.pack(f">{count}H", *found)
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
