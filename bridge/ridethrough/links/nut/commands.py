"""What a command of the catalogue takes on upsd: settings to make first, the instant command, its parameter. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ridethrough.site import CommandError, Value

from .protocol import UpsdError

DELAYS: tuple[tuple[str, str], ...] = (
    # An argument of shutdown.return and shutdown.stayoff, and the variable that NUT's drivers take it from.
    ("delay", "ups.delay.shutdown"),
    ("restore", "ups.delay.start"),
)
TEST_LENGTHS: Mapping[str, int] = {
    # Drivers whose test.battery.start takes how long it shall last, and how many of their units make a minute.
    "nutdrv_qx": 60,
    "blazer_ser": 1,
    "blazer_usb": 1,
}
CODES: Mapping[str, str] = {
    # What upsd refuses with, as an error of the bridge; `refused` unless it stands here.
    "DRIVER-NOT-CONNECTED": "offline",
    "DATA-STALE": "offline",
    "INSTCMD-FAILED": "no_answer",
    "SET-FAILED": "no_answer",
    "INVALID-ARGUMENT": "bad_argument",
    "INVALID-VALUE": "bad_argument",
    "TOO-LONG": "bad_argument",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to send."""

    command: str
    settings: tuple[tuple[str, str], ...] = ()
    """Variables to set before, and to what."""
    parameter: str | None = None


def order(
    name: str,
    arguments: Mapping[str, Value],
    variables: Mapping[str, str],
    writable: frozenset[str],
) -> Order:
    """Work out what to send for an instant command with arguments.

    Raises CommandError when an argument was given and this UPS cannot be told it: a shutdown must not come
    earlier than was asked for.
    """
    settings: list[tuple[str, str]] = []
    parameter: str | None = None
    for argument, value in arguments.items():
        if (variable := dict(DELAYS).get(argument)) is not None:
            text = f"{float(value):.0f}"
            if variable in writable:
                settings.append((variable, text))
            elif not same(variables.get(variable), text):
                own = variables.get(variable, "not known")
                raise CommandError(
                    "refused",
                    f"{argument} cannot be set on this UPS: {variable} is {own} and not writable. "
                    f"Leave {argument} out to use what the UPS itself has.",
                )
        else:
            factor = TEST_LENGTHS.get(variables.get("driver.name", ""))
            if factor is None or argument != "duration":
                raise CommandError("refused", f"{name} takes no {argument} from upsd on this UPS; leave it out.")
            parameter = f"{float(value) * factor:.0f}"
    return Order(name, tuple(settings), parameter)


def same(text: str | None, wanted: str) -> bool:
    """Tell whether a variable already has a value: `020` is 20."""
    try:
        return text is not None and float(text) == float(wanted)
    except ValueError:
        return False


def refusal(error: UpsdError, username: str | None, what: str) -> CommandError:
    """Make an error of the bridge of upsd's; `what` is what was asked for, `instcmds = …` or `actions = SET`."""
    if error.code == "ACCESS-DENIED":
        who = "the connection has no user name" if username is None else f"user {username!r}"
        return CommandError(
            "refused",
            f"upsd denies access ({who}): the password must be right, and that user's section in upsd.users "
            f"must have {what}.",
        )
    return CommandError(CODES.get(error.code, "refused"), f"Upsd did not do it: {error}.")


__all__ = ["Order", "order", "refusal", "same"]
