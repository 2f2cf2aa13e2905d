"""What a configuration file says of every device that has a link of its own."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """What a threshold compares with; None for a side or a level that is not watched."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ThresholdConfig:
    """A limit of a person's own on a numeric point (manual M:2787): conditions `threshold.<id>.warning` and `.alarm`."""

    key: str
    """`id:` in the file; the point's key unless given."""
    point: str
    """Key of the catalogue's point."""
    warning: Limits | None = None
    alarm: Limits | None = None
    hysteresis: float = 0.0
    """How far within the limit a value must come back, in the point's unit."""
    hold: float = 0.0
    """Seconds that a value must be beyond the limit."""


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device and how it is reached."""

    key: str
    """`id:` in the file; the device's identity."""
    name: str
    link: str
    """A link URL, e.g. `megatec:/dev/ttyUSB0?baud=2400` or `nut://host:3493/ups1`."""
    kind: str
    """Its kind in the catalogue."""
    enabled: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    community: str | None = field(default=None, repr=False)
    """SNMP v1 and v2c."""
    privacy_password: str | None = field(default=None, repr=False)
    """SNMPv3 encryption."""
    thresholds: tuple[ThresholdConfig, ...] = ()
    allow: frozenset[str] = frozenset()
    """Command groups granted, e.g. test, beeper, shutdown, load, bypass, outlet, settings."""


__all__ = ["DeviceConfig", "Limits", "ThresholdConfig"]
