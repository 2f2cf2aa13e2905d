"""The link to a UPS with an SNMP card."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary

from ridethrough.links.base import Credentials, Link, LinkError, LinkUrl, RawValue, Reach, Report, Secret
from ridethrough.links.context import LinkContext
from ridethrough.links.option import Option
from ridethrough.site import Alert, CommandError, CommandResult, Value

from .agent import Agent, SilentError, UnwelcomeError, resolve
from .diagnosis import explain
from .options import OPTIONS, PORT, understand
from .session import SLOW, UNANSWERED, Memory, Session

ATTEMPTS = 3
"""Times that an agent is called before it counts as silent: the first packet to a machine is often lost."""

STARTS = 80.0
"""Links that may begin in a second: to learn what a card has takes some milliseconds of the loop's time.

A thousand that began at once would keep the loop so busy that answers in time came too late.
"""
_NEXT_START: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


class Poller(Protocol):
    """What polls one agent until it is lost."""

    over: bool
    """Whether it has ended."""

    async def run(self) -> None:
        """Poll for ever. Raises LinkError."""

    def raw(self) -> tuple[RawValue, ...]:
        """Give every object that was read, under the name its MIB has for it."""

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None) -> CommandResult:
        """Write what the command takes. Raises CommandError."""

    async def history(self) -> tuple[Alert, ...]:
        """Read the log that the agent keeps itself. Raises CommandError or LinkError."""


class SnmpLink(Link):
    """Polls an SNMP card and gives it commands; `snmp://host:161?version=3&auth=sha&privacy=aes`."""

    scheme: ClassVar[str] = "snmp"
    title: ClassVar[str] = "SNMP (RFC 1628 and makers' MIBs)"
    example: ClassVar[str] = "snmp://192.0.2.10"
    reach: ClassVar[Reach] = Reach.HOST
    kind_is_certain: ClassVar[bool] = False
    port: ClassVar[int | None] = PORT
    options: ClassVar[tuple[Option, ...]] = OPTIONS
    secrets: ClassVar[tuple[Secret, ...]] = (
        Secret.COMMUNITY,
        Secret.USERNAME,
        Secret.PASSWORD,
        Secret.PRIVACY_PASSWORD,
    )

    def __init__(self, url: LinkUrl, credentials: Credentials, context: LinkContext) -> None:
        """See `Link` and `options.understand`."""
        self._options = understand(url, credentials, self.example)
        self._context = context
        self._memory = Memory()
        self._session: Poller | None = None
        self._news = asyncio.Event()
        self.deadline = UNANSWERED * (self._options.poll + self._options.timeout)
        self.slow_deadline = UNANSWERED * SLOW + self._options.poll

    async def run(self, report: Report) -> None:
        """Connect and poll until the agent is lost (LinkError)."""
        options = self._options
        if options.user is not None and not options.user.name:
            raise LinkError(f"{options} is to be asked by SNMPv3, and that needs a user: username: is missing.")
        await _turn()
        address = await resolve(options)
        traps = self._context.traps
        forget: Callable[[], None] | None = None if traps is None else traps.subscribe(address, self._news.set)
        try:
            agent = Agent(address, options, self._memory.endurance)
            session = self._begin_session(agent, address, report)
            await self._begin(agent, address, report)
            self._session = session
            await session.run()
        finally:
            if forget is not None:
                forget()
            if self._session is not None:
                self._session.over = True

    def _begin_session(self, agent: Agent, address: str, report: Report) -> Poller:
        """Make what polls the agent, once it has answered."""
        return Session(agent, address, self._options, self._memory, self._context.clock, report, self._wait)

    async def _begin(self, agent: Agent, address: str, report: Report) -> None:
        """Get a first answer. Raises LinkError with what is likely to be wrong."""
        for attempt in range(ATTEMPTS):
            try:
                await agent.open()
                await agent.greet()
            except SilentError:
                report.count("timeouts")
                if attempt == ATTEMPTS - 1:
                    raise LinkError(await explain(address, self._options)) from None
            except UnwelcomeError:
                report.count("refused")
                raise LinkError(await explain(address, self._options)) from None
            else:
                return

    async def _wait(self, seconds: float) -> None:
        """Sleep until the next poll, or until a trap says that there is something new."""
        sleeping = asyncio.ensure_future(self._context.clock.sleep(seconds))
        woken = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait((sleeping, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            woken.cancel()
        self._news.clear()

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Write what the command takes; confirmed when the UPS shows that it does it. Raises CommandError."""
        result = await self._connected().perform(command, arguments, child)
        self._news.set()
        return result

    async def history(self) -> tuple[Alert, ...]:
        """Read the log that the card keeps itself, oldest first.

        Raises CommandError (offline, or unknown_command when it keeps none) or LinkError.
        """
        return await self._connected().history()

    def remember(self, raised: frozenset[str]) -> None:
        """Take for seen what was raised before the bridge was restarted: an alarm may have gone meanwhile."""
        self._memory.alarms.remember(raised)

    def raw(self) -> tuple[RawValue, ...]:
        """Give every object of the last poll under the name its MIB has for it."""
        return () if self._session is None else self._session.raw()

    def _connected(self) -> Poller:
        if self._session is None or self._session.over:
            raise CommandError("offline", f"There is no connection to {self._options} at the moment.")
        return self._session


async def _turn() -> None:
    """Wait until a further link may begin."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    due = max(now, _NEXT_START.get(loop, now))
    _NEXT_START[loop] = due + 1.0 / STARTS
    await asyncio.sleep(due - now)


__all__ = ["Poller", "SnmpLink"]
