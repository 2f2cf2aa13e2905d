"""The URLs of Modbus links."""

import pytest

from ridethrough.links.base import LinkUrl
from ridethrough.links.modbus.options import ModbusOptions, Reading, understand
from ridethrough.links.schemes import check_link
from ridethrough.serial_line import LineSettings


def options(url: str) -> ModbusOptions:
    """Read a URL."""
    return understand(LinkUrl.parse(url), "modbus://host/1")


def test_a_host_with_nothing_else() -> None:
    got = options("modbus://192.0.2.7")
    assert (got.host, got.port, got.unit, got.rtu, got.path) == ("192.0.2.7", 502, 1, False, "")
    assert got.profile.name == "default"
    assert got.reading == Reading(None, 8, 100, 0)
    assert got.phases is None
    assert got.where == "unit 1 at 192.0.2.7:502"


def test_a_host_with_everything() -> None:
    got = options(
        "modbus://[2001:db8::1]:1502/17?framing=rtu&function=4&gap=0&longest=10&phases=3&shift=1&poll=5&timeout=0.5"
    )
    assert (got.host, got.port, got.unit, got.rtu) == ("2001:db8::1", 1502, 17, True)
    assert got.reading == Reading(4, 0, 10, 1)
    assert (got.phases, got.poll, got.patience) == (3, 5.0, 0.5)
    assert got.where == "unit 17 at [2001:db8::1]:1502"


def test_a_serial_line() -> None:
    got = options("modbus:/dev/ttyUSB0?unit=7&baud=19200&parity=even&stop=1&profile=default")
    assert (got.host, got.path, got.unit, got.rtu) == ("", "/dev/ttyUSB0", 7, True)
    assert got.line == LineSettings(19200, "E", 1)
    assert options("modbus:/dev/ttyUSB0").line.baud == 9600
    assert got.where == "unit 7 on /dev/ttyUSB0"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("modbus:", "names neither a host nor a serial port; write it as in modbus://"),
        ("modbus://host/256", "/256 is no unit; permitted: 0 to 255"),
        ("modbus://host/ups", "/ups is no unit"),
        ("modbus://host/1?unit=1", "names its unit twice"),
        ("modbus://host/1?profile=nobody", "profile=nobody is not possible; permitted: .*default"),
        ("modbus://host/1?baud=9600", "baud= sets a serial line"),
        ("modbus:/dev/ttyUSB0?framing=rtu", "framing= is for hosts"),
        ("modbus:/dev/ttyUSB0?unit=0", "unit=0 is not possible on a serial line; permitted: 1 to 247"),
        ("modbus://host/1?longest=126", "longest=126 is not possible; permitted: 1 to 125"),
        ("modbus://host/1?colour=red", "knows no option colour"),
    ],
)
def test_a_wrong_url_is_answered_with_what_is_permitted(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_link(url)
