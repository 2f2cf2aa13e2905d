"""Which impedances are measured when: a few blocks at a time, never two neighbours, one string after the other. Pure."""

from collections import deque
from collections.abc import Iterable

from ridethrough.battery.layout import Layout

from .frames import Status

AT_ONCE = 8
"""Most modules that measure at a time: each loads its block with a pulse of current."""
PATIENCE = 6.0
"""Seconds after which a measurement that takes 2 s counts as failed."""
TRIES = 2


def rounds(blocks: Iterable[int], layout: Layout | None) -> list[list[int]]:
    """Share blocks out: at most eight of one string at a time, spread over it, never two adjacent ones."""
    strings: dict[int, list[int]] = {}
    for block in sorted(set(blocks)):
        known = layout is not None and 1 <= block <= layout.blocks
        strings.setdefault(layout.string_of(block) if known and layout is not None else 0, []).append(block)
    shared: list[list[int]] = []
    for members in strings.values():
        stride = max(2, -(-len(members) // AT_ONCE))
        shared += [part for start in range(stride) if (part := members[start::stride])]
    return shared


class Measurements:
    """The measurements that were asked for."""

    def __init__(self, layout: Layout | None) -> None:
        """Nothing is measured yet."""
        self._layout = layout
        self._waiting: deque[list[int]] = deque()
        self._running: dict[int, float] = {}
        """Number to the time when it was told."""
        self._tries: dict[int, int] = {}
        self.failed = 0
        """Measurements that were given up."""

    @property
    def running(self) -> bool:
        """Whether anything is measured or waits for it."""
        return bool(self._running or self._waiting)

    def want(self, blocks: Iterable[int]) -> None:
        """Have blocks measured after those that are waiting; nobody waits twice."""
        queued = {block for part in self._waiting for block in part} | self._running.keys()
        self._waiting += rounds((block for block in blocks if block not in queued), self._layout)

    def forget(self) -> None:
        """Give up what was asked for: the bus is needed for something else, or has gone."""
        self._waiting.clear()
        self._running.clear()
        self._tries.clear()

    def following(self, now: float, present: set[int]) -> list[int]:
        """Say which modules are to be told to measure now."""
        for number, since in list(self._running.items()):
            if number not in present or now - since > PATIENCE:
                del self._running[number]
                self._failed(number, again=number in present)
        if self._running or not self._waiting:
            return []
        part = [number for number in self._waiting.popleft() if number in present]
        self._running = dict.fromkeys(part, now)
        return part

    def seen(self, number: int, status: int, now: float) -> None:
        """Note what a module says of itself."""
        since = self._running.get(number)
        # An answer that was given before it could begin says nothing of this measurement.
        if since is not None and status & Status.IMPEDANCE_NEW and not status & Status.MEASURING and now > since:
            del self._running[number]
            self._tries.pop(number, None)

    def _failed(self, number: int, *, again: bool) -> None:
        tries = self._tries[number] = self._tries.get(number, 0) + 1
        if again and tries < TRIES:
            self._waiting.append([number])
            return
        self._tries.pop(number, None)
        self.failed += 1


__all__ = ["AT_ONCE", "PATIENCE", "Measurements", "rounds"]
