"""Makers' MIBs that no recording is at hand of: what each card says comes to the right points."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.peers.snmpagent import Datum, SnmpAgent

from .conftest import running

E = "1.3.6.1.4.1"
U = "1.3.6.1.2.1.33.1"


@dataclass(frozen=True)
class Card:
    agent: str
    """What its sysObjectID is behind 1.3.6.1.4.1."""
    base: str
    objects: Mapping[str, int | str]
    points: Mapping[str, object]
    without: tuple[str, ...] = ()
    descr: str = "A card"


CARDS = {
    "Sinetica has the UPS-MIB elsewhere, and totals in the first line": Card(
        "13891.101",
        f"{E}.13891.101",
        {
            "2.1.0": 2, "2.4.0": 90, "2.5.0": 4100, "3.2.0": 3, "3.3.1.3.1": 206, "3.3.1.3.2": 207, "3.3.1.3.3": 208,
            "4.1.0": 3, "4.3.0": 3, "4.4.1.2.1": 208, "4.4.1.2.2": 208, "4.4.1.2.3": 209, "4.4.1.5.1": 39,
            "4.4.1.5.2": 0, "4.4.1.5.3": 0,
        },
        {"battery.voltage": 410, "input.L3.voltage": 208, "output.L2.voltage": 208, "ups.mode": "line"},
        ("ups.load", "output.L2.power.percent"),
    ),
    "Net Vision counts tenths": Card(
        "4555.1.1.1",
        f"{E}.4555.1.1.1.1",
        {
            "1.1.0": "Masterys", "1.4.0": "P123", "2.1.0": 2, "2.3.0": 12, "2.4.0": 98, "2.5.0": 4080, "3.2.0": 500,
            "3.3.1.2.1": 2310, "3.3.1.3.1": 125, "4.1.0": 9, "4.2.0": 500, "4.4.1.2.1": 2300, "4.4.1.3.1": 103,
            "4.4.1.4.1": 37,
        },
        {
            "battery.runtime": 720, "battery.voltage": 408, "input.voltage": 231, "input.current": 12.5,
            "output.voltage": 230, "output.current": 10.3, "ups.load": 37, "ups.mode": "eco", "ups.serial": "P123",
        },
    ),
    "Huawei has one object for each phase, of the first UPS": Card(
        "8072.3.2.10",
        f"{E}.2011.6.174.1",
        {
            "2.100.1.2.1": "UPS5000-E", "2.101.1.1.1": 3, "3.100.1.1.1": 2301, "3.100.1.2.1": 2302,
            "3.100.1.3.1": 2303, "3.100.1.4.1": 5001, "4.100.1.1.1": 2200, "4.100.1.2.1": 2201, "4.100.1.3.1": 2202,
            "4.100.1.8.1": 120, "4.100.1.9.1": 118, "4.100.1.10.1": 121, "4.100.1.14.1": 305, "4.100.1.15.1": 300,
            "4.100.1.16.1": 310, "6.100.1.3.1": 99, "6.100.1.4.1": 1860,
        },
        {
            "ups.model": "UPS5000-E", "input.L2.voltage": 230.2, "input.frequency": 50.01, "output.L3.voltage": 220.2,
            "output.L1.realpower": 12000, "ups.realpower": 35900, "ups.load": 30.5, "battery.runtime": 1860,
        },
        ("input.voltage",),
        "Linux GSE200M",
    ),
    "NetAgent of a UPS with three phases": Card(
        "935",
        f"{E}.935.1.1.1",
        {
            "2.2.1.0": 100, "8.2.2.0": 2310, "8.2.3.0": 2320, "8.2.4.0": 2330, "8.3.2.0": 2300, "8.3.3.0": 2301,
            "8.3.4.0": 2302, "8.3.5.0": 210, "8.3.6.0": 220, "8.3.7.0": 230, "8.4.2.0": 2290, "8.4.3.0": 2291,
            "8.4.4.0": 2292,
        },
        {
            "input.L1.voltage": 231, "output.L2.voltage": 230.1, "output.L3.power.percent": 23, "ups.load": 22,
            "input.bypass.L3.voltage": 229.2,
        },
    ),
    "NetAgent of a UPS with one phase has zeros for three": Card(
        "935",
        f"{E}.935.1.1.1",
        {"2.2.1.0": 100, "2.2.5.0": 2, "3.2.1.0": 2310, "4.2.1.0": 2300, "4.2.3.0": 44}
        | {f"8.{part}.{line}.0": 0 for part in (2, 3, 4) for line in range(2, 8)},
        {"input.voltage": 231, "output.voltage": 230, "ups.load": 44},
        ("input.L1.voltage", "input.L2.voltage", "output.L3.power.percent"),
    ),
    "Delta with three phases": Card(
        "2254.2.4",
        f"{E}.2254.2.4",
        {
            "4.1.0": 3, "4.2.0": 500, "4.3.0": 2301, "4.6.0": 2302, "4.9.0": 2303, "5.1.0": 0, "5.3.0": 3,
            "5.4.0": 2200, "5.8.0": 2201, "5.12.0": 2202, "5.7.0": 30, "5.11.0": 31, "5.15.0": 32,
        },
        {"input.L3.voltage": 230.3, "output.L2.voltage": 220.1, "output.L3.power.percent": 32, "ups.load": 31},
        ("input.voltage",),
    ),
    "MGE says input currents with a double index": Card(
        "705.1.2",
        f"{E}.705.1",
        {"5.2.0": 100, "6.1.0": 3, "6.2.1.6.1.0": 370, "6.2.1.6.2.0": 350, "6.2.1.6.3.0": 360},
        {"input.L1.current": 37, "input.L3.current": 36},
    ),
    "an old card of Tripp Lite counts amperes": Card(
        "850.1",
        U,
        {"2.4.0": 100, "4.4.1.2.1": 230, "4.4.1.3.1": 6, "4.4.1.5.1": 40},
        {"output.current": 6, "ups.load": 40},
        descr="POWERALERT SNMP 12.06.0060",
    ),
    "a newer card of Tripp Lite counts tenths": Card(
        "850.1",
        U,
        {"2.4.0": 100, "4.4.1.2.1": 230, "4.4.1.3.1": 61, "4.4.1.5.1": 40},
        {"output.current": 6.1, "ups.load": 40},
        descr="POWERALERT SNMP 12.06.0068",
    ),
    "ABB says who it is in a place of its own": Card(
        "8072.3.2.10",
        "1.3.6.1",
        {
            "2.1.33.1.2.4.0": 100, "2.1.33.1.4.4.1.2.1": 230, "4.1.53973.1.1.1.1.1.1.0": "ABB",
            "4.1.53973.1.1.1.1.1.2.0": "PowerScale",
        },
        {"ups.mfr": "ABB", "ups.model": "PowerScale", "battery.charge": 100},
        descr="Linux ABB-ffffff-000000 6.6.0",
    ),
}  # fmt: skip


def serve(card: Card) -> SnmpAgent:
    objects = {
        f"{card.base}.{oid}": Datum.text(value) if isinstance(value, str) else Datum.integer(value)
        for oid, value in card.objects.items()
    }
    return SnmpAgent(
        objects
        | {
            "1.3.6.1.2.1.1.1.0": Datum.text(card.descr),
            "1.3.6.1.2.1.1.2.0": Datum(6, _oid(f"{E}.{card.agent}")),
            "1.3.6.1.2.1.1.3.0": Datum.integer(100_000, 0x43),
        }
    )


def _oid(text: str) -> bytes:
    numbers = [int(part) for part in text.split(".")]
    encoded = bytearray([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | (number & 0x7F))
        encoded += bytes(reversed(septets))
    return bytes(encoded)


@pytest.mark.parametrize("name", CARDS)
async def test_what_a_card_says_comes_to_the_right_points(name: str) -> None:
    card = CARDS[name]
    async with serve(card) as agent, running(agent, "poll=60&timeout=1") as connection:
        await connection.until_statuses(2)
        points = connection.sheet.points
    assert {key: points.get(key) for key in card.points} == pytest.approx(card.points)
    assert {key: points[key] for key in card.without if points.get(key) is not None} == {}


async def test_sensor_of_cyberpower_counts_tenths_of_fahrenheit() -> None:
    base = f"{E}.3808.1.1"
    card = Card("3808.1.1.1", base, {"1.2.2.1.0": 100, "4.2.1.0": 683, "4.3.1.0": 56, "1.3.2.6.0": 3}, {})
    async with serve(card) as agent, running(agent, "poll=60&timeout=1") as connection:
        await connection.until_statuses(2)
        sensor = connection.sheet.children["sensor", "1"]
        assert sensor.points["sensor.temperature"] == pytest.approx(20.17, abs=0.01)
        assert sensor.points["sensor.humidity"] == 56
        assert connection.sheet.conditions["input_bad"] is True


async def test_object_that_is_not_believed_is_listed_with_what_it_comes_to() -> None:
    card = Card(
        "318.1.3.27",
        "1.3.6.1",
        {"4.1.318.1.1.1.2.2.8.0": 54, "2.1.33.1.2.5.0": 541, "2.1.33.1.3.3.1.2.1": 500, "2.1.33.1.3.3.1.2.2": 499},
        {},
    )
    async with serve(card) as agent, running(agent, "poll=60&timeout=1") as connection:
        await connection.until_statuses(2)
        raw = {value.name: value for value in connection.link.raw()}
    assert (raw["upsAdvBatteryActualVoltage.0"].key, raw["upsBatteryVoltage.0"].key) == ("battery.voltage", None)
    assert raw["upsBatteryVoltage.0"].text == "541"
    assert raw["upsBatteryVoltage.0"].value == pytest.approx(54.1)
    assert raw["upsBatteryVoltage.0"].unit == "V"
    assert raw["upsInputFrequency.2"].value == pytest.approx(49.9)
    assert raw["upsInputFrequency.2"].unit == "Hz"
