"""What single values of the configuration file must be, and the shapes they stand in.

Every validator takes the text that was written and returns the typed value; what it rejects it answers with what is
permitted.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from difflib import get_close_matches
import ipaddress
import math
import re
from typing import Any

import voluptuous as vol

from ridethrough import addresses
from ridethrough.catalogue import load_catalogue

from .document import Secret, Tree
from .units import Measure

RESERVED = frozenset({"bridge"})
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")
_YES, _NO = ("yes", "true", "on"), ("no", "false", "off")


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
            vol.Invalid(unknown("the key", key, known), path=[key]) for key in value if key not in known
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


OWN_KINDS = frozenset(
    {"bridge", "feed", "agent", "plan", "plan_stage", "battery_system", "battery_string", "battery_module"}
)
"""Kinds of devices that have sections, and an `allow:`, of their own."""


def command_groups(*kinds: str) -> tuple[str, ...]:
    """Return what `allow:` may name: the command groups of these kinds of devices, without any those of equipment."""
    wanted = frozenset(kinds) or load_catalogue().kinds.keys() - OWN_KINDS
    return tuple(sorted({command.group for command in load_catalogue().commands if command.kinds & wanted}))


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


def hardware_address(value: Tree) -> str:
    """Check the address of a network card, however it is written (manual M:2590, M:2607); gives `00:11:22:33:44:55`."""
    try:
        return addresses.hardware_address(value if isinstance(value, str) else "")
    except ValueError:
        raise vol.Invalid(
            "must be a hardware address such as 00:11:22:33:44:55, 00-11-22-33-44-55, 0011.2233.4455 or 001122334455, "
            f"that of a single network card, not {show(value)}"
        ) from None


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


def groups_of(*kinds: str) -> Callable[[Tree], frozenset[str]]:
    """Check a list of command groups of these kinds of devices, or a single one."""

    def check(value: Tree) -> frozenset[str]:
        permitted = command_groups(*kinds)

        def one(item: Tree) -> str:
            if not isinstance(item, str):
                raise vol.Invalid(f"must be a command group, not {show(item)}; permitted: {', '.join(permitted)}")
            if item not in permitted:
                raise vol.Invalid(unknown("the command group", item, permitted))
            return item

        return frozenset(each(one)([value] if isinstance(value, str) else value))

    return check


groups = groups_of()
"""Check a list of command groups of equipment, or a single one."""


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


def unknown(what: str, word: str, permitted: Iterable[str]) -> str:
    """Word the complaint about a word that is not permitted, with the one that was probably meant."""
    near = get_close_matches(word, list(permitted), n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{what} {show(word)} is unknown{hint} (permitted: {', '.join(permitted) or 'none'})"
