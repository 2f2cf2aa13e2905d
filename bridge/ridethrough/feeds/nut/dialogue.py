"""What one client and the server say to each other: requests in, answers out; no socket in it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
import logging
from typing import Literal

from ridethrough.config.feeds import NutConfig, NutUser
from ridethrough.events.orders import Order, Orders
from ridethrough.feeds.base import Client
from ridethrough.site import CommandError, Device

from .accounts import Accounts
from .forced import Forced
from .queries import Queries
from .tracking import Tracking
from .ups import Upses
from .wire import PROTOCOL, Error, Refusal, split

_LOGGER = logging.getLogger(__name__)

OUTCOME = 2.0
"""Seconds to wait for how a command that is not tracked ends; NUT's clients wait 5 s for an answer."""
HELP = "Commands: HELP VER GET LIST SET INSTCMD LOGIN LOGOUT USERNAME PASSWORD STARTTLS"

REFUSED: Mapping[str, Error] = {
    # What a command ends with in the bridge, and in the protocol; INSTCMD-FAILED unless it stands here.
    "unknown_command": Error.CMD_NOT_SUPPORTED,
    "bad_argument": Error.INVALID_ARGUMENT,
    "not_granted": Error.ACCESS_DENIED,
    "forbidden": Error.ACCESS_DENIED,
}


class After(Enum):
    """What becomes of the connection once the answer is sent."""

    GO_ON = "go on"
    ENCRYPT = "encrypt"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told."""

    lines: Sequence[str]
    after: After = After.GO_ON
    refused: bool = False

    @property
    def encoded(self) -> bytes:
        """The bytes to send."""
        return "".join(f"{line}\n" for line in self.lines).encode(errors="replace")


@dataclass(frozen=True, slots=True)
class Server:
    """What all dialogues share."""

    config: NutConfig
    upses: Upses
    queries: Queries
    accounts: Accounts
    forced: Forced
    tracking: Tracking
    orders: Orders
    encrypts: bool
    """Whether there is a certificate."""
    giving: set[asyncio.Task[Error | None]] = field(default_factory=set)
    """Commands under way: they go on when the client hangs up, or cannot wait."""


type Handler = Callable[[Sequence[str]], Awaitable[Answer]]


class Dialogue:
    """One connection: who it has said to be, and to what it is logged in."""

    def __init__(self, server: Server, address: str) -> None:
        """Nothing has been said yet; `address` is the client's."""
        self._server = server
        self.address = address
        self.login: str | None = None
        """Key of the UPS that the client depends on."""
        self.encrypted = False
        self._name: str | None = None
        self._password: str | None = None
        self._user: NutUser | None = None
        """Known once the password has been found right."""
        self._tracked = False
        # Request: what answers it, and whether a name and a password must have been given before.
        self._requests: Mapping[str, tuple[Handler, bool]] = {
            "VER": (self._ver, False),
            "NETVER": (self._netver, False),
            "PROTVER": (self._netver, False),
            "HELP": (self._help, False),
            "STARTTLS": (self._starttls, False),
            "GET": (self._get, False),
            "LIST": (self._list, False),
            "USERNAME": (self._username, False),
            "PASSWORD": (self._password_given, False),
            "LOGIN": (self._log_in, True),
            "LOGOUT": (self._logout, False),
            "PRIMARY": (self._primary, True),
            "MASTER": (self._master, True),
            "FSD": (self._fsd, True),
            "SET": (self._set, True),
            "INSTCMD": (self._instcmd, True),
        }

    async def answer(self, line: str) -> Answer:
        """Answer a request."""
        try:
            words = split(line)
            return await self._handler(words)(words[1:])
        except Refusal as refusal:
            return Answer((f"ERR {refusal.error}",), refused=True)

    def _handler(self, words: Sequence[str]) -> Handler:
        found = self._requests.get(words[0].upper()) if words else None
        if found is None:
            raise Refusal(Error.UNKNOWN_COMMAND)
        handler, needs_user = found
        if needs_user and self._name is None:
            raise Refusal(Error.USERNAME_REQUIRED)
        if needs_user and self._password is None:
            raise Refusal(Error.PASSWORD_REQUIRED)
        return handler

    # What needs nobody

    async def _ver(self, words: Sequence[str]) -> Answer:
        _exactly(0, words)
        return Answer((self._server.queries.server,))

    async def _netver(self, words: Sequence[str]) -> Answer:
        _exactly(0, words)
        return Answer((PROTOCOL,))

    async def _help(self, words: Sequence[str]) -> Answer:
        _exactly(0, words)
        return Answer((HELP,))

    async def _starttls(self, words: Sequence[str]) -> Answer:
        _exactly(0, words)
        if self.encrypted:
            raise Refusal(Error.ALREADY_SSL_MODE)
        if not self._server.encrypts:
            raise Refusal(Error.FEATURE_NOT_CONFIGURED)
        return Answer(("OK STARTTLS",), After.ENCRYPT)

    async def _get(self, words: Sequence[str]) -> Answer:
        if not words or words[0].upper() != "TRACKING":
            return Answer(self._server.queries.get(words))
        if len(words) < 2:
            return Answer(("ON" if self._tracked else "OFF",))
        if not self._tracked:
            raise Refusal(Error.FEATURE_NOT_CONFIGURED)
        told = self._server.tracking.told(words[1])
        return Answer((told,), refused=told.startswith("ERR"))

    async def _list(self, words: Sequence[str]) -> Answer:
        return Answer(self._server.queries.list(words))

    async def _logout(self, words: Sequence[str]) -> Answer:
        _exactly(0, words)
        self.login = None
        return Answer(("OK Goodbye",), After.CLOSE)

    @property
    def known(self) -> bool:
        """Whether the client has shown a right password."""
        return self._user is not None

    # Who it is

    async def _username(self, words: Sequence[str]) -> Answer:
        _exactly(1, words)
        if self._name is not None:
            raise Refusal(Error.ALREADY_SET_USERNAME)
        self._name = words[0]
        return Answer(("OK",))

    async def _password_given(self, words: Sequence[str]) -> Answer:
        _exactly(1, words)
        if self._password is not None:
            raise Refusal(Error.ALREADY_SET_PASSWORD)
        self._password = words[0]
        return Answer(("OK",))

    async def _verified(self) -> NutUser:
        """Return the user whose name and password were given. Raises Refusal."""
        if self._user is None:
            name, password = self._name, self._password
            assert name is not None
            assert password is not None
            self._user = await self._server.accounts.verify(self.address, name, password)
        if self._user is None:
            raise Refusal(Error.ACCESS_DENIED)
        return self._user

    async def _upsmon(self, *roles: Literal["primary", "secondary"]) -> NutUser:
        user = await self._verified()
        if user.upsmon not in roles:
            raise Refusal(Error.ACCESS_DENIED)
        return user

    # What needs a user

    async def _log_in(self, words: Sequence[str]) -> Answer:
        _exactly(1, words)
        if self.login is not None:
            raise Refusal(Error.ALREADY_LOGGED_IN)
        device = self._server.upses.find(words[0])
        await self._upsmon("primary", "secondary")
        self.login = device.key
        return Answer(("OK",))

    async def _primary(self, words: Sequence[str]) -> Answer:
        await self._may_lead(words)
        return Answer(("OK PRIMARY-GRANTED",))

    async def _master(self, words: Sequence[str]) -> Answer:
        await self._may_lead(words)
        return Answer(("OK MASTER-GRANTED",))

    async def _fsd(self, words: Sequence[str]) -> Answer:
        device = await self._may_lead(words)
        self._server.forced.set(device.id)
        _LOGGER.warning("NUT user %s at %s has set forced shutdown on %s", self._name, self.address, device.key)
        return Answer(("OK FSD-SET",))

    async def _may_lead(self, words: Sequence[str]) -> Device:
        _exactly(1, words)
        device = self._server.upses.find(words[0])
        await self._upsmon("primary")
        return device

    async def _set(self, words: Sequence[str]) -> Answer:
        match [words[0].upper(), *words[1:]] if words else []:
            case ["TRACKING", switch, *_] if switch.upper() in {"ON", "OFF"}:
                self._tracked = switch.upper() == "ON"
                return Answer(("OK",))
            case ["VAR", name, variable, _, *_]:
                device = self._server.upses.find(name)
                self._server.upses.status(device)
                await self._verified()
                self._server.upses.variable(device, variable)
                raise Refusal(Error.READONLY)
            case _:
                raise Refusal(Error.INVALID_ARGUMENT)

    async def _instcmd(self, words: Sequence[str]) -> Answer:
        if len(words) < 2:
            raise Refusal(Error.INVALID_ARGUMENT)
        device = self._server.upses.find(words[0])
        found = self._server.upses.command(device, words[1])
        user = await self._verified()
        if found.command.group not in user.allow & self._server.config.allow:
            raise Refusal(Error.ACCESS_DENIED)
        order = found.order(words[2] if len(words) > 2 else None)
        giving = asyncio.create_task(self._give(order, user), name=f"NUT command {found.name:.40}")
        self._server.giving.add(giving)
        giving.add_done_callback(self._server.giving.discard)
        if self._tracked:
            number = self._server.tracking.begin()
            giving.add_done_callback(
                lambda done: None if done.cancelled() else self._server.tracking.end(number, done.result())
            )
            return Answer((f"OK TRACKING {number}",))
        await asyncio.wait((giving,), timeout=OUTCOME)
        error = giving.result() if giving.done() else None
        if error is not None:
            raise Refusal(error)
        return Answer(("OK",))

    async def _give(self, order: Order, user: NutUser) -> Error | None:
        """Carry a command out; returns what is to be said if it has failed."""
        try:
            await self._server.orders.give(order, Client(f"NUT {user.name}@{self.address}"))
        except CommandError as error:
            return REFUSED.get(error.code, Error.INSTCMD_FAILED)
        return None


def _exactly(count: int, words: Sequence[str]) -> None:
    if len(words) != count:
        raise Refusal(Error.INVALID_ARGUMENT)


__all__ = ["After", "Answer", "Dialogue", "Server"]
