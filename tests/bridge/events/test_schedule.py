"""The calendar of scheduled jobs: local time over daylight saving, months of all lengths, and missed runs."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.config.actions import LogAction
from ridethrough.config.jobs import Repeat, ScheduleConfig
from ridethrough.events.schedule import (
    PUNCTUAL,
    Memory,
    Missed,
    Run,
    begin,
    decide,
    instant,
    next_run,
    number_after,
    occurrence,
    step_key,
    told,
    upcoming,
)

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def scheduled(start: str, repeat: Repeat = Repeat.DAILY, *, late: bool = False) -> ScheduleConfig:
    return ScheduleConfig("test", "Test", datetime.fromisoformat(start), repeat, LogAction(text="x"), late=late)


# Local time

INSTANTS = {
    "berlin_winter": ("Europe/Berlin", "2026-01-10 02:30", "2026-01-10 01:30"),
    "berlin_summer": ("Europe/Berlin", "2026-07-10 02:30", "2026-07-10 00:30"),
    "berlin_last_second_before_the_gap": ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59"),
    "berlin_begin_of_the_gap": ("Europe/Berlin", "2026-03-29 02:00", "2026-03-29 01:00"),
    "berlin_in_the_gap": ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00"),
    "berlin_after_the_gap": ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00"),
    "berlin_before_the_hour_that_comes_twice": ("Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24 23:59:59"),
    "berlin_first_of_two": ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
    "berlin_after_both": ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00"),
    "new_york_in_the_gap": ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:00"),
    "new_york_after_the_gap": ("America/New_York", "2026-03-08 03:30", "2026-03-08 07:30"),
    "new_york_first_of_two": ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),
    "new_york_after_both": ("America/New_York", "2026-11-01 02:00", "2026-11-01 07:00"),
    "lord_howe_in_the_half_hour_gap": ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),
    "lord_howe_after_the_gap": ("Australia/Lord_Howe", "2026-10-04 02:30", "2026-10-03 15:30"),
    "lord_howe_first_of_two": ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
    "lord_howe_after_both": ("Australia/Lord_Howe", "2026-04-05 02:00", "2026-04-04 15:30"),
    "apia_a_day_that_was_not": ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),
    "utc": ("UTC", "2026-03-29 02:30", "2026-03-29 02:30"),
}


@pytest.mark.parametrize(("zone", "wall", "expected"), INSTANTS.values(), ids=INSTANTS)
def test_when_a_local_time_is(zone: str, wall: str, expected: str) -> None:
    assert instant(datetime.fromisoformat(wall), ZoneInfo(zone)) == utc(expected)


NEXT = {
    "once_to_come": ("2026-05-01 03:00", Repeat.ONCE, "2026-04-30 00:00", "2026-05-01 01:00"),
    "once_at_its_moment": ("2026-05-01 03:00", Repeat.ONCE, "2026-05-01 01:00", None),
    "once_over": ("2026-05-01 03:00", Repeat.ONCE, "2026-06-01 00:00", None),
    "daily_not_begun": ("2026-05-01 03:00", Repeat.DAILY, "2020-01-01 00:00", "2026-05-01 01:00"),
    "daily_next_day": ("2026-05-01 03:00", Repeat.DAILY, "2026-05-03 01:00", "2026-05-04 01:00"),
    "daily_over_the_spring": ("2026-01-01 03:30", Repeat.DAILY, "2026-03-28 12:00", "2026-03-29 01:30"),
    "daily_in_the_gap": ("2026-01-01 02:30", Repeat.DAILY, "2026-03-28 12:00", "2026-03-29 01:00"),
    "daily_after_the_gap": ("2026-01-01 02:30", Repeat.DAILY, "2026-03-29 01:00", "2026-03-30 00:30"),
    "daily_first_of_two": ("2026-01-01 02:30", Repeat.DAILY, "2026-10-24 12:00", "2026-10-25 00:30"),
    "daily_not_the_second_of_two": ("2026-01-01 02:30", Repeat.DAILY, "2026-10-25 00:30", "2026-10-26 01:30"),
    "weekly": ("2026-11-22 03:00", Repeat.WEEKLY, "2026-11-22 02:00", "2026-11-29 02:00"),
    "weekly_over_the_autumn": ("2026-10-18 03:00", Repeat.WEEKLY, "2026-10-18 01:00", "2026-10-25 02:00"),
    "monthly": ("2026-01-15 12:00", Repeat.MONTHLY, "2026-06-15 10:00", "2026-07-15 10:00"),
    "monthly_on_the_31st_in_february": ("2026-01-31 12:00", Repeat.MONTHLY, "2026-02-01 00:00", "2026-02-28 11:00"),
    "monthly_on_the_31st_in_a_leap_year": ("2027-01-31 12:00", Repeat.MONTHLY, "2028-02-01 00:00", "2028-02-29 11:00"),
    "monthly_on_the_31st_in_march_again": ("2026-01-31 12:00", Repeat.MONTHLY, "2026-03-01 00:00", "2026-03-31 10:00"),
    "monthly_on_the_31st_in_april": ("2026-01-31 12:00", Repeat.MONTHLY, "2026-04-01 00:00", "2026-04-30 10:00"),
    "monthly_over_the_year": ("2026-12-31 12:00", Repeat.MONTHLY, "2026-12-31 12:00", "2027-01-31 11:00"),
}


@pytest.mark.parametrize(("start", "repeat", "after", "expected"), NEXT.values(), ids=NEXT)
def test_next_run(start: str, repeat: Repeat, after: str, expected: str | None) -> None:
    found = next_run(scheduled(start, repeat), BERLIN, utc(after))
    assert (found and found.at) == (expected and utc(expected))


def test_a_year_of_nights_at_half_past_two_is_a_run_each_day() -> None:
    runs = list(islice(upcoming(scheduled("2026-01-01 02:30"), BERLIN, utc("2025-12-31 00:00")), 365))
    assert [run.wall.date() for run in runs] == [
        datetime(2026, 1, 1).date() + timedelta(days=number) for number in range(365)
    ]
    gaps = {late.at - early.at for early, late in pairwise(runs)}
    hour, half = timedelta(hours=1), timedelta(minutes=30)
    assert gaps == {24 * hour, 23 * hour + half, 25 * hour, 24 * hour - half}


def test_the_end_of_the_calendar_is_no_run() -> None:
    schedule = scheduled("9999-12-31 03:00")
    assert occurrence(schedule.start, Repeat.DAILY, 1) is None
    assert occurrence(schedule.start, Repeat.MONTHLY, 1) is None
    assert occurrence(schedule.start, Repeat.DAILY, -1) is None
    assert next_run(schedule, UTC, utc("9999-12-31 23:00")) is None


ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "Africa/Casablanca"]
).map(ZoneInfo)
STARTS = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)).map(lambda one: one.replace(microsecond=0))


@given(zone=ZONES, start=STARTS, repeat=st.sampled_from(Repeat), after=STARTS)
@settings(max_examples=300, deadline=None)
def test_the_next_run_is_the_first_one_later(zone: ZoneInfo, start: datetime, repeat: Repeat, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    number = number_after(start, repeat, zone, moment)
    before, found = occurrence(start, repeat, number - 1), occurrence(start, repeat, number)
    if before is not None:
        assert instant(before, zone) <= moment
    if found is None:
        assert repeat is Repeat.ONCE
    else:
        assert instant(found, zone) > moment


@given(zone=ZONES, wall=STARTS)
@settings(max_examples=300, deadline=None)
def test_a_local_time_is_when_a_clock_first_shows_it_or_more(zone: ZoneInfo, wall: datetime) -> None:
    found = instant(wall, zone)
    assert found.astimezone(zone).replace(tzinfo=None) >= wall
    assert (found - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None) < wall


# What is due

NOON = utc("2026-06-01 10:00")
"""Noon in Berlin."""


def at(days: float) -> datetime:
    return NOON + timedelta(days=days)


def test_what_lies_before_a_schedule_was_known_was_not_missed() -> None:
    schedule = scheduled("2020-01-01 03:00", late=True)
    memory = begin(schedule, BERLIN, NOON)
    assert decide(schedule, BERLIN, memory, NOON) == (None, memory)


def test_a_run_is_done_when_it_is_due_and_once() -> None:
    schedule = scheduled("2020-01-01 12:00")
    memory = begin(schedule, BERLIN, at(-0.5))
    assert decide(schedule, BERLIN, memory, NOON - timedelta(seconds=1)) == (None, memory)
    run, memory = decide(schedule, BERLIN, memory, NOON)
    assert run == Run(NOON, datetime(2026, 6, 1, 12))
    assert step_key(schedule, run) == "schedule:test/2026-06-01T12:00:00"
    assert memory.untold is None
    assert decide(schedule, BERLIN, memory, NOON + timedelta(seconds=1)) == (None, memory)


@pytest.mark.parametrize(
    ("lateness", "late", "runs"),
    [(PUNCTUAL, False, True), (PUNCTUAL * 2, False, False), (PUNCTUAL * 2, True, True)],
    ids=["a_minute", "missed", "missed_and_made_up"],
)
def test_a_run_that_was_missed_is_made_up_for_only_if_it_is_wanted(lateness: timedelta, late: bool, runs: bool) -> None:
    schedule = scheduled("2020-01-01 12:00", late=late)
    run, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-0.5)), NOON + lateness)
    assert (run is not None) is runs
    wall = datetime(2026, 6, 1, 12)
    assert memory.untold == (None if lateness <= PUNCTUAL else Missed(1, wall, wall, made_up=late))
    assert decide(schedule, BERLIN, memory, NOON + lateness * 2)[0] is None


def test_of_ten_missed_runs_the_last_is_made_up_for() -> None:
    schedule = scheduled("2020-01-01 12:00", late=True)
    run, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-9.5)), at(0.1))
    assert run is not None
    assert run.wall == datetime(2026, 6, 1, 12)
    assert memory.untold == Missed(10, datetime(2026, 5, 23, 12), datetime(2026, 6, 1, 12), made_up=True)


def test_earlier_runs_are_missed_when_the_last_one_is_on_time() -> None:
    schedule = scheduled("2020-01-01 12:00")
    run, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-2.5)), NOON)
    assert run is not None
    assert memory.untold == Missed(2, datetime(2026, 5, 30, 12), datetime(2026, 5, 31, 12), made_up=False)


def test_years_of_missed_runs_are_counted_not_listed() -> None:
    """A clock that was wrong by ten years, say."""
    schedule = scheduled("2010-01-01 12:00")
    run, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-3650.5)), at(0.1))
    assert run is None
    assert memory.untold is not None
    assert memory.untold.count == 3651


def test_what_was_missed_twice_before_it_could_be_told_is_told_together() -> None:
    schedule = scheduled("2020-01-01 12:00")
    _, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-1.5)), at(-0.5))
    _, memory = decide(schedule, BERLIN, memory, at(0.5))
    assert memory.untold == Missed(2, datetime(2026, 5, 31, 12), datetime(2026, 6, 1, 12), made_up=False)
    assert told(memory).untold is None


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    schedule = scheduled("2020-01-01 12:00")
    run, memory = decide(schedule, BERLIN, begin(schedule, BERLIN, at(-0.5)), NOON)
    assert run is not None
    for back in (0.2, 0.9, 5):
        _, memory = decide(schedule, BERLIN, memory, at(-back))
    run, memory = decide(schedule, BERLIN, memory, at(-4))
    assert run is not None, "it is another day's, which never happened"
    for day in (-3, -2, -1):
        run, memory = decide(schedule, BERLIN, memory, at(day))
        assert run is not None
    run, memory = decide(schedule, BERLIN, memory, NOON)
    assert run is None
    run, memory = decide(schedule, BERLIN, memory, at(1))
    assert run is not None


def test_a_clock_that_was_years_ahead_does_not_stop_the_schedule() -> None:
    schedule = scheduled("2020-01-01 12:00", late=True)
    memory = begin(schedule, BERLIN, at(-0.5))
    run, memory = decide(schedule, BERLIN, memory, at(3650.1))
    assert run is not None, "what was missed is made up for, as far as anybody can tell"
    run, memory = decide(schedule, BERLIN, memory, at(-0.4))
    assert run is None
    run, memory = decide(schedule, BERLIN, memory, NOON)
    assert run is not None
    assert run.at == NOON


def test_memory_survives_being_written() -> None:
    memory = Memory("rule", NOON, ("2026-06-01T12:00:00",), Missed(2, datetime(2026, 5, 1), datetime(2026, 6, 1), True))
    assert Memory.load(memory.dump()) == memory
    assert Memory.load(told(memory).dump()) == told(memory)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rule": 1}', '{"rule":"a","until":"x","done":[],"untold":null}'])
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Memory.load(text)


@given(
    late=st.booleans(),
    repeat=st.sampled_from(Repeat),
    zone=ZONES,
    start=st.datetimes(datetime(2026, 3, 1), datetime(2026, 4, 15)).map(lambda one: one.replace(microsecond=0)),
    moves=st.lists(st.one_of(st.integers(1, 90), st.integers(-200_000, 3_000_000), st.none()), max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_no_run_happens_twice_and_every_one_is_done_or_told_of(
    late: bool, repeat: Repeat, zone: ZoneInfo, start: datetime, moves: list[int | None]
) -> None:
    """Whatever happens to the clock (seconds forwards and back) and to the process (None: it is killed)."""
    schedule = ScheduleConfig("test", "Test", start, repeat, LogAction(text="x"), late=late)
    now = first = utc("2026-03-15 00:00")
    memory = begin(schedule, zone, now)
    done: list[Run] = []
    missed: set[datetime] = set()
    for move in moves:
        if move is None:
            memory = Memory.load(memory.dump())
            continue
        now += timedelta(seconds=move)
        run, memory = decide(schedule, zone, memory, now)
        if run is not None:
            assert run.at <= now
            assert late or now - run.at <= PUNCTUAL
            done.append(run)
        if memory.untold is not None:
            missed |= {one for one in walls(schedule, zone) if memory.untold.first <= one <= memory.untold.last}
            memory = told(memory)
    assert len({run.wall for run in done}) == len(done)
    if min([0, *(move or 0 for move in moves)]) == 0:
        due = {run.wall for run in upcoming_until(schedule, zone, first, now)}
        assert {run.wall for run in done} <= due
        assert due <= {run.wall for run in done} | missed


def walls(schedule: ScheduleConfig, zone: ZoneInfo) -> list[datetime]:
    return [run.wall for run in upcoming_until(schedule, zone, utc("2025-01-01 00:00"), utc("2033-01-01 00:00"))]


def upcoming_until(schedule: ScheduleConfig, zone: ZoneInfo, after: datetime, until: datetime) -> list[Run]:
    found = []
    for run in upcoming(schedule, zone, after):
        if run.at > until:
            break
        found.append(run)
    return found
