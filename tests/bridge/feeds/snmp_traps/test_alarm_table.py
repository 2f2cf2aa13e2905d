"""Which alarms are present."""

from ridethrough.feeds import Subject
from ridethrough.feeds.snmp.alarm_table import AlarmChange, AlarmTable
from ridethrough.maps.objects import load_alarms
from ridethrough.site import Device
from tests.bridge.feeds.rig import World

NAMES = {oid: alarm.name for oid, alarm in load_alarms().items()}


class Table:
    """A table that follows the site, and what it has told."""

    def __init__(self, world: World, key: str = "ups-1") -> None:
        """Follow a device."""
        self.told: list[AlarmChange] = []
        self.table = AlarmTable(world.context, Subject(world.context.directory, key), self.told.append)
        world.site.observe(self.table.follow)

    @property
    def names(self) -> list[str]:
        """The alarms that are present, in the order of their rows."""
        return [NAMES[entry.oid] for entry in self.table.entries.values()]

    def news(self) -> list[tuple[str, bool]]:
        """Take what was told since last asked."""
        news = [(NAMES[change.entry.oid], change.added) for change in self.told]
        self.told.clear()
        return news


async def test_rows_come_and_go_with_their_conditions(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"on_battery": True})
    world.post(ups, conditions={"battery_low": True})
    assert alarms.names == ["upsAlarmOnBattery", "upsAlarmLowBattery"]
    world.post(ups, conditions={"on_battery": False})
    assert alarms.names == ["upsAlarmLowBattery"]
    assert alarms.news() == [("upsAlarmOnBattery", True), ("upsAlarmLowBattery", True), ("upsAlarmOnBattery", False)]


async def test_indexes_count_up_and_are_not_used_again(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    for index in (1, 2, 3):
        world.post(ups, conditions={"overload": True})
        assert list(alarms.table.entries) == [index]
        assert alarms.table.entries[index].index == index
        world.post(ups, conditions={"overload": False})
    assert not alarms.table.entries


async def test_what_is_there_at_the_start_is_in_the_table_without_being_told(world: World) -> None:
    ups = world.ups()
    world.post(ups, conditions={"overload": True, "on_battery": True})
    alarms = Table(world)
    assert alarms.names == ["upsAlarmOnBattery", "upsAlarmOutputOverload"]
    assert alarms.news() == []


async def test_alarms_stay_while_the_link_is_lost(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"overload": True})
    world.lose(ups)
    assert alarms.names == ["upsAlarmOutputOverload", "upsAlarmCommunicationsLost"]
    # It comes back and the overload is over.
    world.post(ups, conditions={"overload": False, "communications_lost": False})
    assert alarms.names == []


async def test_what_is_only_remembered_is_no_alarm_before_somebody_says_so(world: World) -> None:
    ups = world.ups()
    world.site.restore(ups.id, "battery_bad", world.context.clock.utc())
    alarms = Table(world)
    assert alarms.names == []
    world.post(ups, conditions={"battery_bad": True})
    assert alarms.news() == [("upsAlarmBatteryBad", True)]


async def test_alarms_of_a_device_that_is_removed_go(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"overload": True, "test_in_progress": True})
    world.site.remove(ups.id)
    assert alarms.names == []
    assert alarms.news()[2:] == [("upsAlarmOutputOverload", False), ("upsAlarmTestInProgress", False)]


async def test_parts_have_alarms_of_their_own(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)

    def raise_on(kind: str, number: str, condition: str) -> Device:
        part = world.part(ups, kind, number)
        world.post(part, conditions={condition: True})
        return part

    sensor = raise_on("sensor", "2", "value_high")
    raise_on("sensor", "13", "threshold_alarm")
    raise_on("io_box", "2", "input_alarm.8")
    raise_on("io_box", "4", "input_alarm.63")
    raise_on("transfer_switch", "1", "sources_asynchronous")
    assert alarms.names == [
        "alarmSensorManager2High",
        "alarmSiteManagerAnalogInput3",
        "alarmSiteManagerDigitalInput8",
        "alarmSiteMonitor63",
        "alarmTransferswitchSourcesAsynchronous",
    ]
    world.site.remove(sensor.id)
    assert "alarmSensorManager2High" not in alarms.names


async def test_one_condition_is_one_alarm(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"test_failed": True})
    assert alarms.names == ["upsAlarmDiagnosticTestFailed"]


async def test_a_healthy_ups_has_no_alarm(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"charging": True, "discharging": True})
    assert alarms.names == []


async def test_a_cause_that_nobody_has_told_is_not_invented(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"environment_alarm": True})
    # Neither a sensor nor the wind; but managers must hear of it.
    assert alarms.names == ["upsAlarmThresholdAlarm"]
    world.post(ups, conditions={"threshold_alarm": True})
    world.post(ups, conditions={"environment_alarm": False})
    assert alarms.names == ["upsAlarmThresholdAlarm"]
    world.post(ups, conditions={"threshold_alarm": False})
    assert alarms.names == []


async def test_information_among_the_well_known_alarms_counts_too(world: World) -> None:
    ups = world.ups()
    alarms = Table(world)
    world.post(ups, conditions={"test_in_progress": True, "generator_on": True})
    world.post(world.part(ups, "transfer_switch", "1"), conditions={"on_source_a": True})
    assert alarms.names == ["upsAlarmTestInProgress", "upsAlarmGeneratorOn", "alarmTransferswitchOnStaticSwitchA"]


async def test_another_ups_is_not_this_one(world: World) -> None:
    world.ups()
    other = world.ups("ups-2")
    alarms = Table(world)
    world.post(other, conditions={"overload": True})
    assert alarms.names == []


async def test_a_ups_that_comes_later_is_found(world: World) -> None:
    alarms = Table(world)
    ups = world.ups()
    world.post(ups, conditions={"overload": True})
    assert alarms.news() == [("upsAlarmOutputOverload", True)]
