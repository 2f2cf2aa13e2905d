"""Does steps: noted before and after, in the order of their lane, tried again where that may help.

A mail server that does not answer must not keep a shutdown waiting: each lane goes on by itself, and what only informs
has its own share of what may go on at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
import logging
import random
from typing import Protocol
from uuid import uuid4

from ridethrough.clock import Clock
from ridethrough.config.jobs import JobConfig
from ridethrough.events.event import Event
from ridethrough.events.steps import ActionError, Occasion, Performer, Step, StepState
from ridethrough.tasks import Backoff

from .ledger import Ledger
from .report import Report

_LOGGER = logging.getLogger(__name__)

type Listener = Callable[[Step], None]
type Unsubscribe = Callable[[], None]

LATE = 60.0
"""Seconds after which something is late."""


class Lasting(Protocol):
    """Knows which events go on: the engine's keeper."""

    def lasts(self, event: Event) -> bool:
        """Whether an event goes on, as far as anybody knows."""

    async def settled(self, event: Event) -> None:
        """Wait until its device has said so, or the opposite, after the bridge was away."""


@dataclass(frozen=True, slots=True)
class ExecutorLimits:
    """How much goes on at once, and how long things are tried."""

    acting: int = 128
    informing: int = 32
    perform: float = 600.0
    """Seconds that one attempt may take."""
    attempts: int = 4
    """Of what only informs, and of what has no event that could last."""
    insist: float = 3600.0
    """Seconds for which an action is tried again while its event lasts."""
    backoff: Backoff = Backoff(first=2.0, cap=30.0)


@dataclass(slots=True, eq=False)
class _Entry:
    step: Step
    lane: tuple[str, ...]
    gated: bool = False
    """Whether its event must be known to go on first."""
    overtaken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the next repetition of it waits, or nobody wants it any more."""
    dropped: str = ""
    """Why nobody wants it any more."""
    ended: asyncio.Future[Step] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Executor:
    """Carries steps out by a performer."""

    def __init__(
        self,
        ledger: Ledger,
        performer: Performer,
        clock: Clock,
        report: Report,
        *,
        limits: ExecutorLimits | None = None,
    ) -> None:
        """Begin with nothing to do."""
        self._ledger = ledger
        self._performer = performer
        self._clock = clock
        self._report = report
        self._limits = limits or ExecutorLimits()
        self._acting = asyncio.Semaphore(self._limits.acting)
        self._informing = asyncio.Semaphore(self._limits.informing)
        self._entries: dict[str, _Entry] = {}
        self._lanes: dict[tuple[str, ...], deque[_Entry]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[object, Listener] = {}
        self._stopped = False
        self.events: Lasting | None = None
        """Who knows whether an event goes on; the keeper puts itself here."""

    @property
    def busy(self) -> int:
        """How many steps are waiting or under way."""
        return len(self._entries)

    def listen(self, listener: Listener) -> Unsubscribe:
        """Call `listener` with every step that has ended. It must return quickly."""
        handle = object()
        self._listeners[handle] = listener

        def end() -> None:
            self._listeners.pop(handle, None)

        return end

    def submit(self, steps: Iterable[Step]) -> None:
        """Do steps that the ledger has; those that are under way already are not done twice.

        After `stop` they are left to the next start.
        """
        for step in steps:
            if not self._stopped:
                self._enter(step)

    async def run(self, step: Step) -> Step:
        """Do one step that the ledger has, and return it as it ended. It goes on when the caller is cancelled."""
        return await asyncio.shield(self._enter(step).ended)

    async def run_now(self, job: JobConfig, actor: str) -> Step:
        """Run a job at once, as a test (manual M:2505), and return how that ended."""
        occasion = Occasion(f"job:{job.key}", actor=actor, test=True)
        step = Step(f"job:{job.key}/test/{uuid4()}", job.action, occasion, self._clock.utc())
        await self._ledger.commit([step], {})
        return await self.run(step)

    def resume(self, steps: Iterable[Step], *, away: bool = False) -> None:
        """Do what was due or begun when the bridge ended: what `Steps.unfinished` gave before anything was committed.

        What was begun is marked as a retry, what comes late says by how much. What acts is dropped when its event is
        over by now: a computer that has just been started again must not be shut down because of what was. After a long
        absence (`away`) it waits until the device itself has said that the event goes on.
        """
        now = self._clock.utc()
        for step in steps:
            behind = (now - step.at).total_seconds()
            occasion = replace(
                step.occasion,
                retry=step.occasion.retry or step.state is StepState.STARTED,
                late=behind if behind > LATE else step.occasion.late,
            )
            gated = not step.action.informs and occasion.event is not None
            self._enter(replace(step, occasion=occasion), gated=gated)

    def restore(self, memory: Mapping[str, str]) -> None:
        """Remember which origins were failing when the bridge ended."""
        self._report.restore(memory)

    async def drop(self, origins: Collection[str], reason: str) -> None:
        """Let go of what waits to be done for these origins; what is being done at this moment is not interrupted."""
        for entry in list(self._entries.values()):
            if entry.step.occasion.origin in origins and not entry.step.occasion.test:
                entry.dropped = reason
                entry.overtaken.set()
        memory = self._report.forget(origins)
        if memory:
            await self._ledger.commit((), memory)

    async def stop(self, patience: float) -> None:
        """Wait so many seconds for what is under way, and give up the rest: it is done at the next start."""
        self._stopped = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=patience)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in self._entries.values():
            entry.ended.cancel()
        await self._report.close(patience)

    # Lanes

    def _enter(self, step: Step, *, gated: bool = False) -> _Entry:
        known = self._entries.get(step.key)
        if known is not None:
            return known
        entry = self._entries[step.key] = _Entry(step, _lane(step), gated)
        lane = self._lanes.get(entry.lane)
        if lane is not None:
            for earlier in lane:
                if _repeats(step, earlier.step):
                    earlier.overtaken.set()
            lane.append(entry)
            return entry
        lane = self._lanes[entry.lane] = deque([entry])
        task = asyncio.create_task(self._go_along(lane), name=f"steps of {step.occasion.origin:.60}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return entry

    async def _go_along(self, lane: deque[_Entry]) -> None:
        while lane:
            entry = lane[0]
            try:
                await self._finish(entry, await self._carry_out(entry))
            except Exception:
                _LOGGER.exception("The step %s failed in a way nobody foresaw", entry.step.key)
            finally:
                entry.ended.cancel()  # whoever still waits for it learns that nobody does it any more
                lane.popleft()
                self._entries.pop(entry.step.key, None)
                if not lane:
                    del self._lanes[entry.lane]

    # One step

    async def _carry_out(self, entry: _Entry) -> Step:
        """Do a step, again and again where that may help, and return it as it ended."""
        step = entry.step
        event = step.occasion.event
        if entry.gated and event is not None and self.events is not None and not await self._still(entry, event):
            return replace(step, state=StepState.DROPPED, message="Not done: what it was for was over by then.")
        if entry.dropped or entry.overtaken.is_set():
            return replace(step, state=StepState.DROPPED, message=entry.dropped or "Not done: the next one was due.")
        began = self._clock.monotonic()
        failures = 0
        while True:
            step, error = await self._attempt(step)
            if error is None or not error.again:
                return step
            failures += 1
            pause = self._limits.backoff.delay(failures, random.random())
            if not self._insists(step, failures, self._clock.monotonic() + pause - began):
                return step
            await self._pause(entry, pause)
            if entry.dropped or entry.overtaken.is_set() or not self._insists(step, failures, 0.0):
                return step

    async def _attempt(self, step: Step) -> tuple[Step, ActionError | None]:
        async with self._informing if step.action.informs else self._acting:
            step = await self._ledger.begin(step)
            try:
                async with asyncio.timeout(self._limits.perform):
                    message = await self._performer.perform(step.action, step.occasion)
            except ActionError as error:
                return replace(step, state=StepState.FAILED, message=str(error)), error
            except TimeoutError:
                message = f"It has not ended within {self._limits.perform:g} s."
                return replace(step, state=StepState.FAILED, message=message), None
            except Exception:
                _LOGGER.exception("The %s of %s failed in a way nobody foresaw", step.action.title, step.key)
                message = "It failed inside the bridge; its log says more."
                return replace(step, state=StepState.FAILED, message=message), None
            return replace(step, state=StepState.DONE, message=message), None

    async def _still(self, entry: _Entry, event: Event) -> bool:
        """Wait until it is known whether an event goes on, and return that; true when nobody wants to know."""
        if self.events is None:
            return True
        settled = asyncio.ensure_future(self.events.settled(event))
        overtaken = asyncio.ensure_future(entry.overtaken.wait())
        try:
            await asyncio.wait([settled, overtaken], return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()
            overtaken.cancel()
        return entry.overtaken.is_set() or self.events.lasts(event)

    def _insists(self, step: Step, failures: int, elapsed: float) -> bool:
        """Whether a step that has failed so often, for so many seconds, is tried once more."""
        event = step.occasion.event
        if step.action.informs or event is None or self.events is None:
            return failures < self._limits.attempts
        return elapsed < self._limits.insist and self.events.lasts(event)

    async def _pause(self, entry: _Entry, seconds: float) -> None:
        waits = [asyncio.ensure_future(entry.overtaken.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _finish(self, entry: _Entry, step: Step) -> None:
        await self._ledger.end(step)
        memory = self._report.tell(step)
        if memory:
            await self._ledger.commit((), memory)
        if not entry.ended.done():
            entry.ended.set_result(step)
        for listener in list(self._listeners.values()):
            with suppress(Exception):
                listener(step)


def _lane(step: Step) -> tuple[str, ...]:
    """Name what a step is done in the order of: those of one job for one device, those of one schedule.

    The stages of a plan keep their order themselves, and a person who tests a job does not wait.
    """
    occasion = step.occasion
    if occasion.test or not occasion.origin.startswith(("job:", "schedule:")):
        return (step.key,)
    return occasion.origin, str(None if occasion.event is None else occasion.event.device)


def _repeats(step: Step, earlier: Step) -> bool:
    """Whether a step is a later repetition of another, because of the same event."""
    one, other = step.occasion.event, earlier.occasion.event
    if one is None or other is None or step.occasion.origin != earlier.occasion.origin:
        return False
    return (one.device, one.key, one.at, one.edge) == (other.device, other.key, other.at, other.edge)


__all__ = ["LATE", "Executor", "ExecutorLimits", "Lasting"]
