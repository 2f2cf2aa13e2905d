"""Requests that begin and never end, come twice, or ask for too much."""

import asyncio

import pytest

from ridethrough.feeds.bacnet.transactions import TRANSACTIONS
from tests.bridge.feeds.rig import World

from .rig import DEVICE, a_stranger, serving, until
from .test_network import READ_NAME, Plain, packet_of

OBJECT_LIST = packet_of("0104 0275010c 0c 023fffff 194c")


async def test_what_it_says_it_understands_is_what_it_understands(world: World) -> None:
    async with serving(world) as served, a_stranger(served) as stranger:
        bits = await stranger.read(f"device,{DEVICE}", "protocol-services-supported")
        known = {place for place, bit in enumerate(bits) if bit}
        assert {0, 3, 5, 12, 14, 15, 16, 32, 33, 34, 36, 38, 39} <= known
        assert not known & {1, 2, 4, 7, 8, 26, 27, 28, 35}
        kinds = await stranger.read(f"device,{DEVICE}", "protocol-object-types-supported")
        assert {place for place, bit in enumerate(kinds) if bit} == {0, 3, 4, 5, 8, 13, 15, 40, 44, 56}
        assert await stranger.read(f"device,{DEVICE}", "local-date") is not None
        assert await stranger.read(f"device,{DEVICE}", "daylight-savings-status") in {True, False}
        everything = await stranger.client.read_multiple(served.place, {f"device,{DEVICE}": ["all", "required"]})
        assert everything


async def test_a_client_that_never_takes_its_segments_is_given_up(world: World) -> None:
    for number in range(400):
        world.post(world.device(f"sensor-{number}", "sensor"), {"sensor.value": 1.0})
    async with serving(world) as served:
        with Plain(served) as client:
            for number in range(TRANSACTIONS + 20):
                client.send(OBJECT_LIST[:8] + bytes((number,)) + OBJECT_LIST[9:])
                await asyncio.sleep(0.001)
            client.send(READ_NAME)
            # All transactions are taken: nobody is answered, until those who do not go on are given up.
            async with asyncio.timeout(20):
                while True:
                    client.send(READ_NAME[:8] + b"\xee" + READ_NAME[9:])
                    try:
                        answer = await client.answer(0.5)
                    except TimeoutError:
                        continue
                    if answer[6] == 0x30 and answer[7] == 0xEE:
                        break
        assert served.traffic.errors


async def test_a_request_that_comes_twice_is_answered_once_while_it_is_under_way(world: World) -> None:
    outlet = world.part(world.ups(), "outlet", "1", commands=("outlet.on", "outlet.off"))
    world.post(outlet, conditions={"outlet_on": True})
    write = packet_of("0104 0005330f 0c 01000001 1955 3e 9100 3f 4908")
    async with serving(world, allow=frozenset({"outlet"})) as served:
        with Plain(served) as client:
            for _ in range(3):
                client.send(write)
            assert (await client.answer())[6] == 0x20
            await asyncio.sleep(0.2)
        assert len(world.given) <= 2


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        pytest.param("0104 00090133 0c", None, id="answers-of-unknown-length"),
        pytest.param("0104 0005020e 0c 023fffff 1e 0908 1f 0c", 0x60, id="cut-in-the-middle"),
        pytest.param("0104 0005021a 0c 00000001 1955 3e 2101 2901 3f", 0x60, id="range"),
        pytest.param("0104 00050211 0900", 0x60, id="device-communication-control"),
    ],
)
async def test_what_is_not_understood_harms_nobody(world: World, packet: str, kind: int | None) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            client.send(packet_of(packet))
            if kind is not None:
                assert (await client.answer())[6] == kind
            assert (await client.ask(READ_NAME))[6] == 0x30
        await until(lambda: served.traffic.errors, lambda count: count >= 1)


async def test_an_answer_without_end_is_not_begun(world: World) -> None:
    for number in range(40):
        world.ups(f"ups-{number}")
    wanted = "0c 023fffff 1e" + "0908" * 600 + "1f"
    async with serving(world) as served:
        with Plain(served) as client:
            answer = await client.ask(packet_of("0104 0275010e" + wanted))
            assert answer[6] & 0xF0 == 0x70, answer.hex()
            assert (await client.ask(READ_NAME))[6] == 0x30
