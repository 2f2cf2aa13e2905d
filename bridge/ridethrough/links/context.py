"""What a link is given besides its URL: the clock, and what it shares with the other links of the bridge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from ridethrough.battery.layout import Layout
from ridethrough.clock import Clock
from ridethrough.site import Site

from .ports import SerialPorts


class Traps(Protocol):
    """Hears SNMP traps and informs for every link."""

    def subscribe(self, host: str, arrived: Callable[[], None]) -> Callable[[], None]:
        """Call `arrived` for every trap from this IP address; returns what ends that."""


@dataclass(frozen=True, slots=True)
class LinkContext:
    """What all links of a bridge share."""

    clock: Clock
    ports: SerialPorts
    """The owner of every serial port."""
    traps: Traps | None = None
    """None: the configuration does not have the bridge listen for traps."""
    site: Site | None = None
    """For links that read another device's points; None where there is no site, as in a probe."""
    layout: Layout | None = None
    """The blocks behind a link to a battery system, by configuration; None where nobody has said, as in a probe."""

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """Make one for a single link."""
        return cls(clock, SerialPorts(clock))


__all__ = ["LinkContext", "Traps"]
