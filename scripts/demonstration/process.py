"""A child process with a log file: started, waited for, stopped, killed, started again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import os
from pathlib import Path
import signal

TAIL = 30
"""Lines of its log that are shown when a process fails."""


class ProcessFailed(Exception):
    """A process ended or did not get ready; the message holds the end of its log."""


class Process:
    """One program of the demonstration, in a process group of its own."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Say what to run; `start` runs it."""
        self.name = name
        self.command = list(command)
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Run it; its output goes to the log file."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    async def wait_until(self, ready: Callable[[str], bool], seconds: float) -> str:
        """Wait for something in the log written since the last start; return the log's text.

        Raises ProcessFailed when the process ends first or the time is up.
        """
        begin = asyncio.get_running_loop().time()
        while True:
            text = self.log.read_text(errors="replace") if self.log.exists() else ""
            if ready(text):
                return text
            if not self.running:
                raise ProcessFailed(f"{self.name} ended before it was ready:\n{self.tail()}")
            if asyncio.get_running_loop().time() - begin > seconds:
                raise ProcessFailed(f"{self.name} was not ready after {seconds:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.05)

    def tail(self) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-TAIL:])

    async def stop(self, seconds: float = 20.0) -> None:
        """Ask it to end; kill it and what it started when it does not within `seconds`."""
        if self._process is None or not self.running:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is None or not self.running:
            return
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def pause(self) -> None:
        """Let it stand still, as one that hangs does; it can still be killed."""
        if self.running:
            self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return
