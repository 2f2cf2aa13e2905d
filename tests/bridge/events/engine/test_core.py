"""When jobs are due (manual M:2702), and what short returns of power do to them (M:3170)."""

import json

import pytest

from ridethrough.catalogue import Severity
from ridethrough.config.actions import WakeOnLanAction
from ridethrough.config.jobs import Cause, Edge, JobConfig, JobsConfig, Timing, When
from ridethrough.events.engine import Engine, Subject
from ridethrough.site import DeviceId

from .models import ACT, INFORM, START, SUBJECT, Bench, edge, job


def bench(*jobs: JobConfig, window: float = 120.0) -> Bench:
    return Bench(JobsConfig(jobs=jobs, outage_window=window))


# Events that the journal had not heard of


def told_of_before_the_journal_was(site: Bench) -> None:
    """Raise an event that has no number yet, as where the journal takes its time."""
    site.engine.happen(edge(0, site.now, raised=True), SUBJECT, site.now)
    site.collect()


def test_what_was_done_for_an_event_that_the_journal_never_heard_of_is_marked_when_it_comes_again() -> None:
    site = bench(job("script", Timing.AT_ONCE, action=ACT), job("notice", Timing.AFTER, 300, action=ACT))
    told_of_before_the_journal_was(site)
    assert site.retries == []
    # The bridge is killed; whoever raised it raises it again, and it may be the same or another.
    site.restart(after=10)
    site.condition("on_battery", raised=True)
    site.wait(3600)
    assert site.times("script") == [0, 10]
    assert site.retries == ["job:script/1/1"], "what had not been done yet is done for the first time"


def test_mark_of_a_doubtful_event_outlasts_another_restart() -> None:
    site = bench(job("script", Timing.AFTER, 60, action=ACT))
    told_of_before_the_journal_was(site)
    site.wait(60)
    site.restart(after=10)
    site.condition("on_battery", raised=True)
    site.restart(after=10)
    site.wait(3600)
    assert site.retries == ["job:script/1/1"]


def test_doubt_ends_with_the_event() -> None:
    site = bench(job("script", Timing.AT_ONCE, action=ACT))
    told_of_before_the_journal_was(site)
    site.restart(after=10)
    site.condition("on_battery", raised=False)
    site.condition("on_battery", raised=True)
    assert site.times("script") == [0, 10]
    assert site.retries == []


# The five timings


def test_job_is_done_at_once_and_once() -> None:
    site = bench(job("mail", Timing.AT_ONCE))
    site.power(on=False)
    site.wait(3600)
    site.power(on=True)
    site.power(on=False)
    assert site.times("mail") == [0, 3600]
    assert site.keys == ["job:mail/1/1", "job:mail/3/1"]


def test_job_is_done_after_its_delay() -> None:
    site = bench(job("notice", Timing.AFTER, 300))
    site.power(on=False)
    assert site.engine.next_due() == START + 300
    site.wait(3600)
    assert site.times("notice") == [300]
    assert site.engine.next_due() is None


def test_job_is_dropped_when_power_returns_before_its_delay() -> None:
    site = bench(job("notice", Timing.AFTER, 300))
    site.power(on=False)
    site.wait(299)
    site.power(on=True)
    site.wait(3600)
    assert site.dues == []
    assert not [key for key in site.memory if "/event/" in key]


def test_job_is_repeated_until_the_event_ends() -> None:
    site = bench(job("mail", Timing.EVERY, 300))
    site.power(on=False)
    site.wait(700)
    site.power(on=True)
    site.wait(3600)
    assert site.times("mail") == [0, 300, 600]
    assert site.keys == ["job:mail/1/1", "job:mail/1/2", "job:mail/1/3"]


def test_repetitions_that_were_missed_are_not_made_up_for() -> None:
    site = bench(job("mail", Timing.EVERY, 30))
    site.power(on=False)
    site.restart(after=100)
    site.wait(35)
    assert site.times("mail") == [0, 100, 120]


def test_shutdown_comes_after_its_time_on_battery() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 480, action=ACT))
    site.power(on=False)
    site.wait(3600)
    assert site.times("shutdown") == [480]


def test_shutdown_is_repeated_from_its_time_on_battery_until_power_returns() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 480, action=ACT, repeat=30))
    site.power(on=False)
    site.wait(545)
    assert site.times("shutdown") == [480, 510, 540]
    site.power(on=True)
    site.wait(60)
    site.power(on=False)
    site.wait(35)
    assert site.times("shutdown")[3:] == [605, 635], "the outage goes on, and so does what was to be repeated"
    assert len(set(site.keys)) == len(site.keys)


def test_repetition_goes_on_after_a_restart_and_makes_nothing_up() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 480, action=ACT, repeat=30))
    site.power(on=False)
    site.wait(485)
    site.restart(after=10)
    site.ups(on_battery=True)
    site.wait(20)
    site.restart(after=100)
    site.ups(on_battery=True)
    site.wait(35)
    assert site.times("shutdown") == [480, 510, 615, 645]


def test_what_tells_people_is_repeated_on_battery_too() -> None:
    site = bench(job("mail", Timing.REMAINING, 1800, repeat=60))
    site.power(on=False, runtime=1700)
    site.wait(30)
    site.power(on=True, runtime=1700)
    site.wait(30)
    site.power(on=False, runtime=1690)
    site.wait(65)
    assert site.times("mail") == [0, 120], "not at once in the same outage, but a minute later"
    site.ups(on_battery=True, runtime=2000)
    site.wait(600)
    assert len(site.times("mail")) == 2, "not while there is more runtime than that"


def test_job_is_done_when_the_runtime_is_reached_or_undershot() -> None:
    site = bench(job("exactly", Timing.REMAINING, 1800), job("below", Timing.REMAINING, 1000))
    site.power(on=False, runtime=3600)
    for runtime in (2000, 1800, 500, 400):
        site.wait(60)
        site.ups(on_battery=True, runtime=runtime)
    assert site.dues == [(120, "exactly"), (180, "below")]


def test_unknown_runtime_never_fires_and_fires_when_it_becomes_known() -> None:
    site = bench(job("shutdown", Timing.REMAINING, 1800, action=ACT))
    site.power(on=False)
    site.wait(3600)
    assert site.dues == []
    site.ups(on_battery=True, runtime=100)
    assert site.times("shutdown") == [3600]


def test_low_runtime_on_mains_fires_nothing_until_power_fails() -> None:
    site = bench(job("shutdown", Timing.REMAINING, 1800, action=ACT))
    site.ups(on_battery=False, runtime=900)
    site.wait(60)
    assert site.dues == []
    site.power(on=False, runtime=900)
    assert site.times("shutdown") == [60]


# Short returns of power


def test_short_outages_add_up_as_the_case_study_demands() -> None:
    site = bench(job("warn", Timing.ON_BATTERY, 300), job("shutdown", Timing.ON_BATTERY, 480, action=ACT))
    for _ in range(3):
        site.power(on=False)
        site.wait(200)
        site.power(on=True)
        site.wait(60)
    assert site.times("warn") == [260 + 100]
    assert site.times("shutdown") == [520 + 80]


def test_counter_is_0_after_power_has_been_back_for_the_window() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 480, action=ACT))
    site.power(on=False)
    site.wait(400)
    site.power(on=True)
    site.wait(120)
    assert not [key for key in site.memory if "/outage/" in key]
    site.power(on=False)
    site.wait(1000)
    assert site.times("shutdown") == [400 + 120 + 480]


def test_machine_that_was_woken_in_a_short_return_is_shut_down_again_but_told_once() -> None:
    site = bench(job("tell", Timing.ON_BATTERY, 300), job("shutdown", Timing.ON_BATTERY, 300, action=ACT))
    site.power(on=False)
    site.wait(400)
    site.power(on=True)
    site.wait(60)
    site.power(on=False)
    site.wait(400)
    assert site.times("tell") == [300]
    assert site.times("shutdown") == [300, 460]
    assert len(set(site.keys)) == 3


def test_next_outage_informs_and_acts_again_while_a_threshold_has_not_cleared() -> None:
    site = bench(
        job("tell", Timing.ON_BATTERY, 60, condition="battery_low"),
        job("shutdown", Timing.ON_BATTERY, 60, condition="battery_low", action=ACT),
    )
    site.condition("battery_low", raised=True)
    for _ in range(2):
        site.power(on=False)
        site.wait(100)
        site.power(on=True)
        site.wait(200)
    assert site.times("tell") == site.times("shutdown") == [60, 360]


def test_job_on_battery_needs_its_event_as_well() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 60, condition="battery_low", action=ACT))
    site.power(on=False)
    site.wait(600)
    assert site.dues == []
    site.condition("battery_low", raised=True)
    assert site.times("shutdown") == [600]


def test_cable_that_falls_out_in_an_outage_does_not_stop_the_counter() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 480, action=ACT))
    site.power(on=False)
    site.wait(60)
    site.ups(on_battery=None)
    site.wait(600)
    assert site.times("shutdown") == [480]


def test_flapping_leaves_nothing_behind() -> None:
    site = bench(*(job(f"job {n}", Timing.ON_BATTERY, 1e6, action=ACT) for n in range(10)))
    for _ in range(2000):
        site.power(on=False)
        site.wait(0.5)
        site.power(on=True)
        site.wait(0.5)
    assert len(site.engine._heap) < 50
    assert len(site.engine._by_ups) == 0
    assert len(site.memory) <= 1


# Counter events


def test_machines_are_woken_some_time_after_power_has_returned() -> None:
    wake = WakeOnLanAction(macs=("00:11:22:33:44:55",))
    site = bench(
        job("all clear", Timing.AT_ONCE, on=Edge.CLEARED), job("wake", Timing.AFTER, 900, on=Edge.CLEARED, action=wake)
    )
    site.power(on=False)
    site.wait(60)
    site.power(on=True)
    site.wait(600)
    site.power(on=False)
    site.wait(60)
    site.power(on=True)
    site.wait(2000)
    assert site.times("all clear") == [60, 720]
    assert site.times("wake") == [720 + 900]
    assert not [key for key in site.memory if "/event/" in key]


# Causes


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("ups-1", "ups-1", True),
        ("ups-1", "ups-1/outlet-2", False),
        ("*", "ups-1/outlet-2", True),
        ("ups-1/*", "ups-1/outlet-2", True),
        ("ups-1/*", "ups-1", False),
        ("ups-1/*", "ups-10/outlet-2", False),
        ("ups-1/*", "ups-1/a/b", True),
        ("ups-1/outlet-*", "ups-1/outlet-2", True),
        ("ups-1/outlet-*", "ups-1/battery_module-2", False),
        ("ups-1/outlet-*", "ups-1/outlet-2/a", False),
        ("ups-1/a/*", "ups-1/a/b", True),
    ],
)
def test_devices_are_named_by_patterns(pattern: str, key: str, matches: bool) -> None:
    engine = Engine(JobsConfig(jobs=(job("x", Timing.AT_ONCE, device=pattern),)))
    engine.happen(edge(1, START, raised=True), Subject(key), START)
    assert bool(engine.take()[0]) is matches


def test_device_that_belongs_to_another_of_another_name_is_below_it() -> None:
    engine = Engine(JobsConfig(jobs=(job("x", Timing.AT_ONCE, device="ups-1/*"),)))
    engine.happen(edge(1, START, raised=True), Subject("cellar", ("ups-1",)), START)
    assert len(engine.take()[0]) == 1


@pytest.mark.parametrize(("severity", "matches"), [(Severity.INFO, 0), (Severity.WARNING, 1), (Severity.ALARM, 1)])
def test_any_condition_is_any_warning_or_alarm(severity: Severity, matches: int) -> None:
    engine = Engine(JobsConfig(jobs=(job("x", Timing.AT_ONCE, condition="*"),)))
    event = edge(1, START, raised=True)
    engine.happen(type(event)(event.at, event.kind, event.device, "x", event.edge, severity, seq=1), SUBJECT, START)
    assert len(engine.take()[0]) == matches


def test_event_that_a_job_has_for_several_reasons_is_one_reason() -> None:
    causes = (Cause(("ups-1", "*"), ("on_battery", "*")), Cause(("*",), ("on_battery",)))
    engine = Engine(JobsConfig(jobs=(JobConfig("x", "x", causes, INFORM, When()),)))
    engine.happen(edge(1, START, raised=True), SUBJECT, START)
    assert len(engine.take()[0]) == 1


def test_job_goes_by_the_ups_that_it_names() -> None:
    site = bench(job("shutdown", Timing.ON_BATTERY, 60, action=ACT, ups="ups-2"))
    site.power(on=False)
    site.wait(100)
    assert site.dues == []
    site.engine.see("ups-2", site.now, on_battery=True, runtime=None)
    site.wait(100)
    assert site.times("shutdown") == [160]


def test_job_without_a_ups_never_goes_by_one() -> None:
    engine = Engine(JobsConfig(jobs=(job("x", Timing.ON_BATTERY, 0, device="*"),)))
    engine.happen(edge(1, START, raised=True), Subject("agent-1"), START)
    assert engine.take()[0] == []
    assert engine.next_due() is None


def test_job_that_is_switched_off_is_none() -> None:
    off = job("x", Timing.AT_ONCE)
    site = bench(JobConfig(off.key, off.name, off.causes, off.action, off.when, enabled=False))
    site.power(on=False)
    assert site.dues == []


# Restarts


@pytest.mark.parametrize("timing", list(Timing))
def test_restart_forgets_and_doubles_nothing(timing: Timing) -> None:
    def run(*restarts: float) -> list[tuple[float, str]]:
        site = bench(job("x", timing, 480, action=ACT))
        site.power(on=False, runtime=400)
        for second in range(600):
            if second in restarts:
                site.restart()
            site.wait(1)
        return site.dues

    assert run() == run(0, 1, 100, 479, 480, 481, 599)
    assert run()


def test_what_became_due_while_the_bridge_was_killed_is_done_when_it_is_back() -> None:
    site = bench(job("x", Timing.AFTER, 30), job("y", Timing.ON_BATTERY, 40, action=ACT))
    site.power(on=False)
    site.restart(after=60)
    assert sorted(site.dues) == [(60, "x"), (60, "y")]


def test_bridge_that_was_away_for_hours_acts_upon_nothing_that_nobody_confirms() -> None:
    site = bench(
        job("after", Timing.AFTER, 480, action=ACT),
        job("every", Timing.EVERY, 600),
        job("counter", Timing.ON_BATTERY, 480, action=ACT),
    )
    site.power(on=False)
    site.restart(after=7200, away=True)
    site.wait(100)
    assert site.dues == [(0, "every")]
    (place,) = site.engine.unconfirmed
    assert not site.engine.confirmed(site.raised["on_battery"])
    # Still on battery after all.
    site.engine.confirm(place, site.now)
    site.engine.confirm(place, site.now)
    site.ups(on_battery=True)
    site.wait(0)
    assert sorted(site.dues[1:]) == [(7300, "after"), (7300, "counter"), (7300, "every")]


def test_power_that_returned_while_the_bridge_was_away_ends_the_outage() -> None:
    site = bench(job("after", Timing.AFTER, 480, action=ACT), job("counter", Timing.ON_BATTERY, 480, action=ACT))
    site.power(on=False)
    site.wait(400)
    site.restart(after=7200, away=True)
    site.power(on=True)
    site.wait(30)
    site.power(on=False)
    site.wait(479)
    assert site.dues == []
    site.wait(1)
    assert sorted(site.dues) == [(8110, "after"), (8110, "counter")]


def test_memory_that_cannot_be_read_is_forgotten_and_said(caplog: pytest.LogCaptureFixture) -> None:
    site = bench(job("x", Timing.AFTER, 30))
    site.power(on=False)
    assert len(site.memory) == 2
    site.memory = dict.fromkeys(site.memory, "{") | {"engine/outage/ups-2": json.dumps({"began": "?"}), "engine/x": ""}
    site.restart()
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 3
    assert "engine/outage/ups-2" not in site.memory
    site.wait(60)
    assert site.times("x") == [30]


# Other configurations


def test_job_that_is_new_counts_from_the_beginning_of_the_event_but_does_not_begin_it() -> None:
    site = bench(job("old", Timing.AFTER, 1000))
    site.power(on=False)
    site.wait(100)
    jobs = (
        job("old", Timing.AFTER, 1000),
        job("at once", Timing.AT_ONCE),
        job("after", Timing.AFTER, 200),
        job("past", Timing.AFTER, 50),
        job("every", Timing.EVERY, 70),
        job("counter", Timing.AFTER, 0, on=Edge.CLEARED),
    )
    config = JobsConfig(jobs=jobs)
    assert site.engine.configure(config, [(site.raised["on_battery"], SUBJECT, START)], site.now) == []
    site.collect()
    site.wait(150)
    assert site.dues == [(100, "past"), (140, "every"), (200, "after"), (210, "every")]


def test_job_that_is_gone_is_dropped_and_said() -> None:
    site = bench(job("gone", Timing.AFTER, 200), job("done", Timing.AT_ONCE), job("kept", Timing.AFTER, 200))
    site.power(on=False)
    raised = [(site.raised["on_battery"], SUBJECT, START)]
    config = JobsConfig(jobs=(job("kept", Timing.AFTER, 300),))
    assert site.engine.configure(config, raised, site.now) == ["gone"]
    site.wait(1000)
    assert site.dues == [(0, "done"), (300, "kept")]


def test_event_that_ended_unheard_is_ended_when_the_bridge_starts() -> None:
    site = bench(job("x", Timing.AFTER, 100))
    site.power(on=False)
    site.raised.clear()
    site.restart(after=10)
    site.wait(1000)
    assert site.dues == []


def test_event_that_began_unheard_counts_from_its_beginning() -> None:
    site = bench(job("x", Timing.AFTER, 100), job("y", Timing.AT_ONCE))
    site.raised["on_battery"] = edge(7, START - 50, raised=True)
    site.restart()
    site.wait(1000)
    assert site.dues == [(50, "x")]


# Cost


class Counted(dict[tuple[Edge, str, str], dict[str, JobConfig]]):
    """Counts how often it is asked."""

    asked = 0

    def get(self, key: tuple[Edge, str, str], default: object = None) -> dict[str, JobConfig]:
        self.asked += 1
        return super().get(key, {})


def test_event_costs_what_it_has_and_not_what_there_is() -> None:
    jobs = [
        JobConfig(f"{number}-{one}", "x", (Cause(("*",), (f"condition_{number}",)),), INFORM, When(Timing.AFTER, 1000))
        for number in range(200)
        for one in range(50)
    ]
    engine = Engine(JobsConfig(jobs=tuple(jobs)))
    counted = engine._causes._found = Counted(engine._causes._found)
    for number in range(1000):
        subject = Subject(f"ups-{number}", (), f"ups-{number}")
        engine.happen(
            edge(number + 1, START, raised=True, key="condition_7", device=DeviceId(f"{number}")), subject, START
        )
    assert counted.asked == 1000 * 4
    assert len(engine._heap) == 1000 * 50


def test_condition_that_flaps_for_long_fills_nothing() -> None:
    site = bench(*(job(f"job {n}", Timing.AFTER, 1e6) for n in range(50)))
    for _ in range(200):
        site.power(on=False)
        site.power(on=True)
    assert len(site.engine._heap) < 1200
    site.wait(1)
    assert site.dues == []
