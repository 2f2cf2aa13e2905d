"""What may stand in the configuration file, in voluptuous' terms.

Every validator takes the text that was written and returns the typed value; what it rejects it answers with what is
permitted. All problems of a file are found in one pass.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from difflib import get_close_matches
import ipaddress
import math
from pathlib import Path
import re
from typing import Any, Literal

import voluptuous as vol

from ridethrough.catalogue import load_catalogue

from .document import Secret, Tree
from .model import ApiConfig, BridgeConfig, Limits, PipeConfig, ThresholdConfig, TlsConfig, TrapConfig, UpsConfig
from .profiles import apply_profile, profiles
from .thresholds import fault
from .units import APPARENT_POWER, BATTERY_LIFE, HEALTH_LEVEL, HOLD, HOLD_TIME, RECHARGE_TIME, SHUTDOWN_TIME, Measure

type LinkCheck = Callable[[str], str | None]
"""Raises ValueError, with a sentence for people, when a link's URL is wrong; the caller knows the schemes.

Returns the kind of device that the link is to, None when only the equipment knows.
"""

RESERVED = frozenset({"bridge"})
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")
_YES, _NO = ("yes", "true", "on"), ("no", "false", "off")


class Key:
    """The words that are keys of the file."""

    ABOVE = "above"
    ALARM = "alarm"
    ALLOW = "allow"
    API = "api"
    BATTERY_HEALTH_LEVEL = "battery_health_level"
    BATTERY_INSTALLED = "battery_installed"
    BATTERY_TOO_OLD_AFTER = "battery_too_old_after"
    BELOW = "below"
    CERTIFICATE = "certificate"
    COMMUNITY = "community"
    CONFIGURE = "configure"
    DATA = "data"
    ENABLED = "enabled"
    HOLD = "hold"
    HOLD_TIME = "hold_time"
    HYSTERESIS = "hysteresis"
    ID = "id"
    KEY = "key"
    LINK = "link"
    LISTEN = "listen"
    LOAD = "load"
    MODEL = "model"
    NAME = "name"
    OUTSIDE = "outside"
    PASSWORD = "password"
    PIPE = "pipe"
    POINT = "point"
    PORT = "port"
    POWER = "power"
    PRIVACY_PASSWORD = "privacy_password"
    RECHARGE_TIME = "recharge_time"
    SYSTEM_SHUTDOWN_TIME = "system_shutdown_time"
    THRESHOLDS = "thresholds"
    TLS = "tls"
    TRANSFER_SWITCHES = "transfer_switches"
    TRAPS = "traps"
    UPS = "ups"
    USERNAME = "username"
    WARNING = "warning"
    ZEROCONF = "zeroconf"


def command_groups() -> tuple[str, ...]:
    """Return what `allow:` may name: the command groups of the catalogue."""
    return tuple(sorted({command.group for command in load_catalogue().commands}))


def schema(folder: Path, check_link: LinkCheck | None = None) -> Callable[[Tree], BridgeConfig]:
    """Make what turns a document's tree into a `BridgeConfig`; raises vol.Invalid. Paths are relative to `folder`."""

    def a_path(value: Tree) -> Path:
        return (folder / Path(text(value)).expanduser()).resolve()

    def a_file(value: Tree) -> Path:
        path = a_path(value)
        if not path.is_file():
            raise vol.Invalid(f"there is no file {path}")
        return path

    kinds: dict[str, str | None] = {}

    def a_link(value: Tree) -> str:
        url = text(value)
        if check_link is not None:
            try:
                kinds[url] = check_link(url)
            except ValueError as error:
                raise vol.Invalid(str(error)) from error
        return url

    def a_device(kind: Literal["ups", "transfer_switch"], values: dict[str, Any]) -> UpsConfig:
        config = _device(kind, values)
        found = kinds.get(config.link) or kind
        if found != kind:
            raise vol.Invalid(_misplaced(config.link, found), path=[Key.LINK])
        return config

    tls = section(
        {vol.Required(Key.CERTIFICATE): a_file, vol.Required(Key.KEY): a_file}, lambda values: TlsConfig(**values)
    )
    api = section(
        {
            vol.Optional(Key.ENABLED): boolean,
            vol.Optional(Key.LISTEN): address,
            vol.Optional(Key.PORT): port,
            vol.Optional(Key.TLS): tls,
            vol.Optional(Key.ZEROCONF): boolean,
            vol.Optional(Key.CONFIGURE): boolean,
        },
        lambda values: ApiConfig(**values),
    )
    traps = section(
        {vol.Optional(Key.LISTEN): address, vol.Optional(Key.PORT): port}, lambda values: TrapConfig(**values)
    )
    pipe = section({vol.Required(Key.PORT): text, vol.Optional(Key.ALLOW): groups}, lambda values: PipeConfig(**values))
    device = {
        vol.Required(Key.ID): slug,
        vol.Optional(Key.NAME): text,
        vol.Required(Key.LINK): a_link,
        vol.Optional(Key.ENABLED): boolean,
        vol.Optional(Key.USERNAME): text,
        vol.Optional(Key.PASSWORD): password,
        vol.Optional(Key.COMMUNITY): password,
        vol.Optional(Key.PRIVACY_PASSWORD): password,
        vol.Optional(Key.POWER): measure(APPARENT_POWER),
        vol.Optional(Key.THRESHOLDS): each(threshold),
        vol.Optional(Key.ALLOW): groups,
    }
    ups = section(
        device
        | {
            vol.Optional(Key.MODEL): profile,
            vol.Optional(Key.LOAD): measure(APPARENT_POWER),
            vol.Optional(Key.HOLD_TIME): measure(HOLD_TIME),
            vol.Optional(Key.RECHARGE_TIME): measure(RECHARGE_TIME),
            vol.Optional(Key.BATTERY_INSTALLED): day,
            vol.Optional(Key.BATTERY_TOO_OLD_AFTER): measure(BATTERY_LIFE),
            vol.Optional(Key.BATTERY_HEALTH_LEVEL): measure(HEALTH_LEVEL),
            vol.Optional(Key.SYSTEM_SHUTDOWN_TIME): measure(SHUTDOWN_TIME),
            vol.Optional(Key.PIPE): pipe,
        },
        lambda values: a_device("ups", values),
    )
    transfer_switch = section(device, lambda values: a_device("transfer_switch", values))
    return section(
        {
            vol.Optional(Key.NAME, default="Ridethrough"): text,
            vol.Optional(Key.DATA, default="data"): a_path,
            vol.Optional(Key.API, default=dict): api,
            vol.Optional(Key.TRAPS): traps,
            vol.Optional(Key.UPS, default=list): each(ups),
            vol.Optional(Key.TRANSFER_SWITCHES, default=list): each(transfer_switch),
        },
        lambda values: BridgeConfig(**values),
    )


def _misplaced(link: str, kind: str) -> str:
    """Say where a device belongs that stands in the wrong list."""
    lists = {"ups": ("a UPS", Key.UPS), "transfer_switch": ("a transfer switch", Key.TRANSFER_SWITCHES)}
    name, place = lists[kind]
    return f"{link} is a link to {name}, which belongs under {place}:"


def _device(kind: Literal["ups", "transfer_switch"], values: dict[str, Any]) -> UpsConfig:
    values["key"] = values.pop(Key.ID)
    values.setdefault("name", values["key"])
    if Key.BATTERY_TOO_OLD_AFTER in values:
        values[Key.BATTERY_TOO_OLD_AFTER] = round(values[Key.BATTERY_TOO_OLD_AFTER])
    config = UpsConfig(kind=kind, **values)
    rating = apply_profile(config).power
    if config.load is not None and rating is not None and config.load > rating:
        raise vol.Invalid(f"must not exceed power, {rating:g} VA", path=[Key.LOAD])
    keys = [one.key for one in config.thresholds]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise vol.Invalid(f"{key} stands twice; give one of them an id", path=[Key.THRESHOLDS, index])
    faults = [(index, found) for index, one in enumerate(config.thresholds) if (found := fault(kind, one)) is not None]
    if faults:
        raise vol.MultipleInvalid(
            [vol.Invalid(message, path=[Key.THRESHOLDS, index, *where]) for index, (where, message) in faults]
        )
    return config


def profile(value: Tree) -> str:
    """Check the name of a model profile."""
    if not isinstance(value, str):
        raise vol.Invalid(f"must be a model, not {show(value)}; permitted: {', '.join(profiles())}")
    if value not in profiles():
        raise vol.Invalid(_unknown("the model", value, profiles()))
    return value


def threshold(value: Tree) -> ThresholdConfig:
    """Check one threshold: a point, exactly one of outside, below and above, each with warning, alarm or both."""
    return section(
        {
            vol.Optional(Key.ID): slug,
            vol.Required(Key.POINT): text,
            vol.Optional(Key.OUTSIDE): levels(span),
            vol.Optional(Key.BELOW): levels(lambda item: Limits(low=number(item))),
            vol.Optional(Key.ABOVE): levels(lambda item: Limits(high=number(item))),
            vol.Optional(Key.HYSTERESIS): distance,
            vol.Optional(Key.HOLD): measure(HOLD),
        },
        _threshold,
    )(value)


def _threshold(values: dict[str, Any]) -> ThresholdConfig:
    given = [word for word in (Key.OUTSIDE, Key.BELOW, Key.ABOVE) if word in values]
    if len(given) != 1:
        raise vol.Invalid("must have exactly one of outside, below and above")
    values |= values.pop(given[0])
    values["key"] = values.pop(Key.ID, values[Key.POINT])
    return ThresholdConfig(**values)


def levels(check: Callable[[Tree], Limits]) -> Callable[[Tree], dict[str, Limits]]:
    """Check `{warning: …, alarm: …}`, of which at least one."""

    def at_least_one(values: dict[str, Any]) -> dict[str, Limits]:
        if not values:
            raise vol.Invalid("must have warning, alarm or both")
        return values

    return section({vol.Optional(Key.WARNING): check, vol.Optional(Key.ALARM): check}, at_least_one)


def span(value: Tree) -> Limits:
    """Check `[low, high]`."""
    if not isinstance(value, list) or len(value) != 2:
        raise vol.Invalid(f"must be two numbers, as in [10, 34], not {show(value)}")
    low, high = (number(item) for item in value)
    if low >= high:
        raise vol.Invalid(f"must be the lower number first, not {low:g} and {high:g}")
    return Limits(low, high)


def number(value: Tree) -> float:
    """Check a plain number."""
    try:
        found = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise vol.Invalid(f"must be a number, not {show(value)}")
    return found


def distance(value: Tree) -> float:
    """Check a number that is not negative."""
    found = number(value)
    if found < 0:
        raise vol.Invalid("must not be negative")
    return found


def day(value: Tree) -> date:
    """Check a date."""
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise vol.Invalid(f"must be a date such as 2026-11-21, not {show(value)}") from None


# Shapes


def section[T](
    fields: Mapping[vol.Marker, Callable[[Tree], object]], make: Callable[[dict[str, Any]], T]
) -> Callable[[Tree], T]:
    """Check a mapping with these keys, made into something by `make`. All its problems are raised together."""
    known = [str(marker.schema) for marker in fields]
    values_of = vol.Schema(dict(fields), extra=vol.REMOVE_EXTRA)

    def check(value: Tree) -> T:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise vol.Invalid(f"must be a section with keys, not {show(value)}; permitted keys: {', '.join(known)}")
        errors: list[vol.Invalid] = [
            vol.Invalid(_unknown("the key", key, known), path=[key]) for key in value if key not in known
        ]
        try:
            values = values_of(value)
            made = make({str(key): item for key, item in values.items()})
        except vol.MultipleInvalid as error:
            errors.extend(error.errors)
        except vol.Invalid as error:
            errors.append(error)
        if errors:
            raise vol.MultipleInvalid(errors)
        return made

    return check


def each[T](check: Callable[[Tree], T]) -> Callable[[Tree], tuple[T, ...]]:
    """Check a list of such things. The problems of all of them are raised together."""

    def checked(value: Tree) -> tuple[T, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise vol.Invalid(f"must be a list, each item beginning with a hyphen, not {show(value)}")
        found: list[T] = []
        errors: list[vol.Invalid] = []
        for index, item in enumerate(value):
            try:
                found.append(check(item))
            except vol.Invalid as error:
                error.prepend([index])
                errors.extend(error.errors if isinstance(error, vol.MultipleInvalid) else [error])
        if errors:
            raise vol.MultipleInvalid(errors)
        return tuple(found)

    return checked


# Values


def text(value: Tree) -> str:
    """Check some text on one line."""
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid(f"must be a text, not {show(value)}")
    if len(value) > 1000 or not value.isprintable():
        raise vol.Invalid("must be a text of one line of at most 1000 characters")
    return value


def password(value: Tree) -> str:
    """Check some text that is never shown, not even in a message."""
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise vol.Invalid("must be a text of 1 to 1000 characters; best written as `!secret name`")
    return Secret(value)


def slug(value: Tree) -> str:
    """Check a device's key: its identity hangs on it."""
    if not isinstance(value, str) or len(value) > 64 or _SLUG.fullmatch(value) is None:
        raise vol.Invalid(
            f"must be up to 64 small letters, digits and hyphens and begin with a letter or digit, like ups-1, "
            f"not {show(value)}"
        )
    if value in RESERVED:
        raise vol.Invalid(f"{value} is the bridge's own; choose another, like ups-1")
    return value


def boolean(value: Tree) -> bool:
    """Check yes or no, in the words people use."""
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _YES + _NO:
        raise vol.Invalid(f"must be yes or no (also on, off, true, false), not {show(value)}")
    return word in _YES


def port(value: Tree) -> int:
    """Check a TCP port; 0 lets the system choose a free one."""
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{1,5}", value, re.ASCII) is None or int(value) > 65535:
        raise vol.Invalid(f"must be a port from 1 to 65535 (0: any free one), not {show(value)}")
    return int(value)


def address(value: Tree) -> str:
    """Check an address or the name of one, to listen on."""
    host = text(value)
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if re.fullmatch(r"[\d.]+", host) or _HOST.fullmatch(host) is None or len(host) > 253:
            raise vol.Invalid(
                f"must be an address such as 127.0.0.1, 0.0.0.0 (every one) or ::1, or a host name, not {show(value)}"
            ) from None
        return host


def measure(units: Measure) -> Callable[[Tree], float]:
    """Check a number with an optional unit."""

    def check(value: Tree) -> float:
        if not isinstance(value, str):
            raise vol.Invalid(f"must be {units.permitted}, not {show(value)}")
        try:
            return units.parse(value)
        except ValueError as error:
            raise vol.Invalid(f"{show(value)} {error}") from error

    return check


def groups(value: Tree) -> frozenset[str]:
    """Check a list of command groups, or a single one."""
    permitted = command_groups()

    def one(item: Tree) -> str:
        if not isinstance(item, str):
            raise vol.Invalid(f"must be a command group, not {show(item)}; permitted: {', '.join(permitted)}")
        if item not in permitted:
            raise vol.Invalid(_unknown("the command group", item, permitted))
        return item

    return frozenset(each(one)([value] if isinstance(value, str) else value))


# Messages


def show(value: object) -> str:
    """Show a value in a message: never a secret, never long."""
    match value:
        case None:
            return "nothing"
        case Secret():
            return "this secret"
        case list():
            return "a list"
        case dict():
            return "a section with keys"
    shown = str(value)
    return repr(shown if len(shown) <= 60 else f"{shown[:57]}…")


def _unknown(what: str, word: str, permitted: Iterable[str]) -> str:
    near = get_close_matches(word, list(permitted), n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{what} {show(word)} is unknown{hint} (permitted: {', '.join(permitted)})"
