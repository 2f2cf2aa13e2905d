"""What a Megatec UPS can be told: rows, and how their numbers are written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math

from ridethrough.catalogue import load_catalogue
from ridethrough.site import Value

from .status import Status


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it goes over the line."""

    request: bytes
    sentence: str
    """What the UPS is told, with the numbers that are really sent."""
    confirms: Callable[[Status, Status], bool]
    """Whether the status after it shows, compared to the one before, that the command was carried out."""
    already: Callable[[Status], bool] | None = None
    """Whether a status shows that there is nothing to do, and nothing must be sent."""
    outlet: str | None = None
    """The outlet that it is about."""
    on: bool = False
    """Whether it is switched on."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command: a template for the line, what it means, and which status confirms it.

    `{n}` is the delay as S takes it, `{m:04d}` minutes until the output is on again, `{duration:02d}` minutes.
    """

    template: str
    sentence: str
    confirms: Callable[[Status, Status], bool]
    already: Callable[[Status], bool] | None = None


def _testing(before: Status, after: Status) -> bool:
    # A test that was under way already says nothing of a new order.
    return after.bits.testing is True and before.bits.testing is not True


def _not_testing(_before: Status, after: Status) -> bool:
    return after.bits.testing is False


def _beeper_turned(before: Status, after: Status) -> bool:
    return after.bits.beeper is not None and after.bits.beeper is not before.bits.beeper


def _shutting_down(before: Status, after: Status) -> bool:
    # Nor does an earlier countdown: which of the two runs the bit does not tell.
    begun = after.bits.shutting_down is True and before.bits.shutting_down is not True
    return begun or (after.output_on is False and before.output_on is not False)


def _not_shutting_down(_before: Status, after: Status) -> bool:
    return after.bits.shutting_down is False


def _off(_before: Status, after: Status) -> bool:
    return after.output_on is False


def _on(_before: Status, after: Status) -> bool:
    return after.output_on is True and not after.bits.shutting_down


def _beeper_on(status: Status) -> bool:
    return status.bits.beeper is True


def _beeper_off(status: Status) -> bool:
    return status.bits.beeper is False


def _unseen(_before: Status, _after: Status) -> bool:
    return False


# S<n>: off after n minutes (.2 to .9, 01 to 99), on again as soon as there is power. S<n>R<m>: on again after m
# minutes and not without power. S<n>R0000: stays off. C: takes an S back, and switches an output on that S switched
# off. Q turns the beeper over. T tests ten seconds, T<n> n minutes, TL until the battery is low, CT ends a test.
# Sources: Megatec protocol 1995; NUT nutdrv_qx (R0000).
COMMANDS: Mapping[str, CommandRow] = {
    "test.battery.start.quick": CommandRow("T", "test the battery for ten seconds", _testing),
    "test.battery.start": CommandRow("T{duration:02d}", "test the battery for {duration} min", _testing),
    "test.battery.start.deep": CommandRow("TL", "test the battery until it is low", _testing),
    "test.battery.stop": CommandRow("CT", "end the battery test", _not_testing),
    "beeper.toggle": CommandRow("Q", "switch the beeper over", _beeper_turned),
    # The one key of a UPS that only turns over, pressed if it is not already so.
    "beeper.enable": CommandRow("Q", "switch the beeper on", lambda _, after: _beeper_on(after), _beeper_on),
    "beeper.disable": CommandRow("Q", "switch the beeper off", lambda _, after: _beeper_off(after), _beeper_off),
    "shutdown.return": CommandRow(
        "S{n}R{m:04d}", "switch off in {delay} and on again {m} min later when there is power", _shutting_down
    ),
    "shutdown.stayoff": CommandRow("S{n}R0000", "switch off in {delay} and stay off", _shutting_down),
    "shutdown.stop": CommandRow("C", "cancel the shutdown", _not_shutting_down),
    "shutdown.reboot": CommandRow("S.2R0001", "switch off in 12 s and on again 1 min later", _shutting_down),
    "load.off": CommandRow("S00R0000", "switch the output off", _off),
    "load.on": CommandRow("C", "switch the output on", _on),
}

# CS takes a shutdown back, SON and SOFF switch the output, BZON and BZOFF the beeper, PEE and PDE the eco mode.
# Source: NUT nutdrv_qx, voltronic.
VOLTRONIC: Mapping[str, CommandRow] = {
    **{key: row for key, row in COMMANDS.items() if key.startswith(("test.", "shutdown."))},
    "beeper.enable": CommandRow("BZON", "switch the beeper on", lambda _, after: _beeper_on(after), _beeper_on),
    "beeper.disable": CommandRow("BZOFF", "switch the beeper off", lambda _, after: _beeper_off(after), _beeper_off),
    "shutdown.stop": CommandRow("CS", "cancel the shutdown", _not_shutting_down),
    "load.off": CommandRow("SOFF", "switch the output off", _off),
    "load.on": CommandRow("SON", "switch the output on", _on),
    "ecomode.enable": CommandRow("PEE", "use its eco mode", _unseen),
    "ecomode.disable": CommandRow("PDE", "not use its eco mode", _unseen),
}
"""What Voltronic's protocol has."""

OUTLETS: Mapping[str, CommandRow] = {
    "outlet.on": CommandRow("SKON{outlet}", "switch outlet {outlet} on", _unseen),
    "outlet.off": CommandRow("SKOFF{outlet}", "switch outlet {outlet} off", _unseen),
}
"""The same for one of its outlets."""

# S<n> alone, for a restart without a time: `restore` of 0.
_RETURN_AT_ONCE = CommandRow("S{n}", "switch off in {delay} and on again as soon as there is power", _shutting_down)


def order(
    command: str,
    arguments: Mapping[str, Value],
    rows: Mapping[str, CommandRow] = COMMANDS,
    outlet: str | None = None,
) -> Order | None:
    """Write a command of the catalogue for the line; None when `rows`, those of the dialect, do not have it.

    Delays are rounded up to what the line can say, never down: whoever shuts down in this time needs all of it.
    Raises ValueError when an argument is missing, no number or out of range.
    """
    row = rows.get(command)
    if row is None:
        return None
    numbers = _numbers(command, arguments)
    values: dict[str, int | str] = {} if outlet is None else {"outlet": outlet}
    if "duration" in numbers:
        values["duration"] = _minutes("duration", numbers["duration"], 99)
    if "delay" in numbers:
        values["n"], values["delay"] = _delay(numbers["delay"])
    if "restore" in numbers:
        values["m"] = _minutes("restore", numbers["restore"] / 60, 9999)
        if values["m"] == 0:
            row = _RETURN_AT_ONCE
    request = f"{row.template}\r".format(**values).encode("ascii")
    return Order(request, row.sentence.format(**values), row.confirms, row.already, outlet, command == "outlet.on")


def _numbers(command: str, arguments: Mapping[str, Value]) -> dict[str, float]:
    known = load_catalogue().command("ups", command)
    numbers: dict[str, float] = {}
    for argument in () if known is None else known.arguments:
        value = arguments.get(argument.name, argument.default)
        if isinstance(value, bool | str | None) or not math.isfinite(value):
            raise ValueError(f"{command} needs {argument.name} as a number of {argument.unit}, not {value!r}.")
        numbers[argument.name] = float(value)
    return numbers


def _minutes(name: str, minutes: float, most: int) -> int:
    whole = math.ceil(round(minutes, 6))
    if not 0 <= whole <= most:
        raise ValueError(f"{name} must be at most {most} min, not {whole}.")
    return whole


def _delay(seconds: float) -> tuple[str, str]:
    """How S writes a delay, and how a person does. Tenths of a minute from .2 to .9, then whole minutes."""
    tenths = max(2, math.ceil(round(seconds / 6, 6)))
    if tenths <= 9:
        return f".{tenths}", f"{tenths * 6} s"
    minutes = _minutes("delay", seconds / 60, 99)
    return f"{minutes:02d}", f"{minutes} min"


__all__ = ["COMMANDS", "OUTLETS", "VOLTRONIC", "CommandRow", "Order", "order"]
