"""Plans in a site: their devices, their commands, what is remembered, and what the journal is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ridethrough.clock import ManualClock, settle
from ridethrough.config.actions import CommandAction, LogAction
from ridethrough.config.agents import AgentConfig
from ridethrough.config.plans import MemberConfig, PlanConfig
from ridethrough.events import Event, JournalError
from ridethrough.events.plans import keeper, machine
from ridethrough.events.steps import Step, StepState
from ridethrough.site import CommandError, DeviceId

from .site import Book, Hall
from .world import agents, plan, stage

PLAN = replace(
    plan(
        stage("clients", agents("c1", "c2", timeout=None), trigger={"on_battery": 60.0}),
        stage("storage", agents("s1", timeout=None), ("clients",), trigger={"charge": 20.0}),
        stable=30.0,
    ),
    allow=frozenset({"plan"}),
)
COMPUTERS = [AgentConfig(key, key, "127.0.0.1", shutdown_time=90.0, start_time=120.0) for key in ("c1", "c2", "s1")]
DEVICE = "bridge/plan-main"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def hall(clock: ManualClock, book: Book, tmp_path: Path) -> AsyncIterator[Hall]:
    hall = Hall(clock, book, tmp_path, ("c1", "c2", "s1"))
    await hall.start(PLAN, computers=COMPUTERS)
    yield hall
    await hall.stop()


def report_in(folder: Path, suffix: str) -> Path:
    """Return the one report of a drill."""
    (file,) = folder.glob(f"*.{suffix}")
    return file


def reports_in(folder: Path) -> list[Path]:
    """Return all reports of drills."""
    return list(folder.iterdir())


async def refuse(event: Event) -> Event:
    """Refuse to write an event."""
    raise JournalError("The disk is full.")


async def again(hall: Hall, tmp_path: Path, *plans: PlanConfig) -> Hall:
    """Kill the bridge and start it again; the computers are as they were."""
    await hall.stop()
    after = Hall(hall.clock, hall.book, tmp_path, hall.agents)
    for key in hall.agents:
        state = str(hall.point(key, "agent.state"))
        after.agents[key].post({"agent.state": state})
        if state == "shutting_down" or key in hall.booting:
            after.change(key, "shutdown" if state == "shutting_down" else "start")
    if hall.holds("ups-1", "on_battery"):
        after.battery(charge=float(str(hall.point("ups-1", "battery.charge"))))
    await after.start(*plans or (PLAN,), computers=COMPUTERS)
    return after


async def test_plan_and_its_stages_are_devices(hall: Hall) -> None:
    device = hall.site.devices[DeviceId(DEVICE)]
    assert (device.kind, device.name, device.parent) == ("plan", "Main", "bridge")
    assert hall.site.devices[DeviceId(f"{DEVICE}/clients")].parent == device.id
    assert hall.point(DEVICE, "plan.state") == "idle"
    assert hall.point(DEVICE, "plan.needed") == 180.0, "90 s for each of two stages, as the agents have it"
    assert hall.point(DEVICE, "plan.margin") == 3600.0 * 0.2 - 180.0, "at 20 % of charge"
    assert hall.point(f"{DEVICE}/clients", "stage.members") == "c1, c2"
    assert not hall.holds(DEVICE, "plan_armed")
    assert not hall.site.rejected


async def test_plan_that_is_not_armed_only_tells(hall: Hall, book: Book) -> None:
    hall.battery()
    await hall.pass_time(120.0)
    assert hall.verbs() == []
    assert book.told() == ["plan_would_have"]
    assert hall.point(DEVICE, "plan.state") == "waiting"


async def test_armed_plan_shuts_down_and_starts_again(hall: Hall, book: Book) -> None:
    await hall.order("main", "plan.arm")
    assert hall.holds(DEVICE, "plan_armed")
    hall.battery()
    await hall.pass_time(30.0)
    assert hall.point(DEVICE, "plan.state") == "waiting"
    assert hall.point(DEVICE, "plan.next") == pytest.approx(30.0, abs=6.0)
    await hall.pass_time(35.0)
    assert hall.point(DEVICE, "plan.stage") == "Clients"
    assert hall.holds(DEVICE, "plan_running")
    hall.battery(charge=20.0)
    await hall.pass_time(60.0)
    assert hall.verbs() == ["shutdown c1,c2", "shutdown s1"]
    assert hall.point(DEVICE, "plan.state") == "down"
    assert hall.point(f"{DEVICE}/clients", "stage.duration") == pytest.approx(20.0, abs=2.0)
    hall.mains(charge=50.0)
    await hall.pass_time(120.0)
    assert hall.verbs()[2:] == ["start s1", "start c1,c2"]
    assert hall.states() == {"up"}
    assert hall.point(DEVICE, "plan.state") == "idle"
    assert book.told() == [
        "plan_armed",
        "plan_started",
        "plan_stage clients running",
        "plan_stage clients done",
        "plan_stage storage running",
        "plan_stage storage done",
        "plan_down",
        "plan_aborted",
        "plan_restarting",
        "plan_stage storage starting",
        "plan_stage storage started",
        "plan_stage clients starting",
        "plan_stage clients started",
        "plan_restarted",
    ]


@pytest.mark.parametrize("moment", [0, 1, 10, 22, 35, 60, 100])
async def test_killed_bridge_goes_on_where_it_was(hall: Hall, book: Book, tmp_path: Path, moment: int) -> None:
    await hall.order("main", "plan.arm")
    hall.battery(charge=20.0)
    await hall.pass_time(float(moment))
    hall = await again(hall, tmp_path)
    await hall.pass_time(120.0, step=4.0)
    assert hall.states() == {"down"}
    hall.mains(charge=50.0)
    await hall.pass_time(float(moment))
    hall = await again(hall, tmp_path)
    hall.mains(charge=50.0)
    await hall.pass_time(200.0, step=4.0)
    assert hall.states() == {"up"}
    assert hall.point(DEVICE, "plan.state") == "idle"
    orders = [step.at for step in book.steps.values() if "/shutdown/" in step.key and "/clients/" in step.key]
    assert all((later - earlier).total_seconds() >= 30.0 for earlier, later in itertools.pairwise(orders))
    await hall.stop()


async def test_order_to_shut_down_from_before_a_long_absence_is_not_carried_out(
    hall: Hall, book: Book, tmp_path: Path
) -> None:
    await hall.order("main", "plan.arm")
    hall.battery()
    await hall.pass_time(61.0)
    (key,) = [key for key in book.steps if "/shutdown/" in key]
    book.steps[key] = replace(book.steps[key], state=StepState.STARTED)
    hall.mains()
    for lane in hall.agents.values():
        lane.post({"agent.state": "up"})
    hall.clock.tick(7200.0)
    hall = await again(hall, tmp_path)
    await hall.pass_time(200.0)
    assert "shutdown c1,c2" not in hall.verbs()
    assert book.steps[key].state is StepState.DROPPED
    assert hall.point(DEVICE, "plan.state") == "idle"
    await hall.stop()


async def test_message_that_was_under_way_is_sent_again(clock: ManualClock, book: Book, tmp_path: Path) -> None:
    telling = replace(PLAN, stages=(stage("tell", trigger={"on_battery": 5.0}, before=(LogAction(text="Out"),)),))
    hall = Hall(clock, book, tmp_path, ())
    await hall.start(telling)
    await hall.order("main", "plan.arm")
    hall.battery()
    await hall.pass_time(10.0)
    (key,) = book.steps
    book.steps[key] = replace(book.steps[key], state=StepState.STARTED)
    hall = await again(hall, tmp_path, telling)
    await hall.pass_time(10.0)
    (step,) = hall.done
    assert step.key == key
    await hall.stop()


async def test_what_could_not_be_written_is_decided_anew(hall: Hall, book: Book) -> None:
    await hall.order("main", "plan.arm")
    await hall.pass_time(1.0)
    book.broken = True
    with pytest.raises(JournalError):
        await hall.order("main", "plan.run")
    assert hall.verbs() == []
    assert hall.point(DEVICE, "plan.state") == "idle"
    book.broken = False
    await hall.order("main", "plan.run")
    assert hall.verbs() == ["shutdown c1,c2"]


async def test_commands_need_their_grant(clock: ManualClock, book: Book, tmp_path: Path) -> None:
    hall = Hall(clock, book, tmp_path, ("c1", "c2", "s1"))
    await hall.start(replace(PLAN, allow=frozenset()))
    with pytest.raises(CommandError) as caught:
        await hall.order("main", "plan.arm")
    assert caught.value.code == "not_granted"
    await hall.stop()


async def test_refusals_say_why(hall: Hall) -> None:
    for command, why in (
        ("plan.run", "is not armed"),
        ("plan.abort", "is not running"),
        ("plan.restart", "nothing to start again"),
    ):
        with pytest.raises(CommandError, match=why) as caught:
            await hall.order("main", command)
        assert caught.value.code == "refused"
    with pytest.raises(CommandError, match="Nothing has been asked"):
        await hall.order("main", "plan.answer", script="tidy")


async def test_person_runs_aborts_and_starts_again(hall: Hall) -> None:
    await hall.order("main", "plan.arm")
    await hall.order("main", "plan.run")
    await hall.pass_time(60.0)
    assert hall.states() == {"down"}
    await hall.order("main", "plan.restart")
    await hall.pass_time(60.0)
    assert hall.states() == {"up"}
    hall.battery()
    await hall.pass_time(62.0)
    await hall.order("main", "plan.abort")
    assert hall.verbs()[-1] == "wakeup c1,c2"
    assert hall.point(DEVICE, "plan.state") == "aborted"
    assert hall.dropped == ["plan:main/clients", "plan:main/storage"]


async def test_disarming_is_remembered(hall: Hall, tmp_path: Path) -> None:
    await hall.order("main", "plan.arm")
    hall = await again(hall, tmp_path)
    assert hall.holds(DEVICE, "plan_armed")
    await hall.order("main", "plan.disarm")
    hall = await again(hall, tmp_path)
    assert not hall.holds(DEVICE, "plan_armed")
    await hall.stop()


async def test_run_ends_as_it_has_begun_when_the_plan_is_changed_or_removed(hall: Hall) -> None:
    await hall.order("main", "plan.arm")
    hall.battery()
    await hall.pass_time(65.0)
    await hall.plans.configure([], COMPUTERS, 120.0)
    await hall.pass_time(60.0)
    hall.battery(charge=20.0)
    await hall.pass_time(60.0)
    assert hall.states() == {"down"}
    hall.mains(charge=50.0)
    await hall.pass_time(200.0)
    assert hall.states() == {"up"}
    assert DeviceId(DEVICE) not in hall.site.devices
    with pytest.raises(CommandError):
        await hall.order("main", "plan.abort")


async def test_stage_that_is_gone_is_taken_out_of_the_site(hall: Hall) -> None:
    await hall.plans.configure([replace(PLAN, stages=PLAN.stages[:1])], COMPUTERS, 120.0)
    assert DeviceId(f"{DEVICE}/storage") not in hall.site.devices
    assert hall.point(DEVICE, "plan.needed") == 90.0


async def test_two_plans_with_one_member_leave_it_to_the_one_that_still_needs_it(
    clock: ManualClock, book: Book, tmp_path: Path
) -> None:
    hall = Hall(clock, book, tmp_path, ("c1",))
    hall.site.put(replace(hall.site.devices[DeviceId("ups-1")], id=DeviceId("ups-2"), key="ups-2"))
    other_ups = hall.site.lane(DeviceId("ups-2"), None)
    one = replace(plan(stage("c", agents("c1"), trigger={"on_battery": 10.0}), stable=30.0), allow=PLAN.allow)
    two = replace(one, key="other", ups=("ups-2",))
    await hall.start(one, two)
    await hall.order("main", "plan.arm")
    await hall.order("other", "plan.arm")
    hall.battery()
    other_ups.post({"battery.charge": 100.0, "battery.runtime": 3600.0}, {"on_battery": True})
    await hall.pass_time(60.0)
    hall.mains()
    await hall.pass_time(120.0)
    assert hall.states() == {"down"}
    other_ups.post(conditions={"on_battery": False})
    await hall.pass_time(120.0)
    assert hall.states() == {"up"}
    await hall.stop()


async def test_plan_that_does_not_fit_says_which_stage_and_by_how_much(hall: Hall) -> None:
    hall.mains(runtime=600.0)
    await hall.pass_time(1.0)
    assert hall.holds(DEVICE, "plan_too_long")
    assert hall.point(DEVICE, "plan.problem") == (
        "Storage begins at 20 % of charge, when 120 s remain; it may take 180 s together with the stages before and "
        "after it: 60 s too long."
    )
    assert hall.point(DEVICE, "plan.margin") == -60.0


async def test_battery_that_was_never_tested_is_said(hall: Hall) -> None:
    hall.ups.post({"ups.test.state": "none"})
    hall.mains(runtime=3601.0)
    await hall.pass_time(1.0)
    assert (
        hall.point(DEVICE, "plan.problem") == "The battery of Rack UPS has never been tested; its runtime may be less."
    )


# Drills


async def test_drill_asks_everyone_and_shuts_nothing_down(hall: Hall, book: Book, tmp_path: Path) -> None:
    await hall.order("main", "plan.drill")
    await hall.pass_time(5.0)
    assert hall.verbs() == ["agent.drill c1", "agent.drill c2", "agent.drill s1"]
    assert all(step.occasion.drill for step in hall.done)
    assert hall.states() == {"up"}
    assert hall.point(DEVICE, "plan.drill.result") == "passed"
    assert book.told("plan_drill_started", "plan_drill_ended") == ["plan_drill_started", "plan_drill_ended"]
    file = report_in(tmp_path, "json")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["verdict"], found["needed"], found["margin"]) == ("passed", 180.0, 540.0)
    assert [member["answer"] for member in found["stages"][0]["members"]] == ["It would shut down."] * 2
    assert "| agent:c1 | 1 min 30 s |" in file.with_suffix(".md").read_text(encoding="utf-8")


async def test_drill_with_a_computer_that_does_not_answer_fails(hall: Hall, tmp_path: Path) -> None:
    hall.silent.add("c2")
    await hall.order("main", "plan.drill")
    await hall.plans.configure([PLAN, replace(PLAN, key="other")], COMPUTERS, 120.0)
    with pytest.raises(CommandError, match="one at a time"):
        await hall.order("other", "plan.drill")
    await hall.pass_time(40.0)
    assert hall.point(DEVICE, "plan.drill.result") == "failed"
    file = report_in(tmp_path, "md")
    assert "c2 does not answer" in file.read_text(encoding="utf-8")


async def test_outage_ends_a_drill_and_the_plan_goes_on_in_earnest(
    clock: ManualClock, book: Book, tmp_path: Path
) -> None:
    hall = Hall(clock, book, tmp_path, ("c1",))
    hanging = replace(plan(stage("c", agents("c1"), trigger={"on_battery": 5.0})), allow=PLAN.allow)
    await hall.start(hanging)
    await hall.order("main", "plan.arm")
    hall._do = lambda step: book.begin(step.key)  # type: ignore[assignment, method-assign, return-value]  # no answer
    await hall.order("main", "plan.drill")
    await hall.pass_time(2.0)
    assert hall.holds(DEVICE, "plan_drilling")
    assert hall.point(DEVICE, "plan.state") == "drill"
    hall.battery()
    await hall.pass_time(10.0)
    assert hall.point(DEVICE, "plan.drill.result") == "aborted"
    assert any("/shutdown/" in key for key in book.steps)
    with pytest.raises(CommandError, match="in earnest"):
        await hall.order("main", "plan.drill")
    await hall.stop()


async def test_drill_only_notes_what_switches(clock: ManualClock, book: Book, tmp_path: Path) -> None:
    hall = Hall(clock, book, tmp_path, ("c1",))
    switching = replace(
        plan(
            stage(
                "c",
                (*agents("c1"), MemberConfig("outlet", "ups-1/outlet-1")),
                before=(CommandAction(device="ups-1", command="beeper.disable"), LogAction(text="Now")),
                announce=60.0,
            ),
            stage("ups", (MemberConfig("ups", "ups-1"),), ("c",)),
        ),
        allow=PLAN.allow,
    )
    await hall.start(switching)
    await hall.order("main", "plan.drill")
    await hall.pass_time(5.0)
    assert hall.verbs() == ["log", "message c1", "agent.drill c1"]
    file = report_in(tmp_path, "md")
    text = file.read_text(encoding="utf-8")
    assert "Noted only" in text
    assert "Not done: command." in text
    await hall.stop()


async def test_drill_that_the_bridge_did_not_survive_is_aborted(hall: Hall, tmp_path: Path) -> None:
    hall._do = lambda step: hall.book.begin(step.key)  # type: ignore[assignment, method-assign, return-value]  # no answer
    await hall.order("main", "plan.drill")
    hall = await again(hall, tmp_path)
    assert hall.point(DEVICE, "plan.drill.result") == "aborted"
    assert not hall.holds(DEVICE, "plan_drilling")
    await hall.stop()


async def test_reports_are_kept_in_bounds(hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "KEEP", 2)
    for _ in range(4):
        await hall.order("main", "plan.drill")
        await hall.pass_time(5.0)
    assert len(reports_in(tmp_path)) == 4, "two of each kind"


async def test_drill_whose_report_cannot_be_written_ends_all_the_same(
    clock: ManualClock, book: Book, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    hall = Hall(clock, book, tmp_path / "file", ("c1", "c2", "s1"))
    await hall.start(PLAN)
    await hall.order("main", "plan.drill")
    await hall.pass_time(5.0)
    assert hall.point(DEVICE, "plan.drill.result") == "passed"
    assert "cannot be written" in caplog.text
    await hall.stop()


async def test_drill_is_aborted_by_a_person(hall: Hall) -> None:
    hall._do = lambda step: hall.book.begin(step.key)  # type: ignore[assignment, method-assign, return-value]  # no answer
    await hall.order("main", "plan.drill")
    await hall.order("main", "plan.abort")
    assert hall.point(DEVICE, "plan.drill.result") == "aborted"


async def test_agent_that_says_nothing_fails_the_drill(hall: Hall) -> None:
    hall._do = lambda step: hall.book.begin(step.key)  # type: ignore[assignment, method-assign, return-value]  # no answer
    await hall.order("main", "plan.drill")
    await hall.pass_time(70.0)
    assert hall.point(DEVICE, "plan.drill.result") == "failed"


async def test_journal_that_cannot_be_written_is_told_later(hall: Hall, book: Book) -> None:
    told, book.record = book.record, refuse  # type: ignore[method-assign]  # the disk is full
    await hall.order("main", "plan.arm")
    hall.battery(charge=20.0)
    await hall.pass_time(60.0)
    assert hall.states() == {"down"}, "that keeps no plan waiting"
    assert book.told() == []
    book.record = told  # type: ignore[method-assign]
    await hall.pass_time(10.0)
    assert book.told("plan_armed", "plan_started", "plan_down") == ["plan_armed", "plan_started", "plan_down"]


async def test_what_is_remembered_and_cannot_be_read_leaves_the_plan_unarmed(
    clock: ManualClock, book: Book, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book.memory["plan/main"] = "damaged"
    hall = Hall(clock, book, tmp_path, ("c1", "c2", "s1"))
    await hall.start(PLAN)
    assert not hall.holds(DEVICE, "plan_armed")
    assert "begins anew and is not armed" in caplog.text
    await hall.stop()


async def test_script_is_asked_by_an_event_and_answers_by_a_command(
    clock: ManualClock, book: Book, tmp_path: Path
) -> None:
    asking = replace(
        plan(stage("tidy", (MemberConfig("script", "tidy"),), trigger={"on_battery": 5.0})), allow=PLAN.allow
    )
    hall = Hall(clock, book, tmp_path, ())
    await hall.start(asking)
    await hall.order("main", "plan.arm")
    hall.battery()
    await hall.pass_time(10.0)
    (event,) = [event for event in book.events if event.key == "plan_script"]
    assert event.details == {"script": "tidy", "order": "shutdown", "stage": "tidy", "name": "Tidy"}
    await hall.order("main", "plan.answer", script="tidy")
    await hall.pass_time(1.0)
    assert hall.point(f"{DEVICE}/tidy", "stage.state") == "done"
    await hall.stop()


# What goes wrong inside


async def test_plan_that_fails_keeps_no_other_from_shutting_down(
    clock: ManualClock, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hall = Hall(clock, book, tmp_path, ("c1", "c2"))
    first, second = (
        replace(plan(stage("s", agents(key), trigger={"on_battery": 5.0})), key=key, allow=PLAN.allow)
        for key in ("c1", "c2")
    )
    await hall.start(first, second)
    await hall.order("c1", "plan.arm")
    await hall.order("c2", "plan.arm")

    def fail(*_: object) -> object:
        raise ArithmeticError("a mistake in the plan's own thinking")

    broken = hall.plans.plans["c1"].machine
    with monkeypatch.context() as mistake:
        mistake.setattr(type(broken), "advance", advance_unless(broken, fail))
        hall.battery()
        await hall.pass_time(10.0)
        assert hall.verbs() == ["shutdown c2"]
    await hall.pass_time(10.0)
    assert sorted(hall.verbs()) == ["shutdown c1", "shutdown c2"]
    assert caplog.text.count("The plan c1 failed in a way nobody foresaw") == 1
    await hall.stop()


def advance_unless(broken: object, fail: Callable[..., object]) -> Callable[..., object]:
    """Return what advances every machine but one."""
    advance = machine.Machine.advance

    def chosen(self: machine.Machine, *arguments: Any) -> object:
        return fail() if self is broken else advance(self, *arguments)

    return chosen


async def test_look_that_is_cancelled_between_noting_and_doing_does_it_all_the_same(
    clock: ManualClock, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = Hall(clock, book, tmp_path, ("c1",))
    await hall.start(replace(plan(stage("s", agents("c1"), trigger={"on_battery": 5.0})), allow=PLAN.allow))
    await hall.order("main", "plan.arm")
    commit, noted, go_on = book.commit, asyncio.Event(), asyncio.Event()

    async def slowly(
        steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        fresh = await commit(steps, memory, seen)
        if fresh:
            noted.set()
            await go_on.wait()
        return fresh

    monkeypatch.setattr(book, "commit", slowly)
    hall.battery()
    await hall.pass_time(6.0)
    assert noted.is_set()
    (looking,) = [task for task in asyncio.all_tasks() if "Plans._look" in repr(task)]
    looking.cancel()
    await settle()
    go_on.set()
    await settle()
    assert [step.key.rpartition("/")[0] for step in book.steps.values() if step.attempts == 1] == [
        "plan:main/1/s/shutdown"
    ]
    await hall.stop()
