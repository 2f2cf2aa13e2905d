"""Small pieces of work, done a few at a time: a thousand agents that all say something must not hold up the bridge."""

import asyncio
from collections import deque
from collections.abc import Callable
import logging
from time import perf_counter

_LOGGER = logging.getLogger(__name__)

BUDGET = 0.004
"""Seconds in one turn of the event loop, after which the rest waits for the next; one piece takes up to 2 ms."""


class Turns:
    """Does what it is given in order, and lets the rest of the bridge have its turn in between."""

    def __init__(self, budget: float = BUDGET) -> None:
        """Nothing is waiting yet."""
        self._budget = budget
        self._urgent: deque[Callable[[], None]] = deque()
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, work: Callable[[], None], *, urgent: bool = False) -> None:
        """Do `work` soon, urgent things first. It must not raise; whoever adds bounds how often it does."""
        (self._urgent if urgent else self._waiting).append(work)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._some)

    def _some(self) -> None:
        end = perf_counter() + self._budget
        while self._urgent or self._waiting:
            work = (self._urgent or self._waiting).popleft()
            try:
                work()
            except Exception:
                _LOGGER.exception("Something about an agent failed in a way nobody foresaw")
            if perf_counter() >= end:
                break
        if self._urgent or self._waiting:
            asyncio.get_running_loop().call_soon(self._some)
        else:
            self._scheduled = False


__all__ = ["BUDGET", "Turns"]
