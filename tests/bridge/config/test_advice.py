"""What `check` says of jobs that can be meant but probably are not: each warning of the manual's case study."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
import textwrap

import pytest

from ridethrough.config import BridgeConfig, Problem, advise, load
from ridethrough.config.actions import Action, AgentAction, CommandAction, LogAction, WakeOnLanAction
from ridethrough.config.advice import advice
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.config.jobs import Cause, Edge, JobConfig, Timing, When
from ridethrough.config.plans import MemberConfig, PlanConfig, StageConfig

DEVICES = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
    allow: [test, shutdown, load, outlet, beeper]
    thresholds:
      - {id: low, point: battery.charge, below: {warning: 41, alarm: 14}}
      - {id: high, point: battery.charge, above: {warning: 30, alarm: 70}}
      - {id: heat, point: ups.temperature, above: {warning: 30, alarm: 40}, hysteresis: 2}
  - {id: ups-2, link: "megatec:/dev/ttyUSB1", enabled: no, allow: [test]}
jobs:
"""
MAC = "00:11:22:33:44:55"
NAS = AgentConfig(
    "nas",
    "NAS",
    "192.0.2.20",
    mac=MAC,
    shutdown_time=120.0,
    supplies=("ups-1",),
    allow=frozenset({"shutdown", "message", "start"}),
)
OUT = Cause(("ups-1",), ("on_battery",))
BACK = replace(OUT, edge=Edge.CLEARED)
DOWN = AgentAction(verb="shutdown", agents=("nas",))
UP = AgentAction(verb="start", agents=("nas",))


def read(folder: Path, section: str = "") -> BridgeConfig:
    file = folder / "bridge.yaml"
    file.write_text(DEVICES + textwrap.indent(textwrap.dedent(section), "  "))
    return load(file)


def with_jobs(config: BridgeConfig, *jobs: JobConfig, agents: tuple[AgentConfig, ...] = (NAS,)) -> BridgeConfig:
    return replace(config, jobs=replace(config.jobs, jobs=jobs), agents=AgentsConfig(computers=agents))


def job(key: str, action: Action, cause: Cause = OUT, when: When | None = None) -> JobConfig:
    return JobConfig(key, key, (cause,), action, when or When())


@pytest.fixture
def config(tmp_path: Path) -> BridgeConfig:
    return read(tmp_path)


def said(config: BridgeConfig, *jobs: JobConfig, agents: tuple[AgentConfig, ...] = (NAS,)) -> list[str]:
    return [message for _, message in advice(with_jobs(config, *jobs, agents=agents))]


def outlet(*, on: bool) -> CommandAction:
    return CommandAction(device="ups-1/outlet-2", command="outlet.on" if on else "outlet.off")


def of(condition: str, edge: Edge = Edge.RAISED) -> Cause:
    return Cause(("ups-1",), (condition,), edge)


# What is right is not complained about


def test_the_case_study_of_the_manual_is_sound(config: BridgeConfig) -> None:
    jobs = (
        job("tell", AgentAction(verb="message", text="On battery")),
        job("notice", AgentAction(verb="message", text="3 min left"), when=When(Timing.ON_BATTERY, 300)),
        job("unimportant", DOWN, when=When(Timing.ON_BATTERY, 480)),
        job("important", DOWN, when=When(Timing.REMAINING, 1800)),
        job("at-40", DOWN, of("threshold.low.warning")),
        job("at-13", DOWN, of("threshold.low.alarm")),
        job("restart", UP, BACK, When(Timing.AFTER, 1800)),
        job("ups", CommandAction(device="ups-1", command="shutdown.return"), when=When(Timing.REMAINING, 120)),
    )
    assert said(config, *jobs) == []


def test_without_jobs_nothing_is_said(config: BridgeConfig) -> None:
    assert advice(config) == ()


def test_what_is_switched_off_is_not_looked_at(config: BridgeConfig) -> None:
    jobs = (
        job("a", outlet(on=True)),
        replace(job("b", outlet(on=False)), enabled=False),
        job("c", outlet(on=False), BACK),
    )
    assert said(config, *jobs) == []


# Jobs of one event


def test_jobs_that_do_the_same(config: BridgeConfig) -> None:
    jobs = job("a", LogAction(text="x")), job("b", LogAction(text="x"), Cause(("*",), ("*",)))
    assert said(config, *jobs) == ["b does the same as a for the same event: it is done twice"]
    assert said(config, jobs[0], job("b", LogAction(text="x"), BACK)) == []


def test_jobs_that_contradict(config: BridgeConfig) -> None:
    assert said(config, job("a", outlet(on=True)), job("b", outlet(on=False))) == [
        "b undoes what a does to ups-1/outlet-2, and both are for the same event"
    ]
    assert said(config, job("a", DOWN), job("b", WakeOnLanAction(macs=(MAC,)))) == [
        "b undoes what a does to nas, and both are for the same event"
    ]
    other = CommandAction(device="ups-1/outlet-3", command="outlet.off")
    assert "undoes what" not in "".join(
        message for message in said(config, job("a", outlet(on=True)), job("b", other)) if "nothing" not in message
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("output.set", None),
        ("shutdown.return", "shutdown.stop"),
        ("load.off", "load.on"),
        ("beeper.enable", "beeper.disable"),
        ("transfer.prefer.a", "transfer.prefer.b"),
        ("agent.shutdown", "agent.wakeup"),
        ("plan.run", "plan.abort"),
    ],
)
def test_commands_that_contradict(config: BridgeConfig, one: str, other: str | None) -> None:
    first = CommandAction(device="x", command=one, arguments={"number": 1.0, "state": 1.0} if other is None else {})
    second = CommandAction(
        device="x", command=other or one, arguments={"number": 1.0, "state": 0.0} if other is None else {}
    )
    assert "b undoes what a does to x, and both are for the same event" in said(
        config, job("a", first), job("b", second)
    )


def test_warning_and_alarm_that_switch_one_thing_in_opposite_ways(config: BridgeConfig) -> None:
    found = said(
        config,
        job("fan", outlet(on=True), of("threshold.heat.warning")),
        job("cut", outlet(on=False), of("threshold.heat.alarm")),
    )
    assert found == [
        (
            "cut undoes what fan does to ups-1/outlet-2: the warning and the alarm of heat switch it in opposite ways, and "
            "the value passes both"
        )
    ]


def test_starting_below_the_level_of_stopping(config: BridgeConfig) -> None:
    stop = job("stop", DOWN, of("threshold.low.warning"))
    assert said(config, stop, job("start", UP, of("threshold.high.warning"))) == [
        (
            "start starts nas at a battery.charge of 30, which is not above the 41 at which stop stops it: they would go on "
            "and off"
        )
    ]
    assert said(config, stop, job("start", UP, of("threshold.high.alarm"))) == []


def test_starting_at_the_level_of_stopping_without_hysteresis(config: BridgeConfig) -> None:
    stop = job("stop", DOWN, of("threshold.low.warning"))
    found = said(config, stop, job("start", UP, of("threshold.low.warning", Edge.CLEARED)))
    assert found == [
        (
            "start starts nas as soon as the battery.charge is 41 again, at which stop stops it: give the threshold a "
            "hysteresis"
        )
    ]


def test_what_is_never_switched_back(config: BridgeConfig, tmp_path: Path) -> None:
    message = (
        "nothing undoes what fan does to ups-1/outlet-2: it stays so when the event is over; add a job with edge: "
        "cleared for the way back"
    )
    assert said(config, job("fan", outlet(on=True))) == [message]
    assert said(config, job("fan", outlet(on=True)), job("off", outlet(on=False), BACK)) == []
    by_schedule = read(
        tmp_path,
        """\
        schedule:
          - id: morning
            start: 2026-11-22 06:00
            repeat: daily
            do: {command: {device: ups-1/outlet-2, command: outlet.off}}
        """,
    )
    assert said(by_schedule, job("fan", outlet(on=True))) == []


# Timing


@pytest.mark.parametrize("action", [UP, WakeOnLanAction(macs=(MAC,))], ids=["agent", "wake_on_lan"])
def test_a_start_that_is_repeated(config: BridgeConfig, action: Action) -> None:
    found = said(config, job("wake", action, of("threshold.high.alarm"), When(Timing.EVERY, 180)))
    assert found == [
        "wake starts computers every 3 min: whoever switches one off has it running again soon after; start them once"
    ]


def test_a_start_with_an_empty_battery(config: BridgeConfig) -> None:
    down = job("down", DOWN)
    (message,) = said(config, down, job("up", UP, BACK))
    assert message.startswith(
        "up starts computers as soon as power returns, with a battery that the outage has emptied"
    )
    assert said(config, down, job("up", UP, BACK, When(Timing.AFTER, 1800))) == []
    assert said(config, down, job("withdraw", AgentAction(verb="wakeup"), BACK)) == []


def test_a_shutdown_may_be_repeated(config: BridgeConfig) -> None:
    """A computer that somebody switches on during the outage is shut down again (manual M:3140)."""
    assert said(config, job("down", DOWN, when=When(Timing.EVERY, 30))) == []


def test_timings_of_counter_events(config: BridgeConfig) -> None:
    (message,) = said(config, job("a", LogAction(text="x"), BACK, When(Timing.EVERY, 600)))
    assert message.startswith("a is repeated from the end of the event until it begins again")
    (message,) = said(config, job("a", LogAction(text="x"), BACK, When(Timing.ON_BATTERY, 600)))
    assert message.endswith("it is never done")


def test_a_clock_that_begins_anew_with_each_outage(config: BridgeConfig) -> None:
    (message,) = said(config, job("down", DOWN, when=When(Timing.AFTER, 480)))
    assert message.startswith("down counts anew each time power returns for a moment")
    assert message.endswith("{on_battery: 8 min} counts on over short returns")
    assert said(config, job("down", LogAction(text="x"), when=When(Timing.AFTER, 480))) == []


def test_computers_that_are_shut_down_in_the_last_moment(config: BridgeConfig) -> None:
    last = job("last", DOWN, of("battery_low"))
    (message,) = said(config, last)
    assert message.startswith("nas is shut down only when the UPS says that its battery is at its end")
    assert said(config, last, job("early", DOWN, when=When(Timing.REMAINING, 900))) == []
    plan = PlanConfig("all", "All", ("ups-1",), (StageConfig("one", "One", (MemberConfig("agent", "nas"),)),))
    assert advice(replace(with_jobs(config, last), plans=(plan,))) == ()


@pytest.mark.parametrize(
    ("down", "off", "delay", "gap"),
    [
        (When(), When(), None, "30 s"),
        (When(Timing.ON_BATTERY, 480), When(Timing.ON_BATTERY, 540), None, "90 s"),
        (When(Timing.REMAINING, 150), When(Timing.REMAINING, 120), 60.0, "90 s"),
        (When(Timing.ON_BATTERY, 480), When(), 60.0, "0 s"),
    ],
    ids=["at_once", "on_battery", "remaining", "before"],
)
def test_a_ups_that_goes_before_its_computers(
    config: BridgeConfig, down: When, off: When, delay: float | None, gap: str
) -> None:
    arguments = {} if delay is None else {"delay": delay}
    off_job = job("ups", CommandAction(device="ups-1", command="shutdown.return", arguments=arguments), when=off)
    found = said(config, off_job, job("down", DOWN, when=down))
    assert found == [f"ups takes the power away {gap} after down has told nas to shut down, which may take 2 min"]


def test_a_ups_that_waits_for_its_computers(config: BridgeConfig) -> None:
    patient = CommandAction(device="ups-1", command="shutdown.return", arguments={"delay": 300.0})
    assert said(config, job("ups", patient), job("down", DOWN)) == []
    assert said(config, job("ups", patient, when=When(Timing.REMAINING, 60)), job("down", DOWN)) == []


def test_a_shutdown_that_is_not_withdrawn_from_a_computer_with_two_supplies(config: BridgeConfig) -> None:
    twice = (replace(NAS, supplies=("ups-1", "ups-2")),)
    (message,) = said(config, job("down", DOWN), agents=twice)
    assert message.startswith("nothing withdraws the shutdown that down gives nas, fed by several UPSes")
    wakeup = job("back", AgentAction(verb="wakeup"), BACK)
    assert said(config, job("down", DOWN), wakeup, agents=twice) == []


def test_people_who_are_told_all_the_time(config: BridgeConfig) -> None:
    assert said(config, job("tell", LogAction(text="x"), when=When(Timing.EVERY, 10))) == [
        "tell tells people 360 times an hour"
    ]


# What is never done, and what others can read


def test_devices_that_are_switched_off(config: BridgeConfig) -> None:
    command = CommandAction(device="ups-2", command="test.battery.start.quick")
    assert said(config, job("a", LogAction(text="x"), Cause(("ups-2",), ("on_battery",))), job("b", command)) == [
        "a is never done, as ups-2 is switched off",
        "b commands ups-2, which is switched off (enabled: no)",
    ]
    assert said(config, job("a", LogAction(text="x"), Cause(("ups-1", "ups-2"), ("on_battery",)))) == []
    (message,) = said(config, job("a", DOWN), agents=(replace(NAS, enabled=False),))
    assert message == "a commands nas, which is switched off (enabled: no)"


def test_advice_has_file_and_line(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        mail: {host: mail, sender: a@example.org, security: none, username: u, password: p}
        webhooks: [{id: chat, url: "http://example.org", token: t}]
        schedule:
          - {id: past, start: 2026-01-01 03:00, repeat: once, do: {log: x}}
          - {id: daily, start: 2026-01-01 03:00, repeat: daily, do: {log: x}}
        """,
    )
    first = DEVICES.count("\n") + 1
    file = tmp_path / "bridge.yaml"
    assert advise(file, config, datetime(2026, 11, 21)) == (
        Problem(
            file,
            first,
            "warning: jobs.mail.security: the password of the mail server goes over the network in clear",
        ),
        Problem(file, first + 1, "warning: jobs.webhooks.url: the token of chat goes over the network in clear"),
        Problem(file, first + 3, "warning: jobs.schedule.start: past was due at 2026-01-01 03:00, which is over"),
    )
    assert len(advise(file, config)) == 2
