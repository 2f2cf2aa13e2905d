"""Where the agent's log goes: to its own file, which never grows beyond a bound, to standard error, and to syslog."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path
import sys
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


def set_up(configuration: Configuration) -> None:
    """Log to everywhere that the configuration says; a log that cannot be written stops nothing."""
    logging.raiseExceptions = False
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    _add(logging.StreamHandler(sys.stderr), "%(levelname)s %(message)s")
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
    LOGGER.addHandler(handler)


__all__ = ["KEPT", "LOGGER", "SIZE", "OneLine", "set_up"]
