"""Battery tests: how far one has come, what it showed, and a verdict where the UPS gives none (manual M:2296–2303).

The verdict is the voltage after the test against the one before it: a drop of more than the battery health level is a
bad battery. "After" is the last voltage read while the test ran, so under its load. The first one read once the charger
is back says nothing: the charger lifts even a ruined battery to its float voltage at once (the simulated ones show 0.0 %
for new batteries and for those with a third of their capacity left). Under load a new battery drops by 7 to 10 % in ten
seconds, mostly because the charger has gone, and one of half the capacity by 10 to 22 % from a third of full load up.
A small UPS near full load drops by more when new: there the level must be set higher.

For the same reason only a short test is judged by its drop: after ten minutes at half load a new battery has dropped by
15 % and is well. A long one with a drop beyond the level ends with a warning; its drop is a point that can have a
threshold. A drop within the level is a pass after any time. What happens besides (mains fails, overload, the line is
lost, somebody stops it) spoils the test: there is no verdict then, and the one of before stands.
"""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum

from ridethrough.catalogue import Value

from .derivation import Derived, View, number
from .ups_status import UpsConditions, conditions_of

HEALTH_LEVEL = 10.0
"""Percent by which the voltage may drop when nobody has said (M:2302)."""
SHORT = 120.0
"""Seconds of a test in which a sound battery loses next to no charge."""
TRANSFER = 5.0
"""Seconds within which the load is back on mains after a test."""
PENDING = 60.0
"""Seconds within which a test that was ordered begins, or one that was stopped ends."""
EARLY = 0.9
"""A test that lasted less than this share of its time has not been carried out."""
TICK = 1.0
"""Seconds between two derivations while a test runs."""
USUAL = 15.0
"""Seconds that a UPS's own short test lasts (M:2421)."""
STOP = "test.battery.stop"
CONDITIONS = ("battery_bad", "test_failed")
"""What a failed test raises and the next passed one clears."""


class State(StrEnum):
    """The options of `ups.test.state`."""

    NONE = "none"
    IN_PROGRESS = "in_progress"
    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ABORTED = "aborted"


# What the words of a UPS or its driver mean; the first that occurs.
WORDS = (
    ("progress", State.IN_PROGRESS),
    ("running", State.IN_PROGRESS),
    ("no test", State.NONE),
    ("abort", State.ABORTED),
    ("cancel", State.ABORTED),
    ("warning", State.WARNING),
    ("fail", State.FAILED),
    ("error", State.FAILED),
    ("bad", State.FAILED),
    ("pass", State.PASSED),
    ("success", State.PASSED),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test ended."""

    state: State = State.NONE
    result: str | None = None
    before: float | None = None
    """Volts at rest."""
    after: float | None = None
    """Volts under load at the end."""

    @property
    def drop(self) -> float | None:
        """Percent."""
        if self.before is None or self.after is None or self.before <= 0.0:
            return None
        return 100.0 * (self.before - self.after) / self.before


@dataclass(frozen=True, slots=True)
class Run:
    """A test that is running, or has just ended and waits for the load to be back on mains."""

    since: float
    """Monotonic seconds."""
    before: float | None
    after: float | None = None
    duration: float | None = None
    """Seconds that it was ordered for."""
    exact: bool = False
    """Whether it must last that long."""
    spoiled: str | None = None
    """Why there can be no verdict."""
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A command that was given lately."""

    command: str
    at: float
    duration: float | None = None
    exact: bool = False


class BatteryTests:
    """The derivation of the tests of one UPS, which also hears of the commands that are given to it."""

    def __init__(self, health_level: float | None = None, raised: AbstractSet[str] = frozenset()) -> None:
        """`health_level` in percent; `raised` is what the journal knows as raised when the bridge starts."""
        self._level = HEALTH_LEVEL if health_level is None else health_level
        self._rest: float | None = None
        self._run: Run | None = None
        self._given: Given | None = None
        # What was raised before a restart was raised by a test, unless the UPS itself says otherwise.
        self._found = {condition: True for condition in CONDITIONS if condition in raised}
        self._last = Verdict(State.FAILED) if "test_failed" in raised else Verdict()

    def given(self, command: str, arguments: Mapping[str, Value], now: float) -> None:
        """Note a command as it is given to the UPS, so that it is known how long the test lasts."""
        match command:
            case "test.battery.start.quick":
                self._given = Given(command, now, USUAL)
            case "test.battery.start":
                minutes = number(arguments, "duration")
                self._given = Given(command, now, None if minutes is None else 60.0 * minutes, exact=True)
            case "test.battery.start.deep" | "test.battery.stop":
                self._given = Given(command, now)

    def __call__(self, view: View, now: float) -> Derived:
        """Work out state, progress and result of tests; the derivation itself."""
        conditions = conditions_of(view.active, view.known)
        voltage = number(view.values, "battery.voltage")
        testing = conditions.get("test_in_progress")
        if testing:
            self._go_on(conditions, voltage, now)
        elif testing is None:
            self._spoil("the connection was lost while it ran")
        elif self._run is not None:
            self._end(self._run, conditions, now)
        if testing is False and self._run is None:
            self._rest = voltage if conditions.get("on_battery") is False else None
        return self._derived(view, conditions, now)

    # What happens

    def _go_on(self, conditions: UpsConditions, voltage: float | None, now: float) -> None:
        run = self._run
        if run is None or run.ended is not None:
            run = Run(now, self._rest)
        given = self._given
        # Its status may show a test before whoever gave the command hears that it was given.
        if given is not None and given.command != STOP and abs(run.since - given.at) <= PENDING:
            run = replace(run, duration=given.duration, exact=given.exact)
        self._run = replace(run, after=run.after if voltage is None else voltage)
        if conditions.get("input_bad"):
            self._spoil("mains failed while it ran")
        if "overload" in conditions.active:
            self._spoil("the UPS was overloaded while it ran")

    def _spoil(self, reason: str) -> None:
        if self._run is not None and self._run.spoiled is None:
            self._run = replace(self._run, spoiled=reason)

    def _end(self, run: Run, conditions: UpsConditions, now: float) -> None:
        run = self._run = run if run.ended is not None else replace(run, ended=now)
        assert run.ended is not None
        if conditions.get("on_battery") is not False and run.spoiled is None:
            if now - run.ended < TRANSFER and not conditions.get("input_bad"):
                return
            self._spoil("mains failed while it ran")
        elif self._stopped(run, now):
            self._spoil("it was stopped")
        self._last = judge(self._run, self._level)
        if self._last.state in (State.PASSED, State.FAILED):
            self._found = dict.fromkeys(CONDITIONS, self._last.state is State.FAILED)
        self._run = self._given = None

    def _stopped(self, run: Run, now: float) -> bool:
        given = self._given
        return given is not None and given.command == STOP and given.at >= run.since and now - given.at <= PENDING

    # What is said of it

    def _derived(self, view: View, conditions: UpsConditions, now: float) -> Derived:
        points: dict[str, Value | None] = {}
        found: dict[str, bool] = {}
        told = told_state(view.values)
        judged = told is None and conditions.get("test_failed") is None
        run, last = self._run, self._last
        if conditions.get("test_in_progress") is None:
            return Derived(conditions={} if told is None else _failed(told, view.known))
        if run is not None:
            elapsed = number(view.values, "ups.test.elapsed")
            elapsed = (now if run.ended is None else run.ended) - run.since if elapsed is None else elapsed
            points |= {"ups.test.state": State.IN_PROGRESS, "ups.test.result": "In progress"}
            points |= {"ups.test.elapsed": float(int(elapsed)), "ups.test.duration": run.duration}
            points["ups.test.progress"] = progress(elapsed, run.duration)
        else:
            state = points["ups.test.state"] = told or (last.state if judged else _state_of(conditions, last))
            points["ups.test.result"] = last.result
            points |= {"battery.test.voltage.before": last.before, "battery.test.voltage.after": last.after}
            points["battery.test.drop"] = None if last.drop is None else round(last.drop, 1)
            if state in (State.PASSED, State.WARNING, State.FAILED):
                points["ups.test.progress"] = 100.0
        if judged:
            found |= self._found
        elif told is not None:
            found |= _failed(told, view.known)
        return Derived(
            {key: value for key, value in points.items() if value is not None and key not in view.values},
            {key: so for key, so in found.items() if key not in view.known},
            None if run is None else TICK,
        )


def judge(run: Run, level: float) -> Verdict:
    """Say what a test that has ended showed; `level` is the drop in percent that a sound battery stays within."""
    seconds = (run.since if run.ended is None else run.ended) - run.since
    verdict = Verdict(State.ABORTED, None, run.before, run.after)
    if run.spoiled is not None:
        return Verdict(State.ABORTED, f"No verdict: {run.spoiled}")
    drop = verdict.drop
    if drop is None:
        return Verdict(State.NONE, "No verdict: the battery voltage was not read before it and while it ran")
    figures = f"from {run.before:.1f} V at rest to {run.after:.1f} V under load, {drop:.1f} %"
    early = run.exact and run.duration is not None and seconds < EARLY * run.duration
    if drop > level and seconds <= SHORT:
        return replace(verdict, state=State.FAILED, result=f"Failed: {figures}; permitted are {level:g} %")
    if early:
        return replace(verdict, result=f"No verdict: it ended after {seconds:.0f} of {run.duration:.0f} s; {figures}")
    if drop > level:
        return replace(
            verdict, state=State.WARNING, result=f"No verdict after so long a test: {figures}; short ones tell more"
        )
    return replace(verdict, state=State.PASSED, result=f"Passed: {figures}")


def progress(elapsed: float, duration: float | None) -> float | None:
    """Work out how far a running test is, in percent; never done before it is."""
    return None if not duration else min(99.0, float(int(100.0 * elapsed / duration)))


def told_state(values: Mapping[str, Value]) -> State | None:
    """Read the UPS's own verdict; None where it has none."""
    if (state := values.get("ups.test.state")) in list(State):
        return State(str(state))
    text = str(values.get("ups.test.result", "")).lower()
    return next((state for word, state in WORDS if word in text), None)


def _state_of(conditions: UpsConditions, last: Verdict) -> State:
    """Name the state for a UPS that tells no result, but whether the test failed."""
    if "test_failed" in conditions.active:
        return State.FAILED
    return State.PASSED if last.state is State.FAILED else last.state


def _failed(told: State, known: AbstractSet[str]) -> dict[str, bool]:
    """Make a condition of the UPS's own verdict, where it has no such condition."""
    if "test_failed" in known or told not in (State.PASSED, State.FAILED, State.WARNING):
        return {}
    return {"test_failed": told is State.FAILED}


__all__ = ["BatteryTests", "Run", "State", "Verdict", "judge", "progress", "told_state"]
