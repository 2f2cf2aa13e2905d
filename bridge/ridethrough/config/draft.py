"""A device as somebody wants it to stand in the configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from .schema import Key
from .units import APPARENT_POWER, BATTERY_LIFE, HEALTH_LEVEL, HOLD_TIME, RECHARGE_TIME, SHUTDOWN_TIME, Measure

type Kind = Literal["ups", "transfer_switch"]

SECTIONS: Mapping[Kind, str] = {"ups": Key.UPS, "transfer_switch": Key.TRANSFER_SWITCHES}
"""In which list of the file a device of each kind stands."""
SETTINGS: Mapping[str, Measure | None] = {
    Key.MODEL: None,
    Key.POWER: APPARENT_POWER,
    Key.LOAD: APPARENT_POWER,
    Key.HOLD_TIME: HOLD_TIME,
    Key.RECHARGE_TIME: RECHARGE_TIME,
    Key.BATTERY_INSTALLED: None,
    Key.BATTERY_TOO_OLD_AFTER: BATTERY_LIFE,
    Key.BATTERY_HEALTH_LEVEL: HEALTH_LEVEL,
    Key.SYSTEM_SHUTDOWN_TIME: SHUTDOWN_TIME,
}
"""What a person enters about a device, and in which units it may be written."""
SECRETS = (Key.USERNAME, Key.PASSWORD, Key.COMMUNITY, Key.PRIVACY_PASSWORD)
"""What is needed for logging in. The user name is none of the secrets in the file, but is treated like them."""
ORDER = (Key.ID, Key.NAME, Key.LINK, Key.ENABLED, *SECRETS, *SETTINGS, Key.ALLOW)
"""In which order they are written for a new device."""


@dataclass(frozen=True, slots=True)
class DeviceDraft:
    """A device that is to be added or changed. What it does not mention stays as it is, or has its default."""

    key: str
    """`id:` in the file."""
    kind: Kind | None = None
    fields: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    """Name, link, enabled (yes or no) and the settings, as they would be written; None removes one."""
    allow: tuple[str, ...] | None = None
    """All command groups that are to be granted."""
    secrets: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """None removes one."""


__all__ = ["ORDER", "SECRETS", "SECTIONS", "SETTINGS", "DeviceDraft", "Kind"]
