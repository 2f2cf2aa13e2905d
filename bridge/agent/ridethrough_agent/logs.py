"""Where the agent's log goes: to its own file, which never grows beyond a bound, to standard error, and to syslog.

Each is written by a thread of its own: a disk or a journal that hangs must not keep this computer from being shut down.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import logging.handlers
import os
from pathlib import Path
import queue
import threading
import time

from .configuration import Configuration
from .systems import WINDOWS
from .texts import clean

LOGGER = logging.getLogger("ridethrough_agent")

SIZE = 1_000_000
"""Bytes of the log file before another is begun."""
KEPT = 4
"""Earlier log files that are kept."""
_LINE = 2000
_STDERR = 2
WAITING = 2000
"""Lines that wait for a place that hangs; more are lost there."""
FAREWELL = 2.0
"""Seconds at the end for what still waits."""
SYSLOGS = (Path("/dev/log"), Path("/var/run/syslog"))
"""Where Linux and macOS have it."""


class OneLine(logging.Formatter):
    """Puts each message on one line: nobody can add lines of his own to the log by what he sends."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; only the trace of a fault of our own has several lines."""
        plain = logging.makeLogRecord({**record.__dict__, "msg": clean(record.getMessage(), _LINE), "args": None})
        return super().format(plain)


class Errors(logging.Handler):
    """Writes to standard error itself, not by `sys.stderr`: Python empties that one at its end, and would wait there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; this may hang."""
        try:
            rest = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            while rest:
                rest = rest[os.write(_STDERR, rest) :]
        except OSError:
            self.handleError(record)


class Aside(logging.Handler):
    """Hands each line to a thread that writes it."""

    def __init__(self, place: logging.Handler) -> None:
        """Write to `place`, which nobody else does."""
        super().__init__()
        self._place = place
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have it written soon."""
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        """Wait until what was said so far is written, but not for long."""
        end = time.monotonic() + FAREWELL
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)

    def close(self) -> None:
        """Write what still waits, and end the thread; one that hangs ends with the process."""
        self.flush()
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(FAREWELL)
        super().close()

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._place.handle(record)
            lost, self._lost = self._lost, 0
            if lost:
                said = "%d lines are missing here: this place could not be written in time"
                self._place.handle(logging.LogRecord(LOGGER.name, logging.WARNING, __file__, 0, said, (lost,), None))
            self._lines.task_done()
        self._place.close()


def set_up(configuration: Configuration) -> None:
    """Log to everywhere that the configuration says; a log that cannot be written stops nothing."""
    logging.raiseExceptions = False
    # It would wait for ever for a place that hangs.
    atexit.unregister(logging.shutdown)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    _add(Errors(), "%(levelname)s %(message)s")
    try:
        configuration.log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            configuration.log, maxBytes=SIZE, backupCount=KEPT, encoding="utf-8", errors="replace"
        )
        _add(file, "%(asctime)s %(levelname)s %(message)s")
    except OSError as error:
        LOGGER.error("The log %s cannot be written: %s", configuration.log, error)
    if configuration.syslog and not WINDOWS:
        # One that is not there yet is tried again with each line.
        address = next((str(path) for path in SYSLOGS if path.exists()), str(SYSLOGS[0]))
        syslog = logging.handlers.SysLogHandler(address, logging.handlers.SysLogHandler.LOG_DAEMON)
        syslog.ident = "ridethrough-agent: "
        _add(syslog, "%(levelname)s %(message)s")


def _add(handler: logging.Handler, form: str) -> None:
    handler.setFormatter(OneLine(form))
    aside = Aside(handler)
    atexit.register(aside.flush)
    LOGGER.addHandler(aside)


__all__ = ["KEPT", "LOGGER", "SIZE", "WAITING", "Aside", "OneLine", "set_up"]
