"""Battery systems in the plant: they come, change and go with the configuration, and forget nothing meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ridethrough.assembly.configuration import Configuration
from ridethrough.assembly.plant import Plant
from ridethrough.battery.keeper import Services
from ridethrough.battery.layout import Layout
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, settle
from ridethrough.config.battery import BatteryConfig, BoxConfig, StringConfig
from ridethrough.config.file import ConfigFile
from ridethrough.events import Recorder
from ridethrough.links import LinkContext, SerialPorts
from ridethrough.links.base import Credentials, Link, LinkUrl, Reach, Report
from ridethrough.links.schemes import LINKS, check_link, check_links
from ridethrough.site import CommandResult, Commands, Device, DeviceId, Site, Value
from ridethrough.store import Store


class BlocksLink(Link):
    """Battery modules that answer at once and for ever, each with the voltage of its number."""

    scheme = "blocks"
    title = "Blocks"
    example = "blocks:"
    reach = Reach.EITHER
    kind = "battery_system"

    def __init__(self, url: LinkUrl, credentials: Credentials, context: LinkContext) -> None:
        self.layout = context.layout
        self.warm = float(url.options.get("warm", "22"))
        self.clock = context.clock

    async def run(self, report: Report) -> None:
        assert self.layout is not None
        while True:
            with report.together():
                report.status({})
                for number in range(1, self.layout.blocks + 1):
                    module = report.child("battery_module", str(number), f"Module {number}")
                    points: dict[str, Value] = {"module.voltage": 13.5, "module.temperature": self.warm}
                    module.status(points, {"module.lost": False})
            await self.clock.sleep(1)

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        return CommandResult(f"The link did {command} of {child}.")


CONFIG = BatteryConfig(
    "battery-1",
    "Batteries",
    "blocks:",
    strings=(StringConfig("Left", 2), StringConfig("Right", 2)),
    allow=frozenset({"battery"}),
    voltage_offset=0.1,
)


def mint(key: str) -> DeviceId:
    return DeviceId(f"id of {key}")


@pytest.fixture(autouse=True)
def scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let links to such blocks be configured."""
    monkeypatch.setitem(LINKS, "blocks", BlocksLink)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    return Site(load_catalogue(), clock)


@pytest.fixture
async def plant(site: Site, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Plant]:
    """Make a plant without devices, with a store."""
    async with Store.open(tmp_path / "r.db", clock) as store:
        bridge = Device(DeviceId("bridge"), "bridge", "bridge", "Bridge")
        site.put(bridge)
        plant = Plant(
            bridge,
            site,
            Commands(site),
            LinkContext(clock, SerialPorts(clock), site=site),
            mint=mint,
            services=Services(store.batteries, await store.batteries.load()),
        )
        yield plant
        await plant.stop()


def value(site: Site, key: str, point: str) -> object:
    reading = site.reading(mint(key), point)
    return None if reading is None or not reading.good else reading.value


async def test_a_system_is_read_summed_up_and_called_as_configured(
    plant: Plant, site: Site, clock: ManualClock
) -> None:
    plant.add(CONFIG).start()
    await clock.advance(3)
    assert value(site, "battery-1/battery_string-1", "string.voltage") == pytest.approx(27.2)
    assert site.devices[mint("battery-1/battery_module-3")].name == "Right 1"
    link = plant.units["battery-1"].runner.link
    assert isinstance(link, BlocksLink)
    assert link.layout == Layout((2, 4))
    commands = site.devices[mint("battery-1")].commands
    assert "baseline.set" in commands
    assert "equalizing.pause" not in commands


async def test_a_changed_system_keeps_what_it_knows_and_ends_what_is_no_longer_there(
    plant: Plant, site: Site, clock: ManualClock
) -> None:
    edges: list[tuple[str, str, bool]] = []
    site.observe(lambda change: edges.extend((edge.device, edge.condition, edge.active) for edge in change.edges))
    plant.add(replace(CONFIG, link="blocks:?warm=60")).start()
    await clock.advance(5)
    hot = "module.temperature_high"
    assert site.conditions(mint("battery-1/battery_module-4"))[hot].active
    edges.clear()
    await plant.change(replace(CONFIG, link="blocks:?warm=60", strings=(StringConfig("Only", 2),)))
    assert (mint("battery-1/battery_module-4"), hot, False) in edges
    assert mint("battery-1/battery_module-4") not in site.devices
    assert site.conditions(mint("battery-1/battery_module-2"))[hot].active
    await clock.advance(5)
    assert (mint("battery-1/battery_module-2"), hot, False) not in edges
    assert value(site, "battery-1", "battery.modules") == 2


async def test_counters_go_on_when_the_configuration_is_changed(plant: Plant, site: Site, clock: ManualClock) -> None:
    site.put(Device(mint("ups-1"), "ups-1", "ups", "UPS"))
    ups = site.lane(mint("ups-1"), None)
    plant.add(replace(CONFIG, ups="ups-1")).start()
    ups.post({}, {"on_battery": True})
    await clock.advance(65)
    assert value(site, "battery-1", "battery.discharges") == 1
    ups.post({}, {"on_battery": False})
    await clock.advance(5)
    await plant.change(replace(CONFIG, ups="ups-1", name="Other"))
    await clock.advance(2)
    assert value(site, "battery-1", "battery.discharges") == 1


async def test_a_system_that_is_switched_off_shows_no_blocks(plant: Plant, site: Site, clock: ManualClock) -> None:
    plant.add(replace(CONFIG, enabled=False)).start()
    await clock.advance(2)
    assert mint("battery-1/battery_module-1") not in site.devices
    await plant.change(CONFIG)
    await clock.advance(2)
    assert mint("battery-1/battery_module-1") in site.devices
    await plant.remove("battery-1")
    assert list(site.devices) == ["bridge"]


async def test_commands_of_the_link_and_of_the_bridge_stand_side_by_side(
    plant: Plant, site: Site, clock: ManualClock
) -> None:
    plant.add(CONFIG).start()
    await clock.advance(2)
    module = mint("battery-1/battery_module-1")
    site.put(replace(site.devices[module], commands=site.devices[module].commands | {"module.find"}))
    commands = plant._commands
    assert (await commands.perform(module, "module.find", {})).message == "The link did module.find of 1."
    assert (await commands.perform(mint("battery-1"), "discharges.reset", {})).message == "The discharge counter is 0."


FILE = """\
data: data
api: {{enabled: no}}
batteries:
  - id: battery-1
    link: "blocks:"
    strings: {strings}
    modules: 4
"""


async def test_what_is_edited_by_hand_comes_into_force_on_demand(
    plant: Plant, site: Site, clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "ridethrough.yaml"
    path.write_text(FILE.format(strings=1))
    file = ConfigFile(path, check_link, check_links)
    config = await asyncio.to_thread(file.load)
    async with Store.open(tmp_path / "journal.db", clock) as store:
        recorder = Recorder(site, store.journal, clock)
        configuration = Configuration(file, config, plant, site.devices[DeviceId("bridge")], recorder, clock)
        await configuration.reload()
        assert mint("battery-1/battery_string-1") in site.devices
        path.write_text(FILE.format(strings=2))
        await configuration.reload()
        assert mint("battery-1/battery_string-2") in site.devices
        path.write_text("data: data\napi: {enabled: no}\n")
        await configuration.reload()
        assert list(site.devices) == ["bridge"]
        await settle()
        await recorder.close()


def test_boxes_and_sensors_are_part_of_what_a_link_is_told(plant: Plant) -> None:
    unit = plant.add(replace(CONFIG, key="battery-2", boxes=(BoxConfig(), BoxConfig())))
    link = unit.runner.link
    assert isinstance(link, BlocksLink)
    assert link.layout == Layout((2, 4), sensors=0, boxes=2)
