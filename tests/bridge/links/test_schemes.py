"""Which links get into one another's way."""

from pathlib import Path

import pytest

from ridethrough.cli import main
from ridethrough.links.megatec import MegatecLink
from ridethrough.links.schemes import check_links


def test_one_port_is_for_one_link() -> None:
    devices = [
        ("ups-1", "megatec:/dev/ttyS0", None),
        ("ups-2", "megatec:/dev/ttyS1?dialect=q1", None),
        ("ups-3", "contacts:/dev/ttyS0?cable=rups", None),
    ]
    assert check_links(devices) == [
        ("ups-3", "/dev/ttyS0 is already used by ups-1; give each serial port to one link only.")
    ]


def test_two_names_of_one_port_are_one_port(tmp_path: Path) -> None:
    (tmp_path / "tty").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "tty")
    devices = [("ups-1", f"megatec:{tmp_path}/tty", None), ("ups-2", f"megatec:{tmp_path}/by-id", None)]
    assert [key for key, _ in check_links(devices)] == ["ups-2"]


def test_the_second_port_of_a_pipe_is_in_use_too() -> None:
    devices = [("ups-1", "megatec:/dev/ttyS0", "/dev/ttyS1"), ("ups-2", "megatec:/dev/ttyS1", None)]
    assert [key for key, _ in check_links(devices)] == ["ups-2"]
    assert check_links([("ups-1", "megatec:/dev/ttyS0", "/dev/ttyS0")])
    assert check_links([("ups-1", "megatec:/dev/ttyS0", "/dev/ttyS2"), ("ups-2", "megatec:/dev/ttyS1", "/dev/ttyS2")])


def test_a_port_of_a_device_server_is_one_port() -> None:
    devices = [("ups-1", "contacts://host?cable=rups", None), ("ups-2", "contacts://host:2217?cable=rups", None)]
    assert [key for key, _ in check_links(devices)] == ["ups-2"]


def test_what_is_not_on_a_serial_line_is_nobodys_concern() -> None:
    devices = [
        ("ups-1", "nut://host/ups", None),
        ("ups-2", "nut://host/ups", None),
        ("ups-3", "contacts:?power_fail=io-1/input.1", None),
        ("ups-4", "contacts:?power_fail=io-1/input.2", None),
        ("ups-5", "no link", None),
        ("ups-6", "pigeon:/loft", None),
    ]
    assert check_links(devices) == []


def test_links_that_share_their_line_may_do_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MegatecLink, "shares_line", True)
    assert check_links([("ups-1", "megatec:/dev/ttyS0", None), ("ups-2", "megatec:/dev/ttyS0", None)]) == []
    assert check_links([("ups-1", "megatec:/dev/ttyS0", None), ("ups-2", "contacts:/dev/ttyS0?cable=rups", None)])
    assert check_links([("ups-1", "megatec:/dev/ttyS0", "/dev/ttyS1"), ("ups-2", "megatec:/dev/ttyS1", None)])


def test_check_names_the_line_of_the_second_of_two_upses_on_one_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ridethrough.yaml"
    path.write_text(
        "name: Here\nups:\n  - id: ups-1\n    link: megatec:/dev/ttyS0\n"
        "  - id: ups-2\n    link: megatec:/dev/ttyS0\n  - id: ups-3\n    link: megatec:/dev/ttyS0\n    enabled: no\n"
    )
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}:6: ups.link: /dev/ttyS0 is already used by ups-1" in told
    assert "ups-3" not in told


def test_check_says_where_a_device_of_another_kind_belongs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ridethrough.yaml"
    path.write_text(
        "name: Here\nups:\n  - id: a\n    link: modbus://192.0.2.1/1?profile=sts_tumel\n"
        "  - id: b\n    link: snmp://192.0.2.2\n"
        "transfer_switches:\n  - id: c\n    link: megatec:/dev/ttyS0\n"
        "  - id: d\n    link: snmp://192.0.2.3\n  - id: e\n    link: nut://192.0.2.4/ats\n"
        "  - id: f\n    link: modbus://192.0.2.5/1?profile=transfer_switch\n"
    )
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        (
            f"{path}:4: ups.link: modbus://192.0.2.1/1?profile=sts_tumel is a link to a transfer switch, "
            "which belongs under transfer_switches:"
        ),
        f"{path}:9: transfer_switches.link: megatec:/dev/ttyS0 is a link to a UPS, which belongs under ups:",
    ]
