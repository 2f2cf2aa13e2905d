"""What the bridge does of itself: jobs because of events and at times, plans, and the computers that they shut down."""

import asyncio
from dataclasses import dataclass
import logging
from pathlib import Path

from ridethrough import __version__
from ridethrough.agents import AgentContext, Roster
from ridethrough.clock import Clock
from ridethrough.config import BridgeConfig
from ridethrough.config.actions import Action
from ridethrough.config.jobs import JobConfig
from ridethrough.events import JournalError, Orders, Recorder
from ridethrough.events.attachments import Attachments
from ridethrough.events.engine import Executor, Keeper, Ledger, Report, Timeline
from ridethrough.events.engine.timeline import Mark, boot
from ridethrough.events.plans.keeper import TIME, Plans
from ridethrough.events.scheduler import Scheduler
from ridethrough.events.steps import ActionError, Occasion, StepState
from ridethrough.events.texts import Texts
from ridethrough.events.zone import zone_of
from ridethrough.jobs import JobContext, JobDesk, Jobs
from ridethrough.site import Commands, Device, Site
from ridethrough.store import Store, StoreError
from ridethrough.tasks import Supervisor

_LOGGER = logging.getLogger(__name__)

DRILLS = "drills"
"""Folder of the reports of drills, in that of the data."""
RETRY = 5.0
"""Seconds until agents and plans are tried again when the store cannot be read."""


@dataclass(frozen=True, slots=True)
class AutomationContext:
    """What the bridge gives it."""

    site: Site
    commands: Commands
    orders: Orders
    recorder: Recorder
    store: Store
    clock: Clock
    bridge: Device
    data: Path


class Automation:
    """Owns the engine of jobs, the schedule, the plans and the connections to agents; implements `Performer`."""

    def __init__(self, context: AutomationContext, config: BridgeConfig) -> None:
        """Do nothing until `start`."""
        self._context = context
        self._config = config
        store, clock = context.store, context.clock
        self._supervisor = Supervisor(clock)
        self._scheduling = Supervisor(clock)
        self._ledger = Ledger(store.steps, clock)
        report = Report(context.site, context.recorder, clock, context.bridge.id)
        self._executor = Executor(self._ledger, self, clock, report)
        self._keeper = Keeper(
            config.jobs, context.site, store.journal, context.recorder, self._ledger, self._executor, clock
        )
        self._roster = Roster(
            AgentContext(
                context.site, context.commands, clock, store.facts, context.bridge, store.identities.mint, context.data
            )
        )
        self._plans: Plans | None = None
        self._jobs, self._desk = self._means(config)
        self._done: BridgeConfig | None = None
        """The configuration that is in force everywhere; None while there is none."""
        self._turn = asyncio.Lock()
        """One change of the configuration after the other."""
        self._settling: asyncio.Task[None] | None = None
        self._unsettled = asyncio.Event()
        """Set while agents or plans are not yet as the configuration wants them, as the store cannot be read."""

    async def start(self) -> None:
        """Take up what was under way when the bridge ended, and begin.

        What cannot be read for it is read as soon as it can be; everything else goes on meanwhile.
        """
        self._supervisor.start("The ledger of steps", self._ledger.run)
        async with self._turn:
            await self._settle()
            self._supervisor.start("The engine of jobs", self._keeper.run)
            self._schedule(self._config)
            self._desk.open()
        self._settling = self._supervisor.start("The start of agents and plans", self._keep_settling)

    async def configure(self, config: BridgeConfig) -> list[str]:
        """Do what this configuration wants from now on; returns the sections that are new, other or gone."""
        async with self._turn:
            old, self._config = self._config, config
            known = old if self._done is None else self._done
            changed = [name for name in ("agents", "jobs", "plans") if getattr(known, name) != getattr(config, name)]
            if not changed:
                return []
            self._desk.close()
            self._jobs, self._desk = self._means(config)
            self._desk.open()
            if "jobs" in changed:
                self._keeper.configure(config.jobs)
                await self._scheduling.stop()
                self._schedule(config)
            await self._settle()
            return changed

    async def stop(self, patience: float) -> None:
        """Wait so many seconds for what is being done, then end; the rest is done at the next start."""
        self._desk.close()
        if self._settling is not None:
            self._settling.cancel()
        await self._scheduling.stop()
        if self._plans is not None:
            self._plans.stop()
        await self._executor.stop(patience)
        await self._supervisor.stop()
        await self._roster.stop()
        await self._ledger.close()

    async def perform(self, action: Action, occasion: Occasion) -> str:
        """See `Performer`: by the means of the present configuration."""
        return await self._jobs.perform(action, occasion)

    def _means(self, config: BridgeConfig) -> tuple[Jobs, JobDesk]:
        context = self._context
        zone = zone_of(config.jobs.time_zone)
        texts = Texts(context.site, config, context.clock, zone, context.bridge)
        job_context = JobContext(
            context.site,
            context.orders,
            context.recorder,
            context.clock,
            context.bridge,
            config.jobs,
            config.agents,
            __version__,
            texts.render,
            Attachments(context.site, context.store.journal),
        )
        jobs = Jobs(job_context)
        return jobs, JobDesk(job_context, jobs, context.commands, self._find, self._run)

    def _find(self, key: str) -> JobConfig:
        """Find a job of the configuration."""
        job = self._keeper.jobs.get(key)
        if job is None:
            known = ", ".join(sorted(self._keeper.jobs)) or "none"
            raise ActionError(f"There is no job {key}; there is: {known}.")
        return job

    async def _run(self, job: JobConfig, who: str) -> str:
        """Run a job by hand, as a test."""
        step = await self._executor.run_now(job, who)
        if step.state is not StepState.DONE:
            raise ActionError(step.message)
        return step.message

    # Agents and plans, which need the store before they can begin

    async def _settle(self) -> None:
        """Let agents and plans be as the configuration wants them; later, if the store cannot be read now."""
        config = self._config
        try:
            await self._roster.configure(config.agents)
            if self._plans is None:
                self._plans = await self._begin_plans()
            await self._plans.configure(config.plans, config.agents.computers, config.jobs.outage_window)
        except (JournalError, StoreError) as error:
            if not self._unsettled.is_set():
                _LOGGER.error("Agents and plans cannot begin, which is tried until it works: %s", error)
            self._unsettled.set()
        else:
            if self._unsettled.is_set():
                _LOGGER.info("Agents and plans have begun")
            self._unsettled.clear()
            self._done = config

    async def _keep_settling(self) -> None:
        while True:
            await self._unsettled.wait()
            await self._context.clock.sleep(RETRY)
            async with self._turn:
                await self._settle()

    async def _begin_plans(self) -> Plans:
        """Recall the plans, and keep them from now on. Raises JournalError."""
        context, steps = self._context, self._context.store.steps
        unfinished = await steps.unfinished()
        mark = Mark.of((await steps.recall(TIME)).get(TIME))
        timeline = Timeline.resumed(context.clock, mark, await asyncio.to_thread(boot))
        plans = Plans(
            context.site,
            context.commands,
            context.recorder,
            self._ledger,
            steps,
            self._executor,
            context.clock,
            timeline.now,
            context.store.identities.mint,
            context.bridge,
            context.data / DRILLS,
        )
        await plans.start(unfinished)
        self._supervisor.start("The plans", plans.run)
        return plans

    def _schedule(self, config: BridgeConfig) -> None:
        context = self._context
        scheduler = Scheduler(
            config.jobs.schedule,
            zone_of(config.jobs.time_zone),
            context.store.steps,
            self._executor.submit,
            context.recorder,
            context.clock,
            context.bridge.id,
        )
        self._scheduling.start("The schedule", scheduler.run)


__all__ = ["Automation", "AutomationContext"]
