"""The programmer inside the bridge: normal operation rests while it is on, and comes back by itself (manual M:5716)."""

import asyncio
from collections.abc import Awaitable, Callable
import logging

from ridethrough.clock import Clock
from ridethrough.links.base import LinkError, Report
from ridethrough.site import CommandError, CommandResult, Value

from .programmer import LineCheck, Programmer, ProgrammerError

_LOGGER = logging.getLogger(__name__)

WATCHDOG = 900.0
"""Seconds without any activity after which normal operation goes on (manual M:5745)."""
CONFIRMED = 1.0
"""Seconds from one status to the next."""


class Programming:
    """What is being programmed; it lasts until it is stopped, or nothing happens for too long."""

    def __init__(self, programmer: Programmer, report: Report, clock: Clock) -> None:
        """Begin, with nothing to do yet."""
        self._programmer = programmer
        self._report = report
        self._clock = clock
        self._active_at = clock.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self.state = "ready"
        self.number: int | None = None
        self.result = ""
        self.emptied = False
        """Whether modules have lost their numbers: it is no fault then if none answers."""

    async def last(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Last until it is over; `serve` is called every second for what must go on all the same."""
        try:
            while not self._ended.is_set():
                self.tell()
                if self._clock.monotonic() - self._active_at >= WATCHDOG:
                    _LOGGER.warning("Nothing has been programmed for %g minutes; modules are read again", WATCHDOG / 60)
                    return
                await serve()
                await self._pause()
        finally:
            await self.halt()

    async def _pause(self) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(CONFIRMED))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({sleeping, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            ended.cancel()

    def end(self) -> None:
        """Have normal operation go on."""
        self._ended.set()

    def tell(self) -> None:
        """Tell how it stands."""
        points: dict[str, Value | None] = {"programmer.state": self.state, "programmer.result": self.result}
        if self.number is not None:
            points["programmer.number"] = self.number
        addressing = self.state == "assigning"
        self._report.status(
            points,
            {
                "programming": True,
                "module.addressing": addressing,
                "module.polling": False,
                "module.initializing": False,
                "module.searching": False,
            },
        )

    # What it is asked to do

    async def assign(self, first: int, last: int, *, sound: bool) -> CommandResult:
        """Begin to number modules; it goes on while their buttons are pressed."""

        def progress(number: int) -> None:
            self._note(f"{number - first + 1} of {last - first + 1} numbers are given.", number)

        async def work() -> None:
            await self._programmer.assign(first, last, sound=sound, progress=progress)
            self._note(f"All numbers from {first} to {last} are given.", last)

        self._start("assigning", work)
        return CommandResult(
            f"Press the buttons of the modules one after the other, shortly: they become {first} to {last}.",
            confirmed=False,
        )

    async def check(self, number: int, frames: int) -> CommandResult:
        """Begin to check the line to a module."""

        def progress(check: LineCheck) -> None:
            self._active_at = self._clock.monotonic()
            self.result = f"Module {number}: {check}"

        async def work() -> None:
            result = await self._programmer.check(number, frames, progress)
            self._note(f"Module {number}: {result}", number)

        self._start("checking", work)
        return CommandResult(f"{frames} frames are sent to module {number}.", confirmed=False)

    async def change(self, old: int, new: int) -> CommandResult:
        """Give a module another number."""

        async def work() -> str:
            serial = await self._programmer.change(old, new)
            self.emptied |= new == 0
            told = f" (serial number {serial})" if serial else ""
            return f"Module {old} is {new} now{told}." if new else f"Module {old} has no number now."

        return await self._at_once("changing", new, work)

    async def reset(self, first: int, last: int) -> CommandResult:
        """Take numbers away."""

        async def work() -> str:
            self.emptied = True
            left = await self._programmer.reset(first, last)
            if left:
                raise ProgrammerError(
                    f"Still there: {', '.join(map(str, left))}. Check the line to them, or hold their buttons for 20 s."
                )
            return f"The modules from {first} to {last} have no numbers now."

        return await self._at_once("resetting", 0, work)

    async def find(self, number: int) -> CommandResult:
        """Have a module blink."""

        async def work() -> str:
            count = await self._programmer.find(number)
            if number == 0:
                return "All modules without a number blink."
            if count > 1:
                return f"{count} modules have number {number} and blink: take the number from one of them."
            return f"Module {number} blinks until its button is pressed."

        return await self._at_once("finding", number, work)

    async def halt(self) -> CommandResult:
        """Stop what is going on; addressing mode is ended."""
        task, self._task = self._task, None
        if task is None or task.done():
            return CommandResult("Nothing was going on.")
        task.cancel()
        await asyncio.wait({task})
        self._note(f"Stopped. {self.result}".strip(), self.number)
        self.state = "ready"
        return CommandResult(self.result)

    # How it is done

    def _start(self, state: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin what takes its time. Raises CommandError while something else goes on."""
        self._check_idle()

        async def carried_out() -> None:
            try:
                await work()
            except LinkError as error:
                self._note(str(error), self.number)
            finally:
                if self.state == state:
                    self.state = "ready"
            self.tell()

        self.state, self.result = state, ""
        self._active_at = self._clock.monotonic()
        self._task = asyncio.create_task(carried_out())
        self.tell()

    async def _at_once(self, state: str, number: int, work: Callable[[], Awaitable[str]]) -> CommandResult:
        self._check_idle()
        self.state = state
        try:
            message = await work()
        except ProgrammerError as error:
            self._note(str(error), number)
            raise CommandError("refused", str(error)) from error
        finally:
            self.state = "ready"
        self._note(message, number)
        return CommandResult(message)

    def _check_idle(self) -> None:
        if self.state != "ready":
            raise CommandError("refused", "The programmer is at work; stop it first (programmer.halt), or wait.")

    def _note(self, result: str, number: int | None) -> None:
        self._active_at = self._clock.monotonic()
        self.result = result
        if number is not None:
            self.number = number
        self.tell()


__all__ = ["WATCHDOG", "Programming"]
