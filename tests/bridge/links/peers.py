"""Scripted equipment on a pseudo-terminal: what stands at the other end of a serial line in these tests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import contextlib
import os
from pathlib import Path
import pty
import tty
from typing import Self

type Script = Callable[[bytes, SerialPeer], Awaitable[bytes | None] | bytes | None]


class SerialPeer:
    """A device on a pty. `answer` maps what it hears (with its carriage return) to what it says.

    `path` is a stable name, as /dev/serial/by-id is: after `hang_up` and `return_` it names the new pty.
    """

    def __init__(self, folder: Path, answers: Mapping[bytes, bytes | None] | None = None, name: str = "tty") -> None:
        self.path = str(folder / name)
        self.answers: dict[bytes, bytes | None] = dict(answers or {})
        self.script: Script | None = None
        """Asked first; what it returns is said, None means silence unless `answers` knows better."""
        self.heard: list[bytes] = []
        self.hears = asyncio.Event()
        self._master = -1
        self._slave = -1
        self._buffer = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.plug_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._master >= 0:
            self.hang_up()

    @property
    def tty(self) -> str:
        """The pty's own name."""
        return os.path.realpath(self.path)

    def plug_in(self) -> None:
        """Appear, under the same name as before."""
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        link = Path(self.path)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        # Held open until the port's owner has it, as a pty whose last user has gone reads as hung up.
        self._slave = slave
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def hang_up(self) -> None:
        """Vanish, as an adapter that is pulled out."""
        asyncio.get_running_loop().remove_reader(self._master)
        Path(self.path).unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def say(self, data: bytes) -> None:
        """Put bytes on the line; what does not fit is lost, as on a line."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    async def until_heard(self, request: bytes, times: int = 1) -> None:
        """Wait until something has been heard so many times."""
        while self.heard.count(request) < times:
            self.hears.clear()
            await self.hears.wait()

    def _readable(self) -> None:
        self._buffer += os.read(self._master, 1024)
        while (end := self._buffer.find(b"\r")) >= 0:
            request = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            self.heard.append(request)
            self.hears.set()
            task = asyncio.create_task(self._respond(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _respond(self, request: bytes) -> None:
        said: bytes | None = None
        if self.script is not None:
            given = self.script(request, self)
            said = given if isinstance(given, bytes | None) else await given
        if said is None:
            said = self.answers.get(request)
        if said and self._master >= 0:
            self.say(said)


STATUS = b"(226.0 195.0 226.0 014 49.0 27.5 30.0 00001001\r"
"""A line-interactive UPS on mains with its beeper on."""


def status(bits: str = "00001001", **fields: str) -> bytes:
    """Make an answer to Q1 with these bits; fields: source, fault, output, load, frequency, battery, temperature."""
    words = {
        "source": "226.0",
        "fault": "195.0",
        "output": "226.0",
        "load": "014",
        "frequency": "49.0",
        "battery": "27.5",
        "temperature": "30.0",
    } | fields
    return f"({' '.join(words.values())} {bits}\r".encode()


MEGATEC: Mapping[bytes, bytes] = {
    b"Q1\r": STATUS,
    b"F\r": b"#220.0 003 024.0 50.0\r",
    b"I\r": b"#ACME POWER      MT1000     V1.23     \r",
}
