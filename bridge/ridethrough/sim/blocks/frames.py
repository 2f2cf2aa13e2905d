"""Frames of the open module protocol: checksum, lengths, and how requests are found in what comes over the line.

Written from links/module_bus/PROTOCOL.md alone, so that the link has a stranger to talk to.
"""

from dataclasses import dataclass

ADDRESS = 0xF7
CHARACTER_BITS = 10
SILENCE = 2
"""Characters of silence that end a frame."""
LONGEST = 200
"""Bytes; what is longer without being a request is noise."""

READ, READ_VOLTAGE, READ_IDENTITY, SET_DUTY, MEASURE, BLINK, ANNOUNCE, WHO = range(65, 73)
CHANGE, RESET, CHECK, COUNT, SENSORS, BOX, OUTPUTS, SAFE_STATE = range(100, 108)
_HEAD, _CRC = 2, 2
_DATA = {
    READ: 3,
    READ_VOLTAGE: 3,
    READ_IDENTITY: 3,
    MEASURE: 3,
    BLINK: 3,
    ANNOUNCE: 3,
    WHO: 0,
    CHANGE: 4,
    RESET: 4,
    COUNT: 2,
    SENSORS: 2,
    BOX: 1,
    OUTPUTS: 3,
    SAFE_STATE: 5,
}
"""Bytes of data of requests with a fixed length."""
_COUNTED = {SET_DUTY: 2, CHECK: 4}
"""Where in the data of the others stands how many bytes follow."""


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)  # a shift register
        rows.append(byte)
    return tuple(rows)


_TABLE = _table()


def checksum(data: bytes) -> bytes:
    """Compute the CRC-16 of Modbus, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def frame(function: int, data: bytes) -> bytes:
    """Make a whole frame."""
    body = bytes((ADDRESS, function)) + data
    return body + checksum(body)


@dataclass(frozen=True, slots=True)
class Request:
    """What the master has asked."""

    function: int
    data: bytes

    @property
    def length(self) -> int:
        """Bytes that it took on the line."""
        return _HEAD + len(self.data) + _CRC


class Reader:
    """Finds requests in what comes; what is none of ours is dropped until the line falls silent."""

    def __init__(self) -> None:
        """Begin on a silent line."""
        self._kept = b""
        self._lost = False
        self.broken = 0
        """Frames with our address and a wrong checksum or an unknown function, and pieces of frames."""

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes that follow the last ones without a silence; give the requests that are complete."""
        found: list[Request] = []
        if self._lost:
            return found
        self._kept += data
        while self._kept:
            if self._kept[0] != ADDRESS:
                self._lost = True
                break
            length = _length(self._kept)
            if length is None:
                break
            body, rest = self._kept[: length - _CRC], self._kept[length:]
            if not length or checksum(body) != self._kept[length - _CRC : length]:
                self.broken += 1
                self._lost = True
                break
            found.append(Request(body[1], body[_HEAD:]))
            self._kept = rest
        if self._lost or len(self._kept) > LONGEST:
            self._kept = b""
        return found

    def silence(self) -> None:
        """Begin anew: the line was silent."""
        self.broken += bool(self._kept)
        self._kept, self._lost = b"", False


def _length(kept: bytes) -> int | None:
    """Tell the length of the frame that begins here: None if more is needed for that or for it, 0 if it is none."""
    if len(kept) < _HEAD:
        return None
    function = kept[1]
    if function in _DATA:
        length = _HEAD + _DATA[function] + _CRC
    elif function in _COUNTED:
        at = _HEAD + _COUNTED[function]
        if len(kept) <= at:
            return None
        length = at + 1 + kept[at] + _CRC
    else:
        return 0
    return length if len(kept) >= length else None
