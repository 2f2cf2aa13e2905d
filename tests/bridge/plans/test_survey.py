"""From the site to what a plan sees, and back from a text to what it remembers."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.config.actions import AgentAction, CommandAction, MailAction
from ridethrough.config.agents import AgentConfig
from ridethrough.config.plans import MemberConfig
from ridethrough.events.outage import Outage
from ridethrough.events.plans import PlanState, Power, Seen
from ridethrough.events.plans.record import RecordError, from_text, to_text
from ridethrough.events.plans.survey import seen, settled, ups
from ridethrough.site import Device, DeviceId, Lane, Site

from .world import World, agents, plan, stage

UPS, AGENT, OUTLET, BOX = (DeviceId(key) for key in ("ups-1", "c1", "ups-1/outlet-1", "io-1"))


@pytest.fixture
def site() -> Site:
    site = Site(load_catalogue(), ManualClock())
    for device, kind in ((UPS, "ups"), (AGENT, "agent"), (OUTLET, "outlet"), (BOX, "io_box")):
        site.put(Device(device, device, kind, device))
    return site


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("up", Seen.UP),
        ("waiting", Seen.WAITING),
        ("shutting_down", Seen.GOING),
        ("down", Seen.DOWN),
        ("lost", Seen.LOST),
        ("connecting", Seen.UNKNOWN),
        ("unpaired", Seen.UNKNOWN),
    ],
)
def test_agent(site: Site, state: str, found: Seen) -> None:
    member = MemberConfig("agent", "c1")
    assert seen(site, DeviceId, member) is Seen.UNKNOWN
    site.lane(AGENT, None).post({"agent.state": state})
    assert seen(site, DeviceId, member) is found


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, Seen.UNKNOWN),
        ({"on_battery": True}, Seen.UP),
        ({"on_battery": True, "output_active": True}, Seen.UP),
        ({"on_battery": True, "output_active": True, "shutdown_pending": True}, Seen.GOING),
        ({"on_battery": False, "output_active": False}, Seen.DOWN),
    ],
    ids=["nothing known", "output not told", "feeding", "about to go", "off"],
)
def test_ups_as_a_member(site: Site, conditions: Mapping[str, bool], found: Seen) -> None:
    lane = site.lane(UPS, None)
    lane.post(conditions=conditions)
    assert seen(site, DeviceId, MemberConfig("ups", "ups-1")) is found
    if conditions:
        lane.lost()
        assert seen(site, DeviceId, MemberConfig("ups", "ups-1")) is Seen.LOST


@pytest.mark.parametrize(("on", "found"), [(True, Seen.UP), (False, Seen.DOWN)], ids=["on", "off"])
def test_outlet_and_relay(site: Site, *, on: bool, found: Seen) -> None:
    outlet, relay = MemberConfig("outlet", "ups-1/outlet-1"), MemberConfig("relay", "io-1/output-2")
    assert (seen(site, DeviceId, outlet), seen(site, DeviceId, relay)) == (Seen.UNKNOWN, Seen.UNKNOWN)
    lanes: list[Lane] = [site.lane(OUTLET, None), site.lane(BOX, None)]
    lanes[0].post(conditions={"outlet_on": on})
    lanes[1].post({"output.2": on})
    assert (seen(site, DeviceId, outlet), seen(site, DeviceId, relay)) == (found, found)
    for lane in lanes:
        lane.lost()
    assert (seen(site, DeviceId, outlet), seen(site, DeviceId, relay)) == (Seen.LOST, Seen.LOST)


def test_member_that_is_not_there_and_script_are_not_known(site: Site) -> None:
    assert seen(site, DeviceId, MemberConfig("agent", "c9")) is Seen.UNKNOWN
    assert seen(site, DeviceId, MemberConfig("script", "tidy")) is Seen.UNKNOWN


def test_only_good_values_of_a_ups_count(site: Site) -> None:
    assert ups(site, UPS).power is Power.UNKNOWN
    lane = site.lane(UPS, None)
    lane.post({"battery.charge": 50.0, "battery.runtime": None}, {"on_battery": True, "battery_low": True})
    view = ups(site, UPS)
    assert (view.power, view.charge, view.runtime) == (Power.BATTERY, 50.0, None)
    assert (view.tells_charge, view.tells_runtime) == (True, False)
    assert view.active == {"on_battery", "battery_low"}
    lane.lost()
    view = ups(site, UPS)
    assert (view.power, view.charge, view.active, view.tells_charge) == (Power.UNKNOWN, None, frozenset(), True)
    lane.post(conditions={"on_battery": False, "communications_lost": True})
    assert ups(site, UPS).power is Power.UNKNOWN


def test_times_are_those_of_the_agent_unless_the_plan_has_its_own() -> None:
    config = plan(
        stage("a", (MemberConfig("agent", "c1"), MemberConfig("agent", "c2", timeout=5.0), MemberConfig("ups", "u")))
    )
    computers = [AgentConfig(key, key, "h", shutdown_time=90.0, start_time=70.0) for key in ("c1", "c2")]
    first, second, third = settled(config, computers).stages[0].members
    assert (first.timeout, first.start_time) == (90.0, 70.0)
    assert (second.timeout, second.start_time) == (5.0, 70.0)
    assert (third.timeout, third.start_time) == (None, None)


# What is remembered


def test_plan_in_the_middle_of_a_run_is_remembered_with_its_configuration() -> None:
    before = (
        AgentAction(verb="message", agents=("c1",), text="Out"),
        CommandAction(device="ups-1", command="beeper.disable", arguments={"x": 1.0}),
        MailAction(to=("a@b.example",), attach=("events",)),
    )
    config = replace(
        plan(stage("a", agents("c1"), trigger={"on_battery": 5.0}, before=before)), allow=frozenset({"plan"})
    )
    world = World(config)
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(10.0)
    found = from_text(to_text(world.state))
    assert found.run == world.state.run
    assert (found.armed, found.number, found.noted) == (True, 1, world.state.noted)
    assert found.supplies["ups-1"].outage == world.state.supplies["ups-1"].outage
    assert found.supplies["ups-1"].silent


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"version": 2, "state": {}}', '{"version": 1, "state": {"run": {"plan": 5}}}'],
    ids=["empty", "no version", "list", "later", "damaged"],
)
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(RecordError):
        from_text(text)


def test_nothing_yet_is_remembered_as_such() -> None:
    assert from_text(to_text(PlanState())) == PlanState()


# The counter of seconds on battery


def test_time_on_battery_survives_short_returns_and_not_long_ones() -> None:
    outage = Outage().observed(True, 100.0, 60.0)
    assert outage.seconds(150.0) == 50.0
    outage = outage.observed(False, 150.0, 60.0)
    assert outage.seconds(180.0) == 50.0
    assert outage.going_on
    outage = outage.observed(True, 180.0, 60.0).observed(True, 185.0, 60.0)
    assert outage.seconds(190.0) == 60.0
    outage = outage.observed(False, 190.0, 60.0)
    assert outage.observed(False, 251.0, 60.0) == Outage()
    assert outage.observed(True, 251.0, 60.0).seconds(252.0) == 1.0, "nobody looked in between"
    assert Outage(since=0.0).observed(False, 10.0, 0.0) == Outage()
