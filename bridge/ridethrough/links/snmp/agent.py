"""One SNMP agent: reads of many objects at once, walks, and what is remembered of how much it bears.

gufo-snmp does the talking. It has no SET, and an answer with an error status comes out of it as an empty one: such a
request is halved until the object that the agent stumbles over is found.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
import socket

from gufo.snmp import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    BaseAuthKey,
    BasePrivKey,
    DesKey,
    Md5Key,
    NoSuchInstance,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    SnmpAuthError,
    SnmpError,
    SnmpVersion,
    User as GufoUser,
)
from gufo.snmp.aio import SnmpSession

from ridethrough.links.base import LinkError
from ridethrough.maps.objects import under

from .options import SnmpOptions, User
from .values import Raw

SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
SYS_UPTIME = "1.3.6.1.2.1.1.3.0"

BATCH = 28
"""Objects in one request at first: an answer of that many fits into a packet of an Ethernet."""
REPETITIONS = 20
"""Objects that one GETBULK asks for."""
WALK_LIMIT = 4000
"""Objects of one walk at most; an agent that goes round in circles must end too."""

_VERSIONS = {"1": SnmpVersion.v1, "2c": SnmpVersion.v2c, "3": SnmpVersion.v3}
_AUTHENTICATION: dict[str, type[BaseAuthKey]] = {
    "md5": Md5Key,
    "sha": Sha1Key,
    "sha224": Sha224Key,
    "sha256": Sha256Key,
    "sha384": Sha384Key,
    "sha512": Sha512Key,
}
_PRIVACY: dict[str, type[BasePrivKey]] = {
    "des": DesKey,
    "aes": Aes128Key,
    "aes192": Aes192Key,
    "aes256": Aes256Key,
}


class SilentError(LinkError):
    """The agent has not answered in time."""


class GarbledError(LinkError):
    """What came back is no answer."""


class UnwelcomeError(LinkError):
    """The agent does not accept the SNMPv3 user, or one of the keys."""


@dataclass(slots=True)
class Endurance:
    """What an agent bears; outlives the connection."""

    batch: int = BATCH
    bulk: bool = True
    """Whether it answers GETBULK."""
    unbearable: set[str] = field(default_factory=set)
    """Objects that spoil the answer they are in."""
    anchor: str | None = None
    """An object that every good answer to a request for it has."""


class Agent:
    """Asks one agent, one request at a time."""

    def __init__(self, address: str, options: SnmpOptions, endurance: Endurance) -> None:
        """`address` is an IP address. Nothing is sent yet."""
        self._options = options
        self._endurance = endurance
        self._session = SnmpSession(
            address,
            options.port,
            community=options.community,
            user=_user(options.user) if options.user is not None else None,
            version=_VERSIONS[options.version],
            timeout=options.timeout,
            max_repetitions=REPETITIONS,
        )
        self._turn = asyncio.Lock()
        self.asked = 0
        """Requests that were answered."""

    async def open(self) -> None:
        """Agree on keys and time with an SNMPv3 agent; with the others there is nothing to do. Raises LinkError."""
        async with self._turn:
            try:
                await self._session.refresh()
            except (TimeoutError, SnmpError) as error:
                raise _failure(error, self._options) from error

    async def greet(self) -> None:
        """See that it answers, and what it always has. Raises as `get`."""
        found = await self._request([SYS_UPTIME, SYS_OBJECT_ID])
        self._endurance.anchor = next(iter(found), None)

    async def get(self, oids: Sequence[str]) -> dict[str, Raw]:
        """Read objects; those that the agent has not got are left out.

        Raises SilentError, GarbledError or UnwelcomeError.
        """
        asked = [oid for oid in oids if oid not in self._endurance.unbearable]
        found: dict[str, Raw] = {}
        for batch in _batches(asked, self._endurance.batch):
            found |= await self._batch(batch)
        return found

    async def walk(self, oid: str) -> list[tuple[str, Raw]]:
        """Read everything below an OID, in order."""
        if self._endurance.bulk and self._options.version != "1":
            # Some agents die of a GETBULK: it counts as unbearable until it is answered.
            self._endurance.bulk = False
            try:
                return await self._collect(oid, self._session.getbulk(oid), bulk=True)
            except SilentError:
                if self._endurance.bulk:
                    raise
                # Others only leave it unanswered.
        return await self._collect(oid, self._session.getnext(oid), bulk=False)

    async def _collect(self, oid: str, steps: AsyncIterator[tuple[str, Raw]], *, bulk: bool) -> list[tuple[str, Raw]]:
        found: list[tuple[str, Raw]] = []
        last: tuple[int, ...] = ()
        async for name, value in self._steps(steps):
            self._endurance.bulk = self._endurance.bulk or bulk
            here = tuple(int(part) for part in name.split("."))
            if here <= last or len(found) >= WALK_LIMIT:
                break
            last = here
            found.append((name, value))
        self._endurance.bulk = self._endurance.bulk or bulk
        return found

    async def begins(self, oid: str) -> bool:
        """Tell whether there is anything below an OID."""
        async for name, _ in self._steps(self._session.getnext(oid)):
            return under(name, oid)
        return False

    async def _steps(self, steps: AsyncIterator[tuple[str, Raw]]) -> AsyncIterator[tuple[str, Raw]]:
        """Take a walk step by step, each with the errors of this module."""
        while True:
            async with self._turn:
                try:
                    step = await anext(steps)
                except StopAsyncIteration, NoSuchInstance:
                    self.asked += 1
                    return
                except (TimeoutError, SnmpError) as error:
                    raise _failure(error, self._options) from error
            self.asked += 1
            yield step

    async def _batch(self, oids: Sequence[str]) -> dict[str, Raw]:
        """Read some objects with one request if the agent bears that.

        The anchor goes first: an answer without it is an error status, not an answer.
        """
        anchor = self._endurance.anchor
        rest = [oid for oid in oids if oid != anchor]
        found = await self._request(rest if anchor is None else [anchor, *rest])
        if found or (anchor is None and self._options.version != "1"):
            return found
        if len(oids) == 1:
            found = await self._request(list(oids))
            if not found and self._options.version != "1":
                self._endurance.unbearable.add(oids[0])
            return found
        middle = len(oids) // 2
        halves = [await self._batch(half) for half in (oids[:middle], oids[middle:])]
        if all(halves) and not self._endurance.unbearable.intersection(oids) and self._options.version != "1":
            # Nothing in it was at fault but its length.
            self._endurance.batch = max(1, min(self._endurance.batch, len(oids) - middle))
        return halves[0] | halves[1]

    async def _request(self, oids: list[str]) -> dict[str, Raw]:
        async with self._turn:
            try:
                found = await self._session.get_many(oids)
            except NoSuchInstance:
                found = {}
            except SnmpAuthError:
                # Its clock, or the agent, was started anew: agree again, once.
                found = await self._again(oids)
            except (TimeoutError, SnmpError) as error:
                raise _failure(error, self._options) from error
        self.asked += 1
        return dict(found)

    async def _again(self, oids: list[str]) -> dict[str, Raw]:
        try:
            await self._session.refresh()
            return dict(await self._session.get_many(oids))
        except (TimeoutError, SnmpError) as error:
            raise _failure(error, self._options) from error


async def resolve(options: SnmpOptions) -> str:
    """Find the IP address of a host. Raises LinkError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise LinkError(f"The name {options.host} cannot be resolved: {error.strerror or error}.") from error
    return str(found[0][4][0])


def _user(user: User) -> GufoUser:
    auth = None if user.auth is None else _AUTHENTICATION[user.auth](user.password.encode())
    privacy = None if user.privacy is None else _PRIVACY[user.privacy](user.privacy_password.encode())
    return GufoUser(user.name, auth_key=auth, priv_key=privacy)


def _failure(error: Exception, options: SnmpOptions) -> LinkError:
    if isinstance(error, TimeoutError):
        return SilentError(f"{options} has not answered within {options.timeout:g} s.")
    if isinstance(error, SnmpAuthError):
        return UnwelcomeError(f"{options} does not accept the SNMPv3 user or one of the passwords.")
    return GarbledError(f"{options} has answered with something that is no SNMP answer ({error}).")


def _batches(oids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Share objects out evenly over as few requests as it takes."""
    if not oids:
        return
    count = -(-len(oids) // size)
    length = -(-len(oids) // count)
    for start in range(0, len(oids), length):
        yield oids[start : start + length]


__all__ = [
    "SYS_DESCR",
    "SYS_OBJECT_ID",
    "SYS_UPTIME",
    "Agent",
    "Endurance",
    "GarbledError",
    "SilentError",
    "UnwelcomeError",
    "resolve",
]
