"""What may stand under `jobs:` in the configuration file: jobs of events, scheduled jobs, and by what they are sent."""

from collections.abc import Callable, Mapping
from datetime import datetime
from difflib import get_close_matches
import ipaddress
from pathlib import Path
import re
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import voluptuous as vol

from .action_schema import action, mail_address, one_or_more, telephone
from .document import Secret, Tree
from .feed_schema import BAUD_RATES, word
from .inventory import BRIDGE
from .jobs import (
    Cause,
    Edge,
    JobConfig,
    JobsConfig,
    MailConfig,
    RemoteConfig,
    Repeat,
    ScheduleConfig,
    SmsConfig,
    Timing,
    WebhookConfig,
    When,
)
from .units import Measure
from .values import address, boolean, each, groups_of, measure, password, port, section, show, slug, text, unknown

type Check = Callable[[Tree], object]

WINDOW = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 0.0, 86_400.0)
"""Seconds for which power must be back before the time on battery begins anew."""
TIMING = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 1.0, 604_800.0)
"""Seconds after an event, on battery, of runtime left."""
MAIL_PORTS = {"none": 25, "starttls": 587, "tls": 465}
"""The usual port of each kind of security (RFC 6409, RFC 8314)."""
YEARS = range(2000, 2200)
AT_ONCE = "at once"
_TIMINGS = (Timing.AFTER, Timing.EVERY, Timing.ON_BATTERY, Timing.REMAINING)
_REPEATABLE = (Timing.ON_BATTERY, Timing.REMAINING)
_WHEN = f"{AT_ONCE}, {{after: 5 min}}, {{every: 5 min}}, {{on_battery: 8 min}} or {{remaining: 30 min}}, the last two also with every: 30 s"
_PATTERN = re.compile(r"\*|[a-z0-9][a-z0-9-]*(/(\*|[a-z0-9][a-z0-9_.-]*(-\*)?))?")
_CONDITION = re.compile(r"\*|[a-z][A-Za-z0-9_.-]*")


def jobs(a_file: Callable[[Tree], Path]) -> Callable[[Tree], JobsConfig]:
    """Make what checks the section; `a_file` checks the path of a file."""
    webhook = section(
        {
            vol.Required("id"): slug,
            vol.Required("url"): web_address,
            vol.Optional("token"): password,
            vol.Optional("ca"): a_file,
        },
        lambda values: WebhookConfig(key=values.pop("id"), **values),
    )
    return section(
        {
            vol.Optional("allow"): groups_of(BRIDGE),
            vol.Optional("outage_window"): measure(WINDOW),
            vol.Optional("time_zone"): time_zone,
            vol.Optional("mail"): _mail(a_file),
            vol.Optional("sms"): _SMS,
            vol.Optional("webhooks"): each(webhook),
            vol.Optional("bridges"): each(_BRIDGE),
            vol.Optional("events"): each(_JOB),
            vol.Optional("schedule"): each(_SCHEDULED),
        },
        _jobs,
    )


def _jobs(values: dict[str, Any]) -> JobsConfig:
    values["jobs"] = values.pop("events", ())
    config = JobsConfig(**values)
    taken: set[str] = set()
    problems = []
    # Jobs of both kinds are run by hand by their id alone.
    for place, group in (("events", config.jobs), ("schedule", config.schedule)):
        problems += _twice(place, [one.key for one in group], taken)
    for place, named in (("webhooks", config.webhooks), ("bridges", config.bridges)):
        problems += _twice(place, [one.key for one in named], set())
    if problems:
        raise vol.MultipleInvalid(problems)
    return config


def _twice(place: str, keys: list[str], taken: set[str]) -> list[vol.Invalid]:
    problems = []
    for index, key in enumerate(keys):
        if key in taken:
            problems.append(vol.Invalid(f"{key} stands twice; give each an id of its own", path=[place, index, "id"]))
        taken.add(key)
    return problems


# What jobs are for


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[Tree], str]:
    def check(value: Tree) -> str:
        if not isinstance(value, str) or len(value) > 128 or pattern.fullmatch(value) is None:
            raise vol.Invalid(f"must be {what}, not {show(value)}")
        return value

    return check


_CAUSE: Callable[[Tree], Cause] = section(
    {
        vol.Required("device"): one_or_more(
            _matching(
                _PATTERN,
                "the id of a device, like ups-1 or ups-1/outlet-2, '*' for every one, ups-1/* or ups-1/outlet-*",
            )
        ),
        vol.Required("condition"): one_or_more(
            _matching(_CONDITION, "a condition, like on_battery, or '*' for all that are warnings or alarms")
        ),
        vol.Optional("edge"): lambda value: Edge(word(tuple(Edge), "the edge")(value)),
    },
    lambda values: Cause(devices=values.pop("device"), conditions=values.pop("condition"), **values),
)


def causes(value: Tree) -> tuple[Cause, ...]:
    """Check one `{device: …, condition: …}`, or a list of them."""
    if isinstance(value, list):
        found = each(_CAUSE)(value)
        if not found:
            raise vol.Invalid("must name at least one event")
        return found
    return (_CAUSE(value),)


def when(value: Tree) -> When:
    """Check a timing (manual M:2702)."""
    if isinstance(value, str) and value.replace("_", " ") == AT_ONCE:
        return When()
    if not isinstance(value, dict) or not value:
        raise vol.Invalid(f"must be {_WHEN}, not {show(value)}")
    for name in value:
        if name not in _TIMINGS:
            raise vol.Invalid(unknown("the timing", name, _TIMINGS), path=[name])
    found = {name: _seconds(name, item) for name, item in value.items()}
    if len(found) == 1:
        ((name, seconds),) = found.items()
        return When(Timing(name), seconds)
    for name in _REPEATABLE:
        if found.keys() == {name, Timing.EVERY}:
            return When(name, found[name], found[Timing.EVERY])
    raise vol.Invalid(f"must be {_WHEN}, not {show(value)}")


def _seconds(name: str, value: Tree) -> float:
    try:
        return measure(TIMING)(value)
    except vol.Invalid as error:
        error.prepend([name])
        raise


def start(value: Tree) -> datetime:
    """Check a local date with a time of day."""
    try:
        found = datetime.fromisoformat(value.strip() if isinstance(value, str) and ":" in value else "")
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise vol.Invalid(f"must be a date with a time in local time, such as 2026-11-22 03:00, not {show(value)}")
    if found.year not in YEARS:
        raise vol.Invalid(f"must be a time from {YEARS[0]} to {YEARS[-1]}, not {show(value)}")
    return found.replace(microsecond=0)


def time_zone(value: Tree) -> str:
    """Check the name of a time zone (IANA)."""
    name = text(value)
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError, ValueError, OSError:
        near = get_close_matches(name, available_timezones(), n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise vol.Invalid(
            f"the time zone {show(name)} is unknown{hint} (permitted: names such as Europe/Berlin or America/New_York)"
        ) from None
    return name


_NAMED: Mapping[vol.Marker, Check] = {
    vol.Required("id"): slug,
    vol.Optional("name"): text,
    vol.Required("do"): action,
    vol.Optional("enabled"): boolean,
}


def _named(values: dict[str, Any]) -> dict[str, Any]:
    values["key"] = values.pop("id")
    values.setdefault("name", values["key"])
    values["action"] = values.pop("do")
    return values


_JOB: Callable[[Tree], JobConfig] = section(
    {**_NAMED, vol.Required("on"): causes, vol.Optional("when"): when, vol.Optional("ups"): slug},
    lambda values: JobConfig(causes=values.pop("on"), **_named(values)),
)
_SCHEDULED: Callable[[Tree], ScheduleConfig] = section(
    {
        **_NAMED,
        vol.Required("start"): start,
        vol.Required("repeat"): lambda value: Repeat(word(tuple(Repeat), "the repetition")(value)),
        vol.Optional("late"): boolean,
    },
    lambda values: ScheduleConfig(**_named(values)),
)


# By what they are sent


def _mail(a_file: Callable[[Tree], Path]) -> Callable[[Tree], MailConfig]:
    def made(values: dict[str, Any]) -> MailConfig:
        for key, needed in (("username", "password"), ("password", "username")):
            if key in values and needed not in values:
                raise vol.Invalid(f"needs a {needed} beside it", path=[key])
        values.setdefault("port", MAIL_PORTS[values.get("security", "starttls")])
        return MailConfig(**values)

    return section(
        {
            vol.Required("host"): address,
            vol.Required("sender"): mail_address,
            vol.Optional("port"): port,
            vol.Optional("security"): word(tuple(MAIL_PORTS), "the security"),
            vol.Optional("username"): text,
            vol.Optional("password"): password,
            vol.Optional("receivers"): one_or_more(mail_address),
            vol.Optional("ca"): a_file,
            vol.Optional("log"): word(("errors", "always", "never"), "what is logged:"),
        },
        made,
    )


def _pin(value: Tree) -> str:
    if not isinstance(value, str) or re.fullmatch(r"\d{4,8}", value, re.ASCII) is None:
        raise vol.Invalid("must be four to eight digits; best written as `!secret name`")
    return Secret(value)


_SMS: Callable[[Tree], SmsConfig] = section(
    {
        vol.Required("port"): text,
        vol.Optional("baud"): lambda value: int(word((*BAUD_RATES, "230400", "460800", "921600"), "the speed")(value)),
        vol.Optional("pin"): _pin,
        vol.Optional("receivers"): one_or_more(telephone),
    },
    lambda values: SmsConfig(**values),
)


def web_address(value: Tree) -> str:
    """Check the address of a webhook: http or https, without a password in it."""
    url = text(value)
    parsed = _split(url)
    if parsed is None:
        raise vol.Invalid(f"must be an address such as https://example.org/hook, not {show(value)}")
    if parsed[1]:
        raise vol.Invalid("must not have a name or a password in it; give a token: instead")
    return url


def bridge_address(value: Tree) -> str:
    """Check the address of another bridge's API: `https://host:8480`; http only on this computer."""
    url = text(value).rstrip("/")
    parsed = _split(url)
    if parsed is None or parsed[1] or urlsplit(url).path or urlsplit(url).query or urlsplit(url).fragment:
        raise vol.Invalid(f"must be an address such as https://192.0.2.5:8480, not {show(value)}")
    if url.startswith("http:") and not _is_loopback(parsed[0]):
        raise vol.Invalid("must begin with https://, so that nobody on the way can read the token")
    return url


def _split(url: str) -> tuple[str, bool] | None:
    """Return the host of an address and whether there is a name or a password in it; None when it is no address."""
    try:
        parsed = urlsplit(url)
        _ = parsed.port
    except ValueError:
        return None
    if parsed.scheme not in ("http", "https") or not parsed.hostname or re.search(r"\s", url):
        return None
    return parsed.hostname, parsed.username is not None or parsed.password is not None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fingerprint(value: Tree) -> str:
    digits = value.replace(":", "").strip().lower() if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise vol.Invalid(
            f"must be the SHA-256 fingerprint that the other bridge logs when it starts: 64 digits 0-9 and a-f, "
            f"not {show(value)}"
        )
    return digits


_BRIDGE: Callable[[Tree], RemoteConfig] = section(
    {
        vol.Required("id"): slug,
        vol.Required("url"): bridge_address,
        vol.Required("token"): password,
        vol.Optional("fingerprint"): _fingerprint,
    },
    lambda values: RemoteConfig(key=values.pop("id"), **values),
)

__all__ = ["causes", "jobs", "start", "time_zone", "when"]
