"""Starts programs: no shell, nothing of what a stranger sent among the arguments, bounded in time and output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import subprocess
import threading
from typing import Any

from .systems import WINDOWS, environment, program_fault
from .texts import clean

OUTPUT = 2000
"""Bytes of output that are kept; the rest is read and thrown away, so that the program never waits for a reader."""
GRACE = 5.0
"""Seconds between asking a program to end and ending it."""


class ProgramError(Exception):
    """A program cannot be started; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int | None
    """Its exit code (negative: the signal that ended it), or nothing when it had to be killed for its time."""
    output: str

    @property
    def well(self) -> bool:
        """Whether it ended by itself with success."""
        return self.code == 0

    def __str__(self) -> str:
        """Describe it for the log."""
        how = "took too long and was ended" if self.code is None else f"ended with {self.code}"
        return f"{how}: {self.output}" if self.output else how


class Run:
    """One run of a program. A thread attends to it, so that neither a slow disk nor a hanging program holds up the loop."""

    def __init__(
        self,
        command: Sequence[str],
        timeout: float,
        text: str | None = None,
        user: tuple[int, int] | None = None,
        extra: dict[str, str] | None = None,
    ) -> None:
        """Prepare to run `command` for at most `timeout` seconds with `text` on its standard input.

        `user` is the uid and gid under which it runs, `extra` goes into its environment.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._command = list(command)
        self._timeout = timeout
        self._text = text
        self._user = user
        self._extra = extra or {}
        self._given_up = False
        """Refused meanwhile: it must not start after all when the disk answers at last."""
        self._started: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[Outcome] = loop.create_future()
        """Done when the program has ended; never raises."""

    async def start(self) -> None:
        """Start it; raises `ProgramError` when that fails. A disk that hangs does not make us wait for ever."""
        threading.Thread(target=self._attend, name=self._command[0], daemon=True).start()
        try:
            await asyncio.wait_for(asyncio.shield(self._started), GRACE)
        except asyncio.TimeoutError:
            self._given_up = True
            raise ProgramError(f"{self._command[0]} cannot be started: the disk hangs") from None

    def _tell(self, future: asyncio.Future[Any], value: Any) -> None:
        def tell() -> None:
            if future.cancelled():
                return
            if isinstance(value, Exception):
                future.set_exception(value)
            else:
                future.set_result(value)

        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(tell)

    def _attend(self) -> None:
        try:
            process = self._open()
        except (OSError, ValueError, subprocess.SubprocessError, ProgramError) as error:
            self._tell(self._started, ProgramError(str(error)))
            return
        self._tell(self._started, None)
        kept = bytearray()
        feeder = threading.Thread(target=self._feed, args=(process,), daemon=True)
        reader = threading.Thread(target=_drain, args=(process, kept), daemon=True)
        feeder.start()
        reader.start()
        try:
            code: int | None = process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            code = None
            _end(process)
        # A child of the program may hold its output open; that is no reason to wait.
        reader.join(0.5)
        output = clean(bytes(kept).decode("utf-8", "replace"), OUTPUT)
        self._tell(self.ended, Outcome(code, output))

    def _open(self) -> subprocess.Popen[bytes]:
        fault = program_fault(self._command[0])
        if fault is not None or self._given_up:
            raise ProgramError(fault or "given up")
        special: dict[str, Any] = {}
        if WINDOWS:
            special["creationflags"] = 0x0800_0000 | 0x0000_0200  # no window, a group of its own
        else:
            special["start_new_session"] = True
            if self._user is not None and self._user[0] != os.geteuid():
                special.update(user=self._user[0], group=self._user[1], extra_groups=[])
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE if self._text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment(), **self._extra},
            cwd=Path(os.sep).resolve(),
            **special,
        )

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None and self._text is not None:
            with contextlib.suppress(OSError), process.stdin:
                process.stdin.write(self._text.encode("utf-8", "replace") + b"\n")


def _drain(process: subprocess.Popen[bytes], kept: bytearray) -> None:
    if process.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError), process.stdout:
        while part := os.read(process.stdout.fileno(), 4096):
            kept += part[: max(0, OUTPUT - len(kept))]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: first politely, then surely."""
    for way in ("SIGTERM", "SIGKILL"):
        with contextlib.suppress(OSError):
            if WINDOWS:
                process.kill()
            else:
                os.killpg(process.pid, getattr(signal, way))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            if WINDOWS:
                return
    process.poll()


__all__ = ["GRACE", "OUTPUT", "Outcome", "ProgramError", "Run"]
