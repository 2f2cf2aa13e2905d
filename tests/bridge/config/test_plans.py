"""Plans in the configuration file: what is taken, and what a person is told of a plan that cannot work."""

from dataclasses import replace
from pathlib import Path
import textwrap
from typing import cast

import pytest
import voluptuous as vol

from ridethrough.config import ApiConfig, BridgeConfig, ConfigError, Limits, ThresholdConfig, UpsConfig, load
from ridethrough.config.actions import LogAction
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.config.document import Tree
from ridethrough.config.plan_graph import before, behind, cycle, in_order
from ridethrough.config.plan_schema import check_plans, plans
from ridethrough.config.plans import MemberConfig, PlanConfig, RestartConfig, StageConfig, Trigger

ALLOW = frozenset({"shutdown", "message", "start"})


def a_plan(**more: object) -> dict[str, object]:
    """Return a plan as the file has it."""
    return {"id": "main", "ups": ["ups-1"], "stages": [{"id": "clients", "agents": ["c1"]}]} | more


def stages(*stages: dict[str, object], **more: object) -> dict[str, object]:
    """Return a plan with these stages."""
    return a_plan(stages=[{"agents": [f"c{index}"]} | one for index, one in enumerate(stages)], **more)


def read(plan: dict[str, object]) -> PlanConfig:
    """Check a plan."""
    (found,) = plans(lambda value: LogAction(text=str(value)))([cast(Tree, plan)])
    return found


def complaints(plan: dict[str, object]) -> list[tuple[str, str]]:
    """Return what is wrong with a plan, and where."""
    with pytest.raises(vol.Invalid) as caught:
        read(plan)
    errors = caught.value.errors if isinstance(caught.value, vol.MultipleInvalid) else [caught.value]
    return [(".".join(map(str, error.path[1:])), error.error_message) for error in errors]


def test_everything_that_can_be_said() -> None:
    found = read(
        {
            "id": "main",
            "name": "Server room",
            "ups": ["ups-1", "ups-2"],
            "need": "2",
            "allow": "plan",
            "stages": [
                {
                    "id": "clients",
                    "name": "Clients",
                    "agents": ["c1"],
                    "members": [
                        "c2",
                        {"agent": "c3", "start": "power_cycle", "fed_by": "ups-1/outlet-2", "timeout": "2 min"},
                        {"outlet": "ups-1/outlet-3"},
                        {"relay": "io-1/output-2", "start": "none"},
                        {"script": "tidy_up", "start_time": "1 min"},
                    ],
                    "when": {"on_battery": "8 min", "runtime": "30 min", "charge": "40 %", "conditions": "battery_low"},
                    "before": ["going"],
                    "announce": "3 min",
                    "text": "Save your work",
                    "timeout": "10 min",
                    "on_failure": "wait",
                },
                {
                    "id": "ups",
                    "members": [{"ups": "ups-1"}],
                    "after": "clients",
                    "when": {"charge": "13"},
                    "point_of_no_return": "yes",
                },
            ],
            "restart": {"enabled": "yes", "stable": "5 min", "charge": "50", "runtime": "20 min"},
        }
    )
    clients = StageConfig(
        "clients",
        "Clients",
        (
            MemberConfig("agent", "c1"),
            MemberConfig("agent", "c2"),
            MemberConfig("agent", "c3", "power_cycle", "ups-1/outlet-2", 120.0),
            MemberConfig("outlet", "ups-1/outlet-3"),
            MemberConfig("relay", "io-1/output-2", "none"),
            MemberConfig("script", "tidy_up", start_time=60.0),
        ),
        Trigger(480.0, 1800.0, 40.0, ("battery_low",)),
        (),
        (LogAction(text="going"),),
        180.0,
        "Save your work",
        600.0,
        "wait",
    )
    ups = StageConfig(
        "ups",
        "ups",
        (MemberConfig("ups", "ups-1"),),
        Trigger(charge=13.0),
        ("clients",),
        point_of_no_return=True,
    )
    restart = RestartConfig(True, 300.0, 50.0, 1200.0)
    assert found == PlanConfig(
        "main", "Server room", ("ups-1", "ups-2"), (clients, ups), 2, restart, frozenset({"plan"})
    )


@pytest.mark.parametrize(
    ("plan", "where", "said"),
    [
        pytest.param(a_plan(ups=[]), "ups", "must name a UPS at least", id="no UPS"),
        pytest.param(a_plan(stages=[]), "stages", "must have a stage at least", id="no stage"),
        pytest.param(a_plan(need="2"), "need", "is more than the 1 UPSes of the plan", id="need"),
        pytest.param(a_plan(need="half"), "need", "must be a number", id="need in words"),
        pytest.param(a_plan(need="0"), "need", "must be how many UPSes", id="need none"),
        pytest.param(a_plan(ups=["ups-1", "ups-1"]), "ups.1", "ups-1 stands twice", id="UPS twice"),
        pytest.param(a_plan(stages=[{"id": "a"}]), "stages.0", "has nothing to do", id="empty stage"),
        pytest.param(stages({"id": "a"}, {"id": "a"}), "stages.1.id", "a is another stage's already", id="stage twice"),
        pytest.param(stages({"id": "a", "after": "a"}), "stages.0.after.0", "cannot come after itself", id="itself"),
        pytest.param(
            stages({"id": "storage"}, {"id": "a", "after": ["storrage"]}),
            "stages.1.after.0",
            "did you mean storage?",
            id="unknown stage",
        ),
        pytest.param(
            stages({"id": "a", "after": "c"}, {"id": "b", "after": "a"}, {"id": "c", "after": "b"}),
            "stages",
            "they wait for one another and none could ever begin",
            id="cycle",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "agents": "c"}, {"id": "b", "agents": "c"}]),
            "stages.1.members",
            "c is shut down by the stage a already",
            id="member twice",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"ups": "ups-9"}]}]),
            "stages.0.members",
            "the UPS of this plan 'ups-9' is unknown",
            id="another UPS",
        ),
        pytest.param(
            stages({"id": "a", "when": {"charge": "10"}}, {"id": "b"}),
            "stages.1.when",
            "it can never begin",
            id="no trigger",
        ),
        pytest.param(
            stages({"id": "a", "when": {"charge": "20"}}, {"id": "b", "after": "a", "when": {"charge": "25"}}),
            "stages.0.when",
            "it is never reached: b, which comes after it, begins it earlier",
            id="charges the wrong way round",
        ),
        pytest.param(
            stages(
                {"id": "a", "when": {"on_battery": "9 min"}}, {"id": "b", "after": "a", "when": {"on_battery": "5"}}
            ),
            "stages.0.when",
            "it is never reached",
            id="times the wrong way round",
        ),
        pytest.param(
            a_plan(
                stages=[
                    {"id": "a", "agents": "c", "when": {"charge": "20"}},
                    {"id": "ups", "members": [{"ups": "ups-1"}], "when": {"charge": "10"}},
                ]
            ),
            "stages.1.after",
            "it switches a UPS off, so it must come after a too",
            id="UPS not last",
        ),
        pytest.param(
            stages({"id": "a"}, {"id": "b", "point_of_no_return": "yes"}),
            "stages.1.point_of_no_return",
            "so a must come before or after it",
            id="point of no return beside another",
        ),
        pytest.param(
            stages({"id": "a", "when": {"charge": "40"}}, restart={"charge": "40"}),
            "restart.charge",
            "must be more than 40 %",
            id="restart too early",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"agent": "c", "start": "power_cycle"}]}]),
            "stages.0.members",
            "has no fed_by:",
            id="nothing to cycle",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"agent": "c", "fed_by": "ups-1/outlet-1"}]}]),
            "stages.0.members.0.fed_by",
            "write start: too",
            id="outlet without cycling",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"outlet": "ups-1/outlet-1", "start": "power_cycle"}]}]),
            "stages.0.members.0.start",
            "power_cycle is for agents",
            id="outlet cycled",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"agent": "c", "script": "x"}]}]),
            "stages.0.members.0",
            "must have exactly one of agent, outlet",
            id="two kinds",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"relay": "io-1"}]}]),
            "stages.0.members.0.relay",
            "like io-1/output-2",
            id="relay without number",
        ),
        pytest.param(
            a_plan(stages=[{"id": "a", "members": [{"script": "x"}], "announce": "1 min"}]),
            "stages.0.announce",
            "has no agents",
            id="nobody to tell",
        ),
        pytest.param(
            stages({"id": "a", "when": {"conditions": ["battery_lo"]}}),
            "stages.0.when.conditions.0",
            "did you mean battery_low?",
            id="unknown condition",
        ),
        pytest.param(stages({"id": "a", "when": {"charge": "130"}}), "stages.0.when.charge", "0 to 100", id="charge"),
        pytest.param(
            stages({"id": "a", "on_failure": "panic"}), "stages.0.on_failure", "go_on, wait or stop", id="word"
        ),
    ],
)
def test_plan_that_cannot_work_is_refused_with_a_reason(plan: dict[str, object], where: str, said: str) -> None:
    ((place, message),) = complaints(plan)
    assert place == where
    assert said in message


def test_plan_without_any_trigger_is_one_to_run_by_hand() -> None:
    assert [stage.trigger for stage in read(stages({"id": "a"}, {"id": "b"})).stages] == [Trigger(), Trigger()]


def test_ups_needs_no_trigger_after_the_point_of_no_return() -> None:
    plan = a_plan(
        stages=[
            {"id": "storage", "agents": "nas", "when": {"charge": "13"}, "point_of_no_return": "yes"},
            {"id": "ups", "members": [{"ups": "ups-1"}], "after": "storage"},
        ]
    )
    assert [stage.final for stage in read(plan).stages] == [True, True]


def test_trigger_that_may_come_first_all_the_same_is_taken() -> None:
    plan = stages(
        {"id": "a", "when": {"charge": "20", "on_battery": "1 min"}},
        {"id": "b", "after": "a", "when": {"charge": "25"}},
    )
    assert len(read(plan).stages) == 2


# With the rest of the file


@pytest.fixture
def config(tmp_path: Path) -> BridgeConfig:
    """Return a file with a plan that fits into it."""
    member = MemberConfig("agent", "c1", "power_cycle", "ups-1/outlet-1")
    clients = StageConfig(
        "clients",
        "Clients",
        (member, MemberConfig("agent", "c2"), MemberConfig("outlet", "ups-1/outlet-2"), MemberConfig("script", "x")),
        Trigger(conditions=("threshold.battery.charge.alarm",)),
        announce=60.0,
    )
    last = StageConfig("ups", "UPS", (MemberConfig("ups", "ups-1"),), Trigger(charge=10.0), ("clients",))
    return BridgeConfig(
        name="Bridge",
        data=tmp_path,
        api=ApiConfig(),
        ups=(
            UpsConfig(
                "ups-1",
                "UPS",
                "megatec:/dev/ttyUSB0",
                thresholds=(ThresholdConfig("battery.charge", "battery.charge", alarm=Limits(low=20.0)),),
                allow=frozenset({"outlet", "shutdown"}),
            ),
        ),
        agents=AgentsConfig(computers=tuple(AgentConfig(key, key, "127.0.0.1", allow=ALLOW) for key in ("c1", "c2"))),
        plans=(PlanConfig("main", "Main", ("ups-1",), (clients, last)),),
    )


def said_of(config: BridgeConfig) -> list[str]:
    """Return what is wrong with a file."""
    with pytest.raises(vol.MultipleInvalid) as caught:
        check_plans(config)
    return [f"{'.'.join(map(str, error.path))}: {error.error_message}" for error in caught.value.errors]


def test_plan_that_fits_into_the_file_is_taken(config: BridgeConfig) -> None:
    check_plans(config)


def test_names_that_nobody_has(config: BridgeConfig) -> None:
    nobody = replace(config, ups=(), agents=AgentsConfig())
    assert said_of(nobody) == [
        "plans.0.ups.0: the UPS 'ups-1' is unknown (permitted: none)",
        (
            "plans.0.stages.0.when.conditions: the threshold of its UPSes 'threshold.battery.charge.alarm' is unknown "
            "(permitted: none)"
        ),
        "plans.0.stages.0.members: the agent 'c1' is unknown (permitted: none)",
        "plans.0.stages.0.members: the agent 'c2' is unknown (permitted: none)",
        "plans.0.stages.0.members: the device 'ups-1' is unknown (permitted: none)",
        "plans.0.stages.1.members: the device 'ups-1' is unknown (permitted: none)",
    ]


def test_devices_that_do_not_grant_what_is_needed(config: BridgeConfig) -> None:
    closed = replace(
        config,
        ups=tuple(replace(one, allow=frozenset()) for one in config.ups),
        agents=AgentsConfig(
            computers=tuple(replace(one, allow=frozenset({"message"})) for one in config.agents.computers)
        ),
    )
    assert said_of(closed) == [
        "plans.0.stages.0.members: the agent c1 does not grant shutdown; see allow: there",
        "plans.0.stages.0.members: ups-1 does not grant outlet, which ups-1/outlet-1 needs; see allow: there",
        "plans.0.stages.0.members: the agent c2 does not grant shutdown; see allow: there",
        "plans.0.stages.0.members: the agent c2 does not grant start; see allow: there",
        "plans.0.stages.0.members: ups-1 does not grant outlet, which ups-1/outlet-2 needs; see allow: there",
        "plans.0.stages.1.members: ups-1 does not grant shutdown, which ups-1 needs; see allow: there",
    ]


def test_two_plans_of_one_name(config: BridgeConfig) -> None:
    assert said_of(replace(config, plans=config.plans * 2)) == ["plans.1.id: main is another plan's already"]


def test_complaint_names_the_line_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        textwrap.dedent("""\
            ups:
              - id: ups-1
                link: megatec:/dev/ttyUSB0
            plans:
              - id: main
                ups: ups-1
                stages:
                  - id: clients
                    members: [{script: tidy}]
                    when: {charge: 20}
                    after: [clients]
            """),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    ((line, message),) = [(problem.line, problem.message) for problem in caught.value.problems]
    assert (line, message) == (11, "plans.stages.after: a stage cannot come after itself")


def test_order_of_stages() -> None:
    one, two, three = (
        StageConfig("one", "One", after=("two", "three")),
        StageConfig("two", "Two", after=("three",)),
        StageConfig("three", "Three"),
    )
    some = (one, two, three)
    assert [stage.key for stage in in_order(some)] == ["three", "two", "one"]
    assert before(some, "one") == {"two", "three"}
    assert behind(some, "three") == {"one", "two"}
    assert cycle(some) is None
    assert cycle((replace(three, after=("one",)), one, two)) is not None
