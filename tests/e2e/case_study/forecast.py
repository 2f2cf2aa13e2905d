"""What a planner would write down before (manual M:3080–3265): when each thing is due, by the outages that come.

Worked out second by second from the hold time at full load and the load of the computers that are still on, with the
bridge's own rule for how load and runtime hang together (M:2738); nothing of the engine or of the plans is used.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ridethrough.logic.autonomy import stretch

from .computers import CASE, COMPUTERS, SCRIPT, keys
from .configuration import ALARM, CHARGED, HOLD, RECHARGE, WARNING, WINDOW, Way

NOTICE, SHUTDOWN, REMAINING, DELAY = 300.0, 480.0, 1800.0, 180.0
"""Seconds on battery, of runtime left, and between the alarm and the last shutdown."""
STABLE = 120.0
LAST = 13.0
_DAY = 86_400

type Outages = Sequence[tuple[float, float]]
"""From when to when mains is away, in seconds after the first failure; the last one may end never (infinity)."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that is due."""

    second: float
    """After power has failed for the first time."""
    key: str
    what: str
    agents: tuple[str, ...]
    when: str
    """The rule, in the manual's words."""


def forecast(
    way: Way, outages: Outages, out_of_reach: Collection[str] = (), off: Collection[str] = ()
) -> list[Planned]:
    """Work out what is due in these outages; computers out of reach stay as they are, which may be `off`."""
    unimportant, important, core = keys("unimportant"), keys("important"), keys("core")
    takes = {model.key: model.takes for model in COMPUTERS}
    on = {model.key for model in COMPUTERS} - set(off)
    down: dict[str, float] = {}
    due: dict[str, Planned] = {}
    charge, counted, back, low = 1.0, 0.0, 0.0, False

    def plan(now: float, key: str, what: str, agents: tuple[str, ...], when: str, shut: float | None = None) -> None:
        if key in due:
            return
        due[key] = Planned(now, key, what, agents, when)
        if shut is not None:
            for agent in agents:
                if agent not in out_of_reach:
                    down.setdefault(agent, now + shut + takes[agent])

    for second in range(_DAY):
        now = float(second)
        battery = any(begin <= now < end for begin, end in outages)
        on -= {key for key, at in down.items() if at <= now}
        load = len(on) / len(COMPUTERS)
        percent = 100.0 * charge
        if battery:
            back = 0.0
            runtime = HOLD * charge * stretch(load)
            plan(now, "tell", "message", tuple(takes), "at once")
            if counted >= NOTICE:
                plan(now, "notice", "message", unimportant, "5 min on battery")
            if counted >= SHUTDOWN:
                plan(now, "unimportant", "shutdown", unimportant, "8 min on battery", 0.0)
            if runtime <= REMAINING:
                plan(now, "important", "shutdown", important, "30 min of runtime left", 0.0)
            if way == "plan":
                if percent <= LAST:
                    plan(now, "core", "shutdown", core, "13 % of charge left", 0.0)
            elif percent < WARNING:
                low = True
                plan(now, "low", "shutdown", unimportant, "40 % of charge left", 0.0)
                if percent < ALARM:
                    plan(now, "database", "script", ("database",), "13 % of charge left", SCRIPT)
                    if now >= due["database"].second + DELAY:
                        plan(now, "core", "shutdown", core[1:], "3 min after that", 0.0)
            counted += 1.0
            charge = max(0.0, charge - 1.0 / (HOLD * stretch(load)))
        else:
            back += 1.0
            counted = counted if back < WINDOW else 0.0
            charge = min(1.0, charge + 1.0 / RECHARGE)
            if 100.0 * charge >= CHARGED and back >= STABLE and (low or (way == "plan" and "unimportant" in due)):
                agents = CASE if way == "jobs" else tuple(key for key in CASE if key in down)
                plan(now, "restart", "start", agents, f"{CHARGED:.0f} % of charge again")
                break
    return sorted(due.values(), key=lambda one: one.second)


__all__ = ["Outages", "Planned", "forecast"]
