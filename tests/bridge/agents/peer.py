"""An agent as `bridge/agent/PROTOCOL.md` has it, played for tests: real TLS on a real port, and bad manners to order.

It shares no code with the bridge's side nor with the real agent.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
import secrets
import socket
import ssl
import struct
import time
from typing import Any

type Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Papers:
    """What an agent gets when it is paired."""

    ca: bytes
    certificate: bytes
    key: bytes

    def context(self, folder: Path) -> ssl.SSLContext:
        """Make what an agent serves with."""
        file = folder / f"papers-{secrets.token_hex(4)}.pem"
        file.write_bytes(self.key + self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.ca.decode())
        context.load_cert_chain(file)
        return context


@dataclass
class Peer:
    """One agent. What it does wrong is set by tests."""

    id: str
    papers: Papers
    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    greeting: Frame = field(default_factory=dict)
    """Put over what its hello says."""
    state: Frame = field(default_factory=lambda: {"state": "up"})
    silent: bool = False
    """Whether it has stopped to answer, without ending anything."""
    deaf_to: frozenset[str] = frozenset()
    """Verbs that it never answers."""
    mute: bool = False
    """Whether it never greets."""
    clock_ahead: float = 0.0
    refuse_old: bool = False
    """Whether it checks the clock of commands."""
    answer: Callable[[Frame], Frame] | None = None
    """What it answers to a command, in place of `ok`."""
    frames: list[Frame] = field(default_factory=list)
    """What it has been told."""
    connections: int = 0
    names: list[str | None] = field(default_factory=list)
    """Server names by which it was called."""
    seq: int = 0
    session: str = ""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def clock(self) -> float:
        """Its own monotonic clock."""
        return time.monotonic() + 1000.0 + self.clock_ahead

    @property
    def commands(self) -> list[Frame]:
        """The commands among what it has been told."""
        return [frame for frame in self.frames if frame["type"] == "command"]

    @property
    def pings(self) -> list[Frame]:
        """The signs of life among what it has been told."""
        return [frame for frame in self.frames if frame["type"] == "ping"]

    async def start(self) -> None:
        """Listen; on the same port as before."""
        context = self.papers.context(self.folder)
        context.sni_callback = lambda _connection, name, _context: self.names.append(name)
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=context, limit=1 << 16)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer, and end what is connected, as a computer that is switched off in order does."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    def drop(self) -> None:
        """End the connections at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def say(self, *frames: Frame | bytes) -> None:
        """Say something unasked."""
        for writer in list(self._writers):
            for frame in frames:
                writer.write(frame if isinstance(frame, bytes) else json.dumps(frame).encode() + b"\n")
            with suppress(ConnectionError):
                await writer.drain()

    async def become(self, state: str, **more: object) -> None:
        """Be in another state, and say so."""
        self.state = {"state": state, "since": self.clock, **more}
        await self.say({"type": "state", "state": self.state})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        self.session = secrets.token_hex(16)
        hello = {
            "type": "hello",
            "protocol": 1,
            "agent": self.id,
            "name": "nas.local",
            "version": "1.0.0",
            "system": "Linux 6.1",
            "session": self.session,
            "clock": self.clock,
            "seq": self.seq,
            "programs": ["stop-database"],
            "state": self.state,
            **self.greeting,
        }
        try:
            if not self.mute:
                writer.write(json.dumps(hello).encode() + b"\n")
            async for line in reader:
                frame = json.loads(line)
                self.frames.append(frame)
                if not self.silent:
                    self._answer(writer, frame)
        except ConnectionError, ValueError, ssl.SSLError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, frame: Frame) -> None:
        if frame["type"] == "ping":
            writer.write(json.dumps({"type": "pong", "clock": self.clock}).encode() + b"\n")
        elif frame["type"] == "command" and frame["verb"] not in self.deaf_to:
            writer.write(json.dumps({"type": "result", "id": frame["id"], **self._result(frame)}).encode() + b"\n")

    def _result(self, frame: Frame) -> Frame:
        if frame["session"] != self.session or frame["seq"] <= self.seq:
            return {"ok": False, "code": "repeated", "message": "The command was repeated."}
        if self.refuse_old and abs(frame["clock"] - self.clock) > 30:
            return {"ok": False, "code": "old", "message": f"The command is {self.clock - frame['clock']:.0f} s old."}
        self.seq = frame["seq"]
        return {"ok": True, "message": f"{frame['verb']} it is."} if self.answer is None else self.answer(frame)


async def pair(host: str, listens: int, code: str, **more: object) -> Frame:
    """Be an agent that is given a code: find out whether it is the right bridge, then ask to be paired."""
    reader, writer = await _approach(host, listens, code, **more)
    try:
        line = await asyncio.wait_for(reader.readline(), 10)
        found: Frame = json.loads(line) if line else {}
        return found
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def break_off(host: str, port: int, code: str) -> None:
    """Be an agent that is given a code and whose network breaks before it hears the answer."""
    _, writer = await _approach(host, port, code)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # it is one that reads, too
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.1)
    writer.transport.abort()


async def _approach(
    host: str, listens: int, code: str, **more: object
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = decode(code)
    reader, writer = await asyncio.open_connection(host, listens, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if hashlib.sha256(shown).digest()[:10] != raw[5:]:
        writer.close()
        raise ValueError("this is not the bridge that has given the code")
    frame = {"type": "pair", "protocol": 1, "secret": raw[:5].hex(), "name": "nas.local", "port": 6004}
    writer.write(json.dumps({**frame, "version": "1.0.0", **more}).encode() + b"\n")
    return reader, writer


def encode(raw: bytes) -> str:
    """Write a code."""
    return base64.b32encode(raw).decode()


def decode(code: str) -> bytes:
    """Read a code as a person types it."""
    import base64

    return base64.b32decode(code.replace("-", "").replace(" ", "").upper())


async def until(
    condition: Callable[[], object], seconds: float = 5.0, also: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Wait until something is so; `also` is done again and again meanwhile, e.g. to let time pass."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        if also is not None:
            await also()
        await asyncio.sleep(0.005)
