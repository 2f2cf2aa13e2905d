"""The raw line of a UPS for a second manager, which sees it as if it were alone with it."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import getpass
import os
from pathlib import Path
import pty
import tty

import pytest

from ridethrough.links.base import LinkError
from ridethrough.links.megatec import MegatecLink, pipe as pipe_module
from ridethrough.links.megatec.dialects import BY_NAME
from ridethrough.links.megatec.pipe import Rules
from ridethrough.links.ports import SerialPorts
from ridethrough.sim import DESIGNS, Simulation
from ridethrough.sim.change import Change
from ridethrough.sim.face import Place
from tests.strangers import peer as stranger

from .conftest import Notebook
from .megatec import connected, megatec
from .peers import MEGATEC, STATUS, SerialPeer, status


class Cable:
    """A null modem cable: two ptys that pass everything on to one another."""

    def __init__(self, folder: Path) -> None:
        self.ends = [folder / "ours", folder / "theirs"]
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for end in self.ends:
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            end.symlink_to(os.ttyname(slave))
            self._masters.append(master)
            self._slaves.append(slave)
        loop = asyncio.get_running_loop()
        for at, master in enumerate(self._masters):
            loop.add_reader(master, self._pass_on, master, self._masters[1 - at])

    def _pass_on(self, source: int, target: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(target, os.read(source, 1024))

    def close(self) -> None:
        for master, slave in zip(self._masters, self._slaves, strict=True):
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)


class Second:
    """The other manager, by hand: says something on its port and reads what comes back."""

    def __init__(self, folder: Path) -> None:
        self.port = SerialPeer(folder, name="second")

    async def ask(self, request: bytes, patience: float = 3.0) -> bytes:
        """Send a request and give the answer up to its carriage return; b"" when none comes."""
        heard = len(self.port.heard)
        self.port.say(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while len(self.port.heard) == heard:
                    self.port.hears.clear()
                    await self.port.hears.wait()
        return b"".join(self.port.heard[heard:])


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[Second]:
    manager = Second(tmp_path)
    async with manager.port:
        yield manager


def piped(peer: SerialPeer, second: Second, ports: SerialPorts, *granted: str, **options: str) -> MegatecLink:
    link = megatec(peer, ports, **options)
    link.pipe(second.port.path, frozenset(granted))
    return link


async def settled(second: Second) -> None:
    """Wait until the second port is served."""
    while await second.ask(b"I\r", 0.3) == b"":
        await asyncio.sleep(0.05)


async def test_questions_come_back_byte_for_byte(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook
) -> None:
    async with connected(piped(peer, second, ports), notebook), asyncio.timeout(20):
        await settled(second)
        for request in (b"Q1\r", b"F\r", b"I\r"):
            assert await second.ask(request) == MEGATEC[request]
        # What we had just now serves the other side, too.
        await notebook.until_poll()
        asked = peer.heard.count(b"Q1\r")
        assert await second.ask(b"Q1\r") == STATUS
        assert peer.heard.count(b"Q1\r") <= asked + 1


async def test_both_see_the_same_outage(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook
) -> None:
    async with connected(piped(peer, second, ports), notebook), asyncio.timeout(20):
        await settled(second)
        peer.answers[b"Q1\r"] = status("10001001")
        await notebook.until_condition("on_battery")
        assert await second.ask(b"Q1\r") == status("10001001")


@pytest.mark.parametrize("request_", [b"S.5R0001\r", b"C\r", b"T\r", b"XYZZY\r", b"S99\r", b"Q\r", b"SOFF\r"])
async def test_what_is_not_granted_or_not_known_never_reaches_the_ups(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook, request_: bytes
) -> None:
    async with connected(piped(peer, second, ports), notebook), asyncio.timeout(20):
        await settled(second)
        assert await second.ask(request_) == request_
        assert request_ not in peer.heard
        assert notebook.counters["refused"] == 1
        trace = ports.trace(second.port.path)
        assert trace is not None
        assert any(b"is not passed on" in line.data for line in trace.lines)


async def test_a_dialect_that_says_no_is_said_no_in(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook
) -> None:
    async with connected(piped(peer, second, ports, dialect="mecer"), notebook), asyncio.timeout(20):
        await settled(second)
        assert await second.ask(b"S.5R0001\r") == b"(NAK\r"


async def test_a_command_that_is_granted_goes_to_the_ups(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"CT\r"] = b"(ACK\r"
    async with connected(piped(peer, second, ports, "test", "shutdown"), notebook), asyncio.timeout(20):
        await settled(second)
        assert await second.ask(b"CT\r") == b"(ACK\r"
        assert await second.ask(b"S.5R0001\r", 1.0) == b""
        await peer.until_heard(b"S.5R0001\r")
        assert await second.ask(b"SOFF\r") == b"SOFF\r"


async def test_a_flood_from_the_second_side_does_not_starve_ours(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook
) -> None:
    async with connected(piped(peer, second, ports), notebook), asyncio.timeout(30):
        await settled(second)
        stop = False

        async def flood() -> None:
            while not stop:
                second.port.say(b"F\r" * 20 + os.urandom(40) + b"\r" + b"\xff" * 200)
                await asyncio.sleep(0.01)

        flooding = asyncio.create_task(flood())
        await notebook.until_poll(4)
        peer.answers[b"Q1\r"] = status("10001001")
        await notebook.until_condition("on_battery")
        stop = True
        await flooding
    assert notebook.counters.get("timeouts", 0) == 0


async def test_the_second_port_may_come_and_go(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_module, "RETRY", 0.05)
    async with connected(piped(peer, second, ports), notebook), asyncio.timeout(20):
        await settled(second)
        second.port.hang_up()
        await notebook.until_poll(2)
        second.port.plug_in()
        await settled(second)
        assert await second.ask(b"F\r") == MEGATEC[b"F\r"]


async def test_a_ups_that_is_lost_is_silence(
    peer: SerialPeer, second: Second, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_module, "FRESH", 0.0)
    async with connected(piped(peer, second, ports), notebook) as running, asyncio.timeout(30):
        await settled(second)
        peer.answers.clear()
        assert await second.ask(b"F\r", 1.0) == b""
        with pytest.raises(LinkError):
            await running
        assert await second.ask(b"F\r", 0.5) == b""


async def test_the_port_of_the_ups_itself_cannot_be_the_second(peer: SerialPeer, ports: SerialPorts) -> None:
    with pytest.raises(ValueError, match="is the port of the UPS itself"):
        megatec(peer, ports).pipe(peer.tty, frozenset())


@pytest.mark.parametrize(
    ("dialect", "granted", "allowed", "refused"),
    [
        ("megatec", {"shutdown"}, ["S.2", "S03", "S10R0005", "S.5R0000", "C"], ["T", "TL", "Q", "S", "S5", "Q1", "CT"]),
        ("megatec", {"test"}, ["T", "TL", "T10", "T.3", "CT"], ["S.2R0001", "C", "Q", "T100"]),
        ("megatec", {"load"}, ["S00R0000", "C"], ["S01R0000", "S.5"]),
        ("megatec", {"beeper"}, ["Q"], ["BZON"]),
        ("voltronic", {"outlet"}, ["SKON1", "SKOFF4"], ["SON", "SKON", "PEE"]),
        ("voltronic", {"shutdown"}, ["CS", "S.3R0002"], ["SOFF", "C", "PF", "BATN2", "W0E24"]),
        ("voltronic_qs", {"test"}, ["T"], ["TL", "T10"]),
    ],
)
def test_each_grant_allows_its_own_commands(
    dialect: str, granted: set[str], allowed: list[str], refused: list[str]
) -> None:
    rules = Rules(BY_NAME[dialect], frozenset(granted))
    assert [request for request in allowed if not rules.command(request)] == []
    assert [request for request in refused if rules.command(request)] == []


def test_a_setting_is_no_question() -> None:
    rules = Rules(BY_NAME["voltronic"], frozenset())
    assert all(rules.question(request) for request in ("Q1", "QGS", "QPI", "M", "QSK1", "QFS", "D", "FW?"))
    assert not any(rules.question(request) for request in ("PF", "PEA", "SOFF", "BATN2", "C", "T", "Q", "S01"))


# A stranger as the second manager.


async def driver(port: Path, *arguments: str) -> str:
    """Run NUT's nutdrv_qx on a port; give back what it prints."""
    folder = port.parent
    process = await asyncio.create_subprocess_exec(
        *[str(stranger("nutdrv_qx")), "-u", getpass.getuser(), "-s", "second", "-x", f"port={port}"],
        *["-x", "protocol=megatec", *arguments],
        env={**os.environ, "NUT_STATEPATH": str(folder), "NUT_CONFPATH": str(folder), "NUT_ALTPIDPATH": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return printed.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that the driver can use, which drops its privileges."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.mark.peer
@pytest.mark.parametrize("granted", [frozenset(), frozenset({"shutdown"})])
async def test_nuts_driver_is_the_second_manager(
    folder: Path, ports: SerialPorts, notebook: Notebook, granted: frozenset[str]
) -> None:
    cable = Cable(folder)
    simulation = Simulation(DESIGNS["interactive-1000"], place=Place(port=folder / "ups", baud=None))
    running = asyncio.create_task(simulation.run())
    simulation.open()
    equipment = SerialPeer(folder, name="ups")
    link = megatec(equipment, ports)
    link.pipe(str(cable.ends[0]), granted)
    try:
        async with connected(link, notebook), asyncio.timeout(50):
            assert "ups.status: OL\n" in await driver(cable.ends[1], "-d", "1")
            simulation.apply(Change(mains=False))
            await notebook.until_condition("on_battery")
            seen = await driver(cable.ends[1], "-d", "1")
            assert "ups.status: OB\n" in seen
            assert "device.model: LI-1000\n" in seen
            await driver(cable.ends[1], "-k", "-x", "offdelay=30", "-x", "ondelay=60")
            orders = [exchange.request for exchange in simulation.peer.exchanges.after(0)]
            assert ("S.5R0001" in orders) is bool(granted)
            assert (simulation.state()["shutdown_in"] is not None) is bool(granted)
            assert (notebook.counters.get("refused", 0) > 0) is not bool(granted)
            assert notebook.conditions["on_battery"] is True
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        simulation.close()
        cable.close()
