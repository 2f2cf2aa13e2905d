"""One protected computer: a device of the site, kept connected to its agent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import logging
import random

from ridethrough.clock import Clock
from ridethrough.config.agents import AgentConfig
from ridethrough.site import CommandError, CommandResult, Commands, Device, DeviceId, Site, Source, Value
from ridethrough.tasks import Backoff, Supervisor
from ridethrough.wake import TIMES, wake

from . import frames
from .connection import AgentError, Connection, Failure, Lost, Means, Overdue, Peer, TooMuch, addresses
from .frames import AgentState, FrameError, Hello
from .pairings import Pairing
from .presence import MISSED, Kept, Presence, State
from .refusals import refusal
from .turns import Turns

_LOGGER = logging.getLogger(__name__)

KIND = "agent"
_START, _EXECUTE = "agent.start", "agent.execute"
RETRIES = Backoff(first=1.0, cap=15.0)
STEADY = 60.0
"""Seconds of connection after which the next attempt is quick again."""
SEEN_EVERY = 60.0
"""Seconds between two notes of when an agent was last seen, while it is: nobody needs more."""
BURST, REFILL = 10, 30.0
"""Changes of state that an agent may show at once, and seconds for each further one: they are events in the journal,
and one that has been taken over must not fill it. The last state is shown in any case, later."""
MOST_ADDRESSES = 4
"""Addresses of a name that are tried."""


@dataclass(frozen=True, slots=True)
class Household:
    """What all computers share."""

    site: Site
    commands: Commands
    clock: Clock
    bridge: Device
    means: Callable[[], Means]
    """How to connect. Raises AgentError while the authority cannot be used."""
    turns: Turns
    """When signs of life are given, a few at a time."""
    keep: Callable[[str, Kept | None], None]
    """Remembers what must outlast a restart of the bridge, by the key of the computer."""
    alive: float
    """Seconds between two signs of life."""


class Computer:
    """Owns the connection to one agent, and posts what is known of its computer."""

    def __init__(
        self,
        config: AgentConfig,
        device_id: DeviceId,
        supplies: tuple[DeviceId, ...],
        household: Household,
        pairing: Pairing | None,
        kept: Kept | None,
    ) -> None:
        """Put the device into the site; `start` connects. `supplies` are the UPSes that feed it."""
        self.config = config
        self.id = device_id
        self.supplies = supplies
        self.pairing = pairing
        self._household = household
        self._clock = household.clock
        self._site = household.site
        self._kept = kept
        self._supervisor = Supervisor(household.clock)
        self._watch: asyncio.Task[None] | None = None
        """Waits until the agent counts as lost."""
        self._connection: Connection | None = None
        self._reason = "it has not been connected to yet"
        self._address = ""
        """Where it was last."""
        self._seen_noted = 0.0
        self._tokens, self._filled = float(BURST), household.clock.monotonic()
        self._known = False
        """Whether it has been found out whether it is there."""
        self._held: AgentState | None = None
        """What it says of itself, while it says too much."""
        self._site.put(
            Device(
                device_id,
                config.key,
                KIND,
                config.name,
                parent=household.bridge.id,
                model="Shutdown agent",
                commands=self._granted(),
            )
        )
        self._own = self._site.lane(device_id, None, Source.COMPUTED)
        self._told = self._site.lane(device_id, None)
        self._site.lane(device_id, None, Source.CONFIGURED).post({"agent.shutdown.planned": config.shutdown_time})
        lost = self._site.conditions(device_id).get("agent_lost")
        self._presence = Presence(household.alive, self._clock.monotonic(), kept, lost=lost is not None and lost.active)
        self._withdraw = household.commands.offer(device_id, self._perform)

    @property
    def connected(self) -> bool:
        """Whether its agent is connected."""
        return self._connection is not None

    @property
    def state(self) -> State:
        """How it is."""
        return State.UNPAIRED if self.pairing is None else self._presence.state

    @property
    def problem(self) -> str:
        """Why it is not connected, as the end of a sentence."""
        return self._reason

    def start(self, delay: float) -> None:
        """Connect to the agent in so many seconds, and keep connected; not where the configuration has it off."""
        if not self.config.enabled:
            self._site.settle(self.id)
            return
        self._post()
        if self.pairing is None:
            self._site.settle(self.id)
            return
        self._await_loss()
        self._supervisor.start(f"The agent {self.config.key}", lambda: self._keep_connected(delay))

    async def stop(self) -> None:
        """End the connection."""
        if self._watch is not None:
            self._watch.cancel()
        await self._supervisor.stop()

    async def repair(self, pairing: Pairing | None) -> None:
        """Go on with another pairing, or without one."""
        await self.stop()
        self._told.lost()
        self.pairing = pairing
        self._presence = Presence(self._household.alive, self._clock.monotonic(), self._presence.kept)
        self.start(0.0)

    def close(self) -> None:
        """Offer no commands any longer."""
        self._withdraw()

    def ping(self) -> None:
        """Give a sign of life now, with whether there is power."""
        if self._connection is not None:
            self._connection.ping(self._on_battery())

    # Connecting

    async def _keep_connected(self, delay: float) -> None:
        await self._clock.sleep(delay)
        failures = 0
        while True:
            try:
                connection, hello = await self._open()
            except AgentError as error:
                failures += 1
                self._failed(error)
            else:
                began = self._clock.monotonic()
                await self._serve(connection, hello)
                failures = 1 if self._clock.monotonic() - began >= STEADY else failures + 1
            await self._clock.sleep(RETRIES.delay(failures, random.random()))

    async def _open(self) -> tuple[Connection, Hello]:
        assert self.pairing is not None
        means = self._household.means()
        peer = Peer(self.id, self.config.host, self.config.port, self.pairing.certificate)
        try:
            found = await addresses(means, peer.host)
        except AgentError:
            # In a power failure the name server may be down before this computer is.
            found = [one for one in (self._address or self.pairing.address,) if one]
            if not found:
                raise
        failed: AgentError | None = None
        for address in found[:MOST_ADDRESSES]:
            try:
                return await Connection.open(means, peer, address, self._said)
            except AgentError as error:
                if failed is None or failed.failure is Failure.SILENT:
                    failed = error
        assert failed is not None
        raise failed

    async def _serve(self, connection: Connection, hello: Hello) -> None:
        """Be connected until the connection ends."""
        self._connection = connection
        self._address = connection.address
        before = self._presence.state
        connection.ready(self._household.bridge.name, self._household.alive)
        self.ping()
        self._greeted(hello)
        if before in {State.LOST, State.DOWN}:
            _LOGGER.info("%s %s", self._name, "answers again" if before is State.LOST else "is up again")
        beating = asyncio.create_task(self._beat(connection))
        try:
            await asyncio.wait((connection.ended,))
            self._gone(connection.ended.result(), silent=beating.done())
        finally:
            # When the bridge ends, nothing has happened to the agent: what is known of it stays for the next one.
            beating.cancel()
            connection.close()
            self._connection = None

    async def _beat(self, connection: Connection) -> None:
        """Give signs of life; returns when nothing has been heard for three of them.

        They are counted and not timed: when the bridge itself has stood still, nobody has had a chance to answer.
        """
        missed = 0
        while True:
            await self._clock.sleep(self._household.alive)
            missed = 0 if connection.heard else missed + 1
            if missed >= MISSED:
                connection.abort(f"nothing was heard of it for {MISSED} signs of life")
                return
            connection.heard = False
            self._household.turns.add(self.ping)
            if missed == 0:
                self._note_seen()
            if self._held is not None:
                self._said(self._held)

    # What is known of it

    @property
    def _name(self) -> str:
        return f"{self.config.name} ({self.config.key})"

    def _on_battery(self) -> bool | None:
        """Whether one of the UPSes that feed it is on battery; None where nobody knows."""
        states = [self._site.conditions(ups).get("on_battery") for ups in self.supplies]
        known = [state.active for state in states if state is not None and state.quality == "good"]
        if any(known):
            return True
        return False if known and len(known) == len(states) else None

    def _greeted(self, hello: Hello) -> None:
        self._reason = ""
        device = self._site.devices[self.id]
        with self._site.transaction():
            self._site.put(replace(device, firmware=hello.version or None))
            self._told.post(
                {"agent.version": hello.version, "agent.system": hello.system, "agent.address": self._address}
            )
            self._note_seen(at_once=True)
            self._show(hello.state)
            self._site.settle(self.id)

    def _said(self, state: AgentState) -> None:
        """Take what the agent says of itself; when it says too much, the last thing later."""
        now = self._clock.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) / REFILL)
        self._filled = now
        if self._tokens < 1.0:
            self._held = state
            return
        self._tokens -= 1.0
        self._show(state)

    def _show(self, state: AgentState) -> None:
        self._held = None
        if state.state == State.SHUTTING_DOWN and self._presence.state is not State.SHUTTING_DOWN:
            _LOGGER.info("%s is shutting down", self._name)
        self._presence.said(State(state.state), self._clock.utc())
        with self._site.transaction():
            self._told.post(
                conditions={
                    "agent_waiting": state.state == State.WAITING,
                    "agent_shutting_down": state.state == State.SHUTTING_DOWN,
                }
            )
            self._post()

    def _gone(self, reason: str, *, silent: bool) -> None:
        """Note that the connection has ended by itself."""
        if self._held is not None:
            self._show(self._held)
        self._reason = reason
        self._connection = None
        self._presence.ended(self._clock.monotonic(), self._clock.utc(), silent=silent)
        _LOGGER.debug("The connection to %s has ended: %s", self._name, reason)
        if self._presence.state is State.LOST:
            self._say_lost()
        else:
            self._await_loss()
        with self._site.transaction():
            self._told.lost()
            self._post()

    def _failed(self, error: AgentError) -> None:
        """Note that it could not be connected to."""
        before = self._presence.state
        self._reason = str(error)
        self._presence.failed(self._clock.monotonic(), self._clock.utc(), silent=error.failure is Failure.SILENT)
        if self._presence.state is not before and self._presence.state is State.DOWN:
            _LOGGER.info("%s is down, %.0f s after it began to shut down", self._name, self._presence.duration or 0.0)
        elif self._presence.state is not before:
            self._say_lost()
        self._post()

    def _await_loss(self) -> None:
        """Look again when an agent that is not connected must be called lost."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.create_task(self._lose(), name=f"The loss of {self.config.key}")

    async def _lose(self) -> None:
        while (patience := self._presence.patience(self._clock.monotonic())) is not None:
            await self._clock.sleep(patience)
            self._presence.elapsed(self._clock.monotonic())
            if self._presence.state is State.LOST:
                self._say_lost()
                self._post()

    def _say_lost(self) -> None:
        _LOGGER.warning("%s is lost: %s", self._name, self._reason)

    def _note_seen(self, *, at_once: bool = False) -> None:
        now = self._clock.monotonic()
        if at_once or now - self._seen_noted >= SEEN_EVERY:
            self._seen_noted = now
            self._own.post({"agent.last_seen": self._clock.utc().isoformat()})

    def _post(self) -> None:
        """Post what the bridge itself knows, and have remembered what must be."""
        state = self.state
        points: dict[str, Value] = {"agent.state": state}
        conditions = {"agent_lost": state is State.LOST, "agent_unpaired": state is State.UNPAIRED}
        self._known = self._known or self._connection is not None or state is not State.CONNECTING
        if self._known:
            # Until it has answered, or has not in time, what the journal knows stays: a restart of the bridge is no event.
            conditions["agent_connected"] = self._connection is not None
        if state is State.DOWN:
            conditions |= {"agent_shutting_down": False, "agent_waiting": False}
        if self._presence.duration is not None:
            points["agent.shutdown.duration"] = self._presence.duration
        self._own.post(points, conditions)
        kept = self._presence.kept
        if kept != self._kept:
            self._kept = kept
            self._household.keep(self.config.key, kept)

    # Commands

    def _granted(self) -> frozenset[str]:
        if not self.config.enabled:
            return frozenset()
        return frozenset(
            command.key
            for command in self._site.catalogue.commands
            if KIND in command.kinds
            and command.group in self.config.allow
            and (command.key != _START or self.config.mac is not None)
        )

    async def _perform(self, command: str, arguments: Mapping[str, Value]) -> CommandResult:
        if command == _START:
            return await self._wake()
        if command == _EXECUTE and not frames.program(str(arguments.get("program"))):
            raise CommandError(
                "bad_argument",
                "A program is called by a name of letters, digits, _, - and . that the agent's own configuration has.",
            )
        verb = command.removeprefix(f"{KIND}.")
        try:
            return await self._ask(verb, arguments)
        except CommandError as error:
            self._own.post({"agent.last_command": frames.clean(f"{verb}: {error}", 200)})
            raise

    async def _ask(self, verb: str, arguments: Mapping[str, Value]) -> CommandResult:
        name, connection = self.config.name, self._connection
        if connection is None:
            raise CommandError("offline", self._offline())
        try:
            result = await connection.ask(verb, arguments)
            if result.code == "old" and not result.ok:
                # It was not carried out. A computer that has slept has a clock that has slept.
                await connection.measure(self._on_battery())
                result = await connection.ask(verb, arguments)
        except TooMuch:
            raise CommandError("refused", f"Too many commands to {name} are under way already.") from None
        except FrameError as error:
            raise CommandError("bad_argument", f"The command cannot be sent: {error}.") from error
        except Overdue:
            told = f"{name} is connected but has not answered in time; nobody knows whether it does it."
            raise CommandError("no_answer", told) from None
        except Lost as error:
            told = f"{name} has not answered: {error}. Nobody knows whether it does it."
            raise CommandError("no_answer", told) from error
        self._own.post(conditions={"agent_refused": not result.ok})
        if not result.ok:
            raise refusal(name, result)
        message = result.message or f"{name} has accepted it."
        self._own.post({"agent.last_command": frames.clean(f"{verb}: {message}", 200)})
        return CommandResult(message)

    def _offline(self) -> str:
        name = self.config.name
        match self.state:
            case State.UNPAIRED:
                return f"{name} is not paired: run `ridethrough agent invite {self.config.key}`."
            case State.DOWN:
                return f"{name} is down."
        return f"{name} cannot be reached at the moment: {self._reason or 'it is being connected to'}."

    async def _wake(self) -> CommandResult:
        mac = self.config.mac
        assert mac is not None  # otherwise the device does not offer it
        try:
            await wake(mac, self.config.broadcast, self.config.wake_port)
        except OSError as error:
            told = f"The magic packet for {self.config.name} cannot be sent to {self.config.broadcast}: {error}."
            raise CommandError("no_answer", told) from error
        message = f"{TIMES} magic packets for {self.config.name} were sent to {self.config.broadcast}."
        self._own.post({"agent.last_command": f"start: {message}"})
        return CommandResult(message, confirmed=False)


__all__ = ["BURST", "KIND", "REFILL", "Computer", "Household"]
