"""What may stand under `do:`: one action of a job, a scheduled job or the stage of a plan.

Whether the devices, agents and receivers that it names exist, and grant it, is said by `references.py`, which sees the
whole file.
"""

from collections.abc import Callable, Mapping
import ipaddress
import re
from types import MappingProxyType
from typing import Any, cast

import voluptuous as vol

from ridethrough.catalogue import Argument, CommandType, Value, load_catalogue
from ridethrough.catalogue.model import TEXT

from . import placeholders
from .actions import (
    ACTIONS,
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WakeOnLanAction,
    WebhookAction,
)
from .document import Tree
from .feed_schema import word
from .units import Measure
from .values import address, boolean, each, hardware_address, measure, number, port, section, show, slug, text, unknown

type Check = Callable[[Tree], object]

LONGEST_MAIL = 4000
LONGEST_MESSAGE = 500
"""Characters, as the catalogue has it for the commands `agent.message`, `job.sms` and `job.log`."""
ALL = "all"
VERBS = ("shutdown", "message", "execute", "wakeup", "start")
WAKE_PORTS = ("7", "9")
"""Manual M:2594."""
DELAY = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 0.0, 86_400.0)
"""Seconds until an agent begins to shut down."""
_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9_.-]*)?")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NUMBER = re.compile(r"\+?\d{3,15}")
_UNITS: Mapping[str, Mapping[str, float]] = {
    "s": {"s": 1.0, "min": 60.0, "h": 3600.0},
    "min": {"min": 1.0, "h": 60.0, "s": 1.0 / 60.0},
}
"""In what the time that a command takes may be written."""


# Values


def device_key(value: Tree) -> str:
    """Check the id of a device, or of what belongs to one: `ups-1`, `ups-1/outlet-2`."""
    if not isinstance(value, str) or len(value) > 128 or _DEVICE.fullmatch(value) is None:
        raise vol.Invalid(f"must be the id of a device, like ups-1 or ups-1/outlet-2, not {show(value)}")
    return value


def mail_address(value: Tree) -> str:
    """Check the address of a mailbox; ASCII, as not every server takes more."""
    mailbox, at, domain = value.strip().rpartition("@") if isinstance(value, str) else ("", "", "")
    try:
        if at and len(mailbox) <= 64 and len(domain) <= 253 and _MAILBOX.fullmatch(mailbox):
            return f"{mailbox}@{address(domain)}"
    except vol.Invalid:
        pass
    raise vol.Invalid(f"must be a mail address such as operator@example.org, not {show(value)}")


def telephone(value: Tree) -> str:
    """Check the number of a telephone, and write it without what only helps reading."""
    digits = re.sub(r"[ ()/.-]", "", value) if isinstance(value, str) else ""
    if _NUMBER.fullmatch(digits) is None:
        raise vol.Invalid(f"must be a telephone number such as +49 171 1234567, not {show(value)}")
    return digits


def broadcast(value: Tree) -> str:
    """Check where magic packets go: the broadcast address of a network, or a single IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(value if isinstance(value, str) else ""))
    except ValueError:
        raise vol.Invalid(
            f"must be the broadcast address of a network, such as 192.0.2.255 or 255.255.255.255, not {show(value)}"
        ) from None


def one_or_more[T](check: Callable[[Tree], T]) -> Callable[[Tree], tuple[T, ...]]:
    """Check a list of such things of which none stands twice, or a single one."""

    def checked(value: Tree) -> tuple[T, ...]:
        found = each(check)([value] if isinstance(value, str) else value)
        if not found:
            raise vol.Invalid("must name at least one")
        for index, item in enumerate(found):
            if item in found[:index]:
                raise vol.Invalid("stands twice", path=[index])
        return found

    return checked


def filled(longest: int, *, lines: bool = False) -> Callable[[Tree], str]:
    """Check a text with placeholders, of one line or of several."""

    def check(value: Tree) -> str:
        if not isinstance(value, str) or not value.strip():
            raise vol.Invalid(f"must be a text, not {show(value)}")
        plain = value.replace("\n", "").replace("\t", "") if lines else value
        if len(value) > longest or not plain.isprintable():
            shape = "a text" if lines else "a text of one line"
            raise vol.Invalid(f"must be {shape} of at most {longest} characters")
        if (wrong := placeholders.fault(value)) is not None:
            raise vol.Invalid(wrong)
        return value

    return check


def syslog_receiver(value: Tree) -> str:
    """Check `host` or `host:port`, the host in brackets where it is an IPv6 address."""
    found = re.fullmatch(
        r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?::(\d+))?", text(value)
    )
    if found is None:
        raise vol.Invalid(f"must be a host or host:port, not {show(value)}")
    host = address(found[1].strip("[]"))
    if found[2] is None:
        return f"[{host}]" if ":" in host else host
    return f"[{host}]:{port(found[2])}" if ":" in host else f"{host}:{port(found[2])}"


# Commands


def command_of(key: str) -> CommandType | None:
    """Find a command of whatever kind of device."""
    return next((one for one in load_catalogue().commands if one.key == key), None)


def _command(value: Tree) -> str:
    if not isinstance(value, str) or command_of(value) is None:
        known = sorted({one.key for one in load_catalogue().commands})
        raise vol.Invalid(
            unknown("the command", value, known) if isinstance(value, str) else f"must be a command, not {show(value)}"
        )
    return value


def _arguments(values: dict[str, Any]) -> None:
    """Turn what was written under `arguments:` into what the command takes."""
    command = command_of(values["command"])
    assert command is not None
    written = values.pop("arguments", {})
    known = {argument.name: argument for argument in command.arguments}
    found: dict[str, Value] = {}
    for name, item in written.items():
        if name not in known:
            raise vol.Invalid(unknown(f"of {command.key} the argument", name, known), path=["arguments", name])
        try:
            found[name] = _argument(known[name], item)
        except vol.Invalid as error:
            error.prepend(["arguments", name])
            raise
    try:
        command.check(found)
    except ValueError as error:
        raise vol.Invalid(str(error), path=["arguments"] if written else ["command"]) from error
    values["arguments"] = MappingProxyType(found)


def _argument(argument: Argument, value: Tree) -> float | str:
    if argument.unit == TEXT:
        return filled(max(1, round(argument.maximum)))(value)
    if (units := _UNITS.get(argument.unit)) is not None:
        return measure(Measure(units, argument.minimum, argument.maximum))(value)
    if isinstance(value, str) and (argument.minimum, argument.maximum) == (0, 1) and not value[:1].isdigit():
        return float(boolean(value))
    return number(value)


def _mapping(value: Tree) -> dict[str, Tree]:
    if not isinstance(value, dict):
        raise vol.Invalid(f"must be a section with the names of arguments as keys, not {show(value)}")
    return value


# Actions


def _agent(values: dict[str, Any]) -> AgentAction:
    made = AgentAction(**values)
    needs = {"message": "text", "execute": "program"}
    if (needed := needs.get(made.verb)) is not None and not getattr(made, needed):
        raise vol.Invalid(f"{made.verb} needs a {needed}")
    for key, verbs in {"text": ("message", "shutdown"), "program": ("execute",), "delay": ("shutdown",)}.items():
        if key in values and made.verb not in verbs:
            raise vol.Invalid(f"is of use with verb: {' or '.join(verbs)} only", path=[key])
    return made


def _agents(value: Tree) -> tuple[str, ...]:
    return () if value == ALL else one_or_more(slug)(value)


def _program(value: Tree) -> str:
    if not isinstance(value, str) or _PROGRAM.fullmatch(value) is None:
        raise vol.Invalid(
            f"must be a name from the agent's own list of programs, like stop-database, without a path and without "
            f"arguments, not {show(value)}"
        )
    return value


def _given[T: Action](make: Callable[..., T]) -> Callable[[dict[str, Any]], T]:
    def made(values: dict[str, Any]) -> T:
        if "command" in values:
            _arguments(values)
        return make(**values)

    return made


def _mail(values: dict[str, Any]) -> MailAction:
    made = MailAction(**values)
    for key in ("subject", "text"):
        if made.trap and getattr(made, key):
            raise vol.Invalid("is of no use with trap: yes, whose wording is fixed", path=[key])
    return made


_ATTACHMENTS = ("events", "data")
_COMMAND: Mapping[vol.Marker, Check] = {vol.Required("command"): _command, vol.Optional("arguments"): _mapping}
_FIELDS: Mapping[type[Action], tuple[Mapping[vol.Marker, Check], Callable[[dict[str, Any]], Action]]] = {
    LogAction: ({vol.Required("text"): filled(LONGEST_MESSAGE)}, _given(LogAction)),
    MailAction: (
        {
            vol.Optional("to"): one_or_more(mail_address),
            vol.Optional("subject"): filled(200),
            vol.Optional("text"): filled(LONGEST_MAIL, lines=True),
            vol.Optional("attach"): one_or_more(word(_ATTACHMENTS, "the attachment")),
            vol.Optional("trap"): boolean,
        },
        _mail,
    ),
    AgentAction: (
        {
            vol.Required("verb"): word(VERBS, "the verb"),
            vol.Optional("agents"): _agents,
            vol.Optional("text"): filled(LONGEST_MESSAGE),
            vol.Optional("program"): _program,
            vol.Optional("delay"): measure(DELAY),
        },
        _agent,
    ),
    DatagramAction: (
        {vol.Optional("restored"): boolean, vol.Optional("to"): one_or_more(address)},
        _given(DatagramAction),
    ),
    CommandAction: (
        {vol.Optional("device"): device_key, **_COMMAND},
        _given(lambda **values: CommandAction(**{"device": "", **values})),
    ),
    WakeOnLanAction: (
        {
            vol.Required("mac"): one_or_more(hardware_address),
            vol.Optional("broadcast"): broadcast,
            vol.Optional("port"): lambda value: int(word(WAKE_PORTS, "the port")(value)),
        },
        lambda values: WakeOnLanAction(macs=values.pop("mac"), **values),
    ),
    SmsAction: (
        {vol.Optional("to"): one_or_more(telephone), vol.Optional("text"): filled(LONGEST_MESSAGE)},
        _given(SmsAction),
    ),
    SyslogAction: (
        {vol.Optional("text"): filled(LONGEST_MESSAGE), vol.Optional("to"): syslog_receiver},
        _given(SyslogAction),
    ),
    TrapAction: ({}, _given(TrapAction)),
    WebhookAction: (
        {vol.Required("webhook"): slug, vol.Optional("text"): filled(LONGEST_MAIL, lines=True)},
        _given(WebhookAction),
    ),
    RemoteAction: (
        {vol.Required("bridge"): slug, vol.Required("device"): device_key, **_COMMAND},
        _given(RemoteAction),
    ),
}
_SHORT: Mapping[type[Action], str] = {LogAction: "text", WebhookAction: "webhook", WakeOnLanAction: "mac"}
"""What a text means that stands in the place of the section: `do: {log: The core systems begin to shut down}`."""
_CHECKS: Mapping[str, Callable[[Tree], Action]] = {
    kind.name: section(fields, make) for kind, (fields, make) in _FIELDS.items()
}
assert set(_FIELDS) == set(ACTIONS)


def action(value: Tree) -> Action:
    """Check what a job does: `{mail: {…}}`, exactly one action."""
    if isinstance(value, str) and value in _CHECKS:
        value = {value: None}
    if not isinstance(value, dict):
        raise vol.Invalid(
            f"must be one action, as in {{mail: {{to: operator@example.org}}}}, not {show(value)}; "
            f"permitted: {', '.join(_CHECKS)}"
        )
    for name in value:
        if name not in _CHECKS:
            if value[name] is None and " " in name and len(value) > 1:
                raise vol.Invalid("must be exactly one action; quote a text that has a comma in it")
            raise vol.Invalid(unknown("the action", name, _CHECKS), path=[name])
    if len(value) != 1:
        raise vol.Invalid("must be exactly one action; make a job of its own for each")
    ((name, item),) = value.items()
    kind = next(kind for kind in ACTIONS if kind.name == name)
    if isinstance(item, str) and kind in _SHORT:
        item = cast(Tree, {_SHORT[kind]: item})
    try:
        return _CHECKS[name](item)
    except vol.Invalid as error:
        error.prepend([name])
        raise


def texts(given: Action) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Give the texts with placeholders of an action, with where they stand under its name."""
    found: list[tuple[tuple[str, ...], str]] = [((key,), getattr(given, key, "")) for key in ("subject", "text")]
    if isinstance(given, CommandAction | RemoteAction):
        found += [(("arguments", name), item) for name, item in given.arguments.items() if isinstance(item, str)]
    return tuple((place, item) for place, item in found if item)


__all__ = ["action", "broadcast", "command_of", "device_key", "mail_address", "one_or_more", "texts"]
