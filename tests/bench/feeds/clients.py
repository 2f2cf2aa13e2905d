"""One client of each feed that asks as building management does: a little, all the time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
import shutil
import socket
import struct
import time
from typing import Any

from bac_py import Client, DeviceConfig
from bac_py.types.enums import ObjectType
from bac_py.types.primitives import ObjectIdentifier

from tests.bridge.feeds.rig import free_port

from .bridge import BACNET_DEVICE, BATTERY, BATTERY_FIRST, COMMUNITY

POLL = 1.0
"""Seconds between two questions over Modbus and to the NUT server."""
WALK = 10.0
"""Seconds between two walks over SNMP."""
REGISTERS = 125
SUBSCRIPTIONS = 16
"""Objects of which the BACnet client wants to hear every change."""
WALKED = "1.3.6.1.2.1.33"
"""The UPS-MIB with its extensions, battery monitoring too."""

type Heard = Counter[str]
"""What clients have heard: one that hears nothing measures nothing."""


async def each(seconds: float) -> AsyncIterator[None]:
    """Go on once in so many seconds."""
    while True:
        began = time.monotonic()
        yield
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))


async def modbus(port: int, heard: Heard) -> None:
    """Read registers each second, of the UPS and of the battery."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async for _ in each(POLL):
            for unit, address, count in ((1, 97, 50), (2, BATTERY_FIRST, 120), (2, BATTERY_FIRST + 120, 120)):
                writer.write(struct.pack(">HHHBBHH", 1, 0, 6, unit, 3, address, count))
                length = struct.unpack(">HHH", await reader.readexactly(6))[2]
                answer = await reader.readexactly(length)
                if answer[1] == 3:
                    heard["registers"] += answer[2] // 2
                else:
                    heard["Modbus exceptions"] += 1
    finally:
        writer.close()


async def snmp(port: int, heard: Heard) -> None:
    """Walk over all there is every ten seconds, by net-snmp."""
    program = shutil.which("snmpbulkwalk")
    if program is None:
        heard["walks, since snmpbulkwalk is not installed"] = 0
        await asyncio.Event().wait()
        return
    async for _ in each(WALK):
        for community in (COMMUNITY, BATTERY):
            process = await asyncio.create_subprocess_exec(
                program,
                *("-v2c", "-c", community, "-Cr40", "-On", "-t5", f"127.0.0.1:{port}", WALKED),
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                out, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            heard["variables walked over"] += out.count(b" = ")


async def bacnet(port: int, heard: Heard) -> None:
    """Subscribe to the changes of some objects, by bac-py."""
    config = DeviceConfig(
        instance_number=9,
        interface="127.0.0.1",
        port=free_port(socket.SOCK_DGRAM),
        broadcast_address="127.0.0.255",
    )

    def hear(*_: object) -> None:
        heard["changes of BACnet objects"] += 1

    async with Client(config) as client:
        server = f"127.0.0.1:{port}"
        device = f"device,{BACNET_DEVICE}"
        count = await client.read(server, device, "object-list", 0)
        assert isinstance(count, int)
        heard["BACnet objects"] = count
        subscribed = 0
        # The last ones are those of the modules, where devices come in the order in which they were added.
        for index in range(count, 0, -1):
            which = await client.read(server, device, "object-list", index)
            assert isinstance(which, ObjectIdentifier)
            if which.object_type != ObjectType.ANALOG_INPUT:
                continue
            subscribed += 1
            await client.subscribe_cov_ex(server, which, subscribed, confirmed=False, lifetime=600, callback=hear)
            if subscribed == SUBSCRIPTIONS:
                break
        await asyncio.Event().wait()


async def nut(port: int, heard: Heard) -> None:
    """Ask for the variables of the UPS each second, as a NAS does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async for _ in each(POLL):
            writer.write(b"LIST VAR ups-1\n")
            while not (line := await reader.readline()).startswith((b"END", b"ERR")):
                if not line:
                    raise ConnectionError("The NUT server has closed the connection.")
                heard["NUT variables"] += line.startswith(b"VAR")
    finally:
        writer.close()


@asynccontextmanager
async def syslog(heard: Heard) -> AsyncIterator[int]:
    """Receive messages; gives the port."""

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            heard["syslog messages"] += chunk.count(b">1 ")
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1")
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


CLIENTS: Mapping[str, Callable[[int, Heard], Coroutine[Any, Any, None]]] = {
    "modbus": modbus,
    "snmp": snmp,
    "bacnet": bacnet,
    "nut": nut,
}
"""By the name of the feed that they ask; the receiver of syslog is there before the bridge is."""
