"""The time zone of the site: what clocks on the wall there show."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
import logging
import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOGGER = logging.getLogger(__name__)

LOCALTIME = Path("/etc/localtime")
"""Where Linux and macOS have the rules of the computer's time zone."""


def zone_of(name: str | None, environment: Mapping[str, str] = os.environ, localtime: Path = LOCALTIME) -> tzinfo:
    """Return the time zone of this name, None: the computer's, with its rules for daylight saving.

    The computer's is that of the variable TZ, else that of its local time. It is looked up once: a computer that is
    moved to another time zone needs a restart of the bridge.
    """
    told = name or environment.get("TZ", "").lstrip(":")
    for place in dict.fromkeys((told, str(localtime))):
        try:
            if not place:
                continue
            if not Path(place).is_absolute():
                return ZoneInfo(place)
            with Path(place).open("rb") as file:
                return ZoneInfo.from_file(file, key=place)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            _LOGGER.debug("No time zone %s: %s", place, error)
    _LOGGER.warning("The time zone of this computer is not known, so times are UTC; give time_zone: under jobs:")
    return UTC


__all__ = ["LOCALTIME", "zone_of"]
