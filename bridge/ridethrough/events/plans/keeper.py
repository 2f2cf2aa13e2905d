"""Keeps the plans: looks when something changes, remembers before it acts, and hears how everything ended."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
from typing import Protocol

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.config.actions import AgentAction, CommandAction
from ridethrough.config.agents import AgentConfig
from ridethrough.config.plans import PlanConfig
from ridethrough.events.engine.timeline import Mark, boot
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.events.orders import giver
from ridethrough.events.steps import Occasion, Step, Steps, StepState
from ridethrough.site import Arguments, Change, CommandError, CommandResult, Commands, Device, Site
from ridethrough.tasks import unbroken

from .conduct import Conduct
from .drill import Drill
from .machine import Refused, holds, running
from .report import report
from .state import LastDrill, Note
from .survey import Identify, settled
from .turn import Due, Turn

_LOGGER = logging.getLogger(__name__)

PREFIX = "plan/"
"""Before the keys of what is remembered."""
TIME = "plans:time"
"""Under which the engine time of the last turn is remembered."""
PACE = 0.1
"""Seconds between two looks at least: a thousand agents that change at once are one look."""
RETRY = 5.0
"""Seconds until what could not be told the journal is tried again."""
PATIENCE = 2.0
"""Seconds that a plan waits until the report of its drill is written."""
KEEP = 50
"""Reports of drills that are kept of each plan."""
UNSAFE_VERBS = frozenset({"shutdown", "execute"})
INTERRUPTED = "the bridge was ended while it was told"


class Ledger(Protocol):
    """Commits steps together with what must be remembered; goes on in memory while the disk is full."""

    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Write all of it or nothing, and return the steps that are to be done."""


class Executor(Protocol):
    """Does steps that the ledger has."""

    def submit(self, steps: Iterable[Step]) -> None:
        """Do these."""

    def listen(self, listener: Callable[[Step], None]) -> Callable[[], None]:
        """Call `listener` with every step that has ended; returns what ends that."""

    async def drop(self, origins: Collection[str], reason: str) -> None:
        """Let go of what waits to be done, or to be tried again, for these origins."""


class Recording(Protocol):
    """Takes events: `events.Recorder`."""

    async def record(self, event: Event) -> object:
        """Write an event into the journal. Raises JournalError."""


class Plans:
    """All plans of the bridge."""

    def __init__(
        self,
        site: Site,
        commands: Commands,
        recorder: Recording,
        ledger: Ledger,
        steps: Steps,
        executor: Executor,
        clock: Clock,
        now: Callable[[], float],
        identify: Identify,
        bridge: Device,
        folder: Path,
    ) -> None:
        """Begin without plans. `now` is engine time, `folder` where reports of drills are kept."""
        self._site = site
        self._commands = commands
        self._recorder = recorder
        self._ledger = ledger
        self._steps = steps
        self._executor = executor
        self._clock = clock
        self._now = now
        self._identify = identify
        self._bridge = bridge
        self._folder = folder
        self._plans: dict[str, Conduct] = {}
        self._withdraw: dict[str, Callable[[], None]] = {}
        self._wanted: tuple[Mapping[str, PlanConfig], float] = ({}, 0.0)
        self._memory: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._noted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._ended: list[Step] = []
        """Steps that have ended since the last look."""
        self._interrupted: list[Step] = []
        """Steps that were under way when the bridge ended, and are not done."""
        self._repeated: dict[str, int] = {}
        """Of each plan, the last note that may have been told before the bridge ended."""
        self._relevant: frozenset[str] = frozenset()
        self._writing: set[asyncio.Future[None]] = set()
        """Reports that are being written."""
        self._stumbling: set[str] = set()
        """Plans that failed the last time they looked."""
        self._ends: list[Callable[[], None]] = []

    @property
    def plans(self) -> Mapping[str, Conduct]:
        """The plans by key."""
        return self._plans

    async def start(self, unfinished: Sequence[Step] = ()) -> None:
        """Recall what is remembered, and take over those of the unfinished steps that are a plan's. Call it once.

        What tells people something, or starts computers, is done now; an order to shut down that was under way is not:
        the plan looks first whether it is still meant. Raises JournalError.
        """
        self._memory = dict(await self._steps.recall(PREFIX))
        self._ends += [self._executor.listen(self._heard), self._site.observe(self._observe)]
        again: list[Step] = []
        for step in unfinished:
            if not step.occasion.planned:
                continue
            if _unsafe(step) or step.occasion.drill:
                # A full disk must keep neither this plan nor the bridge from starting; it is dropped again next time.
                with suppress(JournalError):
                    await self._steps.end(step.key, StepState.DROPPED, f"Not done: {INTERRUPTED}.")
                self._interrupted.append(_failed(step))
            else:
                again.append(_retried(step))
        self._executor.submit(again)

    async def configure(self, plans: Iterable[PlanConfig], computers: Iterable[AgentConfig], window: float) -> None:
        """Let these be the plans. One that is being carried out ends as it has begun, also if it is gone now."""
        computers = tuple(computers)
        async with self._lock:
            self._wanted = {plan.key: settled(plan, computers) for plan in plans}, window
            self._apply()
        self._changed.set()

    async def run(self) -> None:
        """Look whenever something changes, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            group.create_task(self._look())

    def stop(self) -> None:
        """Look no longer, and take the plans' commands back; what is remembered goes on at the next start."""
        for end in (*self._ends, *self._withdraw.values()):
            end()
        self._ends.clear()
        self._withdraw.clear()

    # What is configured

    def _apply(self) -> None:
        wanted, window = self._wanted
        for key, conduct in list(self._plans.items()):
            if key not in wanted:
                conduct.removed = True
                if not conduct.busy:
                    conduct.remove()
                    self._withdraw.pop(key)()
                    del self._plans[key]
        for key, plan in wanted.items():
            known = self._plans.get(key)
            if known is None:
                known = self._plans[key] = Conduct(plan, window, self._site, self._identify, self._bridge.id)
                known.recall(self._memory.pop(f"{PREFIX}{key}", None), self._now())
                self._repeated[key] = known.state.noted
                if known.state.drilled:
                    known.state.drilled = ""
                    known.state.last_drill = LastDrill(self._clock.utc().isoformat(), "aborted")
                for step in self._interrupted:
                    known.state = known.machine.ended(known.state, step.key, step.message)
                self._withdraw[key] = self._commands.offer(known.device, self._performer(key))
            else:
                known.removed = False
                known.change(plan, window)
            known.show(self._now(), self._stamp)
        self._relevant = frozenset().union(*(conduct.watched for conduct in self._plans.values()))

    # Looking

    def _observe(self, change: Change) -> None:
        if any(device in self._relevant for device, _ in (*change.points, *change.conditions)) or any(
            device in self._relevant for device in change.devices
        ):
            self._changed.set()

    def _heard(self, step: Step) -> None:
        if step.occasion.planned:
            self._ended.append(step)
            self._changed.set()

    async def _look(self) -> None:
        while True:
            self._changed.clear()
            await self._turn()
            await self._clock.sleep(PACE)
            await self._wait()

    async def _wait(self) -> None:
        now = self._now()
        dues = [conduct.again for conduct in self._plans.values() if conduct.again is not None]
        dues += [due for one in self._plans.values() if one.drill and (due := one.drill.deadline) is not None]
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._changed.wait())]
        if dues:
            waits.append(asyncio.ensure_future(self._clock.sleep(max(0.0, min(dues) - now))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _turn(self) -> None:
        """Let every plan decide once."""
        async with self._lock:
            ended, self._ended = self._ended, []
            now = self._now()
            for conduct in list(self._plans.values()):
                try:
                    self._hear_of(conduct, ended, now)
                    turn = conduct.machine.advance(conduct.state, now, conduct.view(self._held(conduct)))
                    await self._carry_on(conduct, turn)
                    await self._rehearse(conduct)
                except Exception as error:  # noqa: BLE001 - one plan that fails must not keep the others from shutting down
                    self._stumble(conduct, now, error)
                else:
                    self._stumbling.discard(conduct.plan.key)
            if any(conduct.removed and not conduct.busy for conduct in self._plans.values()):
                self._apply()
            self._relevant = frozenset().union(*(conduct.watched for conduct in self._plans.values()))

    def _hear_of(self, conduct: Conduct, ended: Iterable[Step], now: float) -> None:
        """Tell a plan, and its drill, how steps have ended."""
        for step in ended:
            problem = "" if step.state is StepState.DONE else step.message or "It was not done."
            conduct.state = conduct.machine.ended(conduct.state, step.key, problem)
            if conduct.drill is not None:
                conduct.drill.heard(step.key, problem, step.message, now)

    def _stumble(self, conduct: Conduct, now: float, error: Exception) -> None:
        """Let a plan that has failed in a way nobody foresaw try again soon; say so once."""
        if conduct.plan.key not in self._stumbling:
            _LOGGER.error(
                "The plan %s failed in a way nobody foresaw and is tried again", conduct.plan.key, exc_info=error
            )
        self._stumbling.add(conduct.plan.key)
        conduct.again = now + RETRY

    def _held(self, conduct: Conduct) -> frozenset[str]:
        """Return the members that other plans keep down."""
        others = (holds(other.state) for other in self._plans.values() if other is not conduct)
        return frozenset().union(*others)

    @unbroken
    async def _carry_on(self, conduct: Conduct, turn: Turn) -> None:
        """Remember what was decided, then do it; what is remembered and not done would be done by nobody."""
        text = conduct.text(turn.state)
        steps = [self._step(due) for due in turn.steps]
        fresh: Sequence[Step] = ()
        if steps or text != conduct.written:
            fresh = await self._commit(conduct, steps, text)
        # Only now: what could not be written is decided anew, in the same words.
        conduct.take(turn)
        if turn.called_back:
            await self._executor.drop(conduct.origins, "Not done: it was called back.")
        self._executor.submit(fresh)
        if conduct.state.notes:
            self._noted.set()
        if conduct.drill is not None and conduct.out:
            conduct.drill.abort("power has failed", self._now())
        conduct.show(self._now(), self._stamp)

    async def _commit(self, conduct: Conduct, steps: Sequence[Step], text: str) -> Sequence[Step]:
        memory = {f"{PREFIX}{conduct.plan.key}": text, TIME: Mark(self._now(), self._clock.monotonic(), boot()).text()}
        fresh = await self._ledger.commit(steps, memory)
        conduct.written = text
        return fresh

    def _step(self, due: Due) -> Step:
        return Step(due.key, due.action, Occasion(due.origin, actor=due.actor, drill=due.drill), self._clock.utc())

    def _stamp(self, moment: float) -> datetime:
        """Return what the wall clock shows for a moment of engine time."""
        return (self._clock.utc() - timedelta(seconds=self._now() - moment)).astimezone(UTC)

    # Telling the journal

    async def _tell(self) -> None:
        """Write what plans have to tell into the journal, each once; a full disk keeps no plan waiting."""
        while True:
            self._noted.clear()
            for conduct in list(self._plans.values()):
                for note in list(conduct.state.notes):
                    if note.number <= conduct.told:
                        continue
                    try:
                        await self._recorder.record(self._event(conduct, note))
                    except JournalError:
                        await self._clock.sleep(RETRY)
                        self._noted.set()
                        break
                    conduct.told = note.number
                    self._changed.set()
            await self._noted.wait()

    def _event(self, conduct: Conduct, note: Note) -> Event:
        details = dict(note.details)
        if note.stage:
            names = {stage.key: stage.name for stage in conduct.plan.stages}
            details |= {"stage": note.stage, "name": names.get(note.stage, note.stage)}
        if note.number <= self._repeated.get(conduct.plan.key, 0):
            details["repeated"] = True  # it may have been told before the bridge was ended
        return Event(
            self._clock.utc(), EventKind.SYSTEM, conduct.device, note.key, EdgeKind.OCCURRED, note.severity, details
        )

    # What people want

    def _performer(self, key: str) -> Callable[[str, Arguments], Awaitable[CommandResult]]:
        async def perform(command: str, arguments: Arguments) -> CommandResult:
            conduct = self._plans.get(key)
            if conduct is None:
                raise CommandError("offline", "This plan is no longer configured.")
            async with self._lock:
                try:
                    return await self._obey(conduct, command, arguments)
                except Refused as refusal:
                    raise CommandError("refused", str(refusal)) from refusal

        return perform

    async def _obey(self, conduct: Conduct, command: str, arguments: Arguments) -> CommandResult:
        who, name, now = giver(), conduct.plan.name, self._now()
        actor = "somebody" if who is None else who.name
        state, machine, view = conduct.state, conduct.machine, conduct.view(self._held(conduct))
        match command:
            case "plan.arm":
                conduct.state = machine.arm(state, actor)
                turn, said = machine.advance(conduct.state, now, view), f"{name} is armed."
            case "plan.disarm":
                turn, said = machine.disarm(state, now, view, actor), f"{name} is not armed any more."
            case "plan.run":
                turn, said = machine.start(state, now, view, actor), f"{name} is being carried out."
            case "plan.abort" if conduct.drill is not None and not running(state):
                conduct.drill.abort(f"aborted by {actor}", now)
                turn, said = machine.advance(state, now, view), f"The drill of {name} has ended."
            case "plan.abort":
                turn, said = machine.abort(state, now, view, actor), f"{name} is called back."
            case "plan.restart":
                turn, said = machine.restart(state, now, view, actor), f"{name} starts everything again."
            case "plan.drill":
                self._begin_drill(conduct, actor)
                turn, said = machine.advance(conduct.state, now, view), f"The drill of {name} has begun."
            case "plan.answer":
                script, problem = str(arguments["script"]), str(arguments.get("problem", ""))
                conduct.state = machine.answered(state, script, problem)
                turn, said = machine.advance(conduct.state, now, view), f"{name} has heard of {script}."
            case _:
                raise CommandError("unknown_command", f"A plan has no command {command}.")
        await self._carry_on(conduct, turn)
        await self._rehearse(conduct)
        self._changed.set()
        return CommandResult(said)

    # Drills

    def _begin_drill(self, conduct: Conduct, actor: str) -> None:
        other = next((one for one in self._plans.values() if one.drill is not None), None)
        if other is not None:
            raise Refused(f"A drill of {other.plan.name} is going on; one at a time.")
        state = conduct.state
        if running(state) or any(one.outage.going_on for one in state.supplies.values()):
            raise Refused(
                f"{conduct.plan.name} is needed in earnest, or may be soon: power is out or has just returned."
            )
        now = self._now()
        state = conduct.state = state.copy()
        state.drills += 1
        state.drilled = actor
        fits = not conduct.fit(now).too_long
        conduct.drill = Drill(conduct.plan, state.drills, actor, now, fits=fits)
        _note(conduct, "plan_drill_started", Severity.INFO, actor=actor)

    @unbroken
    async def _rehearse(self, conduct: Conduct) -> None:
        """Go on with the drill, if there is one."""
        drill = conduct.drill
        if drill is None:
            return
        now = self._now()
        if drill.verdict is None:
            steps = [self._step(due) for due in drill.advance(now)]
            if steps:
                self._executor.submit(await self._commit(conduct, steps, conduct.text(conduct.state)))
        if drill.verdict is not None:
            await self._end_drill(conduct, drill)
        conduct.show(now, self._stamp)

    async def _end_drill(self, conduct: Conduct, drill: Drill) -> None:
        now, begun = self._now(), self._stamp(drill.began)
        fit, runtime = conduct.fit(now), conduct.runtime(now)
        verdict = str(drill.verdict)
        conduct.drill = None
        state = conduct.state = conduct.state.copy()
        state.drilled = ""
        state.last_drill = LastDrill(begun.isoformat(), verdict, fit.margin)
        name = f"{conduct.plan.key}-{begun:%Y%m%dT%H%M%SZ}"
        severity = Severity.INFO if verdict == "passed" else Severity.WARNING
        _note(conduct, "plan_drill_ended", severity, verdict=verdict, report=name)
        self._noted.set()
        found = report(drill, fit, runtime, begun)
        # Nobody waits for a disk that hangs: power may fail at any moment.
        writing = asyncio.ensure_future(asyncio.to_thread(_write, self._folder, name, found.markdown, found.json))
        writing.add_done_callback(lambda done: _say_written(conduct.plan.key, done))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.wait({writing}, timeout=PATIENCE)
        await self._commit(conduct, (), conduct.text(conduct.state))


def _note(conduct: Conduct, key: str, severity: Severity, **details: str) -> None:
    state = conduct.state
    state.noted += 1
    state.notes.append(Note(state.noted, key, severity, details))


def _unsafe(step: Step) -> bool:
    """Whether a step shuts something down, so that it must still be meant when it is done."""
    match step.action:
        case AgentAction(verb=verb):
            return verb in UNSAFE_VERBS
        case CommandAction(command=command, arguments=arguments):
            return command not in ("outlet.on", "load.on") and not arguments.get("state")
        case _:
            return False


def _failed(step: Step) -> Step:
    return Step(step.key, step.action, step.occasion, step.at, StepState.DROPPED, step.attempts, INTERRUPTED)


def _retried(step: Step) -> Step:
    if step.state is not StepState.STARTED:
        return step
    occasion = Occasion(step.occasion.origin, actor=step.occasion.actor, drill=step.occasion.drill, retry=True)
    return Step(step.key, step.action, occasion, step.at, step.state, step.attempts, step.message)


def _say_written(plan: str, writing: asyncio.Future[None]) -> None:
    error = None if writing.cancelled() else writing.exception()
    if error is not None:
        _LOGGER.error("The report of the drill of %s cannot be written: %s", plan, error)


def _write(folder: Path, name: str, markdown: str, json: bytes) -> None:
    """Write both files of a report, and remove the oldest of the plan beyond those that are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(markdown, encoding="utf-8")
    (folder / f"{name}.json").write_bytes(json)
    plan = name.rpartition("-")[0]
    for suffix in (".md", ".json"):
        mine = sorted(file for file in folder.glob(f"{plan}-*{suffix}") if file.stem.rpartition("-")[0] == plan)
        for file in mine[:-KEEP]:
            with suppress(OSError):
                file.unlink()


__all__ = ["PREFIX", "TIME", "Executor", "Ledger", "Plans"]
