"""Debian's own clients of upsd against our server."""

import asyncio
import os
from pathlib import Path

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import probe
from tests.bridge.feeds.rig import World
from tests.bridge.feeds.shark import capturing
from tests.peers.upsmon import Upsmon
from tests.strangers import peer

from .certificates import certify
from .rig import Served, a_server, until

pytestmark = pytest.mark.peer


async def run(program: str, *arguments: str, patience: float = 10.0) -> tuple[int, str, str]:
    """Run a client; its return code, what it printed, and what it complained about."""
    process = await asyncio.create_subprocess_exec(
        peer(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(patience):
        out, complaint = await process.communicate()
    return process.returncode or 0, out.decode(), complaint.decode()


async def test_upsc_prints_the_upses_and_every_variable(world: World, served: Served) -> None:
    assert (await run("upsc", "-l", f"127.0.0.1:{served.port}"))[1] == "ups-1\n"
    assert (await run("upsc", "-L", f"127.0.0.1:{served.port}"))[1] == "ups-1: ups-1\n"
    code, out, complaint = await run("upsc", served.ups("ups-1"))
    assert code == 0, complaint
    variables = dict(line.split(": ", 1) for line in out.splitlines())
    assert variables["ups.status"] == "OL"
    assert variables["battery.charge"] == "100"
    assert variables["battery.runtime"] == "1800"
    assert variables["input.voltage"] == "230.0"
    assert variables["device.mfr"] == variables["ups.mfr"] == "Example"
    assert variables["driver.name"] == "ridethrough"
    assert list(variables) == sorted(variables)


async def test_upsc_tells_what_is_wrong(world: World, served: Served) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    assert (await run("upsc", served.ups("ups-1"), "ups.status"))[1] == "OL\n"
    for name, variable, words in (
        ("ups-2", "", "Unknown UPS"),
        ("ups-1", "no.such", "Variable not supported by UPS"),
    ):
        code, _, complaint = await run("upsc", served.ups(name), *filter(None, [variable]))
        assert code == 1
        assert words in complaint
    world.lose(ups)
    code, _, complaint = await run("upsc", served.ups("ups-1"))
    assert code == 1
    assert "Data stale" in complaint


async def test_upsc_lists_who_is_logged_in(served: Served) -> None:
    async with served.client(log_in="monuser") as client:
        assert await client.ask("LOGIN ups-1") == "OK"
        assert (await run("upsc", "-c", served.ups("ups-1")))[1] == "127.0.0.1\n"


async def test_upscmd_lists_and_gives_commands(world: World, served: Served) -> None:
    name = served.ups("ups-1")
    code, out, _ = await run("upscmd", "-l", name)
    assert code == 0
    assert "beeper.mute - Mute beeper" in out
    assert "shutdown.return - " in out
    who = ("-u", "admin", "-p", "secret")
    code, out, complaint = await run("upscmd", *who, name, "beeper.mute")
    assert (code, (out + complaint).splitlines()[-1]) == (0, "OK")
    # Followed until the device has done it.
    code, out, complaint = await run("upscmd", *who, "-w", name, "shutdown.return", "60")
    assert code == 0
    assert "SUCCESS" in out + complaint
    assert world.given == [("ups-1", "beeper.mute", {}), ("ups-1", "shutdown.return", {"delay": 60})]
    for arguments, words in (
        (("-u", "admin", "-p", "wrong", name, "beeper.mute"), "ACCESS-DENIED"),
        ((*who, name, "load.off"), "CMD-NOT-SUPPORTED"),
        ((*who, name, "shutdown.return", "now"), "INVALID-ARGUMENT"),
    ):
        code, out, complaint = await run("upscmd", *arguments)
        assert code == 1
        assert words in out + complaint
    assert len(world.given) == 2


async def test_upsrw_finds_nothing_to_set(served: Served) -> None:
    code, out, _ = await run("upsrw", served.ups("ups-1"))
    assert (code, out.strip()) == (0, "")
    who = ("-u", "admin", "-p", "secret")
    code, out, complaint = await run("upsrw", "-s", "battery.charge=5", *who, served.ups("ups-1"))
    assert code == 1
    assert "read-only" in (out + complaint).lower() or "readonly" in (out + complaint).lower()


async def _says(upsmon: Upsmon, words: str) -> None:
    await until(lambda: words in upsmon.log)


async def test_upsmon_talks_encrypted_to_a_server_whose_certificate_it_verifies(world: World, tmp_path: Path) -> None:
    peer("upsmon")
    if os.geteuid() != 0:
        pytest.skip("upsmon changes its user, which only root may")
    certificates = certify(tmp_path / "tls")
    stranger = certify(tmp_path / "stranger")
    world.ups()
    async with a_server(world, tls=certificates.server) as served, served.client() as watcher:
        for trusted, logins in ((certificates, 1), (stranger, 0)):
            settings = (f"CERTPATH {trusted.database()}", "CERTVERIFY 1", "FORCESSL 1")
            folder = tmp_path / f"upsmon-{logins}"
            async with Upsmon(folder, served.ups("ups-1"), "monuser", "secret", "secondary", settings) as upsmon:
                if logins:
                    while await watcher.ask("GET NUMLOGINS ups-1") != "NUMLOGINS ups-1 1":
                        await asyncio.sleep(0.05)
                    assert "Connected to NUT server 127.0.0.1 in SSL" in upsmon.log
                else:
                    await _says(upsmon, "ertificate")
                    assert await watcher.ask("GET NUMLOGINS ups-1") == "NUMLOGINS ups-1 0"
            while await watcher.ask("GET NUMLOGINS ups-1") != "NUMLOGINS ups-1 0":
                await asyncio.sleep(0.05)


async def test_our_own_link_reads_it_and_gives_commands(world: World, served: Served, tmp_path: Path) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    outlet = world.part(ups, "outlet", "1", commands=("outlet.off",))
    world.post(outlet, {"outlet.current": 1.25}, {"outlet_on": True})
    certificates = certify(tmp_path / "tls")
    async with a_server(world, tls=certificates.server) as encrypted:
        for url in (
            f"nut://127.0.0.1:{served.port}",
            f"nut://127.0.0.1:{encrypted.port}/ups-1?ca={certificates.authority}",
        ):
            found = await probe(url, Credentials("admin", "secret"), LinkContext.alone(SystemClock()))
            told = {row.key: row.text for row in found.rows}
            assert told["battery.charge"] == "100"
            assert told["input.voltage"] == "230.0"
            assert told["outlet.1.current"] == "1.25"
            assert ("", "beeper.mute") in found.commands
            assert ("outlet-1", "outlet.off") in found.commands


async def test_aionut_reads_it_and_gives_commands(world: World, served: Served) -> None:
    """The library of Home Assistant's own integration for NUT."""
    aionut = pytest.importorskip("aionut", reason="aionut is not installed")
    client = aionut.AIONUTClient(host="127.0.0.1", port=served.port, username="admin", password="secret")
    assert await client.list_ups() == {"ups-1": "ups-1"}
    variables = await client.list_vars("ups-1")
    assert variables["ups.status"] == "OL"
    assert "beeper.mute" in await client.list_commands("ups-1")
    await client.run_command("ups-1", "beeper.mute")
    assert world.given == [("ups-1", "beeper.mute", {})]
    client.shutdown()


@pytest.mark.slow
async def test_a_capture_of_it_has_no_errors(world: World, served: Served, tmp_path: Path) -> None:
    """The decoder knows nothing of NUT's protocol: what it can tell is that TCP bore it, and that it is lines."""
    async with capturing(tmp_path, f"tcp port {served.port}") as capture:
        assert (await run("upsc", served.ups("ups-1")))[0] == 0
        assert (await run("upscmd", "-u", "admin", "-p", "secret", served.ups("ups-1"), "beeper.mute"))[0] == 0
    assert await capture.malformed() == []
    assert await capture.packets("tcp.analysis.retransmission || tcp.analysis.lost_segment") == []
    # NUT's clients hang up without reading the good-bye; we do not.
    assert await capture.packets(f"tcp.srcport == {served.port} && tcp.flags.reset == 1") == []
    said = await capture.packets(f"tcp.srcport == {served.port} && tcp.len > 0", "tcp.payload")
    lines = bytes.fromhex("".join(row[0] for row in said)).decode().splitlines()
    # NUT's clients ask first whether there is encryption.
    assert lines[:2] == ["ERR FEATURE-NOT-CONFIGURED", "BEGIN LIST VAR ups-1"]
    assert lines[-1] == "OK Goodbye"
