"""The forms of a device's subentry: made from what the bridge says is possible, and read again.

Pure: nothing here asks anyone. What a form returns becomes a link, secrets and settings; what the bridge finds wrong
becomes an error at the field where it was entered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector
from homeassistant.util import slugify
import probatio

from .configuration import ConfiguredDevice, Finding, Kind, Option, OptionKind, Possibilities, Reach, Scheme
from .link import LinkAddress

CONF_SCHEME: Final = "protocol"
CONF_HOST: Final = "host"
CONF_PORT: Final = "port"
CONF_PATH: Final = "path"
CONF_SERIAL_PORT: Final = "serial_port"
CONF_NAME: Final = "name"
CONF_ID: Final = "id"
CONF_ENABLED: Final = "enabled"
CONF_ALLOW: Final = "allow"
CONF_MODEL: Final = "model"
CONF_INSTALLED: Final = "battery_installed"
ADVANCED: Final = "advanced"
BATTERY: Final = "battery"

COMMON: Final = ("profile", "version", "dialect", "unit", "cable", "baud")
"""Options that many need; the others are for those who know them."""
WORDED: Final = frozenset(
    {
        "parity", "stop", "dtr", "rts", "patience", "packs", "poll", "timeout", "tls", "ca", "verify", "retries", "auth",
        "privacy", "context", "present", "supply", "shutdown", "restart", "framing", "function", "mib", "phases", "shift", "gap", "longest", "debounce", "pulse",
    }
)  # fmt: skip
"""Other options that have a name in our translations. What has none is shown under the bridge's own."""
LONGEST_LIST: Final = 8
"""How many of the values that a test found are shown."""
TELLING: Final = (
    "ups.mode",
    "battery.charge",
    "battery.runtime",
    "ups.load",
    "input.voltage",
    "output.voltage",
    "battery.voltage",
    "ups.temperature",
)
"""By which values a person recognises a device, best first."""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number among the settings, with its unit."""

    name: str
    unit: str
    maximum: float
    minimum: float = 0
    kinds: frozenset[Kind] = frozenset({Kind.UPS})


RATINGS: Final = (
    _Quantity("power", "VA", 10_000_000, kinds=frozenset(Kind)),
    _Quantity("load", "VA", 10_000_000),
    _Quantity("hold_time", "min", 100_000),
)
BATTERIES: Final = (
    _Quantity("recharge_time", "h", 1000),
    _Quantity("battery_too_old_after", "months", 600, 1),
    _Quantity("battery_health_level", "%", 30, 5),
    _Quantity("system_shutdown_time", "s", 100_000),
)
NUMBERS: Final = frozenset(quantity.name for quantity in (*RATINGS, *BATTERIES))
SETTINGS_FIELDS: Final = frozenset(
    {CONF_NAME, CONF_ID, CONF_ENABLED, CONF_ALLOW, CONF_MODEL} | {q.name for q in RATINGS}
)
BATTERY_FIELDS: Final = frozenset({CONF_INSTALLED} | {quantity.name for quantity in BATTERIES})


# The protocol


def protocol_schema(possibilities: Possibilities) -> probatio.Schema:
    """Ask which protocol it speaks."""
    options = [selector.SelectOptionDict(value=item.scheme, label=item.title) for item in possibilities.schemes]
    config = selector.SelectSelectorConfig(options=options, mode=selector.SelectSelectorMode.DROPDOWN)
    return probatio.Schema({probatio.Required(CONF_SCHEME): selector.SelectSelector(config)})


# The connection


def connection_schema(scheme: Scheme, reach: Reach, ports: Iterable[str]) -> probatio.Schema:
    """Ask where it is, for the options of its link and for what it wants to know before it answers."""
    fields: dict[probatio.Marker, Any] = {}
    if reach is Reach.SERIAL:
        fields[probatio.Required(CONF_SERIAL_PORT)] = selector.SelectSelector(
            selector.SelectSelectorConfig(
                options=list(ports), custom_value=True, mode=selector.SelectSelectorMode.DROPDOWN
            )
        )
    else:
        fields[probatio.Required(CONF_HOST)] = selector.TextSelector()
        if scheme.port is not None:
            fields[probatio.Optional(CONF_PORT)] = _number(1, 65535)
        if LinkAddress.parse(scheme.example).path:
            fields[probatio.Optional(CONF_PATH)] = selector.TextSelector()
    for secret in scheme.secrets:
        kind = selector.TextSelectorType.TEXT if secret == "username" else selector.TextSelectorType.PASSWORD
        fields[probatio.Optional(secret)] = selector.TextSelector(selector.TextSelectorConfig(type=kind))
    advanced: dict[probatio.Marker, Any] = {}
    for option in _asked(scheme):
        (fields if option.name in COMMON else advanced)[probatio.Optional(option.name)] = _option_selector(option)
    if advanced:
        fields[probatio.Required(ADVANCED)] = section(probatio.Schema(advanced), {"collapsed": True})
    return probatio.Schema(fields)


def connection_values(scheme: Scheme, address: LinkAddress) -> dict[str, Any]:
    """Return what stands in the form of the connection: what is known, else what holds by default. Never a secret."""
    values: dict[str, Any] = {
        CONF_HOST: address.host or None,
        CONF_PORT: address.port or scheme.port,
        CONF_PATH: address.path or None,
        CONF_SERIAL_PORT: address.serial_port or None,
    }
    advanced: dict[str, Any] = {}
    for option in _asked(scheme):
        text = address.options.get(option.name, option.default)
        if text is not None:
            (values if option.name in COMMON else advanced)[option.name] = _shown(option, text)
    return {key: value for key, value in values.items() if value is not None} | {ADVANCED: advanced}


def take_connection(
    scheme: Scheme, reach: Reach, answers: Mapping[str, Any], known: LinkAddress
) -> tuple[LinkAddress, dict[str, str]]:
    """Read the form of the connection: the link, and the secrets that were entered. `known` is the link so far."""
    given, advanced = answers, answers.get(ADVANCED, {})
    # A secret that stands in the link stays there until another is entered.
    options = {name: text for name, text in known.options.items() if name in scheme.secrets and not given.get(name)}
    for option in _asked(scheme):
        value = (given if option.name in COMMON else advanced).get(option.name)
        if value is not None and (text := _written(option, value)) not in {"", option.default}:
            options[option.name] = text
    secrets = {name: text for name in scheme.secrets if (text := str(given.get(name) or ""))}
    if reach is Reach.SERIAL:
        return LinkAddress(scheme.scheme, serial_port=given[CONF_SERIAL_PORT].strip(), options=options), secrets
    port = given.get(CONF_PORT)
    address = LinkAddress(
        scheme.scheme,
        host=given[CONF_HOST].strip(),
        port=None if port is None or port == scheme.port else int(port),
        path=str(given.get(CONF_PATH) or "").strip(),
        options=options,
    )
    return address, secrets


def _asked(scheme: Scheme) -> list[Option]:
    """Leave out options that are asked for as secrets: what is entered there must not get into the link."""
    return [option for option in scheme.options if option.name not in scheme.secrets]


def reach_of(scheme: Scheme, address: LinkAddress) -> Reach:
    """Say which form a link needs; `EITHER` when that has to be asked."""
    if scheme.reach is not Reach.EITHER or address.scheme != scheme.scheme:
        return scheme.reach
    return Reach.HOST if address.host else Reach.SERIAL


def option_placeholders(scheme: Scheme) -> dict[str, str]:
    """Explain the options in the bridge's words: each at its field, those without a name of ours together."""
    rows = [option for option in _asked(scheme) if option.name not in {*COMMON, *WORDED}]
    explained = {f"option_{option.name}": _sentence(option.summary) for option in scheme.options}
    return explained | {"options": " ".join(f"{option.name}: {_sentence(option.summary)}" for option in rows)}


# Names, ratings and rights


def settings_schema(kind: Kind, possibilities: Possibilities, *, new: bool) -> probatio.Schema:
    """Ask what it is called, what it is rated for and what may be done to it."""
    fields: dict[probatio.Marker, Any] = {probatio.Required(CONF_NAME): selector.TextSelector()}
    if new:
        fields[probatio.Optional(CONF_ID)] = selector.TextSelector()
    else:
        fields[probatio.Optional(CONF_ENABLED, default=True)] = selector.BooleanSelector()
    if possibilities.models and kind is Kind.UPS:
        models = [selector.SelectOptionDict(value=key, label=name) for key, name in possibilities.models.items()]
        config = selector.SelectSelectorConfig(options=models, mode=selector.SelectSelectorMode.DROPDOWN)
        fields[probatio.Optional(CONF_MODEL)] = selector.SelectSelector(config)
    fields |= {probatio.Optional(row.name): _quantity(row) for row in RATINGS if kind in row.kinds}
    groups = possibilities.groups.get(kind, ())
    if groups:
        fields[probatio.Optional(CONF_ALLOW, default=list)] = selector.SelectSelector(
            selector.SelectSelectorConfig(
                options=list(groups),
                multiple=True,
                mode=selector.SelectSelectorMode.LIST,
                translation_key=CONF_ALLOW,
            )
        )
    if kind is Kind.UPS:
        battery: dict[probatio.Marker, Any] = {probatio.Optional(CONF_INSTALLED): selector.DateSelector()}
        battery |= {probatio.Optional(row.name): _quantity(row) for row in BATTERIES}
        fields[probatio.Required(BATTERY)] = section(probatio.Schema(battery), {"collapsed": True})
    return probatio.Schema(fields)


def settings_values(device: ConfiguredDevice) -> dict[str, Any]:
    """Return what stands in the form of the settings."""
    settings = {name: value for name, value in device.settings.items() if value is not None}
    battery = {name: settings.pop(name) for name in BATTERY_FIELDS if name in settings}
    values = settings | {CONF_NAME: device.name, CONF_ENABLED: device.enabled, CONF_ALLOW: list(device.allow)}
    return values | {CONF_ID: device.key, BATTERY: battery}


def take_settings(device: ConfiguredDevice, answers: Mapping[str, Any], taken: Iterable[str]) -> ConfiguredDevice:
    """Read the form of the settings. Without an id one is made of the name, another than those `taken`."""
    given = {**answers, **answers.get(BATTERY, {})}
    name = given[CONF_NAME].strip()
    asked = NUMBERS | {CONF_MODEL, CONF_INSTALLED}
    settings = {key: value for key, value in device.settings.items() if key not in asked}
    for key in sorted(asked):
        if (value := given.get(key)) not in {None, ""}:
            settings[key] = _plain(value)
        elif key in device.settings:
            settings[key] = None
    key = device.key
    if device.device is None:
        key = str(given.get(CONF_ID) or "").strip() or free_key(name, taken)
    allow = tuple(given.get(CONF_ALLOW, ()))
    return replace(device, key=key, name=name, enabled=given.get(CONF_ENABLED, True), settings=settings, allow=allow)


def free_key(name: str, taken: Iterable[str]) -> str:
    """Make an id of a name: `Rack UPS` becomes `rack-ups`, or `rack-ups-2` where that is taken."""
    plain, used = slugify(name, separator="-"), set(taken)
    number, key = 1, plain
    while key in used:
        number += 1
        key = f"{plain}-{number}"
    return key


def is_about_settings(field: str | None) -> bool:
    """Whether what the bridge finds wrong was entered in the form of the settings."""
    return _name(field) in SETTINGS_FIELDS | BATTERY_FIELDS


def error_field(scheme: Scheme, reach: Reach, field: str | None) -> str:
    """Name the field of a form at which to show what the bridge finds wrong; `base` when it was asked nowhere.

    What is in a section is shown at the section, so that it is seen although that is folded.
    """
    name = _name(field)
    if name in BATTERY_FIELDS:
        return BATTERY
    if name in SETTINGS_FIELDS or name in scheme.secrets:
        return name
    if name == "link":
        return CONF_SERIAL_PORT if reach is Reach.SERIAL else CONF_HOST
    if any(option.name == name for option in scheme.options):
        return name if name in COMMON else ADVANCED
    return "base"


# What a test found


def finding_placeholders(finding: Finding) -> dict[str, str]:
    """Tell what a test found, for a step's description."""
    ranks = {key: rank for rank, key in enumerate(TELLING)}
    best = sorted(finding.values, key=lambda value: ranks.get(value.key, len(ranks)))[:LONGEST_LIST]
    values = "\n".join(f"- {value.name or value.key}: {_value(value.value)} {value.unit}".rstrip() for value in best)
    return {
        "manufacturer": finding.manufacturer or "–",
        "model": finding.model or "–",
        "serial": finding.serial or "–",
        "firmware": finding.firmware or "–",
        "count": str(len(finding.values)),
        "values": values or "–",
    }


def proposed_name(finding: Finding | None, scheme: Scheme) -> str:
    """Propose a name for a new device: what it says it is, else its protocol."""
    said = [] if finding is None else [finding.manufacturer, finding.model]
    return " ".join(part for part in said if part) or scheme.title


def _name(field: str | None) -> str:
    """Strip what the contract puts before names: `option.baud`, `settings.power`, `secrets.password`."""
    return (field or "").rpartition(".")[2]


def _sentence(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:]}." if phrase else ""


def _number(minimum: float | None, maximum: float | None, unit: str = "", step: Any = 1) -> selector.NumberSelector:
    config = selector.NumberSelectorConfig(mode=selector.NumberSelectorMode.BOX, step=step)
    if minimum is not None:
        config["min"] = minimum
    if maximum is not None:
        config["max"] = maximum
    if unit:
        config["unit_of_measurement"] = unit
    return selector.NumberSelector(config)


def _quantity(row: _Quantity) -> selector.NumberSelector:
    return _number(row.minimum, row.maximum, row.unit, "any")


def _option_selector(option: Option) -> selector.Selector[Any]:
    match option.kind:
        case OptionKind.NUMBER:
            return _number(option.minimum, option.maximum, option.unit, "any")
        case OptionKind.FLAG if option.default is not None:
            return selector.BooleanSelector()
        case OptionKind.FLAG:
            # Neither is a third answer: the link decides.
            config = selector.SelectSelectorConfig(options=["yes", "no"], translation_key="flag")
            return selector.SelectSelector(config)
        case OptionKind.CHOICE:
            return selector.SelectSelector(
                selector.SelectSelectorConfig(options=list(option.choices), mode=selector.SelectSelectorMode.DROPDOWN)
            )
        case OptionKind.TEXT:
            return selector.TextSelector()


def _shown(option: Option, text: str) -> str | float | bool:
    """Turn what stands in a link into what a selector shows."""
    if option.kind is OptionKind.FLAG and option.default is not None:
        return text == "yes"
    if option.kind is OptionKind.NUMBER:
        try:
            return _plain(float(text))
        except ValueError:
            return text
    return text


def _written(option: Option, value: Any) -> str:
    """Turn what a selector returns into what stands in a link."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).strip()


def _plain[T](value: T) -> T | int:
    """Write a whole number without a fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(value: float | bool | str) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return f"{value:g}" if isinstance(value, float) else str(value)
