"""What may stand under plans: in the configuration file, and whether such a plan can work.

What a plan says of itself is checked with it; whether the devices that it names exist and grant it what it needs, when
the whole file is known.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import re
from typing import TYPE_CHECKING, Any

import voluptuous as vol

from ridethrough.catalogue import load_catalogue

from .actions import Action
from .document import Tree
from .plan_graph import before, behind, cycle
from .plans import MemberConfig, PlanConfig, RestartConfig, StageConfig, Trigger
from .units import Measure
from .values import boolean, each, groups_of, measure, number, section, show, slug, text, unknown

if TYPE_CHECKING:
    from .model import BridgeConfig

SECTION = "plans"
STAGES = "stages"
MEMBERS = "members"
KINDS = ("agent", "outlet", "relay", "script", "ups")
STARTS = ("wake", "power_cycle", "none")
FAILURES = ("go_on", "wait", "stop")
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
WAIT = Measure(UNITS, 0.0, 86_400.0)
"""Seconds on battery, of a notice, of uninterrupted power."""
TIME = Measure(UNITS, 1.0, 86_400.0)
"""Seconds of runtime, and that something may take."""

_OUTLET = re.compile(r"[a-z0-9][a-z0-9-]*/outlet-[A-Za-z0-9_.-]+")
_RELAY = re.compile(r"[a-z0-9][a-z0-9-]*/output-[1-9]\d?")
_SCRIPT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PATTERNS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "outlet": (_OUTLET, "an outlet, like ups-1/outlet-2"),
    "relay": (_RELAY, "the output of an I/O box, like io-1/output-2"),
    "script": (_SCRIPT, "the name of a script: small letters, digits, hyphens and underscores"),
}
_GROUPS: Mapping[str, str] = {"outlet": "outlet", "relay": "output", "ups": "shutdown"}
"""The command group that a member's device must grant."""

type Place = list[str | int]
type Check = Callable[[Tree], object]


# Shapes


def plans(action: Callable[[Tree], Action] | None = None) -> Callable[[Tree], tuple[PlanConfig, ...]]:
    """Make what checks the section; `action` checks one of those that a stage does before its members are told."""
    stage: dict[vol.Marker, Check] = {
        vol.Required("id"): slug,
        vol.Optional("name"): text,
        vol.Optional("agents"): _words(slug),
        vol.Optional(MEMBERS): each(member),
        vol.Optional("when"): _TRIGGER,
        vol.Optional("after"): _words(slug),
        vol.Optional("announce"): measure(WAIT),
        vol.Optional("text"): text,
        vol.Optional("timeout"): measure(TIME),
        vol.Optional("on_failure"): _one_of(FAILURES),
        vol.Optional("point_of_no_return"): boolean,
    }
    if action is not None:
        stage[vol.Optional("before")] = each(action)
    plan = section(
        {
            vol.Required("id"): slug,
            vol.Optional("name"): text,
            vol.Required("ups"): _words(slug),
            vol.Optional("need"): _count,
            vol.Required(STAGES): each(section(stage, _stage)),
            vol.Optional("restart"): _RESTART,
            vol.Optional("allow"): groups_of("plan"),
        },
        _plan,
    )
    return each(plan)


def member(value: Tree) -> MemberConfig:
    """Check one member: the id of an agent, or a section that begins with what it is."""
    if isinstance(value, str):
        return MemberConfig("agent", slug(value))
    return _MEMBER(value)


def _member(values: dict[str, Any]) -> MemberConfig:
    given = [kind for kind in KINDS if kind in values]
    if len(given) != 1:
        raise vol.Invalid(f"must have exactly one of {', '.join(KINDS)}")
    kind = given[0]
    outlet = values.pop("fed_by", None)
    found = MemberConfig(kind=kind, key=values.pop(kind), outlet=outlet, **values)  # type: ignore[arg-type]  # one of KINDS
    if found.start == "power_cycle" and kind != "agent":
        raise vol.Invalid("power_cycle is for agents; others are switched on", path=["start"])
    if found.outlet is not None and found.start != "power_cycle":
        raise vol.Invalid("is the outlet of an agent that is started by power_cycle; write start: too", path=["fed_by"])
    return found


def _key(kind: str) -> Callable[[Tree], str]:
    pattern, said = _PATTERNS[kind]

    def check(value: Tree) -> str:
        if not isinstance(value, str) or len(value) > 128 or pattern.fullmatch(value) is None:
            raise vol.Invalid(f"must be {said}, not {show(value)}")
        return value

    return check


def _words(check: Callable[[Tree], str]) -> Callable[[Tree], tuple[str, ...]]:
    """Check a list, or a single one."""

    def checked(value: Tree) -> tuple[str, ...]:
        found = each(check)([value] if isinstance(value, str) else value)
        for index, one in enumerate(found):
            if one in found[:index]:
                raise vol.Invalid(f"{one} stands twice", path=[index])
        return found

    return checked


def _one_of(permitted: tuple[str, ...]) -> Callable[[Tree], str]:
    def check(value: Tree) -> str:
        if not isinstance(value, str) or value not in permitted:
            raise vol.Invalid(f"must be {', '.join(permitted[:-1])} or {permitted[-1]}, not {show(value)}")
        return value

    return check


def _count(value: Tree) -> int:
    found = number(value)
    if found < 1 or found != round(found):
        raise vol.Invalid(f"must be how many UPSes must have failed, 1 or more, not {show(value)}")
    return round(found)


def _percent(value: Tree) -> float:
    found = number(value.rstrip("% ") if isinstance(value, str) else value)
    if not 0.0 <= found <= 100.0:
        raise vol.Invalid(f"must be a charge from 0 to 100 %, not {show(value)}")
    return found


def _condition(value: Tree) -> str:
    key = text(value)
    if load_catalogue().condition("ups", key) is None:
        known = [row.key for row in load_catalogue().conditions if "ups" in row.kinds]
        raise vol.Invalid(unknown("the condition of a UPS", key, known))
    return key


_MEMBER = section(
    {
        vol.Optional("agent"): slug,
        vol.Optional("outlet"): _key("outlet"),
        vol.Optional("relay"): _key("relay"),
        vol.Optional("script"): _key("script"),
        vol.Optional("ups"): slug,
        vol.Optional("start"): _one_of(STARTS),
        vol.Optional("fed_by"): _key("outlet"),
        vol.Optional("timeout"): measure(TIME),
        vol.Optional("start_time"): measure(TIME),
    },
    _member,
)
_TRIGGER = section(
    {
        vol.Optional("on_battery"): measure(WAIT),
        vol.Optional("runtime"): measure(TIME),
        vol.Optional("charge"): _percent,
        vol.Optional("conditions"): _words(_condition),
    },
    lambda values: Trigger(**values),
)
_RESTART = section(
    {
        vol.Optional("enabled"): boolean,
        vol.Optional("stable"): measure(WAIT),
        vol.Optional("charge"): _percent,
        vol.Optional("runtime"): measure(WAIT),
    },
    lambda values: RestartConfig(**values),
)


def _stage(values: dict[str, Any]) -> StageConfig:
    values["key"] = values.pop("id")
    values.setdefault("name", values["key"])
    agents = tuple(MemberConfig("agent", key) for key in values.pop("agents", ()))
    values[MEMBERS] = agents + values.get(MEMBERS, ())
    values["trigger"] = values.pop("when", Trigger())
    stage = StageConfig(**values)
    if not stage.members and not stage.before:
        raise vol.Invalid("has nothing to do; give it agents, members or before")
    if stage.announce and not any(one.kind == "agent" for one in stage.members):
        raise vol.Invalid("has no agents whose users could be told", path=["announce"])
    return stage


# Whether a plan can work


def _plan(values: dict[str, Any]) -> PlanConfig:
    values["key"] = values.pop("id")
    values.setdefault("name", values["key"])
    plan = PlanConfig(**values)
    if not plan.ups:
        raise vol.Invalid("must name a UPS at least", path=["ups"])
    if not plan.stages:
        raise vol.Invalid("must have a stage at least", path=[STAGES])
    if plan.need > len(plan.ups):
        raise vol.Invalid(f"is more than the {len(plan.ups)} UPSes of the plan", path=["need"])
    errors = list(_names(plan))
    if not errors:
        errors = [*_members(plan), *_order(plan)]
    if errors:
        raise vol.MultipleInvalid(errors)
    return plan


def _names(plan: PlanConfig) -> Iterator[vol.Invalid]:
    keys = [stage.key for stage in plan.stages]
    for index, stage in enumerate(plan.stages):
        if stage.key in keys[:index]:
            yield _at(index, "id", f"{stage.key} is another stage's already")
        for place, key in enumerate(stage.after):
            if key == stage.key:
                yield _at(index, "after", "a stage cannot come after itself", place)
            elif key not in keys:
                yield _at(index, "after", unknown("the stage", key, keys), place)
    around = cycle(plan.stages)
    if around is not None and len(around) > 2:
        yield vol.Invalid(f"they wait for one another and none could ever begin: {' → '.join(around)}", path=[STAGES])


def _members(plan: PlanConfig) -> Iterator[vol.Invalid]:
    taken: dict[str, StageConfig] = {}
    cycled = any(one.kind == "ups" for stage in plan.stages for one in stage.members)
    for index, stage in enumerate(plan.stages):
        for one in stage.members:
            if one.id in taken:
                yield _at(index, MEMBERS, f"{one.key} is shut down by the stage {taken[one.id].key} already")
            taken.setdefault(one.id, stage)
            if one.kind == "ups" and one.key not in plan.ups:
                yield _at(index, MEMBERS, unknown("the UPS of this plan", one.key, plan.ups))
            if one.start == "power_cycle" and one.outlet is None and not cycled:
                message = (
                    f"{one.key} starts by power_cycle, but has no fed_by: with its outlet, and no stage of the plan "
                    "switches its UPS off and on"
                )
                yield _at(index, MEMBERS, message)


def _order(plan: PlanConfig) -> Iterator[vol.Invalid]:
    """Find stages that contradict the order, or could never begin."""
    places = {stage.key: index for index, stage in enumerate(plan.stages)}
    triggered = any(_has(stage.trigger) for stage in plan.stages)
    reachable = _reachable(plan)
    for index, stage in enumerate(plan.stages):
        first, then = before(plan.stages, stage.key), behind(plan.stages, stage.key)
        others = [key for key in places if key != stage.key and key not in first]
        if any(one.kind == "ups" for one in stage.members):
            early = [key for key in others if not any(one.kind == "ups" for one in plan.stages[places[key]].members)]
            if early:
                yield _at(index, "after", f"it switches a UPS off, so it must come after {' and '.join(early)} too")
        elif stage.point_of_no_return and (loose := [key for key in others if key not in then]):
            message = f"nothing is called back from here on, so {' and '.join(loose)} must come before or after it"
            yield _at(index, "point_of_no_return", message)
        later = [plan.stages[places[key]] for key in sorted(then, key=places.__getitem__)]
        if triggered and stage.key not in reachable:
            message = (
                "it can never begin: it has no trigger, no stage with one comes after it, and none before it is the "
                "point of no return"
            )
            yield _at(index, "when", message)
        for one in later:
            if _has(stage.trigger) and _earlier(one.trigger, stage.trigger):
                message = f"it is never reached: {one.key}, which comes after it, begins it earlier"
                yield _at(index, "when", message)
                break
    charges = [stage.trigger.charge for stage in plan.stages if stage.trigger.charge is not None]
    if charges and plan.restart.enabled and plan.restart.charge <= max(charges):
        message = f"must be more than {max(charges):g} %, at which a stage is shut down: it would be so again at once"
        yield vol.Invalid(message, path=["restart", "charge"])


def _reachable(plan: PlanConfig) -> frozenset[str]:
    """Return the stages that begin at some time: by a trigger, for one after them, or past the point of no return."""
    found = {stage.key for stage in plan.stages if _has(stage.trigger)}
    found |= {first for key in tuple(found) for first in before(plan.stages, key)}
    if any(stage.final and stage.key in found for stage in plan.stages):
        return frozenset(stage.key for stage in plan.stages)
    return frozenset(found)


def _has(trigger: Trigger) -> bool:
    return trigger != Trigger()


def _earlier(one: Trigger, other: Trigger) -> bool:
    """Whether a trigger is always reached before every part of another is."""
    if other.conditions and not set(other.conditions) <= set(one.conditions):
        return False
    pairs = (
        (one.on_battery, other.on_battery, True),
        (one.runtime, other.runtime, False),
        (one.charge, other.charge, False),
    )
    sooner = [
        mine is not None and (mine < its if rising else mine > its) for mine, its, rising in pairs if its is not None
    ]
    return bool(sooner) and all(sooner)


def _at(stage: int, key: str, message: str, *further: int) -> vol.Invalid:
    return vol.Invalid(message, path=[STAGES, stage, key, *further])


# Whether it goes with the rest of the file


def check_plans(config: BridgeConfig) -> None:
    """Check what plans name and need of other sections. Raises vol.MultipleInvalid with all that is wrong."""
    errors: list[vol.Invalid] = []
    keys = [plan.key for plan in config.plans]
    for index, plan in enumerate(config.plans):
        if plan.key in keys[:index]:
            errors.append(vol.Invalid(f"{plan.key} is another plan's already", path=[SECTION, index, "id"]))
        for error in (*_upses(config, plan), *_grants(config, plan)):
            error.prepend([SECTION, index])
            errors.append(error)
    if errors:
        raise vol.MultipleInvalid(errors)


def _upses(config: BridgeConfig, plan: PlanConfig) -> Iterator[vol.Invalid]:
    known = {one.key: one for one in config.ups}
    for index, key in enumerate(plan.ups):
        if key not in known:
            yield vol.Invalid(unknown("the UPS", key, known), path=["ups", index])
    watched = [known[key] for key in plan.ups if key in known]
    limits = {f"threshold.{one.key}.{level}" for ups in watched for one in ups.thresholds for level in _levels(one)}
    for index, stage in enumerate(plan.stages):
        for condition in stage.trigger.conditions:
            if condition.startswith("threshold.") and condition not in limits:
                message = unknown("the threshold of its UPSes", condition, sorted(limits))
                yield vol.Invalid(message, path=[STAGES, index, "when", "conditions"])


def _levels(threshold: Any) -> Iterable[str]:
    return (level for level in ("warning", "alarm") if getattr(threshold, level) is not None)


def _grants(config: BridgeConfig, plan: PlanConfig) -> Iterator[vol.Invalid]:
    agents = {one.key: one for one in config.agents.computers}
    devices = {one.key: one for one in config.devices}
    for index, stage in enumerate(plan.stages):
        for one in stage.members:
            if one.kind == "script":
                continue
            if one.kind == "agent":
                if one.key not in agents:
                    yield _at(index, MEMBERS, unknown("the agent", one.key, agents))
                    continue
                groups = {"shutdown"} | ({"message"} if stage.announce else set())
                groups |= {"start"} if one.start != "none" and one.outlet is None else set()
                for group in sorted(groups - agents[one.key].allow):
                    yield _at(index, MEMBERS, f"the agent {one.key} does not grant {group}; see allow: there")
            else:
                yield from _granted(devices, index, one.key, _GROUPS[one.kind])
            if one.outlet is not None:
                yield from _granted(devices, index, one.outlet, "outlet")


def _granted(devices: Mapping[str, Any], stage: int, key: str, group: str) -> Iterator[vol.Invalid]:
    owner = key.partition("/")[0]
    if owner not in devices:
        yield _at(stage, MEMBERS, unknown("the device", owner, devices))
    elif group not in devices[owner].allow:
        yield _at(stage, MEMBERS, f"{owner} does not grant {group}, which {key} needs; see allow: there")


__all__ = ["SECTION", "check_plans", "plans"]
