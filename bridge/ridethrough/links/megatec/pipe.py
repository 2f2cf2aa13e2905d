"""The raw line of the UPS for another manager on a second serial port, which sees it as if it were alone with it.

Its questions go over the line between ours and come back byte for byte. Its commands go only if they are granted, and
what is neither a known question nor a known command does not go at all: to a UPS it might be one that switches off.
Manual M:2218.
"""

import asyncio
from collections.abc import Iterator, Mapping
import re

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import LinkError, Report
from ridethrough.links.port import SerialPort
from ridethrough.links.ports import SerialPorts
from ridethrough.links.trace import escaped
from ridethrough.serial_line import LineSettings

from .commands import CommandRow
from .conversation import Conversation
from .dialects import DIALECTS, Consent, Dialect
from .table import Query

FRESH = 0.5
"""Seconds for which an answer that we have had serves for the same question from the other side."""
RETRY = 5.0
"""Seconds between two attempts to open a second port that is not there."""
LONGEST = 32
"""Bytes of a request; what is longer is noise."""

_NUMBERS = {"n": r"(?:\.[2-9]|\d\d)", "m:04d": r"\d{4}", "duration:02d": r"(?:\.\d|\d\d)", "outlet": r"\d"}


class Rules:
    """Which requests of the other manager may reach a UPS of this dialect."""

    def __init__(self, dialect: Dialect, granted: frozenset[str]) -> None:
        """`granted` are command groups."""
        self._granted = granted
        self._commands = [
            *_patterns(dialect.commands, "ups"),
            *_patterns(dialect.outlet_commands, "outlet"),
            # S<n> without a restart time; see `commands`.
            (re.compile(r"S(?:\.[2-9]|\d\d)"), "shutdown"),
        ]

    def question(self, request: str) -> bool:
        """Whether this only asks: the questions of all dialects, as another manager finds out which it is."""
        return request in QUESTIONS and not self._groups(request)

    def command(self, request: str) -> bool:
        """Whether this is a command that is granted."""
        return bool(self._groups(request) & self._granted)

    def _groups(self, request: str) -> set[str]:
        return {group for pattern, group in self._commands if pattern.fullmatch(request)}


def _patterns(rows: Mapping[str, CommandRow], kind: str) -> Iterator[tuple[re.Pattern[str], str]]:
    for key, row in rows.items():
        command = load_catalogue().command(kind, key)
        assert command is not None
        pattern = re.escape(row.template)
        for name, digits in _NUMBERS.items():
            pattern = pattern.replace(re.escape(f"{{{name}}}"), digits)
        yield re.compile(pattern), command.group


def _questions() -> Iterator[Query]:
    for dialect in DIALECTS:
        yield from (*dialect.claims, dialect.status, *dialect.details, *dialect.measurements)


QUESTIONS = frozenset(query.command for query in _questions()) | {"QFS", "QBYF", "QGR", "QPAR", "QPD", "QBDR"}
"""Every question of every dialect, those of Voltronic's that we make nothing of included."""


class Pipe:
    """Serves the second port as long as the UPS's own is served."""

    def __init__(
        self, path: str, granted: frozenset[str], line: LineSettings, ports: SerialPorts, clock: Clock
    ) -> None:
        """Nothing is opened until `run`."""
        self.path = path
        self._granted = granted
        self._line = line
        self._ports = ports
        self._clock = clock
        self._trace = ports.keep_trace(path)

    async def run(self, conversation: Conversation, dialect: Dialect, turn: asyncio.Lock, report: Report) -> None:
        """Serve until cancelled. What goes wrong on the second port is traced, and disturbs nobody else."""
        rules = Rules(dialect, self._granted)
        said = ""
        while True:
            try:
                port = await self._ports.open(self.path, self._line)
                try:
                    said = ""
                    await self._serve(port, conversation, dialect, rules, turn, report)
                finally:
                    await port.close()
            except (LinkError, OSError) as error:
                if conversation.port.lost:
                    raise
                if str(error) != said:
                    said = str(error)
                    self._trace.note(said)
            await self._clock.sleep(RETRY)

    async def _serve(
        self,
        port: SerialPort,
        conversation: Conversation,
        dialect: Dialect,
        rules: Rules,
        turn: asyncio.Lock,
        report: Report,
    ) -> None:
        while True:
            heard = await port.hear(longest=LONGEST)
            if heard is None:
                report.count("malformed")
                continue
            # What precedes it is noise, such as the rest of a request that broke off.
            request = heard.strip().decode("latin-1")
            if not request:
                continue
            if rules.question(request):
                answer = await self._asked(conversation, heard.strip() + b"\r")
            elif rules.command(request):
                async with turn:
                    answer = await conversation.relay(heard.strip() + b"\r")
                    conversation.fresh.clear()
            else:
                report.count("refused")
                port.trace.note(f"{port.path}: {escaped(heard)} is not granted, or not known, and is not passed on")
                answer = b"(NAK\r" if dialect.consent is Consent.ACKNOWLEDGED else heard.strip() + b"\r"
            if answer:
                port.say(answer)

    async def _asked(self, conversation: Conversation, request: bytes) -> bytes:
        """Have the UPS asked, unless it was just now."""
        known = conversation.fresh.get(request)
        if known is not None and self._clock.monotonic() - known.at <= FRESH:
            return known.data + b"\r"
        return await conversation.relay(request)


__all__ = ["FRESH", "LONGEST", "QUESTIONS", "RETRY", "Pipe", "Rules"]
