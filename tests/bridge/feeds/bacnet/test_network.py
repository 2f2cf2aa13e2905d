"""How packets come and go: who is admitted, what is wrong, what is routed, and what is left when it ends."""

import asyncio
from dataclasses import replace
import gc
from ipaddress import ip_network
from pathlib import Path
import socket
from typing import Any, Self

from bac_py.network.address import parse_address
from bac_py.services.errors import BACnetTimeoutError
from bacpypes3.pdu import IPv4Address
import pytest

from ridethrough.config.feeds import BacnetForeign
from ridethrough.feeds import FeedError, Traffic
from ridethrough.feeds.bacnet import make
from ridethrough.feeds.bacnet.network import FOREIGN_DEVICES, PATHS, Paths, RouterLink, resolved
from tests.bridge.feeds.rig import World, free_port
from tests.bridge.feeds.shark import capturing

from .rig import DEVICE, Served, a_stranger, config, serving, until


def packet_of(content: str, function: int = 0x0A) -> bytes:
    """Put an NPDU into a packet, as a rule one for a single receiver."""
    inner = bytes.fromhex(content)
    return bytes((0x81, function)) + (len(inner) + 4).to_bytes(2) + inner


WHO_IS = packet_of("0100 1008")
READ_NAME = packet_of("0104 0005010c 0c 023fffff 194d")
SUBSCRIBE = packet_of("0104 00050205 0901 1c 00000001 2901 3964")
BROADCAST_WHO_IS = packet_of("0120ffff00ff 1008", 0x0B)


class Plain:
    """A socket that sends what it is told to."""

    def __init__(self, served: Served, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((host, 0))
        self.there = (served.config.listen, served.config.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, packet: bytes) -> None:
        self.socket.sendto(packet, self.there)

    async def answer(self, seconds: float = 2.0) -> bytes:
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().sock_recv(self.socket, 2000)

    async def ask(self, packet: bytes) -> bytes:
        self.send(packet)
        return await self.answer()


async def test_only_admitted_clients_are_answered(world: World) -> None:
    async with serving(world, clients=(ip_network("127.0.0.2/32"),)) as served:
        with Plain(served) as outside, Plain(served, "127.0.0.2") as inside:
            outside.send(READ_NAME)
            assert (await inside.ask(READ_NAME))[6] == 0x30
            with pytest.raises(TimeoutError):
                await outside.answer(0.1)
            forwarded = b"\x81\x04\x00\x12" + socket.inet_aton("127.0.0.9") + b"\xba\xc0" + BROADCAST_WHO_IS[4:]
            errors = served.traffic.errors
            inside.send(forwarded)
            await until(lambda: served.traffic.errors, lambda count: count == errors + 1)
        assert served.traffic.clients == 1


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        pytest.param("0104 00050163 0102", "60", id="unknown-service"),
        pytest.param("0104 0005010c 0c00", "60", id="cut-off"),
        pytest.param("0104 0c050100020c 0c 02", "70", id="in-segments"),
    ],
)
async def test_requests_that_cannot_be_read_are_refused_at_once(world: World, packet: str, answer: str) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            assert (await client.ask(packet_of(packet)))[6] & 0xF0 == int(answer, 16)
        assert served.traffic.errors >= 1


async def test_what_is_no_bacnet_is_counted_and_dropped(world: World) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            for packet in (
                b"",
                b"\x00",
                b"\x81",
                b"\x81\x0a\x00\x04",
                b"\x01garbage",
                WHO_IS[:-1],
                b"\x81\xff\x00\x04",
                READ_NAME * 200,
            ):
                client.send(packet)
            assert await client.ask(READ_NAME)
        assert served.traffic.errors >= 5


async def test_a_flood_is_cut_and_a_good_client_still_answered(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        with Plain(served) as flood:
            for _ in range(50):
                for _ in range(100):
                    flood.send(READ_NAME)
                await asyncio.sleep(0.002)
            assert await stranger.read(f"device,{DEVICE}", "object-name") == "Test bridge"


async def test_a_broadcast_is_answered(world: World) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            client.there = ("127.0.0.255", served.config.port)
            assert (await client.ask(BROADCAST_WHO_IS))[-11:-7] is not None


async def test_nobody_is_a_client_of_itself(world: World) -> None:
    """Its own I-Am comes back as a broadcast."""
    async with serving(world, prefix=8) as served:
        async with a_stranger(served) as stranger:
            assert await stranger.read(f"device,{DEVICE}", "object-name") == "Test bridge"
        assert served.traffic.requests == 1
    async with serving(world, prefix=8) as served:
        await until(lambda: served.traffic.clients, lambda clients: clients == 0, 1)
        await asyncio.sleep(0.05)
        assert served.traffic.clients == 0


async def test_a_port_in_use_is_said(world: World) -> None:
    async with serving(world) as served:
        with pytest.raises(FeedError, match=f"port {served.config.port} of 127.0.0.1 is in use"):
            await make(served.config, world.context, Traffic()).serve(lambda _place: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"listen": "::1"}, "IPv4", id="ipv6"),
        pytest.param({"listen": "192.0.2.77"}, "no address 192.0.2.77: check listen", id="not-ours"),
        pytest.param({"bbmd": ("nowhere",)}, "nowhere is no address", id="peer"),
        pytest.param({"foreign": BacnetForeign("192.0.2.1:x")}, "is no address", id="router"),
    ],
)
async def test_what_cannot_be_served_is_said(world: World, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FeedError, match=message):
        await make(config(**changes), world.context, Traffic()).serve(lambda _place: None)


def test_addresses_are_read() -> None:
    assert resolved("192.0.2.1", 47809).addrTuple == ("192.0.2.1", 47809)
    assert resolved("192.0.2.1:1", 47809).addrTuple == ("192.0.2.1", 1)
    assert resolved("192.0.2.1/24", 47808).addrBroadcastTuple == ("192.0.2.255", 47808)


async def test_a_foreign_device_registers_and_hears_broadcasts(world: World) -> None:
    """The bridge as a router of broadcasts on one address, the bridge as a foreign device on another."""
    port = free_port(socket.SOCK_DGRAM)
    router = replace(config(port=port), listen="127.0.0.2", bbmd=("127.0.0.2/24",), device_id=1)
    foreign = replace(
        config(), listen="127.0.0.3", prefix=32, device_id=2, foreign=BacnetForeign(f"127.0.0.2:{port}", 60)
    )
    async with serving(world, made=router) as routing, serving(world, made=foreign) as served:
        with Plain(routing) as client:

            async def table() -> bytes:
                return await client.ask(bytes.fromhex("81060004"))

            await until(table, lambda found: socket.inet_aton("127.0.0.3") in found)
        async with a_stranger(routing) as stranger:
            await stranger.client.register_as_foreign_device(f"127.0.0.2:{port}", 60)
            assert await stranger.client.wait_for_registration(5.0)
            found = await stranger.client.who_is(timeout=1.0)
            assert {1, 2} <= {one.object_identifier.instance_number for one in found}
            assert await stranger.client.read(served.place, "device,2", "object-name") == "Test bridge"
        assert routing.traffic.requests


async def test_a_foreign_device_says_goodbye(world: World) -> None:
    router = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with router:
        router.bind(("127.0.0.1", 0))
        router.setblocking(False)
        loop = asyncio.get_running_loop()
        made = replace(config(), foreign=BacnetForeign(f"127.0.0.1:{router.getsockname()[1]}", 60))
        async with serving(world, made=made) as served:
            packet, sender = await asyncio.wait_for(loop.sock_recvfrom(router, 100), 2)
            assert packet == bytes.fromhex("81050006003c")
            router.sendto(bytes.fromhex("810000060030"), sender)  # refused
            packet, _ = await asyncio.wait_for(loop.sock_recvfrom(router, 100), 8)
            assert packet == bytes.fromhex("81050006003c")
            router.sendto(bytes.fromhex("810000060000"), sender)
            packet, _ = await asyncio.wait_for(loop.sock_recvfrom(router, 100), 2)
            assert packet[1] == 0x09  # it says that it is there, by way of the router
            assert served.traffic.errors == 0
        packet, _ = await asyncio.wait_for(loop.sock_recvfrom(router, 100), 2)
        assert packet == bytes.fromhex("810500060000")


async def test_who_is_not_registered_may_not_have_broadcasts_distributed(world: World) -> None:
    async with serving(world, bbmd=("127.0.0.1/24",)) as served:
        with Plain(served) as client:
            assert await client.ask(b"\x81\x09" + BROADCAST_WHO_IS[2:]) == bytes.fromhex("810000060060")
            assert await client.ask(bytes.fromhex("81050006003c")) == bytes.fromhex("810000060000")
            assert await client.ask(bytes.fromhex("81060004")) != b""


async def test_nobody_writes_the_tables_of_a_router_but_for_himself(world: World) -> None:
    async with serving(world, bbmd=("127.0.0.1/24",)) as served:
        with Plain(served, "127.1.0.1") as client, Plain(served, "127.1.0.2") as other:
            assert await client.ask(bytes.fromhex("81050006003c")) == bytes.fromhex("810000060000")
            before = await other.ask(bytes.fromhex("81060004"))
            host, port = client.socket.getsockname()
            entry = socket.inet_aton(host) + port.to_bytes(2)
            assert entry in before
            assert await other.ask(b"\x81\x08\x00\x0a" + entry) == bytes.fromhex("810000060050")
            assert await other.ask(bytes.fromhex("8101000e c0000201bac0ffffff00")) == bytes.fromhex("810000060010")
            assert entry in await other.ask(bytes.fromhex("81060004"))
            assert entry not in await client.ask(bytes.fromhex("81020004"))
            assert await client.ask(b"\x81\x08\x00\x0a" + entry) == bytes.fromhex("810000060000")
            assert entry not in await other.ask(bytes.fromhex("81060004"))


async def test_a_registration_with_a_router_ends_by_itself() -> None:
    link = RouterLink(IPv4Address("127.0.0.1/24"))
    link.register_foreign_device(IPv4Address("192.0.2.7"), 60)
    for second in range(1, 67):
        link.close()
        link.fdt_clock()
        assert bool(link.bbmdFDT) is (second < 65)
    link.close()


async def test_a_router_takes_only_so_many_foreign_devices(world: World) -> None:
    async with serving(world, bbmd=("127.0.0.1/24",)) as served:
        clients = [Plain(served, f"127.1.0.{number}") for number in range(1, FOREIGN_DEVICES + 2)]
        answers = [await client.ask(bytes.fromhex("81050006003c")) for client in clients]
        assert answers == [bytes.fromhex("810000060000")] * FOREIGN_DEVICES + [bytes.fromhex("810000060030")]
        assert await clients[0].ask(bytes.fromhex("81050006003c")) == answers[0]
        for client in clients:
            client.socket.close()


async def test_a_client_behind_a_router_is_answered(world: World) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            # Network 5, station 9: the answer carries it as its destination.
            answer = await client.ask(packet_of("010c 0005 01 09 0005010c 0c 023fffff 194d"))
            assert answer[4:11] == bytes.fromhex("0120 0005 01 09 ff")


async def test_networks_behind_routers_are_not_remembered_without_end() -> None:
    paths = Paths()
    for network in range(1, 3 * PATHS):
        await paths.update_path_info(None, resolved("192.0.2.1", 47808), {network})
        assert len(paths.path_info) <= PATHS
    await paths.update_path_info(None, resolved("192.0.2.1", 47808), set(range(1, 60000)))
    assert len(paths.path_info) <= PATHS


async def test_a_stranger_cannot_say_which_network_this_is(world: World) -> None:
    async with serving(world) as served:
        with Plain(served) as client:
            client.send(bytes.fromhex("810b000a 0180 13 0009 01"))
            assert await client.ask(READ_NAME)
            # What is addressed to network 9 is not for us.
            client.send(packet_of("0124 0009 00 ff 0005010c 0c 023fffff 194d"))
            with pytest.raises(TimeoutError):
                await client.answer(0.1)


async def test_it_starts_and_ends_twenty_times_and_leaves_nothing(world: World) -> None:
    world.ups()
    made = config()

    def left() -> tuple[int, int]:
        gc.collect()
        return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))

    before: tuple[int, int] | None = None
    for _ in range(20):
        async with serving(world, made=made) as served:
            with Plain(served) as client:
                assert await client.ask(READ_NAME)
                assert (await client.ask(SUBSCRIBE))[6] & 0xF0 == 0x20
                assert (await client.answer())[6] & 0xF0 == 0x00  # a notification that is never confirmed
        await asyncio.sleep(0)
        if before is None:
            before = left()
    assert left() == before
    assert not [
        one
        for one in asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # the loop's own timers
        if not one.cancelled() and "bacpypes" in repr(one)
    ]


@pytest.mark.peer
async def test_a_strangers_decoder_finds_nothing_malformed(world: World, tmp_path: Path) -> None:
    ups = world.ups()
    outlet = world.part(ups, "outlet", "1", commands=("outlet.on", "outlet.off"))
    world.post(outlet, conditions={"outlet_on": True})
    async with (
        serving(world, allow=frozenset({"outlet"})) as served,
        capturing(tmp_path, f"udp port {served.config.port}", f"udp.port=={served.config.port},bvlc") as capture,
        a_stranger(served) as stranger,
    ):
        objects = await stranger.objects()
        for which in {which.split(",")[0]: which for which in objects.values()}.values():
            assert await stranger.everything(which)
        await stranger.subscribe(objects["ups-1.on_battery"], 1)
        await stranger.subscribe(objects["ups-1.battery.charge"], 2, confirmed=True)
        await stranger.subscribe_property(objects["ups-1.ups.mode"], "present-value", 3)
        await until(lambda: len(stranger.told), lambda count: count == 3)
        world.post(ups, {"battery.charge": 50.0, "ups.mode": "battery"}, {"on_battery": True})
        await until(lambda: len(stranger.told), lambda count: count == 6)
        await stranger.client.read_property(served.place, f"device,{DEVICE}", "active-cov-subscriptions")
        await stranger.client.write_property(
            served.place, objects["ups-1/outlet-1.command.outlet"], "pv", b"\x91\x00", priority=8
        )
        await stranger.client.who_has(object_name="BACnet/IP", destination=parse_address(served.place), timeout=0.3)
        with pytest.raises((BACnetTimeoutError, Exception)):
            await stranger.read("analog-input,99999", "pv")
    assert await capture.malformed() == []
    assert not await capture.packets("_ws.expert.severity >= 0x00800000 && bacapp")
    assert len(await capture.packets("bacapp")) > 80
