"""Whether what is said of a battery system fits together: blocks and limits, sensors, breakers and their outputs."""

from collections.abc import Iterator

from .battery import OUTPUTS, BatteryConfig

LEVELS = ("low_alarm", "low_warning", "high_warning", "high_alarm")
"""Of a band, in the order in which their values must rise."""
_PLAUSIBLE = (0.4, 1.7)
"""Limits of a block's voltage lie between these multiples of the nominal one; else those of a string were meant."""

type Faults = Iterator[tuple[tuple[str | int, ...], str]]
"""Where something does not fit the rest, and what."""


def _voltages(config: BatteryConfig) -> Faults:
    nominal = config.block.voltage
    least, most = (nominal * factor for factor in _PLAUSIBLE)
    given: dict[tuple[str, ...], float | None] = {
        ("limits", "voltage", key): getattr(config.limits.voltage, key, None) for key in LEVELS
    }
    equalising = config.equalising
    given |= {("equalising", key): getattr(equalising, key) for key in ("minimum", "maximum")}
    for path, value in given.items():
        if value is not None and not least <= value <= most:
            yield path, f"must be of one block of {nominal:g} V, from {least:g} to {most:g} V, not {value:g} V"
    if equalising.minimum is not None and equalising.maximum is not None and equalising.minimum >= equalising.maximum:
        yield ("equalising", "minimum"), f"must be below the maximum, {equalising.maximum:g} V"


def _currents(config: BatteryConfig) -> Faults:
    count, discharge = config.sensors.count, config.discharge
    if config.sensors.multiplier != 1 and count != "one":
        yield ("sensors", "multiplier"), "is only for one sensor for all strings (count: one)"
    if discharge.discharging >= 0:
        yield ("discharge", "discharging"), "must be negative: current out of the batteries has a minus sign"
    if discharge.charging <= 0:
        yield ("discharge", "charging"), "must be above 0 A"
    if count == "none":
        if discharge.source == "current":
            yield ("discharge", "source"), "current needs current sensors; set sensors: one or each"
        if config.limits.current is not None:
            yield ("limits", "current"), "needs current sensors; set sensors: one or each"
    if count != "each" or len(config.strings) == 1:
        for key in ("discharge_deviation", "charge_deviation"):
            if getattr(config.limits, key) is not None:
                yield ("limits", key), "compares strings: it needs at least two, and sensors: each"
    if discharge.source == "ups" and config.ups is None:
        yield ("discharge", "source"), "ups needs the UPS of these batteries; name it by ups:"


def _runaway(config: BatteryConfig) -> Faults:
    runaway = config.runaway
    if runaway.current is not None and config.sensors.count != "each":
        yield ("runaway", "current"), "needs a sensor for each string; set sensors: each"
    if runaway.temperature_difference is None and (runaway.current is not None or runaway.breakers != "none"):
        yield ("runaway",), "needs temperature_difference:, or nothing would ever be found"
    room = len(config.boxes) * OUTPUTS
    if len(config.breakers) > room:
        needed = -(-len(config.breakers) // OUTPUTS)
        message = f"{len(config.breakers)} breakers need {needed} of the boxes, {OUTPUTS} outputs each; "
        yield (
            ("runaway", "breakers"),
            message + f"there {'is' if len(config.boxes) == 1 else 'are'} {len(config.boxes)}",
        )


def _outputs(config: BatteryConfig) -> Faults:
    taken = {place: f"breaker {index}" for index, place in enumerate(config.breakers, 1)}
    for key, place in (("buzzer", config.buzzer), ("relay", config.relay)):
        if place is None:
            continue
        box, output = place
        if box > len(config.boxes):
            yield (key, "box"), f"there is no box {box}; add it under boxes:"
        elif place in taken:
            yield (key,), f"output {output} of box {box} is reserved for {taken[place]}; choose another"
        else:
            taken[place] = f"the {key}"
    for index, one in enumerate(config.boxes):
        for output, contact in one.outputs.items():
            user = taken.get((index + 1, output))
            if user is not None and contact.name is not None:
                yield ("boxes", index, "outputs", str(output)), f"is reserved for {user}, and named after it"


def _contacts(config: BatteryConfig) -> Faults:
    for index, box in enumerate(config.boxes):
        for number, contact in box.inputs.items():
            if contact.breaker is not None and contact.breaker > len(config.strings):
                message = f"there is no string {contact.breaker}; strings: 1 to {len(config.strings)}, or all"
                yield ("boxes", index, "inputs", str(number), "breaker"), message


def battery_faults(config: BatteryConfig) -> Faults:
    """Find what of a battery system contradicts itself, where single values are right."""
    for rule in (_voltages, _currents, _runaway, _outputs, _contacts):
        yield from rule(config)


__all__ = ["LEVELS", "battery_faults"]
