"""What our NUT link reads from a real device's dump, our NUT server says again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re

import pytest

from ridethrough.catalogue import Catalogue, load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.feeds import Directory
from ridethrough.feeds.nut.ups import Upses
from ridethrough.feeds.nut.wire import Error, Refusal
from ridethrough.links.nut.names import place_variable
from ridethrough.links.nut.status import outlet_on, read_status
from ridethrough.links.nut.values import Values
from ridethrough.site import Device, DeviceId, Site
from tests.peers.upsd import read_dump
from tests.strangers import recorded

BETWEEN: tuple[tuple[str, str], ...] = (
    # A variable of the dump that need not come out again, and why.
    (r"driver\..*", "the driver that clients see is the bridge"),
    (r"server\..*", "not a variable of the UPS; upsd does not list it either"),
    (r"outlet\.0\.(.*)", "is `outlet.*` since NUT 2.2"),
)
STATUS_DIFFERS: Mapping[str, str] = {
    # A word that is said and was not in the dump, and the variable that says it there.
    "RB": "ups.alarm",
    "LB": "ups.alarm",
    "TEST": "ups.test.result",
}


def served(dump: Mapping[str, str]) -> tuple[Site, Upses, Device]:
    """Let the link's tables read a dump, and post what comes of it as the link does."""
    catalogue = load_catalogue()
    site = Site(catalogue, SystemClock())
    ups = Device(DeviceId("ups"), "ups", "ups", "Rack")
    site.put(ups)
    reading = Values(catalogue).read(dump)
    site.lane(ups.id, None).post(reading.points.get(None, {}), read_status(dump).conditions)
    for number, points in reading.points.items():
        if number is not None:
            outlet = Device(DeviceId(f"outlet-{number}"), f"ups/outlet-{number}", "outlet", f"Outlet {number}", ups.id)
            site.put(outlet)
            on = outlet_on(dump, number)
            site.lane(outlet.id, None).post(points, {} if on is None else {"outlet_on": on})
    return site, Upses(Directory(site), "0.1.0", lambda device: False), ups


def expected(dump: Mapping[str, str], catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Give the variables that must come out again."""
    for name, text in dump.items():
        place = place_variable(name)
        point = catalogue.point(place.kind, place.key)
        if point is None or any(re.fullmatch(pattern, name) for pattern, _ in BETWEEN):
            continue
        try:
            point.coerce(text.strip())
        except ValueError:
            continue  # no value at all, such as 255 % or XX.X
        if text.strip() and name != "ups.status":
            yield name, text.strip()


def same(name: str, was: str, now: str | None) -> bool:
    """Whether a value has come through: numbers as numbers, words of an enum in whatever wording."""
    if now is None:
        return name == "ups.alarm" and was == "0"
    if was == now:
        return True
    try:
        return float(was) == float(now)
    except ValueError:
        place = place_variable(name)
        point = load_catalogue().point(place.kind, place.key)
        assert point is not None
        return point.coerce(was) == point.coerce(now)


@recorded("nut/*.dev")
def test_what_was_read_is_said_again(recording: Path) -> None:
    dump = read_dump(recording.read_text(encoding="utf-8"))
    site, upses, ups = served(dump)
    words = dump.get("ups.status", "").split()
    if not {"OL", "OB"} & set(words) and "on_battery" not in site.conditions(ups.id):
        with pytest.raises(Refusal, match=Error.DATA_STALE):
            upses.status(ups)
        return
    variables = {name: one.text for name, one in upses.variables(ups).items()}
    lost = {
        name: (text, variables.get(name))
        for name, text in expected(dump, site.catalogue)
        if not same(name, text, variables.get(name))
    }
    assert lost == {}
    status = variables["ups.status"]
    added = set(status.split()) - set(words)
    assert set(words) <= set(status.split())
    assert all(dump.get(STATUS_DIFFERS[word]) for word in added), (dump["ups.status"], status)
