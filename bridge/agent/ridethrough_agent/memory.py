"""What must outlive the process: sequence numbers and votes, in one file that is replaced in one step."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
import contextlib
from dataclasses import asdict, dataclass, field
import json
import logging
import os
from pathlib import Path
import threading
from typing import Any

from .boot import same_boot
from .commands import SEQ_LIMIT, is_number
from .votes import Vote

_LOGGER = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds to wait for the disk. A shutdown that only a hanging disk holds up must happen all the same."""


@dataclass
class Known:
    """What is remembered of one sender."""

    seq: int = 0
    """The highest sequence number accepted."""
    on_battery: bool = False
    """Whether power was out when it was last heard."""
    alive: float = 0.0
    """Seconds between its signs of life; 0 when it has not been heard since the computer started."""
    connected: bool = False


@dataclass
class Remembered:
    """The whole content of the file."""

    senders: dict[str, Known] = field(default_factory=dict)
    votes: dict[str, Vote] = field(default_factory=dict)


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that after a crash at any moment there is the old one or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Memory:
    """Reads the file once and writes it in a thread of its own, which a disk that hangs may hang with it."""

    def __init__(self, path: Path, boot: str) -> None:
        """Remember in `path`; `boot` says which start of the computer this is."""
        self._path = path
        self._boot = boot
        self._work = threading.Condition()
        self._latest: bytes | None = None
        self._waiting: list[Future[None]] = []
        self._failing = False
        threading.Thread(target=self._write, name="memory", daemon=True).start()

    def load(self, put_aside: bool = True) -> Remembered:
        """Read what is remembered. A file that cannot be understood is put aside: an agent that forgot still serves."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Remembered()
        except OSError as error:
            _LOGGER.error("%s cannot be read (%s): beginning without it", self._path, error)
            return Remembered()
        try:
            return self._understand(json.loads(content.decode("utf-8")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if not put_aside:
                return Remembered()
            aside = self._path.with_name(self._path.name + ".damaged")
            _LOGGER.error("%s is damaged (%s): put aside as %s, beginning anew", self._path, error, aside.name)
            try:
                self._path.replace(aside)
            except OSError as failure:
                _LOGGER.warning("%s cannot be put aside: %s", self._path, failure)
            return Remembered()

    def _understand(self, found: Any) -> Remembered:
        """Build what the file says; votes and clocks of an earlier start of the computer mean nothing any more."""
        still = same_boot(str(found["boot"]), self._boot)
        remembered = Remembered()
        for sender, row in found["senders"].items():
            seq, alive = row["seq"], row["alive"]
            if not isinstance(seq, int) or not 0 <= seq < SEQ_LIMIT or not is_number(alive):
                raise ValueError("a number is none")
            known = Known(seq=seq)
            if still:
                known.on_battery, known.alive = row["on_battery"] is True, float(alive)
            remembered.senders[str(sender)] = known
        for sender, row in found["votes"].items() if still else ():
            if not all(is_number(row[key]) for key in ("since", "due", "repeated")):
                raise ValueError("a time is none")
            remembered.votes[str(sender)] = Vote(
                name=str(row["name"]),
                since=float(row["since"]),
                due=float(row["due"]),
                repeated=float(row["repeated"]),
                reason=str(row["reason"]),
                lost=row["lost"] is True,
            )
        return remembered

    async def save(self, remembered: Remembered) -> bool:
        """Write the file; tells whether it lies on the disk. Never waits longer than `PATIENCE`, never raises."""
        content = json.dumps(
            {
                "boot": self._boot,
                "senders": {sender: asdict(known) for sender, known in remembered.senders.items()},
                "votes": {sender: asdict(vote) for sender, vote in remembered.votes.items()},
            },
            indent=1,
        ).encode("ascii")
        written: Future[None] = Future()
        with self._work:
            # Only the latest content counts, whoever waits: a slow disk makes no queue.
            self._latest = content
            self._waiting.append(written)
            self._work.notify()
        try:
            await asyncio.wait_for(asyncio.wrap_future(written), PATIENCE)
        except (OSError, asyncio.TimeoutError) as error:
            if not self._failing:
                self._failing = True
                _LOGGER.error("%s cannot be written (%s): going on without", self._path, str(error) or "the disk hangs")
            return False
        finally:
            with self._work, contextlib.suppress(ValueError):
                self._waiting.remove(written)
        if self._failing:
            self._failing = False
            _LOGGER.info("%s can be written again", self._path)
        return True

    def _write(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._latest is not None)
                content, waiting = self._latest, self._waiting
                self._latest, self._waiting = None, []
            failure: OSError | None = None
            try:
                replace_file(self._path, content or b"")
            except OSError as error:
                failure = error
            for written in waiting:
                if not written.set_running_or_notify_cancel():
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)


__all__ = ["Known", "Memory", "Remembered", "replace_file"]
