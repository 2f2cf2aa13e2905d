"""An event in one English sentence, in the words in which people read it in the event log."""

from collections.abc import Mapping

from ridethrough.catalogue import Catalogue
from ridethrough.site import Device

from .event import EdgeKind, Event, EventKind

EDGES: Mapping[EdgeKind, str] = {EdgeKind.RAISED: "{name}: begun", EdgeKind.CLEARED: "{name}: over"}
"""As the event entities of Home Assistant say it."""
SYSTEM: Mapping[str, str] = {
    "started": "started, version {version}",
    "stopped": "stopped, version {version}",
    "device_added": "{name} ({device}) added by {actor}",
    "device_changed": "{name} ({device}) changed by {actor}",
    "device_removed": "{name} ({device}) removed by {actor}",
    "acknowledged": "{condition}: {state}, acknowledged by {name} ({actor})",
    "job_log": "{text}",
    "job_syslog": "{text}",
    "mail_sent": "mail: {text}",
    "mail_failed": "mail: {text}",
    "plan_armed": "armed",
    "plan_disarmed": "not armed any more",
    "plan_started": "begins to shut down",
    "plan_stage": "{name}: {state}",
    "plan_script": "{name}: the script {script} is asked: {order}",
    "plan_would_have": "would have begun {stages} ({reason}), but is not armed",
    "plan_committed": "past the point of no return ({reason})",
    "plan_aborted": "called back: {reason}",
    "plan_resumed": "shuts down again: {reason}",
    "plan_down": "everything is over after {seconds} s, stages that failed: {failed}",
    "plan_failed": "{name} is not begun: {problem}",
    "plan_restart_wanted": "is to start again now",
    "plan_restarting": "begins to start again",
    "plan_restarted": "everything has been started, {seconds} s after the beginning; not come back: {absent}",
    "plan_drill_started": "drill begun by {actor}",
    "plan_drill_ended": "drill: {verdict}, report {report}",
    "job_done": "job {job} ({action}): {message}",
    "job_failed": "job {job} ({action}) has failed: {message}",
    "job_dropped": "job {job} ({action}): {message}",
    "events_lost": "{count} events were lost while the journal could not be written",
    "schedule_missed": "{count} run(s) of {name} ({schedule}) were missed, the last one due at {last}",
}
"""What the bridge itself does, with the details of the event in their places."""
BRIDGE = "Bridge"
"""Where an event belongs to no device, it is the bridge's."""


NUMBERED = frozenset({"battery_string", "battery_module", "current_sensor", "io_box"})
"""Parts that are called by their numbers alone: which Block 17 is meant, only the name of its system tells."""


def sentence(event: Event, device: Device | None, catalogue: Catalogue, whole: Device | None = None) -> str:
    """Say what happened: `Rack UPS: On battery: begun`, `Battery room, Block 17: Block voltage too high: begun`.

    `device` is None where the event has none, or one that is gone; its identity stands for it then. `whole` is what the
    device belongs to.
    """
    owner = device.name if device is not None else event.device or BRIDGE
    if device is not None and whole is not None and device.kind in NUMBERED:
        owner = f"{whole.name}, {owner}"
    match event.kind:
        case EventKind.CONDITION:
            said = EDGES.get(event.edge, "{name}").replace("{name}", condition_name(event.key, device, catalogue))
        case EventKind.COMMAND:
            said = _command(event, device, catalogue)
        case EventKind.SYSTEM:
            said = _system(event)
    return f"{owner}: {said}"


def condition_name(key: str, device: Device | None, catalogue: Catalogue) -> str:
    """Return what a condition of a device is called, its key where nobody knows."""
    found = None if device is None else catalogue.condition(device.kind, key)
    if found is None:
        return key
    name = found.name
    for placeholder, value in (found.template.match(key) or {}).items():
        name = name.replace(f"{{{placeholder}}}", value)
    return name


def _command(event: Event, device: Device | None, catalogue: Catalogue) -> str:
    found = None if device is None else catalogue.command(device.kind, event.key)
    said = event.key if found is None else found.name
    if actor := event.details.get("actor"):
        said += f" by {actor}"
    # What the device or the bridge had to say of it is a sentence already.
    if outcome := event.details.get("message") or event.details.get("outcome"):
        said += f": {outcome}"
    return said


def _system(event: Event) -> str:
    try:
        return SYSTEM[event.key].format(**event.details)
    except KeyError:
        # One that this table does not know yet, or without a detail that it names.
        rest = ", ".join(f"{name} {value}" for name, value in event.details.items())
        said = event.key.replace("_", " ")
        return f"{said} ({rest})" if rest else said


__all__ = ["condition_name", "sentence"]
