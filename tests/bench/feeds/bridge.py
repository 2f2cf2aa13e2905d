"""The bridge that is measured: a process of its own, with a UPS, and a battery of 512 modules that change every second.

    python -m tests.bench.feeds.bridge '["modbus", "syslog"]' SYSLOG_PORT

It serves these feeds, tells their ports in a line of JSON, and begins to measure when it is told so in a line; what it
has measured is the second line. It ends with its input.
"""

import asyncio
import gc
import itertools
import json
import logging
from pathlib import Path
import socket
from statistics import quantiles
import sys
import tempfile
import time

from ridethrough.assembly.feeds import Feeds
from ridethrough.config.feeds import (
    BacnetConfig,
    FeedsConfig,
    ModbusConfig,
    ModbusUnitConfig,
    NutConfig,
    ServerConfig,
    SnmpCommunity,
    SnmpConfig,
    SyslogConfig,
    SyslogReceiver,
)
from ridethrough.feeds import Service
from ridethrough.maps.registers import profile_names
from ridethrough.site import Device, DeviceId, Value
from tests.bridge.feeds.rig import World, a_world, free_port

MODULES = 512
SECONDS = 20.0
"""For which it is measured, after `WARM`."""
WARM = 5.0
LOOK = 0.005
"""Seconds between two looks at the loop's punctuality."""
BACNET_DEVICE = 1628
COMMUNITY = "public"
"""The SNMP community that shows the UPS."""
BATTERY = "battery"
"""The key of the battery system, and the SNMP community that shows it."""
BATTERY_MAP = "bacs"
BATTERY_FIRST = 1060
"""The first register of the first module in that map (manual M:11216)."""


def points_of(kind: str, number: int, second: int) -> dict[str, Value]:
    """Make values that are other ones every second."""
    wave = (number * 7 + second * 3) % 50
    if kind == "battery_module":
        return {
            "module.voltage": 13.2 + wave / 100,
            "module.temperature": 20.0 + wave / 10,
            "module.impedance": 3.0 + wave / 50,
            "module.charge": 50.0 + wave,
            "module.equalizing": float(wave),
            "module.state": "normal" if wave < 49 else "warning",
        }
    return {"sensor.temperature": 20.0 + wave / 10, "sensor.humidity": 30.0 + wave, "sensor.value": float(wave)}


class Battery:
    """The modules: where the catalogue has none yet, as many sensors, which have three values instead of six."""

    def __init__(self, world: World) -> None:
        self._world = world
        kinds = world.site.catalogue.kinds
        self.kind = "battery_module" if "battery_module" in kinds else "sensor"
        owner = world.device(BATTERY, "battery_system" if "battery_system" in kinds else "io_box")
        self.modules = [world.part(owner, self.kind, str(number)) for number in range(1, MODULES + 1)]

    async def change(self, second: int, ups: Device) -> None:
        """Post what every module says now, one after another as a bus does; the UPS says something too."""
        for number, module in enumerate(self.modules):
            self._world.lanes[module.id].post(points_of(self.kind, number, second))
            await asyncio.sleep(0)
        # An event every second: for the journal, for receivers of traps, for syslog.
        self._world.lanes[ups.id].post({"ups.load": 30.0 + second % 20}, {"on_battery": second % 2 == 1})


def feeds_of(names: list[str], syslog: int) -> FeedsConfig:
    """Make the configuration in which these feeds are on, on free ports of the loopback interface."""
    units = [ModbusUnitConfig(1, "ups-1", "default")]
    if BATTERY_MAP in profile_names():
        units.append(ModbusUnitConfig(2, BATTERY, BATTERY_MAP))
    datagrams = socket.SOCK_DGRAM
    modbus = ModbusConfig(enabled=True, port=free_port(), units=tuple(units))
    communities = SnmpCommunity(COMMUNITY), SnmpCommunity(BATTERY, device=BATTERY)
    snmp = SnmpConfig(enabled=True, port=free_port(datagrams), communities=communities)
    bacnet = BacnetConfig(enabled=True, port=free_port(datagrams), device_id=BACNET_DEVICE)
    to_syslog = SyslogConfig(enabled=True, receivers=(SyslogReceiver("127.0.0.1", syslog, "tcp"),))
    nut = NutConfig(enabled=True, port=free_port())
    return FeedsConfig(
        modbus=modbus if modbus.name in names else None,
        snmp=snmp if snmp.name in names else None,
        bacnet=bacnet if bacnet.name in names else None,
        syslog=to_syslog if to_syslog.name in names else None,
        nut=nut if nut.name in names else None,
    )


class Lateness:
    """How late the loop is, and how much of that is work of its own."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.worked: list[float] = []

    async def watch(self) -> None:
        """Look all the time."""
        while True:
            wall, work = time.perf_counter(), time.thread_time()
            await asyncio.sleep(LOOK)
            late = time.perf_counter() - wall - LOOK
            self.late.append(late)
            self.worked.append(min(late, time.thread_time() - work))


async def changing(battery: Battery, ups: Device) -> None:
    """Change everything each second, on the second."""
    began = time.monotonic()
    for second in itertools.count(1):
        await asyncio.sleep(max(0.0, began + second - time.monotonic()))
        await battery.change(second, ups)


def resident() -> float:
    """Return the memory that the process holds now, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def measure(feeds: Feeds) -> dict[str, object]:
    """Measure for `SECONDS`."""
    lateness = Lateness()
    watch = asyncio.create_task(lateness.watch())
    before, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(SECONDS)
    work, wall = time.process_time() - before, time.monotonic() - wall
    watch.cancel()
    return {
        "cpu": 100 * work / wall,
        "memory": resident(),
        "late_p99": 1000 * quantiles(lateness.late, n=100)[98],
        "late_worst": 1000 * max(lateness.late),
        "work_worst": 1000 * max(lateness.worked),
        "traffic": {one.name: [one.traffic.requests, one.traffic.errors, one.traffic.clients] for one in feeds},
        "problems": {one.name: one.problem for one in feeds if one.problem is not None},
    }


async def main(names: list[str], syslog: int) -> None:
    """Be the bridge until standard input ends."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world, asyncio.TaskGroup() as tasks:
            ups, battery = world.ups(), Battery(world)
            # All values are there before the first client asks.
            await battery.change(0, ups)
            feeds = Feeds(world.context, world.commands, DeviceId)
            config = feeds_of(names, syslog)
            await feeds.configure(config)
            async with asyncio.timeout(60):
                while not all(serves(world, one) for one in feeds):
                    await asyncio.sleep(0.05)
            gc.collect()
            gc.freeze()
            change = tasks.create_task(changing(battery, ups))
            ports = {one.name: one.port for one in config if isinstance(one, ServerConfig)}
            print(json.dumps({"kind": battery.kind, "ports": ports}), flush=True)
            if await asyncio.to_thread(sys.stdin.readline):
                await asyncio.sleep(WARM)
                print(json.dumps(await measure(feeds)), flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            change.cancel()
            await feeds.stop()


def serves(world: World, service: Service) -> bool:
    """Whether a feed serves; one that cannot ends the measuring."""
    if service.problem is not None and service.name != "syslog":
        raise RuntimeError(service.problem)
    state = world.site.conditions(service.device.id).get("feed_serving")
    return state is not None and state.active


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(json.loads(sys.argv[1]), int(sys.argv[2])))
