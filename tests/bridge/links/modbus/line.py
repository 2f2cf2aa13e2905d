"""An RS-485 line made of pseudo-terminals: one for the master, one for each unit; all hear what one of them says."""

import asyncio
from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import pty
import tty
from typing import Self

type Corrupt = Callable[[bytes], bytes]


class Rs485Line:
    """`master` is the port of the bridge, `units` are those of the devices."""

    def __init__(self, folder: Path, units: int) -> None:
        self.master = str(folder / "master")
        self.units = [str(folder / f"unit{number}") for number in range(1, units + 1)]
        self.corrupt: Corrupt = lambda data: data
        """What the line does to what the units say."""
        self.asked: Callable[[bytes], None] = lambda data: None
        """Told what the master says."""
        self.echo = False
        """Whether the master hears itself, as with many adapters."""
        self._ends: dict[str, int] = {}
        self._descriptors: list[int] = []

    async def __aenter__(self) -> Self:
        for name in (self.master, *self.units):
            end, terminal = pty.openpty()
            tty.setraw(terminal)
            os.symlink(os.ttyname(terminal), name)  # noqa: PTH211  pathlib is held for blocking here
            os.set_blocking(end, False)
            # The terminal stays open until its user has it: one whose last user has gone reads as hung up.
            self._descriptors += [end, terminal]
            self._ends[name] = end
            asyncio.get_running_loop().add_reader(end, self._carry, name)
        return self

    async def __aexit__(self, *_: object) -> None:
        for end in self._ends.values():
            asyncio.get_running_loop().remove_reader(end)
        for descriptor in self._descriptors:
            os.close(descriptor)

    def say(self, data: bytes) -> None:
        """Put bytes on the line that no unit has sent."""
        self._write(self.master, data)

    def _carry(self, name: str) -> None:
        try:
            data = os.read(self._ends[name], 1024)
        except OSError:
            return
        if name == self.master:
            self.asked(data)
        else:
            data = self.corrupt(data)
        for other in self._ends:
            if other != name or (self.echo and name == self.master):
                self._write(other, data)

    def _write(self, name: str, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._ends[name], data)
