"""What Debian's snmptrapd and tshark make of our notifications, and receivers that come and go."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
import logging
from pathlib import Path
import socket

import pytest

from ridethrough.clock import ManualClock
from ridethrough.config.feeds import SnmpReceiver
from ridethrough.feeds.snmp import notifications, receivers
from ridethrough.feeds.snmp.alarm_table import AlarmChange, AlarmEntry
from ridethrough.feeds.snmp.engine_identity import load_identity
from ridethrough.site import CommandError
from tests.bridge.feeds.fuzz import never_stalled, watching_work
from tests.bridge.feeds.rig import World, a_world, free_port
from tests.bridge.feeds.shark import capturing

from .rig import telling
from .trapd import USERS, Snmptrapd, the_user

UPS = ".1.3.6.1.2.1.33"
TRAP_OID = ".1.3.6.1.6.3.1.1.4.1.0 = OID: "
COLD, WARM = (f"{TRAP_OID}.1.3.6.1.6.3.1.1.5.{number}" for number in (1, 2))
ADDED, REMOVED = f"{TRAP_OID}{UPS}.2.3", f"{TRAP_OID}{UPS}.2.4"
PATIENCE = 10.0


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.peer
async def test_v1_has_the_fields_of_rfc_3584(world: World, tmp_path: Path) -> None:
    ups = world.ups()
    async with (
        Snmptrapd(tmp_path / "trapd") as trapd,
        telling(world, SnmpReceiver("127.0.0.1", trapd.port, version="1")),
    ):
        await trapd.wait(1)
        world.post(ups, conditions={"overload": True})
        began, alarm = await trapd.wait(2)
    # The agent's address, enterprise, generic and (after a dot) specific number, and the variables.
    assert began == "v1|127.0.0.1|.1.3.6.1.6.3.1.1.5|0|0|"
    row = f"{UPS}.1.6.2.1.1.1 = INTEGER: 1\t{UPS}.1.6.2.1.2.1 = OID: {UPS}.1.6.3.8"
    assert alarm == f"v1|127.0.0.1|{UPS}.2|6|.3|{row}"


@pytest.mark.peer
@pytest.mark.parametrize("inform", [False, True], ids=["trap", "inform"])
async def test_v2c_begins_with_the_time_and_what_it_is(world: World, tmp_path: Path, inform: bool) -> None:
    ups = world.ups()
    async with (
        Snmptrapd(tmp_path / "trapd") as trapd,
        telling(world, SnmpReceiver("127.0.0.1", trapd.port, inform=inform)) as told,
    ):
        await trapd.wait(1, COLD)
        world.post(ups, conditions={"overload": True})
        (line,) = await trapd.wait(1, ADDED)
        world.post(ups, conditions={"overload": False})
        (gone,) = await trapd.wait(1, REMOVED)
        await until(lambda: told.traffic.requests == 3)
    row = f"{UPS}.1.6.2.1.1.1 = INTEGER: 1\t{UPS}.1.6.2.1.2.1 = OID: {UPS}.1.6.3.8"
    assert line.startswith("v2|.1.3.6.1.2.1.1.3.0 = ")
    assert line.endswith(f"\t{ADDED}\t{row}")
    assert gone.endswith(f"\t{REMOVED}\t{row}")
    assert told.traffic.errors == 0


@pytest.mark.peer
async def test_v3_works_with_every_pair_of_protocols(world: World, tmp_path: Path) -> None:
    world.ups()
    engine = (await load_identity(world.context)).engine_id
    async with Snmptrapd(tmp_path / "trapd", engines=[engine]) as trapd:
        wanted = [
            SnmpReceiver("127.0.0.1", trapd.port, version="3", user=user.name, inform=inform)
            for user in USERS
            for inform in (False, True)
        ]
        async with telling(world, *wanted) as told:
            await trapd.wait(len(wanted), COLD)
            await until(lambda: told.traffic.requests == len(wanted))
        assert len(trapd.lines) == len(wanted) == 62
    assert told.traffic.errors == 0


@pytest.mark.peer
@pytest.mark.parametrize("inform", [False, True], ids=["trap", "inform"])
async def test_v3_is_still_believed_after_a_restart_of_the_bridge(tmp_path: Path, inform: bool) -> None:
    user = USERS[-1].name
    async with a_world(tmp_path) as world:
        world.ups()
        first = await load_identity(world.context)
        async with Snmptrapd(tmp_path / "trapd", engines=[first.engine_id]) as trapd:
            receiver = SnmpReceiver("127.0.0.1", trapd.port, version="3", user=user, inform=inform)
            for start in (2, 3, 4):
                async with telling(world, receiver) as told:
                    await trapd.wait(start - 1)
                assert told.identity.engine_id == first.engine_id
                assert told.identity.boots == start
        # What it shows is the same as before: the agent was only away.
        assert [COLD in line for line in trapd.lines] == [True, False, False]
        assert [WARM in line for line in trapd.lines] == [False, True, True]


@pytest.mark.peer
@pytest.mark.parametrize("user", ["user-none-none", "user-sha256-aes"])
async def test_inform_is_confirmed_by_a_receiver_that_was_replaced(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setattr(receivers, "ANSWER", (0.5,))
    ups = world.ups()
    first = Snmptrapd(tmp_path / "first", engine="first")
    second = Snmptrapd(tmp_path / "second", engine="second", port=first.port)
    async with telling(world, SnmpReceiver("127.0.0.1", first.port, version="3", user=user, inform=True)):
        async with first:
            await first.wait(1, COLD)
        async with second:
            world.post(ups, conditions={"overload": True})
            await second.wait(1, ADDED)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"password": "something-else"}, "it has another password"),
        # net-snmp says nothing to what it cannot decrypt.
        ({"privacy_password": "something-else"}, "it does not answer"),
        ({"name": "nobody"}, "it does not know this user"),
    ],
    ids=["password", "privacy", "name"],
)
async def test_log_says_what_a_receiver_has_against_a_user(
    world: World,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    other: dict[str, str],
    reason: str,
) -> None:
    monkeypatch.setattr(receivers, "ANSWER", (0.5,))
    world.ups()
    user = replace(the_user("sha256", "aes"), **other)  # type: ignore[arg-type] # all of them are texts
    async with Snmptrapd(tmp_path / "trapd") as trapd:
        receiver = SnmpReceiver("127.0.0.1", trapd.port, version="3", user=user.name, inform=True)
        async with telling(world, receiver, users=(user,)):
            await until(lambda: "does not take SNMP notifications" in caplog.text)
    assert f"does not take SNMP notifications: {reason}" in caplog.text


@pytest.mark.peer
async def test_trap_that_nobody_took_is_sent_again_when_somebody_listens(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(receivers, "ANSWER", (0.2, 0.2))
    caplog.set_level(logging.INFO, "ridethrough")
    ups = world.ups()
    trapd = Snmptrapd(tmp_path / "trapd")
    async with telling(world, SnmpReceiver("127.0.0.1", trapd.port)) as told:
        await until(lambda: "does not take SNMP notifications: nobody listens there" in caplog.text)
        world.post(ups, conditions={"overload": True})
        world.post(ups, conditions={"overload": False})
        async with trapd:
            await trapd.wait(3)
            assert [COLD in trapd.lines[0], ADDED in trapd.lines[1], REMOVED in trapd.lines[2]] == [True] * 3
            await until(lambda: told.traffic.requests == 3)
    said = [record.message for record in caplog.records if "SNMP notifications" in record.message]
    assert len(said) == 2
    assert said[1] == f"127.0.0.1:{trapd.port} takes SNMP notifications again; 0 were dropped so far"


@pytest.mark.peer
@pytest.mark.parametrize("receiver", [{"version": "2c"}, {"version": "3", "user": "user-sha-aes"}], ids=["v2c", "v3"])
async def test_inform_waits_for_a_receiver_that_confirms_nothing(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    receiver: dict[str, str],
) -> None:
    monkeypatch.setattr(receivers, "ANSWER", (0.2, 0.2))
    caplog.set_level(logging.INFO, "ridethrough")
    ups = world.ups()
    async with (
        Snmptrapd(tmp_path / "trapd") as trapd,
        telling(world, SnmpReceiver("127.0.0.1", trapd.port, inform=True, **receiver)) as told,  # type: ignore[arg-type] # words
    ):
        await until(lambda: told.traffic.requests == 1)
        trapd.freeze()
        world.post(ups, conditions={"overload": True})
        await until(lambda: "does not take SNMP notifications: it does not answer" in caplog.text)
        await asyncio.sleep(0.5)  # two more attempts
        assert told.traffic.requests == 1
        trapd.freeze(frozen=False)
        await until(lambda: told.traffic.requests == 2)
        assert told.traffic.errors == 0
    assert caplog.text.count("does not take SNMP notifications") == 1
    assert caplog.text.count("takes SNMP notifications again") == 1


async def test_what_has_waited_too_long_is_dropped_and_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_world(tmp_path, clock) as world:
        ups = world.ups()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", 0))
            receiver = SnmpReceiver("127.0.0.1", deaf.getsockname()[1], inform=True)
            async with telling(world, receiver) as told:
                await until(lambda: _received(deaf))
                world.post(ups, conditions={"overload": True})
                # The first waits for an answer all this time, the second behind it.
                for _ in range(70):
                    await clock.advance(10)
                (only,) = told.notifications.receivers
                assert only.dropped == told.traffic.errors == 2
                assert told.traffic.requests == 0


async def test_the_oldest_give_way_when_too_many_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "MOST", 10)
    ups = world.ups()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        receiver = SnmpReceiver("127.0.0.1", deaf.getsockname()[1], inform=True)
        async with telling(world, receiver) as told:
            await until(lambda: _received(deaf))
            for _ in range(10):
                world.post(ups, conditions={"overload": True})
                world.post(ups, conditions={"overload": False})
            assert told.notifications.receivers[0].dropped == 10


@pytest.mark.peer
async def test_a_burst_reaches_its_receivers_and_leaves_the_loop_alone(world: World, tmp_path: Path) -> None:
    world.ups()
    engine = (await load_identity(world.context)).engine_id
    async with Snmptrapd(tmp_path / "trapd", engines=[engine]) as trapd:
        wanted = (
            SnmpReceiver("127.0.0.1", trapd.port, version="1"),
            SnmpReceiver("127.0.0.1", trapd.port),
            SnmpReceiver("127.0.0.1", trapd.port, inform=True),
            SnmpReceiver("127.0.0.1", trapd.port, version="3", user="user-sha512-aes256"),
            SnmpReceiver("127.0.0.1", trapd.port, version="3", user="user-sha512-aes256", inform=True),
        )
        async with telling(world, *wanted) as told:
            await trapd.wait(5)
            async with watching_work() as spans:
                for index in range(500):
                    entry = AlarmEntry(index, f"{UPS[1:]}.1.6.3.{index % 20 + 3}", 0.0)
                    told.notifications.alarm_changed(AlarmChange(entry, added=index % 2 == 0))
                async with asyncio.timeout(30):
                    while told.traffic.requests < 5 * 501:
                        await asyncio.sleep(0.05)
            await trapd.wait(5 * 501)
    never_stalled(spans)


@pytest.mark.peer
async def test_a_decoder_finds_nothing_malformed(world: World, tmp_path: Path) -> None:
    ups = world.ups()
    engine = (await load_identity(world.context)).engine_id
    async with Snmptrapd(tmp_path / "trapd", engines=[engine]) as trapd:
        port = trapd.port
        wanted = [SnmpReceiver("127.0.0.1", port, version="1"), SnmpReceiver("127.0.0.1", port)]
        wanted += [SnmpReceiver("127.0.0.1", port, inform=True)]
        for user in ("user-none-none", "user-sha-none", "user-sha-aes"):
            wanted += [SnmpReceiver("127.0.0.1", port, version="3", user=user, inform=one) for one in (False, True)]
        async with (
            capturing(tmp_path, f"udp port {port}", f"udp.port=={port},snmp") as capture,
            telling(world, *wanted),
        ):
            await trapd.wait(len(wanted))
            world.post(ups, {"battery.runtime": 1200.0, "battery.runtime.low": 120.0}, {"on_battery": True})
            await trapd.wait(2 * len(wanted))
        assert await capture.malformed() == []
        packets = await capture.packets("snmp")
        assert len(packets) > 2 * len(wanted)
        # Whatever is not encrypted can be read: v1 with its enterprise, v2c and v3 with the OID of the trap.
        assert ["1.3.6.1.2.1.33.2"] in await capture.packets("snmp.enterprise", "snmp.enterprise")
        readable = await capture.packets("snmp.value.oid == 1.3.6.1.2.1.33.2.1", "snmp.value.oid")
        assert len(readable) >= 6


@pytest.mark.peer
async def test_a_test_says_what_became_of_it(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "TEST_PATIENCE", 1.0)
    world.ups()
    async with Snmptrapd(tmp_path / "trapd") as trapd:
        nowhere = free_port(socket.SOCK_DGRAM)
        wanted = (
            SnmpReceiver("localhost", trapd.port),
            SnmpReceiver("127.0.0.1", trapd.port, inform=True),
            SnmpReceiver("127.0.0.1", trapd.port, version="1"),
            SnmpReceiver("127.0.0.1", nowhere),
        )
        async with telling(world, *wanted) as told:
            await trapd.wait(3)
            said = await told.notifications.test()
            (line, _) = await trapd.wait(2, f"{TRAP_OID}{UPS}.2.2")
            await trapd.wait(1, f"v1|127.0.0.1|{UPS}.2|6|.2|")
    assert f"localhost:{trapd.port} sent" in said
    assert f"127.0.0.1:{trapd.port} confirmed; 127.0.0.1:{trapd.port} sent" in said
    assert f"127.0.0.1:{nowhere} has not taken it yet" in said or "nobody listens there" in said
    # No test has been made: noTestsInitiated(6), and whose test this is.
    assert f"{UPS}.1.7.1.0 = OID: {UPS}.1.7.7.1\t{UPS}.1.7.2.0 = INTEGER: 0\t{UPS}.1.7.3.0 = INTEGER: 6\t" in line
    assert 'STRING: "Test of the notifications of Test bridge"' in line


async def test_a_test_that_reaches_nobody_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "TEST_PATIENCE", 0.5)
    world.ups()
    async with telling(world) as told:
        with pytest.raises(CommandError) as error:
            await told.notifications.test()
    assert error.value.code == "refused"
    async with telling(world, SnmpReceiver("127.0.0.1", 162)) as told:
        with pytest.raises(CommandError) as error:
            await told.notifications.test()
    assert error.value.code == "offline"
    async with telling(world, SnmpReceiver("no-such-host.invalid", 162)) as told:
        await until(lambda: "does not take SNMP notifications" in caplog.text)
        with pytest.raises(CommandError) as error:
            await told.notifications.test()
    assert error.value.code == "no_answer"


def _received(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        return bool(listener.recv(2000))
    except BlockingIOError:
        return False
