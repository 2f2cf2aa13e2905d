"""The actions that have a form of their own, and what of the catalogue each of them asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from homeassistant.helpers import config_validation as cv
import probatio

from .wire import Value

type Asked = tuple[str, dict[str, Value]]
"""A command of the catalogue, and its arguments."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action for all targets that have its command."""

    name: str
    fields: Mapping[probatio.Marker, Any]
    asked: Callable[[Mapping[str, Any]], tuple[Asked, ...]]
    """Turns what was filled in into a command, or into several of which each kind of device knows another."""
    of_bridge: bool = False
    """Whether it is the bridge's own, so that no target need be named where there is only one bridge."""
    single: bool = False
    """Whether it must be for one device: of a whole battery system it would overwrite what each block has."""


def _shutdown(data: Mapping[str, Any]) -> tuple[Asked, ...]:
    times = {name: data[name] for name in ("delay", "restore") if name in data}
    if data["type"] == "outputs":
        return (("outputs.off", times),)
    if data["restart"]:
        return (("shutdown.return", times),)
    times.pop("restore", None)
    return (("shutdown.stayoff", times),)


def _test_battery(data: Mapping[str, Any]) -> tuple[Asked, ...]:
    if data["mode"] == "timed":
        return (("test.battery.start", {"duration": data["minutes"]} if "minutes" in data else {}),)
    return ((f"test.battery.start.{data['mode']}", {}),)


def _set_output(data: Mapping[str, Any]) -> tuple[Asked, ...]:
    return (("output.set", {"number": data["number"], "state": int(data["state"])}),)


def _send_message(data: Mapping[str, Any]) -> tuple[Asked, ...]:
    # Without names, the bridge tells all its agents.
    return ("job.message", {"text": data["text"]}), ("agent.message", {"text": data["text"]})


def _datagram(data: Mapping[str, Any]) -> tuple[Asked, ...]:
    return (("job.datagram", {"restored": int(data["restored"])}),)


def _as_filled_in(command: str, fields: frozenset[str], data: Mapping[str, Any]) -> tuple[Asked, ...]:
    return ((command, {name: data[name] for name in data if name in fields}),)


def _action(name: str, command: str, /, **fields: Any) -> Action:
    """Make an action whose fields are the command's arguments; what may be left out has the catalogue's default."""
    named = {_marker(key, check): check for key, check in fields.items()}
    ask = partial(_as_filled_in, command, frozenset(fields))
    return Action(name, named, ask, of_bridge=command.startswith("job."))


def _marker(name: str, check: Any) -> probatio.Marker:
    return probatio.Optional(name) if isinstance(check, _Optional) else probatio.Required(name)


@dataclass(frozen=True, slots=True)
class _Optional:
    """Marks a field that may be left out."""

    check: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        """Check a value."""
        return self.check(value)


def _addresses(value: Any) -> str:
    """Accept addresses as a list, or as one text in which commas separate them."""
    return ", ".join(cv.string(item) for item in value) if isinstance(value, list) else cv.string(value)


MAYBE_TEXT: Final = _Optional(cv.string)
MAYBE_NUMBER: Final = _Optional(cv.positive_int)

ACTIONS: Final = (
    # Of a UPS or an I/O box
    Action(
        "shutdown",
        {
            probatio.Optional("type", default="ups"): probatio.In(["ups", "outputs"]),
            probatio.Optional("delay"): cv.positive_int,
            probatio.Optional("restart", default=True): cv.boolean,
            probatio.Optional("restore"): cv.positive_int,
        },
        _shutdown,
    ),
    Action(
        "test_battery",
        {
            probatio.Optional("mode", default="quick"): probatio.In(["quick", "timed", "deep"]),
            probatio.Optional("minutes"): cv.positive_int,
        },
        _test_battery,
    ),
    Action(
        "set_output",
        {probatio.Required("number"): cv.positive_int, probatio.Required("state"): cv.boolean},
        _set_output,
    ),
    # Of battery systems, their strings and blocks
    _action("find_block", "module.find"),
    _action("stop_blinking", "module.release"),
    _action("measure_impedance", "impedance.measure"),
    _action("set_baseline", "baseline.set"),
    _action("clear_baseline", "baseline.clear"),
    _action("pause_equalizing", "equalizing.pause", duration=cv.positive_int),
    _action("resume_equalizing", "equalizing.resume"),
    _action("test_breaker", "breaker.test"),
    _action("release_breaker", "breaker.reset"),
    replace(_action("note_block", "inventory.note", column=cv.positive_int, text=cv.string), single=True),
    # Of shutdown agents
    Action("send_message", {probatio.Required("text"): cv.string}, _send_message, of_bridge=True),
    _action("run_program", "agent.execute", program=cv.string),
    _action("shutdown_agent", "agent.shutdown", delay=MAYBE_NUMBER, reason=MAYBE_TEXT),
    _action("withdraw_shutdown", "agent.wakeup"),
    _action("drill_agent", "agent.drill"),
    _action("start_agent", "agent.start"),
    # Of plans
    _action("plan_arm", "plan.arm"),
    _action("plan_disarm", "plan.disarm"),
    _action("plan_run", "plan.run"),
    _action("plan_abort", "plan.abort"),
    _action("plan_restart", "plan.restart"),
    _action("plan_drill", "plan.drill"),
    _action("plan_answer", "plan.answer", script=cv.string, problem=MAYBE_TEXT),
    # Of the bridge itself
    _action("run_job", "job.run", job=cv.string),
    _action("log_entry", "job.log", text=cv.string),
    _action("send_mail", "job.mail", to=_Optional(_addresses), subject=cv.string, text=MAYBE_TEXT),
    _action("send_mail_trap", "job.mail_trap", to=_Optional(_addresses)),
    Action("send_datagram", {probatio.Required("restored"): cv.boolean}, _datagram, of_bridge=True),
    _action("wake_on_lan", "job.wake_on_lan", mac=cv.string, address=MAYBE_TEXT, port=_Optional(cv.port)),
    _action("send_sms", "job.sms", to=_addresses, text=cv.string),
    _action("send_syslog", "job.syslog", text=cv.string),
    _action("call_webhook", "job.webhook", name=cv.string),
)
"""The bounds of numbers and texts are the bridge's: it says what a device permits."""
