"""Brings a battery system together: what is read comes to the board, what is found out goes to the site and to the bus.

The modules of this package decide; this one has the clock, the site and the link, and decides nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from ridethrough.clock import Clock
from ridethrough.config.battery import BatteryConfig
from ridethrough.site import Commands, Device, DeviceId, Site

from .attempts import Attempts
from .board import Board, Findings, Phase
from .bus import Bus
from .children import children, facts, layout_of, suffix
from .cores import Cores
from .desk import Desk, Inventory
from .equaliser.working_range import range_of
from .intake import Intake
from .layout import SYSTEM, Place, block, string
from .limits import usual_voltage
from .memory import Memory, Notebook
from .summary import Summary
from .voice import Voice

STEP = 0.25
"""Seconds between two looks while something changes."""
AT_ONCE = 32
"""Blocks of which something is posted in one go; more would hold up the loop."""
CALM = 1.0
"""Seconds between two looks while nothing does: time passes all the same."""


@dataclass(frozen=True, slots=True)
class Services:
    """What battery systems need of the rest of the bridge."""

    memory: Memory | None = None
    kept: Mapping[DeviceId, Mapping[str, str]] = field(default_factory=dict)
    """What the memory has of each system."""
    zone: tzinfo = UTC
    """For the times at which impedances are measured."""
    inventory: Inventory | None = None
    log: Callable[[DeviceId, datetime, Board], None] | None = None
    """Takes what a system is like at a time (UTC) into the battery log; never waits."""


ALONE = Services()


class Keeper:
    """One battery system, as long as its device is configured as it is.

    `run` and `remember` are to be owned by a supervisor; they may be cancelled and run again. `stop` when they have ended
    for good.
    """

    def __init__(
        self,
        config: BatteryConfig,
        device: DeviceId,
        site: Site,
        commands: Commands,
        clock: Clock,
        *,
        bus: Bus | None,
        mint: Callable[[str], DeviceId],
        judged: bool = False,
        services: Services = ALONE,
    ) -> None:
        """Put all strings, blocks, sensors and boxes into the site, where the system itself is already.

        `bus` is what the modules can be told by, None where they are only read. `judged`: the equipment itself says what
        is wrong, so that nothing is judged here.
        """
        self.config = config
        self._site = site
        self._clock = clock
        self._bus = bus
        self.layout = layout_of(config)
        self.identities: dict[Place, DeviceId] = {SYSTEM: device}
        self.notebook = Notebook(device, config.key, services.memory, clock, services.kept.get(device, {}))
        with site.transaction():
            for place, name in children(config):
                key = f"{config.key}{suffix(place)}"
                self.identities[place] = mint(key)
                site.put(Device(self.identities[place], key, place.kind, name, parent=device))
            self._voice = Voice(site, self.identities)
            raised = [
                (place, key)
                for place, identity in self.identities.items()
                for key, state in site.conditions(identity).items()
                if state.active
            ]
            voltage = config.limits.voltage or usual_voltage(config.block)
            span = range_of(config.equalising, config.block)
            for place, found in facts(config, voltage, span):
                self._voice.certain(place, found)
        self.board = Board(self.layout)
        ups = None if config.ups is None else mint(config.ups)
        self._intake = Intake(config, self.board, site, self.identities, ups, self._voice.own)
        self._summary = Summary(config, self.layout)
        self._services = services
        self._cores: Cores | None = None
        if not judged:
            self._cores = Cores(
                config,
                self.layout,
                self.board,
                self._intake,
                self.notebook,
                bus,
                zone=services.zone,
                now=clock.monotonic(),
                utc=clock.utc(),
                raised=raised,
                say=self._say,
                tell=self._voice.say,
            )
        self._desk = Desk(
            config,
            site,
            commands,
            clock,
            self.identities,
            self.board,
            cores=self._cores,
            bus=bus,
            inventory=services.inventory,
            say=self._answer,
        )
        self._desk.open(self._stir)
        self._logged: float | None = None
        self._looked: float | None = None
        self._summed: float | None = None
        self._absent: set[int] = set()
        self._attempt = Attempts(config.key)

    async def run(self) -> None:
        """Look at what comes, for ever."""
        end = self._intake.begin()
        try:
            while True:
                if self._intake.fresh or self._looked is None or self._clock.monotonic() - self._looked >= CALM:
                    self.look()
                    while self.go_on():
                        await self._clock.sleep(0)
                await self._clock.sleep(STEP)
        finally:
            end()
            if self._cores is not None:
                self._cores.rest()

    async def remember(self) -> None:
        """Write down what must not be forgotten when it is due, for ever; a slow disk holds up nothing else."""
        while True:
            if self.notebook.due():
                await self.notebook.save()
            await self._clock.sleep(STEP)

    async def stop(self) -> Mapping[str, str]:
        """Offer nothing any longer, write down what must not be forgotten, and return it."""
        self._desk.close()
        if self._cores is not None:
            self._cores.note(self._clock.monotonic(), self._clock.utc(), everything=True)
        await self.notebook.save()
        return self.notebook.kept

    def look(self) -> None:
        """Look at everything once, tell the bus what follows, and post the first of it."""
        now = self._looked = self._clock.monotonic()
        self._intake.fresh = False
        self._see(now)
        self._voice.post(AT_ONCE)

    def go_on(self) -> bool:
        """Post what is left of a look; whether there is still more."""
        more = self._look_for_absent()
        return self._voice.post(AT_ONCE) or more

    def _stir(self) -> None:
        self._intake.fresh = True

    def _see(self, now: float) -> None:
        if self._cores is not None:
            self._cores.see(now, self._clock.utc())
        if self._summed is None or now - self._summed >= CALM:
            self._summed = now
            self._attempt("the sums", lambda: self._say(self._summary.see(self.board)))
        self._attempt("the battery log", lambda: self._log(now))

    def _log(self, now: float) -> None:
        if self._services.log is None or not self.config.log.enabled:
            return
        busy = self.board.phase in (Phase.DISCHARGING, Phase.CHARGING)
        every = self.config.log.interval_discharge if busy else self.config.log.interval
        if self._logged is None and not any(value is not None for value in self.board.voltage):
            return  # nothing has been read since the start
        if self._logged is None or now - self._logged >= every:
            self._logged = now
            self._services.log(self.identities[SYSTEM], self._clock.utc(), self.board)

    def _say(self, findings: Findings) -> None:
        """Post, and let the judge know what holds."""
        for (kind, number, key), active in findings.conditions.items():
            self._intake.found(Place(kind, number), key, active=active)
        self._voice.say(findings)

    def _answer(self, findings: Findings) -> None:
        """Post what a command has brought about."""
        self._say(findings)
        self._voice.post(AT_ONCE)

    def _look_for_absent(self) -> bool:
        """Let nothing stand as if it were seen that cannot be seen any longer; whether there is more of it."""
        absent = self._intake.absent
        if absent == self._absent:
            return False
        was_blind = len(self._absent) == self.layout.blocks
        gone = sorted(absent - self._absent)[:AT_ONCE]
        back = sorted(self._absent - absent)[:AT_ONCE]
        self._absent |= set(gone)
        self._absent -= set(back)
        blind = len(self._absent) == self.layout.blocks
        whole = [SYSTEM, *map(string, range(1, self.layout.strings + 1))]
        self._voice.silence([*map(block, gone), *(whole if blind else [])])
        self._voice.repeat([*map(block, back), *(whole if was_blind else [])])
        return self._absent != absent


__all__ = ["Keeper", "Services"]
