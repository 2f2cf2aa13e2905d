"""Notes steps durably where that is possible, and in memory where it is not: a full disk must not stop a shutdown.

What could not be written is written as soon as the disk takes it again, in its last state. If the bridge is killed
before, what it did meanwhile is not known afterwards, and may be done again; nobody can help that.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
import logging
import random
from typing import Any

from ridethrough.clock import Clock
from ridethrough.events.event import JournalError
from ridethrough.events.steps import Step, Steps, StepState
from ridethrough.tasks import Backoff

_LOGGER = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a step waits for a disk that does not answer."""
CAPACITY = 10_000
"""Steps that are kept in memory at most; of those beyond, the ends of the oldest are forgotten."""
ENDED = frozenset((StepState.DONE, StepState.FAILED, StepState.DROPPED))


@dataclass(slots=True)
class _Backlog:
    """What has not been written."""

    steps: dict[str, Step] = field(default_factory=dict)
    """New ones, in their last state."""
    marks: dict[str, Step] = field(default_factory=dict)
    """Written ones that have been begun or have ended since."""
    memory: dict[str, str | None] = field(default_factory=dict)
    seen: int | None = None

    def __bool__(self) -> bool:
        return bool(self.steps or self.marks or self.memory or self.seen is not None)


class Ledger:
    """Stands between those who make and do steps and the store."""

    def __init__(
        self, steps: Steps, clock: Clock, *, patience: float = PATIENCE, backoff: Backoff | None = None
    ) -> None:
        """Write into `steps`."""
        self.steps = steps
        self._clock = clock
        self._patience = patience
        self._backoff = backoff or Backoff(first=0.5, cap=10.0)
        self._backlog = _Backlog()
        self._failing = False
        self._failed = asyncio.Event()
        self._writes: set[asyncio.Task[Any]] = set()
        """Writes that have begun; those that nobody waits for any more end by themselves."""

    @property
    def failing(self) -> bool:
        """Whether the store cannot be written at the moment."""
        return self._failing

    @property
    def unwritten(self) -> int:
        """How many steps wait to be written."""
        return len(self._backlog.steps) + len(self._backlog.marks)

    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Note new steps with what is to be remembered with them; return those that are to be done.

        It returns when all of it is on the disk, or when that has failed and is known in memory.
        """
        if not self._failing:
            try:
                return await self._patiently(self.steps.commit(steps, memory, seen))
            except JournalError as error:
                self._fail(error)
        fresh = [step for step in steps if step.key not in self._backlog.steps]
        self._backlog.steps |= {step.key: step for step in fresh}
        self._backlog.memory |= memory
        if seen is not None:
            self._backlog.seen = seen
        self._bound()
        return fresh

    async def begin(self, step: Step) -> Step:
        """Note that a step is begun now."""
        started = replace(step, state=StepState.STARTED, attempts=step.attempts + 1)
        if not self._failing:
            try:
                return replace(started, attempts=await self._patiently(self.steps.begin(step.key)))
            except JournalError as error:
                self._fail(error)
        self._mark(started)
        return started

    async def end(self, step: Step) -> None:
        """Note how a step has ended: its state and its message."""
        if not self._failing:
            try:
                await self._patiently(self.steps.end(step.key, step.state, step.message))
            except JournalError as error:
                self._fail(error)
            else:
                return
        self._mark(step)

    async def run(self) -> None:
        """Write what could not be written, for ever."""
        while True:
            await self._failed.wait()
            failures = 1
            while self._failing:
                await self._clock.sleep(self._backoff.delay(failures, random.random()))
                if not await self._catch_up():
                    failures += 1

    async def close(self) -> None:
        """Write what waits for it, if that can be done now."""
        if self._failing and not await self._catch_up():
            _LOGGER.error("%d steps of jobs could not be noted and are forgotten", self.unwritten)
        await asyncio.gather(*self._writes, return_exceptions=True)

    def _mark(self, step: Step) -> None:
        table = self._backlog.steps if step.key in self._backlog.steps else self._backlog.marks
        table[step.key] = step
        self._bound()

    def _bound(self) -> None:
        for table in (self._backlog.steps, self._backlog.marks):
            if len(table) <= CAPACITY:
                continue
            for key in [key for key, step in table.items() if step.state in ENDED][: CAPACITY // 10]:
                del table[key]

    def _fail(self, error: JournalError) -> None:
        if not self._failing:
            _LOGGER.error("Steps of jobs cannot be noted, and are done all the same: %s", error)
        self._failing = True
        self._failed.set()

    async def _catch_up(self) -> bool:
        """Write everything that waits; whether nothing does any more."""
        if self._writes:
            # One that hangs may still end.
            await asyncio.wait(set(self._writes), timeout=self._patience)
            if self._writes:
                return False
        while self._backlog:
            backlog, self._backlog = self._backlog, _Backlog()
            try:
                await self._patiently(self._write(backlog))
            except JournalError as error:
                _LOGGER.debug("Steps still cannot be noted: %s", error)
                self._restore(backlog)
                return False
        self._failing = False
        self._failed.clear()
        _LOGGER.info("Steps of jobs are noted again")
        return True

    async def _write(self, backlog: _Backlog) -> None:
        new = {step.key for step in await self.steps.commit(list(backlog.steps.values()), backlog.memory, backlog.seen)}
        # A write of which nobody knew how it ended may have come to its end after all.
        known = [step for step in backlog.steps.values() if step.key not in new]
        for step in (*known, *backlog.marks.values()):
            if step.state is StepState.STARTED:
                await self.steps.begin(step.key)
            elif step.state in ENDED:
                await self.steps.end(step.key, step.state, step.message)

    def _restore(self, backlog: _Backlog) -> None:
        """Put back what could not be written, under what has come since."""
        since = self._backlog
        marks = {key: step for key, step in since.marks.items() if key not in backlog.steps}
        late = {key: step for key, step in since.marks.items() if key in backlog.steps}
        self._backlog = _Backlog(
            backlog.steps | late | since.steps,
            backlog.marks | marks,
            backlog.memory | since.memory,
            backlog.seen if since.seen is None else since.seen,
        )

    async def _patiently[T](self, write: Coroutine[Any, Any, T]) -> T:
        """Wait for a write, but not for a disk that hangs. Raises JournalError."""
        task = asyncio.ensure_future(write)
        self._writes.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._patience)
        if not done:
            raise JournalError("The disk does not answer.")
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()


__all__ = ["ENDED", "Ledger"]
