"""What can be meant but probably is not: jobs that contradict or undo one another, or that come too late.

Pure. Each rule is one of the warnings of the manual's case study (M:2783, M:3028–3293); nothing here keeps the bridge
from running.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
import itertools

from ridethrough.catalogue import load_catalogue

from .actions import (
    Action,
    AgentAction,
    CommandAction,
    LogAction,
    MailAction,
    SmsAction,
    WakeOnLanAction,
    WebhookAction,
)
from .device import Limits
from .document import Place
from .effects import OPPOSITE, RUNNING, STOPPING, Effect, Happening, coincide, effects, happenings
from .inventory import BRIDGE, Inventory, inventory
from .jobs import Edge, JobConfig, Repeat, Timing, When
from .model import BridgeConfig
from .references import Fault

FAST = 60.0
"""Seconds; people are not told more often."""
LAST_SIGNS = frozenset({"battery_low", "battery_depleted", "shutdown_imminent"})
"""What a UPS says when it may switch off at any moment (manual M:3230)."""
_COUNTERS = frozenset({Timing.ON_BATTERY, Timing.REMAINING})


@dataclass(frozen=True, slots=True)
class _Job:
    """A job that is switched on, with what it comes to."""

    place: Place
    config: JobConfig
    happenings: frozenset[Happening]
    effects: frozenset[Effect]

    @property
    def key(self) -> str:
        return self.config.key


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that the rules look at."""

    config: BridgeConfig
    known: Inventory
    jobs: tuple[_Job, ...]
    scheduled: frozenset[Effect]
    """What the schedule does."""
    now: datetime | None


def advice(config: BridgeConfig, now: datetime | None = None) -> tuple[Fault, ...]:
    """Say what of the jobs is probably not meant, with where it stands; `now` is the local time, if it matters."""
    known = inventory(config)
    jobs = tuple(
        _Job(
            ("jobs", "events", index),
            job,
            happenings(job.causes, known),
            effects(job.action, job.causes, config, known),
        )
        for index, job in enumerate(config.jobs.jobs)
        if job.enabled
    )
    scheduled = frozenset(
        effect for one in config.jobs.schedule if one.enabled for effect in effects(one.action, (), config, known)
    )
    plan = _Plan(config, known, jobs, scheduled, now)
    return tuple(found for rule in _RULES for found in rule(plan))


# Jobs of one event


def _same(plan: _Plan) -> Iterator[Fault]:
    for first, second in itertools.combinations(plan.jobs, 2):
        one, other = first.config, second.config
        if one.action == other.action and one.when == other.when and coincide(first.happenings, second.happenings):
            yield second.place, f"{second.key} does the same as {first.key} for the same event: it is done twice"


def _contradict(plan: _Plan) -> Iterator[Fault]:
    for first, second in itertools.combinations(plan.jobs, 2):
        if not coincide(first.happenings, second.happenings):
            continue
        if both := sorted({effect.device for effect in first.effects if effect.undone in second.effects}):
            yield (
                second.place,
                (f"{second.key} undoes what {first.key} does to {', '.join(both)}, and both are for the same event"),
            )


def _levels(plan: _Plan) -> Iterator[Fault]:
    """Warn of a warning and an alarm of one threshold that switch one thing in opposite ways: both may be raised."""
    for first, second in itertools.combinations(plan.jobs, 2):
        both = sorted({effect.device for effect in first.effects if effect.undone in second.effects})
        if not both:
            continue
        for key, condition, edge in first.happenings:
            base, _, level = condition.rpartition(".")
            other = {"warning": "alarm", "alarm": "warning"}.get(level)
            if condition.startswith("threshold.") and (key, f"{base}.{other}", edge) in second.happenings:
                yield (
                    second.place,
                    (
                        f"{second.key} undoes what {first.key} does to {', '.join(both)}: the warning and the alarm of "
                        f"{base.removeprefix('threshold.')} switch it in opposite ways, and the value passes both"
                    ),
                )


def _flap(plan: _Plan) -> Iterator[Fault]:
    """Warn of what is stopped below a level and started above one that is no higher (manual M:3020)."""
    for stop, start in itertools.permutations(plan.jobs, 2):
        both = sorted(
            {one.device for one in stop.effects if not one.on and one.what == RUNNING and one.undone in start.effects}
        )
        if not both:
            continue
        for key, condition, edge in stop.happenings:
            low = _limit(plan, key, condition)
            if edge is not Edge.RAISED or low is None or low[1].low is None:
                continue
            point, limits, hysteresis = low
            for other, name, way in start.happenings:
                high = _limit(plan, other, name)
                if other != key or high is None or high[0] != point:
                    continue
                if way is Edge.RAISED and high[1].high is not None and limits.low is not None:
                    if high[1].high <= limits.low:
                        yield (
                            start.place,
                            (
                                f"{start.key} starts {', '.join(both)} at a {point} of {high[1].high:g}, which is not above "
                                f"the {limits.low:g} at which {stop.key} stops it: they would go on and off"
                            ),
                        )
                elif way is Edge.CLEARED and name == condition and not hysteresis:
                    yield (
                        start.place,
                        (
                            f"{start.key} starts {', '.join(both)} as soon as the {point} is {limits.low:g} again, at "
                            f"which {stop.key} stops it: give the threshold a hysteresis"
                        ),
                    )


def _limit(plan: _Plan, key: str, condition: str) -> tuple[str, Limits, float] | None:
    """Return the point, the limits and the hysteresis of a threshold's condition."""
    for one in plan.known.thresholds.get(key, ()):
        for level, limits in (("warning", one.warning), ("alarm", one.alarm)):
            if limits is not None and condition == f"threshold.{one.key}.{level}":
                return one.point, limits, one.hysteresis
    return None


def _not_undone(plan: _Plan) -> Iterator[Fault]:
    """Warn of what is switched and never switched back (manual M:2468): it stays so when the event is over."""
    everything = plan.scheduled.union(*(job.effects for job in plan.jobs))
    for job in plan.jobs:
        for effect in sorted(job.effects, key=lambda one: (one.device, one.what)):
            if (
                effect.what == RUNNING
                or effect.undone in everything
                or not isinstance(job.config.action, CommandAction)
            ):
                continue
            if job.config.action.command in STOPPING:
                continue
            yield (
                job.place,
                (
                    f"nothing undoes what {job.key} does to {effect.device}: it stays so when the event is over; add a job "
                    f"with edge: {OPPOSITE[_edge(job)]} for the way back"
                ),
            )


def _edge(job: _Job) -> Edge:
    return job.config.causes[0].edge


# Timing


def _starts(action: Action) -> bool:
    return isinstance(action, WakeOnLanAction) or (isinstance(action, AgentAction) and action.verb == "start")


def _early_start(plan: _Plan) -> Iterator[Fault]:
    """Warn of starting everything with an empty battery (manual M:2775): the next outage comes before it is charged."""
    for job in plan.jobs:
        returned = any(name == "on_battery" and edge is Edge.CLEARED for _, name, edge in job.happenings)
        if returned and _starts(job.config.action) and job.config.when.timing is Timing.AT_ONCE:
            yield (
                (*job.place, "when"),
                (
                    f"{job.key} starts computers as soon as power returns, with a battery that the outage has emptied; wait "
                    f"for it to be charged, by {{after: …}} or a threshold of battery.charge"
                ),
            )


def _repeated_start(plan: _Plan) -> Iterator[Fault]:
    for job in plan.jobs:
        when = job.config.when
        period = when.seconds if when.timing is Timing.EVERY else when.repeat
        if _starts(job.config.action) and period is not None:
            yield (
                (*job.place, "when"),
                (
                    f"{job.key} starts computers every {_seconds(period)}: whoever switches one off has it "
                    f"running again soon after; start them once"
                ),
            )


def _counter_event(plan: _Plan) -> Iterator[Fault]:
    """Warn of timings that make no sense for the end of something."""
    for job in plan.jobs:
        if any(cause.edge is Edge.RAISED for cause in job.config.causes):
            continue
        place = (*job.place, "when")
        if job.config.when.timing is Timing.EVERY:
            yield place, f"{job.key} is repeated from the end of the event until it begins again, which may be months"
        elif job.config.when.timing in _COUNTERS and all(name == "on_battery" for _, name, _ in job.happenings):
            yield (
                place,
                f"{job.key} waits for power to be out, but is for the event that it has returned: it is never done",
            )


def _restarting_clock(plan: _Plan) -> Iterator[Fault]:
    """Warn of a clock that begins anew with each short outage, while the battery empties (manual M:3165)."""
    for job in plan.jobs:
        outage = any(name == "on_battery" and edge is Edge.RAISED for _, name, edge in job.happenings)
        if outage and job.config.when.timing is Timing.AFTER and not job.config.action.informs:
            seconds = _seconds(job.config.when.seconds)
            yield (
                (*job.place, "when"),
                (
                    f"{job.key} counts anew each time power returns for a moment, while the battery goes on emptying; "
                    f"{{on_battery: {seconds}}} counts on over short returns"
                ),
            )


def _last_moment(plan: _Plan) -> Iterator[Fault]:
    """Warn of computers that are shut down only when the UPS may switch off at any moment."""
    early: set[str] = set()
    late: dict[str, _Job] = {}
    for job in plan.jobs:
        stopped = {one.device for one in job.effects if one.what == RUNNING and not one.on}
        names = {name for _, name, edge in job.happenings if edge is Edge.RAISED}
        if names and names <= LAST_SIGNS:
            late |= dict.fromkeys(stopped, job)
        else:
            early |= stopped
    planned = {member.key for one in plan.config.plans for stage in one.stages for member in stage.members}
    for device, job in late.items():
        if device not in early | planned:
            yield (
                job.place,
                (
                    f"{device} is shut down only when the UPS says that its battery is at its end, and it may switch off at "
                    f"any moment then; add a job at {{remaining: …}} or of a threshold of battery.charge"
                ),
            )


def _ups_first(plan: _Plan) -> Iterator[Fault]:
    """Warn of a UPS that is told to switch off before its computers are down."""
    times = {agent.key: agent.shutdown_time for agent in plan.config.agents.computers}
    for off, down in itertools.permutations(plan.jobs, 2):
        action, other = off.config.action, down.config.action
        if not isinstance(action, CommandAction) or action.command not in STOPPING:
            continue
        if not isinstance(other, AgentAction) or other.verb != "shutdown":
            continue
        if not coincide(off.happenings, down.happenings):
            continue
        gap = _between(down.config.when, off.config.when)
        if gap is None:
            continue
        power = gap + float(action.arguments.get("delay", _default(action)))
        for agent in other.agents or tuple(times):
            if power < other.delay + times.get(agent, 0.0):
                yield (
                    off.place,
                    (
                        f"{off.key} takes the power away {_seconds(max(0.0, power))} after {down.key} has told {agent} to "
                        f"shut down, which may take {_seconds(other.delay + times.get(agent, 0.0))}"
                    ),
                )
                break


def _between(first: When, second: When) -> float | None:
    """Return how many seconds the second comes after the first; None where that cannot be told."""
    if second.timing is Timing.REMAINING and first.timing is Timing.REMAINING:
        return first.seconds - second.seconds
    forwards = {Timing.AT_ONCE, Timing.EVERY}
    begin = 0.0 if first.timing in forwards else first.seconds
    end = 0.0 if second.timing in forwards else second.seconds
    if {first.timing, second.timing} <= forwards | {Timing.AFTER, Timing.ON_BATTERY}:
        return end - begin
    return None


def _default(action: CommandAction) -> float:
    for command in load_catalogue().commands:
        if command.key == action.command:
            for argument in command.arguments:
                if argument.name == "delay" and isinstance(argument.default, int | float):
                    return float(argument.default)
    return 0.0


def _withdrawn(plan: _Plan) -> Iterator[Fault]:
    """Warn of a shutdown that is not withdrawn from computers with two UPSes (manual M:2487): the second one kills."""
    fed_by_two = {agent.key for agent in plan.config.agents.computers if len(agent.supplies) > 1}
    started = {one.device for job in plan.jobs for one in job.effects if one.what == RUNNING and one.on}
    for job in plan.jobs:
        stopped = {one.device for one in job.effects if one.what == RUNNING and not one.on}
        if missing := sorted((stopped & fed_by_two) - started):
            yield (
                job.place,
                (
                    f"nothing withdraws the shutdown that {job.key} gives {', '.join(missing)}, fed by several UPSes: when "
                    f"another one fails later, it shuts down at once; add a job with edge: cleared and verb: wakeup"
                ),
            )


def _flood(plan: _Plan) -> Iterator[Fault]:
    for job in plan.jobs:
        when = job.config.when
        told = isinstance(job.config.action, MailAction | SmsAction | WebhookAction | LogAction)
        period = when.seconds if when.timing is Timing.EVERY else when.repeat
        if told and period is not None and period < FAST:
            yield (*job.place, "when"), f"{job.key} tells people {3600 / period:.0f} times an hour"


# What is never done, and what others can read


def _disabled(plan: _Plan) -> Iterator[Fault]:
    for job in plan.jobs:
        owners = {plan.known.owner_of(key) for key, _, _ in job.happenings if key != BRIDGE}
        if owners and owners <= plan.known.disabled:
            yield (*job.place, "on"), f"{job.key} is never done, as {', '.join(sorted(owners))} is switched off"
    entries: list[tuple[Place, str, Action]] = [(job.place, job.key, job.config.action) for job in plan.jobs]
    entries += [
        (("jobs", "schedule", index), one.key, one.action)
        for index, one in enumerate(plan.config.jobs.schedule)
        if one.enabled
    ]
    for place, key, action in entries:
        named: tuple[str, ...] = (action.device,) if isinstance(action, CommandAction) else ()
        named = action.agents if isinstance(action, AgentAction) else named
        for device in named:
            if device and plan.known.owner_of(device) in plan.known.disabled:
                yield (*place, "do"), f"{key} commands {device}, which is switched off (enabled: no)"


def _over(plan: _Plan) -> Iterator[Fault]:
    for index, one in enumerate(plan.config.jobs.schedule):
        if plan.now is not None and one.enabled and one.repeat is Repeat.ONCE and one.start < plan.now:
            yield (
                ("jobs", "schedule", index, "start"),
                f"{one.key} was due at {one.start:%Y-%m-%d %H:%M}, which is over",
            )


def _in_clear(plan: _Plan) -> Iterator[Fault]:
    mail = plan.config.jobs.mail
    if mail is not None and mail.security == "none" and mail.password is not None:
        yield ("jobs", "mail", "security"), "the password of the mail server goes over the network in clear"
    for index, one in enumerate(plan.config.jobs.webhooks):
        if one.token is not None and one.url.startswith("http:"):
            yield ("jobs", "webhooks", index, "url"), f"the token of {one.key} goes over the network in clear"


# Batteries


def _breaker_by_letting_go(plan: _Plan) -> Iterator[Fault]:
    """Warn of breakers that open whenever their box has no power (manual M:6263)."""
    for index, battery in enumerate(plan.config.batteries):
        for box, output in battery.breakers:
            contact = battery.boxes[box - 1].outputs.get(output)
            if contact is not None and contact.normally_closed:
                place = ("batteries", index, "boxes", box - 1, "outputs", str(output), "normally_closed")
                yield place, f"the breaker at output {output} of box {box} opens whenever that box has no power"


_RULES: tuple[Callable[[_Plan], Iterator[Fault]], ...] = (
    _same,
    _contradict,
    _levels,
    _breaker_by_letting_go,
    _flap,
    _not_undone,
    _early_start,
    _repeated_start,
    _counter_event,
    _restarting_clock,
    _last_moment,
    _ups_first,
    _withdrawn,
    _flood,
    _disabled,
    _over,
    _in_clear,
)


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g} min" if minutes and not rest else f"{seconds:g} s"


__all__ = ["advice"]
