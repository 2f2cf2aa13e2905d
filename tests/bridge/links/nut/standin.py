"""A scripted upsd: says what a test wants, and what no real upsd would say."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
import ssl
from typing import Self

from ridethrough.links.nut.protocol import split

type Script = Callable[[str], bytes | None]

ONLINE: Mapping[str, str] = {
    "device.mfr": "ACME",
    "device.model": "Rack 3000",
    "driver.name": "usbhid-ups",
    "battery.charge": "100",
    "input.voltage": "230.1",
    "ups.delay.shutdown": "20",
    "ups.status": "OL CHRG",
}


def listing(query: str, rows: list[str]) -> bytes:
    """Make the answer to LIST."""
    return "\n".join([f"BEGIN LIST {query}", *rows, f"END LIST {query}", ""]).encode()


class StandIn:
    """Answers like upsd, out of plain attributes. `script` is asked first; what it returns is said instead."""

    def __init__(self, variables: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None) -> None:
        self.variables = dict(ONLINE if variables is None else variables)
        self.writable: set[str] = set()
        self.commands: list[str] = []
        self.names = ["ups1"]
        self.script: Script = lambda request: None
        self.outcomes: list[str] = []
        """What GET TRACKING says, one after another; the last one for ever. Empty: this upsd cannot track."""
        self.context = context
        self.heard: list[str] = []
        self.connections = 0
        self.port = 0
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()

    async def listen(self) -> None:
        """Begin, or begin again on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def vanish(self) -> None:
        """Break all connections and take no new ones."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def until_heard(self, request: str, times: int = 1) -> None:
        """Wait until a request that begins so has come so many times."""
        async with self._changed, asyncio.timeout(10):
            await self._changed.wait_for(lambda: sum(line.startswith(request) for line in self.heard) >= times)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = line.decode().strip()
            self.heard.append(request)
            async with self._changed:
                self._changed.notify_all()
            said = self.script(request)
            writer.write(self._answer(request) if said is None else said)
            await writer.drain()
            if request == "STARTTLS" and self.context is not None:
                await writer.start_tls(self.context)

    def _answer(self, request: str) -> bytes:
        match split(request):
            case ["VER"]:
                return b"Network UPS Tools upsd 2.8.0 - http://www.networkupstools.org/\n"
            case ["NETVER"]:
                return b"1.3\n"
            case ["STARTTLS"]:
                return b"ERR FEATURE-NOT-CONFIGURED\n" if self.context is None else b"OK STARTTLS\n"
            case ["USERNAME" | "PASSWORD", _]:
                return b"OK\n"
            case ["SET", "TRACKING", "ON"]:
                return b"OK\n" if self.outcomes else b"ERR UNKNOWN-COMMAND\n"
            case ["GET", "TRACKING", _]:
                return f"{self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]}\n".encode()
            case ["LIST", "UPS"]:
                return listing("UPS", [f'UPS {name} "A UPS"' for name in self.names])
            case ["LIST", _, name] if name not in self.names:
                return b"ERR UNKNOWN-UPS\n"
            case ["LIST", "VAR", name]:
                return listing(
                    f"VAR {name}", [f"VAR {name} {key} {_quoted(value)}" for key, value in self.variables.items()]
                )
            case ["LIST", "RW", name]:
                return listing(f"RW {name}", [f'RW {name} {key} ""' for key in sorted(self.writable)])
            case ["LIST", "CMD", name]:
                return listing(f"CMD {name}", [f"CMD {name} {command}" for command in self.commands])
            case ["GET", "VAR", name, key] if key in self.variables:
                return f"VAR {name} {key} {_quoted(self.variables[key])}\n".encode()
            case ["SET", "VAR", _, key, value]:
                self.variables[key] = value
                return self._done()
            case ["INSTCMD", *_]:
                return self._done()
            case ["LOGOUT"]:
                return b"OK Goodbye\n"
        return b"ERR INVALID-ARGUMENT\n"

    def _done(self) -> bytes:
        return b"OK TRACKING 2DDC5036-F665\n" if self.outcomes else b"OK\n"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
