"""What a client of another code base reads."""

from dataclasses import replace
from pathlib import Path

from bac_py.network.address import parse_address
from bac_py.services.errors import BACnetAbortError, BACnetError
from bac_py.types.enums import EngineeringUnits, Reliability
import pytest

from tests.bridge.feeds.rig import World, a_world

from .rig import DEVICE, a_stranger, serving, until


async def test_the_device_says_who_it_is(world: World) -> None:
    settings = {
        "device_name": "Bridge 1",
        "description": "UPS of the data hall",
        "location": "Cellar",
        "model": "Rack",
        "apdu_timeout": 2.0,
        "network": 7,
    }
    async with serving(world, **settings) as served, a_stranger(served) as stranger:

        async def said(what: str) -> object:
            return await stranger.read(f"device,{DEVICE}", what)

        assert await said("object-name") == "Bridge 1"
        assert await said("description") == "UPS of the data hall"
        assert await said("location") == "Cellar"
        assert await said("model-name") == "Rack"
        assert await said("vendor-name") == "Ridethrough"
        assert await said("firmware-revision") == world.context.version
        assert await said("apdu-timeout") == 2000
        assert await said("max-apdu-length-accepted") == 1476
        assert await stranger.read("network-port,1", "network-number") == 7
        assert await stranger.read("network-port,1", "bacnet-ip-udp-port") == served.config.port


async def test_a_device_without_a_number_has_one_of_its_own_for_ever(world: World) -> None:
    async with serving(world, device_id=None) as served, a_stranger(served) as stranger:
        first = await stranger.read("device,4194303", "object-identifier")
    async with serving(world, device_id=None) as served, a_stranger(served) as stranger:
        assert await stranger.read("device,4194303", "object-identifier") == first
    assert 0 <= first.instance_number <= 4194302


@pytest.mark.parametrize(
    ("name", "kind", "value", "unit"),
    [
        pytest.param("ups-1.battery.charge", "analog-input", 100.0, EngineeringUnits.PERCENT, id="charge"),
        pytest.param("ups-1.battery.runtime", "analog-input", 1800.0, EngineeringUnits.SECONDS, id="runtime"),
        pytest.param("ups-1.input.frequency", "analog-input", 50.0, EngineeringUnits.HERTZ, id="frequency"),
        pytest.param("ups-1.ups.power.nominal", "analog-input", 3000.0, EngineeringUnits.VOLT_AMPERES, id="power"),
        pytest.param(
            "ups-1.battery.capacity",
            "analog-input",
            7.0 * 3600,
            EngineeringUnits.AMPERE_SECONDS,
            id="capacity-is-scaled",
        ),
    ],
)
async def test_numbers_have_units(world: World, name: str, kind: str, value: float, unit: int) -> None:
    ups = world.ups()
    world.post(ups, {"battery.capacity": 7.0})
    async with serving(world) as served, a_stranger(served) as stranger:
        which = await stranger.named(name)
        assert which.startswith(kind)
        assert await stranger.read(which, "present-value") == value
        assert await stranger.read(which, "units") == unit


async def test_words_flags_texts_and_instants_have_objects_of_their_kind(world: World) -> None:
    ups = world.ups()
    world.post(ups, {"ups.test.started": "2026-03-01T12:30:00+00:00", "outlet.switchable": True})
    async with serving(world) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        mode = objects["ups-1.ups.mode"]
        texts = await stranger.read(mode, "state-text")
        assert texts[await stranger.read(mode, "present-value") - 1] == "line"
        assert objects["ups-1.outlet.switchable"].startswith("binary-input")
        assert await stranger.read(objects["ups-1.outlet.switchable"], "present-value") == 1
        assert await stranger.read(objects["ups-1.ups.model"], "present-value") == "UPS 3000"
        assert objects["ups-1.ups.test.started"].startswith("datetime-value")
        date, time = await stranger.read(objects["ups-1.ups.test.started"], "present-value")
        assert (date.year, date.month, date.day, time.hour, time.minute) == (2026, 3, 1, 12, 30)
        condition = objects["ups-1.on_battery"]
        assert await stranger.read(condition, "present-value") == 0
        assert await stranger.read(condition, "description") == "ups-1: On battery"


async def test_several_properties_are_read_at_once(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        charge = await stranger.named("ups-1.battery.charge")
        answer = await stranger.client.read_multiple(
            served.place, {charge: ["pv", "object-name", "units", "status-flags"], "ai,4000000": ["pv"]}
        )
        values = next(one for which, one in answer.items() if "4000000" not in which)
        assert values["present-value"] == 100.0
        assert values["object-name"] == "ups-1.battery.charge"
        everything = await stranger.client.read_multiple(served.place, {charge: ["all"]})
        assert {"present-value", "description", "cov-increment", "reliability"} <= set(next(iter(everything.values())))


async def test_what_there_is_not_is_an_error(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        with pytest.raises(BACnetError, match="UNKNOWN_OBJECT"):
            await stranger.read("analog-input,4000000", "present-value")
        with pytest.raises(BACnetError, match="UNKNOWN_PROPERTY"):
            await stranger.read("analog-input,1", "state-text")
        with pytest.raises(BACnetError, match="INVALID_ARRAY_INDEX"):
            await stranger.client.read_property(served.place, f"device,{DEVICE}", "object-list", 5000)
        with pytest.raises(BACnetError, match="PROPERTY_IS_NOT_AN_ARRAY"):
            await stranger.client.read_property(served.place, "analog-input,1", "present-value", 1)
        assert served.traffic.errors >= 4


async def test_a_client_finds_the_device_and_its_objects(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        there = parse_address(served.place)
        found = await stranger.client.who_is(low_limit=DEVICE, high_limit=DEVICE, destination=there, timeout=0.5)
        assert [one.object_identifier.instance_number for one in found] == [DEVICE]
        assert not await stranger.client.who_is(low_limit=1, high_limit=2, destination=there, timeout=0.3)
        have = await stranger.client.who_has(object_name="ups-1.on_battery", destination=there, timeout=0.5)
        assert [one.object_name for one in have] == ["ups-1.on_battery"]


async def test_a_lost_device_keeps_its_values_and_says_that_they_are_old(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        charge = objects["ups-1.battery.charge"]
        assert await stranger.read(charge, "reliability") == Reliability.NO_FAULT_DETECTED
        world.lose(ups)
        flags = await until(
            lambda: stranger.read(charge, "status-flags"), lambda flags: bool(list(flags)[1]) if flags else False
        )
        assert not list(flags)[3]
        assert await stranger.read(charge, "reliability") == Reliability.COMMUNICATION_FAILURE
        assert await stranger.read(charge, "present-value") == 100.0
        assert list(await stranger.read(objects["ups-1.on_battery"], "status-flags"))[1]
        assert await stranger.read(objects["ups-1.communications_lost"], "present-value") == 1
        world.post(ups, {"battery.charge": 90.0})
        await until(lambda: stranger.read(charge, "present-value"), lambda value: value == 90.0)
        assert await stranger.read(charge, "reliability") == Reliability.NO_FAULT_DETECTED


async def test_a_point_without_a_value_has_no_object_and_one_that_is_no_longer_known_says_so(world: World) -> None:
    ups = world.ups()
    world.post(ups, {"ups.power": None})
    async with serving(world) as served, a_stranger(served) as stranger:
        objects = await stranger.objects()
        assert "ups-1.ups.power" not in objects
        world.post(ups, {"ups.load": None})
        load = objects["ups-1.ups.load"]
        await until(lambda: stranger.read(load, "reliability"), lambda found: found == Reliability.NO_SENSOR)
        assert await stranger.read(load, "present-value") == 30.0


async def test_objects_keep_their_numbers_while_devices_come_and_go(world: World) -> None:
    first, second = world.ups("ups-1"), world.ups("ups-2")
    async with serving(world) as served, a_stranger(served) as stranger:
        before = await stranger.objects()
        revision = await stranger.read(f"device,{DEVICE}", "database-revision")
        world.site.remove(first.id)
        await until(
            lambda: stranger.read(f"device,{DEVICE}", "database-revision"), lambda found: bool(found == revision + 1)
        )
        world.ups("ups-3")
        await until(stranger.objects, lambda found: "ups-3.on_battery" in found)
        world.ups("ups-1")
        after = await until(stranger.objects, lambda found: set(before) < set(found))
        assert {name: after[name] for name in before} == before
        assert second.id in world.site.devices
    world.site.remove(second.id)
    async with serving(world) as served, a_stranger(served) as stranger:
        again = await stranger.objects()
        assert not any(name.startswith("ups-2.") for name in again)
        assert {name: which for name, which in after.items() if not name.startswith("ups-2.")} == again


async def test_the_revision_stays_while_nothing_changes(world: World) -> None:
    world.ups()
    seen = []
    for _ in range(2):
        async with serving(world) as served, a_stranger(served) as stranger:
            seen.append(await stranger.read(f"device,{DEVICE}", "database-revision"))
    assert seen[0] == seen[1]


async def test_a_new_name_of_a_device_is_in_the_descriptions(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        charge = await stranger.named("ups-1.battery.charge")
        world.rename(ups, "Hall 2")
        await until(lambda: stranger.read(charge, "description"), lambda found: found == "Hall 2: Battery charge")


async def test_who_cannot_take_a_long_list_is_told_and_reads_it_one_by_one(world: World) -> None:
    world.ups()
    for number in range(1, 400):
        world.post(world.device(f"sensor-{number}", "sensor"), {"sensor.value": 1.0})
    async with serving(world) as served:
        async with a_stranger(served, max_apdu_length=128, max_segments=2) as stranger:
            with pytest.raises(BACnetAbortError):
                await stranger.read(f"device,{DEVICE}", "object-list")
            count = await stranger.client.read_property(served.place, f"device,{DEVICE}", "object-list", 0)
            assert count is not None
        async with a_stranger(served) as stranger:
            whole = await stranger.read(f"device,{DEVICE}", "object-list")
            assert len(whole) > 400


async def test_objects_keep_their_numbers_when_the_bridge_is_restarted(tmp_path: Path) -> None:
    seen = []
    for order in (("ups-1", "ups-2"), ("ups-2", "ups-1")):
        async with a_world(tmp_path) as world:
            for key in order:
                world.ups(key)
            async with serving(world) as served, a_stranger(served) as stranger:
                seen.append((await stranger.objects(), await stranger.read(f"device,{DEVICE}", "database-revision")))
    assert seen[0] == seen[1]


async def test_a_device_with_another_key_has_other_objects(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        before = await stranger.objects()
        world.site.put(replace(world.site.devices[ups.id], key="ups-9"))
        after = await until(stranger.objects, lambda found: "ups-9.on_battery" in found)
        assert "ups-1.on_battery" not in after
        assert after["ups-9.on_battery"] == before["ups-1.on_battery"]


async def test_feeds_are_not_shown(world: World) -> None:
    world.device("bridge/feed-bacnet", "feed")
    async with serving(world) as served, a_stranger(served) as stranger:
        assert not any("feed" in name for name in await stranger.objects())
        assert await stranger.read("network-port,1", "object-name") == "BACnet/IP"


async def test_commands_come_and_go_with_what_the_device_offers(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        world.site.put(replace(world.site.devices[ups.id], commands=frozenset({"beeper.mute", "load.on", "load.off"})))
        wanted = {"ups-1.command.load", "ups-1.command.beeper.mute"}
        found = await until(stranger.objects, lambda found: wanted <= set(found))
        assert await stranger.read(found["ups-1.command.beeper.mute"], "present-value") == 0
        assert await stranger.read(found["ups-1.command.load"], "description") == "ups-1: Output"
        world.rename(ups, "Hall")
        await until(
            lambda: stranger.read(found["ups-1.command.load"], "description"), lambda text: text == "Hall: Output"
        )
        world.site.put(replace(world.site.devices[ups.id], commands=frozenset()))
        await until(stranger.objects, lambda found: "ups-1.command.load" not in found)
