"""What BACnet/IP costs: properties read a second, against the bare library with one object in the same run, and stalls.

Run it with `scripts/bench feeds`, or alone: `scripts/bench feeds bacnet`. It takes a few seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import gc
from pathlib import Path
import socket
import sys
import tempfile
from time import perf_counter, thread_time

from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.analog import AnalogInputObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import IPv4Address

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds import Traffic
from ridethrough.feeds.bacnet import make
from ridethrough.site import Device
from tests.bridge.feeds.rig import World, a_world, free_port

SECONDS = 1.0
TURNS = 3
MODULES = 512
PROPERTIES = 50
"""Read by one ReadPropertyMultiple: as many present values as a client asks for at once."""
ROUNDS = 5
POINTS = ("ups.load", "ups.realpower", "battery.voltage", "battery.current", "input.voltage", "input.current")
"""Of each of the modules; no conditions, which the journal would have to write down."""


def packet(content: bytes) -> bytes:
    """Put an APDU into a packet for one receiver."""
    return b"\x81\x0a" + (len(content) + 6).to_bytes(2) + b"\x01\x04" + content


def one_property() -> bytes:
    """Ask for the present value of analog-input 1."""
    return packet(bytes.fromhex("0005010c 0c00000001 1955"))


def many_properties() -> bytes:
    """Ask for the present values of many objects; the bare library is asked fifty times for its only one."""
    wanted = b"".join(b"\x0c" + number.to_bytes(4) + b"\x1e\x09\x55\x1f" for number in range(1, PROPERTIES + 1))
    return packet(bytes.fromhex("0275010e") + wanted)


def one_object_often() -> bytes:
    """Ask the bare library as much as it has."""
    return packet(bytes.fromhex("0275010e") + b"\x0c\x00\x00\x00\x01\x1e" + b"\x09\x55" * PROPERTIES + b"\x1f")


async def asker(port: int, question: bytes) -> float:
    """Have another process ask for a while; returns answers a second."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.feeds.bacnet", "ask", str(port), question.hex()),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return float(said)


def ask(port: int, question: bytes) -> float:
    """Ask and wait for the answer, again and again, four questions on their way at a time."""
    answers, window = 0, 4
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(2.0)
        until = perf_counter() + SECONDS
        number = 0

        def send() -> None:
            nonlocal number
            number = (number + 1) % 256
            client.send(question[:8] + bytes((number,)) + question[9:])

        for _ in range(window):
            send()
        while perf_counter() < until:
            answer = client.recv(2000)
            assert answer[6] & 0xF0 == 0x30, answer.hex()
            answers += 1
            send()
    return answers / SECONDS


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """Serve one object by the library alone."""
    port = free_port(socket.SOCK_DGRAM)
    device = DeviceObject(objectIdentifier=("device", 1), objectName="bare")
    application = NormalApplication(device, IPv4Address(f"127.0.0.1/32:{port}"))
    application.add_object(
        AnalogInputObject(
            objectIdentifier=("analog-input", 1),
            objectName="one",
            presentValue=1.0,
            statusFlags=[0, 0, 0, 0],
            eventState="normal",
            outOfService=False,
            units="volts",
        )
    )
    await asyncio.sleep(0.2)
    try:
        yield port
    finally:
        application.close()


@asynccontextmanager
async def ours(world: World) -> AsyncIterator[int]:
    """Serve the world."""
    config = BacnetConfig(enabled=True, port=free_port(socket.SOCK_DGRAM), device_id=1)
    async with world.serving(lambda traffic: make(config, world.context, traffic), Traffic()):
        yield config.port


def change(world: World, devices: list[Device], step: int) -> None:
    """Let six values of each device change."""
    with world.site.transaction():
        for device in devices:
            world.lanes[device.id].post(dict.fromkeys(POINTS, 20.0 + step))


async def longest(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Measure the longest stretch for which the loop works, by the wall and by the processor, in seconds."""
    wall, effort = [0.0], [0.0]

    async def watch() -> None:
        while True:
            before, busy = perf_counter(), thread_time()
            await asyncio.sleep(0.001)
            wall.append(perf_counter() - before - 0.001)
            effort.append(thread_time() - busy)

    watching = asyncio.create_task(watch())
    await work()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return max(wall), max(effort)


async def stalls(world: World, devices: list[Device], port: int) -> None:
    """Print what it costs when everything changes at once, without and with subscribers."""

    async def rounds() -> None:
        for step in range(1, ROUNDS + 1):
            change(world, devices, step)
            await asyncio.sleep(0.5)

    busy = thread_time()
    change(world, devices, 0)
    posting = thread_time() - busy
    await asyncio.sleep(0.5)
    print(f"  {MODULES} x 6 values change at once; the site alone hears of it in {posting * 1000:.1f} ms")
    for subscribers in (0, 2):
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(subscribers)]
        for client in sockets:
            client.setblocking(False)
            for number in range(1, 201):
                head = bytes.fromhex("000505 05".replace(" ", ""))[:2] + bytes((number % 256, 5))
                body = bytes.fromhex("0901") + b"\x1c" + number.to_bytes(4) + bytes.fromhex("2900 3a0e10")
                client.sendto(packet(head + body), ("127.0.0.1", port))
                await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        before = thread_time()
        wall, effort = await longest(rounds)
        cost = (thread_time() - before) / ROUNDS
        for client in sockets:
            client.close()
        print(
            f"  with {200 * subscribers} subscriptions: longest stall {wall * 1000:.1f} ms by the wall, "
            f"{effort * 1000:.1f} ms of the processor, {cost * 1000:.0f} ms of it for each change in all"
        )


async def main() -> None:
    """Run all of it."""
    print("BACnet/IP")
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world:
            devices = [world.device(f"module-{number}", "ups_module") for number in range(1, MODULES + 1)]
            change(world, devices, 0)
            before = perf_counter()
            async with ours(world) as port, bare() as other:
                print(f"  {MODULES * 6} objects are there after {perf_counter() - before:.2f} s, and the library's one")
                for what, count, question, counterpart in (
                    ("ReadProperty/s", 1, one_property(), one_property()),
                    ("ReadPropertyMultiple properties/s", PROPERTIES, many_properties(), one_object_often()),
                ):
                    # In turns, and the best of each: others may have the processor meanwhile.
                    pairs = [(await asker(port, question), await asker(other, counterpart)) for _ in range(TURNS)]
                    mine, bare_one = (max(several) * count for several in zip(*pairs, strict=True))
                    print(f"  {what}: {mine:,.0f}; the bare library: {bare_one:,.0f} ({mine / bare_one:.2f} of it)")
                # As the bridge does once it has started.
                gc.collect()
                gc.freeze()
                await stalls(world, devices, port)


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        print(ask(int(sys.argv[2]), bytes.fromhex(sys.argv[3])))
    else:
        asyncio.run(main())
