"""The link to a UPS that tells what it has to say by contacts."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import ClassVar

from ridethrough.catalogue import load_catalogue
from ridethrough.links.base import Credentials, Identity, Link, LinkError, LinkUrl, RawValue, Reach, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.option import Option, Options, choice, flag, number
from ridethrough.site import CommandError, CommandResult, Value

from .cables import CABLES, MEANINGS, PULSE, Cable, Contact, outputs
from .debounce import Debounce
from .elsewhere import Elsewhere
from .lines import ModemLines, local_lines, remote_lines

PERIOD = 0.05
"""Seconds between two looks at the modem lines."""
CONFIRMED = 1.0
"""Seconds after which what has not changed is posted again, so that it does not become stale."""
PATIENCE = 5.0
"""Seconds within which another device must tell its contacts, before it counts as not telling them."""
LATE = 60.0
"""Seconds by which a shutdown that was ordered may be late, when the lines were gone at its time."""

RECOVERY = 0.5
"""Seconds that a cable needs to tell the truth again when it has its supply back."""

_SUMMARIES = {
    "power_fail": "the contact that tells a power failure",
    "battery_low": "the contact that tells a low battery",
    "bypass": "the contact that tells that the load is on bypass",
    "replace": "the contact that tells that the battery needs replacing",
    "fault": "the contact that tells a fault of the UPS",
}


@dataclass(slots=True)
class Order:
    """A shutdown that has been ordered and is counting down, or being signalled."""

    due: float
    """Monotonic time at which the outputs are switched over."""
    until: float | None = None
    """Monotonic time at which they are switched back; None before `due`."""


class ContactsLink(Link):
    """Reads contacts; `contacts:/dev/ttyS0?cable=rups`, `contacts://host:port?…`, `contacts:?power_fail=io-1/input.3`."""

    scheme: ClassVar[str] = "contacts"
    title: ClassVar[str] = "Contacts on modem lines or on inputs of another device"
    example: ClassVar[str] = "contacts:/dev/ttyS0?cable=rups"
    reach: ClassVar[Reach] = Reach.EITHER
    port: ClassVar[int | None] = 2217
    options: ClassVar[tuple[Option, ...]] = (
        choice("cable", "the cable, which says what its lines mean", CABLES),
        *(Option(name, _SUMMARIES[name]) for name in MEANINGS),
        Option("present", "the line that is high as long as the cable is plugged in"),
        Option("supply", "the outputs that feed the cable, such as dtr or dtr+rts"),
        Option("shutdown", "the outputs that are high while the shutdown is ordered, or off, or break"),
        number("pulse", "how long the shutdown is ordered", 0.1, 120, unit="s"),
        flag("restart", "whether the UPS starts again by itself when there is power", default=True),
        number("debounce", "how long a contact must stand still before it counts", 0, 10, default=0.15, unit="s"),
    )

    def __init__(self, url: LinkUrl, _credentials: Credentials, context: LinkContext) -> None:
        """See `Link`; contacts ask for no credentials."""
        options = Options(self.scheme, self.options, url.options)
        self._path, self._host, self._number = url.path, url.host, url.port or self.port
        if self._host and self._path.strip("/"):
            raise ValueError(f"{url} names a host and a path; write it as in contacts://host:port?cable=rups")
        self._cable = _cable(options)
        self._debounce = options.amount("debounce")
        self._context = context
        self._clock = context.clock
        self._command = "shutdown.return" if options.flag("restart") else "shutdown.stayoff"
        self._wired = bool(self._path or self._host)
        self._check(url)
        self._lines: ModemLines | None = None
        self._order: Order | None = None
        self._closed: frozenset[str] = frozenset()
        self._blind_until = 0.0
        """Until then the cable is, or was just now, without its supply, and its contacts mean nothing."""
        self._connected = False
        if self._path and not self._host:
            context.ports.keep_trace(self._path)

    def _check(self, url: LinkUrl) -> None:
        """Raise ValueError for what does not go together."""
        if not self._cable.contacts:
            raise ValueError(f"{url} says nothing of its contacts; give cable= or power_fail=, as in {self.example}")
        lines = [contact.name for contact in self._cable.needed if contact.line]
        if lines and not self._wired:
            raise ValueError(f"{lines[0]} is a line of a serial port, and the link names none, as in {self.example}")
        if self._wired and not lines:
            raise ValueError(f"{url} names a port, but no contact is on one of its lines.")
        if not self._wired and self._cable.shutdown is not None:
            raise ValueError("shutdown= needs a serial port, as in contacts:/dev/ttyS0?…&shutdown=rts")

    @classmethod
    def line(cls, url: LinkUrl) -> str | None:
        """See `Link`; the port of a device server is one, too."""
        return f"{url.host}:{url.port or cls.port}" if url.host else super().line(url)

    @property
    def path(self) -> str:
        """The serial port as the URL names it; empty where there is none."""
        return "" if self._host else self._path

    async def run(self, report: Report) -> None:
        """Look at the contacts until they can no longer be seen (LinkError)."""
        async with AsyncExitStack() as stack:
            elsewhere = await self._watch(stack)
            if self._wired:
                self._lines = await self._opened()
                stack.push_async_callback(self._lines.close)
            self._connected = True
            stack.callback(self._disconnected)
            report.identified(Identity(commands=self._offered))
            await self._look(report, elsewhere)

    def _disconnected(self) -> None:
        self._connected, self._lines = False, None

    @property
    def _offered(self) -> frozenset[str]:
        return frozenset() if self._cable.shutdown is None else frozenset({self._command, "shutdown.stop"})

    # Reading

    async def _watch(self, stack: AsyncExitStack) -> Elsewhere | None:
        """Watch what other devices tell; they may still be starting."""
        contacts = [contact for contact in self._cable.needed if not contact.line]
        if not contacts:
            return None
        if self._context.site is None:
            raise LinkError(f"{contacts[0].name} is told by another device, which only the running bridge knows.")
        elsewhere = Elsewhere(self._context.site, contacts)
        stack.callback(elsewhere.close)
        until = self._clock.monotonic() + PATIENCE
        while True:
            try:
                elsewhere.read()
            except LinkError:
                if self._clock.monotonic() >= until:
                    raise
            else:
                return elsewhere
            await self._clock.sleep(PERIOD)

    async def _opened(self) -> ModemLines:
        supply = self._cable.supply
        if self._host:
            assert self._number is not None
            return await remote_lines(self._host, self._number, supply, self._clock)
        return await local_lines(self._context.ports, self._path, supply)

    async def _look(self, report: Report, elsewhere: Elsewhere | None) -> None:
        debounce = Debounce(self._debounce)
        posted: Mapping[str, bool] = {}
        posted_at = 0.0
        while True:
            now = self._clock.monotonic()
            closed: frozenset[str] | None = frozenset()
            if self._lines is not None:
                seen = self._lines.read()
                self._signal(now)
                if now < self._blind_until:
                    debounce, closed = Debounce(self._debounce), None
                else:
                    closed = debounce.look(seen, now)
            if closed is not None:
                self._closed = closed | (frozenset() if elsewhere is None else elsewhere.read())
                conditions = self._said()
                if conditions != posted or now - posted_at >= CONFIRMED:
                    report.status({}, conditions)
                    if conditions != posted:
                        report.count("answers")
                    posted, posted_at = conditions, now
            await self._pause(elsewhere)

    async def _pause(self, elsewhere: Elsewhere | None) -> None:
        if self._lines is not None or elsewhere is None:
            await self._clock.sleep(PERIOD)
            return
        # Nothing is polled: the site tells when something changes.
        sleeping = asyncio.ensure_future(self._clock.sleep(CONFIRMED))
        waiting = asyncio.ensure_future(elsewhere.changed.wait())
        try:
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()
        elsewhere.changed.clear()

    def _said(self) -> Mapping[str, bool]:
        """Say what the closed contacts mean. Raises LinkError when the cable is not there."""
        present = self._cable.present
        if present is not None and not present.holds(present.name in self._closed):
            raise LinkError(
                f"The cable seems to be unplugged, or the UPS off: {present.name} is "
                f"{'high' if present.inverted else 'low'}."
            )
        said = {
            MEANINGS[name]: contact.holds(contact.name in self._closed)
            for name, contact in self._cable.contacts.items()
        }
        if self._cable.shutdown is not None:
            said["shutdown_pending"] = self._order is not None
        return said

    def raw(self) -> tuple[RawValue, ...]:
        """Give the contacts as they stand."""
        return tuple(
            RawValue(
                contact.name,
                _stands(contact, contact.name in self._closed),
                meaning=_meaning(self._cable, contact.name),
            )
            for contact in {contact.name: contact for contact in self._cable.needed}.values()
        )

    # Shutting down

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Order a shutdown, or take it back. Raises CommandError."""
        if child is not None or command not in self._offered:
            raise CommandError("unknown_command", f"This cable has no command {command}.")
        if not self._connected or self._lines is None:
            raise CommandError("offline", "The contacts cannot be reached at the moment.")
        if command == "shutdown.stop":
            return self._take_back()
        delay = _delay(command, arguments)
        self._order = Order(self._clock.monotonic() + delay)
        return CommandResult(
            f"The UPS will be told to switch off in {delay:g} s, by its shutdown line for {self._cable.pulse:g} s. "
            "Whether it obeys, the cable does not tell.",
            confirmed=False,
        )

    def _take_back(self) -> CommandResult:
        order, self._order = self._order, None
        if order is None:
            return CommandResult("No shutdown was ordered.")
        if order.until is None:
            return CommandResult("The shutdown is taken back; the UPS has not been told of it.")
        assert self._lines is not None
        self._lines.drive(self._cable.supply)
        return CommandResult("The shutdown line is released; what the UPS has begun it may finish.", confirmed=False)

    def _signal(self, now: float) -> None:
        """Switch the outputs over when it is time, and back."""
        assert self._lines is not None
        order = self._order
        if order is None or now < order.due or self._cable.shutdown is None:
            return
        if order.until is None and now > order.due + LATE:
            self._order = None
        elif order.until is None:
            order.until = now + self._cable.pulse
            if not self._cable.supply <= self._cable.shutdown:
                self._blind_until = order.until + RECOVERY
            self._lines.drive(self._cable.shutdown)
        elif now >= order.until:
            self._order = None
            self._lines.drive(self._cable.supply)


def _cable(options: Options) -> Cable:
    """Take the cable of the table, and what the URL says otherwise. Raises ValueError with a sentence."""
    name = options.text("cable")
    cable = Cable() if name is None else CABLES[name]
    for meaning in MEANINGS:
        if (text := options.text(meaning)) is not None:
            cable = cable.with_contact(meaning, Contact.parse(text))
    if (text := options.text("present")) is not None:
        cable = replace(cable, present=Contact.parse(text))
    if (text := options.text("supply")) is not None:
        cable = replace(cable, supply=outputs(text))
    if (text := options.text("shutdown")) is not None:
        cable = replace(cable, shutdown=outputs(text))
    pulse = options.number("pulse")
    return replace(cable, pulse=cable.pulse or PULSE) if pulse is None else replace(cable, pulse=pulse)


def _stands(contact: Contact, closed: bool) -> str:
    """Word how a contact stands: a line is high or low, as on a meter."""
    if contact.line:
        return "high" if closed else "low"
    return "closed" if closed else "open"


def _condition(key: str) -> str:
    known = load_catalogue().condition("ups", key)
    assert known is not None
    return known.name


def _meaning(cable: Cable, name: str) -> str:
    """Say what a contact says, and how it has to stand for that."""
    said = [
        f"{_condition(MEANINGS[meaning])} when {_stands(contact, not contact.inverted)}"
        for meaning, contact in cable.contacts.items()
        if contact.name == name
    ]
    if cable.present is not None and cable.present.name == name:
        said.append(f"the cable is there when {_stands(cable.present, not cable.present.inverted)}")
    return ", ".join(said)


def _delay(command: str, arguments: Mapping[str, Value]) -> float:
    known = load_catalogue().command("ups", command)
    assert known is not None
    default = next(argument.default for argument in known.arguments if argument.name == "delay")
    delay = arguments.get("delay", default)
    if isinstance(delay, bool | str | None):
        raise CommandError("bad_argument", f"{command} needs delay as a number of s, not {delay!r}.")
    return float(delay)


__all__ = ["ContactsLink"]
