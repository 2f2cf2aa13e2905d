"""Real shutdown agents on loopback addresses, each a process of its own that can go "down" and be started again.

    agent = ShutdownAgent(folder / "nas", "127.0.0.31")
    await agent.pair("127.0.0.1", port, code)     what a person types on that computer
    agent.start()
    …
    await agent.until_down()                       its shutdown command has run: the process is dead
    agent.start()                                  the computer has been started again

Its shutdown command is a small script that notes the time and kills the agent, as the real one would. Uses only the
standard library, so that a script may use it as well.
"""

import asyncio
from collections.abc import Callable, Mapping
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

SOURCES = Path(__file__).parent.parent.parent / "bridge" / "agent"
PATIENCE = 15.0


def free_port(address: str) -> int:
    """Find a TCP port that is free on `address`."""
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


async def until(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so; a test that waits in vain says for what."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"not within {patience} s: {what}"
        await asyncio.sleep(0.02)


class ShutdownAgent:
    """One agent. `sections` are further sections, or further lines of sections, of its configuration."""

    def __init__(
        self,
        folder: Path,
        address: str = "127.0.0.1",
        port: int | None = None,
        *,
        sections: Mapping[str, str] | None = None,
        going_down: float = 0.0,
        python: str = sys.executable,
        program: tuple[str, ...] = ("-m", "ridethrough_agent"),
        environment: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        """Prepare an agent below `folder`; `going_down` are the seconds that its shutdown takes."""
        self.folder = folder
        self.address = address
        self.port = free_port(address) if port is None else port
        self.state = folder / "state"
        self.log_file = folder / "agent.log"
        self.downs_file = folder / "downs"
        self.configuration = folder / "agent.ini"
        self._command = [python, *program]
        self._environment = {**os.environ, "PYTHONPATH": str(SOURCES), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "shutdown"
        script.write_text(f"#!/bin/sh\nsleep {going_down}\ndate +%s.%N >> {self.downs_file}\nkill -KILL $PPID\n")
        script.chmod(0o755)
        rows = {
            "agent": f"name = {name or folder.name}\nlisten = {address}\nport = {self.port}\n"
            f"state = {self.state}\nlog = {self.log_file}\n",
            "shutdown": f"command = {script}\n",
            "messages": "show = no\n",
        }
        for section, lines in (sections or {}).items():
            # What is given takes the place of the same option above.
            given = {line.split("=")[0].strip() for line in lines.splitlines() if line[:1].strip()}
            kept = [line for line in rows.get(section, "").splitlines() if line.split("=")[0].strip() not in given]
            rows[section] = "\n".join([*kept, lines.rstrip("\n"), ""])
        self.configuration.write_text("".join(f"[{section}]\n{lines}\n" for section, lines in rows.items()))
        self.configuration.chmod(0o600)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command with these arguments until it ends."""
        command = [*self._command, "--config", str(self.configuration), *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=30, check=False)

    async def pair(self, host: str, port: int, code: str) -> str:
        """Pair it, as a person does; returns what it printed."""
        done = await asyncio.to_thread(self.call, "pair", f"{host}:{port}", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> None:
        """Start the agent, as the computer does when it comes up."""
        assert not self.alive
        command = [*self._command, "--config", str(self.configuration), "run", *arguments]
        with (self.folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs: the computer is up."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def downs(self) -> list[float]:
        """When the shutdown command was run, in seconds since 1970."""
        return [float(line) for line in self.downs_file.read_text().split()] if self.downs_file.exists() else []

    @property
    def log(self) -> str:
        """What the agent has logged so far."""
        return self.log_file.read_text("utf-8") if self.log_file.exists() else ""

    async def until_logged(self, text: str, times: int = 1) -> None:
        """Wait until the log has `text`, that often."""
        await until(lambda: self.log.count(text) >= times, f"{text!r} in the log:\n{self.log}")

    async def until_listening(self) -> None:
        """Wait until it accepts connections."""
        await until(self._accepts, f"{self.address}:{self.port} accepts connections; the log:\n{self.log}")

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    async def until_down(self, patience: float = PATIENCE) -> None:
        """Wait until the shutdown command has ended it."""
        await until(lambda: not self.alive, f"{self.folder.name} is down; the log:\n{self.log}", patience)

    def kill(self) -> None:
        """Kill the process without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to end, and wait; returns its exit code."""
        if self._process is None:
            return 0
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


__all__ = ["PATIENCE", "ShutdownAgent", "free_port", "until"]
