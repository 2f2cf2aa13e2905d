"""What a battery system asks of the link to its modules; a link that can do it has one as `Link.bus`."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol


class Pace(StrEnum):
    """What is read, and how fast."""

    NORMAL = "normal"
    """Everything, again and again."""
    VOLTAGE = "voltage"
    """Mostly voltages, as fast as the bus allows: a discharge is recorded (manual M:5511)."""


class Bus(Protocol):
    """The modules of a battery system as one thing. Nothing here waits: it is sent with the next scan."""

    def pace(self, pace: Pace) -> None:
        """Read from now on like this."""

    def equalise(self, duties: Mapping[int, int]) -> None:
        """Have modules draw so many percent of their equalising power, until told otherwise or lost.

        Modules that are not mentioned go on as they were told last.
        """

    def measure(self, blocks: Iterable[int]) -> None:
        """Have the impedances of these blocks measured, one string after the other so that no string sags as a whole."""

    def switch(self, box: int, output: int, *, energised: bool) -> None:
        """Have an output of a box energised or not, kept so, and set again when the box has been away."""

    def fall_back(self, box: int, output: int, *, energised: bool) -> None:
        """Have a box set an output like this by itself when it hears nothing for a minute: the bridge may be gone.

        What is configured for the output at the link counts more.
        """


__all__ = ["Bus", "Pace"]
