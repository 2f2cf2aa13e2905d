"""The tables of SNMP objects: nothing in them contradicts the catalogue, the manual or the MIB."""

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.maps import objects
from ridethrough.maps.objects import MapError, load_alarms, load_mibs, load_orders, load_quirks, makers, under

KINDS = {mib.name: mib.kind for mib in load_mibs()}
EVERY = [row for mib in load_mibs() for row in mib.rows]
CATALOGUE = load_catalogue()


def kind(row: objects.ObjectRow) -> str:
    return KINDS[row.mib] if row.child is None else row.child.kind


def test_every_object_names_points_and_conditions_that_exist() -> None:
    for row in EVERY:
        for key in (row.key, row.line_key):
            assert key is None or CATALOGUE.point(kind(row), key.replace("{line}", "L1")) is not None, row
        for condition in (*row.conditions, *(bit.condition for bit in row.bits)):
            assert CATALOGUE.condition(kind(row), condition) is not None, (row, condition)


def test_every_word_of_an_enumeration_is_one_of_its_point() -> None:
    for row in EVERY:
        point = None if row.key is None else CATALOGUE.point(kind(row), row.key)
        for number, word in row.values.items():
            assert point is None or number in row.absent or point.coerce(word) is not None, row


def test_no_mib_has_an_object_twice() -> None:
    for mib in load_mibs():
        assert len({(row.oid, row.index) for row in mib.rows}) == len(mib.rows), mib.name


def test_alarms_1_to_180_are_there_and_those_of_rfc_1628_are_the_catalogue_s() -> None:
    alarms = load_alarms()
    base = "1.3.6.1.2.1.33.1.6.3"
    assert all(f"{base}.{number}" in alarms for number in range(1, 181))
    for row in CATALOGUE.conditions:
        if 1 <= row.rfc1628_alarm <= 24:
            assert alarms[f"{base}.{row.rfc1628_alarm}"].condition == row.key
    for alarm in alarms.values():
        of = "ups" if alarm.child is None else alarm.child.kind
        assert alarm.condition is None or CATALOGUE.condition(of, alarm.condition) is not None, alarm
    # Manual M:11750, M:11796.
    assert alarms[f"{base}.125"].name == "alarmSensorManager1Low"
    assert alarms[f"{base}.180"].condition == "battery_too_old"


def test_alarms_of_a_battery_system() -> None:
    alarms = load_alarms("battery_system")
    assert list(alarms) == [f"1.3.6.1.2.1.33.5.3.3.{number}" for number in range(1, 40)]  # manual M:12168-12206
    for alarm in alarms.values():
        assert alarm.condition is not None
        row = CATALOGUE.condition("battery_system", alarm.condition)
        assert row is not None, alarm
        assert ("Warn" in alarm.name) == (row.severity == "warning" and row.key != "module.voltage_difference_high"), (
            alarm
        )
    assert not alarms.keys() & load_alarms().keys()


def test_battery_monitoring_is_served_and_not_read() -> None:
    bacs = next(mib for mib in load_mibs() if mib.name == "bacs")
    assert (bacs.kind, bacs.read) == ("battery_system", False)
    assert all(mib.read and mib.kind == "ups" for mib in load_mibs() if mib is not bacs)
    rows = {row.name: row for row in bacs.rows}
    # Manual M:12146, M:12158.
    assert rows["bacsModuleTemperature"].oid == "1.3.6.1.2.1.33.5.2.5.1.3"
    assert rows["bacsStringAlarm"].oid == "1.3.6.1.2.1.33.5.2.7.1.6"


def test_the_status_of_battery_monitoring_is_three_words_of_modbus_one_after_the_other() -> None:
    status = next(row for row in EVERY if row.name == "bacsStatus")
    masks = {bit.mask: bit.condition for bit in status.bits}
    # Manual M:12236-12302.
    assert list(masks) == [1 << place for place in range(33)]
    assert masks[0x1] == "monitoring"
    assert masks[0x10000] == "general_alarm"
    assert masks[0x80000] == "thermal_runaway"
    assert masks[0x80000000] == "current_sensor_lost"
    assert masks[0x100000000] == "io_box_lost"


def test_every_command_writes_objects_that_may_be_written() -> None:
    writable = {f"{row.oid}.{row.index}" for row in EVERY if row.writable}
    for order in load_orders():
        assert CATALOGUE.command(order.kind, order.command) is not None, order
        for oid, _ in order.writes:
            if "{" not in oid:
                assert oid in writable, order


def test_quirks_say_why() -> None:
    for quirk in load_quirks():
        assert quirk.action in {"scale", "absent", "idle", "bulk", "most"}
        assert quirk.action != "scale" or float(quirk.value) > 0


def test_prefixes_end_at_dots() -> None:
    assert under("1.3.6.1.4.1.318.1", "1.3.6.1.4.1.318")
    assert not under("1.3.6.1.4.1.3180", "1.3.6.1.4.1.318")
    assert makers()["1.3.6.1.4.1.318"] == "APC"


def test_wrong_row_names_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "oid,name,index,syntax,scale,unit,access,lane,rank,key,line_key,child,repeat,values,conditions,absent,source\n"
    )
    monkeypatch.setattr(objects, "_text", lambda name: text + "1.1,upsThing,,,soon\n")
    with pytest.raises(MapError, match=r"mine\.csv: 1\.1 upsThing"):
        objects._mib({"name": "mine", "base": "1.3", "file": "mine.csv", "title": "Mine", "agents": ["*"]})
    monkeypatch.setattr(objects, "_text", lambda name: text + "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18\n")
    with pytest.raises(MapError, match="more cells"):
        list(objects._rows("mine.csv"))
