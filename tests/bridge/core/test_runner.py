"""The link runner: what becomes of a connection, and what is said of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
import logging

import pytest

from ridethrough.clock import ManualClock, settle
from ridethrough.links.base import Identity, Link, LinkError, Report
from ridethrough.links.runner import LinkRunner, LinkState, Parts
from ridethrough.site import (
    Alert,
    Change,
    CommandError,
    CommandResult,
    Commands,
    Device,
    DeviceId,
    Memories,
    Quality,
    Site,
    Value,
    keep_expiring,
)

from .conftest import UPS

OUTLET = DeviceId("id of ups-1/outlet-1")


class LineLink(Link):
    """A link whose line is a queue: what is put in happens on the line."""

    scheme = "line"
    example = "line:"
    deadline = 5.0

    def __init__(self) -> None:
        self.wire: asyncio.Queue[Exception | dict[str, Value] | None] = asyncio.Queue()
        self.starts: list[float] = []
        self.clock: ManualClock | None = None
        self.report: Report | None = None
        self.fault: Exception | None = None
        self.performed: list[tuple[str, Mapping[str, Value], str | None]] = []

    async def run(self, report: Report) -> None:
        assert self.clock is not None
        self.starts.append(self.clock.monotonic())
        self.report = report
        while (item := await self.wire.get()) is not None:
            if isinstance(item, Exception):
                raise item
            report.status(item, {"on_battery": False})

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        if self.fault is not None:
            raise self.fault
        self.performed.append((command, arguments, child))
        return CommandResult("Done.")


@pytest.fixture
def link(clock: ManualClock) -> LineLink:
    link = LineLink()
    link.clock = clock
    return link


@pytest.fixture
def commands(site: Site) -> Commands:
    return Commands(site)


@pytest.fixture
def runner(site: Site, link: LineLink, clock: ManualClock, commands: Commands) -> LinkRunner:
    """Make a runner that has not been started."""
    return LinkRunner(
        link,
        site.devices[UPS],
        site,
        commands,
        clock,
        granted=frozenset({"test", "outlet", "shutdown"}),
        mint=lambda key: DeviceId(f"id of {key}"),
    )


@pytest.fixture
async def running(runner: LinkRunner, clock: ManualClock, site: Site) -> AsyncIterator[LinkRunner]:
    """Run it, and let readings expire."""
    tasks = [asyncio.create_task(runner.run()), asyncio.create_task(keep_expiring(site, clock))]
    await settle()
    yield runner
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def on_the_line(link: LineLink, *items: Exception | dict[str, Value] | None) -> None:
    for item in items:
        link.wire.put_nowait(item)
    await settle()


def state(site: Site) -> object:
    reading = site.reading(UPS, "link.state")
    assert reading is not None
    return reading.value


def lost(site: Site) -> bool:
    return site.conditions(UPS)["communications_lost"].active


def edges(changes: list[Change]) -> list[tuple[str, bool]]:
    return [(edge.condition, edge.active) for change in changes for edge in change.edges]


async def test_answer_makes_the_connection_good_in_one_revision(
    site: Site, link: LineLink, running: LinkRunner, changes: list[Change]
) -> None:
    assert (state(site), lost(site)) == ("initialising", False)
    await on_the_line(link, {"ups.load": 20.0})
    assert (state(site), lost(site)) == ("connected", False)
    (change,) = changes
    assert set(change.points) == {(UPS, "ups.load"), (UPS, "link.state")}
    assert running.link is link


async def test_device_that_never_answered_is_blue_and_raises_no_alarm(
    site: Site,
    link: LineLink,
    running: LinkRunner,
    clock: ManualClock,
    changes: list[Change],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            await on_the_line(link, OSError("no such port"))
            await clock.advance(20)
    assert running.state is LinkState.NEVER_CONNECTED
    assert (state(site), edges(changes)) == ("never_connected", [])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    with caplog.at_level(logging.INFO):
        await on_the_line(link, {"ups.load": 20.0})
    assert caplog.messages[-1] == "UPS (ups-1) answers"


async def test_device_that_was_there_before_the_bridge_was_started_is_missed(
    site: Site, link: LineLink, commands: Commands, clock: ManualClock, changes: list[Change]
) -> None:
    device = Device(UPS, "ups-1", "ups", "UPS")
    runner = LinkRunner(link, device, site, commands, clock, granted=frozenset(), mint=DeviceId, known=True)
    running = asyncio.create_task(runner.run())
    await on_the_line(link, OSError("no such port"))
    await clock.advance(5)
    assert edges(changes) == []
    for _ in range(5):
        await on_the_line(link, OSError("no such port"))
        await clock.advance(20)
    assert (state(site), edges(changes)) == ("never_connected", [("communications_lost", True)])
    await on_the_line(link, {"ups.load": 20.0})
    assert edges(changes)[-1] == ("communications_lost", False)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_only_a_former_link_could_tell_is_over_when_the_new_one_has_told_everything(
    site: Site, link: LineLink, commands: Commands, clock: ManualClock, changes: list[Change]
) -> None:
    for condition in ("battery_bad", "on_battery"):
        site.restore(UPS, condition, clock.utc())
    runner = LinkRunner(
        link, Device(UPS, "ups-1", "ups", "UPS"), site, commands, clock, granted=frozenset(), mint=DeviceId
    )
    running = asyncio.create_task(runner.run())
    await settle()
    assert link.report is not None
    for _ in range(2):
        link.report.status({"ups.load": 20.0}, {"on_battery": True})
        assert edges(changes) == []
        await clock.advance(40)
    link.report.status({"ups.load": 20.0}, {"on_battery": True})
    assert edges(changes) == [("battery_bad", False)]
    assert site.conditions(UPS)["on_battery"].active
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_lost_connection_is_red_said_once_and_everything_is_lost(
    site: Site,
    link: LineLink,
    running: LinkRunner,
    clock: ManualClock,
    changes: list[Change],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await on_the_line(link, {"ups.load": 20.0})
    assert link.report is not None
    link.report.details({"battery.voltage": 24.0})
    link.report.child("outlet", "1", "Outlet 1").status({}, {"outlet_on": True})
    changes.clear()
    with caplog.at_level(logging.INFO):
        await on_the_line(link, LinkError("the cable is gone"))
        assert len(changes) == 1
        for _ in range(5):
            await clock.advance(20)
            await on_the_line(link, LinkError("still gone"))
        await clock.advance(20)
    assert (state(site), lost(site)) == ("lost", True)
    assert {site.readings(UPS)[key].quality for key in ("ups.load", "battery.voltage")} == {Quality.LOST}
    assert site.conditions(OUTLET)["outlet_on"].quality is Quality.LOST
    assert caplog.messages == ["UPS (ups-1) is lost: the cable is gone"]
    await on_the_line(link, {"ups.load": 20.0})
    assert (state(site), lost(site)) == ("connected", False)
    assert edges(changes) == [("communications_lost", True), ("communications_lost", False)]


async def test_connection_that_the_other_end_closes_is_lost(site: Site, link: LineLink, running: LinkRunner) -> None:
    await on_the_line(link, {"ups.load": 20.0}, None)
    assert state(site) == "lost"


async def test_silent_device_becomes_stale_though_the_line_is_open(
    site: Site, link: LineLink, running: LinkRunner, clock: ManualClock
) -> None:
    await on_the_line(link, {"ups.load": 20.0})
    await clock.advance(6)
    assert site.readings(UPS)["ups.load"].quality is Quality.STALE
    assert site.conditions(UPS)["on_battery"].quality is Quality.STALE
    assert state(site) == "connected"


async def test_waits_grow_while_it_fails_and_begin_anew_after_a_steady_connection(
    link: LineLink, running: LinkRunner, clock: ManualClock
) -> None:
    for _ in range(8):
        await on_the_line(link, OSError("down"))
        await clock.advance(20)
    link.starts.clear()
    await on_the_line(link, {"ups.load": 1.0})
    await clock.advance(60)
    await on_the_line(link, OSError("down"))
    before = clock.monotonic()
    await clock.advance(1)
    (again,) = link.starts
    assert 0.4 <= again - before <= 0.6


async def test_device_that_answers_and_goes_at_once_is_not_hammered(
    link: LineLink, running: LinkRunner, clock: ManualClock
) -> None:
    for _ in range(10):
        await on_the_line(link, {"ups.load": 1.0}, OSError("reset"))
        await clock.advance(20)
    link.starts.clear()
    await on_the_line(link, {"ups.load": 1.0}, OSError("reset"))
    await clock.advance(10)
    assert link.starts == []


async def test_slow_failure_to_connect_is_no_steady_connection(
    link: LineLink, running: LinkRunner, clock: ManualClock
) -> None:
    for _ in range(8):
        await clock.advance(60)
        await on_the_line(link, TimeoutError())
        await clock.advance(20)
    link.starts.clear()
    await on_the_line(link, TimeoutError())
    await clock.advance(10)
    assert link.starts == []


async def test_fault_of_the_link_itself_is_traced_once_and_survived(
    site: Site, link: LineLink, running: LinkRunner, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await on_the_line(link, {"ups.load": 1.0})
    for _ in range(3):
        await on_the_line(link, ZeroDivisionError("odd"))
        await clock.advance(20)
    assert caplog.text.count("nobody foresaw") == 1
    assert "is lost: odd" in caplog.text
    assert "None" not in caplog.text
    await on_the_line(link, {"ups.load": 1.0}, ExceptionGroup("x", [OSError("a"), ZeroDivisionError("b")]))
    assert caplog.text.count("nobody foresaw") == 2


async def test_group_of_foreseen_faults_is_foreseen(
    link: LineLink, running: LinkRunner, caplog: pytest.LogCaptureFixture
) -> None:
    await on_the_line(link, ExceptionGroup("x", [OSError("a"), ExceptionGroup("y", [LinkError("b")])]))
    assert "nobody foresaw" not in caplog.text
    assert "cannot be reached" in caplog.text


async def test_restored_loss_stays_until_the_device_answers(
    site: Site, link: LineLink, clock: ManualClock, commands: Commands, changes: list[Change]
) -> None:
    site.restore(UPS, "communications_lost", clock.utc())
    runner = LinkRunner(link, site.devices[UPS], site, commands, clock, granted=frozenset(), mint=DeviceId)
    task = asyncio.create_task(runner.run())
    await on_the_line(link, OSError("down"))
    assert (state(site), lost(site), edges(changes)) == ("never_connected", True, [])
    await clock.advance(5)
    await on_the_line(link, {"ups.load": 1.0})
    assert (lost(site), edges(changes)) == (False, [("communications_lost", False)])
    task.cancel()


async def test_disabled_device_is_grey_and_its_loss_is_no_alarm_any_more(
    site: Site, link: LineLink, runner: LinkRunner, clock: ManualClock, changes: list[Change], commands: Commands
) -> None:
    site.restore(UPS, "on_battery", clock.utc())
    runner.identified(UPS, Identity(commands=frozenset({"test.battery.start.quick"})))
    runner.disable()
    assert (state(site), lost(site), link.starts) == ("disabled", False, [])
    with pytest.raises(CommandError, match="cannot be reached") as caught:
        await commands.perform(UPS, "test.battery.start.quick", {})
    assert caught.value.code == "offline"


def test_disabling_clears_a_restored_loss(
    site: Site, runner: LinkRunner, clock: ManualClock, changes: list[Change]
) -> None:
    site.lane(UPS, None).post(conditions={"communications_lost": True})
    changes.clear()
    runner.disable()
    assert edges(changes) == [("communications_lost", False)]


# Commands


async def test_only_granted_commands_of_the_catalogue_are_offered(site: Site, runner: LinkRunner) -> None:
    offered = frozenset({"test.battery.start.quick", "load.off", "make.coffee"})
    runner.identified(UPS, Identity("Maker", "Model", "S1", "1.0", offered))
    device = site.devices[UPS]
    assert device.commands == {"test.battery.start.quick"}
    assert (device.manufacturer, device.model, device.serial, device.firmware) == ("Maker", "Model", "S1", "1.0")
    runner.identified(UPS, Identity())
    assert site.devices[UPS].model == "Model"
    assert site.devices[UPS].commands == frozenset()


async def test_command_reaches_the_link_with_what_was_given(
    link: LineLink, running: LinkRunner, commands: Commands
) -> None:
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    link.report.identified(Identity(commands=frozenset({"shutdown.return", "test.battery.start"})))
    assert (await commands.perform(UPS, "shutdown.return", {"delay": 60})).message == "Done."
    assert link.performed == [("shutdown.return", {"delay": 60}, None)]


async def test_command_of_an_outlet_names_the_outlet(
    site: Site, link: LineLink, running: LinkRunner, commands: Commands
) -> None:
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    link.report.child("outlet", "1", "Outlet 1").identified(Identity(commands=frozenset({"outlet.off"})))
    await commands.perform(OUTLET, "outlet.off", {})
    assert link.performed == [("outlet.off", {}, "1")]
    assert site.devices[OUTLET] == Device(
        OUTLET, "ups-1/outlet-1", "outlet", "Outlet 1", UPS, commands=frozenset({"outlet.off"})
    )


@pytest.mark.parametrize("fault", [LinkError("no echo"), TimeoutError("late"), OSError("gone")])
async def test_line_that_fails_during_a_command_is_no_answer(
    link: LineLink, running: LinkRunner, commands: Commands, fault: Exception
) -> None:
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    link.report.identified(Identity(commands=frozenset({"test.battery.start.quick"})))
    link.fault = fault
    with pytest.raises(CommandError, match=str(fault)) as caught:
        await commands.perform(UPS, "test.battery.start.quick", {})
    assert caught.value.code == "no_answer"


async def test_command_while_the_link_is_lost_is_offline(
    link: LineLink, running: LinkRunner, commands: Commands
) -> None:
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    link.report.identified(Identity(commands=frozenset({"test.battery.start.quick"})))
    await on_the_line(link, OSError("gone"))
    with pytest.raises(CommandError) as caught:
        await commands.perform(UPS, "test.battery.start.quick", {})
    assert caught.value.code == "offline"
    assert link.performed == []


# Children and counters


async def test_child_is_made_once_keeps_its_lanes_and_follows_its_name(
    site: Site, link: LineLink, running: LinkRunner, changes: list[Change]
) -> None:
    await on_the_line(link, {"ups.load": 1.0}, OSError("gone"))
    assert link.report is not None
    first = link.report.child("outlet", "1", "Outlet 1")
    assert link.report.child("outlet", "1", "Server") is first
    assert site.devices[OUTLET].name == "Server"
    first.dropped(["link.state"])
    count = len(changes)
    link.report.child("outlet", "1", "Server")
    assert len(changes) == count


async def test_child_of_a_child_belongs_to_that_child(site: Site, link: LineLink, running: LinkRunner) -> None:
    assert link.report is not None
    link.report.child("outlet", "1", "Group").child("outlet", "1", "Socket")
    inner = site.device_by_key("ups-1/outlet-1/outlet-1")
    assert inner is not None
    assert inner.parent == OUTLET


async def test_counters_are_published_now_and_then(
    site: Site, link: LineLink, running: LinkRunner, clock: ManualClock, changes: list[Change]
) -> None:
    assert link.report is not None
    clock.tick(10)
    for _ in range(100):
        link.report.count("answers")
    link.report.count("malformed", 3)
    assert len(changes) == 1
    await on_the_line(link, OSError("gone"))
    values = {key: reading.value for key, reading in site.readings(UPS).items()}
    assert (values["link.answers"], values["link.malformed"]) == (100, 3)


class RememberingLink(LineLink):
    """A link to a device that keeps a history."""

    async def history(self) -> tuple[Alert, ...]:
        if self.fault is not None:
            raise self.fault
        return (Alert(1, "", "raised", "Utility failed"),)


async def test_history_is_read_only_while_the_device_answers(
    site: Site, clock: ManualClock, commands: Commands
) -> None:
    link, memories = RememberingLink(), Memories(site)
    link.clock = clock
    runner = LinkRunner(
        link,
        site.devices[UPS],
        site,
        commands,
        clock,
        granted=frozenset(),
        mint=lambda key: DeviceId(f"id of {key}"),
        memories=memories,
    )
    with pytest.raises(CommandError, match="cannot be reached"):
        await memories.recall(UPS)
    running = asyncio.create_task(runner.run())
    link.wire.put_nowait({})
    await settle()
    assert await memories.recall(UPS) == (Alert(1, "", "raised", "Utility failed"),)
    link.fault = LinkError("timed out")
    with pytest.raises(CommandError, match="did not answer: timed out") as caught:
        await memories.recall(UPS)
    assert caught.value.code == "no_answer"
    running.cancel()


async def test_link_without_a_history_says_so(link: LineLink) -> None:
    with pytest.raises(CommandError) as caught:
        await link.history()
    assert caught.value.code == "unknown_command"


async def test_commands_that_others_offer_stay_when_the_link_names_its_own(
    running: LinkRunner, link: LineLink, site: Site
) -> None:
    device = site.devices[UPS]
    site.put(replace(device, commands=frozenset({"beeper.mute"})))
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    link.report.identified(Identity(commands=frozenset({"test.battery.start", "load.off"})))
    assert site.devices[UPS].commands == {"beeper.mute", "test.battery.start"}
    link.report.identified(Identity(commands=frozenset({"shutdown.return"})))
    assert site.devices[UPS].commands == {"beeper.mute", "shutdown.return"}


async def test_children_have_the_names_and_corrections_of_the_configuration(
    site: Site, link: LineLink, clock: ManualClock, commands: Commands
) -> None:
    """M:5555."""
    parts = Parts({("outlet", "1"): "Rack"}, {"outlet": {"outlet.voltage": -0.5, "outlet.id": 1}})
    runner = LinkRunner(
        link,
        site.devices[UPS],
        site,
        commands,
        clock,
        granted=frozenset(),
        mint=lambda key: DeviceId(f"id of {key}"),
        parts=parts,
    )
    task = asyncio.create_task(runner.run())
    await on_the_line(link, {"ups.load": 1.0})
    assert link.report is not None
    child = link.report.child("outlet", "1", "Outlet 1")
    child.status({"outlet.voltage": 230.0, "outlet.current": 1.0})
    child.details({"outlet.voltage": None})
    assert site.devices[OUTLET].name == "Rack"
    assert link.report.child("outlet", "2", "Outlet 2") is not child
    assert [device.name for device in site.devices.values() if device.kind == "outlet"] == ["Rack", "Outlet 2"]
    values = {key: reading.value for key, reading in site.readings(OUTLET).items()}
    assert values == {"outlet.voltage": 229.5, "outlet.current": 1.0}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
