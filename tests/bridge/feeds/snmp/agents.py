"""An SNMP agent of ours that runs, and those who ask it: net-snmp's programs, and sockets with bytes of any kind."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
import os
import socket

from ridethrough.config.feeds import Authentication, Privacy, SnmpCommunity, SnmpConfig, SnmpUser
from ridethrough.feeds import Traffic
from ridethrough.feeds.snmp.agent import SnmpFeed, served
from ridethrough.maps.objects import Child, Mib, ObjectRow
from ridethrough.sim.snmp_message import Message, Oid, Pdu, Tag, Value, Version
from tests.bridge.feeds.rig import World, free_port
from tests.strangers import peer

READ, WRITE = "look-only", "look-and-touch"
PASSWORD, SECRET = "authentic-0123", "encrypted-0123"
SYS_NAME, SYS_UPTIME = "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.3.0"
UPS = "1.3.6.1.2.1.33.1"
AUTHENTICATIONS: tuple[Authentication, ...] = ("md5", "sha", "sha224", "sha256", "sha384", "sha512")
PRIVACIES: tuple[Privacy, ...] = ("des", "aes", "aes192", "aes256")
NET_SNMP = {
    "md5": "MD5",
    "sha": "SHA",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "des": "DES",
    "aes": "AES",
    "aes192": "AES-192",
    "aes256": "AES-256",
}
"""What net-snmp calls the protocols of v3."""


def user(auth: Authentication = "none", privacy: Privacy = "none", *, write: bool = False) -> SnmpUser:
    """Give a user with these protocols, whose name says which."""
    return SnmpUser(
        "_".join(["user", *(word for word in (auth, privacy) if word != "none")]),
        auth,
        None if auth == "none" else PASSWORD,
        privacy,
        None if privacy == "none" else SECRET,
        write,
    )


USERS = (
    user(),
    *(user(auth) for auth in AUTHENTICATIONS),
    *(user(auth, privacy) for auth in AUTHENTICATIONS for privacy in PRIVACIES),
)
WRITER = replace(user("sha256", "aes", write=True), name="writer")


def credentials(one: SnmpUser) -> list[str]:
    """Give the options by which net-snmp's programs ask as this user."""
    options = ["-v3", "-u", one.name, "-l", "noAuthNoPriv"]
    if one.password is not None:
        options += ["-l", "authNoPriv", "-a", NET_SNMP[one.auth], "-A", one.password]
    if one.privacy_password is not None:
        options += ["-l", "authPriv", "-x", NET_SNMP[one.privacy], "-X", one.privacy_password]
    return options


V1, V2C = ["-v1", "-c", READ], ["-v2c", "-c", READ]
BY_V2C = ["-v2c", "-c", WRITE]


@dataclass
class Agent:
    """One that serves."""

    port: int
    feed: SnmpFeed
    traffic: Traffic
    config: SnmpConfig
    environment: dict[str, str] = field(default_factory=lambda: os.environ | {"MIBS": "", "SNMPCONFPATH": "/nowhere"})

    async def run(self, program: str, who: Iterable[str], *arguments: str) -> tuple[int, str]:
        """Run one of net-snmp's programs; gives its return code and what it says."""
        process = await asyncio.create_subprocess_exec(
            peer(program),
            *(*who, "-On", "-Ot", "-r1", "-t2", f"127.0.0.1:{self.port}", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environment,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace").strip()

    async def get(self, who: Iterable[str], *oids: str) -> str:
        """Run snmpget."""
        return (await self.run("snmpget", who, *oids))[1]

    async def walk(self, who: Iterable[str], oid: str, program: str = "snmpwalk") -> dict[str, str]:
        """Run snmpwalk or snmpbulkwalk."""
        code, out = await self.run(program, who, oid)
        assert code == 0, out
        return dict(line.removeprefix(".").split(" = ", 1) for line in out.splitlines() if " = " in line)

    async def set(self, who: Iterable[str], *triples: str) -> tuple[int, str]:
        """Run snmpset."""
        return await self.run("snmpset", who, *triples)

    async def ask(self, data: bytes, seconds: float = 0.3) -> bytes | None:
        """Send a datagram, and give what it is answered with; None for nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(asker, data, ("127.0.0.1", self.port))
            try:
                async with asyncio.timeout(seconds):
                    return await loop.sock_recv(asker, 65535)
            except TimeoutError:
                return None

    async def say(self, message: Message) -> Message:
        """Send a message, and give the answer; the codec is that of the simulator."""
        answer = await self.ask(message.encode(), 2.0)
        assert answer is not None, "no answer"
        return Message.decode(answer)


def question(
    pdu: Pdu,
    *names: str,
    version: Version = Version.V2C,
    community: str = READ,
    numbers: tuple[int, int] = (0, 0),
    request_id: int = 4711,
) -> Message:
    """Make a question; `numbers` are non-repeaters and max-repetitions."""
    variables = tuple((oid(name), Value(Tag.NULL)) for name in names)
    return Message(version, community.encode(), pdu, request_id, *numbers, variables)


def oid(text: str) -> Oid:
    """Take a name apart."""
    return tuple(int(part) for part in text.strip(".").split("."))


def config(**changes: object) -> SnmpConfig:
    """Give a configuration with everybody in it."""
    chosen = SnmpConfig(
        enabled=True,
        communities=(SnmpCommunity(READ), SnmpCommunity(WRITE, write=True)),
        users=(user("sha", "aes"), WRITER),
        allow=frozenset({"test", "beeper", "shutdown", "load", "output"}),
        contact="somebody",
        location="cellar",
    )
    return replace(chosen, **changes)  # type: ignore[arg-type]  # each test knows what it changes


@asynccontextmanager
async def serving(
    world: World, configuration: SnmpConfig | None = None, mibs: tuple[Mib, ...] = ()
) -> AsyncIterator[Agent]:
    """Run an agent on a free port of loopback; it has these MIBs beside its own."""
    port = free_port(socket.SOCK_DGRAM)
    chosen = replace(configuration or config(), port=port)
    traffic = Traffic()
    feeds: list[SnmpFeed] = []

    def make(counted: Traffic) -> SnmpFeed:
        feeds.append(SnmpFeed(chosen, world.context, counted, (*served(), *mibs)))
        return feeds[0]

    async with world.serving(make, traffic) as place:
        assert place == f"127.0.0.1:{port}"
        yield Agent(port, feeds[0], traffic, chosen)


TABLE = "1.3.6.1.2.1.33.99.1.1"
COLUMNS = (
    "output.voltage",
    "output.current",
    "output.frequency",
    "output.power",
    "output.realpower",
    "input.voltage",
)


def wide_table() -> Mib:
    """Make a table with a row for each module of a UPS, as wide as that of battery modules."""
    rows = tuple(
        ObjectRow(
            mib="wide",
            oid=f"{TABLE}.{number}",
            name=f"column{number}",
            index="row",
            line=None,
            syntax="int",
            scale=0.1,
            unit="",
            writable=False,
            fast=True,
            rank=10,
            key=key,
            line_key=None,
            child=Child("ups_module", "{row}", "Module {row}", always=True),
            values={},
            conditions={},
            absent=frozenset(),
            source="test",
        )
        for number, key in enumerate(COLUMNS, 1)
    )
    return Mib("wide", "a wide table", "1.3.6.1.2.1.33.99", ("*",), None, rows, None, None)


def fill(world: World, count: int, first: int = 1, amount: float = 1.0) -> None:
    """Have so many modules with all their values, in one revision."""
    above = world.site.device_by_key("ups-1")
    assert above is not None
    with world.site.transaction():
        for number in range(first, first + count):
            known = world.site.device_by_key(f"ups-1/ups_module-{number}") if number <= count else None
            module = known or world.part(above, "ups_module", str(number))
            world.post(module, dict.fromkeys(COLUMNS, amount))
