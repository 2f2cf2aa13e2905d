"""The computers of the demonstration: nothing but their shutdown agents, which go down and are started again."""

import asyncio
from collections.abc import Iterable, Mapping
import csv
from dataclasses import dataclass, field
import io
import os
from pathlib import Path
import re
import sys

import aiohttp

from .feeds import free_port
from .process import Process, ProcessFailed

AGENT = Path(__file__).parent.parent.parent / "bridge" / "agent"
CODE = re.compile(r"^ {4}(\S+)$", re.MULTILINE)
"""The code of an invitation, on a line of its own."""
GOING_DOWN = 2
"""Seconds that the shutdown of a computer takes."""


@dataclass(slots=True)
class Computer:
    """One of them: an agent whose shutdown command ends nothing but the agent."""

    key: str
    """Its id in the bridge's configuration."""
    folder: Path
    port: int = field(default_factory=free_port)
    agent: Process = field(init=False)

    def __post_init__(self) -> None:
        """Say how its agent is run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ridethrough_agent", "--config", str(self.folder / "agent.ini")]
        environment = {"PYTHONPATH": str(AGENT)}
        self.agent = Process(f"The agent {self.key}", [*command, "run"], self.folder / "run.log", environment)

    @property
    def screen(self) -> Path:
        """The file that stands for what its users see."""
        return self.folder / "screen"

    def _write(self) -> None:
        script = self.folder / "shutdown"
        script.write_text(f"#!/bin/sh\nsleep {GOING_DOWN}\nkill -KILL $PPID\n")
        show = self.folder / "show"
        show.write_text(f"#!/bin/sh\ncat >> '{self.screen}'\n")
        for program in (script, show):
            program.chmod(0o755)
        settings = self.folder / "agent.ini"
        settings.write_text(
            f"[agent]\nname = {self.key}\nlisten = 127.0.0.1\nport = {self.port}\n"
            f"state = {self.folder / 'state'}\nlog = {self.folder / 'agent.log'}\n"
            f"[shutdown]\ncommand = {script}\n[messages]\ncommand = {show}\n"
        )
        settings.chmod(0o600)

    async def pair(self, pairing_port: int, bridge_config: Path) -> None:
        """Have the bridge invite it and the agent accept, as people do at both ends."""
        self._write()
        invitation = Process(
            f"The invitation of {self.key}",
            [sys.executable, "-m", "ridethrough", "agent", "invite", self.key, "--config", str(bridge_config)],
            self.folder / "invite.log",
        )
        await invitation.start()
        try:
            code = CODE.search(await invitation.wait_until(lambda text: CODE.search(text) is not None, 30))
            assert code is not None
            pairing = await asyncio.create_subprocess_exec(
                *(*self.agent.command[:-1], "pair", f"127.0.0.1:{pairing_port}", code[1]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(AGENT)},
            )
            told, _ = await asyncio.wait_for(pairing.communicate(), 30)
            if pairing.returncode:
                raise ProcessFailed(f"The agent {self.key} could not be paired:\n{told.decode(errors='replace')}")
            await invitation.wait_until(lambda text: "is paired:" in text, 30)
        finally:
            await invitation.stop()


async def wake(computers: Iterable[Computer], journal: str, token: str) -> None:
    """Start each computer that is down when the bridge has it started; runs until it is cancelled.

    A magic packet needs a network card that listens while its computer sleeps. Here the bridge's journal tells that one
    was sent. `journal` is its address as CSV.
    """
    by_key: Mapping[str, Computer] = {computer.key: computer for computer in computers}
    last: int | None = None
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        while True:
            await asyncio.sleep(0.5)
            try:
                async with session.get(journal, params={"after": str(last or 0)}) as response:
                    rows = list(csv.DictReader(io.StringIO(await response.text()))) if response.status == 200 else []
            except aiohttp.ClientError, TimeoutError:
                continue
            for row in rows:
                computer = by_key.get(row["device"])
                if last is not None and row["key"] == "agent.start" and computer is not None:
                    if not computer.agent.running:
                        await computer.agent.start()
            last = max((int(row["seq"]) for row in rows), default=last or 0)


__all__ = ["Computer", "wake"]
