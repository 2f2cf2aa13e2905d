"""Debian's snmptrapd on a free port of the loopback, with users of v3, and what it has printed."""

import asyncio
from collections.abc import Iterable
import os
from pathlib import Path
import signal
import socket
import subprocess
from typing import Self

from ridethrough.config.feeds import SnmpUser
from tests.bridge.feeds.rig import free_port
from tests.bridge.feeds.snmp.agents import NET_SNMP
from tests.strangers import peer

PATIENCE = 10.0


def the_user(auth: str, privacy: str = "none") -> SnmpUser:
    """Make a user of these protocols, which is named after them."""
    return SnmpUser(
        f"user-{auth}-{privacy}",
        auth,  # type: ignore[arg-type] # one of the protocols above
        None if auth == "none" else "authentic-0123",
        privacy,  # type: ignore[arg-type]
        None if privacy == "none" else "encrypted-0123",
    )


USERS = (
    the_user("none"),
    *(the_user(auth) for auth in list(NET_SNMP)[:6]),
    *(the_user(auth, privacy) for auth in list(NET_SNMP)[:6] for privacy in list(NET_SNMP)[6:]),
)
"""One for each pair of protocols that Debian's net-snmp has."""


class Snmptrapd:
    """A receiver. Traps of v3 are taken from `engines`, informs from everyone who knows a user's passwords."""

    def __init__(self, folder: Path, *, engines: Iterable[bytes] = (), port: int = 0, engine: str = "receiver") -> None:
        """Not running yet. It knows the community `public` and USERS."""
        self.folder = folder
        self.port = port or free_port(socket.SOCK_DGRAM)
        self.engine = engine
        self._engines = tuple(engines)
        self._program = peer("snmptrapd")
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "traps.log"
        folder.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        await self.stop()

    async def start(self) -> None:
        """Run, and wait until it listens."""
        configuration = self.folder / "snmptrapd.conf"
        configuration.write_text("".join(f"{line}\n" for line in self._configuration()))
        said = self.folder / "said.log"
        self._process = self._spawn(configuration, said)
        async with asyncio.timeout(PATIENCE):
            while not self._listens():
                assert self._process.poll() is None, said.read_text() + self.text
                await asyncio.sleep(0.02)

    def _spawn(self, configuration: Path, said: Path) -> subprocess.Popen[bytes]:
        persistent = str(self.folder / "persistent")
        with said.open("wb") as out:
            return subprocess.Popen(
                [
                    *(str(self._program), "-f", "-n", "-On", "-Oe", "-Ot", "-Lf", str(self._log)),
                    *("-C", "-c", str(configuration), f"udp:127.0.0.1:{self.port}"),
                ],
                env=os.environ | {"MIBS": "", "SNMPCONFPATH": persistent, "SNMP_PERSISTENT_DIR": persistent},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def _listens(self) -> bool:
        return f":{self.port:04X} " in Path("/proc/net/udp").read_text()

    async def stop(self) -> None:
        """End in order, so that it remembers what it has learned about engines."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, PATIENCE)
            self._process = None

    def freeze(self, *, frozen: bool = True) -> None:
        """Have it take nothing while it lives, or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    @property
    def text(self) -> str:
        """What it has printed, complaints included."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def lines(self) -> list[str]:
        """The notifications that it has printed."""
        return [line for line in self.text.splitlines() if line.startswith(("v1|", "v2|"))]

    async def wait(self, count: int = 1, containing: str = "") -> list[str]:
        """Wait for so many notifications (with some text in them)."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(found := [line for line in self.lines if containing in line]) < count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{len(found)} of {count} have come:\n{self.text[-2000:]}") from None
        return found

    def _configuration(self) -> list[str]:
        users = []
        for user in USERS:
            secrets = []
            if user.auth != "none":
                secrets += [NET_SNMP[user.auth], str(user.password)]
            if user.privacy != "none":
                secrets += [NET_SNMP[user.privacy], str(user.privacy_password)]
            engines = ("", *(f"-e 0x{engine.hex()}" for engine in self._engines))
            users += [" ".join(["createUser", engine, user.name, *secrets]) for engine in engines]
            level = "priv" if user.privacy != "none" else "auth" if user.auth != "none" else "noauth"
            users.append(f"authUser log {user.name} {level}")
        return [
            f"engineID {self.engine}",
            "authCommunity log public",
            "format1 v1|%a|%N|%w|%q|%v\\n",
            "format2 v2|%v\\n",
            *users,
        ]
