"""Commands to devices and agents, entries in the event log, and what a drill leaves undone."""

import asyncio
from dataclasses import replace
from typing import Literal, cast

import pytest

from ridethrough.config.actions import (
    ACTIONS,
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    RemoteAction,
    TrapAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.events import JournalError
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.jobs import KINDS, Jobs
from ridethrough.site import Arguments, CommandError, CommandResult, Device

from .rig import LIMITS, Shop, happened, refused

VERBS = ("agent.message", "agent.execute", "agent.shutdown", "agent.wakeup", "agent.drill", "agent.start")


def agents(shop: Shop, count: int) -> list[Device]:
    """Add agents that take everything."""
    return [
        shop.world.device(f"agent-{number}", "agent", commands=VERBS, name=f"Server {number}")
        for number in range(1, count + 1)
    ]


def answer(shop: Shop, device: Device, error: CommandError | None) -> asyncio.Event:
    """Let a device refuse, or (None) not answer until the event is set."""
    go = asyncio.Event()

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        if error is not None:
            raise error
        await go.wait()
        return CommandResult("At last.")

    shop.world.commands.offer(device.id, perform)
    return go


def test_every_kind_of_action_can_be_carried_out() -> None:
    assert set(KINDS) == set(ACTIONS)


async def test_command_goes_to_the_device_of_that_key(shop: Shop, ups: Device) -> None:
    action = CommandAction(device="ups-1", command="test.battery.start.quick")
    said = await shop.configure().perform(action, Occasion("schedule:weekly"))
    assert said == "ups-1: test.battery.start.quick was given."
    assert shop.world.given == [("ups-1", "test.battery.start.quick", {})]
    (noted,) = await shop.journal("test.battery.start.quick")
    assert noted.details["actor"] == "schedule:weekly"


async def test_command_without_a_device_goes_to_the_one_of_the_event(shop: Shop, ups: Device) -> None:
    action = CommandAction(device="", command="shutdown.return", arguments={"delay": 60.0})
    await shop.configure().perform(action, happened(ups))
    assert shop.world.given == [("ups-1", "shutdown.return", {"delay": 60.0})]


async def test_placeholders_in_arguments_are_filled_in(shop: Shop, ups: Device) -> None:
    agents(shop, 1)
    action = CommandAction(device="agent-1", command="agent.message", arguments={"text": "Now: {event}"})
    await shop.configure().perform(action, happened(ups))
    assert shop.world.given == [("agent-1", "agent.message", {"text": "Now: on_battery"})]


async def test_who_tests_a_job_is_in_the_journal(shop: Shop, ups: Device) -> None:
    occasion = Occasion("job:off", actor="Control room", test=True)
    await shop.configure().perform(CommandAction(device="ups-1", command="load.off"), occasion)
    (noted,) = await shop.journal("load.off")
    assert noted.details["actor"] == "job:off, tested by Control room"


@pytest.mark.parametrize(
    ("device", "command", "said", "again"),
    [
        pytest.param("ups-9", "load.off", "There is no device ups-9 at the moment.", True, id="no-device"),
        pytest.param(
            "", "load.off", "load.off is for the device of the event, but there is none", False, id="no-event"
        ),
        pytest.param("ups-1", "load.on", "ups-1 does not offer load.on,", False, id="not-granted"),
        pytest.param("ups-1", "no.such", "A ups has no command no.such.", False, id="unknown"),
    ],
)
async def test_command_that_cannot_be_given(
    shop: Shop, ups: Device, device: str, command: str, said: str, again: bool
) -> None:
    error = await refused(shop.configure().perform(CommandAction(device=device, command=command), Occasion("job:x")))
    assert said in str(error)
    assert error.again is again


@pytest.mark.parametrize(
    ("code", "again"),
    [pytest.param("offline", True, id="offline"), pytest.param("no_answer", False, id="perhaps-done")],
)
async def test_only_what_has_not_reached_the_device_is_tried_again(
    shop: Shop, ups: Device, code: str, again: bool
) -> None:
    answer(shop, ups, CommandError(code, "Nobody is there."))
    error = await refused(shop.configure().perform(CommandAction(device="ups-1", command="load.off"), happened(ups)))
    assert (str(error), error.again) == ("ups-1: Nobody is there.", again)


async def test_device_that_never_answers_is_not_waited_for_without_end(shop: Shop, ups: Device) -> None:
    go = answer(shop, ups, None)
    jobs = shop.configure(limits=replace(LIMITS, order=0.05))
    error = await refused(jobs.perform(CommandAction(device="ups-1", command="load.off"), happened(ups)))
    assert str(error) == "ups-1 has not answered to load.off within 0.05 s."
    assert not error.again
    go.set()


async def test_shutdown_goes_to_all_agents_side_by_side(shop: Shop, ups: Device) -> None:
    agents(shop, 3)
    action = AgentAction(verb="shutdown", text="Down: {event}", delay=30.0)
    said = await shop.configure().perform(action, happened(ups))
    assert said == "agent.shutdown: 3 of 3 agents have taken it. Taken by Server 1, Server 2, Server 3."
    expected = {"delay": 30.0, "reason": "Down: on_battery"}
    assert sorted(shop.world.given, key=lambda row: row[0]) == [
        (f"agent-{number}", "agent.shutdown", expected) for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("verb", ["shutdown", "wakeup"])
async def test_computers_that_are_down_need_not_be_told_again(
    shop: Shop, ups: Device, verb: Literal["shutdown", "wakeup"]
) -> None:
    devices = agents(shop, 3)
    for device in devices[1:]:
        shop.world.site.lane(device.id, None).post({"agent.state": "down"})
    jobs = shop.configure()
    said = await jobs.perform(AgentAction(verb=verb), happened(ups))
    assert said == f"agent.{verb}: 1 of 1 agents have taken it. 2 are down already. Taken by Server 1."
    assert [key for key, *_ in shop.world.given] == ["agent-1"]
    said = await jobs.perform(AgentAction(verb=verb, agents=("agent-2",)), happened(ups))
    assert said == f"agent.{verb}: 1 is down already."


@pytest.mark.parametrize(
    ("action", "given"),
    [
        pytest.param(AgentAction(verb="wakeup", agents=("agent-2",)), ("agent.wakeup", {}), id="wakeup"),
        pytest.param(AgentAction(verb="start", agents=("agent-2",)), ("agent.start", {}), id="start"),
        pytest.param(
            AgentAction(verb="execute", agents=("agent-2",), program="stop-database"),
            ("agent.execute", {"program": "stop-database"}),
            id="execute",
        ),
        pytest.param(
            AgentAction(verb="message", agents=("agent-2",)),
            ("agent.message", {"text": "ups-1: On battery: begun"}),
            id="message",
        ),
    ],
)
async def test_agents_are_told_what_the_action_says(
    shop: Shop, ups: Device, action: AgentAction, given: tuple[str, dict[str, str]]
) -> None:
    agents(shop, 2)
    await shop.configure().perform(action, happened(ups))
    assert shop.world.given == [("agent-2", *given)]


async def test_each_agents_outcome_is_told(shop: Shop, ups: Device) -> None:
    _, second, _ = agents(shop, 3)
    answer(shop, second, CommandError("offline", "It is not connected."))
    action = AgentAction(verb="shutdown", agents=("agent-1", "agent-2", "agent-7"))
    error = await refused(shop.configure().perform(action, happened(ups)))
    assert str(error) == (
        "agent.shutdown: 1 of 3 agents have taken it. Taken by Server 1. agent-7: there is no such agent at the moment. "
        "Server 2: It is not connected."
    )
    assert error.again


async def test_what_some_have_run_is_not_run_again_for_the_others(shop: Shop, ups: Device) -> None:
    first, second = agents(shop, 2)
    answer(shop, second, CommandError("offline", "It is not connected."))
    action = AgentAction(verb="execute", program="stop-database")
    assert not (await refused(shop.configure().perform(action, happened(ups)))).again
    answer(shop, first, CommandError("offline", "It is not connected."))
    assert (await refused(shop.configure().perform(action, happened(ups)))).again


async def test_of_a_thousand_failures_not_all_are_told_in_full(shop: Shop, ups: Device) -> None:
    for agent in agents(shop, 60):
        answer(shop, agent, CommandError("offline", "It is not connected."))
    said = str(await refused(shop.configure().perform(AgentAction(verb="shutdown"), happened(ups))))
    assert said.startswith("agent.shutdown: 0 of 60 agents have taken it. Server 1: It is not connected.")
    assert "So it is with 50 more: Server 11, Server 12" in said
    assert len(said) < 1500


async def test_without_agents_nobody_is_shut_down_and_it_is_said(shop: Shop) -> None:
    error = await refused(shop.configure().perform(AgentAction(verb="shutdown"), Occasion("job:x")))
    assert str(error).startswith("There are no agents")


async def test_messages_that_are_not_taken_do_not_keep_a_shutdown_waiting(shop: Shop, ups: Device) -> None:
    (agent,) = agents(shop, 1)
    given: list[str] = []

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        if command == "agent.message":
            await asyncio.Event().wait()
        given.append(command)
        return CommandResult("Good.")

    shop.world.commands.offer(agent.id, perform)
    jobs = shop.configure(limits=replace(LIMITS, order=30.0))
    messages = [asyncio.create_task(jobs.perform(AgentAction(verb="message"), happened(ups))) for _ in range(200)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(2):
        await jobs.perform(AgentAction(verb="shutdown"), happened(ups))
    assert given == ["agent.shutdown"]
    for message in messages:
        message.cancel()
    await asyncio.gather(*messages, return_exceptions=True)


async def test_snmp_test_trap_is_an_order_to_the_feed(shop: Shop) -> None:
    jobs = shop.configure()
    assert "There is no SNMP feed" in str(await refused(jobs.perform(TrapAction(), Occasion("job:x"))))
    shop.world.device("bridge/feed-snmp", "feed")
    assert "may not be commanded" in str(await refused(jobs.perform(TrapAction(), Occasion("job:x"))))
    shop.world.device("bridge/feed-snmp", "feed", commands=("feed.test",))
    assert await jobs.perform(TrapAction(), Occasion("job:x")) == "bridge/feed-snmp: feed.test was given."


async def test_log_entry_is_of_the_device_and_says_why(shop: Shop, ups: Device) -> None:
    said = await shop.configure().perform(LogAction(text="40 % left\n{event}"), happened(ups))
    assert said == "The event log has it: 40 % left on_battery"
    (entry,) = await shop.journal("job_log")
    assert (entry.device, entry.details) == (ups.id, {"text": "40 % left on_battery", "origin": "job:notify"})


async def test_log_entry_of_a_test_names_who_tests(shop: Shop) -> None:
    await shop.configure().perform(LogAction(text="Hello"), Occasion("job:x", actor="Anna", test=True))
    (entry,) = await shop.journal("job_log")
    assert entry.device == shop.context.bridge.id
    assert entry.details == {"text": "Test: Hello", "origin": "job:x", "actor": "Anna"}


async def test_log_entry_waits_for_a_journal_that_cannot_be_written(shop: Shop) -> None:
    class Stuck:
        async def record(self, event: object) -> object:
            return await asyncio.Event().wait()

    class Broken:
        async def record(self, event: object) -> object:
            raise JournalError("the disk is full")

    shop.context = replace(shop.context, recorder=Stuck(), limits=replace(LIMITS, record=0.02))
    said = await Jobs(shop.context).perform(LogAction(text="Hello"), Occasion("job:x"))
    assert said == "The event log will have it when the journal can be written again: Hello"
    shop.context = replace(shop.context, recorder=Broken())
    error = await refused(Jobs(shop.context).perform(LogAction(text="Hello"), Occasion("job:x")))
    assert (str(error), error.again) == ("The event log cannot be written: the disk is full", True)


@pytest.mark.parametrize(
    ("action", "noted"),
    [
        pytest.param(CommandAction(device="ups-1", command="load.off"), "load.off of ups-1", id="command"),
        pytest.param(
            CommandAction(device="", command="load.off"), "load.off of the device of the event", id="of-the-event"
        ),
        pytest.param(AgentAction(verb="execute", program="x"), "agent.execute of all agents", id="execute"),
        pytest.param(AgentAction(verb="start", agents=("a", "b")), "agent.start of a, b", id="start"),
        pytest.param(WakeOnLanAction(macs=("00:11:22:33:44:55",)), "wake-on-LAN of 00:11:22:33:44:55", id="wake"),
        pytest.param(DatagramAction(), "RCCMD datagram", id="datagram"),
        pytest.param(WebhookAction(webhook="panel"), "webhook panel", id="webhook"),
        pytest.param(RemoteAction(bridge="b", device="io", command="output.set"), "output.set of io at b", id="remote"),
    ],
)
async def test_drill_only_notes_what_switches(shop: Shop, ups: Device, action: Action, noted: str) -> None:
    said = await shop.configure().perform(action, happened(ups, drill=True))
    assert said == f"A drill: not done, only noted: {noted}."
    assert shop.world.given == []


async def test_drill_has_agents_rehearse_and_messages_marked(shop: Shop, ups: Device) -> None:
    agents(shop, 1)
    jobs = shop.configure()
    await jobs.perform(AgentAction(verb="shutdown"), happened(ups, drill=True))
    await jobs.perform(AgentAction(verb="message", text="Save your work"), happened(ups, drill=True))
    assert shop.world.given == [
        ("agent-1", "agent.drill", {}),
        ("agent-1", "agent.message", {"text": "Drill: Save your work"}),
    ]


async def test_drill_asks_the_agent_that_a_plan_names(shop: Shop, ups: Device) -> None:
    agents(shop, 1)
    action = CommandAction(device="agent-1", command="agent.drill")
    await shop.configure().perform(action, happened(ups, drill=True))
    assert shop.world.given == [("agent-1", "agent.drill", {})]


async def test_repetition_is_marked(shop: Shop, ups: Device) -> None:
    agents(shop, 1)
    await shop.configure().perform(AgentAction(verb="message", text="Save"), happened(ups, test=True, retry=True))
    marked = "Test: (repeated, it may have been sent before) Save"
    assert shop.world.given == [("agent-1", "agent.message", {"text": marked})]


async def test_unknown_action_and_unforeseen_failure_are_errors_in_words(
    shop: Shop, ups: Device, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = shop.configure()
    assert "Nobody knows how to carry out Action" in str(await refused(jobs.perform(Action(), Occasion("job:x"))))
    broken = CommandAction(device="ups-1", command="load.off", arguments=cast("dict[str, float]", 3))
    assert "its log says more" in str(await refused(jobs.perform(broken, Occasion("job:x"))))
    assert "A command failed in a way nobody foresaw" in caplog.text


async def test_too_many_of_a_kind_are_refused_at_once(shop: Shop, ups: Device) -> None:
    go = answer(shop, ups, None)
    jobs = shop.configure(limits=replace(LIMITS, waiting=3, order=30.0))
    action = CommandAction(device="ups-1", command="load.off")
    tasks = [asyncio.create_task(jobs.perform(action, happened(ups))) for _ in range(100)]
    await asyncio.sleep(0.05)
    error = await refused(jobs.perform(action, happened(ups)))
    assert error.again
    assert "3 actions of the kind command wait already" in str(error)
    go.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 67
    assert all(isinstance(outcome, str | ActionError) for outcome in outcomes)
