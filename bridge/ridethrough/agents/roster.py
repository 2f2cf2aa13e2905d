"""All protected computers of the bridge, as the configuration has them; they come, change and go while others run."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import logging
from pathlib import Path
import random
import resource
import ssl

from ridethrough.certificates import CertificateError
from ridethrough.clock import Clock
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.site import Change, Commands, Device, DeviceId, Site, Source
from ridethrough.tasks import Backoff, Supervisor

from .authority import open_authority
from .computer import Computer, Household
from .connection import AgentError, Failure, Limits, Means
from .pairings import Facts, Pairing, Pairings
from .presence import Kept, read_kept
from .turns import Turns

_LOGGER = logging.getLogger(__name__)

LOOK = 3.0
"""Seconds between two looks at whether another process has paired an agent, or forgotten one."""
GATHER = 0.2
"""Seconds in which what must be remembered is gathered: a thousand computers that go down make one transaction."""
SPACING = 0.01
"""Seconds of the start for each agent: handshakes take a millisecond or two, on a small computer ten."""
PORTION = 20
"""Agents that are put into the site in one turn of the event loop."""
RESOLVERS = 4
"""Threads that ask name servers."""
SPARE_FILES = 512
"""Open files of the bridge beside the connections to agents."""
_KEPT = "agent.presence."
_RETRIES = Backoff(first=1.0, cap=60.0)


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What the bridge gives its roster."""

    site: Site
    commands: Commands
    clock: Clock
    facts: Facts
    bridge: Device
    mint: Callable[[str], DeviceId]
    """Gives a key its identity."""
    data: Path
    """The folder where the authority is kept."""


class Roster:
    """Owns the connections to all agents."""

    def __init__(self, context: AgentContext, limits: Limits | None = None) -> None:
        """Begin without agents; `configure` brings them."""
        self._context = context
        self._limits = limits or Limits()
        self._clock = context.clock
        self._pairings = Pairings(context.facts)
        self._turns = Turns()
        self._resolver = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="agent-names")
        self._config = AgentsConfig()
        self._computers: dict[str, Computer] = {}
        self._supplied: dict[DeviceId, list[Computer]] = {}
        """Who must hear that a UPS goes on battery."""
        self._known: dict[str, Pairing] = {}
        self._kept: dict[str, Kept] = {}
        self._unwritten: dict[str, str | None] = {}
        self._changed = asyncio.Event()
        self._revision: str | None = None
        self._tls: tuple[str, ssl.SSLContext] | None = None
        """The authority's fingerprint, and what to connect with."""
        self._problem = "the authority has not been read yet"
        self._supervisor: Supervisor | None = None
        self._ignore: Callable[[], None] = lambda: None
        self._turn = asyncio.Lock()

    @property
    def computers(self) -> dict[str, Computer]:
        """All of them by the key that the configuration gives them."""
        return self._computers

    async def configure(self, config: AgentsConfig) -> list[str]:
        """Have the agents that the configuration has; those that it has not changed go on. Returns who changed.

        Raises what the store raises.
        """
        async with self._turn:
            if self._supervisor is None:
                if not config.computers:
                    return []
                await self._begin()
            return await self._configure(config)

    async def stop(self) -> None:
        """End all connections, and remember what must be."""
        if self._supervisor is not None:
            self._ignore()
            await self._supervisor.stop()
            await asyncio.gather(*(computer.stop() for computer in self._computers.values()))
            for computer in self._computers.values():
                computer.close()
            await self._write()
        self._resolver.shutdown(wait=False, cancel_futures=True)

    # How it is done

    async def _begin(self) -> None:
        """Read what is remembered, and watch over what may change."""
        for key, text in (await self._context.facts.under(_KEPT)).items():
            if (kept := read_kept(text)) is not None:
                self._kept[key.removeprefix(_KEPT)] = kept
        await self._look()
        self._ignore = self._context.site.observe(self._observe)
        self._supervisor = Supervisor(self._clock)
        self._supervisor.start("The watch over pairings", self._keep_looking)
        self._supervisor.start("The keeper of agents' states", self._keep_writing)

    async def _configure(self, config: AgentsConfig) -> list[str]:
        wanted = {one.key: one for one in config.computers}
        all_anew = config.alive != self._config.alive
        changed = [key for key, one in self._computers.items() if all_anew or wanted.get(key) != one.config]
        self._config = config
        await asyncio.gather(*(self._computers[key].stop() for key in changed))
        for key in changed:
            self._end(self._computers.pop(key), for_good=key not in wanted)
        _make_room(len(wanted))
        fresh = [one for key, one in wanted.items() if key not in self._computers]
        for number, one in enumerate(fresh):
            self._start(one, random.uniform(0.0, SPACING * len(fresh)))
            if number % PORTION == PORTION - 1:
                await asyncio.sleep(0)
        self._supplied = {}
        for computer in self._computers.values():
            for ups in computer.supplies:
                self._supplied.setdefault(ups, []).append(computer)
        return sorted({*changed, *(one.key for one in fresh)})

    def _start(self, config: AgentConfig, delay: float) -> None:
        mint, context = self._context.mint, self._context
        household = Household(
            context.site,
            context.commands,
            context.clock,
            context.bridge,
            self._means,
            self._turns,
            self._keep,
            self._config.alive,
        )
        computer = Computer(
            config,
            mint(config.key),
            tuple(mint(key) for key in config.supplies),
            household,
            self._known.get(config.key),
            self._kept.get(config.key),
        )
        self._computers[config.key] = computer
        computer.start(delay)

    def _end(self, computer: Computer, *, for_good: bool) -> None:
        """Take a computer out of the site; what is raised of one that comes back stays raised."""
        computer.close()
        site = self._context.site
        raised = {key: state.since for key, state in site.conditions(computer.id).items() if state.active}
        if for_good:
            self._keep(computer.config.key, None)
            site.lane(computer.id, None, Source.CONFIGURED).post(conditions=dict.fromkeys(raised, False))
        site.remove(computer.id)
        if not for_good:
            for key, since in raised.items():
                site.restore(computer.id, key, since)

    def _means(self) -> Means:
        if self._tls is None:
            raise AgentError(Failure.STRANGE, self._problem)
        return Means(self._tls[1], self._turns, self._clock, self._resolver, self._limits)

    def _observe(self, change: Change) -> None:
        """Tell the agents behind a UPS at once that power is out: the network may be the next to go."""
        for device, key in change.conditions:
            if key == "on_battery":
                for computer in self._supplied.get(device, ()):
                    self._turns.add(computer.ping)

    # Pairings

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(LOOK)
            async with self._turn:
                await self._look()

    async def _look(self) -> None:
        """Take over what another process has changed. Raises what the store raises."""
        revision = await self._pairings.revision()
        if revision == self._revision and (self._tls is not None or not self._known):
            return
        known = dict(await self._pairings.all())
        before = self._tls
        if known:
            await self._read_authority(await self._pairings.authority())
        other = before is not None and self._tls is not None and self._tls[0] != before[0]
        self._known, self._revision = known, revision
        for key, computer in self._computers.items():
            if other or computer.pairing != known.get(key):
                await computer.repair(known.get(key))

    async def _read_authority(self, known: str | None) -> None:
        if self._tls is not None and self._tls[0] == known:
            return
        bridge, data = self._context.bridge.id, self._context.data

        def read() -> tuple[str, ssl.SSLContext]:
            authority = open_authority(data, bridge, known)
            return authority.fingerprint, authority.context()

        try:
            self._tls = await asyncio.to_thread(read)
        except (CertificateError, ssl.SSLError, OSError) as error:
            self._tls = None
            problem = str(error).rstrip(".")
            if problem != self._problem:
                _LOGGER.error("No agent can be connected to: %s", error)
            self._problem = problem

    # What must be remembered

    def _keep(self, key: str, kept: Kept | None) -> None:
        if kept is None:
            self._kept.pop(key, None)
        else:
            self._kept[key] = kept
        self._unwritten[_KEPT + key] = None if kept is None else kept.write()
        self._changed.set()

    async def _keep_writing(self) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            await self._clock.sleep(GATHER)
            if await self._write(quiet=failures > 0):
                failures = 0
            else:
                failures += 1
                await self._clock.sleep(_RETRIES.delay(failures, random.random()))

    async def _write(self, *, quiet: bool = False) -> bool:
        """Write what has changed; whether that worked."""
        self._changed.clear()
        values, self._unwritten = self._unwritten, {}
        if not values:
            return True
        try:
            await self._context.facts.change(values)
        except Exception as error:  # noqa: BLE001 - a full disk must not keep computers from being shut down
            self._unwritten = {**values, **self._unwritten}
            self._changed.set()
            if not quiet:
                _LOGGER.warning("Which computers are down cannot be remembered: %s", error)
            return False
        return True


def _make_room(agents: int) -> None:
    """Let this process have as many files open as there will be connections, if the system permits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = agents + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    room = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    if room < needed:
        _LOGGER.warning(
            "The system lets the bridge have %d files open; for %d agents %d are needed (ulimit -n)",
            hard,
            agents,
            needed,
        )


__all__ = ["AgentContext", "Roster"]
