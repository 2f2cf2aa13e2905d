"""What a plan does in each situation, one by one."""

from dataclasses import replace
from typing import Any

import pytest

from ridethrough.config.actions import CommandAction, LogAction
from ridethrough.config.plans import MemberConfig
from ridethrough.events.plans import Power, Refused, Seen, UpsView
from ridethrough.events.plans.state import Phase

from .world import World, agents, plan, stage

CLIENTS = agents("client-1", "client-2")
STORAGE = agents("storage")
UPS = (MemberConfig("ups", "ups-1", timeout=120.0),)


def two_stages(**more: Any) -> World:
    """Return clients, and storage after them; it begins at 60 s on battery."""
    world = World(
        plan(stage("clients", CLIENTS, **more), stage("storage", STORAGE, ("clients",), trigger={"on_battery": 60.0}))
    )
    world.pass_time(1.0)
    return world


def with_ups(*members: MemberConfig, **more: Any) -> World:
    """Return clients, and the UPS after them, which is begun at 30 % of charge."""
    clients = stage("clients", members or CLIENTS, trigger={"on_battery": 60.0}, **more)
    world = World(plan(clients, stage("ups", UPS, ("clients",), trigger={"charge": 30.0})))
    world.pass_time(1.0)
    return world


# Order and acknowledgement


def test_stage_begins_those_before_it_and_waits_until_they_are_down() -> None:
    world = two_stages()
    world.computers["client-2"].takes = 100.0
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    assert world.told("shutdown") == [(61.0, ("client-1", "client-2")), (161.0, ("storage",))]
    assert world.states() == {"clients": "done", "storage": "done"}


@pytest.mark.parametrize(
    ("on_failure", "storage"),
    [("go_on", "done"), ("stop", "skipped"), ("wait", "waiting")],
)
def test_member_that_never_goes_down(on_failure: str, storage: str) -> None:
    world = two_stages(on_failure=on_failure)
    world.computers["client-2"].takes = float("inf")
    world.power(Power.BATTERY)
    world.pass_time(400.0)
    assert world.states() == {"clients": "failed", "storage": storage}
    assert world.state.run is not None
    assert "client-2 is still shutting down" in world.state.run.stages["clients"].problem


def test_stage_that_waits_goes_on_when_the_battery_no_longer_permits_it() -> None:
    world = two_stages(on_failure="wait")
    world.computers["client-2"].takes = float("inf")
    world.ups["ups-1"].full = 900.0
    world.power(Power.BATTERY)
    while not world.computers["storage"].downs:
        world.pass_time(1.0)
        assert world.ups["ups-1"].percent > 0.0
    assert world.told("shutdown")[-1][0] > 400.0


def test_member_that_is_down_late_lets_the_stage_after_it_begin() -> None:
    world = two_stages(on_failure="wait")
    world.computers["client-2"].takes = 250.0
    world.power(Power.BATTERY)
    world.pass_time(500.0)
    assert world.states() == {"clients": "done", "storage": "done"}
    assert world.told("shutdown")[-1] == (311.0, ("storage",))


def test_unreachable_computer_is_told_as_soon_as_it_is_reached() -> None:
    world = two_stages()
    world.computers["client-2"].seen = Seen.LOST
    world.power(Power.BATTERY)
    world.pass_time(100.0)
    assert world.told("shutdown") == [(61.0, ("client-1",))]
    world.computers["client-2"].seen = Seen.UP
    world.pass_time(100.0)
    assert (102.0, ("client-2",)) in world.told("shutdown")


def test_computer_whose_connection_is_gone_after_it_began_is_down() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(70.0)
    for key in ("client-1", "client-2"):
        world.computers[key].seen = Seen.LOST
    world.pass_time(1.0)
    assert world.states()["clients"] == "done"


def test_computer_that_waits_for_other_senders_is_not_told_again_and_not_down() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(61.0)
    for key in ("client-1", "client-2"):
        world.computers[key].seen = Seen.WAITING
    world.pass_time(200.0)
    assert len(world.told("shutdown")) == 2
    assert world.state.run is not None
    assert "waits for other senders" in world.state.run.stages["clients"].problem


def test_order_that_failed_is_given_again_30_s_later() -> None:
    world = two_stages()
    world.obey = lambda action: "no answer" if world.now < 1_000_080.0 else ""
    world.power(Power.BATTERY)
    world.pass_time(70.0)
    assert world.told("shutdown") == [(61.0, ("client-1", "client-2"))]
    world.pass_time(60.0)
    assert world.told("shutdown")[1] == (91.0, ("client-1", "client-2"))


def test_what_is_done_before_holds_the_members_up_for_30_s_at_most() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"on_battery": 10.0}, before=(LogAction(text="Now"),))))
    turn_ended = world.machine.ended
    world.machine.ended = lambda state, step, problem: state  # type: ignore[method-assign]  # nothing is heard of it
    world.power(Power.BATTERY)
    world.pass_time(20.0)
    assert world.told("shutdown") == []
    world.pass_time(30.0)
    assert world.told("shutdown") == [(40.0, ("client-1", "client-2"))]
    world.machine.ended = turn_ended  # type: ignore[method-assign]


# Power that comes back


def test_order_is_withdrawn_at_once_when_power_is_back() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(65.0)
    world.power(Power.MAINS)
    assert world.told("wakeup") == [(66.0, ("client-1", "client-2"))]
    world.pass_time(200.0)
    assert world.told("start") == []
    assert world.up() == {"client-1", "client-2", "storage"}
    assert world.state.run is None


def test_what_went_down_all_the_same_is_started_again() -> None:
    world = two_stages()
    world.computers["client-2"].takes = 20.0
    world.power(Power.BATTERY)
    world.pass_time(65.0)
    world.power(Power.MAINS)
    world.pass_time(600.0)
    assert world.told("start") == [(186.0, ("client-2",))]
    assert world.up() == {"client-1", "client-2", "storage"}


def test_start_waits_for_power_without_interruption() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    for _ in range(5):
        world.power(Power.MAINS)
        world.pass_time(100.0)
        world.power(Power.BATTERY)
        world.pass_time(5.0)
    assert world.told("start") == []
    world.power(Power.MAINS)
    world.pass_time(130.0)
    assert world.told("start")[0][1] == ("storage",)


def test_clients_start_after_the_storage_is_up() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.power(Power.MAINS)
    world.pass_time(600.0)
    (first, storage), (second, clients) = world.told("start")
    assert (storage, clients) == (("storage",), ("client-1", "client-2"))
    assert second - first == pytest.approx(90.0, abs=2.0)


def test_computer_that_never_comes_is_noted_and_the_others_start() -> None:
    world = two_stages()
    world.computers["storage"].boots = float("inf")
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.power(Power.MAINS)
    world.pass_time(1200.0)
    assert world.up() == {"client-1", "client-2"}
    ((_, note),) = [(at, note) for at, note in world.notes if note.key == "plan_restarted"]
    assert note.details["absent"] == 1
    assert len(world.computers["storage"].wakes) == 1


def test_power_that_fails_while_starting_shuts_down_again() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.power(Power.MAINS)
    world.pass_time(250.0)
    assert "storage" in world.up()
    world.power(Power.BATTERY)
    world.pass_time(400.0)
    assert world.up() == set()
    world.power(Power.MAINS)
    world.pass_time(1200.0)
    assert world.up() == {"client-1", "client-2", "storage"}


def test_runtime_that_is_not_told_now_is_waited_for_and_one_that_never_was_is_not() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.ups["ups-1"].silent = True
    world.pass_time(1000.0)
    assert world.told("start") == [], "silent on battery is on battery"
    world.ups["ups-1"].silent = False
    world.power(Power.MAINS)
    world.pass_time(1200.0)
    assert len(world.up()) == 3


# The point of no return


def test_everything_is_completed_past_the_point_of_no_return() -> None:
    world = World(
        plan(
            stage("clients", CLIENTS, trigger={"on_battery": 60.0}, point_of_no_return=True),
            stage("storage", STORAGE, ("clients",), trigger={"charge": 10.0}),
        )
    )
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(70.0)
    with pytest.raises(Refused, match="point of no return"):
        world.machine.abort(world.state, world.now, world.view, "Ann")
    with pytest.raises(Refused, match="point of no return"):
        world.machine.disarm(world.state, world.now, world.view, "Ann")
    world.power(Power.MAINS)
    world.pass_time(150.0)
    assert world.told("wakeup") == []
    assert world.computers["storage"].downs
    world.pass_time(900.0)
    assert len(world.up()) == 3


def test_ups_is_switched_off_last_and_everything_started_when_it_is_back() -> None:
    world = with_ups()
    world.power(Power.BATTERY)
    world.pass_time(3600.0 * 20, step=20.0)
    commands = [action.command for _, _, action in world.steps if isinstance(action, CommandAction)]
    assert commands == ["shutdown.return"]
    assert world.journal("plan_committed")
    world.devices["ups-1"] = Seen.UP
    world.power(Power.MAINS)
    world.pass_time(4 * 3600.0, step=10.0)
    assert world.up() == {"client-1", "client-2"}
    assert world.state.run is None


def test_bridge_that_was_off_with_its_ups_takes_it_as_done() -> None:
    world = with_ups()
    world.power(Power.BATTERY)
    world.pass_time(3600.0 * 14, step=20.0)
    assert world.state.run is not None
    world.devices["ups-1"] = Seen.UNKNOWN
    world.state.run.stages["ups"].members["ups:ups-1"].answer = ""
    world.state = world.machine.resumed(world.state, world.now)
    world.devices["ups-1"] = Seen.UP
    world.now += 5000.0
    world.power(Power.MAINS)
    world.pass_time(3600.0, step=5.0)
    assert world.up() == {"client-1", "client-2"}


def test_computer_that_waits_for_its_power_to_return_has_its_outlet_switched_off_and_on() -> None:
    member = MemberConfig("agent", "client-1", "power_cycle", "ups-1/outlet-1", 180.0)
    world = World(plan(stage("clients", (member, *agents("client-2")), trigger={"on_battery": 60.0})))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(200.0)
    world.power(Power.MAINS)
    world.pass_time(600.0)
    commands = [(at, action.command) for at, _, action in world.steps if isinstance(action, CommandAction)]
    assert [command for _, command in commands] == ["outlet.off", "outlet.on"]
    assert commands[1][0] - commands[0][0] == 10.0
    assert world.up() == {"client-1", "client-2"}


def test_ups_is_switched_off_and_on_for_those_that_start_only_by_that() -> None:
    member = MemberConfig("agent", "client-1", "power_cycle", None, 180.0)
    world = with_ups(member)
    world.power(Power.BATTERY)
    world.pass_time(200.0)
    world.power(Power.MAINS)
    world.pass_time(30.0)
    assert [action.command for _, _, action in world.steps if isinstance(action, CommandAction)] == ["shutdown.return"]
    with pytest.raises(Refused):
        world.machine.abort(world.state, world.now, world.view, "Ann")


# Several UPSes


def test_nothing_begins_while_too_few_upses_have_failed() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"on_battery": 60.0}), ups=("a", "b"), need=2))
    world.pass_time(1.0)
    world.power(Power.BATTERY, "a")
    world.pass_time(3000.0)
    assert world.told("shutdown") == []
    world.power(Power.BATTERY, "b")
    world.pass_time(61.0)
    assert len(world.told("shutdown")) == 1
    world.power(Power.MAINS, "b")
    assert len(world.told("wakeup")) == 1


def test_silent_ups_counts_beside_one_on_battery_but_never_alone() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"on_battery": 60.0}), ups=("a", "b"), need=2))
    world.pass_time(1.0)
    world.ups["a"].silent = world.ups["b"].silent = True
    world.pass_time(600.0)
    assert world.told("shutdown") == []
    world.ups["b"].silent = False
    world.power(Power.BATTERY, "b")
    world.pass_time(61.0)
    assert len(world.told("shutdown")) == 1


def test_ups_that_is_lost_on_battery_is_on_battery_and_its_values_are_counted_down() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"runtime": 1800.0})))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(600.0)
    world.ups["ups-1"].silent = True
    world.pass_time(1150.0)
    assert world.told("shutdown") == []
    world.pass_time(100.0)
    assert len(world.told("shutdown")) == 1


def test_charge_of_a_lost_ups_is_counted_down_too() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"charge": 50.0})))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(600.0)
    world.ups["ups-1"].silent = True
    world.pass_time(1150.0)
    assert world.told("shutdown") == []
    world.pass_time(100.0)
    assert len(world.told("shutdown")) == 1


def test_condition_begins_a_stage() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"conditions": ("battery_low",)})))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(100.0)
    assert world.told("shutdown") == []
    world.ups["ups-1"].active = frozenset({"battery_low"})
    world.pass_time(1.0)
    assert len(world.told("shutdown")) == 1


# What people do


def test_unarmed_plan_does_nothing_and_tells_once_what_it_would_have_done() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"on_battery": 60.0})), armed=False)
    world.pass_time(1.0)
    for _ in range(2):
        world.power(Power.BATTERY)
        world.pass_time(300.0)
        world.power(Power.MAINS)
        world.pass_time(300.0)
    assert world.steps == []
    assert [key for _, key in world.journal()] == ["plan_would_have"] * 2
    with pytest.raises(Refused, match="not armed"):
        world.machine.start(world.state, world.now, world.view, "Ann")


def test_abort_calls_back_and_does_nothing_more_in_this_outage() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(100.0)
    world.computers["client-1"].takes = 20.0
    world.take(world.machine.abort(world.state, world.now, world.view, "Ann"))
    world.pass_time(2000.0)
    assert world.told("shutdown") == [(61.0, ("client-1", "client-2"))]
    assert world.told("wakeup") == [(101.0, ("client-1", "client-2"))]
    world.power(Power.MAINS)
    world.pass_time(600.0)
    assert len(world.up()) == 3
    world.power(Power.BATTERY)
    world.pass_time(100.0)
    assert len(world.told("shutdown")) == 2, "the next outage is another one"


def test_disarming_while_it_runs_aborts_it() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(70.0)
    world.take(world.machine.disarm(world.state, world.now, world.view, "Ann"))
    assert not world.state.armed
    assert len(world.told("wakeup")) == 1


def test_plan_run_by_hand_stays_down_until_it_is_started_by_hand() -> None:
    world = two_stages()
    world.take(world.machine.start(world.state, world.now, world.view, "Ann"))
    world.pass_time(3600.0)
    assert world.up() == set()
    assert world.told("start") == []
    world.take(world.machine.restart(world.state, world.now, world.view, "Ann"))
    world.pass_time(600.0)
    assert len(world.up()) == 3
    with pytest.raises(Refused, match="nothing to start"):
        world.machine.restart(world.state, world.now, world.view, "Ann")


def test_restart_by_itself_can_be_switched_off() -> None:
    world = World(plan(stage("clients", CLIENTS, trigger={"on_battery": 60.0}), enabled=False))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.power(Power.MAINS)
    world.pass_time(3600.0)
    assert world.told("start") == []
    assert world.state.run is not None
    assert world.state.run.phase is Phase.LEFT
    world.take(world.machine.restart(world.state, world.now, world.view, "Ann"))
    world.pass_time(600.0)
    assert len(world.up()) == 2


def test_member_that_another_plan_keeps_down_is_neither_withdrawn_nor_started() -> None:
    world = two_stages()
    world.computers["client-2"].takes = 20.0
    world.power(Power.BATTERY)
    world.pass_time(65.0)
    world.held = frozenset({"agent:client-1", "agent:client-2"})
    world.power(Power.MAINS)
    world.pass_time(600.0)
    assert world.told("wakeup") == []
    assert world.told("start") == []
    world.held = frozenset()
    world.pass_time(600.0)
    assert "client-2" in world.up()


def test_script_is_asked_and_answers() -> None:
    world = World(
        plan(
            stage("script", (MemberConfig("script", "tidy"),), trigger={"on_battery": 60.0}),
            stage("clients", CLIENTS, ("script",), trigger={"on_battery": 60.0}),
        )
    )
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    with pytest.raises(Refused, match="Nothing has been asked"):
        world.machine.answered(world.state, "tidy", "")
    world.pass_time(100.0)
    assert world.told("shutdown") == []
    assert [note.details for _, note in world.notes if note.key == "plan_script"] == [
        {"script": "tidy", "order": "shutdown"}
    ]
    world.state = world.machine.answered(world.state, "tidy", "")
    world.pass_time(1.0)
    assert len(world.told("shutdown")) == 1


@pytest.mark.parametrize(
    ("kind", "key", "off", "on"),
    [
        ("outlet", "ups-1/outlet-2", ("ups-1/outlet-2", "outlet.off", {}), ("ups-1/outlet-2", "outlet.on", {})),
        (
            "relay",
            "io-1/output-2",
            ("io-1", "output.set", {"number": 2.0, "state": 0.0}),
            ("io-1", "output.set", {"number": 2.0, "state": 1.0}),
        ),
    ],
    ids=["outlet", "relay"],
)
def test_switched_member_without_a_way_to_tell_is_believed(kind: str, key: str, off: object, on: object) -> None:
    world = World(plan(stage("switched", (MemberConfig(kind, key),), trigger={"on_battery": 60.0})))  # type: ignore[arg-type]
    world.devices.clear()
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(62.0)
    world.devices.clear()
    world.pass_time(10.0)
    assert world.states() == {"switched": "done"}
    world.power(Power.MAINS)
    world.pass_time(300.0)
    made = [
        (action.device, action.command, dict(action.arguments))
        for _, _, action in world.steps
        if isinstance(action, CommandAction)
    ]
    assert made == [off, on]


def test_computers_that_are_up_before_the_ups_is_heard_again_stay_up() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    assert world.up() == set()
    # Everything was off for an hour, the bridge too; the UPS's card takes longer to start than the computers.
    world.now += 3600.0
    world.state = world.machine.resumed(world.state, world.now)
    for computer in world.computers.values():
        computer.seen = Seen.UP
    world.ups["ups-1"].silent = True
    told = len(world.told("shutdown"))
    world.pass_time(300.0)
    assert len(world.told("shutdown")) == told
    world.ups["ups-1"].silent = False
    world.power(Power.MAINS)
    world.pass_time(300.0)
    assert len(world.up()) == 3
    assert world.told("start") == []
    assert world.state.run is None


def test_restarted_bridge_goes_on_without_a_ups_that_stays_silent() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(30.0)
    world.state.supplies = dict(world.state.supplies)
    world.ups["ups-1"].silent = True
    world.pass_time(100.0)
    world.computers["storage"].seen = Seen.UP
    world.state = world.machine.resumed(world.state, world.now)
    world.pass_time(200.0)
    assert world.told("shutdown")[-1][1] == ("storage",)


@pytest.mark.parametrize("moment", ["waiting", "starting"])
def test_disarmed_plan_starts_what_it_shut_down_and_shuts_nothing_down_any_more(moment: str) -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    world.power(Power.MAINS)
    world.pass_time(60.0 if moment == "waiting" else 150.0)
    world.take(world.machine.disarm(world.state, world.now, world.view, "Ann"))
    told = len(world.told("shutdown"))
    world.power(Power.BATTERY)
    world.pass_time(600.0)
    assert len(world.told("shutdown")) == told
    world.power(Power.MAINS)
    world.pass_time(900.0)
    assert len(world.up()) == 3
    assert world.state.run is None


# Seldom, but at three in the morning


def test_order_is_withdrawn_from_one_that_cannot_be_reached_as_soon_as_it_can() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(65.0)
    world.computers["client-2"].seen = Seen.UNKNOWN
    world.power(Power.MAINS)
    assert world.told("wakeup") == [(66.0, ("client-1",))]
    world.pass_time(20.0)
    world.computers["client-2"].seen = Seen.WAITING
    world.pass_time(1.0)
    assert world.told("wakeup")[1][1] == ("client-2",)


def test_what_was_left_down_is_still_known_in_the_next_outage() -> None:
    config = plan(stage("clients", CLIENTS, trigger={"on_battery": 60.0}), enabled=False)
    world = World(config)
    world.pass_time(1.0)
    for _ in range(2):
        world.power(Power.BATTERY)
        world.pass_time(300.0)
        world.power(Power.MAINS)
        world.pass_time(300.0)
    assert len(world.told("shutdown")) == 1, "they are down already"
    world.take(world.machine.restart(world.state, world.now, world.view, "Ann"))
    world.pass_time(300.0)
    assert len(world.up()) == 2


@pytest.mark.parametrize(
    ("seen", "why"),
    [(Seen.UP, "is still up"), (Seen.LOST, "has not told that it shut down")],
    ids=["up", "lost without a word"],
)
def test_why_a_member_counts_as_late(seen: Seen, why: str) -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(60.0)
    world.computers["client-1"].seen, world.computers["client-1"].ends = seen, None
    world.computers["client-1"].takes = float("inf")
    for _ in range(190):
        world.computers["client-1"].seen = seen
        world.pass_time(1.0)
    assert world.state.run is not None
    assert f"client-1 {why}" in world.state.run.stages["clients"].problem


def test_member_that_was_never_reached_is_named_and_never_started() -> None:
    world = two_stages()
    world.computers["client-2"].seen = Seen.LOST
    world.power(Power.BATTERY)
    world.pass_time(400.0)
    assert world.state.run is not None
    assert world.state.run.stages["clients"].problem == "client-2 could not be reached."
    world.power(Power.MAINS)
    world.pass_time(900.0)
    assert world.computers["client-2"].wakes == []


@pytest.mark.parametrize("known", ["charge", "nothing"])
def test_how_long_a_stage_waits_when_the_runtime_is_not_known(known: str) -> None:
    clients = stage("clients", CLIENTS, trigger={"on_battery": 60.0}, on_failure="wait", timeout=200.0)
    world = World(plan(clients, stage("storage", STORAGE, ("clients",), trigger={"charge": 60.0, "on_battery": 70.0})))
    world.pass_time(1.0)
    world.computers["client-1"].takes = float("inf")
    of_battery = world.ups["ups-1"].view

    def view(load: float) -> UpsView:
        return replace(of_battery(load), runtime=None, charge=of_battery(load).charge if known == "charge" else None)

    world.ups["ups-1"].view = view  # type: ignore[method-assign]  # a UPS that tells less
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(250.0)
    assert ("storage",) not in [agents for _, agents in world.told("shutdown")]
    world.pass_time(250.0 if known == "nothing" else 4000.0)
    assert world.told("shutdown")[-1][1] == ("storage",)
    assert (world.ups["ups-1"].percent < 31.0) is (known == "charge")


def test_plan_that_runs_is_not_run_again() -> None:
    world = two_stages()
    world.take(world.machine.start(world.state, world.now, world.view, "Ann"))
    with pytest.raises(Refused, match="running already"):
        world.machine.start(world.state, world.now, world.view, "Ann")
    with pytest.raises(Refused, match="is shutting down"):
        world.machine.restart(world.state, world.now, world.view, "Ann")
    world.pass_time(200.0)
    world.take(world.machine.restart(world.state, world.now, world.view, "Ann"))
    for command in (world.machine.start, world.machine.restart, world.machine.abort):
        with pytest.raises(Refused, match="starting everything again"):
            command(world.state, world.now, world.view, "Ann")


def test_nothing_is_started_by_hand_while_power_is_out() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(300.0)
    with pytest.raises(Refused, match="while power is out"):
        world.machine.restart(world.state, world.now, world.view, "Ann")
    world.power(Power.MAINS)
    world.pass_time(10.0)
    with pytest.raises(Refused, match="waits for power"):
        world.machine.start(world.state, world.now, world.view, "Ann")


def test_outage_that_a_person_does_not_want_to_wait_for() -> None:
    world = two_stages()
    world.power(Power.BATTERY)
    world.pass_time(10.0)
    world.take(world.machine.start(world.state, world.now, world.view, "Ann"))
    world.pass_time(200.0)
    assert world.up() == set()
    world.power(Power.MAINS)
    world.pass_time(600.0)
    assert len(world.up()) == 3, "the outage is over, so it starts again by itself"


def test_script_is_told_when_it_is_called_back() -> None:
    world = World(plan(stage("script", (MemberConfig("script", "tidy"),), trigger={"on_battery": 10.0})))
    world.pass_time(1.0)
    world.power(Power.BATTERY)
    world.pass_time(20.0)
    world.power(Power.MAINS)
    assert [note.details["order"] for _, note in world.notes if note.key == "plan_script"] == ["shutdown", "withdraw"]
