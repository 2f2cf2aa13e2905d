"""The link to battery modules on a bus of the bridge's own."""

import asyncio
from collections.abc import Iterable, Mapping
import logging
from typing import ClassVar

from ridethrough.battery.bus import Bus, Pace
from ridethrough.links.base import Credentials, Identity, Link, LinkError, LinkUrl, Reach, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.option import Option
from ridethrough.site import CommandError, CommandResult, Value
from ridethrough.tasks import unbroken

from .duties import Duties
from .frames import BOXES, GROUP, NUMBERS, blink
from .impedance import Measurements
from .options import OPTIONS, End, understand
from .programmer import PATIENCE, Programmer
from .programming import Programming
from .scanner import Branch, Scanner
from .stations import Boxes
from .wire import Wire, closed

_LOGGER = logging.getLogger(__name__)

SERIAL_GUARD, TCP_GUARD = 0.002, 0.010
"""Seconds by which an answer may arrive here later than it was given."""
COMMANDS = frozenset(
    f"programmer.{name}" for name in ("start", "stop", "assign", "halt", "change", "reset", "find", "check")
)
REOPEN = 3.0
"""Seconds after which an end of the bus that has gone is looked for again."""
STARTING = 5.0
"""Seconds within which normal operation rests, for certain."""


class ModuleBusLink(Link):
    """Owns the bus of a battery system; `module_bus:/dev/ttyUSB1?ring=/dev/ttyUSB2`, `module_bus://host:4001`."""

    scheme: ClassVar[str] = "module_bus"
    title: ClassVar[str] = "Battery modules (open module protocol)"
    example: ClassVar[str] = "module_bus:/dev/ttyUSB1"
    reach: ClassVar[Reach] = Reach.EITHER
    options: ClassVar[tuple[Option, ...]] = OPTIONS
    kind: str = "battery_system"

    def __init__(self, url: LinkUrl, _credentials: Credentials, context: LinkContext) -> None:
        """See `Link` and `options.understand`; a bus asks for no credentials."""
        self._options = understand(url, self.example)
        self._context = context
        self._layout = layout = context.layout
        count = NUMBERS if layout is None else layout.blocks
        self._duties = Duties(count)
        self._measurements = Measurements(layout)
        self._boxes = Boxes(BOXES if layout is None else layout.boxes, self._options.safe)
        self._pace = Pace.NORMAL
        self._branches: list[Branch] = []
        self._scanner: Scanner | None = None
        self._programming: Programming | None = None
        self._wanted = asyncio.Event()
        """Set while the programmer is wanted."""
        self._ready = asyncio.Event()
        self._known = False
        self.bus: Bus = _ModuleBus(self)
        scan = self._options.line.seconds(17 * count + 64)
        self.deadline = max(15.0, 5 * scan + 2 * self._options.poll)
        for branch in self._options.branches:
            for end in branch:
                context.ports.keep_trace(str(end))

    @classmethod
    def line(cls, url: LinkUrl) -> str | None:
        """See `Link`; the port of a device server is one, too."""
        return f"{url.host}:{url.port}" if url.host else super().line(url)

    async def run(self, report: Report) -> None:
        """Own the ports, and scan until they are lost or everybody is silent (LinkError)."""
        reopening: asyncio.Task[None] | None = None
        try:
            await self._open()
            report.identified(Identity(commands=COMMANDS))
            reopening = asyncio.create_task(self._keep_open())
            while True:
                await self._scan(report)
                await self._programme(report)
        finally:
            self._scanner = None
            if reopening is not None:
                reopening.cancel()
                await asyncio.wait({reopening})
            self._measurements.forget()
            await self._leave()

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Carry out a command of a module or of the programmer. Raises CommandError."""
        if not self._branches:
            raise CommandError("offline", "The bus cannot be reached at the moment.")
        match command:
            case "module.find" | "module.release" if child is not None:
                return await self._blink(int(child), on=command == "module.find")
            case "impedance.measure":
                numbers = range(1, NUMBERS + 1) if child is None else (int(child),)
                present = [one for one in numbers if self._layout is None or one <= self._layout.blocks]
                self._measurements.want(present)
                return CommandResult("The impedance is measured with the next scans.", confirmed=False)
            case "programmer.start":
                return await self._start_programming()
            case "programmer.stop":
                return await self._stop_programming()
        if command not in COMMANDS or child is not None:
            raise CommandError("unknown_command", f"A module bus has no command {command}.")
        programming = self._programming
        if programming is None:
            raise CommandError("refused", "The programmer is off; start it first (programmer.start).")
        given = _numbers(arguments)
        match command:
            case "programmer.assign":
                return await programming.assign(given["first"], given["last"], sound=bool(given.get("sound")))
            case "programmer.change":
                return await programming.change(given["old"], given["new"])
            case "programmer.reset":
                return await programming.reset(given["first"], given["last"])
            case "programmer.find":
                return await programming.find(given["number"])
            case "programmer.check":
                return await programming.check(given["number"], given.get("frames", 300))
        return await programming.halt()

    # What the bus is told

    def set_pace(self, pace: Pace) -> None:
        """See `Bus`."""
        self._pace = pace
        if self._scanner is not None:
            self._scanner.pace = pace
        self._wake()

    def set_duties(self, duties: Mapping[int, int]) -> None:
        """See `Bus`."""
        self._duties.want(duties)

    def want_impedances(self, blocks: Iterable[int]) -> None:
        """See `Bus`."""
        self._measurements.want(blocks)

    def set_output(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self._boxes.switch(box, output, energised=energised)
        self._wake()

    def set_fall_back(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self._boxes.fall_back(box, output, energised=energised)

    # How it is done

    def _wake(self) -> None:
        for branch in self._branches:
            branch.wake.set()

    async def _open(self) -> None:
        """Open all ends; one is enough. Raises LinkError when none can be opened."""
        self._branches = [
            Branch(number, [self._wire(end) for end in ends]) for number, ends in enumerate(self._options.branches)
        ]
        for branch in self._branches:
            for wire in branch.wires[1:]:
                wire.beside(branch.wires[0])
        missing: list[LinkError] = []
        for wire in self._wires:
            try:
                await wire.open()
            except LinkError as error:
                missing.append(error)
        if len(missing) == len(self._wires):
            raise missing[0]
        for why in missing:
            _LOGGER.warning("%s The other ends of the bus are used.", why)
        # Who numbered modules before may have been killed: none shall take a number from now on.
        await Programmer([branch.wires for branch in self._branches]).end()

    def _wire(self, end: End) -> Wire:
        ports, options = self._context.ports, self._options
        if end.path:
            return Wire.serial(ports, end.path, options.line, SERIAL_GUARD if options.guard is None else options.guard)
        guard = TCP_GUARD if options.guard is None else options.guard
        return Wire.tcp(ports, end.host, end.port, options.line, guard)

    @property
    def _wires(self) -> list[Wire]:
        return [wire for branch in self._branches for wire in branch.wires]

    async def _keep_open(self) -> None:
        """Open ends that have gone again: one that is unplugged does not keep the others from being read."""
        while True:
            await asyncio.sleep(REOPEN)
            for wire in [wire for wire in self._wires if wire.lost]:
                try:
                    await wire.open()
                except LinkError as error:
                    _LOGGER.debug("%s", error)
                else:
                    _LOGGER.info("%s is there again", wire.where)

    async def _scan(self, report: Report) -> None:
        """Scan until the programmer is wanted."""
        scanner = self._scanner = Scanner(
            self._branches,
            report,
            self._layout,
            self._context.clock,
            duties=self._duties,
            measurements=self._measurements,
            boxes=self._boxes,
            poll=self._options.poll,
            known=self._known,
        )
        scanner.pace = self._pace
        scanning = asyncio.ensure_future(scanner.run())
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({scanning, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if scanning.done():
                _raise_one(scanning)
        finally:
            self._known = self._known or scanner.answered
            for task in (scanning, wanted):
                task.cancel()
            await asyncio.wait({scanning, wanted})
            if not scanning.cancelled():
                scanning.exception()

    async def _programme(self, report: Report) -> None:
        """Rest until the programmer is stopped. Outputs are kept meanwhile: a breaker must open all the same."""
        self._measurements.forget()
        await self._let_go()
        programmer = Programmer([branch.wires for branch in self._branches])
        programming = self._programming = Programming(programmer, report, self._context.clock)
        self._ready.set()
        scanner = self._scanner
        assert scanner is not None

        async def serve() -> None:
            scanner.check()
            for branch in self._branches:
                await scanner.ask_boxes(branch)
                await scanner.settle(branch)

        try:
            await programming.last(serve)
        finally:
            self._programming = None
            self._wanted.clear()
            self._ready.clear()
            if programming.emptied:
                self._known = False

    async def _start_programming(self) -> CommandResult:
        if self._programming is None:
            self._wanted.set()
            try:
                async with asyncio.timeout(STARTING):
                    await self._ready.wait()
            except TimeoutError as error:
                self._wanted.clear()
                raise CommandError("no_answer", "The bus does not come to rest; try again.") from error
        return CommandResult(
            "The programmer is on, and modules are not read any longer. Stop it when you have finished; after 15 "
            "minutes without any activity it stops by itself."
        )

    async def _stop_programming(self) -> CommandResult:
        if self._programming is None:
            return CommandResult("The programmer was off.")
        await self._programming.halt()
        if self._programming is not None:
            self._programming.end()
        return CommandResult("The programmer is off, and modules are read again.")

    async def _blink(self, number: int, *, on: bool) -> CommandResult:
        if self._programming is not None and not on:
            await Programmer([branch.wires for branch in self._branches]).release(number)
            return CommandResult(f"Module {number} blinks no longer.")
        question = blink(number, on=on)
        for wire in [wire for wire in self._wires if not wire.lost]:
            heard = await wire.ask(question, patience=PATIENCE)
            if question.frame in heard.frames:
                told = "blinks until its button is pressed" if on else "blinks no longer"
                return CommandResult(f"Module {number} {told}.")
        raise CommandError("no_answer", f"Module {number} did not answer.")

    async def _let_go(self) -> None:
        """Have no module draw anything for equalising for now."""
        count = NUMBERS if self._layout is None else self._layout.blocks
        for first in range(1, count + 1, GROUP):
            question = self._duties.silence(first, first + GROUP - 1)
            if question is None:
                continue
            for wire in self._wires:
                if not wire.lost:
                    await wire.ask(question)

    @unbroken
    async def _leave(self) -> None:
        """Say goodbye and close: within the time that the last frames take, also when we are cancelled."""
        branches, wires = self._branches, self._wires
        try:
            async with asyncio.timeout(2.0):
                await self._let_go()
        except LinkError, OSError, TimeoutError:
            pass  # the line has gone; modules stop by themselves after a minute
        finally:
            branches.clear()
            await closed(wires)


class _ModuleBus:
    """What a battery system may ask of the bus; see `battery.bus.Bus`."""

    def __init__(self, link: ModuleBusLink) -> None:
        self._link = link

    def pace(self, pace: Pace) -> None:
        """See `Bus`."""
        self._link.set_pace(pace)

    def equalise(self, duties: Mapping[int, int]) -> None:
        """See `Bus`."""
        self._link.set_duties(duties)

    def measure(self, blocks: Iterable[int]) -> None:
        """See `Bus`."""
        self._link.want_impedances(blocks)

    def switch(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self._link.set_output(box, output, energised=energised)

    def fall_back(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self._link.set_fall_back(box, output, energised=energised)


def _raise_one(scanning: asyncio.Future[None]) -> None:
    """Raise what has ended the scan as itself: it is told to people."""
    error = scanning.exception()
    while isinstance(error, ExceptionGroup):
        foreseen = [one for one in error.exceptions if isinstance(one, LinkError | OSError)]
        error = foreseen[0] if len(foreseen) == len(error.exceptions) else error.exceptions[0]
    if error is not None:
        raise error


def _numbers(arguments: Mapping[str, Value]) -> dict[str, int]:
    """Read arguments, which the catalogue has checked."""
    return {name: int(value) for name, value in arguments.items() if not isinstance(value, str)}


__all__ = ["ModuleBusLink"]
