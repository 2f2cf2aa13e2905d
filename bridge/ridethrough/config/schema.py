"""What may stand in the configuration file, in voluptuous' terms.

Every validator takes the text that was written and returns the typed value; what it rejects it answers with what is
permitted. All problems of a file are found in one pass.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import voluptuous as vol

from ridethrough.maps.registers import profile_names

from .action_schema import action
from .agent_schema import agents, check_agents
from .battery_schema import batteries, check_batteries
from .device import DeviceConfig, Limits, ThresholdConfig
from .document import Tree
from .feed_schema import feeds
from .job_schema import jobs
from .model import ApiConfig, BridgeConfig, PipeConfig, TrapConfig, UpsConfig
from .plan_schema import check_plans, plans
from .profiles import apply_profile, profiles
from .references import job_faults
from .thresholds import fault
from .tls import TlsConfig
from .units import APPARENT_POWER, BATTERY_LIFE, HEALTH_LEVEL, HOLD, HOLD_TIME, RECHARGE_TIME, SHUTDOWN_TIME
from .values import (
    address,
    boolean,
    day,
    distance,
    each,
    groups,
    measure,
    number,
    password,
    port,
    section,
    show,
    slug,
    text,
    unknown,
)

type LinkCheck = Callable[[str], str | None]
"""Raises ValueError, with a sentence for people, when a link's URL is wrong; the caller knows the schemes.

Returns the kind of device that the link is to, None when only the equipment knows.
"""


class Key:
    """The words that are keys of the file."""

    ABOVE = "above"
    AGENTS = "agents"
    ALARM = "alarm"
    ALLOW = "allow"
    API = "api"
    BATTERIES = "batteries"
    BATTERY_HEALTH_LEVEL = "battery_health_level"
    BATTERY_INSTALLED = "battery_installed"
    BATTERY_TOO_OLD_AFTER = "battery_too_old_after"
    BELOW = "below"
    CERTIFICATE = "certificate"
    COMMUNITY = "community"
    CONFIGURE = "configure"
    DATA = "data"
    ENABLED = "enabled"
    FEEDS = "feeds"
    HOLD = "hold"
    HOLD_TIME = "hold_time"
    HYSTERESIS = "hysteresis"
    ID = "id"
    JOBS = "jobs"
    KEY = "key"
    LINK = "link"
    LISTEN = "listen"
    LOAD = "load"
    MODEL = "model"
    NAME = "name"
    OUTSIDE = "outside"
    PASSWORD = "password"
    PIPE = "pipe"
    PLANS = "plans"
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

    def a_battery_link(value: Tree) -> str:
        link = a_link(value)
        found = kinds.get(link) or "battery_system"
        if found != "battery_system":
            raise vol.Invalid(_misplaced(link, found))
        return link

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
        vol.Optional(Key.THRESHOLDS): each(threshold),
        vol.Optional(Key.ALLOW): groups,
    }
    powered = device | {vol.Optional(Key.POWER): measure(APPARENT_POWER)}
    ups = section(
        powered
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
    transfer_switch = section(powered, lambda values: a_device("transfer_switch", values))
    return section(
        {
            vol.Optional(Key.NAME, default="Ridethrough"): text,
            vol.Optional(Key.DATA, default="data"): a_path,
            vol.Optional(Key.API, default=dict): api,
            vol.Optional(Key.TRAPS): traps,
            vol.Optional(Key.FEEDS, default=dict): feeds(a_file),
            vol.Optional(Key.UPS, default=list): each(ups),
            vol.Optional(Key.TRANSFER_SWITCHES, default=list): each(transfer_switch),
            vol.Optional(Key.BATTERIES, default=list): batteries(
                device | {vol.Required(Key.LINK): a_battery_link}, _check_thresholds
            ),
            vol.Optional(Key.JOBS, default=dict): jobs(a_file),
            vol.Optional(Key.PLANS, default=list): plans(action),
            vol.Optional(Key.AGENTS, default=dict): agents(),
        },
        _bridge,
    )


_LISTS = {
    "ups": ("a UPS", Key.UPS),
    "transfer_switch": ("a transfer switch", Key.TRANSFER_SWITCHES),
    "battery_system": ("a battery system", Key.BATTERIES),
}
"""What kinds of devices are called, and where they stand."""


def _bridge(values: dict[str, Any]) -> BridgeConfig:
    config = BridgeConfig(**values)
    known = [device.key for device in config.devices]
    for path, device in config.feeds.named_devices():
        if device not in known:
            raise vol.Invalid(unknown("the device", device, known), path=[Key.FEEDS, *path])
    kinds = {device.key: device.kind for device in config.devices}
    for path, device, chosen in config.feeds.named_maps():
        if chosen not in profile_names(kinds[device]):
            name, permitted = _LISTS[kinds[device]][0], ", ".join(profile_names(kinds[device]))
            message = f"{chosen} is no register map of {name}, which {device} is; permitted: {permitted}"
            raise vol.Invalid(message, path=[Key.FEEDS, *path])
    check_batteries(config)
    check_agents(config)
    check_plans(config)
    listeners = list(config.listeners())
    for place, late in enumerate(listeners):
        for early in listeners[:place]:
            if late.excludes(early):
                where = f"{early.transport.upper()} port {early.port} of {early.address}"
                message = f"{'.'.join(early.path)} listens on {where} already; give each a port of its own"
                raise vol.Invalid(message, path=[*late.path, "port"])
    if faults := [vol.Invalid(message, path=list(place)) for place, message in job_faults(config)]:
        raise vol.MultipleInvalid(faults)
    return config


def _misplaced(link: str, kind: str) -> str:
    """Say where a device belongs that stands in the wrong list."""
    name, place = _LISTS[kind]
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
    _check_thresholds(config)
    return config


def _check_thresholds(config: DeviceConfig) -> None:
    """Check the thresholds of a device together. Raises vol.Invalid."""
    keys = [one.key for one in config.thresholds]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise vol.Invalid(f"{key} stands twice; give one of them an id", path=[Key.THRESHOLDS, index])
    faults = [
        (index, found) for index, one in enumerate(config.thresholds) if (found := fault(config.kind, one)) is not None
    ]
    if faults:
        raise vol.MultipleInvalid(
            [vol.Invalid(message, path=[Key.THRESHOLDS, index, *where]) for index, (where, message) in faults]
        )


def profile(value: Tree) -> str:
    """Check the name of a model profile."""
    if not isinstance(value, str):
        raise vol.Invalid(f"must be a model, not {show(value)}; permitted: {', '.join(profiles())}")
    if value not in profiles():
        raise vol.Invalid(unknown("the model", value, profiles()))
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
