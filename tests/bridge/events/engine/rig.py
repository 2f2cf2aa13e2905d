"""A bridge's engine with a real store, as much of it as jobs need, and a performer that writes down what it did."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock, SystemClock
from ridethrough.config.actions import Action
from ridethrough.config.jobs import JobsConfig
from ridethrough.events import Journal, Recorder
from ridethrough.events.engine import Executor, ExecutorLimits, Keeper, Ledger, Report
from ridethrough.events.steps import Occasion, Step, Steps, StepState
from ridethrough.site import Device, DeviceId, Lane, Site
from ridethrough.store import Store
from ridethrough.tasks import Backoff, Supervisor

from .models import UPS

BRIDGE = DeviceId("00000000-0000-0000-0000-000000000000")
OUTLET = DeviceId("22222222-0000-0000-0000-000000000000")
QUICK = ExecutorLimits(backoff=Backoff(first=0.01, cap=0.02))
CATALOGUE = load_catalogue()


@dataclass
class Done:
    """A performer that remembers; `act` may raise or wait."""

    steps: list[tuple[str, Occasion]] = field(default_factory=list)
    act: Callable[[Action, Occasion], object] = lambda action, occasion: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, action: Action, occasion: Occasion) -> str:
        self.steps.append((occasion.origin, occasion))
        self.changed.set()
        found = self.act(action, occasion)
        if asyncio.iscoroutine(found):
            await found
        return "It is done."

    @property
    def origins(self) -> list[str]:
        return [origin for origin, _ in self.steps]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.steps) < count:
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Rig:
    """What there is while it runs."""

    store: Store
    site: Site
    recorder: Recorder
    ledger: Ledger
    executor: Executor
    keeper: Keeper
    done: Done
    lane: Lane

    def power(self, *, on: bool, runtime: float | None = None) -> None:
        with self.site.transaction():
            if runtime is not None:
                self.lane.post({"battery.runtime": runtime})
            self.lane.post(conditions={"on_battery": not on})

    async def ended(self, *states: StepState, count: int = 1) -> list[Step]:
        """Wait until so many steps are in the store as ended."""
        async with asyncio.timeout(5):
            while True:
                found = [step for step in await self.store.steps.of("") if step.state in (states or (StepState.DONE,))]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    path: Path,
    config: JobsConfig,
    done: Done | None = None,
    clock: Clock | None = None,
    *,
    steps: Callable[[Steps], Steps] = lambda steps: steps,
    journal: Callable[[Journal], Journal] = lambda journal: journal,
    limits: ExecutorLimits = QUICK,
    patience: float = 2.0,
    connected: bool = True,
) -> AsyncIterator[Rig]:
    """Run the engine on the store at `path`; its end is an orderly one."""
    clock = clock or SystemClock()
    done = done or Done()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(path, clock))
        site = Site(CATALOGUE, clock)
        site.put(Device(BRIDGE, "bridge", "bridge", "Bridge"))
        site.put(Device(UPS, "ups-1", "ups", "UPS", parent=BRIDGE))
        recorder = Recorder(site, journal(store.journal), clock, backoff=Backoff(first=0.02, cap=0.05))
        stack.push_async_callback(recorder.close)
        await recorder.restore()
        ledger = Ledger(steps(store.steps), clock, patience=patience, backoff=Backoff(first=0.02, cap=0.05))
        stack.push_async_callback(ledger.close)
        report = Report(site, recorder, clock, BRIDGE)
        executor = Executor(ledger, done, clock, report, limits=limits)
        keeper = Keeper(config, site, journal(store.journal), recorder, ledger, executor, clock)
        supervisor = await stack.enter_async_context(Supervisor(clock, Backoff(first=0.02, cap=0.05)))
        supervisor.start("The recorder of events", recorder.run)
        supervisor.start("The ledger of steps", ledger.run)
        # First nothing more becomes due, then what is under way is given up, while it still can be noted.
        stack.push_async_callback(executor.stop, 0.0)
        engine = await stack.enter_async_context(Supervisor(clock, Backoff(first=0.02, cap=0.05)))
        engine.start("The engine", keeper.run)
        await asyncio.wait_for(keeper.ready.wait(), 5)
        rig = Rig(store, site, recorder, ledger, executor, keeper, done, site.lane(UPS, None))
        if connected:
            rig.power(on=True) if not await store.journal.raised() else None
        yield rig


class Wrapped:
    """Does something around each write of a store; everything else is the store's."""

    def __init__(self, inner: object, around: Callable[[str, bool], None]) -> None:
        """Call `around` with the method's name, and whether it has been done."""
        self._inner = inner
        self._around = around

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name not in ("append", "commit", "begin", "end"):
            return found

        async def wrapped(*args: object) -> object:
            self._around(name, False)
            result = await found(*args)
            self._around(name, True)
            return result

        return wrapped


def wrap_steps(around: Callable[[str, bool], None]) -> Callable[[Steps], Steps]:
    return lambda steps: cast("Steps", Wrapped(steps, around))


def wrap_journal(around: Callable[[str, bool], None]) -> Callable[[Journal], Journal]:
    return lambda journal: cast("Journal", Wrapped(journal, around))


__all__ = ["BRIDGE", "OUTLET", "QUICK", "Done", "Rig", "running", "wrap_journal", "wrap_steps"]
