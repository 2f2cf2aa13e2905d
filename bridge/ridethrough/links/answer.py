"""What comes back on a serial line: a line that answers, or what is wrong with it."""

from dataclasses import dataclass

from .base import LinkError


class NoAnswerError(LinkError):
    """Nothing came back in time."""


class MalformedError(LinkError):
    """Something came back, but not what was asked for: too short, too long, another shape."""

    def __init__(self, message: str, received: bytes) -> None:
        """`received` is what came instead, cut to what a person can use."""
        super().__init__(message)
        self.received = received[:80]


class FloodError(MalformedError):
    """The other end sends without being asked and does not stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One line that came back."""

    data: bytes
    """Without its terminator."""
    at: float
    """The clock's monotonic time of its last byte."""
    seconds: float
    """From the first byte of the request to the last of the answer."""
    strays: tuple[bytes, ...] = ()
    """Lines that came before it and belong to no question of ours, e.g. late answers."""


__all__ = ["Answer", "FloodError", "MalformedError", "NoAnswerError"]
