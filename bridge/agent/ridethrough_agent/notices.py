"""Messages to the users of this computer: in terminals, and on the screens of those who are logged in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
import logging
import os
from pathlib import Path
import shutil
from xml.sax.saxutils import escape

from .commands import Refusal
from .programs import ProgramError, Run
from .systems import MACOS, WINDOWS, environment

_LOGGER = logging.getLogger(__name__)

TITLE = "UPS"
BUSES = Path("/run/user")
"""Where users who are logged in have their message buses."""
_TIME = 10.0
"""Seconds that showing a message may take."""
_AT_ONCE = 4
"""Messages that may be on their way to the users; one more is refused as busy."""
_SCREENS = 32
"""Users whose screens are written to."""


@dataclass(frozen=True)
class Way:
    """One way to reach users: a program, and where the text goes."""

    command: tuple[str, ...]
    text: str | None = None
    """For its standard input."""
    user: tuple[int, int] | None = None
    extra: tuple[tuple[str, str], ...] = ()


def _find(program: str) -> str | None:
    return shutil.which(program, path=environment()["PATH"])


def ways(text: str, configured: Sequence[str] = ()) -> list[Way]:
    """List how `text` (clean, one line) can be shown here; with a `configured` command in that way alone."""
    if configured:
        return [Way(tuple(configured), text)]
    if WINDOWS:
        found = _find("msg.exe")
        return [Way((found, "*", "/TIME:3600", f"{TITLE}: {text}"))] if found else []
    if MACOS:
        return _on_macos(text)
    found = _find("wall")
    walls = [Way((found,), f"{TITLE}: {text}")] if found else []
    return walls + _on_screens(text)


def _on_macos(text: str) -> list[Way]:
    """List the ways of macOS. The text is an argument of the script, never part of it."""
    uid = Path("/dev/console").stat().st_uid
    show = ("on run argv", f'display notification (item 1 of argv) with title "{TITLE}" sound name "Basso"', "end run")
    script = [part for line in show for part in ("-e", line)]
    wall = Way(("/usr/bin/wall",), f"{TITLE}: {text}")
    return [Way(("/bin/launchctl", "asuser", str(uid), "/usr/bin/osascript", *script, text)), wall]


def _on_screens(text: str) -> list[Way]:
    """Whoever is logged in on a screen has a message bus of their own; only they (and root in their name) may use it."""
    program = _find("notify-send")
    if program is None:
        return []
    command = (program, "--urgency=critical", f"--app-name={TITLE}", "--", TITLE, escape(text))
    found = []
    for bus in sorted(BUSES.glob("*/bus"))[:_SCREENS]:
        try:
            info = bus.parent.stat()
        except OSError:
            continue
        if os.geteuid() in (0, info.st_uid):
            address = (("DBUS_SESSION_BUS_ADDRESS", f"unix:path={bus}"), ("XDG_RUNTIME_DIR", str(bus.parent)))
            found.append(Way(command, None, (info.st_uid, info.st_gid), address))
    return found


class Notices:
    """Shows messages, a few at a time."""

    def __init__(self, show: bool, configured: Sequence[str] = ()) -> None:
        """Show messages or not; `configured` is a command that takes the text on its standard input."""
        self._show = show
        self._configured = tuple(configured)
        self._tasks: set[asyncio.Task[None]] = set()

    async def show(self, text: str) -> str:
        """Begin to show a message and say how; raises `Refusal` where that is not possible."""
        if not self._show:
            raise Refusal("refused", "this computer shows no messages: its configuration says so")
        if len(self._tasks) >= _AT_ONCE:
            raise Refusal("busy", f"{_AT_ONCE} messages are still on their way to the users")
        begun, faults = [], []
        for way in ways(text, self._configured):
            run = Run(way.command, _TIME, way.text, way.user, dict(way.extra))
            try:
                await run.start()
            except ProgramError as error:
                faults.append(str(error))
                continue
            begun.append(run)
        if not begun:
            raise Refusal("refused", f"nobody can be shown a message here: {'; '.join(faults) or 'no program for it'}")
        task = asyncio.create_task(self._attend(begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return f"handed to {len(begun)} program{'s' if len(begun) > 1 else ''}"

    async def _attend(self, begun: list[Run]) -> None:
        for run in begun:
            outcome = await run.ended
            if not outcome.well:
                _LOGGER.warning("A program that shows messages %s", outcome)


__all__ = ["Notices", "Way", "ways"]
