"""The time zone of the site: what clocks on the wall there show."""

from datetime import UTC, tzinfo
import logging
import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOGGER = logging.getLogger(__name__)

LOCALTIME = Path("/etc/localtime")
"""Where Linux and macOS have the rules of the computer's time zone."""


def zone_of(name: str | None, localtime: Path = LOCALTIME) -> tzinfo:
    """Return the time zone of this name, None: the computer's; with its rules for daylight saving."""
    name = name or os.environ.get("TZ", "").lstrip(":")
    try:
        if name:
            return ZoneInfo(name)
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(localtime))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        _LOGGER.warning(
            "The time zone of this computer is not known (%s): times are UTC. Give time_zone: under jobs:", error
        )
        return UTC


__all__ = ["zone_of"]
