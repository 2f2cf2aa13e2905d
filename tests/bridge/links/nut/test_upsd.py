"""The NUT link and the probe against Debian's upsd, which serves dumps of real devices."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import signal
import subprocess

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, Link, LinkError, LinkUrl
from ridethrough.links.context import LinkContext
from ridethrough.links.nut import NutLink
from ridethrough.links.nut.client import Address, UpsdClient
from ridethrough.links.nut.protocol import UpsdError
from ridethrough.links.probe import ProbeResult, probe
from ridethrough.site import CommandError
from tests.peers import upsd as peers
from tests.peers.upsd import Upsd, read_dump
from tests.strangers import RECORDINGS, peer

from .conftest import Certificate, Rig

pytestmark = pytest.mark.peer

type Rigs = Callable[[Link], Rig]

ADMINISTRATOR = Credentials(peers.USER, peers.PASSWORD)
RACK = {
    "battery.charge": "100",
    "battery.runtime": "1200",
    "input.voltage": "230.0",
    "ups.mfr": "ACME",
    # A driver reads its file as it reads a configuration: with escapes.
    "ups.id": r"19\" rack \\ 3",
    "ups.status": "OL",
}


@pytest.fixture(scope="module")
def installed() -> None:
    """Skip without upsd, its driver and its clients."""
    for program in peers.PROGRAMS:
        peer(program)


@pytest.fixture(scope="module")
def shelf() -> Iterator[list[Upsd]]:
    """Keep what tests share until the last one is done."""
    kept: list[Upsd] = []
    yield kept
    with ThreadPoolExecutor(1) as thread:
        for server in kept:
            thread.submit(asyncio.run, server.__aexit__()).result()


@pytest.fixture
async def shared(installed: None, shelf: list[Upsd], tmp_path_factory: pytest.TempPathFactory) -> Upsd:
    """Start an upsd that no test ends; it takes three seconds until a driver has told it everything."""
    if not shelf:
        shelf.append(await Upsd(tmp_path_factory.mktemp("nut"), {"ups1": RACK}).__aenter__())
    return shelf[0]


@pytest.fixture
async def upsd(installed: None, tmp_path: Path) -> AsyncIterator[Upsd]:
    """Start an upsd that a test may end."""
    async with Upsd(tmp_path / "nut", {"ups1": RACK}) as server:
        yield server


def link(upsd: Upsd, who: Credentials = ADMINISTRATOR, options: str = "") -> NutLink:
    return NutLink(LinkUrl.parse(f"{upsd.url}?poll=0.1&timeout=3{options}"), who, LinkContext.alone(SystemClock()))


async def connected(rigs: Rigs, upsd: Upsd, who: Credentials = ADMINISTRATOR) -> Rig:
    rig = rigs(link(upsd, who))
    await rig.until(lambda: rig.value("link.state") == "connected")
    return rig


def sample() -> dict[str, Path]:
    """Choose 20 recordings: one Eaton, one Riello, and others from everywhere in the alphabet."""
    found = sorted(RECORDINGS.glob("nut/*.dev"))
    makers = [next((path for path in found if path.name.startswith(maker)), None) for maker in ("Eaton", "Riello")]
    chosen = {path for path in makers if path is not None}
    chosen |= set([path for path in found if path not in chosen][:: max(1, len(found) // 18)][: 20 - len(chosen)])
    return {f"ups{number}": path for number, path in enumerate(sorted(chosen), 1)}


@pytest.mark.recordings
@pytest.mark.slow
async def test_the_probe_shows_every_variable_that_upsc_prints(installed: None, tmp_path: Path) -> None:
    dumps = {name: read_dump(path.read_text(encoding="utf-8")) for name, path in sample().items()}
    if not dumps:
        pytest.skip(f"no recordings in {RECORDINGS}; RIDETHROUGH_RECORDINGS may say where")
    assert len(dumps) == 20
    async with Upsd(tmp_path / "nut", dumps) as server:

        async def both(name: str) -> tuple[dict[str, str], ProbeResult]:
            url = f"nut://127.0.0.1:{server.port}/{name}"
            return await server.variables(name), await probe(url, ADMINISTRATOR, LinkContext.alone(SystemClock()))

        results = dict(zip(dumps, await asyncio.gather(*map(both, dumps)), strict=True))
    for name, (printed, probed) in results.items():
        assert probed.complete
        shown = {row.key: row for row in probed.rows}
        assert {key: shown[key].text for key in printed if key in shown} == printed, name
        assert {key for key in printed if not key.startswith("driver.")} >= {
            key for key, value in dumps[name].items() if value and not key.startswith("driver.")
        }
        for row in probed.rows:
            if row.quality == "good" and isinstance(row.value, float):
                assert row.value == float(row.text or "")


async def test_a_change_in_the_device_comes_through(rig: Rigs, shared: Upsd) -> None:
    site = await connected(rig, shared)
    shared.write("ups1", {"ups.status": "OB DISCHRG", "input.voltage": "0.0", "battery.runtime": None})
    await site.until(lambda: site.condition("on_battery"))
    await site.until(lambda: site.value("input.voltage") == 0.0)


async def test_a_setting_made_with_upsrw_comes_through(rig: Rigs, shared: Upsd) -> None:
    site = await connected(rig, shared)
    await shared.upsrw("ups1", "battery.charge", "42")
    await site.until(lambda: site.value("battery.charge") == 42.0)


async def test_quotes_and_backslashes_come_through(shared: Upsd) -> None:
    result = await probe(shared.url, Credentials(), LinkContext.alone(SystemClock()))
    shown = {row.key: row.text for row in result.rows}
    assert shown["ups.id"] == '19" rack \\ 3' == (await shared.variables("ups1"))["ups.id"]


async def test_a_command_is_tracked_to_its_end(rig: Rigs, shared: Upsd) -> None:
    # The only command that dummy-ups offers is one that it then does not know: real tracking of a real failure.
    site = await connected(rig, shared)
    with pytest.raises(CommandError) as caught:
        await site.perform("load.off")
    assert caught.value.code in {"refused", "bad_argument"}
    assert "ACCESS-DENIED" not in str(caught.value)
    assert "denies access" not in str(caught.value)


async def test_a_setting_is_tracked_to_its_success(shared: Upsd) -> None:
    async with UpsdClient.open(Address("127.0.0.1", shared.port), ADMINISTRATOR) as client:
        assert await client.track()
        assert "battery.charge" in (await client.list_writable("ups1")).values
        number = await client.set_variable("ups1", "battery.charge", "17")
        assert number is not None
        async with asyncio.timeout(10):
            while not await client.tracked(number):
                await asyncio.sleep(0.02)
        while await client.variable("ups1", "battery.charge") != "17":
            await asyncio.sleep(0.02)
        with pytest.raises(UpsdError, match="CMD-NOT-SUPPORTED"):
            await client.instant_command("ups1", "beeper.mute")
        with pytest.raises(UpsdError, match="READONLY"):
            await client.set_variable("ups1", "driver.name", "other")
        assert await client.protocol_version() >= "1.3"


async def test_a_command_without_the_right_is_refused_with_what_is_needed(rig: Rigs, shared: Upsd) -> None:
    for who in (
        Credentials(peers.USER, "wrong"),
        Credentials("nobody", peers.PASSWORD),
        Credentials(peers.WATCHER, peers.PASSWORD),
    ):
        site = await connected(rig, shared, who)
        needed = rf"user '{who.username}'.*upsd\.users must have instcmds = load\.off"
        with pytest.raises(CommandError, match=needed) as caught:
            await site.perform("load.off")
        assert caught.value.code == "refused"
        # Reading goes on.
        assert site.value("link.state") == "connected"


async def test_an_upsd_that_is_killed_and_started_again_is_found_again(rig: Rigs, upsd: Upsd) -> None:
    site = await connected(rig, upsd)
    await upsd.stop(signal.SIGKILL)
    await site.until(lambda: site.value("link.state") == "lost")
    assert site.value("battery.charge") is None
    upsd.write("ups1", {"battery.charge": "77"})
    await upsd.start()
    await site.until(lambda: site.value("battery.charge") == 77.0)
    assert site.condition("communications_lost") is False


async def test_a_driver_that_ends_or_hangs_is_a_lost_ups(
    rig: Rigs, upsd: Upsd, caplog: pytest.LogCaptureFixture
) -> None:
    site = await connected(rig, upsd)
    await upsd.stop_driver("ups1")
    await site.until(lambda: site.condition("communications_lost"))
    assert any("the driver of the UPS does not run" in message for message in caplog.messages)
    await upsd.start_driver("ups1")
    await site.until(lambda: site.value("link.state") == "connected")
    caplog.clear()
    await upsd.stop_driver("ups1", signal.SIGSTOP)
    await site.until(lambda: site.condition("communications_lost"))
    assert any("the driver has had no news from the UPS" in message for message in caplog.messages)


async def test_a_ups_that_upsd_does_not_know_is_told_with_those_it_knows(shared: Upsd) -> None:
    with pytest.raises(LinkError, match=r"has no UPS attic; it has: ups1"):
        await probe(f"nut://127.0.0.1:{shared.port}/attic", Credentials(), LinkContext.alone(SystemClock()))


async def test_an_upsd_without_a_certificate_is_not_talked_to_when_encryption_is_wanted(shared: Upsd) -> None:
    with pytest.raises(LinkError, match="does not encrypt: .*FEATURE-NOT-CONFIGURED"):
        await probe(f"{shared.url}?tls=yes", ADMINISTRATOR, LinkContext.alone(SystemClock()))


async def test_a_real_upsd_is_talked_to_encrypted(installed: None, tmp_path: Path, certificate: Certificate) -> None:
    """Debian's upsd uses NSS, whose certificates live in a database."""
    for program in ("certutil", "pk12util", "openssl"):
        peer(program)
    database = tmp_path / "nss"
    database.mkdir()
    (tmp_path / "password").write_text("of the database\n", encoding="utf-8")

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)

    bundle = ("-in", certificate.certificate, "-inkey", certificate.key, "-name", "upsd", "-out", "bundle.p12")
    run("openssl", "pkcs12", "-export", *bundle, "-passout", "pass:x")
    run("certutil", "-N", "-d", database, "-f", "password")
    run("pk12util", "-i", "bundle.p12", "-d", database, "-k", "password", "-W", "x")
    encryption = [f"CERTPATH {database}", 'CERTIDENT upsd "of the database"', "DISABLE_WEAK_SSL true"]
    async with Upsd(tmp_path / "nut", {"ups1": RACK}, encryption) as server:
        for options in (f"ca={certificate.certificate}", "verify=no"):
            result = await probe(f"{server.url}?{options}", ADMINISTRATOR, LinkContext.alone(SystemClock()))
            assert {row.key: row.text for row in result.rows}["battery.charge"] == "100"
            assert ("", "load.off") in result.commands
        with pytest.raises(LinkError, match="cannot be trusted"):
            await probe(f"{server.url}?tls=yes", ADMINISTRATOR, LinkContext.alone(SystemClock()))
    assert "SSL handshake done successfully" in (tmp_path / "nut" / "upsd.log").read_text(encoding="utf-8")
