"""A tiny master of its own: frames by hand, with pymodbus' checksum."""

import os
from pathlib import Path
import select
import struct
import time
import tty

from pymodbus.framer.rtu import FramerRTU


def framed(function: int, data: bytes = b"") -> bytes:
    body = bytes((0xF7, function)) + data
    return body + FramerRTU.compute_CRC(body).to_bytes(2)


def group(function: int, first: int, count: int) -> bytes:
    return framed(function, struct.pack(">HB", first, count))


def sound(frame: bytes) -> bool:
    return len(frame) > 4 and framed(frame[1], frame[2:-2]) == frame


class Master:
    """One end of a line. Use it in a thread."""

    def __init__(self, path: str | Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)

    def close(self) -> None:
        os.close(self.fd)

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def hear(self, length: int, patience: float = 0.5) -> bytes:
        """Read so many bytes, or what has come when none follow any more."""
        got = b""
        until = time.monotonic() + patience
        while len(got) < length and (left := until - time.monotonic()) > 0.0:
            if select.select([self.fd], [], [], left)[0]:
                got += os.read(self.fd, length - len(got))
        return got

    def ask(self, data: bytes, length: int, patience: float = 0.5) -> bytes:
        self.send(data)
        return self.hear(length, patience)
