"""Keeps the schedule: makes steps of what is due, durably, and tells of runs that were missed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
import logging

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.config.jobs import ScheduleConfig
from ridethrough.site import DeviceId, Value
from ridethrough.tasks import unbroken

from .event import EdgeKind, Event, EventKind, JournalError
from .pending import Recording
from .schedule import Memory, Missed, begin, decide, next_run, rule_of, step_key, told
from .steps import Occasion, Step, Steps

_LOGGER = logging.getLogger(__name__)

LOOK = 10.0
"""Seconds after which the wall clock is looked at again at the latest: nothing tells when it is set."""
PATIENCE = 5.0
"""Seconds for the event log to take a note; what it does not take is told later."""
PREFIX = "schedule:"
"""Of the keys under which schedules are remembered."""
MISSED = "schedule_missed"
_NEVER = datetime.max.replace(tzinfo=UTC)

type Take = Callable[[Sequence[Step]], object]
"""Does steps, which are noted as due already; returns at once."""
type _Work = Callable[[], Awaitable[None]]


class Scheduler:
    """Makes each run of the schedule one step, never two, whatever happens to the bridge or to its clock.

    A run that came while the bridge was off, or while its clock was wrong, is noted in the event log; it is made up
    for only where the schedule says so.
    """

    def __init__(
        self,
        schedule: Sequence[ScheduleConfig],
        zone: tzinfo,
        steps: Steps,
        take: Take,
        recorder: Recording,
        clock: Clock,
        bridge: DeviceId,
    ) -> None:
        """Hand steps to `take` when `steps` has them. Local times are those of `zone`, missed runs events of `bridge`."""
        self._schedule = {one.key: one for one in schedule if one.enabled}
        self._zone = zone
        self._steps = steps
        self._take = take
        self._recorder = recorder
        self._clock = clock
        self._bridge = bridge
        self._memories: dict[str, Memory] = {}
        self._looked = clock.utc()
        self._next: datetime | None = None
        """When something is due; None: not worked out yet."""
        self._failed = False

    async def run(self) -> None:
        """Keep the schedule for ever. It may be cancelled and run again at any time."""
        await self._persist(self._recall)
        while True:
            await self._persist(self._look)
            await self._clock.sleep(self._pause())

    def next(self, key: str) -> datetime | None:
        """Return when a schedule is due next, UTC; None when never, or when there is none of this key."""
        schedule = self._schedule.get(key)
        found = None if schedule is None else next_run(schedule, self._zone, self._clock.utc())
        return None if found is None else found.at

    async def _persist(self, work: _Work) -> None:
        """Do it until the store takes it: what is not noted is not done."""
        while True:
            try:
                await work()
            except JournalError as error:
                if not self._failed:
                    _LOGGER.error("The schedule cannot be kept, as its steps cannot be noted: %s", error)
                self._failed = True
                await self._clock.sleep(LOOK)
            else:
                if self._failed:
                    _LOGGER.info("The schedule is kept again")
                self._failed = False
                return

    async def _recall(self) -> None:
        """Take up what is remembered, and begin to remember what is new."""
        now, self._next = self._clock.utc(), None
        remembered = await self._steps.recall(PREFIX)
        fresh: dict[str, str | None] = {key: None for key in remembered if key[len(PREFIX) :] not in self._schedule}
        for key, schedule in self._schedule.items():
            memory = _memory(remembered.get(f"{PREFIX}{key}"))
            if memory is None or memory.rule != rule_of(schedule, self._zone):
                memory = replace(begin(schedule, self._zone, now), done=() if memory is None else memory.done)
                fresh[f"{PREFIX}{key}"] = memory.dump()
            self._memories[key] = memory
        if fresh:
            await self._steps.commit((), fresh)

    async def _look(self) -> None:
        earlier, now = self._looked, self._clock.utc()
        if self._next is not None and earlier <= now < self._next:
            self._looked = now
            return
        steps: list[Step] = []
        changed: dict[str, Memory] = {}
        for key, schedule in self._schedule.items():
            run, memory = decide(schedule, self._zone, self._memories[key], now)
            if memory is not self._memories[key]:
                changed[key] = memory
            if run is not None:
                occasion = Occasion(f"{PREFIX}{key}")
                steps.append(Step(step_key(schedule, run), schedule.action, occasion, run.at))
        if changed:
            await self._hand_on(steps, changed)
        self._looked, self._next = now, None
        if await self._tell():
            soon = (next_run(schedule, self._zone, now) for schedule in self._schedule.values())
            self._next = min((run.at for run in soon if run is not None), default=_NEVER)

    @unbroken
    async def _hand_on(self, steps: Sequence[Step], changed: Mapping[str, Memory]) -> None:
        """Note runs and have them done: what is noted when another schedule takes over would be done by nobody."""
        fresh = await self._steps.commit(steps, _dumped(changed))
        self._memories |= changed
        if fresh:
            self._take(fresh)

    async def _tell(self) -> bool:
        """Tell in the event log of what was missed; whether it knows now.

        After a crash in between it is told again rather than never.
        """
        for key, memory in self._memories.items():
            if memory.untold is None:
                continue
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._recorder.record(self._event(self._schedule[key], memory.untold))
            except (TimeoutError, JournalError) as error:
                _LOGGER.warning("That runs of %s were missed is not in the event log yet: %s", key, error)
                return False
            memory = told(memory)
            await self._steps.commit((), _dumped({key: memory}))
            self._memories[key] = memory
        return True

    def _event(self, schedule: ScheduleConfig, missed: Missed) -> Event:
        details: dict[str, Value] = {
            "schedule": schedule.key,
            "name": schedule.name,
            "count": missed.count,
            "first": missed.first.isoformat(" ", "minutes"),
            "last": missed.last.isoformat(" ", "minutes"),
            "made_up": missed.made_up,
        }
        return Event(
            self._clock.utc(), EventKind.SYSTEM, self._bridge, MISSED, EdgeKind.OCCURRED, Severity.WARNING, details
        )

    def _pause(self) -> float:
        """Return the seconds until the next run, as far as the clock is not set meanwhile."""
        if self._next is None:
            return LOOK
        return max(0.0, min(LOOK, (self._next - self._clock.utc()) / timedelta(seconds=1)))


def _memory(text: str | None) -> Memory | None:
    if text is None:
        return None
    try:
        return Memory.load(text)
    except ValueError as error:
        _LOGGER.warning("What was remembered of a schedule is not readable, so it begins anew: %s", error)
        return None


def _dumped(memories: Mapping[str, Memory]) -> Mapping[str, str | None]:
    return {f"{PREFIX}{key}": memory.dump() for key, memory in memories.items()}


__all__ = ["LOOK", "MISSED", "PREFIX", "Scheduler", "Take"]
