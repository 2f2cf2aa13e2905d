"""The devices of a battery system by its configuration: their places, names, and what is certain of them beforehand."""

from collections.abc import Iterator, Mapping

from ridethrough.config.battery import Band, BatteryConfig, Pair

from .layout import SYSTEM, Layout, Place, block, box, sensor, string

type Facts = dict[str, float | int | str | None]
"""Points by key."""

_LEVELS = {"low.critical": "low_alarm", "low.warning": "low_warning"} | {
    "high.warning": "high_warning",
    "high.critical": "high_alarm",
}


def layout_of(config: BatteryConfig) -> Layout:
    """Return which blocks, sensors and boxes there are."""
    parts = config.parts
    counts = [one.modules for one in config.strings]
    return Layout.of(counts, sensors=parts["current_sensor"], boxes=parts["io_box"])


def suffix(place: Place) -> str:
    """Return what a device's key has after that of its system: `/battery_module-17`."""
    return "" if place == SYSTEM else f"/{place.kind}-{place.number}"


def children(config: BatteryConfig) -> Iterator[tuple[Place, str]]:
    """Give all devices that belong to a battery system, with the names that people see (manual M:6958)."""
    layout = layout_of(config)
    for number, one in enumerate(config.strings, 1):
        yield string(number), one.name
        for module in layout.members(number):
            by_string = config.numbering == "string" and layout.strings > 1
            yield block(module), f"{one.name} {layout.position(module)}" if by_string else f"Block {module}"
    for number in range(1, layout.sensors + 1):
        yield sensor(number), "Current sensor" if layout.sensors == 1 else f"Current sensor {number}"
    for number in range(1, layout.boxes + 1):
        yield box(number), f"I/O box {number}"


def corrections(config: BatteryConfig) -> Mapping[str, Mapping[str, float]]:
    """Return what is added to what modules measure, by kind and key (manual M:5555, M:6493, M:6571)."""
    added = {
        "module.voltage": config.voltage_offset,
        "module.temperature": config.temperature_offset,
        "module.impedance": config.impedance.offset,
    }
    given = {key: value for key, value in added.items() if value}
    return {"battery_module": given} if given else {}


# What is certain


def facts(config: BatteryConfig, voltage: Band, span: tuple[float, float] | None) -> Iterator[tuple[Place, Facts]]:
    """Give what the configuration says of each device.

    `voltage` are the limits of a block that hold, `span` the voltages between which it is equalised.
    """
    layout = layout_of(config)
    yield SYSTEM, _known(_of_system(config, layout) | _limits(config, voltage, span))
    for number in range(1, layout.strings + 1):
        members = layout.members(number)
        yield string(number), {"string.id": number, "battery.modules": len(members)}
        for position, module in enumerate(members, 1):
            yield block(module), {"module.string": number, "module.position": position}
    for number in range(1, layout.sensors + 1):
        yield sensor(number), {"sensor.multiplier": config.sensors.multiplier}
    for number, one in enumerate(config.boxes, 1):
        names = {f"input.{index}.location": contact.name for index, contact in one.inputs.items()}
        names |= {f"output.{index}.location": contact.name for index, contact in one.outputs.items()}
        yield box(number), _known({**names, **_reserved(config, number)})


def _reserved(config: BatteryConfig, number: int) -> Facts:
    """Name the outputs of a box that the bridge itself uses; nobody else can (manual M:6262)."""
    found: Facts = {}
    single = len(config.breakers) == 1
    for index, (where, output) in enumerate(config.breakers, 1):
        if where == number:
            found[f"output.{output}.location"] = "Battery breaker" if single else f"Battery breaker {index}"
    for name, place in (("Buzzer", config.buzzer), ("Alarm relay", config.relay)):
        if place is not None and place[0] == number:
            found[f"output.{place[1]}.location"] = name
    return found


def _of_system(config: BatteryConfig, layout: Layout) -> Facts:
    lengths = {one.modules for one in config.strings}
    block_config = config.block
    made = " ".join(word for word in (block_config.manufacturer, block_config.type) if word)
    return {
        "battery.strings": layout.strings,
        "battery.modules": layout.blocks,
        "battery.boxes": layout.boxes,
        "battery.voltage.nominal": block_config.voltage * lengths.pop() if len(lengths) == 1 else None,
        "battery.capacity.nominal": block_config.capacity * layout.strings,
        "battery.type": made or None,
        "battery.date": None if block_config.installed is None else block_config.installed.isoformat(),
        "device.contact": " ".join(word for word in (config.contact, config.phone) if word) or None,
        "device.location": config.location,
    }


def _limits(config: BatteryConfig, voltage: Band, span: tuple[float, float] | None) -> Facts:
    limits = config.limits
    found: Facts = {
        "module.voltage.difference.warning": limits.voltage_difference,
        "equalizing.voltage.minimum": None if span is None else span[0],
        "equalizing.voltage.maximum": None if span is None else span[1],
        "module.impedance.interval": 3600.0 * config.impedance.every,
        "log.interval": config.log.interval,
        "log.interval.discharge": config.log.interval_discharge,
    }
    bands: Mapping[str, Band | None] = {
        "module.voltage": voltage,
        "module.temperature": limits.temperature,
        "module.impedance": limits.impedance.static,
        "string.voltage": limits.string_voltage,
        "string.current": limits.current,
    }
    for key, band in bands.items():
        found |= {f"{key}.{level}": getattr(band, name, None) for level, name in _LEVELS.items()}
    pairs: Mapping[str, Pair | None] = {
        "string.current.deviation.discharge": limits.discharge_deviation,
        "string.current.deviation.charge": limits.charge_deviation,
        "string.charge.low": limits.string_charge,
        "module.charge.low": limits.module_charge,
    }
    for key, pair in pairs.items():
        found |= {f"{key}.warning": getattr(pair, "warning", None), f"{key}.critical": getattr(pair, "alarm", None)}
    return found


def _known(found: Facts) -> Facts:
    """Leave out what nobody has said: nothing is watched there."""
    return {key: value for key, value in found.items() if value is not None}


__all__ = ["Facts", "children", "corrections", "facts", "layout_of", "suffix"]
