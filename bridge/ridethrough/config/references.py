"""Whether what jobs name exists: devices, conditions, commands and their grants, agents, receivers, placeholders.

Pure: it takes the whole configuration and returns what is wrong, with where it stands in the file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from ridethrough.catalogue import load_catalogue

from .action_schema import texts
from .actions import (
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WebhookAction,
)
from .document import Place
from .inventory import ALL, BRIDGE, Inventory, inventory
from .jobs import Cause, JobConfig, Timing
from .model import BridgeConfig
from .placeholders import Placeholder, fault, placeholders, unknown as unknown_placeholder
from .values import unknown

type Fault = tuple[Place, str]
"""Where something is wrong, and what."""

GROUPS: Mapping[str, str] = {
    "shutdown": "shutdown",
    "wakeup": "shutdown",
    "message": "message",
    "execute": "execute",
    "start": "start",
}
"""What an agent must grant for each verb."""
_CLOCKS = frozenset({Timing.ON_BATTERY, Timing.REMAINING})
"""The timings that need a UPS."""


def job_faults(config: BridgeConfig) -> Iterator[Fault]:
    """Find what is wrong with the jobs, and with the actions and texts of plans, where single values are right."""
    known = inventory(config)
    for index, job in enumerate(config.jobs.jobs):
        place: Place = ("jobs", "events", index)
        yield from _within(place, _cause_faults(job, known))
        devices = tuple(device for cause in job.causes for device in cause.devices)
        yield from _within((*place, "do"), action_faults(job.action, config, known, devices))
        yield from _within(place, _clock_faults(job, known))
    for index, scheduled in enumerate(config.jobs.schedule):
        yield from _within(("jobs", "schedule", index, "do"), action_faults(scheduled.action, config, known, ()))
    for number, plan in enumerate(config.plans):
        for index, stage in enumerate(plan.stages):
            place = ("plans", number, "stages", index)
            yield from _within((*place, "text"), text_faults(stage.text, known, plan.ups))
            for step, action in enumerate(stage.before):
                yield from _within((*place, "before", step), action_faults(action, config, known, plan.ups))


def action_faults(
    action: Action, config: BridgeConfig, known: Inventory, devices: Iterable[str] = ()
) -> Iterator[Fault]:
    """Find what is wrong with an action; `devices` are those whose events it is done for, none for one by the clock."""
    check = _CHECKS.get(type(action))
    devices = tuple(devices)
    if check is not None:
        yield from _within((action.name,), check(action, config, known, devices))
    for place, text in texts(action):
        yield from _within((action.name, *place), text_faults(text, known, devices))


def text_faults(text: str, known: Inventory, devices: Iterable[str] = ()) -> Iterator[Fault]:
    """Find the placeholders of a text that name what there is not; `devices` as with `action_faults`."""
    if (unknown_word := fault(text)) is not None:
        yield (), unknown_word
        return
    for placeholder in placeholders(text):
        if (wrong := _placeholder_fault(placeholder, known, tuple(devices))) is not None:
            yield (), wrong


def _within(place: Place, faults: Iterable[Fault]) -> Iterator[Fault]:
    return (((*place, *inner), message) for inner, message in faults)


# Events


def _cause_faults(job: JobConfig, known: Inventory) -> Iterator[Fault]:
    many = len(job.causes) > 1
    for index, cause in enumerate(job.causes):
        # A single one may stand without a list; the loader finds the line of what is nearest.
        place: Place = ("on", index) if many else ("on",)
        yield from _within(place, _device_faults(cause, known))


def _device_faults(cause: Cause, known: Inventory) -> Iterator[Fault]:
    found: list[tuple[str, str]] = []
    for index, pattern in enumerate(cause.devices):
        matched = list(known.matches(pattern))
        if not matched:
            where: Place = ("device",) if len(cause.devices) == 1 else ("device", index)
            owner = pattern.partition("/")[0]
            if pattern.endswith(f"/{ALL}") and owner in known.kinds:
                yield where, f"nothing can belong to {owner}"
            elif owner in known.kinds and "/" in pattern:
                part = pattern.partition("/")[2]
                yield where, f"{owner} has no {part}; write a part as in {known.example(owner)}"
            else:
                yield where, unknown("the device", pattern, (*known.kinds, ALL))
        found += matched
    if not found:
        return
    for index, condition in enumerate(cause.conditions):
        if condition == ALL or any(known.condition(key, kind, condition) for key, kind in found):
            continue
        where = ("condition",) if len(cause.conditions) == 1 else ("condition", index)
        yield where, _no_condition(condition, found, known)


def _no_condition(condition: str, devices: list[tuple[str, str]], known: Inventory) -> str:
    catalogue = load_catalogue()
    if condition.startswith("threshold.") and any(catalogue.condition(kind, condition) for _, kind in devices):
        there = [one for key, _ in devices for one in known.threshold_conditions(key)]
        return (
            f"{condition} needs a threshold of that id with that level under thresholds: of the device; "
            f"there are: {', '.join(dict.fromkeys(there)) or 'none'}"
        )
    keys = [row.key for row in catalogue.conditions if any(kind in row.kinds for _, kind in devices)]
    keys += [one for key, _ in devices for one in known.threshold_conditions(key)]
    near = get_close_matches(condition, keys, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "CATALOGUE.md lists the conditions, such as on_battery"
    names = dict.fromkeys(catalogue.kind(kind) for _, kind in devices)
    return f"no {' or '.join(names)} has a condition {condition!r}; {hint}"


def _clock_faults(job: JobConfig, known: Inventory) -> Iterator[Fault]:
    if job.ups is not None and known.kinds.get(job.ups) != "ups":
        yield ("ups",), unknown("the UPS", job.ups, [key for key, kind in known.kinds.items() if kind == "ups"])
    if job.ups is not None or job.when.timing not in _CLOCKS:
        return
    for cause in job.causes:
        for pattern in cause.devices:
            owners = {known.owner_of(key) for key, _ in known.matches(pattern)}
            if owners and not any(known.kinds[owner] == "ups" for owner in owners):
                yield ("when", job.when.timing), f"{pattern} is no UPS; say by ups: whose time counts"
                return


# Actions


def _command_faults(
    action: CommandAction, _config: BridgeConfig, known: Inventory, devices: tuple[str, ...]
) -> Iterator[Fault]:
    if action.device:
        if known.kind_of(action.device) is None:
            yield ("device",), unknown("the device", action.device, known.kinds)
        elif (wrong := _command_fault(action.device, action.command, known)) is not None:
            yield wrong
        return
    if not devices:
        yield ("device",), "must be given, as there is no event here whose device it could be"
        return
    able = [key for pattern in devices for key, _ in known.matches(pattern) if known.command(key, action.command)]
    if not able:
        yield ("command",), f"no device of the events has the command {action.command}; name one by device:"
        return
    for key in able:
        if (wrong := _command_fault(key, action.command, known)) is not None:
            yield wrong
            return


def _command_fault(device: str, command: str, known: Inventory) -> Fault | None:
    kind = known.kind_of(device)
    if kind is None:
        return None
    if kind == BRIDGE:
        return ("device",), "a job cannot give the bridge's own commands; make the action itself a job"
    found = load_catalogue().command(kind, command)
    if found is None:
        permitted = [row.key for row in load_catalogue().commands_of(kind)]
        return ("command",), unknown(f"of {device}, a {load_catalogue().kind(kind)}, the command", command, permitted)
    if found.group not in known.granted(device):
        owner = "feeds:" if kind == "feed" else known.owner_of(device)
        return ("command",), (
            f"{command} is not granted: add {found.group} to allow: of {owner}, or leave the job out; nothing may be "
            f"asked of a device until it is granted"
        )
    return None


def _agent_faults(
    action: AgentAction, config: BridgeConfig, known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    agents = {agent.key: agent for agent in config.agents.computers}
    if not agents:
        yield (), "there are no shutdown agents; add them under agents: computers: or leave the job out"
        return
    for index, key in enumerate(action.agents):
        if key not in agents:
            yield ("agents", index), unknown("the agent", key, agents)
    group = GROUPS[action.verb]
    without = [key for key in action.agents or agents if key in agents and group not in agents[key].allow]
    if without:
        yield ("verb",), f"{action.verb} is not granted: add {group} to allow: of {', '.join(without)}"
    if action.verb == "start":
        for key in action.agents or agents:
            if key in agents and agents[key].mac is None:
                yield ("agents",), f"{key} has no mac:, by which it could be woken"


def _mail_faults(
    action: MailAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    mail = config.jobs.mail
    if mail is None:
        yield (), "there is no mail server; add mail: with host: and sender: under jobs:"
    elif not action.to and not mail.receivers:
        yield (), "there is no receiver; give to: here or receivers: under jobs: mail:"


def _sms_faults(
    action: SmsAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    sms = config.jobs.sms
    if sms is None:
        yield (), "there is no modem; add sms: with its port: under jobs:"
    elif not action.to and not sms.receivers:
        yield (), "there is no receiver; give to: here or receivers: under jobs: sms:"


def _datagram_faults(
    action: DatagramAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    datagrams = config.agents.datagrams
    if not datagrams.enabled:
        yield (), "datagrams are off; switch them on by enabled: yes under agents: datagrams:"
    elif not action.to and not datagrams.receivers:
        yield (), "there is no receiver; give to: here or receivers: under agents: datagrams:"


def _syslog_faults(
    action: SyslogAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    if not action.to and config.feeds.syslog is None:
        yield (), "there is no receiver; give to: here or a syslog: section under feeds:"


def _trap_faults(
    _action: TrapAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    if config.feeds.snmp is None or not config.feeds.snmp.receivers:
        yield (), "there is no receiver of traps; add receivers: under feeds: snmp:"


def _webhook_faults(
    action: WebhookAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    names = [one.key for one in config.jobs.webhooks]
    if action.webhook not in names:
        yield ("webhook",), unknown("the webhook", action.webhook, names)


def _remote_faults(
    action: RemoteAction, config: BridgeConfig, _known: Inventory, _devices: tuple[str, ...]
) -> Iterator[Fault]:
    names = [one.key for one in config.jobs.bridges]
    if action.bridge not in names:
        yield ("bridge",), unknown("the bridge", action.bridge, names)


_CHECKS: Mapping[type[Action], Callable[..., Iterator[Fault]]] = {
    AgentAction: _agent_faults,
    CommandAction: _command_faults,
    DatagramAction: _datagram_faults,
    MailAction: _mail_faults,
    RemoteAction: _remote_faults,
    SmsAction: _sms_faults,
    SyslogAction: _syslog_faults,
    TrapAction: _trap_faults,
    WebhookAction: _webhook_faults,
}


# Placeholders


def _placeholder_fault(placeholder: Placeholder, known: Inventory, devices: tuple[str, ...]) -> str | None:
    if placeholder.is_word:
        return None
    if placeholder.device is not None:
        kind = known.kind_of(placeholder.device)
        if kind is None:
            return unknown(f"of the placeholder {placeholder} the device", placeholder.device, known.kinds)
        found = load_catalogue().point(kind, placeholder.key)
        return None if found is not None else unknown_placeholder(placeholder, (kind,))
    if not devices and sum(kind == "ups" for kind in known.kinds.values()) > 1:
        return f"{placeholder} does not say of which device; write it as in {{ups-1:{placeholder.key}}}"
    return None


__all__ = ["Fault", "action_faults", "job_faults", "text_faults"]
