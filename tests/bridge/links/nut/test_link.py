"""The NUT link in a bridge's core, against a scripted upsd."""

import asyncio
from collections.abc import Callable
from unittest.mock import ANY

import pytest

from ridethrough.clock import ManualClock, SystemClock
from ridethrough.links.base import Credentials, Link, LinkError, LinkUrl
from ridethrough.links.context import LinkContext
from ridethrough.links.nut import NutLink
from ridethrough.links.nut.link import CONFIRMATION, OUTLETS, REDISCOVERY
from ridethrough.links.probe import Sheet
from ridethrough.site import CommandError, Quality

from .conftest import UPS, Rig
from .standin import ONLINE, StandIn

type Rigs = Callable[[Link], Rig]

ME = Credentials("me", "secret")
TESTABLE = ["test.battery.start.quick", "test.battery.start", "shutdown.return", "shutdown.stayoff", "load.off"]


def link(upsd: StandIn, path: str = "/ups1", options: str = "poll=0.1&timeout=1", who: Credentials = ME) -> NutLink:
    return NutLink(LinkUrl.parse(f"nut://127.0.0.1:{upsd.port}{path}?{options}"), who, LinkContext.alone(SystemClock()))


async def connected(rigs: Rigs, upsd: StandIn, path: str = "/ups1", who: Credentials = ME) -> Rig:
    rig = rigs(link(upsd, path, who=who))
    await rig.until(lambda: rig.value("link.state") == "connected")
    return rig


# Reading


async def test_values_conditions_and_identity_are_there_after_the_first_poll(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    assert site.value("battery.charge") == 100.0
    assert site.value("input.voltage") == 230.1
    assert site.condition("on_battery") is False
    assert site.condition("charging") is True
    device = site.site.devices[UPS]
    assert (device.manufacturer, device.model, device.serial) == ("ACME", "Rack 3000", None)


async def test_a_change_is_seen_with_the_next_poll(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    upsd.variables |= {"ups.status": "OB DISCHRG", "input.voltage": "0.0"}
    await site.until(lambda: site.condition("on_battery"))
    assert site.value("input.voltage") == 0.0
    assert site.condition("charging") is False


async def test_one_request_is_enough_for_a_poll(upsd: StandIn) -> None:
    clock = ManualClock()
    sheet = Sheet()
    running = asyncio.create_task(
        NutLink(LinkUrl.parse(f"nut://127.0.0.1:{upsd.port}/ups1"), ME, LinkContext.alone(clock)).run(sheet)
    )
    await upsd.until_heard("LIST CMD")
    while not sheet.statuses:
        assert not running.done()
        await asyncio.sleep(0.01)
    before = len(upsd.heard)
    for polls in range(1, 4):
        await clock.advance(1.0)
        while sheet.statuses < polls + 1:
            await asyncio.sleep(0.01)
    assert upsd.heard[before:] == ["LIST VAR ups1"] * 3
    # What the UPS can be told is looked at again from time to time.
    await clock.advance(REDISCOVERY)
    await upsd.until_heard("LIST CMD", 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_another_driver_is_asked_at_once_what_it_can_be_told(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    assert site.site.devices[UPS].commands == frozenset()
    upsd.commands = ["beeper.mute"]
    upsd.variables["driver.name"] = "nutdrv_qx"
    await site.until(lambda: site.site.devices[UPS].commands == {"beeper.mute"})


async def test_a_variable_that_vanishes_is_stale_at_once(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    del upsd.variables["input.voltage"]
    await site.until(lambda: site.value("input.voltage") is None)
    reading = site.reading("input.voltage")
    assert reading is not None
    assert (reading.value, reading.quality) == (230.1, Quality.STALE)
    assert site.value("battery.charge") == 100.0


async def test_a_value_that_is_none_is_left_out_and_counted(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables["input.voltage"] = "n/a"
    sheet = Sheet()
    running = asyncio.create_task(link(upsd).run(sheet))
    await upsd.until_heard("LIST VAR", 4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "input.voltage" not in sheet.points
    assert sheet.counters == {"answers": ANY, "malformed": 1}


async def test_rows_that_are_cut_and_words_nobody_knows_are_counted(upsd: StandIn) -> None:
    upsd.variables["ups.status"] = "OL WIBBLE"
    upsd.script = lambda request: (
        b'BEGIN LIST VAR ups1\nVAR ups1 ups.status "OL WIBBLE"\nVAR ups1 input.volt\nEND LIST VAR ups1\n'
        if request == "LIST VAR ups1"
        else None
    )
    sheet = Sheet()
    running = asyncio.create_task(link(upsd).run(sheet))
    await upsd.until_heard("LIST VAR", 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sheet.counters["unknown"] == 1
    assert sheet.counters["malformed"] >= 2
    assert sheet.conditions["on_battery"] is False


async def test_an_alarm_that_goes_clears_its_condition(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables |= {"ups.status": "ALARM OL", "ups.alarm": "Fan failure!"}
    site = await connected(rig, upsd)
    assert site.condition("fan_failure") is True
    del upsd.variables["ups.alarm"]
    upsd.variables["ups.status"] = "OL"
    await site.until(lambda: site.condition("fan_failure") is False)
    assert site.condition("device_alarm") is False


async def test_an_alarm_that_goes_while_upsd_is_away_clears_its_condition(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables |= {"ups.status": "ALARM OL", "ups.alarm": "Fan failure!"}
    site = await connected(rig, upsd)
    await upsd.vanish()
    await site.until(lambda: site.value("link.state") == "lost")
    assert site.condition("fan_failure") is None
    upsd.variables = dict(ONLINE)
    await upsd.listen()
    await site.until(lambda: site.condition("fan_failure") is False)


async def test_an_alarm_that_goes_while_the_bridge_is_restarted_clears_its_condition(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables |= {"ups.status": "OB DISCHRG"}
    site = rig(link(upsd))
    for condition in ("fan_failure", "input_bad"):
        site.site.restore(UPS, condition, site.clock.utc())
    await site.until(lambda: site.value("link.state") == "connected")
    assert site.condition("fan_failure") is False
    # The bridge raises this one of itself, and upsd has never said a word of it.
    assert site.condition("input_bad") is None


async def test_an_empty_status_leaves_conditions_unknown(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables["ups.status"] = ""
    site = await connected(rig, upsd)
    assert site.condition("on_battery") is None
    assert site.value("battery.charge") == 100.0


# Which UPS


async def test_the_only_ups_needs_no_name(rig: Rigs, upsd: StandIn) -> None:
    upsd.names = ["garage"]
    site = await connected(rig, upsd, "")
    assert site.value("battery.charge") == 100.0


@pytest.mark.parametrize(
    ("names", "path", "says"),
    [
        (["b", "a"], "", r"has 2 UPSes \(a, b\): the link must name one"),
        ([], "", r"has 0 UPSes \(none\)"),
        (["b", "a"], "/c", r"has no UPS c; it has: a, b"),
    ],
)
async def test_a_ups_that_is_not_there_is_told_with_those_that_are(
    upsd: StandIn, names: list[str], path: str, says: str
) -> None:
    upsd.names = names
    with pytest.raises(LinkError, match=says):
        await link(upsd, path).run(Sheet())


# Losing it


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"ERR DATA-STALE\n", "driver has had no news from the UPS"),
        (b"ERR DRIVER-NOT-CONNECTED\n", "driver of the UPS does not run"),
        (
            b'BEGIN LIST VAR ups1\nVAR ups1 ups.status "OL COMMFAULT"\nEND LIST VAR ups1\n',
            "driver of ups1 has lost the UPS",
        ),
    ],
    ids=["stale", "no-driver", "severed"],
)
async def test_a_driver_that_has_lost_the_ups_is_a_lost_link_until_it_is_back(
    rig: Rigs, upsd: StandIn, caplog: pytest.LogCaptureFixture, answer: bytes, says: str
) -> None:
    site = await connected(rig, upsd)
    upsd.script = lambda request: answer if request == "LIST VAR ups1" else None
    await site.until(lambda: site.value("link.state") == "lost")
    assert site.condition("communications_lost") is True
    reading = site.reading("battery.charge")
    assert reading is not None
    assert (reading.value, reading.quality) == (100.0, Quality.LOST)
    assert any(says in message for message in caplog.messages)
    upsd.script = lambda request: None
    await site.until(lambda: site.value("link.state") == "connected")
    assert site.condition("communications_lost") is False
    assert site.value("battery.charge") == 100.0


async def test_a_driver_that_is_missing_from_the_start_is_told_by_name(upsd: StandIn) -> None:
    upsd.script = lambda request: b"ERR DRIVER-NOT-CONNECTED\n" if request.startswith("LIST VAR") else None
    with pytest.raises(LinkError, match=rf"^ups1 on upsd at 127\.0\.0\.1:{upsd.port}: upsd answers, but the driver"):
        await link(upsd).run(Sheet())
    with pytest.raises(LinkError, match=rf"^upsd at 127\.0\.0\.1:{upsd.port}: upsd answers, but the driver"):
        await link(upsd, "").run(Sheet())


async def test_an_upsd_that_vanishes_and_returns_is_found_again(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    await upsd.vanish()
    await site.until(lambda: site.value("link.state") == "lost")
    with pytest.raises(CommandError) as caught:
        await site.runner.link.perform("load.off", {})
    assert caught.value.code == "offline"
    await upsd.listen()
    await site.until(lambda: site.value("link.state") == "connected")


@pytest.mark.parametrize(("said", "counter"), [(b"", "timeouts"), (b"junk\n", "malformed")])
async def test_silence_and_junk_are_counted_and_end_the_connection(upsd: StandIn, said: bytes, counter: str) -> None:
    upsd.script = lambda request: said
    sheet = Sheet()
    with pytest.raises(LinkError, match="LIST UPS"):
        await link(upsd, options="timeout=0.2", who=Credentials()).run(sheet)
    assert sheet.counters == {counter: 1}


# Outlets


OUTLET = "ups-1/outlet-2"


async def test_outlets_are_children_with_their_own_conditions_and_commands(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables |= {
        "outlet.desc": "All",
        "outlet.1.status": "off",
        "outlet.2.desc": "Printer",
        "outlet.2.status": "on",
    }
    upsd.commands = ["outlet.2.load.on", "outlet.2.load.off", "outlet.2.load.cycle", "outlet.2.dance", "load.off"]
    site = await connected(rig, upsd)
    await site.until(lambda: site.condition("outlet_on", OUTLET) is True)
    printer = site.site.device_by_key(OUTLET)
    assert printer is not None
    assert (printer.kind, printer.name, printer.parent) == ("outlet", "Printer", UPS)
    assert {"outlet.on", "outlet.off", "outlet.cycle"} <= printer.commands
    assert site.condition("outlet_on", "ups-1/outlet-1") is False
    other = site.site.device_by_key("ups-1/outlet-1")
    assert other is not None
    assert (other.name, other.commands) == ("Outlet 1", frozenset())
    await site.perform("outlet.off", OUTLET)
    await upsd.until_heard("INSTCMD ups1 outlet.2.load.off")
    upsd.variables["outlet.2.status"] = "off"
    await site.until(lambda: site.condition("outlet_on", OUTLET) is False)


async def test_an_outlet_whose_rights_change_offers_others(rig: Rigs, upsd: StandIn) -> None:
    upsd.variables["outlet.2.status"] = "on"
    site = await connected(rig, upsd)
    upsd.commands = ["outlet.2.load.off"]
    upsd.variables["driver.name"] = "another"
    await site.until(lambda: (device := site.site.device_by_key(OUTLET)) and "outlet.off" in device.commands)


async def test_an_outlet_that_vanishes_is_stale(upsd: StandIn) -> None:
    sheet = Sheet()
    upsd.variables |= {"outlet.2.desc": "Printer"}
    running = asyncio.create_task(link(upsd).run(sheet))
    await upsd.until_heard("LIST VAR", 2)
    outlet = sheet.children["outlet", "2"]
    before = dict(outlet.points)
    del upsd.variables["outlet.2.desc"]
    await upsd.until_heard("LIST VAR", 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert set(before) <= {"outlet.desc"}
    assert outlet.points == {}


async def test_outlets_without_end_are_not_all_taken(upsd: StandIn) -> None:
    upsd.variables = dict(ONLINE) | {f"outlet.{number}.status": "on" for number in range(1, OUTLETS + 10)}
    sheet = Sheet()
    running = asyncio.create_task(link(upsd).run(sheet))
    await upsd.until_heard("LIST VAR", 3)
    # They vanish, which is of no concern for those that were never taken.
    upsd.variables = dict(ONLINE)
    await upsd.until_heard("LIST VAR", 6)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(sheet.children) == OUTLETS


# Commands


async def test_a_tracked_command_is_confirmed_when_the_driver_has_done_it(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.outcomes = ["PENDING", "PENDING", "SUCCESS"]
    site = await connected(rig, upsd)
    result = await site.perform("test.battery.start.quick")
    assert result.confirmed
    assert result.message == "ups1 has carried out test.battery.start.quick."
    assert upsd.heard.count("INSTCMD ups1 test.battery.start.quick") == 1


async def test_a_command_that_is_not_tracked_is_not_confirmed(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    site = await connected(rig, upsd)
    result = await site.perform("load.off")
    assert not result.confirmed
    assert "passed load.off on" in result.message


async def test_a_driver_that_takes_its_time_is_not_waited_for_for_ever(upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.outcomes = ["PENDING"]
    clock = ManualClock()
    nut = NutLink(LinkUrl.parse(f"nut://127.0.0.1:{upsd.port}/ups1"), ME, LinkContext.alone(clock))
    running = asyncio.create_task(nut.run(Sheet()))
    await upsd.until_heard("LIST CMD")
    while not nut.raw():
        assert not running.done()
        await asyncio.sleep(0.01)
    performing = asyncio.create_task(nut.perform("load.off", {}))
    asked = 0
    while not performing.done():
        asked += 1
        await upsd.until_heard("GET TRACKING", min(asked, 3))
        await clock.advance(CONFIRMATION / 2)
    assert not (await performing).confirmed
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_the_driver_fails_to_do_is_refused(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.outcomes = ["PENDING", "ERR FAILED"]
    site = await connected(rig, upsd)
    with pytest.raises(CommandError, match="failed to do it") as caught:
        await site.perform("load.off")
    assert caught.value.code == "refused"


async def test_denied_access_says_what_the_user_needs(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.script = lambda request: b"ERR ACCESS-DENIED\n" if request.startswith(("INSTCMD", "SET VAR")) else None
    upsd.writable = {"ups.delay.shutdown"}
    site = await connected(rig, upsd)
    with pytest.raises(CommandError, match=r"user 'me'.*instcmds = load\.off \(or ALL\)") as caught:
        await site.perform("load.off")
    assert caught.value.code == "refused"
    with pytest.raises(CommandError, match="actions = SET"):
        await site.perform("shutdown.return", delay=60)
    assert not any(request.startswith("INSTCMD ups1 shutdown") for request in upsd.heard)


async def test_without_a_user_name_nothing_is_tracked_and_the_refusal_says_so(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.script = lambda request: b"ERR USERNAME-REQUIRED\n" if request.startswith("INSTCMD") else None
    site = await connected(rig, upsd, who=Credentials())
    with pytest.raises(CommandError, match="put username: and password:"):
        await site.perform("load.off")
    assert not any(request.startswith(("USERNAME", "PASSWORD", "SET TRACKING")) for request in upsd.heard)


async def test_a_delay_is_set_before_the_shutdown_is_given(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.writable = {"ups.delay.shutdown", "ups.delay.start"}
    upsd.outcomes = ["SUCCESS"]
    site = await connected(rig, upsd)
    assert (await site.perform("shutdown.return", delay=60, restore=180)).confirmed
    sent = [request for request in upsd.heard if request.startswith(("SET VAR", "INSTCMD"))]
    assert sent == [
        "SET VAR ups1 ups.delay.shutdown 60",
        "SET VAR ups1 ups.delay.start 180",
        "INSTCMD ups1 shutdown.return",
    ]


async def test_a_delay_that_is_not_tracked_is_read_back(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.writable = {"ups.delay.shutdown"}
    site = await connected(rig, upsd)
    assert not (await site.perform("shutdown.stayoff", delay=60)).confirmed
    assert "GET VAR ups1 ups.delay.shutdown" in upsd.heard
    assert upsd.heard[-1] != "GET VAR ups1 ups.delay.shutdown"


@pytest.mark.parametrize("outcomes", [[], ["PENDING"]], ids=["untracked", "tracked"])
async def test_without_the_delay_asked_for_no_shutdown_is_given(upsd: StandIn, outcomes: list[str]) -> None:
    upsd.commands = TESTABLE
    upsd.writable = {"ups.delay.shutdown"}
    upsd.outcomes = outcomes
    ignored = b"OK\n" if not outcomes else b"OK TRACKING 1\n"
    upsd.script = lambda request: ignored if request.startswith("SET VAR") else None
    clock = ManualClock()
    nut = NutLink(LinkUrl.parse(f"nut://127.0.0.1:{upsd.port}/ups1"), ME, LinkContext.alone(clock))
    running = asyncio.create_task(nut.run(Sheet()))
    while not nut.raw():
        assert not running.done()
        await asyncio.sleep(0.01)
    performing = asyncio.create_task(nut.perform("shutdown.return", {"delay": 60}))
    await upsd.until_heard("SET VAR")
    while not performing.done():
        await clock.advance(CONFIRMATION / 10)
        await asyncio.sleep(0.01)
    with pytest.raises(CommandError, match="nothing else was sent") as caught:
        await performing
    assert caught.value.code == "no_answer"
    assert not any(request.startswith("INSTCMD") for request in upsd.heard)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_test_of_a_chosen_length_has_a_parameter(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    upsd.variables["driver.name"] = "nutdrv_qx"
    site = await connected(rig, upsd)
    await site.perform("test.battery.start", duration=5)
    await upsd.until_heard("INSTCMD ups1 test.battery.start 300")


async def test_a_command_that_this_ups_has_not_is_unknown(rig: Rigs, upsd: StandIn) -> None:
    site = await connected(rig, upsd)
    with pytest.raises(CommandError) as caught:
        await site.runner.link.perform("load.off", {})
    assert caught.value.code == "unknown_command"


async def test_an_upsd_that_does_not_answer_a_command_is_no_answer(rig: Rigs, upsd: StandIn) -> None:
    upsd.commands = TESTABLE
    site = await connected(rig, upsd)
    upsd.script = lambda request: b"" if request.startswith("INSTCMD") else None
    with pytest.raises(CommandError, match="lost while giving load.off") as caught:
        await site.perform("load.off")
    assert caught.value.code == "no_answer"
    # The link notices, and is there again.
    upsd.script = lambda request: None
    await site.until(lambda: upsd.connections > 1 and site.value("link.state") == "connected")


async def test_raw_values_are_those_of_the_last_poll(upsd: StandIn) -> None:
    nut = link(upsd)
    assert nut.raw() == ()
    running = asyncio.create_task(nut.run(Sheet()))
    await upsd.until_heard("LIST VAR", 2)
    assert {value.name: value.text for value in nut.raw()} == ONLINE
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
