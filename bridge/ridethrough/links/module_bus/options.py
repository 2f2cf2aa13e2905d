"""The options of a module bus: `module_bus:/dev/ttyUSB1?ring=/dev/ttyUSB2`, `module_bus://host:port?segments=host:port`."""

from collections.abc import Mapping
from dataclasses import dataclass
import re

from ridethrough.links.base import LinkUrl
from ridethrough.links.option import Option, Options, choice, number
from ridethrough.serial_line import LineSettings

from .frames import BOXES
from .stations import CONTACTS, Safe

BAUDS = ("9600", "19200", "38400", "57600", "115200")
_SAFE = re.compile(r"([1-4])\.([1-4]):(on|off)")

OPTIONS: tuple[Option, ...] = (
    choice("baud", "characters' bits per second", BAUDS, "115200"),
    Option("ring", "the port at the other end of a ring: it asks whom the first cannot reach"),
    Option("segments", "ports of further segments of a star, separated by commas"),
    number(
        "poll", "how often everything is read where the line is not busy all the time", 0.05, 60, default=0.5, unit="s"
    ),
    number("guard", "by how much answers may arrive later than they were given", 0, 500, unit="ms"),
    Option("safe", "outputs that boxes set by themselves when they hear nothing, as in 1.1:off,1.2:on"),
    number("safe_after", "how long boxes wait with that", 5, 3600, default=60, unit="s"),
)


@dataclass(frozen=True, slots=True)
class End:
    """A serial port, or a raw TCP port of a device server."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """Name it for messages."""
        return self.path or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BusOptions:
    """A URL, understood."""

    branches: tuple[tuple[End, ...], ...]
    """The bus with one end or, as a ring, two; and each further segment."""
    line: LineSettings
    poll: float
    guard: float | None
    """Seconds; None: what the kind of each end suggests."""
    safe: Mapping[int, Safe]

    @property
    def where(self) -> str:
        """Name the bus for messages."""
        return str(self.branches[0][0])


def understand(url: LinkUrl, example: str) -> BusOptions:
    """Read a URL. Raises ValueError with a sentence that says what is permitted."""
    options = Options("module_bus", OPTIONS, url.options)
    if url.host:
        if url.port is None or url.path.strip("/"):
            raise ValueError(
                f"{url} must name a host and the raw port of its serial line, as in module_bus://host:4001"
            )
        first = End(host=url.host, port=url.port)
    elif url.path:
        first = End(url.path)
    else:
        raise ValueError(f"{url} names no port; write it as in {example}")
    ring, segments = options.text("ring"), options.text("segments")
    branches = [(first,) if ring is None else (first, end(ring, "ring"))]
    branches += [(end(text, "segments"),) for text in (segments or "").split(",") if text.strip()]
    ends = [str(one) for branch in branches for one in branch]
    twice = next((name for name in ends if ends.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; each port is one end of one segment.")
    guard = options.number("guard")
    return BusOptions(
        tuple(branches),
        LineSettings(baud=int(options.word("baud"))),
        options.amount("poll"),
        None if guard is None else guard / 1000,
        _safe(options.text("safe"), int(options.amount("safe_after"))),
    )


def end(text: str, option: str = "port") -> End:
    """Read `/dev/ttyUSB2` or `host:4001`. Raises ValueError with a sentence."""
    text = text.strip()
    host, colon, port = text.rpartition(":")
    if text.startswith("/"):
        return End(text)
    if colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return End(host=host.strip("[]"), port=int(port))
    raise ValueError(f"{option}={text} is not possible; permitted: a serial port as /dev/ttyUSB2, or host:port.")


def _safe(text: str | None, seconds: int) -> dict[int, Safe]:
    masks, states = [0] * (BOXES + 1), [0] * (BOXES + 1)
    for word in (text or "").split(",") if text else ():
        found = _SAFE.fullmatch(word.strip())
        if found is None:
            raise ValueError(
                f"safe={word} is not possible; permitted: box, output and how it stands, as in 1.1:off "
                f"(boxes 1 to {BOXES}, outputs 1 to {CONTACTS})."
            )
        box, bit = int(found[1]), 1 << int(found[2]) - 1
        masks[box] |= bit
        states[box] |= bit if found[3] == "on" else 0
    return {box: Safe(masks[box], states[box], seconds) for box in range(1, BOXES + 1) if masks[box]}


__all__ = ["OPTIONS", "BusOptions", "End", "end", "understand"]
