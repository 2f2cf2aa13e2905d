"""Bytes at the edge of what may be, and beyond it."""

from collections.abc import Mapping
from ipaddress import ip_network

import pytest

from ridethrough.config.feeds import SnmpCommunity, SnmpUser
from ridethrough.feeds import FeedError
from ridethrough.feeds.snmp import counters
from ridethrough.feeds.snmp.transport import Transport
from ridethrough.feeds.snmp.usm import ONE_FRAME
from ridethrough.sim.snmp_message import Message, Pdu, Tag, Value, Version
from tests.bridge.feeds.rig import World

from .agents import (
    READ,
    SYS_NAME,
    SYS_UPTIME,
    TABLE as WIDE,
    UPS,
    Agent,
    config,
    credentials,
    fill,
    oid,
    question,
    serving,
    user,
    wide_table,
)

GOOD = question(Pdu.GET, SYS_NAME)


def names(message: Message) -> list[str]:
    return [".".join(map(str, name)) for name, _ in message.variables]


async def still_answers(agent: Agent) -> None:
    """See that a good client is answered."""
    assert (await agent.say(GOOD)).variables[0][1].content == b"Test bridge"


async def test_the_end_of_the_mib_is_told_by_each_kind(world: World) -> None:
    world.ups()
    async with serving(world) as agent:
        end = "1.3.6.1.6.3.15.1.1.6.0"
        nothing = await agent.say(question(Pdu.GET_NEXT, end))
        assert nothing.variables == ((oid(end), Value(Tag.END)),)
        first = await agent.say(question(Pdu.GET_NEXT, end, version=Version.V1))
        assert (first.error, first.index, names(first)) == (2, 1, [end])
        bulk = await agent.say(question(Pdu.GET_BULK, "1.3.6.1.6.3.15.1.1.5.0", numbers=(0, 50)))
        assert names(bulk) == [end, end]
        assert [value.tag for _, value in bulk.variables] == [Tag.COUNTER, Tag.END]
        assert names(await agent.say(question(Pdu.GET_NEXT, "0.0"))) == ["1.3.6.1.2.1.1.1.0"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0, 0), []),
        ((-5, 2), ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.6.0"]),
        ((1, 2), ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.6.0"]),
        ((9, 2), ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.5.0"]),
        ((2, -7), ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.5.0"]),
    ],
    ids=["none", "negative", "one and two", "more than there are", "negative repetitions"],
)
async def test_bulk_gives_what_its_two_numbers_say(world: World, numbers: tuple[int, int], expected: list[str]) -> None:
    async with serving(world) as agent:
        answer = await agent.say(question(Pdu.GET_BULK, "1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.4.0", numbers=numbers))
        assert (answer.error, names(answer)) == (0, expected)


async def test_a_huge_bulk_is_cut_to_a_frame(world: World) -> None:
    world.ups()
    fill(world, 600, amount=3.0)
    async with serving(world, mibs=(wide_table(),)) as agent:
        asked = question(Pdu.GET_BULK, WIDE, numbers=(0, 2**31 - 1))
        data = await agent.ask(asked.encode(), 3.0)
        assert data is not None
        # Whose address it is nobody knows who only gives a community: one frame is all that it is worth.
        assert ONE_FRAME - 64 < len(data) <= ONE_FRAME
        assert names(Message.decode(data))[:2] == [f"{WIDE}.1.1", f"{WIDE}.1.2"]


@pytest.mark.peer
@pytest.mark.parametrize(("who", "frames"), [(user(), 1), (user("sha", "aes"), 40)], ids=["no proof", "proof"])
async def test_only_who_proves_who_they_are_gets_more_than_a_frame(world: World, who: SnmpUser, frames: int) -> None:
    world.ups()
    fill(world, 600, amount=3.0)
    async with serving(world, config(users=(who,)), mibs=(wide_table(),)) as agent:
        _, out = await agent.run("snmpbulkget", credentials(who), "-Cn0", "-Cr2600", WIDE)
        size = len(out.splitlines()) * 20
        assert size < ONE_FRAME if frames == 1 else size > ONE_FRAME * 20


async def test_what_does_not_fit_is_too_big_or_dropped(world: World) -> None:
    world.ups()
    world.post(world.site.device_by_key("ups-1") or world.ups(), {"ups.test.result": "x" * 250})
    detail = f"{UPS}.7.4.0"
    async with serving(world) as agent:
        big = await agent.say(question(Pdu.GET, *[detail] * 300))
        assert (big.error, big.index, big.variables) == (1, 0, ())
        asked = question(Pdu.GET, *[detail] * 300, version=Version.V1)
        first = await agent.say(asked)
        assert (first.error, first.variables) == (1, asked.variables)


def changed(data: bytes, place: int, *content: int) -> bytes:
    return data[:place] + bytes(content) + data[place + len(content) :]


_ASKED = GOOD.encode()
_NEST = b"\x30\x80" * 400
BROKEN: Mapping[str, bytes] = {
    "empty": b"",
    "one byte": b"\x30",
    "cut off": _ASKED[:-3],
    "too much": _ASKED + b"\0",
    "indefinite length": changed(_ASKED, 1, 0x80),
    "length of 127 bytes": changed(_ASKED, 1, 0xFF),
    "length beyond the end": changed(_ASKED, 1, 0x7F),
    "nested deeply": _NEST,
    "nested with lengths": b"".join(bytes((0x30, 0x82, (2000 - 4 * n) >> 8, (2000 - 4 * n) & 255)) for n in range(400)),
    "a version of nine bytes": bytes.fromhex("300b0209000000000000000001"),
    "a name of 129 numbers": question(Pdu.GET, ".".join(["1", "3", *["6"] * 127])).encode(),
    "a number of 33 bits": question(Pdu.GET, f"1.3.{2**32}").encode(),
    "a number of 700 bits": question(Pdu.GET, f"1.3.{2**700}").encode(),
    "a request id of 33 bits": question(Pdu.GET, SYS_NAME, request_id=2**33).encode(),
    "an exception for a value": Message(
        Version.V2C, READ.encode(), Pdu.GET, 1, variables=((oid(SYS_NAME), Value(Tag.END)),)
    ).encode(),
}
SILENT: Mapping[str, bytes] = {
    "a community nobody knows": question(Pdu.GET, SYS_NAME, community="public").encode(),
    "no community": question(Pdu.GET, SYS_NAME, community="").encode(),
    "bulk in the first version": question(Pdu.GET_BULK, SYS_NAME, version=Version.V1, numbers=(0, 3)).encode(),
    "an answer": question(Pdu.RESPONSE, SYS_NAME).encode(),
    "a trap": question(Pdu.TRAP, SYS_NAME).encode(),
    "the second version that nobody uses": bytes.fromhex("3003020102"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
async def test_broken_packets_are_counted_and_dropped(world: World, data: bytes) -> None:
    async with serving(world) as agent:
        assert await agent.ask(data) is None
        assert agent.feed.counters[counters.ASN_ERRORS] == 1
        assert agent.traffic.errors == 1
        await still_answers(agent)


@pytest.mark.parametrize("data", SILENT.values(), ids=list(SILENT))
async def test_what_is_not_answered_is_counted(world: World, data: bytes) -> None:
    async with serving(world) as agent:
        assert await agent.ask(data) is None
        assert agent.traffic.errors == 1
        assert agent.feed.counters[counters.ASN_ERRORS] == 0
        await still_answers(agent)


async def test_a_name_of_128_numbers_is_a_name(world: World) -> None:
    async with serving(world) as agent:
        long = ".".join(["1", "3", *["6"] * 126])
        assert (await agent.say(question(Pdu.GET, long))).variables == ((oid(long), Value(Tag.NO_OBJECT)),)
        great = f"1.3.{2**32 - 1}"
        assert (await agent.say(question(Pdu.GET, great))).variables == ((oid(great), Value(Tag.NO_OBJECT)),)


async def test_nobody_is_known_until_somebody_is_configured(world: World) -> None:
    async with serving(world, config(communities=(), users=())) as agent:
        for name in ("public", "private", "", READ):
            assert await agent.ask(question(Pdu.GET, SYS_NAME, community=name).encode(), 0.1) is None
        assert agent.feed.counters[counters.BAD_NAMES] == 4


async def test_a_community_is_bound_to_addresses(world: World) -> None:
    chosen = config(
        communities=(
            SnmpCommunity("near", clients=(ip_network("127.0.0.0/8"),)),
            SnmpCommunity("far", clients=(ip_network("192.0.2.0/24"),)),
        )
    )
    async with serving(world, chosen) as agent:
        assert await agent.ask(question(Pdu.GET, SYS_NAME, community="far").encode()) is None
        assert agent.feed.counters[counters.BAD_USES] == 1
        assert (await agent.say(question(Pdu.GET, SYS_NAME, community="near"))).error == 0
    async with serving(world, config(clients=(ip_network("192.0.2.0/24"),))) as agent:
        assert await agent.ask(_ASKED) is None
        assert agent.traffic.errors == 1
        assert agent.traffic.clients == 0


async def test_a_community_shows_its_device(world: World) -> None:
    world.ups("ups-1")
    world.post(world.ups("ups-2"), {"battery.charge": 55.0})
    chosen = config(communities=(SnmpCommunity(READ), SnmpCommunity("second", device="ups-2")))
    async with serving(world, chosen) as agent:
        charge = f"{UPS}.2.4.0"
        assert (await agent.say(question(Pdu.GET, charge))).variables[0][1].content == 100
        assert (await agent.say(question(Pdu.GET, charge, community="second"))).variables[0][1].content == 55


async def test_a_device_that_comes_later_is_shown_then(world: World) -> None:
    async with serving(world) as agent:
        charge = question(Pdu.GET, f"{UPS}.2.4.0")
        assert (await agent.say(charge)).variables[0][1].tag is Tag.NO_INSTANCE
        ups = world.ups()
        assert (await agent.say(charge)).variables[0][1].content == 100
        world.site.remove(ups.id)
        assert (await agent.say(charge)).variables[0][1].tag is not Tag.INTEGER


async def test_the_clock_runs_and_requests_are_counted(world: World) -> None:
    async with serving(world) as agent:
        one, two = [(await agent.say(question(Pdu.GET, SYS_UPTIME))).variables[0][1] for _ in range(2)]
        assert one.tag is Tag.TICKS
        assert isinstance(one.content, int) and isinstance(two.content, int)
        assert one.content <= two.content < 1000
        assert (agent.traffic.requests, agent.traffic.errors, agent.traffic.clients) == (2, 0, 1)


async def test_a_port_in_use_is_one_clear_sentence(world: World) -> None:
    async with serving(world) as agent:
        with pytest.raises(FeedError, match=rf"UDP port {agent.port} of 127.0.0.1 is in use"):
            await agent.feed.serve(lambda place: None)
        with pytest.raises(FeedError, match="no address of this machine"):
            Transport("192.0.2.1", 0, lambda data, address: None)
        await still_answers(agent)
