"""From the site to what a plan looks at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ridethrough.config.agents import AgentConfig
from ridethrough.config.plans import MemberConfig, PlanConfig
from ridethrough.site import ConditionState, DeviceId, Quality, Site

from .turn import relay
from .view import Power, Seen, UpsView, View

AGENT: Mapping[str, Seen] = {
    "up": Seen.UP,
    "waiting": Seen.WAITING,
    "shutting_down": Seen.GOING,
    "down": Seen.DOWN,
    "lost": Seen.LOST,
}
"""What the states of an agent mean; one that is still connecting, or not paired, is not known."""

type Identify = Callable[[str], DeviceId]
"""Gives the identity of a device by its key."""


def settled(plan: PlanConfig, computers: Iterable[AgentConfig]) -> PlanConfig:
    """Fill in for each agent the times that its own configuration has."""
    known = {computer.key: computer for computer in computers}

    def member(one: MemberConfig) -> MemberConfig:
        computer = known.get(one.key) if one.kind == "agent" else None
        if computer is None:
            return one
        timeout = computer.shutdown_time if one.timeout is None else one.timeout
        start_time = computer.start_time if one.start_time is None else one.start_time
        return replace(one, timeout=timeout, start_time=start_time)

    return replace(
        plan, stages=tuple(replace(stage, members=tuple(map(member, stage.members))) for stage in plan.stages)
    )


def owner(member: MemberConfig) -> str | None:
    """Return the key of the device that a member is, or is a part of; None for a script."""
    match member.kind:
        case "script":
            return None
        case "relay":
            return relay(member.key)[0]
        case _:
            return member.key


def keys(plan: PlanConfig) -> frozenset[str]:
    """Return the keys of the devices that a plan looks at."""
    members = (owner(member) for stage in plan.stages for member in stage.members)
    return frozenset(plan.ups) | frozenset(key for key in members if key is not None)


def survey(plan: PlanConfig, site: Site, identify: Identify, held: frozenset[str] = frozenset()) -> View:
    """Look at the UPSes and the members of a plan."""
    return View(
        {key: ups(site, identify(key)) for key in plan.ups},
        {member.id: seen(site, identify, member) for stage in plan.stages for member in stage.members},
        held,
    )


def ups(site: Site, device: DeviceId) -> UpsView:
    """Look at one UPS: only what is good counts."""
    conditions = site.conditions(device)
    lost = conditions.get("communications_lost")
    battery = _holds(conditions.get("on_battery"))
    if battery is None or (lost is not None and lost.active):
        power = Power.UNKNOWN
    else:
        power = Power.BATTERY if battery else Power.MAINS
    return UpsView(
        power,
        _number(site, device, "battery.runtime"),
        _number(site, device, "battery.charge"),
        frozenset(key for key, state in conditions.items() if state.active and state.quality is Quality.GOOD),
        _tells(site, device, "battery.runtime"),
        _tells(site, device, "battery.charge"),
    )


def seen(site: Site, identify: Identify, member: MemberConfig) -> Seen:
    """Look at one member."""
    key = owner(member)
    if key is None or (device := identify(key)) not in site.devices:
        return Seen.UNKNOWN
    match member.kind:
        case "agent":
            reading = site.reading(device, "agent.state")
            return AGENT.get(str(reading.value), Seen.UNKNOWN) if reading is not None and reading.good else Seen.UNKNOWN
        case "outlet":
            return _on(site.conditions(device).get("outlet_on"))
        case "ups":
            return _ups_member(site.conditions(device))
        case _:
            found = site.reading(device, f"output.{relay(member.key)[1]:.0f}")
            if found is None or found.quality is Quality.UNSUPPORTED:
                return Seen.UNKNOWN
            return Seen.LOST if not found.good else Seen.UP if found.value else Seen.DOWN


def _ups_member(conditions: Mapping[str, ConditionState]) -> Seen:
    battery = conditions.get("on_battery")
    if battery is None:
        return Seen.UNKNOWN
    if battery.quality is not Quality.GOOD:
        return Seen.LOST
    if _holds(conditions.get("shutdown_pending")):
        return Seen.GOING
    # One that answers and does not tell of its output is taken as feeding its load.
    return Seen.DOWN if _holds(conditions.get("output_active")) is False else Seen.UP


def _on(state: ConditionState | None) -> Seen:
    if state is None:
        return Seen.UNKNOWN
    if state.quality is not Quality.GOOD:
        return Seen.LOST
    return Seen.UP if state.active else Seen.DOWN


def _holds(state: ConditionState | None) -> bool | None:
    return None if state is None or state.quality is not Quality.GOOD else state.active


def _number(site: Site, device: DeviceId, key: str) -> float | None:
    reading = site.reading(device, key)
    if reading is None or not reading.good or isinstance(reading.value, bool | str | None):
        return None
    return float(reading.value)


def _tells(site: Site, device: DeviceId, key: str) -> bool:
    reading = site.reading(device, key)
    return reading is not None and reading.quality is not Quality.UNSUPPORTED


__all__ = ["AGENT", "Identify", "keys", "owner", "seen", "settled", "survey", "ups"]
