"""Does what a sender asks: a fixed verb each, and programs only by their names in the configuration."""

from __future__ import annotations

import asyncio
import logging

from .commands import Command, Refusal
from .computer import Computer
from .configuration import Configuration
from .notices import Notices
from .programs import ProgramError, Run

_LOGGER = logging.getLogger(__name__)

AT_ONCE = 8
"""Programs that may run at the same time."""


class Performer:
    """Carries commands out for all senders."""

    def __init__(self, configuration: Configuration, computer: Computer) -> None:
        """Act on `computer` within what the configuration allows."""
        self._configuration = configuration
        self._computer = computer
        self._notices = Notices(configuration.show, configuration.message)
        self._runs: dict[str, asyncio.Task[None]] = {}

    async def perform(self, sender: str, name: str, command: Command) -> str:
        """Carry out a command of `sender` and answer with a sentence, or raise `Refusal`."""
        if command.verb == "message":
            return await self.show(command.text)
        if command.verb == "execute":
            return await self.execute(command.program)
        if command.verb == "shutdown":
            return await self._computer.ask(sender, name, command.delay, command.reason)
        if command.verb == "wakeup":
            return await self._computer.withdraw(sender)
        return self._computer.drill()

    async def show(self, text: str) -> str:
        """Show a message to the users."""
        return await self._notices.show(text)

    async def execute(self, name: str) -> str:
        """Start a program of the configuration. It is answered when it runs; how it ends is for the log."""
        program = self._configuration.programs.get(name)
        if program is None:
            raise Refusal("unknown_program", f"{name} is no program of this computer's configuration")
        if name in self._runs:
            raise Refusal("busy", f"{name} is still running")
        if len(self._runs) >= AT_ONCE:
            raise Refusal("busy", f"{AT_ONCE} programs are running already")
        run = Run(program.command, program.timeout)
        task = asyncio.create_task(self._attend(name, run))
        self._runs[name] = task
        try:
            await run.start()
        except ProgramError as error:
            task.cancel()
            del self._runs[name]
            raise Refusal("refused", f"{name} cannot be started: {error}") from None
        return f"{name} started"

    async def _attend(self, name: str, run: Run) -> None:
        outcome = await run.ended
        del self._runs[name]
        _LOGGER.log(logging.INFO if outcome.well else logging.WARNING, "Program %s %s", name, outcome)


__all__ = ["AT_ONCE", "Performer"]
