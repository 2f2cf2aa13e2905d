"""A site with one UPS, and time that is moved by hand."""

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.site import Change, Device, DeviceId, Site

UPS = DeviceId("ups")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def site(clock: ManualClock) -> Site:
    """Make a site with one UPS."""
    site = Site(load_catalogue(), clock)
    site.put(Device(UPS, "ups-1", "ups", "UPS"))
    return site


@pytest.fixture
def changes(site: Site) -> list[Change]:
    """Collect what an observer hears from now on."""
    heard: list[Change] = []
    site.observe(heard.append)
    return heard
