"""Tells how steps have ended: an event in the journal for each, and a condition of the bridge while jobs fail."""

import asyncio
from collections.abc import Iterable, Mapping
import logging

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.events.recorder import Recorder
from ridethrough.events.steps import Step, StepState
from ridethrough.site import DeviceId, Site, Source, Value

_LOGGER = logging.getLogger(__name__)

FAILED = "job_failed"
"""The condition of the bridge, and the key of the event."""
DONE = "job_done"
REMEMBERED = "failed/"
"""Of what is remembered: the origins of which the last step has failed."""
LONGEST = 500
"""Characters of a message."""
MOST = 2_000
"""Reports that wait for the journal at most; what happens beyond is in the log."""


class Report:
    """Keeps `job_failed` of the bridge true to the last step of each origin."""

    def __init__(self, site: Site, recorder: Recorder, clock: Clock, bridge: DeviceId) -> None:
        """Tell of steps as things that `bridge` did."""
        self._recorder = recorder
        self._clock = clock
        self._bridge = bridge
        self._lane = site.lane(bridge, None, Source.COMPUTED)
        self._failing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def restore(self, memory: Mapping[str, str]) -> None:
        """Remember which origins were failing, and say so."""
        self._failing = {key.removeprefix(REMEMBERED) for key in memory}
        self._post()

    def tell(self, step: Step) -> Mapping[str, str | None]:
        """Tell how a step has ended; return what is to be remembered of it."""
        origin = step.occasion.origin
        memory: dict[str, str | None] = {}
        if step.state is StepState.FAILED and origin not in self._failing:
            self._failing.add(origin)
            memory[f"{REMEMBERED}{origin}"] = "1"
        elif step.state is StepState.DONE and origin in self._failing:
            self._failing.discard(origin)
            memory[f"{REMEMBERED}{origin}"] = None
        self._post()
        self._write(step)
        return memory

    def forget(self, origins: Iterable[str]) -> Mapping[str, str | None]:
        """Let go of origins that the configuration has no longer."""
        gone = self._failing & set(origins)
        self._failing -= gone
        self._post()
        return dict.fromkeys(f"{REMEMBERED}{origin}" for origin in gone)

    async def close(self, patience: float) -> None:
        """Wait so many seconds for what is being written."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=patience)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _post(self) -> None:
        self._lane.post(conditions={FAILED: bool(self._failing)})

    def _write(self, step: Step) -> None:
        event = self._event(step)
        if len(self._tasks) >= MOST:
            _LOGGER.warning("%s is not told in the journal: %s", step.key, step.message)
            return

        async def write() -> None:
            try:
                await self._recorder.record(event)
            except JournalError as error:
                _LOGGER.warning("%s is not told in the journal: %s (%s)", step.key, step.message, error)

        task = asyncio.create_task(write(), name=f"report of {step.key:.60}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(self, step: Step) -> Event:
        occasion = step.occasion
        details: dict[str, Value] = {
            "job": occasion.origin.partition(":")[2] or occasion.origin,
            "action": step.action.name,
            "message": step.message[:LONGEST],
            "origin": occasion.origin,
            "step": step.key,
            "test": occasion.test,
            # Also what was tried again while the bridge ran: whoever did not answer may have done it the first time.
            "retry": occasion.retry or step.attempts > 1,
            "state": step.state.value,
        }
        if occasion.drill:
            details["drill"] = True
        if occasion.actor:
            details["actor"] = occasion.actor
        if occasion.event is not None and occasion.event.seq:
            details["event"] = occasion.event.seq
        failed = step.state is StepState.FAILED
        return Event(
            at=self._clock.utc(),
            kind=EventKind.SYSTEM,
            device=self._bridge,
            key=FAILED if failed else DONE if step.state is StepState.DONE else "job_dropped",
            edge=EdgeKind.OCCURRED,
            severity=Severity.WARNING if failed else Severity.INFO,
            details=details,
        )


__all__ = ["FAILED", "REMEMBERED", "Report"]
