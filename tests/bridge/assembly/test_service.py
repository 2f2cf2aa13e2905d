"""The bridge as a process: signals, sudden ends and full disks while it is being configured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import shutil
import signal
import sys

import pytest

from ridethrough.clock import SystemClock
from ridethrough.store import Charge, Store
from tests.bridge.links.peers import SerialPeer
from tests.disks import fill, small_disk

from .conftest import QUICK, House

type Lines = tuple[SerialPeer, SerialPeer]

SUDDEN = """
import asyncio, os, signal, sys
from ridethrough.assembly import configuration
from ridethrough.assembly.service import serve
from pathlib import Path

async def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

configuration.Configuration._apply = end
asyncio.run(serve(Path(sys.argv[1]), asyncio.Event(), asyncio.Event()))
"""
"""A bridge whose power fails when a change is on the disk and not yet in force."""


def megatec(peer: SerialPeer) -> str:
    return f"megatec:{peer.path}{QUICK}"


@asynccontextmanager
async def process(house: House, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a bridge until it has ended, or the test has."""
    arguments = command or ("-m", "ridethrough", "run")
    with (house.folder / "bridge.log").open("ab") as log:
        bridge = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, str(house.file), stdout=log, stderr=log
        )
    try:
        await house.until_answering()
        yield bridge
    finally:
        if bridge.returncode is None:
            bridge.terminate()
        await bridge.wait()


async def test_a_bridge_killed_between_writing_and_applying_comes_back_with_the_change(
    house: House, lines: Lines
) -> None:
    async with process(house, "-c", SUDDEN) as bridge, house.person() as admin:
        await admin.subscribe()
        identity = admin.key("a")
        revision = (await admin.data("list"))["revision"]
        link = "nut://127.0.0.1:1/b"
        await admin.begin(
            "put",
            device={"id": "b", "link": link, "enabled": False, "secrets": {"username": "me", "password": "s3cret"}},
            revision=revision,
        )
        assert await bridge.wait() == -signal.SIGKILL
    assert "s3cret" in house.secrets.read_text()
    async with process(house), house.person() as admin:
        await admin.subscribe()
        assert admin.key("a") == identity
        devices = (await admin.data("list"))["devices"]
        assert devices[1] | {"device": admin.key("b")} == devices[1]
        assert devices[1]["secrets"] == ["username", "password"]


async def test_a_device_loses_no_poll_while_others_come_and_go(house: House, lines: Lines) -> None:
    async with process(house), house.person() as admin:
        await admin.subscribe()
        await admin.until_value("a", "link.state", lambda value: value == "connected")
        asked, polls = lines[0].heard.count(b"I\r"), lines[0].heard.count(b"Q1\r")
        for number in range(5):
            await admin.put(id="b", name=f"Name {number}", link=megatec(lines[1]))
            await admin.until_value("b", "link.state", lambda value: value == "connected")
            await admin.data("remove", id="b", revision=(await admin.data("list"))["revision"])
        await lines[0].until_heard(b"Q1\r", polls + 5)
        await admin.subscribe()
        assert admin.point("a", "link.state")["value"] == "connected"
        for counter in ("timeouts", "malformed"):
            assert admin.point("a", f"link.{counter}").get("value", 0) == 0
        assert lines[0].heard.count(b"I\r") == asked
    log = (house.folder / "bridge.log").read_text()
    assert "is lost" not in log
    assert "Traceback" not in log


async def test_a_charge_that_only_the_bridge_knows_outlives_a_restart_and_a_change(house: House, lines: Lines) -> None:
    now = SystemClock().utc()
    async with Store.open(house.folder / "data" / "ridethrough.db") as store:
        device = store.identities.mint("a")
        await store.charges.keep({device: Charge(55.0, now)})
    house.write(f"  - id: a\n    link: {megatec(lines[0])}\n    hold_time: 600 min\n    recharge_time: 10 h\n")
    async with process(house), house.person() as admin:
        await admin.subscribe()
        # By its voltage alone it would be taken for nearly full.
        await admin.until_value("a", "battery.charge", lambda value: 54.0 < value < 56.0)
        await admin.put(id="a", name="Another")
        while (await admin.subscribe()) and admin.devices[admin.key("a") or ""]["name"] != "Another":
            await asyncio.sleep(0.02)
        await admin.until_value("a", "battery.charge", lambda value: 54.0 < value < 56.0)
    async with Store.open(house.folder / "data" / "ridethrough.db") as store:
        kept = (await store.charges.load())[device]
    assert kept.at > now
    assert 54.0 < kept.percent < 56.0


async def test_a_signal_has_the_file_read_again(house: House, lines: Lines) -> None:
    async with process(house) as bridge, house.person() as admin:
        await admin.subscribe()
        house.file.write_text(f"{house.file.read_text()}  - id: b\n    link: {megatec(lines[1])}\n")
        bridge.send_signal(signal.SIGHUP)
        await admin.until_value("b", "input.voltage", lambda value: value == 226.0)
    assert bridge.returncode == 0


async def test_a_full_disk_keeps_the_bridge_from_nothing_but_writing(house: House, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        shutil.copy(house.folder / "data" / "ridethrough.db", disk)
        house.file.write_text(house.file.read_text().replace("data: data", f"data: {disk}"))
        async with process(house), house.person() as admin:
            await admin.subscribe()
            identity = admin.key("a")
        filler = fill(disk)
        async with process(house), house.person() as admin:
            await admin.subscribe(0)
            assert admin.key("a") == identity
            await admin.until_value("a", "input.voltage", lambda value: value == 226.0)
            bridge = admin.key("bridge") or ""
            assert admin.conditions[bridge]["journal_failed"]["active"]
            (said, *_) = [await admin.ask("list")]
            assert said["ok"]
            filler.unlink()
            async with asyncio.timeout(30):
                while admin.conditions[bridge]["journal_failed"]["active"]:
                    await admin.receive()
                while [event["key"] for event in admin.told if event["kind"] == "system"][-1] != "started":
                    await admin.receive()
        started = [event["key"] for event in admin.told if event["kind"] == "system"]
        assert started == ["started", "stopped", "started"]
        assert [event["seq"] for event in admin.told] == sorted(event["seq"] for event in admin.told)


async def test_a_pipe_where_there_is_no_line_is_a_mistake_in_the_configuration(house: House) -> None:
    house.write("  - {id: a, link: 'nut://127.0.0.1/a', pipe: {port: /dev/ttyS9}}\n")
    bridge = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ridethrough", "run", str(house.file), stderr=asyncio.subprocess.PIPE
    )
    _, told = await bridge.communicate()
    assert bridge.returncode == 1
    assert told.startswith(str(house.file).encode() + b": a: ")
    assert b"no serial line that another manager could share" in told
    assert b"Traceback" not in told


@pytest.mark.parametrize("grant", ["yes", "no"])
async def test_a_bridge_that_grants_it_or_not_says_so(house: House, grant: str) -> None:
    house.file.write_text(house.file.read_text().replace("configure: yes", f"configure: {grant}"))
    async with house.running(), house.person() as admin:
        assert (await admin.data("schemes"))["writable"] is (grant == "yes")
