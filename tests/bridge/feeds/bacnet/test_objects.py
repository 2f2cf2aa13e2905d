"""What objects hold and how they are read."""

from datetime import UTC, datetime
from operator import attrgetter

from bacpypes3.errors import PropertyError
import pytest

from ridethrough.feeds.bacnet.objects import (
    LONGEST_TEXT,
    AnalogInput,
    BinaryInput,
    BinaryOutput,
    MultiStateInput,
    Shown,
    TextValue,
)
from ridethrough.site import DeviceId, Quality, Reading


def a_number() -> AnalogInput:
    """Make an object that shows nothing yet."""
    return AnalogInput(objectIdentifier=("analog-input", 1), objectName="x", covIncrement=0.1, units="volts")


def a_reading(value: float | None, quality: Quality = Quality.GOOD) -> Reading:
    """Make what the site may know of a point."""
    return Reading(value, quality, datetime(2026, 11, 21, tzinfo=UTC))


def test_a_number_too_large_for_bacnet_is_infinite() -> None:
    shown = a_number()
    shown.show(1e300, Quality.GOOD)
    assert shown.presentValue == float("inf")
    shown.show(-1e300, Quality.GOOD)
    assert shown.presentValue == float("-inf")


def test_only_what_is_different_counts_as_changed() -> None:
    shown = a_number()
    assert shown.show(1.1, Quality.GOOD)
    assert not shown.show(1.1, Quality.GOOD)
    assert shown.show(1.1, Quality.STALE)
    # BACnet has the same word for both.
    assert not shown.show(None, Quality.LOST)
    assert shown.show(1.1, Quality.GOOD)


def test_a_number_that_is_followed_is_read_as_it_is_at_that_moment() -> None:
    shown, known = a_number(), [None, a_reading(1.0)]
    shown.follow(lambda: known[-1])
    assert shown.encoded("presentValue") == bytes.fromhex("443f800000")
    known.append(a_reading(2.0))
    assert shown.encoded("presentValue") == bytes.fromhex("4440000000")
    known.append(a_reading(2.0, Quality.STALE))
    assert shown.encoded("statusFlags") == bytes.fromhex("820440")
    # Of what the device no longer supports, and of what is gone, the last value stays.
    known.append(a_reading(None, Quality.UNSUPPORTED))
    assert shown.encoded("presentValue") == bytes.fromhex("4440000000")
    known.append(None)
    assert shown.encoded("reliability") == bytes.fromhex("9101")


async def test_the_library_reads_what_is_followed_as_it_is_at_that_moment() -> None:
    shown, known = a_number(), [a_reading(1.0)]
    shown.follow(lambda: known[-1])
    known.append(a_reading(2.0))
    assert await shown.read_property("presentValue") == 2.0


def test_a_long_text_is_cut() -> None:
    shown = TextValue(objectIdentifier=("characterstring-value", 1), objectName="x")
    shown.show("ä" * 1000, Quality.GOOD)
    assert shown.presentValue == "ä" * LONGEST_TEXT


def test_what_is_read_is_encoded_anew_after_a_change() -> None:
    shown = a_number()
    shown.show(1.0, Quality.GOOD)
    assert shown.encoded("presentValue") == bytes.fromhex("443f800000")
    shown.show(2.0, Quality.LOST)
    assert shown.encoded("presentValue") == bytes.fromhex("4440000000")
    assert shown.encoded("statusFlags") == bytes.fromhex("820440")
    shown.eventState = "offnormal"
    assert shown.encoded("statusFlags") == bytes.fromhex("8204c0")
    with pytest.raises(PropertyError):
        shown.encoded("nothing")


def test_an_object_has_nothing_that_bacnet_does_not_know() -> None:
    with pytest.raises(AttributeError):
        attrgetter("nothing")(a_number())
    assert a_number().description is None


async def test_the_library_may_read_it_too() -> None:
    shown = MultiStateInput(objectIdentifier=("multi-state-input", 1), objectName="x")
    shown.of_states(("line", "battery"))
    shown.show("battery", Quality.GOOD)
    assert await shown.read_property("presentValue") == 2
    assert await shown.read_property(110, 2) == "battery"
    assert await shown.read_property("description") is None
    with pytest.raises(AttributeError):
        await shown.read_property("units")


def test_the_most_important_command_counts() -> None:
    shown = BinaryOutput(objectIdentifier=("binary-output", 1), objectName="x")
    shown.show(True, Quality.GOOD)
    shown.command(10, False)
    shown.command(3, True)
    assert [shown.commanded] == [True]
    assert shown.encoded("currentCommandPriority") == bytes.fromhex("2103")
    shown.command(3, None)
    assert [shown.commanded] == [False]
    assert shown.encoded("presentValue") == bytes.fromhex("9100")
    shown.command(10, None)
    assert shown.encoded("presentValue") == shown.encoded("relinquishDefault") == bytes.fromhex("9101")
    assert shown.encoded("currentCommandPriority") == b"\x00"


def test_a_condition_knows_what_it_is() -> None:
    shown = BinaryInput(objectIdentifier=("binary-input", 1), objectName="x")
    assert shown.ridethrough_condition is None
    shown.of_condition(DeviceId("ups-1"), "on_battery")
    assert shown.ridethrough_condition == ("ups-1", "on_battery")


def test_an_object_without_a_kind_shows_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Shown().show(1.0, Quality.GOOD)
