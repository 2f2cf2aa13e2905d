"""Addresses of network cards, however people write them."""

import pytest

from ridethrough.addresses import hardware_address


@pytest.mark.parametrize(
    "text",
    ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001a2b3c4d5e", "001a.2b3c.4d5e", " 00:1a:2b:3c:4d:5e "],
    ids=["colons", "dashes", "bare", "dots", "spaces"],
)
def test_hardware_addresses_are_read_however_they_are_written(text: str) -> None:
    assert hardware_address(text) == "00:1a:2b:3c:4d:5e"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00:1a:2b:3c:4d",
        "00:1a:2b:3c:4d:5g",
        "00:1a-2b:3c:4d:5e",
        "00:1a:2b:3c:4d:5e:6f",
        "00.1a.2b.3c.4d.5e",
        "٠٠1122334455",
        "0:1:2:3:4:5",
        "00:1a:2b:3c:4d:5e\n00",
    ],
    ids=["empty", "short", "letter", "mixed", "long", "many-dots", "other-digits", "single", "lines"],
)
def test_what_is_no_hardware_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no hardware address"):
        hardware_address(text)


@pytest.mark.parametrize("text", ["ff:ff:ff:ff:ff:ff", "01-00-5e-00-00-01", "000000000000"])
def test_address_of_nobody_or_of_many_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no address of a single network card"):
        hardware_address(text)
