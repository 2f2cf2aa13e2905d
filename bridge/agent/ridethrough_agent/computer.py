"""The computer's way down: votes, delay, shutdown command. The only place that runs that command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
import logging
import time
from typing import Any

from .commands import Refusal
from .configuration import Configuration
from .programs import ProgramError, Run
from .votes import Vote, Votes

_LOGGER = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 5.0, 60.0
"""Seconds until a shutdown command that failed is tried again: the first wait, doubled up to the last."""
_LOOK = 3600.0
"""Seconds between two looks for votes that are too old."""

Save = Callable[[dict[str, Vote]], Awaitable[None]]


class Computer:
    """Shuts this computer down when as many senders want it as the configuration demands."""

    def __init__(self, configuration: Configuration, votes: dict[str, Vote], save: Save) -> None:
        """Go on with the remembered `votes`; `save` writes votes to the disk and returns in bounded time."""
        self._configuration = configuration
        self._votes = Votes(configuration.needed, votes)
        self._save = save
        self._changed = asyncio.Event()
        self._running = False
        """The shutdown command runs or has run: it is too late to withdraw."""
        self._told: dict[str, Any] = {}
        self.since = time.monotonic()
        """When the state became what it is."""
        self.observers: set[Callable[[], None]] = set()
        """Called whenever the state has changed."""
        self._note()

    def state(self) -> dict[str, Any]:
        """Describe the state as PROTOCOL.md has it."""
        due = self._votes.due
        if self._running or due is not None:
            name = "shutting_down"
        else:
            name = "waiting" if self._votes.names else "up"
        found: dict[str, Any] = {"state": name, "since": round(self.since, 3)}
        if name == "shutting_down":
            found["delay"] = 0.0 if due is None or self._running else round(max(0.0, due - time.monotonic()), 3)
        if name != "up":
            found.update(senders=self._votes.names, needed=self._votes.needed)
        if self._configuration.dry_run:
            found["drill"] = True
        return found

    def _note(self) -> None:
        """Tell the observers when the state is another."""
        now = self.state()
        compared = {key: value for key, value in now.items() if key not in ("since", "delay")}
        compared["due"] = self._votes.due
        if compared == self._told:
            return
        if compared["state"] != self._told.get("state"):
            self.since = time.monotonic()
        self._told = compared
        for observer in list(self.observers):
            observer()

    async def _moved(self) -> None:
        """Remember the votes, then act on them. While the command runs, nothing of them is kept: see `_bring_down`."""
        if not self._running:
            await self._save(self._votes.copy())
        self._changed.set()
        self._note()

    async def ask(self, sender: str, name: str, delay: float, reason: str, lost: bool = False) -> str:
        """Take a sender's vote and say what comes of it."""
        now = time.monotonic()
        if not self._votes.takes(sender):
            raise Refusal("busy", "there are too many senders already")
        self._votes.ask(sender, name, now, max(delay, self._configuration.delay), reason, lost)
        await self._moved()
        if self._running:
            return "already shutting down"
        due = self._votes.due
        if due is None:
            return f"waiting: {len(self._votes.names)} of {self._votes.needed} senders want it"
        return f"shutting down in {max(0.0, due - time.monotonic()):.0f} s"

    async def withdraw(self, sender: str) -> str:
        """Withdraw a sender's vote, or refuse when the command is under way."""
        there = self._votes.withdraw(sender)
        await self._moved()
        if self._running and not self._configuration.dry_run:
            raise Refusal("refused", "too late: the shutdown command has been run")
        return "withdrawn" if there else "there was nothing to withdraw"

    async def back(self, sender: str) -> bool:
        """Take back what was assumed of a sender while it was gone."""
        there = self._votes.withdraw(sender, only_lost=True)
        if there:
            await self._moved()
        return there

    async def keep(self, wanted: Callable[[str], bool]) -> None:
        """Drop the votes of all who are no senders any more."""
        for name in self._votes.keep(wanted):
            _LOGGER.warning("%s is no sender any more: its vote for a shutdown no longer counts", name)
            await self._moved()

    def drill(self) -> str:
        """Say what a shutdown would do."""
        needed, wanting = self._votes.needed, len(self._votes.names)
        command = " ".join(self._configuration.command)
        if len(command) > 200:
            command = f"{command[:200]}…"
        delay = f", {self._configuration.delay:.0f} s later at the earliest" if self._configuration.delay else ""
        dry = " (only noted: dry run)" if self._configuration.dry_run else ""
        return f"would run {command}{dry} when {needed} of its senders want it{delay}; {wanting} want it now"

    async def run(self) -> None:
        """Wait for the moment, and bring the computer down."""
        while True:
            due = self._votes.due
            now = time.monotonic()
            if due is not None and due <= now:
                await self._bring_down()
                continue
            self._changed.clear()
            await self._wait(min(_LOOK, due - now) if due is not None else _LOOK)
            for name in self._votes.forget(time.monotonic()):
                _LOGGER.warning("%s wanted a shutdown long ago and has not said so since: dropped", name)
                await self._moved()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except asyncio.TimeoutError:
            return

    def _is_due(self) -> bool:
        due = self._votes.due
        return due is not None and due <= time.monotonic()

    async def _bring_down(self) -> None:
        """Run the shutdown command until it works or nobody wants it any more.

        The votes leave the disk before: when this computer is up again, an old vote must not bring it down once more,
        also where it cannot be told that it was down meanwhile. A sender that still wants it says so again.
        """
        wait = FIRST_RETRY
        while self._is_due():
            await self._save({})
            if not self._is_due():
                await self._save(self._votes.copy())
                return
            who, why = ", ".join(self._votes.names), "; ".join(self._votes.reasons) or "no reason given"
            if self._configuration.dry_run:
                await self._pretend(who, why)
                return
            _LOGGER.warning("Shutting down, wanted by %s: %s", who, why)
            self._running = True
            self._note()
            worked = await self._run_command()
            self._running = False
            if worked:
                _LOGGER.error("The shutdown command has been run, and this computer is still up")
            else:
                await self._save(self._votes.copy())
                self._note()
                again = time.monotonic() + wait
                while self._is_due() and time.monotonic() < again:
                    self._changed.clear()
                    await self._wait(again - time.monotonic())
                wait = min(LAST_RETRY, 2 * wait)
        await self._moved()

    async def _run_command(self) -> bool:
        """Run the command; after success wait as long as the computer may take to go down."""
        configuration = self._configuration
        until = time.monotonic() + configuration.timeout
        run = Run(configuration.command, configuration.timeout)
        try:
            await run.start()
        except ProgramError as error:
            _LOGGER.error("The shutdown command cannot be run: %s", error)
            return False
        outcome = await run.ended
        if not outcome.well:
            _LOGGER.error("The shutdown command %s", outcome)
            return False
        _LOGGER.info("The shutdown command %s", outcome)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        return True

    async def _pretend(self, who: str, why: str) -> None:
        """Note what would happen, and stay in that state until it is withdrawn."""
        command = " ".join(self._configuration.command)
        _LOGGER.warning("Dry run: would run %s now, wanted by %s: %s", command, who, why)
        self._running = True
        self._note()
        while self._is_due():
            self._changed.clear()
            await self._changed.wait()
        self._running = False
        await self._moved()


__all__ = ["Computer"]
