"""What may stand under batteries: in the configuration file (manual M:5388–6776)."""

from collections.abc import Callable, Mapping
from datetime import time
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import voluptuous as vol

from . import units
from .battery import (
    BOXES,
    MODULES,
    OUTPUTS,
    STRINGS,
    Band,
    BatteryConfig,
    BatteryLogConfig,
    BlockConfig,
    BoxConfig,
    ContactConfig,
    DischargeConfig,
    EqualisingConfig,
    ImpedanceConfig,
    ImpedanceLimits,
    LimitsConfig,
    Pair,
    RunawayConfig,
    SensorsConfig,
    StringConfig,
)
from .battery_rules import LEVELS, battery_faults
from .document import Tree
from .feed_schema import whole, word
from .units import Measure
from .values import boolean, day, each, groups_of, measure, number, password, section, show, slug, text, unknown

if TYPE_CHECKING:
    from .model import BridgeConfig

SECTION = "batteries"
KINDS = ("battery_system", "battery_string", "battery_module", "io_box")
"""Whose commands `allow:` of a battery system grants."""
NOMINAL = (1.2, 2.0, 2.4, 4.0, 6.0, 12.0, 16.0, 24.0)
"""Nominal voltages that modules exist for, V (manual M:5484), and those of one and two NiCd cells."""
_NICD_PAIR = 2.4
_OFF = frozenset({"off", "no", "false"})
_TEMPERATURES = LimitsConfig().temperature


# Values


def _clock_time(value: Tree) -> time:
    try:
        return time.fromisoformat(value if isinstance(value, str) and ":" in value else "")
    except ValueError:
        raise vol.Invalid(f"must be a time of day such as 08:00, not {show(value)}") from None


def _or_off[T](check: Callable[[Tree], T]) -> Callable[[Tree], T | None]:
    """Check such a value, or `off` where nothing is to be watched."""

    def checked(value: Tree) -> T | None:
        if isinstance(value, str) and value.strip().lower() in _OFF:
            return None
        try:
            return check(value)
        except vol.MultipleInvalid:
            raise
        except vol.Invalid as error:
            raise vol.Invalid(f"{error.error_message}; or off") from error

    return checked


def _nominal(value: Tree) -> float:
    """Check a nominal voltage."""
    found = measure(units.VOLTAGE)(value)
    if found not in NOMINAL:
        permitted = ", ".join(f"{one:g}" for one in NOMINAL)
        raise vol.Invalid(f"must be the nominal voltage of a block, not {show(value)}; permitted: {permitted} V")
    return found


def _multiplier(value: Tree) -> float:
    found = number(value)
    if not 0 < found <= 100:
        raise vol.Invalid(f"must be a number above 0, at most 100, not {show(value)}")
    return found


def _database(value: Tree) -> str:
    url = password(value)
    if not url.startswith(("postgresql://", "postgresql+asyncpg://")):
        raise vol.Invalid("must be an address such as postgresql://user:password@host/database; best as `!secret name`")
    return url


# Limits


def band(measured: Measure, usual: Band = Band(), *, whole_band: bool = False) -> Callable[[Tree], Band]:  # noqa: B008 - frozen
    """Check limits on both sides, each `off` or a number; what is left out is as usual.

    The values for the warning must be reached before those for the alarm (manual M:6530). `whole_band`: none may be
    left out, as what is usual depends on something else.
    """

    def made(values: dict[str, Any]) -> Band:
        missing = [key for key in LEVELS if key not in values]
        if whole_band and missing:
            raise vol.Invalid(f"must have {', '.join(LEVELS)}; missing: {', '.join(missing)} (off: not watched)")
        found = Band(**{key: values.get(key, getattr(usual, key)) for key in LEVELS})
        limits = [(key, value) for key in LEVELS if (value := getattr(found, key)) is not None]
        for (low, below), (high, above) in pairwise(limits):
            if below >= above:
                given = high if high in values else low
                raise vol.Invalid(_order(low, below, high, above, measured.unit), path=[given])
        return found

    return section({vol.Optional(key): _or_off(measure(measured)) for key in LEVELS}, made)


def _order(low: str, below: float, high: str, above: float, unit: str) -> str:
    said = f"{low} ({below:g} {unit}) must be below {high} ({above:g} {unit})"
    same_side = low.partition("_")[0] == high.partition("_")[0]
    return f"{said}, so that people are warned in time before the alarm" if same_side else said


def pair(measured: Measure, *, low: bool = False) -> Callable[[Tree], Pair]:
    """Check a warning and an alarm, at least one of them; `low`: it is falling below them that is told."""

    def made(values: dict[str, Any]) -> Pair:
        found = Pair(**values)
        if found.warning is None and found.alarm is None:
            raise vol.Invalid("must have warning, alarm or both")
        if found.warning is not None and found.alarm is not None:
            late = found.alarm >= found.warning if low else found.alarm <= found.warning
            if late:
                side = "below" if low else "above"
                raise vol.Invalid(
                    f"must be {side} the warning's {found.warning:g} {measured.unit}, so that people are warned in "
                    f"time before the alarm, not {found.alarm:g} {measured.unit}",
                    path=["alarm"],
                )
        return found

    check = _or_off(measure(measured))
    return section({vol.Optional("warning"): check, vol.Optional("alarm"): check}, made)


def _impedance_limits(values: dict[str, Any]) -> ImpedanceLimits:
    found = ImpedanceLimits(**values)
    if found.dynamic is None and found.static is None and found.baseline is None:
        raise vol.Invalid("must have at least one of dynamic, static and baseline (manual: at least one is active)")
    return found


_LIMITS = section(
    {
        vol.Optional("voltage"): band(units.VOLTAGE, whole_band=True),
        vol.Optional("voltage_difference"): _or_off(measure(units.VOLTAGE)),
        vol.Optional("alarm_delay"): measure(units.ALARM_DELAY),
        vol.Optional("string_voltage"): _or_off(band(units.VOLTAGE)),
        vol.Optional("temperature"): band(units.TEMPERATURE, _TEMPERATURES),
        vol.Optional("impedance"): section(
            {
                vol.Optional("dynamic"): _or_off(pair(units.PERCENT_DIFFERENCE)),
                vol.Optional("static"): _or_off(band(units.IMPEDANCE)),
                vol.Optional("baseline"): _or_off(pair(units.PERCENT_DIFFERENCE)),
            },
            _impedance_limits,
        ),
        vol.Optional("string_charge"): _or_off(pair(units.PERCENT, low=True)),
        vol.Optional("module_charge"): _or_off(pair(units.PERCENT, low=True)),
        vol.Optional("current"): _or_off(band(units.CURRENT)),
        vol.Optional("discharge_deviation"): _or_off(pair(units.CURRENT_DIFFERENCE)),
        vol.Optional("charge_deviation"): _or_off(pair(units.CURRENT_DIFFERENCE)),
        vol.Optional("deviation_delay"): measure(units.HOLD),
        vol.Optional("discharges"): _or_off(whole(1, 65535)),
    },
    lambda values: LimitsConfig(**values),
)


# Blocks and strings


def _block(values: dict[str, Any]) -> BlockConfig:
    found = BlockConfig(**values)
    if found.cells == 1:
        return found
    if found.chemistry != "nicd" or found.voltage not in (2.0, _NICD_PAIR):
        raise vol.Invalid(
            "2 are only for NiCd (chemistry: nicd) with voltage: 2.4 V, as two cells have", path=["cells"]
        )
    # Makers say 2 V of a module for two such cells (manual M:5478); the usual limits are those of what it measures.
    return BlockConfig(**{**values, "voltage": _NICD_PAIR})


_BLOCK = section(
    {
        vol.Optional("voltage"): _nominal,
        vol.Optional("capacity"): measure(units.CAPACITY),
        vol.Optional("chemistry"): word(("lead", "nicd", "lfp", "other"), "the chemistry"),
        vol.Optional("cells"): whole(1, 2),
        vol.Optional("manufacturer"): text,
        vol.Optional("type"): text,
        vol.Optional("installed"): day,
    },
    _block,
)
_MODULES = whole(1, MODULES)


def _string(value: Tree) -> tuple[str, int | None]:
    """Check one string: its name alone, or a section with name and modules."""
    if isinstance(value, str):
        return text(value), None
    return section(
        {vol.Required("name"): text, vol.Optional("modules"): _MODULES},
        lambda values: (values["name"], values.get("modules")),
    )(value)


def _strings(value: Tree) -> tuple[tuple[str, int | None], ...]:
    """Check the strings: how many, or a list of them."""
    if isinstance(value, str):
        return tuple((f"String {one}", None) for one in range(1, whole(1, STRINGS)(value) + 1))
    found = each(_string)(value)
    if not 1 <= len(found) <= STRINGS:
        raise vol.Invalid(f"must be 1 to {STRINGS} strings, not {len(found)}")
    return found


def _divided(strings: tuple[tuple[str, int | None], ...], modules: int | None) -> tuple[StringConfig, ...]:
    """Give every string its modules: its own, or all of them divided evenly (manual M:5813, M:6611)."""
    own = [count for _, count in strings if count is not None]
    if len(own) == len(strings):
        if sum(own) > MODULES:
            raise vol.Invalid(f"have {sum(own)} modules together; a system has at most {MODULES}", path=["strings"])
        if modules not in (None, sum(own)):
            raise vol.Invalid(f"is not {sum(own)}, as many as the strings have; leave it out", path=["modules"])
        return tuple(StringConfig(name, count or 0) for name, count in strings)
    if own:
        raise vol.Invalid("must all have modules:, or none of them", path=["strings"])
    if modules is None:
        raise vol.Invalid("must be given: how many there are in all strings together", path=["modules"])
    if modules % len(strings):
        raise vol.Invalid(
            f"cannot be divided evenly among {len(strings)} strings; give each string its own: "
            "strings: [{name: …, modules: …}, …]",
            path=["modules"],
        )
    return tuple(StringConfig(name, modules // len(strings)) for name, _ in strings)


# Boxes


def _contacts(
    further: Mapping[vol.Marker, Callable[[Tree], object]] = MappingProxyType({}),
) -> Callable[[Tree], Mapping[int, ContactConfig]]:
    """Make what checks the contacts of a box: for each its name alone, or a section."""
    keys = {vol.Optional("name"): text, vol.Optional("normally_closed"): boolean, **further}
    whole_contact = section(keys, lambda values: ContactConfig(**values))

    def contact(value: Tree) -> ContactConfig:
        return ContactConfig(text(value)) if isinstance(value, str) else whole_contact(value)

    return section(
        {vol.Optional(str(one)): contact for one in range(1, OUTPUTS + 1)},
        lambda values: {int(one): contact for one, contact in values.items()},
    )


def _string_or_all(value: Tree) -> int:
    """Check whose breaker it is: the number of a string, or all."""
    if value == "all":
        return 0
    try:
        return whole(1, STRINGS)(value)
    except vol.Invalid:
        raise vol.Invalid(f"must be the number of a string, 1 to {STRINGS}, or all, not {show(value)}") from None


_BOX = section(
    {
        vol.Optional("inputs"): _contacts({vol.Optional("breaker"): _string_or_all}),
        vol.Optional("outputs"): _contacts(),
    },
    lambda values: BoxConfig(**values),
)


def _boxes(value: Tree) -> tuple[BoxConfig, ...]:
    """Check the boxes: how many, or a list of them in the order of their switches."""
    if isinstance(value, str):
        return (BoxConfig(),) * whole(0, BOXES)(value)
    found = each(_BOX)(value)
    if len(found) > BOXES:
        raise vol.Invalid(f"must be at most {BOXES} boxes, not {len(found)}")
    return found


_OUTPUT: Callable[[Tree], tuple[int, int]] = section(
    {vol.Required("box"): whole(1, BOXES), vol.Required("output"): whole(1, OUTPUTS)},
    lambda values: (values["box"], values["output"]),
)


def _sensors(value: Tree) -> SensorsConfig:
    """Check the current sensors: none, one or each, or a section with a multiplier for the one."""
    count = word(("none", "one", "each"), "the number")
    if isinstance(value, str):
        return SensorsConfig(count(value))  # type: ignore[arg-type] # one of the three words
    return section(
        {vol.Required("count"): count, vol.Optional("multiplier"): _multiplier}, lambda values: SensorsConfig(**values)
    )(value)


# The whole


def batteries(
    device: Mapping[vol.Marker, Callable[[Tree], object]], check_thresholds: Callable[[BatteryConfig], None]
) -> Callable[[Tree], tuple[BatteryConfig, ...]]:
    """Make what checks the section; `device` are the keys that all devices have."""

    def made(values: dict[str, Any]) -> BatteryConfig:
        config = _battery(values)
        check_thresholds(config)
        return config

    return each(
        section(
            {
                **device,
                vol.Optional("allow"): groups_of(*KINDS),
                vol.Optional("ups"): slug,
                vol.Optional("block", default=dict): _BLOCK,
                vol.Optional("strings", default="1"): _strings,
                vol.Optional("modules"): _MODULES,
                vol.Optional("numbering"): word(("system", "string"), "the numbering"),
                vol.Optional("sensors"): _sensors,
                vol.Optional("limits"): _LIMITS,
                vol.Optional("equalising"): section(
                    {
                        vol.Optional("enabled"): boolean,
                        vol.Optional("minimum"): measure(units.VOLTAGE),
                        vol.Optional("maximum"): measure(units.VOLTAGE),
                        vol.Optional("give_up_after"): measure(units.GIVE_UP),
                    },
                    lambda values: EqualisingConfig(**values),
                ),
                vol.Optional("impedance"): section(
                    {
                        vol.Optional("first"): _clock_time,
                        vol.Optional("every"): measure(units.MEASURE_EVERY),
                        vol.Optional("offset"): measure(units.IMPEDANCE_OFFSET),
                    },
                    lambda values: ImpedanceConfig(**values),
                ),
                vol.Optional("discharge"): section(
                    {
                        vol.Optional("source"): word(("auto", "ups", "current", "modules"), "the source"),
                        vol.Optional("optimised_scan"): boolean,
                        vol.Optional("discharging"): measure(units.CURRENT),
                        vol.Optional("charging"): measure(units.CURRENT),
                    },
                    lambda values: DischargeConfig(**values),
                ),
                vol.Optional("runaway"): section(
                    {
                        vol.Optional("temperature_difference"): _or_off(measure(units.TEMPERATURE_DIFFERENCE)),
                        vol.Optional("current"): _or_off(measure(units.CURRENT_DIFFERENCE)),
                        vol.Optional("hold"): measure(units.HOLD),
                        vol.Optional("breakers"): word(("none", "one", "each"), "the number"),
                    },
                    lambda values: RunawayConfig(**values),
                ),
                vol.Optional("boxes"): _boxes,
                vol.Optional("temperature_offset"): measure(units.TEMPERATURE_OFFSET),
                vol.Optional("voltage_offset"): measure(units.VOLTAGE_OFFSET),
                vol.Optional("buzzer"): _OUTPUT,
                vol.Optional("relay"): _OUTPUT,
                vol.Optional("log"): section(
                    {
                        vol.Optional("enabled"): boolean,
                        vol.Optional("interval"): measure(units.LOG_INTERVAL),
                        vol.Optional("interval_discharge"): measure(units.LOG_INTERVAL),
                        vol.Optional("size"): measure(units.LOG_SIZE),
                        vol.Optional("database"): _database,
                    },
                    lambda values: BatteryLogConfig(**values),
                ),
                vol.Optional("location"): text,
                vol.Optional("contact"): text,
                vol.Optional("phone"): text,
            },
            made,
        )
    )


def _battery(values: dict[str, Any]) -> BatteryConfig:
    values["key"] = values.pop("id")
    values.setdefault("name", values["key"])
    values["strings"] = _divided(values["strings"], values.pop("modules", None))
    config = BatteryConfig(**values)
    errors = [vol.Invalid(message, path=list(path)) for path, message in battery_faults(config)]
    if errors:
        raise vol.MultipleInvalid(errors)
    return config


def check_batteries(config: BridgeConfig) -> None:
    """Check what hangs together with the other devices. Raises vol.MultipleInvalid with all that is wrong."""
    known = [device.key for device in config.ups]
    errors = [
        vol.Invalid(unknown("the UPS", one.ups, known), path=[SECTION, index, "ups"])
        for index, one in enumerate(config.batteries)
        if one.ups is not None and one.ups not in known
    ]
    # They share one log, since what has no end is kept in one place.
    for index, one in enumerate(config.batteries[1:], 1):
        first = config.batteries[0].log
        if (one.log.size, one.log.database) != (first.size, first.database):
            message = "must have the size and the database of the first battery system's: they share one log"
            errors.append(vol.Invalid(message, path=[SECTION, index, "log"]))
    if errors:
        raise vol.MultipleInvalid(errors)


__all__ = ["SECTION", "band", "batteries", "check_batteries", "pair"]
