"""The two ways to a unit: a TCP connection, and a serial line that other units may share."""

import asyncio
from collections.abc import Callable
import errno
import socket
from typing import Protocol, Self

from ridethrough.links.answer import MalformedError, NoAnswerError
from ridethrough.links.base import LinkError
from ridethrough.links.ports import SerialPorts, SharedPort
from ridethrough.serial_line import LineSettings

from .protocol import Question, find_rtu, find_tcp, rtu_frame, tcp_frame

BUFFER = 4096
"""Bytes kept that are no answer yet; no answer is a tenth as long."""

type Count = Callable[[str, int], None]


class Wire(Protocol):
    """Carries one question at a time."""

    async def ask(self, question: Question) -> bytes:
        """Ask, and return the answer without its frame.

        Raises NoAnswerError, MalformedError when only other things came, LinkError when the connection is gone.
        """

    async def close(self) -> None:
        """Give it up."""


class TcpWire:
    """A connection to a host, with frames as TCP has them or as a serial line behind a converter has them."""

    def __init__(
        self,
        where: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        patience: float,
        count: Count,
        *,
        rtu: bool,
    ) -> None:
        """Use `TcpWire.open` instead."""
        self._where = where
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._count = count
        self._rtu = rtu
        self._transaction = 0
        self._received = b""
        self._doubtful = False

    @classmethod
    async def open(cls, host: str, port: int, patience: float, count: Count, *, rtu: bool) -> Self:
        """Connect. Raises LinkError with a sentence for each reason why that fails."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection(host, port, limit=BUFFER)
        except TimeoutError as error:
            raise NoAnswerError(
                f"{where} cannot be reached within {patience:g} s; is it switched on, and is the address right?"
            ) from error
        except OSError as error:
            raise LinkError(_unreachable(where, host, port, error)) from error
        return cls(where, reader, writer, patience, count, rtu=rtu)

    async def ask(self, question: Question) -> bytes:
        """See `Wire`."""
        if self._rtu and self._doubtful:
            await self._outwait()
        self._transaction = self._transaction % 0xFFFF + 1
        frame = rtu_frame(question) if self._rtu else tcp_frame(self._transaction, question)
        if self._rtu:
            self._received = b""
        seen = 0
        try:
            async with asyncio.timeout(self._patience):
                self._writer.write(frame)
                while (pdu := self._found(question)) is None:
                    data = await self._read()
                    seen += len(data)
                    self._received = (self._received + data)[-BUFFER:]
                return pdu
        except TimeoutError:
            self._doubtful = True
            if not seen:
                raise NoAnswerError(f"{self._where}: no answer to {question}") from None
            heard, self._received = self._received, b""
            raise MalformedError(f"{self._where}: {question} has not been answered as Modbus would", heard) from None
        except OSError as error:
            raise LinkError(f"{self._where}: the connection is lost: {error.strerror or error}") from error

    async def close(self) -> None:
        """See `Wire`; what is still to be sent is dropped."""
        self._writer.transport.abort()

    def _found(self, question: Question) -> bytes | None:
        found = (
            find_rtu(self._received, question)
            if self._rtu
            else find_tcp(self._received, self._transaction, question.unit)
        )
        self._received = found.rest
        if found.strays:
            self._count("malformed", found.strays)
        return found.pdu

    async def _read(self) -> bytes:
        data = await self._reader.read(BUFFER)
        if not data:
            torn = " in the middle of an answer" if self._received else ""
            raise LinkError(f"{self._where} has closed the connection{torn}")
        return data

    async def _outwait(self) -> None:
        """Let a late answer come and go: without transaction numbers it would be taken for that to the next question."""
        self._doubtful = False
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    await self._read()
                    self._count("malformed", 1)
        except TimeoutError:
            self._received = b""


class SerialWire:
    """A part in a serial line."""

    def __init__(self, shared: SharedPort, patience: float, count: Count) -> None:
        """Use `SerialWire.open` instead."""
        self._shared = shared
        self._patience = patience
        self._count = count
        self._doubtful = False

    @classmethod
    async def open(cls, ports: SerialPorts, path: str, line: LineSettings, patience: float, count: Count) -> Self:
        """Own a part in the port. Raises LinkError as `SerialPorts.share` does."""
        return cls(await ports.share(path, line), patience, count)

    async def ask(self, question: Question) -> bytes:
        """See `Wire`."""
        if self._doubtful:
            # A late answer carries no number that tells it from that to the next question.
            await self._shared.port.pause(self._patience)
            self._doubtful = False

        def answer(received: bytes) -> tuple[bytes, int] | None:
            found = find_rtu(received, question)
            return None if found.pdu is None else (found.pdu, found.strays)

        try:
            pdu, strays = await self._shared.port.converse(
                rtu_frame(question), answer, patience=self._patience, longest=5 + question.payload
            )
        except NoAnswerError, MalformedError:
            self._doubtful = True
            raise
        if strays:
            self._count("malformed", strays)
        return pdu

    async def close(self) -> None:
        """See `Wire`; other units keep the line."""
        await self._shared.close()


def _unreachable(where: str, host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"No computer is called {host}; check the spelling, or write its IP address."
    # Of a host with several addresses there are several errors in one.
    if error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return (
            f"{where} refuses the connection; is Modbus over TCP enabled there, is its port {port}, and is no other "
            "master connected that takes the only place?"
        )
    return f"{where} cannot be reached: {error.strerror or error}"


__all__ = ["Count", "SerialWire", "TcpWire", "Wire"]
