"""Every object of the maps that are served is there when the site knows everything, or it is said here why not."""

from datetime import UTC, datetime

from ridethrough.catalogue import Value
from ridethrough.feeds.snmp.agent import served
from ridethrough.feeds.snmp.alarm_table import BATTERIES
from ridethrough.feeds.snmp.orders import oid_of
from ridethrough.feeds.snmp.view import View
from ridethrough.maps.objects import ObjectRow
from ridethrough.site import Device
from tests.bridge.feeds.rig import World

ABSENT = {
    **dict.fromkeys(
        (f"marker{number}" for number in range(1, 9)), "internal flags of the SITEMANAGER that no link can read"
    ),
    **dict.fromkeys(
        (f"sensorMan{number}{name}" for number in range(1, 9) for name in ("Scaling", "Offset")),
        "how a SensorManager II computes: sensors come to the site in their unit",
    ),
    **dict.fromkeys(
        (f"{side}{number}NCContact" for side in ("input", "output") for number in range(1, 5)),
        "what a contact is at rest: contacts come to the site as what they mean",
    ),
    "upsSnmpAdapterSerialNr": "the bridge is no adapter and has no number",
}
"""Objects that have no point, and why."""


def test_every_object_without_a_point_has_a_reason() -> None:
    names = {row.name for mib in served() for row in mib.rows}
    assert ABSENT.keys() <= names


async def test_a_site_that_knows_everything_shows_every_object(world: World) -> None:
    roots = {
        "ups": world.device("ups-1", commands=("test.battery.start.quick", "shutdown.return", "load.off")),
        BATTERIES: world.device("battery-1", BATTERIES),
    }
    parts: dict[str, Device] = {}
    for mib in served():
        for row in mib.rows:
            _fill(world, roots[mib.kind], parts, row)
    view = View(world.context, served(), {}, lambda: 1000.0)
    for kind, root in roots.items():
        view.show(kind, root.key)
    await view.complete()
    there = {name[:-1] for name in view.instances.names}
    missing = {row.name for mib in served() for row in mib.rows if oid_of(row.oid) not in there}
    view.close()
    assert missing == ABSENT.keys()


def _fill(world: World, root: Device, parts: dict[str, Device], row: ObjectRow) -> None:
    """Have the site know what an object shows."""
    device = root
    if row.child is not None:
        number = row.child.number.replace("{row}", "1")
        key = f"{root.key}/{row.child.kind}-{number}"
        device = parts.get(key) or world.part(root, row.child.kind, number)
        parts[key] = device
    catalogue = world.site.catalogue
    keys = [key.replace("{line}", f"L{line}") for key in (row.line_key, row.key) if key for line in (1, 2, 3)]
    points = {key: _value(world, device, key, row) for key in keys if catalogue.point(device.kind, key) is not None}
    conditions = dict.fromkeys((*row.conditions, *(bit.condition for bit in row.bits)), False)
    conditions = {key: held for key, held in conditions.items() if catalogue.condition(device.kind, key) is not None}
    world.post(device, points, conditions)


def _value(world: World, device: Device, key: str, row: ObjectRow) -> Value:
    """Give something that the point may be, and the object has a number for."""
    point = world.site.catalogue.point(device.kind, key)
    assert point is not None
    worded = [word for word in row.values.values() if not point.options or word in point.options]
    match point.quantity.type:
        case "time":
            return datetime.now(UTC).isoformat()
        case "bool":
            return True
        case "text":
            return worded[0] if worded else "1"
        case _:
            return worded[0] if worded else point.options[0] if point.options else 3
