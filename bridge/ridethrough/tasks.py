"""Supervised tasks: each has an owner, a failing one is restarted with capped, jittered back-off."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
import logging
import random
from types import TracebackType
from typing import Any, Self

from .clock import Clock

_LOGGER = logging.getLogger(__name__)


def unbroken[**P, R](work: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Have a method bring to its end what it has begun, also when its caller is cancelled; it is cancelled then.

    For what takes milliseconds and is worse half done than late. What it does must end by itself.
    """

    @wraps(work)
    async def carried_out(*args: P.args, **kwargs: P.kwargs) -> R:
        task = asyncio.create_task(work(*args, **kwargs))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            if not task.cancelled():
                task.exception()  # nobody is left to hear of it
            raise cancelled
        return task.result()

    return carried_out


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the n-th restart: doubling from `first` to `cap` seconds, plus jitter."""

    first: float = 0.5
    cap: float = 30.0
    jitter: float = 0.2
    """Share of the delay added or taken at random, so that many tasks do not restart together."""

    def delay(self, failures: int, random_unit: float) -> float:
        """Seconds to wait after `failures` failures in a row; `random_unit` lies in 0–1."""
        base = min(self.cap, self.first * 2.0 ** min(failures - 1, 16))
        return base * (1.0 + self.jitter * (2.0 * random_unit - 1.0))


class Supervisor:
    """Owns the tasks of one component and ends them when the component ends.

    A task that raises is restarted; one log line says that it failed, one that it runs again.
    A task that ran longer than `steady` seconds counts as recovered.
    """

    steady = 10.0

    def __init__(self, clock: Clock, backoff: Backoff | None = None) -> None:
        """Create a supervisor that measures time with `clock`."""
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._tasks: set[asyncio.Task[None]] = set()
        self.restarts: dict[str, int] = {}
        """How often each named task has been restarted."""

    async def __aenter__(self) -> Self:
        """Enter the component's lifetime."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what is still running and wait until it has ended."""
        await self.stop()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run `work` under `name` until it returns; restart it whenever it raises."""
        task = asyncio.create_task(self._keep(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel every task and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            steady = asyncio.create_task(self._tell_when_steady(name)) if failures else None
            try:
                await work()
            except Exception as error:
                if self._clock.monotonic() - began >= self.steady:
                    failures = 0
                failures += 1
                self.restarts[name] = self.restarts.get(name, 0) + 1
                if failures == 1:
                    _LOGGER.exception("%s failed and is started again", name)
                else:
                    _LOGGER.debug("%s failed again (%d in a row): %s", name, failures, error)
            else:
                return
            finally:
                if steady is not None:
                    steady.cancel()
            await self._clock.sleep(self._backoff.delay(failures, random.random()))

    async def _tell_when_steady(self, name: str) -> None:
        await self._clock.sleep(self.steady)
        _LOGGER.info("%s runs again", name)
