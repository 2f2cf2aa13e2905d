"""From where a feed may be asked, and how many ask it."""

from ipaddress import ip_network

import pytest

from ridethrough.clock import ManualClock
from ridethrough.feeds import Traffic
from ridethrough.feeds.admission import RECENT, REMEMBERED, Admission, Callers

HOME = Admission([ip_network("192.0.2.0/24"), ip_network("198.51.100.7"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("192.0.2.1", True),
        ("192.0.2.255", True),
        ("192.0.3.1", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        # As a socket for both families words an IPv4 address.
        ("::ffff:192.0.2.1", True),
        ("::ffff:192.0.3.1", False),
        # With the interface that it came in by.
        ("2001:db8::7%eth0", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
        ("192.0.2.1.evil.example", False),
        ("192.0.2", False),
    ],
)
def test_only_addresses_of_the_networks_are_admitted(host: str, admitted: bool) -> None:
    assert HOME.admits(host) is admitted


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::7", "/run/socket", ""])
def test_without_networks_everybody_is_admitted(host: str) -> None:
    assert Admission([]).admits(host)


def test_addresses_that_are_made_up_are_not_remembered_for_ever() -> None:
    admission = Admission([ip_network("10.0.0.0/8")])
    for number in range(3 * REMEMBERED):
        assert admission.admits(f"10.0.{number // 256}.{number % 256}")
    assert admission.admits.cache_info().currsize == REMEMBERED
    assert not admission.admits("11.0.0.1")


def test_those_who_ask_are_counted_once_each_while_they_ask() -> None:
    clock, traffic = ManualClock(), Traffic()
    callers = Callers(clock, traffic)
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        callers.heard(host)
    assert traffic.clients == 2
    clock.tick(RECENT - 1)
    callers.heard("192.0.2.1")
    assert traffic.clients == 2
    clock.tick(2)
    callers.count()
    assert traffic.clients == 1
    clock.tick(RECENT)
    callers.count()
    assert traffic.clients == 0


def test_a_flood_of_made_up_callers_is_counted_no_further() -> None:
    clock, traffic = ManualClock(), Traffic()
    callers = Callers(clock, traffic)
    for number in range(10 * REMEMBERED):
        callers.heard(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert traffic.clients == REMEMBERED
    # Those who asked last are the ones that count.
    clock.tick(RECENT - 1)
    callers.heard("10.0.0.0")
    clock.tick(2)
    callers.count()
    assert traffic.clients == 1
