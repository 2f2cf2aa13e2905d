"""One connection with one bridge, from the hello to its end (PROTOCOL.md, "The connection")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import logging
import secrets
import time
from typing import Any

from . import VERSION
from .bridges import MAX_NAME, Bridge
from .commands import Refusal, check_fresh, is_number, read_command
from .computer import Computer
from .configuration import Configuration
from .frames import FrameError, encode, parse
from .limits import Rate
from .performer import Performer
from .senders import LONGEST, SHORTEST, USUAL, Senders
from .systems import description
from .texts import clean

_LOGGER = logging.getLogger(__name__)

COMMANDS = 20
"""Commands of one sender in a second; one more ends the connection."""
FRAMES = 100
"""Frames of any kind in a second."""
UNREAD = 65_536
"""Bytes that may wait for a bridge that does not read."""
_ID = 64


@dataclass(frozen=True)
class Household:
    """What all conversations share."""

    configuration: Configuration
    computer: Computer
    performer: Performer
    senders: Senders
    save: Callable[[], Awaitable[None]]
    """Writes down what is known of the senders; returns in bounded time."""


class Conversation:
    """Talks with a bridge that has shown its certificate."""

    def __init__(
        self,
        household: Household,
        bridge: Bridge,
        address: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Talk over a connection from `address` whose TLS handshake is done."""
        self._household = household
        self._bridge = bridge
        self._address = address
        self._reader = reader
        self._writer = writer
        self._session = secrets.token_hex(16)
        self._frames = Rate(FRAMES)
        self._commands = Rate(COMMANDS)
        self.name = bridge.name
        """As the bridge calls itself."""

    async def run(self) -> None:
        """Serve the bridge until the connection ends."""
        household, known = self._household, self._household.senders.known[self._bridge.id]
        _LOGGER.info("Connected with %s (%s)", self.name, self._address)
        self._send(self._hello(known.seq))
        household.computer.observers.add(self._tell_state)
        known.connected, known.alive = True, known.alive or USUAL
        await self._heard()
        end = "it has closed the connection"
        try:
            await household.save()
            while line := await self._reader.readline():
                await self._heard()
                await self._take(line)
        except FrameError as error:
            end = f"what it sent was not acceptable: {error}"
        except ValueError:
            end = "what it sent was not acceptable: a frame too long"
        except OSError as error:
            end = str(error) or "the connection broke"
        except asyncio.CancelledError:
            end = "ended by this side"
            raise
        finally:
            household.computer.observers.discard(self._tell_state)
            self._writer.transport.abort()
            _LOGGER.info("Connection with %s (%s) has ended: %s", self.name, self._address, end)

    def _hello(self, seq: int) -> dict[str, Any]:
        configuration = self._household.configuration
        return {
            "type": "hello",
            "protocol": 1,
            "agent": self._bridge.agent,
            "name": configuration.name,
            "version": VERSION,
            "system": description(),
            "session": self._session,
            "clock": round(time.monotonic(), 3),
            "seq": seq,
            "programs": sorted(configuration.programs),
            "state": self._household.computer.state(),
        }

    def _send(self, frame: dict[str, Any]) -> None:
        """Send a frame. A bridge that does not read its own is let go, before what waits for it grows."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD:
            _LOGGER.warning("%s does not read what it is sent", self.name)
            transport.abort()
            return
        self._writer.write(encode(frame))

    def _tell_state(self) -> None:
        self._send({"type": "state", "state": self._household.computer.state()})

    async def _heard(self) -> None:
        if self._household.senders.hear(self._bridge.id, time.monotonic()):
            _LOGGER.info("%s is heard again", self.name)
        # The sender speaks for itself again; it says anew what it wants.
        if await self._household.computer.back(self._bridge.id):
            _LOGGER.info("%s is heard again: what was assumed while it was gone no longer counts", self.name)

    async def _take(self, line: bytes) -> None:
        if not self._frames.allows(time.monotonic()):
            raise FrameError(f"more than {FRAMES} frames in a second")
        frame = parse(line)
        kind = frame.get("type")
        if kind == "ping":
            self._send({"type": "pong", "clock": round(time.monotonic(), 3)})
            await self._note_power(frame.get("on_battery"))
        elif kind == "command":
            await self._command(frame)
        elif kind == "ready":
            await self._ready(frame)
        elif not isinstance(kind, str):
            raise FrameError("a frame without a type")
        # What a later version may send is no fault.

    async def _ready(self, frame: dict[str, Any]) -> None:
        alive, name = frame.get("alive"), frame.get("name")
        if not is_number(alive) or not SHORTEST <= alive <= LONGEST:  # type: ignore[operator]  # is_number has looked
            raise FrameError(f"alive must be {SHORTEST} to {LONGEST:.0f} seconds")
        if isinstance(name, str):
            self.name = clean(name, MAX_NAME) or self.name
        known = self._household.senders.known[self._bridge.id]
        if known.alive != alive:
            known.alive = float(alive)  # type: ignore[arg-type]  # is_number has looked
            await self._household.save()

    async def _note_power(self, on_battery: object) -> None:
        """Keep whether power is out; a bridge that does not know leaves it out, and what it said last stays."""
        known = self._household.senders.known[self._bridge.id]
        if isinstance(on_battery, bool) and on_battery is not known.on_battery:
            known.on_battery = on_battery
            _LOGGER.info("%s says: %s", self.name, "on battery" if on_battery else "mains is there")
            await self._household.save()

    async def _command(self, frame: dict[str, Any]) -> None:
        """Answer one command; every one is logged, accepted or not."""
        identity = frame.get("id")
        if not isinstance(identity, str) or not 1 <= len(identity) <= _ID:
            raise FrameError("a command without an id")
        shown = f"{clean(str(frame.get('verb')), 32)} from {self.name} ({self._address}), seq {frame.get('seq')!s:.20}"
        if not self._commands.allows(time.monotonic()):
            _LOGGER.warning("Command refused: %s: more than %d in a second", shown, COMMANDS)
            raise FrameError(f"more than {COMMANDS} commands in a second")
        known = self._household.senders.known[self._bridge.id]
        try:
            known.seq = check_fresh(frame, self._session, known.seq, time.monotonic())
            # On the disk before anything is done: it must not be accepted a second time after a crash.
            await self._household.save()
            command = read_command(frame)
            message = await self._household.performer.perform(self._bridge.id, self.name, command)
        except Refusal as refusal:
            _LOGGER.warning("Command refused: %s: %s: %s", shown, refusal.code, refusal.message)
            answer = {"ok": False, "code": refusal.code, "message": clean(refusal.message, 500)}
        else:
            detail = command.text or command.program or command.reason
            _LOGGER.info("Command accepted: %s%s: %s", shown, f" ({detail})" if detail else "", message)
            answer = {"ok": True, "message": clean(message, 500)}
        self._send({"type": "result", "id": identity, **answer})


__all__ = ["Conversation", "Household"]
