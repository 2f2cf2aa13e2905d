"""Zeros that a load says cannot be."""

from ridethrough.links.snmp.doubts import Doubts
from ridethrough.links.snmp.inventory import Instance
from ridethrough.links.snmp.values import Converter, Reading
from ridethrough.maps.objects import load_mibs, load_quirks

ROWS = {row.name: row for mib in load_mibs() for row in mib.rows if mib.name == "rfc1628"}
NAMES = ("upsOutputPercentLoad", "upsOutputPower", "upsInputCurrent", "upsOutputSource")
INSTANCES = [Instance(ROWS[name], name, line=None if name == "upsOutputSource" else 1) for name in NAMES]


def look(doubts: Doubts, load: float, power: float, current: float, *, on_battery: bool = False) -> list[object]:
    readings = {
        "upsOutputPercentLoad": Reading(load, load),
        "upsOutputPower": Reading(power, power),
        "upsInputCurrent": Reading(current, current),
        "upsOutputSource": Reading("line", 3, {"on_battery": on_battery}),
    }
    believed = doubts.apply(INSTANCES, readings)
    return [believed["upsOutputPower"].value, believed["upsInputCurrent"].value]


def fresh() -> Doubts:
    return Doubts(Converter("1.3", "", load_quirks()))


def test_zero_under_load_is_not_known() -> None:
    assert look(fresh(), 50, 0, 0) == [None, None]


def test_zero_without_load_is_zero() -> None:
    assert look(fresh(), 0, 0, 0) == [0, 0]
    assert look(fresh(), 3, 0, 0) == [0, 0], "little is rounded to nothing"


def test_input_takes_nothing_on_battery() -> None:
    assert look(fresh(), 50, 900, 0, on_battery=True) == [900, 0]


def test_object_that_has_once_measured_is_believed_for_ever() -> None:
    doubts = fresh()
    assert look(doubts, 50, 900, 4) == [900, 4]
    assert look(doubts, 50, 0, 0) == [0, 0]


def test_object_that_is_not_measured_stays_unknown_without_load() -> None:
    doubts = fresh()
    look(doubts, 50, 0, 0)
    assert look(doubts, 0, 0, 0, on_battery=True) == [None, None]
    assert look(doubts, 50, 900, 4) == [900, 4]


def test_what_one_phase_does_not_measure_the_others_do_not_either() -> None:
    load, power = ROWS["upsOutputPercentLoad"], ROWS["upsOutputPower"]
    instances = [Instance(row, f"{row.name}.{line}", line=line) for row in (load, power) for line in (1, 2, 3)]
    loads = {1: 6, 2: 4, 3: 0}
    readings = {f"{load.name}.{line}": Reading(share, share) for line, share in loads.items()}
    readings |= {f"{power.name}.{line}": Reading(0, 0) for line in loads}
    believed = fresh().apply(instances, readings)
    assert [believed[f"{power.name}.{line}"].value for line in loads] == [None, None, 0]
