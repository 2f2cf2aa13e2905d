"""Faces of a simulated UPS: what each has in common, whatever it speaks and wherever it is reached."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .exchange import Exchanges
from .line import LineFaults
from .unit import Unit

LOOPBACK = "127.0.0.1"

type Address = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face is to appear; each takes what it has a use for."""

    port: Path | None = None
    """The name to give to a serial line; None: only that of the pseudo terminal."""
    baud: int | None = 2400
    """The pace of a serial line; None: none."""
    address: Address | None = None
    """Where a face on the network listens; None: on a free port of the loopback. Port 0 takes a free one."""
    trap: Address | None = None
    """Where it sends its traps; None: nowhere."""


class Peer(Protocol):
    """The far end of a conversation, faults included."""

    faults: LineFaults
    """What is wrong with the way to it; those that do not fit it do nothing."""
    exchanges: Exchanges

    @property
    def where(self) -> str | None:
        """Where clients reach it; None while they cannot."""

    @property
    def plugged(self) -> bool:
        """Whether its cable is plugged in."""

    @property
    def requests(self) -> int:
        """Requests taken up."""

    @property
    def ignored(self) -> int:
        """Requests that it has not taken up."""

    @property
    def lost_bytes(self) -> int:
        """Bytes of answers that nobody fetched."""

    def open(self) -> None:
        """Appear, unless it is to begin unplugged. Raises OSError when the name or the address is taken."""

    def close(self) -> None:
        """Vanish."""

    async def run(self) -> None:
        """Answer until cancelled."""

    def set_plugged(self, plugged: bool) -> None:
        """Pull the cable or put it back; before `open` it says how to begin. Raises OSError as `open` does."""

    def look(self) -> None:
        """Look at the UPS: something may have happened that it tells of unasked."""


type Face = Callable[[Unit, Callable[[], None], Place], Peer]
"""Makes the peer that answers for a UPS. To be called before each answer: what lets the time pass that has gone by."""
