"""The time zone of the site, by its name or as the computer has it."""

from datetime import UTC, datetime, timedelta, tzinfo
from importlib import resources
from pathlib import Path

import pytest

from ridethrough.events.zone import zone_of


@pytest.fixture
def localtime(tmp_path: Path) -> Path:
    """Make a computer whose local time is that of New York."""
    path = tmp_path / "localtime"
    path.write_bytes(resources.files("tzdata.zoneinfo.America").joinpath("New_York").read_bytes())
    return path


def hours(zone: tzinfo, month: int) -> float:
    """Return the hours from UTC in a month."""
    offset = datetime(2026, month, 15, tzinfo=zone).utcoffset()
    assert offset is not None
    return offset / timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "environment", "winter", "summer"),
    [
        ("Europe/Berlin", {"TZ": "Asia/Tokyo"}, 1, 2),
        (None, {"TZ": "Australia/Lord_Howe"}, 11, 10.5),
        (None, {"TZ": ":Europe/Berlin"}, 1, 2),
        (None, {}, -5, -4),
        (None, {"TZ": "No/Where"}, -5, -4),
        (None, {"TZ": "/no/where"}, -5, -4),
    ],
    ids=["configured", "variable", "variable_with_colon", "computer", "unknown_variable", "unknown_file"],
)
def test_the_zone_and_its_daylight_saving(
    localtime: Path, name: str | None, environment: dict[str, str], winter: float, summer: float
) -> None:
    zone = zone_of(name, environment, localtime)
    assert (hours(zone, 1), hours(zone, 7)) == (winter, summer)


def test_a_variable_may_name_a_file(localtime: Path, tmp_path: Path) -> None:
    assert hours(zone_of(None, {"TZ": f":{localtime}"}, tmp_path / "none"), 1) == -5


def test_a_computer_that_does_not_know_has_utc_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "broken").write_bytes(b"no rules")
    for path in (tmp_path / "none", tmp_path / "broken"):
        assert zone_of(None, {}, path) is UTC
    assert "give time_zone: under jobs:" in caplog.text
