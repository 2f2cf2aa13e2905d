"""Brings a battery system together: what is read comes to the board, what is found out goes to the site and to the bus.

The modules of this package decide; this one has the clock, the site and the link, and decides nothing.
"""

from collections.abc import Callable, Mapping
import logging
from types import MappingProxyType

from ridethrough.clock import Clock
from ridethrough.config.battery import BatteryConfig
from ridethrough.site import Commands, Device, DeviceId, Site

from .board import Board, Findings
from .bus import Bus
from .children import children, facts, layout_of, suffix
from .intake import Intake
from .layout import SYSTEM, Place, block, string
from .memory import Memory, Notebook
from .summary import Summary
from .voice import Voice

_LOGGER = logging.getLogger(__name__)

STEP = 0.25
"""Seconds between two looks while something changes."""
CALM = 1.0
"""Seconds between two looks while nothing does: time passes all the same."""


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
        memory: Memory | None = None,
        kept: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Put all strings, blocks, sensors and boxes into the site, where the system itself is already.

        `bus` is what the modules can be told by, None where they are only read. `judged`: the equipment itself says what
        is wrong, so that nothing is judged here. `kept` is what `memory` has of this device.
        """
        self.config = config
        self._site = site
        self._clock = clock
        self._bus = bus
        self.layout = layout_of(config)
        self.identities: dict[Place, DeviceId] = {SYSTEM: device}
        self.notebook = Notebook(device, config.key, memory, clock, kept)
        with site.transaction():
            for place, name in children(config):
                key = f"{config.key}{suffix(place)}"
                self.identities[place] = mint(key)
                site.put(Device(self.identities[place], key, place.kind, name, parent=device))
            self._voice = Voice(site, self.identities)
            for place, found in facts(config, config.limits.voltage):
                self._voice.certain(place, found)
        self.board = Board(self.layout)
        ups = None if config.ups is None else mint(config.ups)
        self._intake = Intake(config, self.board, site, self.identities, ups)
        self._summary = Summary(config, self.layout)
        self._looked: float | None = None
        self._summed: float | None = None
        self._absent: frozenset[int] = frozenset()
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Look at what comes, for ever."""
        end = self._intake.begin()
        try:
            while True:
                if self._intake.fresh or self._looked is None or self._clock.monotonic() - self._looked >= CALM:
                    self.look()
                await self._clock.sleep(STEP)
        finally:
            end()

    async def remember(self) -> None:
        """Write down what must not be forgotten when it is due, for ever; a slow disk holds up nothing else."""
        while True:
            if self.notebook.due():
                await self.notebook.save()
            await self._clock.sleep(STEP)

    async def stop(self) -> Mapping[str, str]:
        """Write down what must not be forgotten, and return it."""
        await self.notebook.save()
        return self.notebook.kept

    def look(self) -> None:
        """Look at everything once, and post and tell what follows."""
        now = self._looked = self._clock.monotonic()
        self._intake.fresh = False
        with self._site.transaction():
            self._see(now)

    def _see(self, now: float) -> None:
        if self._summed is None or now - self._summed >= CALM:
            self._summed = now
            self._try("the sums", lambda: self._say(self._summary.see(self.board)))
        self._try("what cannot be seen", self._look_for_absent)

    def _say(self, findings: Findings) -> None:
        """Post, and remember what holds."""
        if not findings.points and not findings.conditions:
            return
        for (kind, number, key), active in findings.conditions.items():
            self._intake.found(Place(kind, number), key, active=active)
        self._voice.say(findings)

    def _look_for_absent(self) -> None:
        """Let nothing stand as if it were seen that cannot be seen any longer."""
        absent = frozenset(self._intake.absent)
        if absent == self._absent:
            return
        gone, back = map(block, absent - self._absent), map(block, self._absent - absent)
        was_blind, blind = (len(one) == self.layout.blocks for one in (self._absent, absent))
        self._absent = absent
        whole = [SYSTEM, *map(string, range(1, self.layout.strings + 1))]
        self._voice.silence([*gone, *(whole if blind else [])])
        self._voice.repeat([*back, *(whole if was_blind else [])])

    def _try(self, name: str, work: Callable[[], object]) -> None:
        """Do one of several things; that it fails must keep none of the others from being done."""
        try:
            work()
        except Exception:
            if name not in self._failing:
                _LOGGER.exception("%s of %s failed; everything else goes on", name.capitalize(), self.config.key)
            self._failing.add(name)
        else:
            self._failing.discard(name)


__all__ = ["Keeper"]
