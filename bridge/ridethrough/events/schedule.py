"""When scheduled jobs are due (manual M:4005): the calendar over daylight saving, and what becomes of missed runs.

Pure. A run is named by its local time, as a clock on the wall shows it: `2026-11-22T03:00:00`. It happens at one
instant: a local time that does not exist, because clocks are put forward over it, at the first moment after the gap;
one that exists twice the first time.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

import orjson

from ridethrough.config.jobs import Repeat, ScheduleConfig

PUNCTUAL = timedelta(seconds=60)
"""A run that is begun this late is not late: the bridge was being restarted, or the computer was busy."""
REMEMBERED = 32
"""Runs of a schedule that are remembered as done, so that a clock that is set back does not repeat them."""
_SECOND = timedelta(seconds=1)


# The calendar


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One run of a schedule."""

    at: datetime
    """When it is due, UTC."""
    wall: datetime
    """The local time that it is due at by the schedule, without time zone."""


def instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return when it is so late in a time zone, UTC: the first time, or the first moment after a gap."""
    first = wall.replace(tzinfo=zone, fold=0)
    found = first.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # In a gap the offset before it is fold 0, the one after it fold 1; the change lies between the two readings.
    early, late = sorted((found, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)))
    before = early.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def occurrence(start: datetime, repeat: Repeat, number: int) -> datetime | None:
    """Return the local time of the run with this number, counted from 0; None when there is none.

    Each month has a run: of a schedule that begins on the 31st, shorter ones on their last day.
    """
    if number < 0 or (repeat is Repeat.ONCE and number > 0):
        return None
    try:
        match repeat:
            case Repeat.WEEKLY:
                return start + timedelta(weeks=number)
            case Repeat.MONTHLY:
                years, month = divmod(start.month - 1 + number, 12)
                year = start.year + years
                last = calendar.monthrange(year, month + 1)[1]
                return start.replace(year=year, month=month + 1, day=min(start.day, last))
            case _:
                return start + timedelta(days=number)
    except OverflowError, ValueError, calendar.IllegalMonthError:
        return None


def number_after(start: datetime, repeat: Repeat, zone: tzinfo, after: datetime) -> int:
    """Return the number of the first run whose instant is later than `after` (UTC), whether or not it exists."""
    local = after.astimezone(zone).replace(tzinfo=None)
    match repeat:
        case Repeat.ONCE:
            guess = 0
        case Repeat.WEEKLY:
            guess = (local - start).days // 7
        case Repeat.MONTHLY:
            guess = (local.year - start.year) * 12 + local.month - start.month
        case Repeat.DAILY:
            guess = (local - start).days
    # The guess is wrong by a run or two at most: what lies between is an offset from UTC, which may change.
    number = max(0, guess - 3)
    while (wall := occurrence(start, repeat, number)) is not None and instant(wall, zone) <= after:
        number += 1
    return number


def next_run(schedule: ScheduleConfig, zone: tzinfo, after: datetime) -> Run | None:
    """Return the first run later than `after` (UTC); None when there is none any more."""
    return _run(schedule, zone, number_after(schedule.start, schedule.repeat, zone, after))


def upcoming(schedule: ScheduleConfig, zone: tzinfo, after: datetime) -> Iterator[Run]:
    """Give the runs later than `after` (UTC), in their order."""
    number = number_after(schedule.start, schedule.repeat, zone, after)
    while (run := _run(schedule, zone, number)) is not None:
        yield run
        number += 1


def _run(schedule: ScheduleConfig, zone: tzinfo, number: int) -> Run | None:
    wall = occurrence(schedule.start, schedule.repeat, number)
    if wall is None:
        return None
    try:
        return Run(instant(wall, zone), wall)
    except OverflowError:
        return None


# What is remembered, and what is due


@dataclass(frozen=True, slots=True)
class Missed:
    """Runs that did not happen when they should have."""

    count: int
    first: datetime
    """Local time of the first."""
    last: datetime
    made_up: bool
    """Whether the last of them is run now."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a schedule."""

    rule: str
    """Start and repetition; with another rule it is another schedule."""
    until: datetime
    """Every run up to here (UTC) is dealt with."""
    done: tuple[str, ...] = ()
    """Local times of the last runs that happened."""
    untold: Missed | None = None
    """What the event log has not been told yet."""

    def dump(self) -> str:
        """Write it as a text."""
        untold = self.untold
        return orjson.dumps(
            {
                "rule": self.rule,
                "until": self.until.isoformat(),
                "done": self.done,
                "untold": untold and [untold.count, untold.first.isoformat(), untold.last.isoformat(), untold.made_up],
            }
        ).decode()

    @classmethod
    def load(cls, text: str) -> Memory:
        """Read it; raises ValueError when it is none."""
        try:
            found = orjson.loads(text)
            untold = found["untold"]
            return cls(
                str(found["rule"]),
                datetime.fromisoformat(found["until"]).astimezone(UTC),
                tuple(str(one) for one in found["done"]),
                untold
                and Missed(
                    int(untold[0]),
                    datetime.fromisoformat(untold[1]),
                    datetime.fromisoformat(untold[2]),
                    bool(untold[3]),
                ),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"this is no memory of a schedule: {text:.80}") from error


def rule_of(schedule: ScheduleConfig, zone: tzinfo) -> str:
    """Return what makes a schedule this one: when its runs are."""
    return f"{schedule.start.isoformat()} {schedule.repeat} {zone}"


def begin(schedule: ScheduleConfig, zone: tzinfo, now: datetime) -> Memory:
    """Begin to remember a schedule: what lies before now was not missed."""
    return Memory(rule_of(schedule, zone), now)


def decide(schedule: ScheduleConfig, zone: tzinfo, memory: Memory, now: datetime) -> tuple[Run | None, Memory]:
    """Tell which run is to be done now, if any, and what is to be remembered from now on.

    Of runs that were missed the last one is made up for if the schedule says so: a test that was due on each of the
    ten days that the bridge was off is done once. What has happened once does not happen again, wherever the clock is
    set to.
    """
    if now < memory.until:
        # The clock was set back. What lies between is still to come, except for what was done already.
        return None, replace(memory, until=now)
    first = number_after(schedule.start, schedule.repeat, zone, memory.until)
    end = number_after(schedule.start, schedule.repeat, zone, now)
    due = [run for number in range(max(first, end - REMEMBERED), end) if (run := _run(schedule, zone, number))]
    due = [run for run in due if _name(run) not in memory.done]
    if not due:
        return None, memory
    older = max(0, end - REMEMBERED - first)
    last = due[-1]
    punctual = now - last.at <= PUNCTUAL
    runs = punctual or schedule.late
    missed = due[:-1] if punctual else due
    untold = memory.untold
    if missed or older:
        oldest = occurrence(schedule.start, schedule.repeat, first) if older else missed[0].wall
        assert oldest is not None
        newest = missed[-1].wall if missed else oldest
        count = len(missed) + older
        if untold is not None:
            # The event log could not be written since: tell all of it at once.
            count, oldest = count + untold.count, min(oldest, untold.first)
        untold = Missed(count, oldest, newest, made_up=runs and not punctual)
    done = (*memory.done, _name(last))[-REMEMBERED:] if runs else memory.done
    return (last if runs else None), replace(memory, until=now, done=done, untold=untold)


def _name(run: Run) -> str:
    return run.wall.isoformat()


def step_key(schedule: ScheduleConfig, run: Run) -> str:
    """Return the key of the step of a run, the same whenever it is worked out."""
    return f"schedule:{schedule.key}/{_name(run)}"


def told(memory: Memory) -> Memory:
    """Remember that the event log knows."""
    return replace(memory, untold=None)


__all__ = [
    "PUNCTUAL",
    "REMEMBERED",
    "Memory",
    "Missed",
    "Run",
    "begin",
    "decide",
    "instant",
    "next_run",
    "number_after",
    "occurrence",
    "rule_of",
    "step_key",
    "told",
    "upcoming",
]
