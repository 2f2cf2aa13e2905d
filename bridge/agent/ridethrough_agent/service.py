"""The agent at work: puts the parts together and watches over senders and pairings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
import signal
import time
from typing import IO

from . import VERSION
from .boot import boot_identity
from .bridges import Bridge, Bridges
from .commands import Refusal
from .computer import Computer
from .configuration import Configuration
from .conversation import Conversation, Household
from .datagrams import DatagramListener, is_sender
from .listener import Listener
from .memory import Memory
from .performer import Performer
from .senders import Senders
from .systems import WINDOWS
from .votes import Vote

_LOGGER = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at pairings and silences."""


class AlreadyRunning(Exception):
    """Another agent works with the same state folder."""


def lock(folder: Path) -> IO[bytes] | None:
    """Hold the state folder for this process. Where that is impossible, as on a full disk, it is done without."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("ab")
    except OSError as error:
        _LOGGER.error("The state folder %s cannot be written: %s", folder, error)
        return None
    try:
        if WINDOWS:
            import msvcrt  # only there

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]  # only there
        else:
            import fcntl  # only there

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AlreadyRunning(f"an agent runs already with the state folder {folder}") from None
    return file


class Service:
    """One agent."""

    def __init__(self, configuration: Configuration) -> None:
        """Work as `configuration` says. To be created where an event loop runs."""
        self._configuration = configuration
        self._bridges = Bridges(configuration.state / "bridges")
        self._memory = Memory(configuration.state / "state.json", boot_identity())
        self._remembered = self._memory.load()
        self._senders = Senders(self._remembered.senders, time.monotonic())
        self._computer = Computer(configuration, self._remembered.votes, self._save_votes)
        self._performer = Performer(configuration, self._computer)
        self._listener = Listener(configuration, self._meet)
        self._household = Household(configuration, self._computer, self._performer, self._senders, self._save)
        self._talks: dict[str, asyncio.Task[None]] = {}
        self._names: dict[str, str] = {}
        self._stamp: object = None

    async def _save(self) -> None:
        await self._memory.save(self._remembered)

    async def _save_votes(self, votes: dict[str, Vote]) -> None:
        self._remembered.votes = votes
        await self._save()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises what no part should have raised."""
        configuration = self._configuration
        _LOGGER.info("Ridethrough agent %s begins as %s", VERSION, configuration.name)
        for warning in configuration.warnings():
            _LOGGER.error("This will not work: %s", warning)
        if configuration.dry_run:
            _LOGGER.warning("Dry run: the shutdown command is only logged")
        await self._look()
        works = [self._listener.run(), self._computer.run(), self._watch()]
        if configuration.datagrams.enabled:
            works.append(DatagramListener(configuration, self._computer, self._performer).run())
        tasks = [asyncio.create_task(work) for work in works]
        tasks.append(asyncio.create_task(_until(stop)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception:
            _LOGGER.exception("A part of the agent has failed; it ends, and the system starts it again")
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._save()
            _LOGGER.info("Ridethrough agent ends")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self._look()
            for sender in self._senders.silent(time.monotonic()):
                await self._lose(sender)

    async def _look(self) -> None:
        """Take up pairings that were made or ended since the last look."""
        stamp = self._bridges.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        bridges = self._bridges.read()
        self._listener.use(bridges)
        self._names = {bridge.id: bridge.name for bridge in bridges}
        self._senders.keep(list(self._names))
        # A connection made with an earlier certificate is made anew.
        for talk in list(self._talks.values()):
            talk.cancel()
        rows = self._configuration.datagrams
        await self._computer.keep(lambda sender: sender in self._names or is_sender(sender, rows))
        await self._save()
        names = ", ".join(sorted(self._names.values())) or "nobody yet: ridethrough-agent pair HOST CODE"
        _LOGGER.info("Paired with %s", names)

    async def _meet(
        self, bridge: Bridge, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Talk with a bridge; its new connection takes the place of one that it may have lost without our noticing."""
        if bridge.id not in self._senders.known:
            return
        mine = asyncio.current_task()
        earlier = self._talks.get(bridge.id)
        if earlier is not None:
            earlier.cancel()
        assert mine is not None
        self._talks[bridge.id] = mine
        talk = Conversation(self._household, bridge, address, reader, writer)
        try:
            await talk.run()
        finally:
            if self._talks.get(bridge.id) is mine:
                del self._talks[bridge.id]
                known = self._senders.known.get(bridge.id)
                if known is not None:
                    known.connected = False
                    await self._save()

    async def _lose(self, sender: str) -> None:
        """Do what the configuration has for a sender that is gone."""
        configuration = self._configuration
        name, known = self._names.get(sender, sender), self._senders.known[sender]
        talk = self._talks.get(sender)
        if talk is not None:
            talk.cancel()
        power = "power was out" if known.on_battery else "power was not out"
        _LOGGER.warning("%s is lost: nothing heard for too long; %s when it was last heard", name, power)
        try:
            if configuration.lost == "program":
                _LOGGER.info("Because %s is lost: %s", name, await self._performer.execute(configuration.lost_program))
            elif configuration.lost == "shutdown" and known.on_battery:
                reason = f"{name} is lost, and power was out when it was last heard"
                answer = await self._computer.ask(sender, name, configuration.lost_delay, reason, lost=True)
                _LOGGER.warning("Because %s is lost: %s", name, answer)
        except Refusal as refusal:
            _LOGGER.error("Because %s is lost: %s", name, refusal.message)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def serve(configuration: Configuration) -> None:
    """Run an agent until this process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        if WINDOWS:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        else:
            loop.add_signal_handler(number, stop.set)
    held = lock(configuration.state)
    with held or contextlib.nullcontext():
        await Service(configuration).run(stop)


__all__ = ["AlreadyRunning", "Service", "lock", "serve"]
