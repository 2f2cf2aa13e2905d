"""A site with a UPS, an outlet and computers for plans, with who does the steps."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, settle
from ridethrough.config.actions import AgentAction, CommandAction
from ridethrough.config.agents import AgentConfig
from ridethrough.config.plans import PlanConfig
from ridethrough.events import Event, JournalError
from ridethrough.events.plans.keeper import Plans
from ridethrough.events.steps import Step, StepState
from ridethrough.site import Commands, Device, DeviceId, Site

CATALOGUE = load_catalogue()
TIMES = 20.0
"""Seconds in which a computer is down, or up."""


class Book:
    """Steps and memory as a store keeps them, and what the journal was told; it outlives the bridge."""

    def __init__(self) -> None:
        """Begin empty."""
        self.steps: dict[str, Step] = {}
        self.memory: dict[str, str] = {}
        self.events: list[Event] = []
        self.broken = False

    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Take all of it or nothing."""
        if self.broken:
            raise JournalError("The disk is full.")
        fresh = [step for step in steps if step.key not in self.steps]
        self.steps |= {step.key: step for step in fresh}
        self.memory |= {key: text for key, text in memory.items() if text is not None}
        return fresh

    async def begin(self, key: str) -> int:
        """Note that a step is begun."""
        self.steps[key] = replace(self.steps[key], state=StepState.STARTED, attempts=self.steps[key].attempts + 1)
        return self.steps[key].attempts

    async def end(self, key: str, state: StepState, message: str) -> None:
        """Note how a step has ended."""
        self.steps[key] = replace(self.steps[key], state=state, message=message)

    async def unfinished(self) -> Sequence[Step]:
        """Return what is due or begun."""
        return [step for step in self.steps.values() if step.state in (StepState.DUE, StepState.STARTED)]

    async def of(self, origin: str, limit: int = 100) -> Sequence[Step]:
        """Return the last steps of an origin."""
        return [step for step in reversed(self.steps.values()) if step.occasion.origin.startswith(origin)][:limit]

    async def recall(self, prefix: str) -> Mapping[str, str]:
        """Return what is remembered."""
        return {key: text for key, text in self.memory.items() if key.startswith(prefix)}

    async def seen(self) -> int | None:
        """Return nothing: no events are counted here."""
        return None

    async def record(self, event: Event) -> Event:
        """Take an event."""
        if self.broken:
            raise JournalError("The disk is full.")
        self.events.append(event)
        return event

    def told(self, *keys: str) -> list[str]:
        """Return the events of these names, or all, with the stage and its state where they have one."""
        return [
            " ".join(str(part) for part in (event.key, event.details.get("stage"), event.details.get("state")) if part)
            for event in self.events
            if not keys or event.key in keys
        ]


class Hall:
    """One run of the bridge in a server room. The computers do what they are told in `TIMES` seconds."""

    def __init__(self, clock: ManualClock, book: Book, folder: Path, computers: Iterable[str]) -> None:
        """Put everything into the site; the UPS is on mains."""
        self.clock = clock
        self.book = book
        self.site = Site(CATALOGUE, clock)
        self.commands = Commands(self.site)
        bridge = Device(DeviceId("bridge"), "bridge", "bridge", "Bridge")
        self.site.put(bridge)
        self.site.put(Device(DeviceId("ups-1"), "ups-1", "ups", "Rack UPS", bridge.id))
        self.ups = self.site.lane(DeviceId("ups-1"), None)
        self.site.put(Device(DeviceId("ups-1/outlet-1"), "ups-1/outlet-1", "outlet", "Outlet", DeviceId("ups-1")))
        self.outlet = self.site.lane(DeviceId("ups-1/outlet-1"), None)
        self.agents = {}
        for key in computers:
            self.site.put(Device(DeviceId(key), key, "agent", key, bridge.id))
            self.agents[key] = self.site.lane(DeviceId(key), None)
            self.agents[key].post({"agent.state": "up"})
        self.silent: set[str] = set()
        self.booting: set[str] = set()
        self.done: list[Step] = []
        self.dropped: list[str] = []
        self._listeners: list[Callable[[Step], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.mains()
        self.plans = Plans(
            self.site,
            self.commands,
            book,
            book,
            book,
            self,
            clock,
            lambda: clock.monotonic() + 1_000_000.0,
            DeviceId,
            bridge,
            folder,
        )

    async def start(self, *plans: PlanConfig, computers: Iterable[AgentConfig] = ()) -> None:
        """Start as the bridge does."""
        await self.plans.start(await self.book.unfinished())
        await self.plans.configure(plans, computers, 120.0)
        self._keep(self.plans.run())
        await settle()

    async def stop(self) -> None:
        """End at once, as `kill -9` does; what is under way is not ended."""
        self.plans.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            if self.plans._writing:
                await asyncio.wait(set(self.plans._writing))
                await settle()

    async def order(self, plan: str, command: str, **arguments: str) -> str:
        """Give a plan a command, and return what was said."""
        result = await self.commands.perform(DeviceId(f"bridge/plan-{plan}"), command, arguments)
        await settle()
        return result.message

    # The UPS

    def mains(self, charge: float = 100.0, runtime: float = 3600.0) -> None:
        """Let the UPS be on mains."""
        self.ups.post(
            {"battery.charge": charge, "battery.runtime": runtime},
            {"on_battery": False, "communications_lost": False, "output_active": True},
        )

    def battery(self, charge: float = 100.0, runtime: float = 3600.0) -> None:
        """Let the UPS be on battery."""
        self.ups.post(
            {"battery.charge": charge, "battery.runtime": runtime},
            {"on_battery": True, "communications_lost": False, "output_active": True},
        )

    # The executor

    def submit(self, steps: Iterable[Step]) -> None:
        """Do steps."""
        for step in steps:
            self._keep(self._do(step))

    def listen(self, listener: Callable[[Step], None]) -> Callable[[], None]:
        """Call `listener` with every step that has ended."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def drop(self, origins: Collection[str], reason: str) -> None:
        """Note what is dropped."""
        self.dropped += origins

    def _keep(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, step: Step) -> None:
        await self.book.begin(step.key)
        action = step.action
        state, said = StepState.DONE, "Done."
        if isinstance(action, AgentAction):
            for key in action.agents:
                if action.verb in ("shutdown", "start") and key not in self.silent:
                    self.change(key, action.verb)
        elif isinstance(action, CommandAction):
            if action.device in self.silent:
                state, said = StepState.FAILED, f"{action.device} does not answer."
            elif action.device in self.agents:
                said = "It would shut down."
            elif action.command.startswith("outlet."):
                self.outlet.post(conditions={"outlet_on": action.command == "outlet.on"})
        await self.book.end(step.key, state, said)
        self.done.append(self.book.steps[step.key])
        for listener in list(self._listeners):
            listener(self.book.steps[step.key])

    def change(self, key: str, verb: str) -> None:
        """Let a computer shut down, or start."""
        self._keep(self._change(key, verb))

    async def _change(self, key: str, verb: str) -> None:
        if verb == "shutdown":
            self.agents[key].post({"agent.state": "shutting_down"})
        else:
            self.booting.add(key)
        await self.clock.sleep(TIMES)
        self.booting.discard(key)
        self.agents[key].post({"agent.state": "down" if verb == "shutdown" else "up"})

    # What is to be seen

    def point(self, device: str, key: str) -> object:
        """Return a good value, else None."""
        reading = self.site.reading(DeviceId(device), key)
        return reading.value if reading is not None and reading.good else None

    def holds(self, device: str, key: str) -> bool:
        """Whether a condition holds."""
        state = self.site.conditions(DeviceId(device)).get(key)
        return state is not None and state.active

    def states(self) -> set[object]:
        """Return the states of the computers."""
        return {self.point(key, "agent.state") for key in self.agents}

    def verbs(self) -> list[str]:
        """Return what was done, in order."""
        return [
            f"{step.action.verb} {','.join(step.action.agents)}"
            if isinstance(step.action, AgentAction)
            else f"{step.action.command} {step.action.device}"
            if isinstance(step.action, CommandAction)
            else step.action.name
            for step in self.done
        ]
