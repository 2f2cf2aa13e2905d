"""Debian's snmpd as the agent of a UPS card: the UPS-MIB (RFC 1628), every version, every protocol of v3.

    async with Snmpd(folder) as agent:
        … f"snmp://127.0.0.1:{agent.port}" with the community READ or WRITE, or one of USERS …
        agent.write({f"{UPS}.1.2.1.0": ("integer", "3")})
        agent.orders()          what was SET

Uses only the standard library, so that a script may use it as well.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
import json
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import Self

PROGRAMS = ("snmpd", "snmpget", "snmptrap")
READ, WRITE = "public", "private"
"""Communities."""
AUTH_PASSPHRASE, PRIVACY_PASSPHRASE = "authentic-0123", "encrypted-0123"
UPS = "1.3.6.1.2.1.33"

type Rows = Mapping[str, tuple[str, str]]
"""Kind (integer, string, gauge, counter, timeticks, objectid, ipaddress) and value by OID without a leading dot."""

AUTHENTICATIONS = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512")
PRIVACIES = ("DES", "AES", "AES-192", "AES-256")


@dataclass(frozen=True, slots=True)
class V3User:
    """A user of v3; protocols as net-snmp calls them, None: without."""

    authentication: str | None = None
    privacy: str | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return "_".join(["user", *(part.replace("-", "") for part in (self.authentication, self.privacy) if part)])

    @property
    def lines(self) -> list[str]:
        """What makes it, in snmpd.conf."""
        create, level = ["createUser", self.name], "noauth"
        if self.authentication is not None:
            create += [self.authentication, AUTH_PASSPHRASE]
            level = "auth"
        if self.privacy is not None:
            create += [self.privacy, PRIVACY_PASSPHRASE]
            level = "priv"
        return [" ".join(create), f"rwuser {self.name} {level}"]


USERS = (
    V3User(),
    *(V3User(authentication) for authentication in AUTHENTICATIONS),
    *(V3User(authentication, privacy) for authentication in AUTHENTICATIONS for privacy in PRIVACIES),
)
"""One for each pair of protocols."""
READER = V3User("SHA-256", "AES")
"""The same with `ro` before its name may only read."""

_ALARM = f"{UPS}.1.6"
CARD: Rows = {
    # upsIdent
    f"{UPS}.1.1.1.0": ("string", "ACME Power"),
    f"{UPS}.1.1.2.0": ("string", "Rackmaster 3000"),
    f"{UPS}.1.1.3.0": ("string", "V4.2"),
    f"{UPS}.1.1.4.0": ("string", "Card 1.7"),
    f"{UPS}.1.1.5.0": ("string", "cellar"),
    f"{UPS}.1.1.6.0": ("string", "two servers"),
    # upsBattery: normal, 0 s, 42 min, 97 %, 54.6 V, -1.2 A, 24 °C
    f"{UPS}.1.2.1.0": ("integer", "2"),
    f"{UPS}.1.2.2.0": ("integer", "0"),
    f"{UPS}.1.2.3.0": ("integer", "42"),
    f"{UPS}.1.2.4.0": ("integer", "97"),
    f"{UPS}.1.2.5.0": ("integer", "546"),
    f"{UPS}.1.2.6.0": ("integer", "-12"),
    f"{UPS}.1.2.7.0": ("integer", "24"),
    # upsInput: 3 bad lines, one line: 49.9 Hz, 231 V, 2.1 A, 470 W
    f"{UPS}.1.3.1.0": ("counter", "3"),
    f"{UPS}.1.3.2.0": ("integer", "1"),
    f"{UPS}.1.3.3.1.2.1": ("integer", "499"),
    f"{UPS}.1.3.3.1.3.1": ("integer", "231"),
    f"{UPS}.1.3.3.1.4.1": ("integer", "21"),
    f"{UPS}.1.3.3.1.5.1": ("integer", "470"),
    # upsOutput: normal, 50.0 Hz, one line: 230 V, 1.9 A, 420 W, 14 %
    f"{UPS}.1.4.1.0": ("integer", "3"),
    f"{UPS}.1.4.2.0": ("integer", "500"),
    f"{UPS}.1.4.3.0": ("integer", "1"),
    f"{UPS}.1.4.4.1.2.1": ("integer", "230"),
    f"{UPS}.1.4.4.1.3.1": ("integer", "19"),
    f"{UPS}.1.4.4.1.4.1": ("integer", "420"),
    f"{UPS}.1.4.4.1.5.1": ("integer", "14"),
    # upsBypass: none
    f"{UPS}.1.5.1.0": ("integer", "500"),
    f"{UPS}.1.5.2.0": ("integer", "0"),
    # upsAlarm: none
    f"{UPS}.1.6.1.0": ("gauge", "0"),
    # upsTest: id none, spin lock, no test, nothing to say
    f"{UPS}.1.7.1.0": ("objectid", f".{UPS}.1.7.7.1"),
    f"{UPS}.1.7.2.0": ("integer", "0"),
    f"{UPS}.1.7.3.0": ("integer", "6"),
    f"{UPS}.1.7.4.0": ("string", "none"),
    f"{UPS}.1.7.5.0": ("timeticks", "0"),
    f"{UPS}.1.7.6.0": ("integer", "0"),
    # upsControl: output, nothing counts down, does not start by itself
    f"{UPS}.1.8.1.0": ("integer", "2"),
    f"{UPS}.1.8.2.0": ("integer", "-1"),
    f"{UPS}.1.8.3.0": ("integer", "-1"),
    f"{UPS}.1.8.4.0": ("integer", "-1"),
    f"{UPS}.1.8.5.0": ("integer", "2"),
    # upsConfig: 230 V 50 Hz in and out, 3000 VA, 2700 W, 2 min, beeper on, 190–260 V
    f"{UPS}.1.9.1.0": ("integer", "230"),
    f"{UPS}.1.9.2.0": ("integer", "500"),
    f"{UPS}.1.9.3.0": ("integer", "230"),
    f"{UPS}.1.9.4.0": ("integer", "500"),
    f"{UPS}.1.9.5.0": ("integer", "3000"),
    f"{UPS}.1.9.6.0": ("integer", "2700"),
    f"{UPS}.1.9.7.0": ("integer", "2"),
    f"{UPS}.1.9.8.0": ("integer", "2"),
    f"{UPS}.1.9.9.0": ("integer", "190"),
    f"{UPS}.1.9.10.0": ("integer", "260"),
}
"""A one-phase UPS on mains (RFC 1628 §4)."""
ON_BATTERY: Rows = {
    f"{UPS}.1.2.2.0": ("integer", "20"),
    f"{UPS}.1.4.1.0": ("integer", "5"),
    f"{UPS}.1.6.1.0": ("gauge", "1"),
    f"{_ALARM}.2.1.2.1": ("objectid", f".{_ALARM}.3.2"),
    f"{_ALARM}.2.1.3.1": ("timeticks", "4711"),
}
"""What is different about it when mains has failed."""
_WRITABLE = f"{UPS}.1.1.5 {UPS}.1.1.6 {UPS}.1.7.1 {UPS}.1.7.2 {UPS}.1.8 {UPS}.1.9"

# Where Debian keeps what an ordinary user's PATH does not name.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
# GET sysUpTime.0 by v2c with the community READ.
_ASK = bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010103000500")
_PATIENCE = 20.0


class Snmpd:
    """An snmpd on a free port of the loopback that serves a table. Everything lives below `folder`.

    `system` are sysObjectID and sysDescr of the card, `engine` is what its engine id is made of.
    """

    def __init__(
        self,
        folder: Path,
        rows: Rows = CARD,
        *,
        system: tuple[str, str] = ("1.3.6.1.4.1.32768.1", "ACME card"),
        engine: str = "first",
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.address = address
        self.port = port or _free_port(address)
        self.engine = engine
        self._system = system
        self._rows = dict(rows)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.write({})
        self.behave()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Run, and wait until it answers. Raises RuntimeError with what it says when it does not."""
        configuration = self.folder / "snmpd.conf"
        configuration.write_text("".join(f"{line}\n" for line in self._configuration()))
        log = self.folder / "snmpd.log"
        self._process = self._spawn(configuration, log)
        try:
            async with asyncio.timeout(_PATIENCE):
                while not await asyncio.to_thread(self._answers):
                    if self._process.poll() is not None:
                        raise RuntimeError(f"snmpd has ended:\n{log.read_text()}")
        except TimeoutError as error:
            await self.kill()
            raise RuntimeError(f"snmpd does not answer:\n{log.read_text()}") from error

    async def kill(self) -> None:
        """End at once, as a card that loses its power; what it remembers of v3 stays."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """End at once, where no loop runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def restart(self, *, engine: str | None = None) -> None:
        """End in order and start again with one more boot, or with another engine id, as a card that was replaced."""
        assert self._process is not None
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, _PATIENCE)
        self._process = None
        if engine is not None:
            self.engine = engine
            shutil.rmtree(self.folder / "persistent")
        await self.start()

    def freeze(self, *, frozen: bool = True) -> None:
        """Have it answer nothing while it lives, or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def write(self, rows: Rows) -> None:
        """Change rows of the table; what was SET in the meantime is gone."""
        self._rows.update(rows)
        self._put("table.json", self._rows)

    def remove(self, *prefixes: str) -> None:
        """Take out whatever begins with one of these OIDs."""
        for name in [name for name in self._rows if f"{name}.".startswith(tuple(f"{each}." for each in prefixes))]:
            del self._rows[name]
        self.write({})

    def behave(self, *, delay: float = 0.0, writable: str = _WRITABLE, ignore: str = "") -> None:
        """Wait before each row, s; take SETs of these prefixes; take and forget those of others."""
        self._put("manner.json", {"delay": delay, "writable": writable, "ignore": ignore})

    def orders(self) -> list[tuple[str, str, str]]:
        """List what was SET so far: OID, kind and value."""
        path = self.folder / "orders.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(name, kind, value) for name, kind, value in (line.split(" ", 2) for line in lines)]

    def _spawn(self, configuration: Path, log: Path) -> subprocess.Popen[bytes]:
        program = shutil.which("snmpd", path=_PATH)
        assert program is not None
        persistent = str(self.folder / "persistent")
        return subprocess.Popen(
            [program, "-f", "-Lf", str(log), "-c", str(configuration)],
            # Nothing of this machine's configuration, but what the daemon itself remembers: its boots.
            env=os.environ | {"MIBS": "", "SNMPCONFPATH": persistent, "SNMP_PERSISTENT_DIR": persistent},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _put(self, name: str, content: object) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.write_text(json.dumps(content))
        fresh.replace(self.folder / name)

    def _configuration(self) -> list[str]:
        identifier, description = self._system
        table = Path(__file__).with_name("snmpd_table.py")
        return [
            f"agentAddress udp:{self.address}:{self.port}",
            f"engineID {self.engine}",
            f"sysObjectID {identifier}",
            f"sysDescr {description}",
            f"rocommunity {READ}",
            f"rwcommunity {WRITE}",
            *(line for user in USERS for line in user.lines),
            *(line.replace(READER.name, f"ro{READER.name}").replace("rwuser", "rouser") for line in READER.lines),
            f"pass_persist .{UPS} {sys.executable} -S -E {table} {self.folder}",
        ]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.1)
            asker.connect((self.address, self.port))
            try:
                asker.send(_ASK)
                return bool(asker.recv(1000))
            except TimeoutError:
                return False
            except ConnectionRefusedError:
                time.sleep(0.05)
                return False


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.bind((address, 0))
        return int(attempt.getsockname()[1])
