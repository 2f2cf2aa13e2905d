"""A serial line that exists: a pseudo terminal with a stable name, which can be unplugged and plugged in again."""

import asyncio
from collections.abc import Callable
import contextlib
import errno
import fcntl
import os
from pathlib import Path
import termios
import time
import tty

_QUIET = 1.0
"""Seconds without a byte after which a client that died with the port locked is no longer respected."""


class PtyLine:
    """The far end of a serial line. Clients open `path`; they can come and go, one after another.

    The own end of the terminal stays open all the while, so that a client that leaves does not hang up the line.
    """

    def __init__(self, received: Callable[[bytes], None], *, link: Path | None = None, baud: int | None = 2400) -> None:
        """`received` gets what clients send; `link` is the name to offer; `baud` paces (8N1), None does not."""
        self._received = received
        self._link = link
        self._byte_time = 0.0 if baud is None else 10.0 / baud
        self._master: int | None = None
        self._slave: int | None = None
        self._name: Path | None = None
        self._housekeeping: asyncio.TimerHandle | None = None
        self._heard = False
        self.plugs = 0
        """How often it has been plugged in; what was under way at an earlier time is lost."""
        self.lost_bytes = 0
        """Bytes that nobody fetched, so that the terminal took no more."""

    @property
    def path(self) -> Path | None:
        """The name under which clients open it; None while it is unplugged."""
        return None if self._name is None else self._link or self._name

    @property
    def plugged(self) -> bool:
        """Whether there is a line at all."""
        return self._master is not None

    def line_time(self, count: int) -> float:
        """Seconds that so many bytes take on the wire."""
        return count * self._byte_time

    def plug(self) -> None:
        """Make the terminal and its name. Raises FileExistsError when the name is taken by something else."""
        if self._master is not None:
            return
        if self._link is not None and self._link.exists(follow_symlinks=False) and not self._link.is_symlink():
            raise FileExistsError(errno.EEXIST, "Not a link of an earlier simulator; choose another", str(self._link))
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master, self._slave, self._name = master, slave, Path(os.ttyname(slave))
        self.plugs += 1
        loop = asyncio.get_running_loop()
        loop.add_reader(master, self._read, master)
        self._housekeeping = loop.call_later(_QUIET, self._unlock, slave)
        if self._link is not None:
            try:
                self._point(self._link, self._name)
            except OSError:
                self.unplug()
                raise

    def unplug(self) -> None:
        """Hang up: clients see the end of the line, and the name is gone."""
        if self._master is None or self._slave is None or self._housekeeping is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._housekeeping.cancel()
        if self._link is not None:
            with contextlib.suppress(OSError):
                if self._link.readlink() == self._name:
                    self._link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = self._name = None

    async def write(self, data: bytes) -> float | None:
        """Send at the pace of the line; the wall clock (s since the epoch) right after the last byte.

        None when the line was unplugged meanwhile, or nobody fetches and bytes were lost.
        """
        began, sent, plug = time.monotonic(), 0, self.plugs
        stamp: float | None = None
        while sent < len(data):
            due = len(data)
            if self._byte_time:
                await asyncio.sleep(began + (sent + 1) * self._byte_time - time.monotonic())
                due = min(len(data), max(sent + 1, int((time.monotonic() - began) / self._byte_time)))
            if self._master is None or self.plugs != plug:
                return None
            try:
                taken = os.write(self._master, data[sent:due])
            except BlockingIOError:
                self.lost_bytes += len(data) - sent
                return None
            sent += taken
            stamp = time.time()
        return stamp

    @staticmethod
    def _point(link: Path, name: Path) -> None:
        """Put the link in place at once: a client finds the old line or the new one, never neither."""
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(name)
        fresh.replace(link)

    def _read(self, master: int) -> None:
        try:
            data = os.read(master, 4096)
        except BlockingIOError:  # the client has taken its bytes back (tcflush)
            return
        self._heard = True
        self._received(data)

    def _unlock(self, slave: int) -> None:
        """Lift TIOCEXCL, which outlives its setter because this end keeps the terminal open."""
        if not self._heard:
            fcntl.ioctl(slave, termios.TIOCNXCL)
        self._heard = False
        self._housekeeping = asyncio.get_running_loop().call_later(_QUIET, self._unlock, slave)
