"""Every map from end to end: a site with every point filled is served, and our own link reads it as it is."""

from collections.abc import Iterator

import pytest

from ridethrough.catalogue import Point
from ridethrough.clock import SystemClock
from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import probe
from ridethrough.maps.phases import wordings
from ridethrough.maps.registers import Profile, Register, RegisterType, load_profile, profile_names
from ridethrough.site import Device, Value
from tests.bridge.feeds.rig import World

from .masters import served

QUIET = frozenset({"on_battery", "on_bypass", "communications_lost", "shutdown_pending", "shutdown_imminent"})
"""Conditions that stay off, as several registers of a map tell them in ways that exclude one another."""


def sample(row: Register, point: Point, number: int) -> Value:
    """Make up a value that the register can hold and a UPS can have."""
    if row.values:
        return point.coerce(next(iter(row.values.values())))
    match point.quantity.type:
        case "bool":
            return number % 2 == 0
        case "text":
            return f"Text {number}"
    if point.quantity.name == "frequency":
        return 50.0
    raw = 40 + number % 17
    return point.coerce(raw * row.scale if row.scale < 1000 else raw * row.scale // 1)


class Filled:
    """A device of a map, with its parts, all points and all conditions known."""

    def __init__(self, world: World, profile: Profile) -> None:
        self.points: dict[tuple[str, str], Value] = {}
        self.slack: dict[tuple[str, str], float] = {}
        self.conditions: dict[tuple[str, str], bool] = {}
        self._world = world
        self._root = world.device("ups-1", profile.kind)
        self._parts: dict[str, Device] = {"": self._root}
        for number, row in enumerate(sorted(profile.registers, key=lambda row: row.line)):
            self._fill(row, number)
        self.conditions |= {("", key): key == "output_active" for key in (*QUIET, "output_active")}
        catalogue = world.site.catalogue
        for name, device in self._parts.items():
            world.post(
                device,
                {key: value for (part, key), value in self.points.items() if part == name},
                {
                    key: active
                    for (part, key), active in self.conditions.items()
                    if part == name and catalogue.condition(device.kind, key) is not None
                },
            )

    def _fill(self, row: Register, number: int) -> None:
        part = "" if row.device is None else f"{row.device.kind}-{row.device.number}"
        if row.device is not None and part not in self._parts:
            self._parts[part] = self._world.part(self._root, row.device.kind, row.device.number)
        device = self._parts[part]
        for condition in self._said(row):
            self.conditions.setdefault((part, condition), condition not in QUIET and len(condition) % 2 == 0)
        point = None if row.point is None else self._world.site.catalogue.point(device.kind, row.point)
        if point is None or row.point is None:
            return
        place = part, row.point
        if row.condition is not None:
            self.points[place] = self.conditions[part, row.condition]
        elif row.bits and not row.values:
            return  # composed of the conditions
        else:
            self.points.setdefault(place, sample(row, point, number))
        self.slack[place] = max(self.slack.get(place, 0.0), 0.51 * row.scale)

    def kind(self, part: str) -> str:
        """Return the kind of a part; empty for the device itself."""
        return self._parts[part].kind

    @staticmethod
    def _said(row: Register) -> Iterator[str]:
        yield from (bit.condition for bit in row.bits)
        if row.condition is not None:
            yield row.condition


@pytest.mark.parametrize("name", profile_names("ups", "transfer_switch"))
async def test_what_our_link_reads_is_what_is_in_the_site(world: World, name: str) -> None:
    profile = load_profile(name)
    filled = Filled(world, profile)
    config = ModbusConfig(port=0, units=(ModbusUnitConfig(7, "ups-1", name),))
    context = LinkContext.alone(SystemClock())
    async with served(world, config) as feed:
        url = f"modbus://127.0.0.1:{feed.port}/7?profile={name}&poll=0.1"
        result = await probe(url, Credentials(), context)
        assert feed.traffic.errors == 0
    read = {(row.device, row.point): row.value for row in result.rows if row.point is not None}
    for place, value in filled.points.items():
        # Where a map has the first phase only, the link takes the device for one of one phase.
        names = wordings(filled.kind(place[0]), place[1], world.site.catalogue)
        found = next(read[place[0], name] for name in names if (place[0], name) in read)
        if isinstance(value, bool | str):
            assert found == value, place
        else:
            assert isinstance(found, int | float), place
            assert found == pytest.approx(value, abs=filled.slack[place]), place
    said = {(condition.device, condition.key): condition.active for condition in result.conditions}
    mapped = {
        ("" if row.device is None else f"{row.device.kind}-{row.device.number}", key)
        for row in profile.registers
        for key in Filled._said(row)
    }
    for place in mapped - {("", "communications_lost")}:
        assert said[place] is filled.conditions[place], place
    assert any(row.type is not RegisterType.TEXT for row in profile.registers)
