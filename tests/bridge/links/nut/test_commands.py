"""What is sent for a command with arguments."""

import pytest

from ridethrough.links.nut.commands import Order, order, refusal
from ridethrough.links.nut.protocol import UpsdError
from ridethrough.site import CommandError

DELAYS = {"ups.delay.shutdown": "20", "ups.delay.start": "30"}


def test_a_command_without_arguments_is_sent_as_it_is() -> None:
    assert order("beeper.mute", {}, {}, frozenset()) == Order("beeper.mute")


def test_delays_are_set_where_they_can_be() -> None:
    told = order("shutdown.return", {"delay": 60.0, "restore": 180}, DELAYS, frozenset(DELAYS))
    assert told.settings == (("ups.delay.shutdown", "60"), ("ups.delay.start", "180"))
    assert told.parameter is None


def test_a_delay_that_the_ups_has_anyway_needs_no_setting() -> None:
    assert order("shutdown.return", {"delay": 20}, DELAYS, frozenset()) == Order("shutdown.return")


@pytest.mark.parametrize("variables", [DELAYS, {}, {"ups.delay.shutdown": "soon"}])
def test_a_shutdown_never_comes_at_another_time_than_asked_for(variables: dict[str, str]) -> None:
    with pytest.raises(CommandError, match=r"delay cannot be set on this UPS: ups\.delay\.shutdown is") as caught:
        order("shutdown.stayoff", {"delay": 60}, variables, frozenset())
    assert caught.value.code == "refused"


@pytest.mark.parametrize(("driver", "parameter"), [("nutdrv_qx", "600"), ("blazer_usb", "10"), ("blazer_ser", "10")])
def test_the_length_of_a_test_is_told_in_the_drivers_own_unit(driver: str, parameter: str) -> None:
    told = order("test.battery.start", {"duration": 10}, {"driver.name": driver}, frozenset())
    assert told.parameter == parameter


@pytest.mark.parametrize("variables", [{}, {"driver.name": "usbhid-ups"}])
def test_a_length_is_refused_where_the_driver_takes_none(variables: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="takes no duration") as caught:
        order("test.battery.start", {"duration": 10}, variables, frozenset())
    assert caught.value.code == "refused"


def test_an_argument_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CommandError, match="takes no colour"):
        order("test.battery.start", {"colour": 1}, {"driver.name": "nutdrv_qx"}, frozenset())


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("CMD-NOT-SUPPORTED", "refused"),
        ("READONLY", "refused"),
        ("FAILED", "refused"),
        ("DRIVER-NOT-CONNECTED", "offline"),
        ("DATA-STALE", "offline"),
        ("INSTCMD-FAILED", "no_answer"),
        ("SET-FAILED", "no_answer"),
        ("INVALID-ARGUMENT", "bad_argument"),
        ("WHATEVER", "refused"),
    ],
)
def test_each_refusal_becomes_an_error_of_the_bridge(code: str, becomes: str) -> None:
    error = refusal(UpsdError(code), "me", "instcmds = load.off")
    assert error.code == becomes
    assert code in str(error)


@pytest.mark.parametrize(("user", "says"), [("me", "user 'me'"), (None, "no user name")])
def test_denied_access_says_what_right_is_needed(user: str | None, says: str) -> None:
    error = refusal(UpsdError("ACCESS-DENIED"), user, "instcmds = load.off")
    assert error.code == "refused"
    assert says in str(error)
    assert "upsd.users must have instcmds = load.off" in str(error)
