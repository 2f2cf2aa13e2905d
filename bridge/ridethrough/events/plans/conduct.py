"""One plan as it runs: its configuration, what it remembers, and its devices in the site."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
import logging

from ridethrough.config.plans import PlanConfig
from ridethrough.site import Device, DeviceId, Lane, Site, Source

from . import supply
from .display import plan_conditions, plan_points, stage_conditions, stage_points
from .drill import Drill
from .machine import Machine, running
from .record import RecordError, from_text, to_text
from .state import PlanState
from .survey import Identify, keys, survey
from .timing import Fit, fit
from .turn import Turn
from .view import View

_LOGGER = logging.getLogger(__name__)

COMMANDS = frozenset({"plan.arm", "plan.disarm", "plan.run", "plan.abort", "plan.restart", "plan.drill", "plan.answer"})

type Stamp = Callable[[float], datetime]
"""Gives what the wall clock shows for a moment of engine time."""


def device_key(plan: str, stage: str = "") -> str:
    """Return the key of the device of a plan, or of one of its stages; no device of the configuration has such a one."""
    return f"bridge/plan-{plan}/{stage}" if stage else f"bridge/plan-{plan}"


class Conduct:
    """Holds one plan together; the keeper of plans drives it."""

    def __init__(self, plan: PlanConfig, window: float, site: Site, identify: Identify, bridge: DeviceId) -> None:
        """Put the plan and its stages into the site."""
        self.site = site
        self.plan = plan
        self.device = identify(device_key(plan.key))
        self.machine = Machine(plan, window)
        self.state = PlanState()
        self.written = ""
        """What was last remembered durably."""
        self.told = 0
        """Number of the last note that has reached the journal."""
        self.drill: Drill | None = None
        self.removed = False
        self.again: float | None = None
        self._identify = identify
        self._bridge = bridge
        self._window = window
        self._lanes: dict[str, Lane] = {}
        self._put()

    @property
    def busy(self) -> bool:
        """Whether it is being carried out, or rehearsed."""
        return running(self.state) or self.drill is not None

    @property
    def out(self) -> bool:
        """Whether power is out, as far as this plan is concerned."""
        return supply.out(self.plan, self._supplies())

    @property
    def origins(self) -> list[str]:
        """What the steps of its stages are for."""
        run = self.state.run
        stages = self.plan.stages if run is None else run.plan.stages
        return [f"plan:{self.plan.key}/{stage.key}" for stage in stages]

    @property
    def watched(self) -> frozenset[DeviceId]:
        """The devices whose changes matter to it."""
        run = self.state.run
        found = keys(self.plan) | (frozenset() if run is None else keys(run.plan))
        return frozenset(self._identify(key) for key in found)

    def change(self, plan: PlanConfig, window: float) -> None:
        """Let it be as configured now; a run that is going on ends as it has begun."""
        if (plan, window) == (self.plan, self._window):
            return
        gone = {stage.key for stage in self.plan.stages} - {stage.key for stage in plan.stages}
        for key in gone:
            self.site.remove(self._identify(device_key(plan.key, key)))
            self._lanes.pop(key, None)
        self.plan, self._window = plan, window
        self.machine = Machine(plan, window)
        self._put()

    def recall(self, text: str | None, now: float) -> None:
        """Go on from what was remembered when the bridge ended."""
        if text is None:
            return
        try:
            self.state = self.machine.resumed(from_text(text), now)
        except RecordError as error:
            _LOGGER.error("The plan %s begins anew and is not armed: %s", self.plan.key, error)
            return
        self.written = text

    def view(self, held: frozenset[str]) -> View:
        """Look at what the plan looks at now."""
        run = self.state.run
        plan = self.plan if run is None else run.plan
        view = survey(plan, self.site, self._identify, held)
        if plan is not self.plan:
            # What a person asks next may be about the plan as it is now.
            now = survey(self.plan, self.site, self._identify, held)
            view = View({**now.ups, **view.ups}, {**now.members, **view.members}, held)
        return view

    def take(self, turn: Turn) -> None:
        """Make what was decided what is so; the steps are the keeper's."""
        self.state, self.again = turn.state, turn.again
        self.state.notes = [note for note in self.state.notes if note.number > self.told]

    def text(self, state: PlanState) -> str:
        """Return what must be remembered durably of this state."""
        return to_text(replace(state, notes=[note for note in state.notes if note.number > self.told]))

    def fit(self, now: float) -> Fit:
        """Work out whether the plan fits into the batteries' time."""
        return fit(self.plan, self._supplies(), now, self._names())

    def runtime(self, now: float) -> float | None:
        """Return the runtime at the present load."""
        return supply.runtime(self.plan, self._supplies(), now)

    def show(self, now: float, stamp: Stamp) -> None:
        """Post the points and conditions of the plan and its stages."""
        state = replace(self.state, supplies=dict(self._supplies()))
        found = self.fit(now)
        points = dict(plan_points(self.plan, state, now, found, self._untested()))
        conditions = plan_conditions(self.plan, state, found, drilling=self.drill is not None)
        last = state.last_drill
        if last is not None:
            points |= {"plan.drill.at": last.at, "plan.drill.result": last.result, "plan.drill.margin": last.margin}
        if self.drill is not None:
            points["plan.state"] = "drill"
        with self.site.transaction():
            self._post("", points, conditions)
            for stage in self.plan.stages:
                run = None if state.run is None else state.run.stages.get(stage.key)
                since = None if run is None else stamp(run.since)
                self._post(stage.key, stage_points(stage, state, since), stage_conditions(stage, state))

    def remove(self) -> None:
        """Take the plan out of the site; what was raised ends with it."""
        ended = {key: False for key, state in self.site.conditions(self.device).items() if state.active}
        self._post("", {}, ended)
        self.site.remove(self.device)

    def _supplies(self) -> Mapping[str, supply.Supply]:
        return {key: self.state.supplies.get(key, supply.Supply()) for key in self.plan.ups}

    def _names(self) -> dict[str, str]:
        found = {key: self.site.devices.get(self._identify(key)) for key in self.plan.ups}
        return {key: device.name for key, device in found.items() if device is not None}

    def _untested(self) -> str:
        """Tell of UPSes that can be tested and never were: their runtime is a guess."""
        never = []
        for key, name in self._names().items():
            reading = self.site.reading(self._identify(key), "ups.test.state")
            if reading is not None and reading.good and reading.value == "none":
                never.append(f"The battery of {name} has never been tested; its runtime may be less.")
        return " ".join(never)

    def _put(self) -> None:
        commands = COMMANDS if "plan" in self.plan.allow else frozenset()
        self.site.put(
            Device(self.device, device_key(self.plan.key), "plan", self.plan.name, self._bridge, commands=commands)
        )
        if "" not in self._lanes:
            self._lanes[""] = self.site.lane(self.device, None, Source.COMPUTED)
        for stage in self.plan.stages:
            key = device_key(self.plan.key, stage.key)
            device = self._identify(key)
            self.site.put(Device(device, key, "plan_stage", stage.name, self.device))
            if stage.key not in self._lanes:
                self._lanes[stage.key] = self.site.lane(device, None, Source.COMPUTED)

    def _post(self, stage: str, points: Mapping[str, object], conditions: Mapping[str, bool]) -> None:
        lane = self._lanes[stage]
        known = self.site.readings(lane.device)
        # What is not known now and never was is no point that the device does not support: it has not come yet.
        lane.post({key: value for key, value in points.items() if value is not None}, conditions)  # type: ignore[misc]  # a Value
        lane.drop([key for key, value in points.items() if value is None and key in known])


__all__ = ["COMMANDS", "Conduct", "device_key"]
