"""The SNMP link against Debian's snmpd: every version, every protocol of v3, and a card that is restarted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
import os
import time

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.ports import SerialPorts
from ridethrough.links.probe import Sheet
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.links.schemes import open_link
from ridethrough.links.traps import TrapListener
from ridethrough.site import CommandError, CommandResult, Commands, Device, DeviceId, Site, Value, keep_expiring
from ridethrough.tasks import Backoff
from tests.peers import snmpd as peers
from tests.peers.snmpd import ON_BATTERY, READER, UPS, USERS, Snmpd, V3User
from tests.strangers import peer

pytestmark = pytest.mark.peer

CARD = DeviceId("ups-1")
READ, WRITE = Credentials(community=peers.READ), Credentials(community=peers.WRITE)
QUICK_TEST = ("1.3.6.1.2.1.33.1.7.1.0", "objectid", ".1.3.6.1.2.1.33.1.7.7.4")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Skip without net-snmp."""
    for program in peers.PROGRAMS:
        peer(program)


@pytest.fixture(scope="module")
def shelf() -> Iterator[list[Snmpd]]:
    """Keep what tests share until the last one is done."""
    kept: list[Snmpd] = []
    yield kept
    for agent in kept:
        agent.end()


@pytest.fixture
async def shared(shelf: list[Snmpd], tmp_path_factory: pytest.TempPathFactory) -> Snmpd:
    """Give the card of all tests that only read from it."""
    if not shelf:
        agent = Snmpd(tmp_path_factory.mktemp("card"))
        await agent.start()
        shelf.append(agent)
    return shelf[0]


@pytest.fixture
async def card(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Snmpd]:
    """Give a card that the test may break."""
    async with Snmpd(tmp_path_factory.mktemp("card")) as agent:
        yield agent


def of(
    user: V3User, *, name: str | None = None, password: str | None = None, privacy: str | None = None
) -> Credentials:
    """Give the credentials of a user, or wrong ones."""
    return Credentials(
        username=name or user.name,
        password=(password or peers.AUTH_PASSPHRASE) if user.authentication else None,
        privacy_password=(privacy or peers.PRIVACY_PASSPHRASE) if user.privacy else None,
    )


def v3(user: V3User) -> str:
    """Write the options of a user."""
    options = ["version=3"]
    if user.authentication is not None:
        options.append(f"auth={user.authentication.replace('-', '').lower()}")
    if user.privacy is not None:
        options.append(f"privacy={user.privacy.replace('-', '').lower()}")
    return "&".join(options)


def url(agent: Snmpd, options: str = "") -> str:
    return f"snmp://{agent.address}:{agent.port}?poll=1&timeout=1&{options}"


class Bridge:
    """A site with one card whose link runs."""

    def __init__(self, agent: Snmpd, credentials: Credentials, options: str, traps: TrapListener | None) -> None:
        self.clock = SystemClock()
        self.site = Site(load_catalogue(), self.clock)
        self.commands = Commands(self.site)
        context = LinkContext(self.clock, SerialPorts(self.clock), traps)
        self.runner = LinkRunner(
            open_link(url(agent).replace("poll=1&", "") + options, credentials, context),
            Device(CARD, "ups-1", "ups", "UPS"),
            self.site,
            self.commands,
            self.clock,
            granted=frozenset({"test", "beeper", "shutdown", "load"}),
            mint=DeviceId,
            backoff=Backoff(first=0.05, cap=0.1),
        )
        self._changed = asyncio.Event()
        self.site.observe(lambda change: self._changed.set())

    def value(self, key: str) -> Value | None:
        """Return the value of a point if it is good."""
        reading = self.site.reading(CARD, key)
        return reading.value if reading is not None and reading.good else None

    def condition(self, key: str) -> bool | None:
        state = self.site.conditions(CARD).get(key)
        return state.active if state is not None and state.quality == "good" else None

    async def until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until something holds that the site knows."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def perform(self, command: str, **arguments: Value) -> CommandResult:
        return await self.commands.perform(CARD, command, arguments)


@asynccontextmanager
async def bridge(
    agent: Snmpd, credentials: Credentials = READ, options: str = "poll=1", traps: TrapListener | None = None
) -> AsyncIterator[Bridge]:
    """Run the link of a card until the block ends; the card has been read once."""
    found = Bridge(agent, credentials, options, traps)
    tasks = [asyncio.create_task(found.runner.run()), asyncio.create_task(keep_expiring(found.site, found.clock))]
    try:
        await found.until(lambda: found.value("ups.model"))
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read(agent: Snmpd, credentials: Credentials, options: str) -> dict[str, Value | None]:
    """Read the card once, as a probe does; gives its points."""
    sheet = Sheet()
    running = asyncio.ensure_future(
        open_link(url(agent, options), credentials, LinkContext.alone(SystemClock())).run(sheet)
    )
    reading = asyncio.ensure_future(sheet.second_status.wait())
    try:
        async with asyncio.timeout(30):
            await asyncio.wait((running, reading), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        reading.cancel()
        await asyncio.gather(running, reading, return_exceptions=True)
    assert sheet.identity.model == "Rackmaster 3000"
    return sheet.points


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_versions_with_a_community_read_the_whole_card(shared: Snmpd, version: str) -> None:
    points = await read(shared, READ, f"version={version}")
    assert points["battery.charge"] == 97
    assert points["battery.runtime"] == 42 * 60
    assert points["battery.voltage"] == pytest.approx(54.6)
    assert points["battery.current"] == pytest.approx(-1.2)
    assert points["battery.temperature"] == 24
    assert points["input.voltage"] == 231
    assert points["input.frequency"] == pytest.approx(49.9)
    assert points["output.voltage"] == 230
    assert points["output.current"] == pytest.approx(1.9)
    assert points["ups.load"] == 14
    assert points["ups.realpower"] == 420
    assert points["ups.power.nominal"] == 3000
    assert points["input.transfer.low"] == 190


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
async def test_every_pair_of_protocols_of_v3_reads_the_card(shared: Snmpd, user: V3User) -> None:
    assert (await read(shared, of(user), v3(user)))["battery.charge"] == 97


@pytest.mark.parametrize(
    ("credentials", "options", "sentence"),
    [
        (Credentials(community="guess"), "version=2c", "community"),
        (Credentials(community="guess"), "version=1", "community"),
        (of(READER, name="nobody"), v3(READER), "knows no SNMPv3 user 'nobody'"),
        (of(READER, password="not-the-passphrase"), v3(READER), "not with this password"),
        (of(V3User("SHA-256"), name=READER.name), "version=3&auth=sha512&privacy=aes", "privacy|password|auth="),
        (of(READER, privacy="not-the-passphrase"), v3(READER), "privacy"),
        (of(READER), "version=3&auth=sha256&privacy=des", "privacy"),
        (of(V3User(), name=READER.name), "version=3", "auth= and privacy="),
    ],
    ids=[
        "community",
        "community of v1",
        "user",
        "authentication passphrase",
        "authentication protocol",
        "privacy passphrase",
        "privacy protocol",
        "without a password",
    ],
)
async def test_what_is_wrong_with_the_credentials_is_one_clear_sentence(
    shared: Snmpd, credentials: Credentials, options: str, sentence: str
) -> None:
    with pytest.raises(LinkError, match=sentence) as caught:
        await read(shared, credentials, options)
    told = str(caught.value)
    assert f"{shared.address}:{shared.port}" in told
    assert "\n" not in told
    for secret in (peers.AUTH_PASSPHRASE, peers.PRIVACY_PASSPHRASE, "not-the-passphrase", "guess"):
        assert secret not in told


@pytest.mark.parametrize(("credentials", "options"), [(READ, ""), (of(READER), v3(READER))], ids=["v2c", "v3"])
@pytest.mark.parametrize("how", ["restarted", "replaced", "lost its power"])
async def test_a_card_that_comes_back_is_read_again_whatever_became_of_its_clock(
    card: Snmpd, credentials: Credentials, options: str, how: str
) -> None:
    async with bridge(card, credentials, f"poll=1&timeout=0.5&{options}") as found:
        match how:
            case "restarted":
                await card.restart()
            case "replaced":
                await card.restart(engine="second")
            case _:
                await card.kill()
                await found.until(lambda: found.runner.state is LinkState.LOST)
                assert found.value("battery.charge") is None
                await card.start()
        card.write({f"{UPS}.1.2.4.0": ("integer", "55")})
        await found.until(lambda: found.value("battery.charge") == 55)
        assert found.runner.state is LinkState.CONNECTED


async def test_a_card_that_hangs_makes_values_stale_and_lost_but_none_up(card: Snmpd) -> None:
    async with bridge(card, options="poll=1&timeout=0.3") as found:
        card.freeze()
        await found.until(lambda: found.value("battery.charge") is None)
        reading = found.site.reading(CARD, "battery.charge")
        assert reading is not None
        assert reading.value == 97
        await found.until(lambda: found.runner.state is LinkState.LOST)
        card.freeze(frozen=False)
        await found.until(lambda: found.value("battery.charge") == 97)


async def test_a_slow_card_is_read_all_the_same(card: Snmpd) -> None:
    # 50 objects, each takes its time: half a second for an answer is slow, but an answer.
    card.behave(delay=0.02)
    points = await read(card, READ, "")
    assert points["battery.charge"] == 97
    assert points["input.transfer.high"] == 260


async def test_an_outage_shows_with_its_alarm_and_its_end(card: Snmpd) -> None:
    async with bridge(card) as found:
        assert found.condition("on_battery") is False
        card.write(ON_BATTERY)
        await found.until(lambda: found.condition("on_battery"))
        await found.until(lambda: found.value("battery.runtime.elapsed") == 20)
        card.remove(f"{UPS}.1.6.2")
        card.write({name: row for name, row in peers.CARD.items() if name in ON_BATTERY})
        await found.until(lambda: found.condition("on_battery") is False)


async def test_a_trap_has_the_card_read_at_once(card: Snmpd) -> None:
    traps = TrapListener(SystemClock(), "127.0.0.1", 0)
    listening = asyncio.create_task(traps.run())
    try:
        async with bridge(card, options="poll=60", traps=traps) as found:
            # Past the second look that follows the start; from now on it would be asked once a minute.
            await asyncio.sleep(0.5)
            assert traps.address is not None
            card.write(ON_BATTERY)
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *(str(peer("snmptrap")), "-v2c", "-c", "public", f"127.0.0.1:{traps.address[1]}", "", f"{UPS}.2.1"),
                env=os.environ | {"MIBS": "", "SNMP_PERSISTENT_DIR": str(card.folder)},
            )
            await found.until(lambda: found.condition("on_battery"), seconds=5.0)
            assert time.monotonic() - began < 5.0
            assert await process.wait() == 0
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.parametrize(
    ("credentials", "options"),
    [(WRITE, "version=1"), (WRITE, ""), *((of(user), v3(user)) for user in (V3User(), V3User("MD5", "DES"), READER))],
    ids=["v1", "v2c", "v3 noAuth", "v3 MD5 DES", "v3 SHA-256 AES"],
)
async def test_a_battery_test_is_ordered_with_its_lock(card: Snmpd, credentials: Credentials, options: str) -> None:
    async with bridge(card, credentials, f"poll=1&{options}") as found:
        card.write({f"{UPS}.1.7.3.0": ("integer", "5")})
        result = await found.perform("test.battery.start.quick")
        assert result.confirmed
        assert card.orders() == [(f"{UPS}.1.7.2.0", "integer", "0"), QUICK_TEST]
        await found.until(lambda: found.condition("test_in_progress"))


async def test_a_shutdown_is_ordered_with_its_times(card: Snmpd) -> None:
    async with bridge(card, WRITE) as found:
        result = await found.perform("shutdown.return", delay=60, restore=120)
        assert result.confirmed
        orders = {name.removeprefix(f"{UPS}.1."): value for name, _, value in card.orders()}
        assert orders == {"8.5.0": "1", "8.1.0": "1", "8.3.0": "120", "8.2.0": "60"}
        assert card.orders()[-1][0] == f"{UPS}.1.8.2.0"  # what begins it comes last
        await found.until(lambda: found.value("ups.timer.shutdown") == 60)
        assert (await found.perform("shutdown.stop")).confirmed
        assert card.orders()[-1] == (f"{UPS}.1.8.2.0", "integer", "-1")


@pytest.mark.parametrize(
    ("credentials", "options"),
    [(READ, "version=1"), (READ, ""), (of(READER, name=f"ro{READER.name}"), v3(READER))],
    ids=["v1", "v2c", "v3"],
)
async def test_who_may_only_read_is_refused_in_words(card: Snmpd, credentials: Credentials, options: str) -> None:
    async with bridge(card, credentials, f"poll=1&{options}") as found:
        with pytest.raises(CommandError, match=r"write|written") as caught:
            await found.perform("beeper.disable")
        assert caught.value.code == "refused"
        assert card.orders() == []


async def test_a_card_that_takes_an_order_and_ignores_it_is_not_believed(card: Snmpd) -> None:
    card.behave(writable="", ignore=f"{UPS}.1.9")
    async with bridge(card, WRITE) as found:
        result = await found.perform("beeper.disable")
        assert not result.confirmed
        assert card.orders() == [(f"{UPS}.1.9.8.0", "integer", "1")]


async def test_a_card_that_may_not_be_written_at_all_refuses(card: Snmpd) -> None:
    card.behave(writable="")
    async with bridge(card, WRITE) as found:
        with pytest.raises(CommandError, match="written"):
            await found.perform("beeper.disable")
