"""The SNMP face: what net-snmp's clients see of it, what they can order, which traps come, and what faults do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from io import StringIO
import os
import re
import socket

from hypothesis import given, strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c
import pytest

from ridethrough.sim import SimulateOptions, Simulation, find_scenario, simulate
from ridethrough.sim.change import Change, parse_change
from ridethrough.sim.snmp import SnmpPeer
from ridethrough.sim.snmp_message import Message, Pdu, Tag, Value, Version
from ridethrough.sim.ups import OffReason
from tests.strangers import peer

from .conftest import Bench

UPS = "1.3.6.1.2.1.33"
NAME = (1, 3, 6, 1, 2, 1, 33, 1)
TESTS = f"{UPS}.1.7.7"
ENVIRONMENT = os.environ | {"MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"}


class Card:
    """A simulation that is asked with net-snmp."""

    def __init__(self, bench: Bench, simulation: Simulation) -> None:
        assert isinstance(simulation.peer, SnmpPeer)
        assert simulation.peer.where is not None
        self.clock = bench.clock
        self.simulation = simulation
        self.peer = simulation.peer
        self.where = simulation.peer.where

    async def run(self, program: str, *arguments: str, version: str = "-v2c", community: str = "public") -> str:
        """Ask with a program; gives what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(str(peer(program)), version, "-c", community, "-t", "1", "-r", "0", "-On", "-Oq", self.where),
            *arguments,
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        return printed.decode()

    async def get(self, name: str) -> str:
        """Ask for one object of the UPS-MIB."""
        printed = await self.run("snmpget", f"{UPS}.1.{name}")
        found = re.fullmatch(rf"\.{re.escape(UPS)}\.1\.{re.escape(name)} (.*)\n", printed)
        assert found is not None, printed
        return found[1]

    async def set(self, *arguments: str, version: str = "-v2c", community: str = "private") -> str:
        """Order something."""
        return await self.run("snmpset", *arguments, version=version, community=community)


@asynccontextmanager
async def card(bench: Bench, **options: object) -> AsyncIterator[Card]:
    async with bench.simulation(device="snmp", **options) as simulation:  # type: ignore[arg-type] # as the test has it
        yield Card(bench, simulation)


pytestmark = pytest.mark.peer


@pytest.mark.parametrize(("program", "version"), [("snmpwalk", "-v1"), ("snmpwalk", "-v2c"), ("snmpbulkwalk", "-v2c")])
async def test_a_walk_by_any_means_shows_the_same_ups(bench: Bench, program: str, version: str) -> None:
    async with card(bench) as agent:
        shown = dict(
            line.split(" ", 1)
            for line in (await agent.run(program, UPS, version=version)).splitlines()
            if line[0] == "." and "No more variables" not in line
        )
    assert shown[f".{UPS}.1.1.1.0"] == '"Ridethrough"'
    assert shown[f".{UPS}.1.1.2.0"] == '"LI-1000"'
    assert shown[f".{UPS}.1.2.1.0"] == "2"
    assert shown[f".{UPS}.1.2.2.0"] == "0"
    assert shown[f".{UPS}.1.2.4.0"] == "100"
    assert shown[f".{UPS}.1.3.3.1.3.1"] == "230"
    assert shown[f".{UPS}.1.4.1.0"] == "3"
    assert shown[f".{UPS}.1.4.4.1.5.1"] == "30"
    assert shown[f".{UPS}.1.6.1.0"] == "0"
    assert shown[f".{UPS}.1.7.3.0"] == "6"
    assert shown[f".{UPS}.1.8.2.0"] == "-1"
    assert shown[f".{UPS}.1.9.5.0"] == "1000"
    assert shown[f".{UPS}.1.9.10.0"] == "280"
    assert len(shown) == 48


async def test_an_outage_shows_in_source_time_alarms_and_bad_lines(bench: Bench) -> None:
    async with card(bench) as agent:
        agent.simulation.apply(Change(mains=False, load=0.5))
        await bench.clock.advance(30.0)
        assert await agent.get("4.1.0") == "5"
        assert await agent.get("2.2.0") == "30"
        assert await agent.get("3.1.0") == "1"
        assert int(await agent.get("2.6.0")) < 0
        assert await agent.get("6.1.0") == "2"
        assert (await agent.run("snmpwalk", f"{UPS}.1.6.2.1.2")).splitlines() == [
            f".{UPS}.1.6.2.1.2.1 .{UPS}.1.6.3.2",
            f".{UPS}.1.6.2.1.2.2 .{UPS}.1.6.3.6",
        ]
        agent.simulation.apply(Change(mains=True))
        await bench.clock.advance(5.0)
        assert await agent.get("6.1.0") == "0"
        assert await agent.get("4.1.0") == "3"
        assert int(await agent.get("2.6.0")) > 0
        agent.simulation.apply(Change(mains=False))
        await bench.clock.advance(1.0)
        # Every alarm has a number of its own.
        assert f".{UPS}.1.6.2.1.2.3 " in await agent.run("snmpwalk", f"{UPS}.1.6.2.1.2")


async def test_an_online_ups_has_a_bypass_line(bench: Bench) -> None:
    async with card(bench, design="online-3000") as agent:
        assert await agent.get("5.2.0") == "1"
        assert await agent.get("5.3.1.2.1") == "230"


async def test_a_battery_test_runs_and_leaves_its_result(bench: Bench) -> None:
    async with card(bench) as agent:
        await agent.set(f"{UPS}.1.7.2.0", "i", "0", f"{UPS}.1.7.1.0", "o", f"{TESTS}.4")
        await bench.clock.advance(4.0)
        assert await agent.get("7.3.0") == "5"
        assert await agent.get("7.6.0") == "4"
        assert await agent.get("7.2.0") == "1"
        assert await agent.get("7.1.0") == f".{TESTS}.4"
        assert "inconsistentValue" in await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.5")
        assert "inconsistentValue" in await agent.set(f"{UPS}.1.7.2.0", "i", "0")
        await bench.clock.advance(10.0)
        assert await agent.get("7.3.0") == "1"
        await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.5")
        await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.1")
        assert await agent.get("7.3.0") == "5"
        await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.2")
        assert await agent.get("7.3.0") == "4"


async def test_a_shutdown_counts_down_can_be_taken_back_and_comes_back_by_itself_or_not(bench: Bench) -> None:
    async with card(bench) as agent:
        await agent.set(f"{UPS}.1.8.2.0", "i", "60")
        await bench.clock.advance(20.0)
        assert await agent.get("8.2.0") == "40"
        assert f".{UPS}.1.6.3.22" in await agent.run("snmpwalk", f"{UPS}.1.6.2.1.2")
        await agent.set(f"{UPS}.1.8.2.0", "i", "-1")
        assert await agent.get("8.2.0") == "-1"
        await agent.set(f"{UPS}.1.8.2.0", "i", "1")
        await bench.clock.advance(5.0)
        assert await agent.get("4.1.0") == "2"
        assert await agent.get("4.4.1.3.1") == "0"
        await bench.clock.advance(20.0)
        assert await agent.get("4.1.0") == "3"
        await agent.set(f"{UPS}.1.8.5.0", "i", "2", f"{UPS}.1.8.2.0", "i", "1")
        await bench.clock.advance(60.0)
        assert await agent.get("4.1.0") == "2"
        assert agent.simulation.unit.state.off_reason is OffReason.SHUTDOWN
        await agent.set(f"{UPS}.1.8.3.0", "i", "5")
        assert await agent.get("8.3.0") == "5"
        await agent.set(f"{UPS}.1.8.3.0", "i", "-1")
        await bench.clock.advance(60.0)
        assert await agent.get("4.1.0") == "2"
        await agent.set(f"{UPS}.1.8.3.0", "i", "5")
        await bench.clock.advance(20.0)
        assert await agent.get("4.1.0") == "3"
        await agent.set(f"{UPS}.1.8.3.0", "i", "5")  # what is on stays on
        await agent.set(f"{UPS}.1.8.4.0", "i", "15")
        await bench.clock.advance(5.0)
        assert await agent.get("4.1.0") == "2"
        await agent.set(f"{UPS}.1.8.4.0", "i", "-1")
        await bench.clock.advance(20.0)
        assert await agent.get("4.1.0") == "3"


async def test_names_and_the_beeper_can_be_set(bench: Bench) -> None:
    async with card(bench) as agent:
        await agent.set(f"{UPS}.1.1.5.0", "s", "cellar", f"{UPS}.1.9.8.0", "i", "1")
        assert await agent.get("1.5.0") == '"cellar"'
        assert await agent.get("9.8.0") == "1"
        assert agent.simulation.unit.state.beeper is False


async def test_refused_orders_change_nothing_and_say_which_and_why(bench: Bench) -> None:
    async with card(bench) as agent:
        both = await agent.set(f"{UPS}.1.8.2.0", "i", "60", f"{UPS}.1.2.4.0", "i", "5")
        assert "notWritable" in both
        assert f"{UPS}.1.2.4.0" in both
        assert await agent.get("8.2.0") == "-1"
        assert "wrongType" in await agent.set(f"{UPS}.1.8.2.0", "s", "60")
        assert "wrongValue" in await agent.set(f"{UPS}.1.8.2.0", "i", "-5")
        assert "wrongValue" in await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.9")
        assert "wrongValue" in await agent.set(f"{UPS}.1.1.5.0", "s", "x" * 64)
        assert "noAccess" in await agent.set(f"{UPS}.1.8.2.0", "i", "60", community="public")
        assert "noSuchName" in await agent.set(f"{UPS}.1.8.2.0", "i", "60", version="-v1", community="public")
        assert "badValue" in await agent.set(f"{UPS}.1.8.2.0", "i", "-5", version="-v1")
        assert await agent.get("8.2.0") == "-1"


async def test_what_is_not_there_is_told_by_each_version_in_its_way(bench: Bench) -> None:
    async with card(bench) as agent:
        assert "No Such Instance" in await agent.run("snmpget", f"{UPS}.1.99.0")
        assert "noSuchName" in await agent.run("snmpget", f"{UPS}.1.2.1.0", f"{UPS}.1.99.0", version="-v1")
        assert "No more variables" in await agent.run("snmpgetnext", "1.3.7")
        assert "noSuchName" in await agent.run("snmpgetnext", "1.3.7", version="-v1")
        assert "tooBig" in await agent.run("snmpget", *[f"{UPS}.1.1.1.0"] * 60)
        assert "No more variables" in await agent.run("snmpbulkget", "-Cn1", "-Cr50", UPS, f"{UPS}.1.9.9.0")
        assert len((await agent.run("snmpbulkget", "-Cn0", "-Cr200", "1.3")).splitlines()) > 45


async def test_a_wrong_community_is_met_with_silence(bench: Bench) -> None:
    async with card(bench) as agent:
        assert "Timeout" in await agent.run("snmpget", f"{UPS}.1.2.1.0", community="guess")
        assert agent.peer.ignored == 1


class Post:
    """Where traps arrive."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.0)
        self.address = self.socket.getsockname()

    def take(self) -> list[tuple[str, dict[str, str]]]:
        """Take what has arrived: the trap's name, and its variables after that."""
        found = []
        with suppress(BlockingIOError):
            while data := self.socket.recv(65535):
                message, _ = decoder.decode(data, asn1Spec=v2c.Message())
                pdu = v2c.apiMessage.get_pdu(message)
                assert isinstance(pdu, v2c.SNMPv2TrapPDU)
                (_, _), (_, name), *rows = v2c.apiPDU.get_varbinds(pdu)
                found.append((str(name).removeprefix(f"{UPS}.2."), {str(key): str(value) for key, value in rows}))
        return found


async def test_traps_tell_of_transfers_alarms_and_tests(bench: Bench) -> None:
    post = Post()
    with closing(post.socket):
        async with card(bench, trap=post.address) as agent:
            await bench.clock.advance(5.0)
            assert post.take() == []
            agent.simulation.apply(Change(mains=False, load=0.3))
            added, also, on_battery = post.take()
            alarm = f"{UPS}.1.6.2.1"
            assert added == ("3", {f"{alarm}.1.1": "1", f"{alarm}.2.1": f"{UPS}.1.6.3.2"})
            assert also[0] == "3"
            assert on_battery[0] == "1"
            assert on_battery[1][f"{UPS}.1.2.2.0"] == "0"
            await bench.clock.advance(61.0)
            ((name, rows),) = post.take()
            assert name == "1"
            assert rows[f"{UPS}.1.2.2.0"] == "60"
            agent.simulation.apply(Change(mains=True))
            await bench.clock.advance(5.0)
            assert [name for name, _ in post.take()] == ["4", "4"]
            await agent.set(f"{UPS}.1.7.1.0", "o", f"{TESTS}.4")
            await bench.clock.advance(12.0)
            names = [name for name, _ in post.take()]
            assert names.count("2") == 1
            assert names.count("1") == 1
            # A card without a network tells nobody.
            agent.simulation.apply(Change(plugged=False))
            agent.simulation.apply(Change(mains=False))
            assert post.take() == []


async def test_a_trap_that_cannot_be_sent_is_lost_and_nothing_else(bench: Bench) -> None:
    async with card(bench, trap=("255.255.255.255", 9)) as agent:
        agent.simulation.apply(Change(mains=False))
        assert agent.peer.lost_bytes > 0
        assert await agent.get("4.1.0") == "5"


@pytest.mark.parametrize(
    ("fault", "symptom"),
    [
        ({"silent": True}, "Timeout"),
        ({"plugged": False}, "Timeout"),
        ({"delay": 1.5}, "Timeout"),
        ({"garble": 1.0}, ""),
    ],
)
async def test_faults_of_the_line_are_faults_of_the_network(
    bench: Bench, fault: dict[str, object], symptom: str
) -> None:
    async with card(bench) as agent:
        well = await agent.run("snmpget", f"{UPS}.1.2.1.0")
        agent.simulation.apply(parse_change({"line": fault}))
        spoiled = await agent.run("snmpget", f"{UPS}.1.2.1.0")
        assert spoiled != well
        assert symptom in spoiled
        assert (agent.peer.where is None) is (fault.get("plugged") is False)
        agent.simulation.play(agent.simulation.scenario)
        await asyncio.sleep(0.6 if "delay" in fault else 0.0)
        assert await agent.run("snmpget", f"{UPS}.1.2.1.0") == well


async def test_echo_and_flood_come_besides_the_answer(bench: Bench) -> None:
    async with card(bench) as agent:
        host, _, port = agent.where.rpartition(":")
        request = Message(Version.V2C, b"public", Pdu.GET, 7, variables=(((*NAME, 2, 1, 0), Value(Tag.NULL)),)).encode()
        agent.simulation.apply(parse_change({"line": {"echo": True}}))
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
            client.settimeout(5.0)
            client.sendto(request, (host, int(port)))
            assert await asyncio.to_thread(client.recv, 1000) == request
            answer = Message.decode(await asyncio.to_thread(client.recv, 1000))
            assert answer.variables == (((*NAME, 2, 1, 0), Value(Tag.INTEGER, 2)),)
            agent.simulation.apply(parse_change({"line": {"echo": False, "flood": True}}))
            assert len(await asyncio.to_thread(client.recv, 1000)) == 64


async def test_a_gauge_can_stick_and_a_dead_ups_has_a_dead_card(bench: Bench) -> None:
    async with card(bench) as agent:
        agent.simulation.apply(parse_change({"fault": {"stuck": {"input_voltage": 199.0}}}))
        assert await agent.get("3.3.1.3.1") == "199"
        agent.simulation.apply(Change(power=False, mains=False))
        assert "Timeout" in await agent.run("snmpget", f"{UPS}.1.2.1.0")


async def test_more_than_it_can_hold_and_what_is_no_request_is_ignored(bench: Bench) -> None:
    async with card(bench) as agent:
        host, _, port = agent.where.rpartition(":")
        agent.simulation.apply(parse_change({"line": {"delay": 0.2}}))
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
            for _ in range(80):
                client.sendto(b"nonsense", (host, int(port)))
            while agent.peer.ignored < 10:
                await asyncio.sleep(0.01)
        agent.simulation.apply(parse_change({"line": {"delay": 0.0}}))
        response = Message(Version.V2C, b"public", Pdu.RESPONSE, 1).encode()
        assert agent.peer._answer(response) == b""


async def test_the_command_line_serves_it_where_it_is_told() -> None:
    class Printed(StringIO):
        flushed = asyncio.Event()

        def flush(self) -> None:
            self.flushed.set()

    out = Printed()
    options = SimulateOptions(device="snmp", address=("127.0.0.1", 0), trap=("127.0.0.1", 9))
    running = asyncio.create_task(simulate(options, out))
    await out.flushed.wait()
    assert re.fullmatch(r"snmp on 127\.0\.0\.1:\d+, no control\nready\n", out.getvalue())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            await simulate(SimulateOptions(device="snmp", address=taken.getsockname()), StringIO())


async def test_it_plays_scenarios_and_can_be_reached_by_ipv6(bench: Bench) -> None:
    async with card(bench, scenario=find_scenario("outage"), address=("::1", 0)) as agent:
        agent.where = f"udp6:{agent.where}"
        await bench.clock.advance(30.0)
        assert await agent.get("4.1.0") == "5"
        state = agent.simulation.state()
        assert state["path"] == agent.where.removeprefix("udp6:")
        assert state["exchanges"] == 1


# The codec, against another library.

oids = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20).map(lambda rest: (1, 3, *rest))
values = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(lambda number: Value(Tag.INTEGER, number)),
    st.integers(0, 2**32 - 1).map(lambda number: Value(Tag.GAUGE, number)),
    st.binary(max_size=200).map(lambda text: Value(Tag.OCTETS, text)),
    oids.map(lambda name: Value(Tag.OID, name)),
    st.just(Value(Tag.NULL)),
    st.just(Value(Tag.NO_INSTANCE)),
)


@given(st.integers(0, 2**31 - 1), st.lists(st.tuples(oids, values), max_size=10))
def test_messages_are_what_another_library_reads_and_writes(
    number: int, rows: list[tuple[tuple[int, ...], Value]]
) -> None:
    message = Message(Version.V2C, b"public", Pdu.RESPONSE, number, variables=tuple(rows))
    theirs, rest = decoder.decode(message.encode(), asn1Spec=v2c.Message())
    assert rest == b""
    pdu = v2c.apiMessage.get_pdu(theirs)
    assert v2c.apiPDU.get_request_id(pdu) == number
    assert [tuple(name) for name, _ in v2c.apiPDU.get_varbinds(pdu)] == [name for name, _ in rows]
    assert Message.decode(bytes(encoder.encode(theirs))) == message


@given(st.binary(max_size=100))
def test_garbage_is_no_message_and_no_surprise(data: bytes) -> None:
    with suppress(ValueError):
        Message.decode(data)


@given(st.data())
def test_a_damaged_message_is_no_surprise_either(data: st.DataObject) -> None:
    rows = (
        ((*NAME, 1, 1, 0), Value(Tag.OCTETS, b"text")),
        (NAME, Value(Tag.OID, NAME)),
        ((), Value(Tag.ADDRESS, b"abcd")),
    )
    sound = Message(Version.V1, b"public", Pdu.GET_NEXT, 1, variables=rows).encode()
    place, byte = data.draw(st.integers(0, len(sound) - 1)), data.draw(st.integers(0, 255))
    with suppress(ValueError):
        Message.decode(sound[:place] + bytes([byte]) + sound[place + 1 :])
