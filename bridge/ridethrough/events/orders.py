"""Commands that people and other systems give: permitted, carried out, and journalled with who gave them."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
import logging
from typing import Protocol, TypeGuard

from ridethrough.catalogue import Role, Severity
from ridethrough.clock import Clock
from ridethrough.site import CommandError, CommandResult, Commands, DeviceId, Site, Value

from .effect import Watch, effect_of
from .event import EdgeKind, Event, EventKind, JournalError
from .pending import Pending, Recording

_LOGGER = logging.getLogger(__name__)

LONGEST_MESSAGE = 500
"""Characters of an outcome; a complaint about an argument quotes it."""

type Outcome = CommandResult | CommandError


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done."""

    device: DeviceId
    command: str
    arguments: Mapping[str, Value] = field(default_factory=dict)


class Actor(Protocol):
    """Who wants it done."""

    @property
    def name(self) -> str:
        """What people know them by, for the journal."""

    @property
    def role(self) -> Role:
        """What they may do."""


_GIVER: ContextVar[Actor | None] = ContextVar("giver", default=None)


def giver() -> Actor | None:
    """Return who has given the command that is being carried out here; None where it is none of `Orders`."""
    return _GIVER.get()


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """How long things may take, in seconds, and how much may go on at once."""

    record: float = 1.0
    """For the journal to take a command's event before its giver gets the result. With a full disk the event waits
    in the recorder, and people must be able to command their UPS all the same."""
    confirm: float = 5.0
    """For the status to show what a command has brought about that its link could not confirm, before the result."""
    follow: float = 60.0
    """For the same after the result; then it counts as ignored."""
    followed: int = 128
    """Commands whose late effect is watched for at once."""
    pending_total: int = 2048
    """Commands being carried out, among them those whose giver has hung up since: a thousand computers are shut down in
    one moment."""


class Orders:
    """Carries out commands side by side. One goes on when its client hangs up: it may be half done on the wire."""

    def __init__(
        self,
        site: Site,
        commands: Commands,
        recorder: Recording,
        clock: Clock,
        limits: OrderLimits | None = None,
        pending: Pending | None = None,
    ) -> None:
        """Commands go to `commands`, what became of them to `recorder`; `pending` knows of those under way."""
        self._site = site
        self._commands = commands
        self._recorder = recorder
        self._clock = clock
        self._limits = limits or OrderLimits()
        self._pending = pending
        self._tasks: set[asyncio.Task[None]] = set()
        self._followed: set[asyncio.Task[None]] = set()

    def accept(self, order: Order, actor: Actor, done: Callable[[Outcome], None]) -> None:
        """Begin to carry out a command; `done` hears how it ended, after the journal has, if that can be written."""
        if len(self._tasks) >= self._limits.pending_total:
            done(CommandError("refused", "The bridge is carrying out too many commands already."))
            return
        task = asyncio.create_task(self._carry_out(order, actor, done), name=f"command {order.command:.40}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give(self, order: Order, actor: Actor) -> CommandResult:
        """Carry out a command and return how it ended; raises CommandError. It goes on when the caller is cancelled."""
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        self.accept(order, actor, done)
        outcome = await ended
        if isinstance(outcome, CommandError):
            raise outcome
        return outcome

    async def stop(self, patience: float) -> None:
        """Wait so many seconds for what is under way, then give it up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        tasks = [*self._tasks, *self._followed]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, order: Order, actor: Actor, done: Callable[[Outcome], None]) -> None:
        outcome: Outcome = CommandError("no_answer", "The bridge stopped before the command was confirmed.")
        _GIVER.set(actor)  # this task is of this command alone
        with ExitStack() as looking:
            watch = looking.enter_context(self._watch(order))
            note: int | None = None
            try:
                note = await self._note(order, actor)
                outcome = await self._perform(order, actor.role)
                if _unsure(outcome) and await watch.within(self._limits.confirm):
                    outcome = CommandResult(f"{outcome.message} Its status shows it.")
            finally:
                # Also when it is given up: that it was given is what matters then.
                if await self._record(order, actor, outcome):
                    await self._forget(note)
                done(outcome)
            if _unsure(outcome):
                self._follow(order, actor, looking.pop_all(), watch)

    def _watch(self, order: Order) -> Watch:
        device = self._site.devices.get(order.device)
        effect = None if device is None else effect_of(self._site.catalogue, device.kind, order.command)
        return Watch(self._site, self._clock, order.device, effect)

    def _follow(self, order: Order, actor: Actor, looking: ExitStack, watch: Watch) -> None:
        """Go on looking for the effect of a command whose client has its result."""
        if len(self._followed) >= self._limits.followed:
            looking.close()
            return

        async def follow() -> None:
            with looking:
                shown = await watch.within(self._limits.follow)
                device = self._site.devices.get(order.device)
                if device is None:
                    return
                if shown and watch.after is not None:
                    late = round(watch.after, 1)
                    message = f"The status of {device.name} shows {order.command}, {late:g} s after it was given."
                    details: dict[str, Value] = {"outcome": "ok", "message": message, "confirmed": True, "late": late}
                    await self._write(order, actor, Severity.INFO, details)
                elif watch.tells:
                    message = (
                        f"{device.name} has not refused {order.command}, but its status has not shown it within "
                        f"{self._limits.follow:g} s: it seems to have ignored it."
                    )
                    details = {"outcome": "ignored", "message": message, "confirmed": False}
                    await self._write(order, actor, Severity.WARNING, details)

        task = asyncio.create_task(follow(), name=f"effect of {order.command:.40}")
        self._followed.add(task)
        task.add_done_callback(self._followed.discard)

    async def _perform(self, order: Order, role: Role) -> Outcome:
        try:
            self._permit(order, role)
            return await self._commands.perform(order.device, order.command, order.arguments)
        except CommandError as error:
            message = str(error)
            if len(message) <= LONGEST_MESSAGE:
                return error
            return CommandError(error.code, f"{message[:LONGEST_MESSAGE]}…")
        except Exception:
            _LOGGER.exception("The command %s failed in a way nobody foresaw", order.command)
            return CommandError("no_answer", "The command failed inside the bridge; its log says more.")

    def _permit(self, order: Order, role: Role) -> None:
        """Raise CommandError when the token's role does not include the command's."""
        device = self._site.devices.get(order.device)
        definition = None if device is None else self._site.catalogue.command(device.kind, order.command)
        if definition is not None and not role.may(definition.role):
            raise CommandError(
                "forbidden", f"{order.command} needs a token of the role {definition.role}; this one has {role}."
            )

    async def _record(self, order: Order, actor: Actor, outcome: Outcome) -> bool:
        """Tell the journal; whether it has it."""
        if not self._exists(order):
            # Nothing that exists was asked for; journals are for what happens to devices.
            return True
        match outcome:
            case CommandResult(message, confirmed):
                details: Mapping[str, Value] = {"outcome": "ok", "message": message, "confirmed": confirmed}
                return await self._write(order, actor, Severity.INFO, details)
            case CommandError():
                details = {"outcome": outcome.code, "message": str(outcome)}
                return await self._write(order, actor, Severity.WARNING, details)

    async def _write(self, order: Order, actor: Actor, severity: Severity, outcome: Mapping[str, Value]) -> bool:
        event = self._event(order, actor, severity, outcome)
        try:
            async with asyncio.timeout(self._limits.record):
                await self._recorder.record(event)
        except TimeoutError:
            _LOGGER.warning("%s by %s (%s) waits for the journal", order.command, actor.name, outcome["outcome"])
        except JournalError as error:
            _LOGGER.error(
                "%s by %s (%s) is not in the journal: %s", order.command, actor.name, outcome["outcome"], error
            )
        else:
            return True
        return False

    def _event(self, order: Order, actor: Actor, severity: Severity, outcome: Mapping[str, Value]) -> Event:
        details: dict[str, Value] = {"actor": actor.name, **outcome}
        if outcome.get("outcome") != "bad_argument":
            details |= {f"argument.{name}": value for name, value in order.arguments.items()}
        return Event(
            self._clock.utc(), EventKind.COMMAND, order.device, order.command, EdgeKind.OCCURRED, severity, details
        )

    def _exists(self, order: Order) -> bool:
        device = self._site.devices.get(order.device)
        return device is not None and self._site.catalogue.command(device.kind, order.command) is not None

    async def _note(self, order: Order, actor: Actor) -> int | None:
        """Note a command before it is carried out; None where that cannot be: a full disk must not stop people."""
        if self._pending is None or not self._exists(order):
            return None
        try:
            async with asyncio.timeout(self._limits.record):
                return await self._pending.note(self._event(order, actor, Severity.INFO, {}))
        except (TimeoutError, JournalError) as error:
            _LOGGER.warning("%s by %s is carried out without a note of it: %s", order.command, actor.name, error)
        return None

    async def _forget(self, note: int | None) -> None:
        if self._pending is None or note is None:
            return
        try:
            async with asyncio.timeout(self._limits.record):
                await self._pending.forget(note)
        except (TimeoutError, JournalError) as error:
            _LOGGER.warning("A command that has ended is still noted as under way: %s", error)


def _unsure(outcome: Outcome) -> TypeGuard[CommandResult]:
    """Whether the device has not refused, but has not confirmed either."""
    return isinstance(outcome, CommandResult) and not outcome.confirmed


__all__ = ["LONGEST_MESSAGE", "Actor", "Order", "OrderLimits", "Orders", "Outcome", "giver"]
