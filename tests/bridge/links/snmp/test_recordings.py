"""Every recording of a real card, served by an agent that is not ours, against what LibreNMS made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path

import pytest

from ridethrough.links.snmp.session import Session
from ridethrough.links.snmp.values import NOTHING
from ridethrough.maps.objects import load_mibs, under
from tests.peers.snmpagent import SnmpAgent, read_recording
from tests.strangers import recorded

from .conftest import running

FACTORS: Mapping[str, float] = {"runtime": 60.0}
"""What LibreNMS's value is multiplied by to come to ours: its runtimes are in minutes."""

DATE = "a date: LibreNMS counts the minutes until then, we keep what the card says"
CLIMATE = "about an air conditioner, which this card is made for as well; only its sensors are read"
NO_BYPASS = "all zeros: this line-interactive UPS has no bypass"
NO_SENSOR = "what this card says when there is no sensor"
UNMEASURED = "-1 says that it is not measured; LibreNMS takes it for a current"
TENTHS = "LibreNMS is wrong: nothing has 2,302 V; the card counts tenths"

U, LIEBERT, APC = "1.3.6.1.2.1.33.1", "1.3.6.1.4.1.476.1.42.3", "1.3.6.1.4.1.318.1.1.1"

KNOWN: Mapping[str, Mapping[str, str]] = {
    # Recording, OID or what it begins with, and why the value is another.
    "apc_smx750": {f"{APC}.2.2.21": DATE, f"{APC}.2.1.3": DATE},
    "dell-ups_tower1000w": {f"{U}.5": NO_BYPASS, f"{U}.2.7": NO_SENSOR},
    "deltaups_mini-snmp": {f"{U}.{table}": TENTHS for table in ("3.3.1.3", "4.4.1.2", "5.3.1.2")},
    "eaton-mgeups_9pxle": {f"{U}.2.7": NO_SENSOR},
    "liebert_weblbds": {
        f"{LIEBERT}.4.3": CLIMATE,
        f"{LIEBERT}.4.4": CLIMATE,
        f"{LIEBERT}.4.1.3.3.1.6": CLIMATE,
        f"{LIEBERT}.4.2.2.3.1.6": CLIMATE,
    },
    "netmanplus_204": {f"{U}.3.3.1.4": UNMEASURED, f"{U}.2.6": UNMEASURED},
    "poweralert_ups": {f"{U}.2.7": NO_SENSOR},
}


def expected(recording: Path) -> list[dict[str, object]]:
    return json.loads(recording.with_name(recording.stem + ".expected.json").read_text())  # type: ignore[no-any-return]


@recorded("snmp/*.snmprec")
async def test_every_card_says_what_another_product_has_read(recording: Path) -> None:
    known = KNOWN.get(recording.stem, {})
    wrong: list[str] = []
    needed: set[str] = set()
    async with SnmpAgent.of_recording(recording) as agent, running(agent, "poll=60&timeout=2") as connection:
        await connection.until_statuses(2)
        session = connection.link._session
        assert isinstance(session, Session)
        readings = session.readings()
        for sensor in expected(recording):
            oid, kind = str(sensor["sensor_oid"]).lstrip("."), str(sensor["sensor_class"])
            theirs = float(str(sensor["sensor_current"])) * FACTORS.get(kind, 1.0)
            reading = readings.get(oid, NOTHING)
            ours = reading.number if kind == "state" else reading.value
            if isinstance(ours, int | float) and abs(ours - theirs) <= 0.05 + 1e-4 * abs(theirs):
                continue
            reason = next((prefix for prefix in known if under(oid, prefix)), None)
            if reason is None:
                wrong.append(f"{oid} {sensor['sensor_descr']}: {ours!r} should be {theirs:g}")
            else:
                needed.add(reason)
    assert not wrong, "\n".join(wrong)
    assert needed == known.keys(), "a reason that is no longer needed"


@dataclass(frozen=True)
class Card:
    """What the owner of a UPS knows of it."""

    who: tuple[str | None, str | None, str | None, str | None]
    """Manufacturer, model, serial number, firmware."""
    points: Mapping[str, object]
    without: tuple[str, ...] = ()
    """Points that it has not got."""
    conditions: Mapping[str, bool] = field(default_factory=dict)


CARDS: Mapping[str, Card] = {
    "apc_smx750": Card(
        ("APC", "Smart-UPS X 750", "AS1342225176", "UPS 09.9 (ID20)"),
        {"ups.load": 76.2, "battery.runtime": 16374, "battery.charge": 100, "input.voltage": 246, "ups.realpower": 333},
        ("input.L1.voltage",),
        {"on_battery": False, "output_active": True},
    ),
    "cxc_ups": Card(
        ("Alpha Technologies", None, "252028189", "v8.30"),
        {"input.voltage": 122.2, "output.voltage": 122, "battery.runtime": 1902 * 60, "battery.current": -0.2},
        ("input.current",),
        {"on_battery": False},
    ),
    "dell-ups_tower1000w": Card(
        ("DELL", "Dell UPS Tower 1000W HV", "CN-0H914N-75162-15K-0050-A04", "01.14"),
        {"ups.load": 26, "battery.runtime": 1889, "ups.realpower": 250, "output.voltage": 233},
        ("input.current", "input.bypass.voltage", "battery.temperature"),
    ),
    "deltaups_mini-snmp": Card(
        ("Delta", "UPS602R2RT2N035", None, "0F0011BR00.02.03"),
        {"input.voltage": 231.3, "output.voltage": 230.2, "ups.load": 36, "battery.runtime": 9000},
        conditions={"on_battery": False, "battery_bad": False, "overload": False},
    ),
    "eaton-mgeups_9pxle": Card(
        ("EATON", "Eaton 9PX 1000i RT 2U", "GA10J05109", "01.16.4638"),
        {"ups.load": 40, "battery.runtime": 1132, "output.current": 1.7, "ups.realpower": 360, "ups.temperature": 21},
        ("output.L1.voltage", "battery.temperature", "input.current"),
    ),
    "generex-ups_cs121": Card(
        ("Rittal", "RITTAL PMC Extension", None, "CS121 v 4.26.14"),
        {"output.L1.current": 80, "output.L3.realpower": 16600, "ups.realpower": 53900, "battery.runtime": 3540},
        ("output.voltage",),
    ),
    "generex-ups_cs141": Card(
        ("Multimatic", "Upscale", None, "CS141-SNMP V1.80.17 190618"),
        {"input.L3.voltage": 235, "input.bypass.L2.voltage": 233, "output.L2.power.percent": 14, "ups.load": 6},
        ("input.voltage", "output.voltage"),
        {"on_bypass": True, "on_battery": False},
    ),
    "liebert_weblbds": Card(
        ("Vertiv", None, None, None),
        {"output.L1.voltage": 230, "output.L2.power.percent": 23, "output.L1.powerfactor": 0.95, "ups.load": 23},
    ),
    "netmanplus_204": Card(
        ("RPS SpA", None, None, None),
        {"input.voltage": 242, "output.voltage": 231, "ups.load": 8, "ups.realpower": 184},
        ("input.L1.voltage", "input.L2.voltage", "output.L2.voltage", "input.current"),
    ),
    "poweralert_ups": Card(
        ("Tripp Lite", "SU3000LCD2UHV", None, "692A950B"),
        {"input.voltage": 210.9, "output.current": 1.4, "ups.load": 10, "battery.runtime": 4320, "ups.temperature": 22},
        ("battery.temperature",),
        {"on_battery": False},
    ),
    "powerwalker-vfi_20kcpgpf133": Card(
        (None, None, None, "2767,10,2738,11."),
        {"output.L1.current": 14.5, "output.L1.power.percent": 50, "battery.voltage": 273.5, "input.L2.voltage": 229},
        ("output.L1.realpower", "ups.realpower", "input.L1.current"),
    ),
    "powerwalker-vfi_500r1u": Card(
        (None, "500R", None, "1.0.6"),
        {"ups.load": 28, "battery.runtime": 1200, "input.voltage": 227, "output.voltage": 226},
        ("ups.realpower", "input.L1.voltage", "battery.temperature"),
    ),
}


@recorded("snmp/*.snmprec")
async def test_the_owner_of_each_ups_recognises_it(recording: Path) -> None:
    if recording.stem not in CARDS:
        pytest.skip("nobody has written down what this one is")
    card = CARDS[recording.stem]
    async with SnmpAgent.of_recording(recording) as agent, running(agent, "poll=60&timeout=2") as connection:
        await connection.until_statuses(2)
        sheet = connection.sheet
        identity = sheet.identity
        assert (identity.manufacturer, identity.model, identity.serial, identity.firmware) == card.who
        assert {key: sheet.points.get(key) for key in card.points} == pytest.approx(card.points)
        assert {key: sheet.points[key] for key in card.without if sheet.points.get(key) is not None} == {}
        assert {key: sheet.conditions.get(key) for key in card.conditions} == card.conditions


@recorded("snmp/*.snmprec")
async def test_every_object_is_shown_under_its_mib_name(recording: Path) -> None:
    async with SnmpAgent.of_recording(recording) as agent, running(agent, "poll=60&timeout=2") as connection:
        await connection.until_statuses(2)
        shown = {value.name for value in connection.link.raw()}
        known = {row.oid: row.name for mib in load_mibs() for row in mib.rows}
        there = read_recording(recording)
        standard = {oid for oid, datum in there.items() if under(oid, f"{U}.2") and datum.tag == 2}
        assert {f"{known[oid.removesuffix('.0')]}.0" for oid in standard} <= shown
        assert len({(value.child, value.key) for value in connection.link.raw() if value.key}) == sum(
            1 for value in connection.link.raw() if value.key
        ), "no point is taken from two objects"
