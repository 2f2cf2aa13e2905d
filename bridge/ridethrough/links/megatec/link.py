"""The link to a UPS of the Megatec family on a serial port."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
import math
import os
from typing import ClassVar

from ridethrough.clock import Clock
from ridethrough.links.answer import MalformedError, NoAnswerError
from ridethrough.links.base import Credentials, Identity, Link, LinkError, LinkUrl, Reach, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.line import LINE_OPTIONS, line_settings
from ridethrough.links.option import Option, Options, choice, number
from ridethrough.links.port import SerialPort
from ridethrough.site import CommandError, CommandResult, Value

from .answer import Parsed
from .commands import COMMANDS, CommandRow, Order, order
from .conversation import Conversation, Detection, RefusedError, Verdict
from .dialects import BY_NAME, Consent, Dialect
from .pipe import Pipe
from .status import Status, packs_of, understand
from .table import Query

SILENT_POLLS = 3
"""Unanswered polls in a row after which the UPS is lost; one or two happen on any line."""
GARBLED_POLLS = 10
"""Unreadable polls in a row after which it is lost: somebody is there, but nothing can be learnt."""
SHARE = 0.85
"""How much of the line's time polling may take."""
CALM, BRISK = 0.9, 0.25
"""Seconds from one status poll to the next, normally and while things may change quickly, if the line allows."""
DETAILS = 300.0
"""Seconds between two readings of the ratings."""
RETRY = 15.0
"""The same while one of them is still missing."""
HOPELESS = 3
"""Times that a question is asked which the UPS has never answered; one that it sends back is not asked again."""
ROUNDS = 4
"""Polls within which every measurement is asked once; they last less than the deadline."""
CONFIRMATION = 3.0
"""Seconds within which the status must show what a command has brought about."""


class MegatecLink(Link):
    """Polls a Megatec UPS and gives it commands; `megatec:/dev/ttyUSB0?baud=2400&dialect=megatec`."""

    scheme: ClassVar[str] = "megatec"
    title: ClassVar[str] = "Megatec (Q1) on a serial line"
    example: ClassVar[str] = "megatec:/dev/ttyUSB0"
    reach: ClassVar[Reach] = Reach.SERIAL
    options: ClassVar[tuple[Option, ...]] = (
        *LINE_OPTIONS,
        choice("dialect", "the dialect it speaks, found out if not given", BY_NAME),
        number("patience", "how long the UPS may think", 0.05, 10, default=1, unit="s"),
        number("packs", "how many times the battery voltage on the line makes the whole battery", 1, 500),
    )

    def __init__(self, url: LinkUrl, _credentials: Credentials, context: LinkContext) -> None:
        """See `Link`; a serial line asks for no credentials."""
        if not url.path or url.host:
            raise ValueError(f"{url} names no serial port; write it as in {self.example}")
        options = Options(self.scheme, self.options, url.options)
        self._path = url.path
        self._line = line_settings(url.options)
        dialect = options.text("dialect")
        self._wanted = None if dialect is None else BY_NAME[dialect]
        self._patience = options.amount("patience")
        packs = options.number("packs")
        self._packs = None if packs is None else int(packs)
        self._clock = context.clock
        self._ports = ports = context.ports
        self._dialect: Dialect | None = None
        self._session: Session | None = None
        self._pipe: Pipe | None = None
        ports.keep_trace(self._path)

    def pipe(self, path: str, granted: frozenset[str]) -> None:
        """See `Link`."""
        if os.path.realpath(path) == os.path.realpath(self._path):
            raise ValueError(f"{path} is the port of the UPS itself; the other manager needs another one.")
        self._pipe = Pipe(path, granted, self._line, self._ports, self._clock)

    @property
    def path(self) -> str:
        """The serial port as the URL names it; `SerialPorts.trace` knows its trace by this name."""
        return self._path

    @property
    def dialect(self) -> str | None:
        """The name of the dialect that the UPS was last found to speak."""
        return None if self._dialect is None else self._dialect.name

    async def run(self, report: Report) -> None:
        """Open the port, find the dialect, and poll until the connection is lost (LinkError)."""
        port = await self._ports.open(self._path, self._line)
        piping: asyncio.Task[None] | None = None
        try:
            # A late answer to one question would be taken for that to the next, which looks the same in other dialects.
            conversation = Conversation(port, report, 2 * self._patience)
            detection = Detection(conversation)
            self._dialect = await detection.run(self._wanted, self._dialect)
            conversation.patience = self._patience
            self._session = Session(conversation, self._dialect, report, self._clock, self._packs)
            if self._pipe is not None:
                piping = asyncio.create_task(self._pipe.run(conversation, self._dialect, self._session.turn, report))
            await self._session.run(detection)
        finally:
            self._session = None
            if piping is not None:
                await _ended(piping)
            await port.close()

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Give a command and see from the status what became of it. Raises CommandError."""
        try:
            told = order(command, arguments, self._rows(child), child)
        except ValueError as error:
            raise CommandError("bad_argument", str(error)) from error
        if told is None:
            raise CommandError("unknown_command", f"The UPS on {self._path} has no command {command}.")
        if self._session is None:
            raise CommandError("offline", f"The UPS on {self._path} cannot be reached at the moment.")
        return await self._session.perform(told)

    def _rows(self, child: str | None) -> Mapping[str, CommandRow]:
        """Give the commands of the dialect, or of an outlet that there is."""
        if child is not None:
            there = self._session is not None and child in self._session.outlets
            return self._dialect.outlet_commands if self._dialect is not None and there else {}
        return COMMANDS if self._dialect is None else self._dialect.commands


async def _ended(piping: asyncio.Task[None]) -> None:
    """End the pipe. What is not the line's fault is a bug, and is not kept quiet."""
    piping.cancel()
    (outcome,) = await asyncio.gather(piping, return_exceptions=True)
    if isinstance(outcome, Exception) and not isinstance(outcome, LinkError | OSError):
        raise outcome


class Session:
    """One connection to a UPS whose dialect is known."""

    def __init__(
        self, conversation: Conversation, dialect: Dialect, report: Report, clock: Clock, packs: int | None
    ) -> None:
        """Nothing is sent until `run`."""
        self._conversation = conversation
        self._port: SerialPort = conversation.port
        self._patience = conversation.patience
        self._dialect = dialect
        self._report = report
        self._clock = clock
        self._packs = packs
        self._nominal: float | None = None
        self._status: Status | None = None
        self._silent = 0
        self._garbled = 0
        self._taken = 0.0
        """Seconds that the last poll took on the line."""
        self.turn = asyncio.Lock()
        """A command and the polls that confirm it are not interrupted by other polls."""
        self._texts: dict[str, str] = {}
        self._known: set[str] = set()
        """Questions besides the status that this device has answered."""
        self._failures: Counter[str] = Counter()
        """How often it has not answered a question that it has never answered."""
        self.outlets: dict[str, bool] = {}
        """By number, the outlets that can be switched, and whether each is on."""

    async def run(self, detection: Detection) -> None:
        """Read the details, which may be known from the detection, then poll. Raises LinkError when it is lost."""
        for claimed in filter(None, detection.heard.values()):
            self._texts.update({key: text for key, text in claimed.parsed.texts.items() if key == "protocol"})
        for query in self._dialect.details:
            if (heard := detection.heard.get(query)) is not None:
                self._post(query, heard.parsed, details=True)
        due = self._clock.monotonic() + await self._read_details(self._open_questions())
        measurements = self._cycle()
        # The first time all of them, so that everything is known soon.
        at_once = len(self._dialect.measurements)
        while True:
            began = self._clock.monotonic()
            async with self.turn:
                await self._poll()
            for measurement in islice(measurements, at_once):
                asked = self._clock.monotonic()
                await self._ask_aside(measurement, details=False)
                if self._clock.monotonic() - asked > 0.9 * self._patience:
                    # What it leaves unanswered takes long, and its status must not wait for several of them.
                    async with self.turn:
                        await self._poll()
            at_once = self._at_once
            if began >= due:
                due = began + await self._read_details(self._open_questions() or self._dialect.details)
            taken = self._clock.monotonic() - began
            await self._port.pause(max(self._period - taken, taken * (1 / SHARE - 1)))

    def _cycle(self) -> Iterator[Query]:
        """Give the measurements in turn for ever, without those that the device does not know."""
        while pending := [query for query in self._dialect.measurements if self._failures[query.command] < HOPELESS]:
            yield from pending

    @property
    def _at_once(self) -> int:
        """How many of them to ask after each poll, so that none becomes stale."""
        known = sum(self._failures[query.command] < HOPELESS for query in self._dialect.measurements)
        return math.ceil(known / ROUNDS)

    async def perform(self, told: Order) -> CommandResult:
        """Give a command between two polls and look at the following polls for its effect."""
        async with self.turn:
            try:
                # What turns over must know how things stand now, not before the command that was given just now.
                before = await self._poll() if told.already else self._status or await self._poll()
                if before is None:
                    raise CommandError("no_answer", f"The UPS on {self._port.path} does not answer.")
                if told.already is not None and told.already(before):
                    return CommandResult(f"The UPS need not be told to {told.sentence}: it is so already.")
                verdict = await self._conversation.tell(told.request)
                if verdict is Verdict.REFUSAL:
                    raise CommandError("refused", f"The UPS refused to {told.sentence}.")
                if verdict is Verdict.SILENCE and self._dialect.consent is not Consent.SILENCE:
                    raise CommandError("no_answer", f"The UPS did not answer when told to {told.sentence}.")
                if told.outlet is not None:
                    return await self._switched(told, told.outlet)
                after = await self._confirmed(told, before)
            except LinkError as error:
                raise CommandError("no_answer", f"The connection was lost while telling the UPS: {error}") from error
        if after is None:
            raise CommandError("no_answer", f"The UPS was told to {told.sentence}, and has not answered since.")
        if told.confirms(before, after):
            return CommandResult(f"The UPS was told to {told.sentence}, and does.")
        return CommandResult(
            f"The UPS was told to {told.sentence} and has not refused, but its status does not show it.",
            confirmed=False,
        )

    async def _switched(self, told: Order, outlet: str) -> CommandResult:
        """See from the outlet what became of it."""
        self.outlets.pop(outlet, None)
        for query in self._dialect.measurements:
            if query.outlet == outlet:
                await self._ask(query, details=False)
        if self.outlets.get(outlet) is told.on:
            return CommandResult(f"The UPS was told to {told.sentence}, and it is.")
        return CommandResult(
            f"The UPS was told to {told.sentence} and has not refused, but the outlet does not show it.",
            confirmed=False,
        )

    async def _confirmed(self, told: Order, before: Status) -> Status | None:
        """Return the status that confirms the command, or the last one in time; None if no poll was answered."""
        until = self._clock.monotonic() + CONFIRMATION
        last: Status | None = None
        while True:
            last = await self._poll() or last
            if (last and told.confirms(before, last)) or self._clock.monotonic() >= until:
                return last
            await self._port.pause(BRISK)

    # Polling

    @property
    def _period(self) -> float:
        """Seconds from one poll to the next: a quarter of a fast line's time, most of it while things happen."""
        eventful = self._status is not None and self._status.eventful
        return BRISK if eventful else min(CALM, max(BRISK, 4 * self._taken))

    async def _poll(self) -> Status | None:
        """Ask for the status and post it; None if there was no usable answer. Raises LinkError when it is lost."""
        try:
            heard = await self._conversation.ask(self._dialect.status)
        except NoAnswerError as error:
            self._silent += 1
            self._conversation.patience = 2 * self._patience
            if self._silent >= SILENT_POLLS:
                raise LinkError(f"{error}, {self._silent} times in a row") from error
            return None
        except MalformedError as error:
            self._silent = 0
            self._garbled += 1
            if self._garbled >= GARBLED_POLLS:
                raise LinkError(f"{error}; {self._garbled} unreadable answers in a row") from error
            return None
        self._silent = self._garbled = 0
        self._taken = heard.answer.seconds
        # One that needs more than its time is given up to twice as much from now on.
        self._conversation.patience = min(2 * self._patience, max(self._patience, 1.5 * self._taken))
        layout = self._dialect.status.layout
        self._status = understand(heard.parsed, self._packs_of(heard.parsed), layout)
        self._report.status(self._status.points, self._status.conditions)
        return self._status

    def _packs_of(self, parsed: Parsed) -> int:
        """Settle on the first number that can be told, and keep it: a battery that dies must not seem another one."""
        voltage = parsed.numbers.get("battery.voltage")
        if self._packs is None and self._nominal is not None and voltage is not None:
            self._packs = packs_of(voltage, self._nominal)
        return self._packs or 1

    async def _ask_aside(self, query: Query, *, details: bool) -> None:
        """Ask something besides the status; that it is not answered is counted and no reason to give up."""
        if self._failures[query.command] >= HOPELESS or (query.after is not None and query.after not in self._known):
            return
        async with self.turn:
            await self._ask(query, details=details)

    async def _ask(self, query: Query, *, details: bool) -> None:
        try:
            heard = await self._conversation.ask(query)
        except RefusedError:
            self._failures[query.command] = HOPELESS
        except NoAnswerError, MalformedError:
            self._failures[query.command] += query.command not in self._known
        else:
            self._post(query, heard.parsed, details=details)

    async def _read_details(self, queries: Sequence[Query]) -> float:
        """Ask for details; seconds until it is time to ask again, soon if an answer is still missing."""
        for position, query in enumerate(queries):
            if position and self._status is not None:
                # What a UPS leaves unanswered takes long, and its status must not wait for all of it.
                async with self.turn:
                    await self._poll()
            await self._ask_aside(query, details=True)
        self._identify()
        return RETRY if self._open_questions() else DETAILS

    def _open_questions(self) -> Sequence[Query]:
        """Details that have not been answered yet and still may be."""
        return [
            query
            for query in self._dialect.details
            if query.command not in self._known
            and self._failures[query.command] < HOPELESS
            and (query.after is None or self._failures[query.after] < HOPELESS)
        ]

    def _post(self, query: Query, parsed: Parsed, *, details: bool) -> None:
        self._known.add(query.command)
        self._nominal = parsed.numbers.get("battery.voltage.nominal") or self._nominal
        report = self._report if query.outlet is None else self._outlet(query.outlet, parsed)
        points = {**parsed.numbers, **parsed.points}
        if points or parsed.conditions:
            (report.details if details else report.status)(points, parsed.conditions)
        self._texts.update(parsed.texts)

    def _outlet(self, number: str, parsed: Parsed) -> Report:
        """Give the report of an outlet, a device of its own."""
        report = self._report.child("outlet", number, f"Outlet {number}")
        if number not in self.outlets:
            report.identified(Identity(commands=frozenset(self._dialect.outlet_commands)))
        self.outlets[number] = parsed.conditions.get("outlet_on", self.outlets.get(number, False))
        return report

    def _identify(self) -> None:
        if (protocol := self._texts.get("protocol")) is not None:
            self._report.details({"ups.firmware.aux": protocol})
        self._report.identified(
            Identity(
                manufacturer=self._texts.get("manufacturer"),
                model=self._texts.get("model"),
                serial=self._texts.get("serial"),
                firmware=self._texts.get("firmware"),
                commands=frozenset(self._dialect.commands),
            )
        )


__all__ = ["MegatecLink", "Session"]
