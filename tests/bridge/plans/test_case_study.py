"""The manual's case study (M:3080–3293): ten computers on one UPS that lasts an hour at full load."""

import pytest

from ridethrough.config.actions import AgentAction
from ridethrough.config.plans import PlanConfig
from ridethrough.events.plans import Power, Seen

from .world import World, agents, plan, stage

UNIMPORTANT = agents("pc-5", "pc-6")
IMPORTANT = agents("pc-1", "pc-2", "pc-3")
CORE = agents("core-1", "core-2", "core-3", "core-4", "core-5", timeout=240.0)


@pytest.fixture
def case() -> PlanConfig:
    """Message at once, notice at 5 minutes, shutdown at 8, at 30 minutes remaining, at 40 % and at 13 % charge."""
    everyone = tuple(member.key for member in UNIMPORTANT + IMPORTANT + CORE)
    return plan(
        stage(
            "tell",
            trigger={"on_battery": 0.0},
            before=(AgentAction(verb="message", agents=everyone, text="Power has failed."),),
        ),
        stage("unimportant", UNIMPORTANT, trigger={"on_battery": 300.0, "charge": 40.0}, announce=180.0),
        stage("important", IMPORTANT, trigger={"runtime": 1800.0}),
        stage("core", CORE, ("unimportant", "important"), trigger={"charge": 13.0}),
        charge=50.0,
    )


@pytest.fixture
def world(case: PlanConfig) -> World:
    world = World(case)
    world.pass_time(1.0)
    return world


def test_each_stage_comes_at_its_moment(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(2 * 3600.0)
    messages, shutdowns = world.told("message"), world.told("shutdown")
    assert [(at, len(agents)) for at, agents in messages] == [(1.0, 10), (301.0, 2)]
    assert shutdowns[0] == (481.0, ("pc-5", "pc-6"))
    # Nine minutes at full load leave 85 %; eight computers have 30 minutes left at 40 %, 45 s for each percent later.
    assert shutdowns[1][1] == ("pc-1", "pc-2", "pc-3")
    assert shutdowns[1][0] == pytest.approx(541.0 + 45 * 45.0, abs=5.0)
    assert shutdowns[2][1] == ("core-1", "core-2", "core-3", "core-4", "core-5")
    assert world.ups["ups-1"].percent > 5.0, "all are down before the battery is empty"
    assert world.up() == set()
    assert set(world.states().values()) == {"done"}


def test_computer_that_its_user_switches_on_again_is_shut_down_every_30_s_at_most(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(600.0)
    stubborn = world.computers["pc-5"]
    stubborn.takes = 5.0
    for _ in range(60):
        stubborn.seen = Seen.UP if stubborn.seen is Seen.DOWN else stubborn.seen
        world.pass_time(2.0)
    gaps = [later - earlier for earlier, later in zip(stubborn.orders, stubborn.orders[1:], strict=False)]
    assert len(stubborn.orders) >= 4
    assert min(gaps) >= 30.0


def test_short_outages_add_up_instead_of_warning_every_time(world: World) -> None:
    for _ in range(4):
        world.power(Power.BATTERY)
        world.pass_time(200.0)
        world.power(Power.MAINS)
        world.pass_time(60.0)
    assert world.told("shutdown")[0][1] == ("pc-5", "pc-6"), "after 8 minutes in all"


def test_short_outages_add_up_also_where_each_ends_before_the_notice_does(world: World) -> None:
    for _ in range(6):
        world.power(Power.BATTERY)
        world.pass_time(100.0)
        world.power(Power.MAINS)
        world.pass_time(60.0)
    shutdowns = world.told("shutdown")
    assert shutdowns[0][1] == ("pc-5", "pc-6")
    assert shutdowns[0][0] == pytest.approx(1.0 + 4 * 160.0 + 80.0, abs=2.0), "after 8 minutes in all, and not later"


def test_notice_that_is_over_is_not_given_again_for_those_who_could_not_be_reached(world: World) -> None:
    for key in ("pc-5", "pc-6"):
        world.computers[key].seen = Seen.LOST
    world.power(Power.BATTERY)
    world.pass_time(490.0)
    world.power(Power.MAINS)
    world.pass_time(60.0)
    for key in ("pc-5", "pc-6"):
        world.computers[key].seen = Seen.UP
    world.power(Power.BATTERY)
    world.pass_time(20.0)
    assert world.told("shutdown")[0][0] == pytest.approx(551.0, abs=3.0)


def test_notice_begins_anew_in_another_outage(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(400.0)
    world.power(Power.MAINS)
    world.pass_time(600.0)
    world.power(Power.BATTERY)
    world.pass_time(490.0)
    assert world.told("shutdown")[0][0] == pytest.approx(1001.0 + 480.0, abs=2.0)


def test_notice_is_taken_back_when_power_returns_before_the_shutdown(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(400.0)
    world.power(Power.MAINS)
    world.pass_time(600.0)
    assert world.told("shutdown") == []
    assert (
        "no shutdown"
        in [
            action.text for _, _, action in world.steps if isinstance(action, AgentAction) and action.verb == "message"
        ][-1]
    )
    assert world.state.run is None


def test_everything_is_started_in_reverse_once_the_battery_is_charged_so_far(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(3 * 3600.0, step=2.0)
    assert world.up() == set()
    world.power(Power.MAINS)
    world.pass_time(3600.0, step=2.0)
    assert world.told("start") == [], "10 % an hour: not yet"
    world.pass_time(5 * 3600.0, step=5.0)
    starts = [agents for _, agents in world.told("start")]
    assert starts[0] == ("core-1", "core-2", "core-3", "core-4", "core-5")
    assert sorted(starts[1:]) == [("pc-1", "pc-2", "pc-3"), ("pc-5", "pc-6")]
    assert len(world.up()) == 10
    assert world.state.run is None
    assert world.journal("plan_restarted")


def test_computer_that_a_person_had_switched_off_stays_off(world: World) -> None:
    world.computers["pc-5"].seen = Seen.DOWN
    world.power(Power.BATTERY)
    world.pass_time(900.0)
    world.power(Power.MAINS)
    world.pass_time(1200.0)
    assert world.computers["pc-5"].wakes == []
    assert world.computers["pc-6"].seen is Seen.UP


def test_computer_that_its_user_shuts_down_after_the_restart_is_not_started_again(world: World) -> None:
    world.power(Power.BATTERY)
    world.pass_time(900.0)
    world.power(Power.MAINS)
    world.pass_time(1200.0)
    world.computers["pc-6"].seen = Seen.DOWN
    world.pass_time(3600.0)
    assert len(world.computers["pc-6"].wakes) == 1
