"""What can be wrong with a serial line, and what it does to an answer."""

from dataclasses import dataclass
from random import Random

LINE_DELAY = 60.0
"""Longest delay, s."""


@dataclass(frozen=True, slots=True)
class LineFaults:
    """What is wrong with the line at the moment."""

    garble: float = 0.0
    """Probability that an answer has wrong bytes."""
    truncate: float = 0.0
    """Probability that the end of an answer is missing."""
    silent: bool = False
    """Nothing is answered; what is ordered is still done."""
    delay: float = 0.0
    """Seconds by which every answer is late."""
    echo: bool = False
    """Every request comes back before its answer."""
    flood: bool = False
    """Garbage comes all the time."""


SOUND = LineFaults()


def spoil(answer: bytes, faults: LineFaults, chance: Random) -> bytes:
    """Do to an answer what the line does."""
    if answer and chance.random() < faults.garble:
        wrong = bytearray(answer)
        for _ in range(chance.randint(1, 3)):
            wrong[chance.randrange(len(wrong))] ^= chance.randint(1, 255)
        answer = bytes(wrong)
    if answer and chance.random() < faults.truncate:
        answer = answer[: chance.randrange(len(answer))]
    return answer
