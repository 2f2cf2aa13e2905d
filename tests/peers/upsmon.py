"""Debian's upsmon as a client of a NUT server, with a shutdown command that only writes a file.

    async with Upsmon(folder, "ups-1@127.0.0.1:3493", "monuser", "secret", "secondary") as upsmon:
        … await upsmon.shut_down()

Uses only the standard library.
"""

import asyncio
from collections.abc import Iterable
import os
from pathlib import Path
import time
from typing import Self

from tests.strangers import peer


class Upsmon:
    """One upsmon, in its own folder. `settings` are further lines of upsmon.conf, which go before the ones here."""

    def __init__(
        self, folder: Path, ups: str, user: str, password: str, role: str, settings: Iterable[str] = ()
    ) -> None:
        self.folder = folder
        self._done = folder / "shut-down"
        self._lines = [
            f'MONITOR {ups} 1 {user} "{password}" {role}',
            "MINSUPPLIES 1",
            f'SHUTDOWNCMD "touch {self._done}"',
            f"POWERDOWNFLAG {folder / 'killpower'}",
            "RUN_AS_USER root",
            "POLLFREQ 1",
            "POLLFREQALERT 1",
            "HOSTSYNC 5",
            "DEADTIME 5",
            "FINALDELAY 0",
            *settings,
        ]
        # /sbin/upsmon is a wrapper that wants /etc/nut.
        found = Path("/lib/nut/upsmon")
        self._program = found if found.exists() else peer("upsmon")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "upsmon.conf"
        file.write_text("\n".join([*self._lines, ""]), encoding="utf-8")
        file.chmod(0o600)
        with (self.folder / "log").open("ab") as log:
            self._process = await self._run("-D", "-F", "-p", log=log.fileno())
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def has_shut_down(self) -> bool:
        """Whether it has given its shutdown command."""
        return self._done.exists()

    async def shut_down(self, patience: float = 30.0) -> float:
        """Wait until it has given its shutdown command; returns when (monotonic)."""
        async with asyncio.timeout(patience):
            while not self.has_shut_down:
                await asyncio.sleep(0.01)
        return time.monotonic()

    async def order(self, command: str) -> int:
        """Tell the one that runs: `fsd`, `reload` or `stop`."""
        assert self._process is not None
        return await (
            await self._run("-P", str(self._process.pid), "-c", command, log=asyncio.subprocess.DEVNULL)
        ).wait()

    async def _run(self, *arguments: str, log: int) -> asyncio.subprocess.Process:
        # It always notes its number in /run/nut, and is content with itself only there: each has a /run/nut of its own.
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        alone = 'mount --bind "$1" /run/nut && shift && exec "$@"'
        return await asyncio.create_subprocess_exec(
            *(peer("unshare"), "-m", "sh", "-c", alone, "sh", run, self._program),
            *arguments,
            env=os.environ
            | {
                "NUT_CONFPATH": str(self.folder),
                "NUT_STATEPATH": str(self.folder),
                "NUT_ALTPIDPATH": str(self.folder),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
