"""A battery room that lives in (accelerated) time, reached over the module bus or through a web manager."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
import time

import voluptuous as vol

from ridethrough.clock import Clock, SystemClock
from ridethrough.sim.exchange import Exchanges
from ridethrough.sim.face import Place
from ridethrough.sim.speed import checked_speed

from .answers import Bench
from .change import Scene, parse_changes
from .chemistry import BlockDesign
from .installation import Breakers, Installation
from .plant import Plant
from .segment import BAUD, Segment
from .web_manager import WebManager

DEVICES = ("module-bus", "bacs")
"""What a simulated battery can be asked in: our own module bus, or a maker's web manager over Modbus TCP."""
_TICK = 0.1
"""Seconds between two looks at the plant."""
_SLICE = 50.0
"""Simulated seconds after which others have their turn."""
_SHORTEST = 0.05
"""Simulated seconds that are worth a step."""


@dataclass(frozen=True, slots=True)
class BatteryOptions:
    """What battery to simulate."""

    blocks: int = 40
    strings: int = 1
    design: BlockDesign = BlockDesign()
    boxes: int = 0
    breakers: Breakers = "none"
    """What the outputs of the boxes trip: no breaker, one for all strings, or one for each."""
    sensors: bool = True
    """Whether each string has a current sensor."""
    ring: Path | None = None
    """The name of the other end of the first cable; None: it has but one."""
    segments: tuple[Path, ...] = ()
    """The names of further cables; the modules are shared out among all."""
    noise: float = 0.001
    """V: standard deviation of what the modules of a bus measure."""
    seed: int = 1


class BatterySimulation:
    """Everything of one simulated battery. Its time begins with it."""

    def __init__(
        self,
        options: BatteryOptions,
        *,
        device: str = "module-bus",
        place: Place | None = None,
        speed: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        """`device` is one of `DEVICES`, `place` says where it appears. Raises ValueError for what does not fit."""
        place = place or Place(baud=BAUD)
        plant = Plant(options.design, options.strings, options.blocks, seed=options.seed)
        self.room = Installation(
            plant,
            boxes=options.boxes,
            breakers=options.breakers,
            sensors=options.sensors,
            noise=options.noise,
            seed=options.seed,
        )
        self.segments: list[Segment] = []
        self.manager: WebManager | None = None
        if device == "bacs":
            self.manager = WebManager(self.room, self.catch_up, place, seed=options.seed)
        else:
            self.segments = _cables(self.room, options, place)
        self._scene = Scene(self.room, self.segments, self.manager)
        self._clock = clock or SystemClock()
        self._looked = self._clock.monotonic()
        self._owed = 0.0
        self._speed = checked_speed(speed)
        self.paused = False

    @property
    def where(self) -> str | None:
        """Where clients reach it; None while they cannot."""
        if self.manager is not None:
            return self.manager.where
        return ", ".join(path for segment in self.segments for path in segment.paths) or None

    @property
    def exchanges(self) -> Exchanges:
        """What went over the line; of several cables, over the first."""
        return self.manager.exchanges if self.manager is not None else self.segments[0].exchanges

    @property
    def speed(self) -> float:
        """Simulated seconds per second; the line and the modules keep their own time."""
        return self._speed

    @speed.setter
    def speed(self, factor: float) -> None:
        self.catch_up()
        self._speed = checked_speed(factor)

    def open(self) -> None:
        """Let it be reached. Raises OSError when a name or an address is taken."""
        if self.manager is not None:
            self.manager.open()
        for segment in self.segments:
            segment.plug()

    def close(self) -> None:
        """Take it away."""
        if self.manager is not None:
            self.manager.close()
        for segment in self.segments:
            segment.unplug()

    async def run(self) -> None:
        """Answer and let time pass until cancelled; nothing of it is left then."""
        self.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                if self.manager is not None:
                    tasks.create_task(self.manager.run())
                for segment in self.segments:
                    tasks.create_task(segment.run())
                tasks.create_task(self._live())
        finally:
            self.close()

    def pause(self, *, paused: bool) -> None:
        """Stop the blocks' time, or let it go on; the modules answer all the while."""
        self.catch_up()
        self.paused = paused

    def catch_up(self) -> None:
        """Let the time pass that has gone by since someone last looked."""
        self._owe()
        if self._owed >= _SHORTEST:
            self.room.plant.advance(self._owed)
            self._owed = 0.0
        self.room.look(self._now())

    def order(self, data: object) -> None:
        """Change what came as JSON. Raises vol.Invalid, before anything is done, and OSError when a name is taken."""
        acts = parse_changes(self._scene, data)
        self.catch_up()
        for act in acts:
            act()
        self.room.look(self._now())

    def choose(self, name: str) -> None:
        """Refuse: what happens to a battery is ordered step by step."""
        raise vol.Invalid(f"there is no scenario {name!r}; a battery has none", path=["name"])

    def state(self) -> Mapping[str, object]:
        """Tell the truth about the battery, for `GET /state`; columns by block."""
        self.catch_up()
        room, plant = self.room, self.room.plant
        blocks = [plant.block(number) for number in range(1, plant.blocks + 1)]
        return {
            "time": plant.time,
            "speed": self._speed,
            "paused": self.paused,
            "mains": plant.mains,
            "charger": plant.charger.on,
            "load": plant.load,
            "dropped": plant.dropped,
            "ambient": plant.ambient,
            "voltage": plant.voltage,
            "strings": [
                {**asdict(plant.string(number)), "number": number, "closed": plant.closed[number - 1]}
                for number in range(1, plant.strings + 1)
            ],
            "blocks": {
                "voltage": [round(block.voltage, 4) for block in blocks],
                "temperature": [round(block.temperature, 2) for block in blocks],
                "impedance": [round(block.impedance * 1000.0, 3) for block in blocks],
                "charge": [round(block.charge, 4) for block in blocks],
                "drawn": [round(block.drawn, 3) for block in blocks],
                "number": [module.number for module in room.modules],
                "serial": [module.identity.serial for module in room.modules],
                "duty": [module.duty for module in room.modules],
                "lost": [module.block for module in room.modules if module.lost],
                "blinking": [module.block for module in room.modules if module.blinking],
                "offered": [module.block for module in room.modules if module.offered],
            },
            "boxes": [
                {"number": box.number, "inputs": box.inputs, "outputs": box.outputs, "lost": box.lost}
                for box in room.boxes
            ],
            "segments": [
                {
                    "paths": segment.paths,
                    "first": segment.blocks.start,
                    "last": segment.blocks.stop - 1,
                    "cut": segment.cut,
                    "requests": segment.requests,
                    "ignored": segment.ignored,
                    "collisions": segment.collisions,
                    "broken": segment.broken,
                    "lost_bytes": segment.lost_bytes,
                    "line": asdict(segment.faults),
                }
                for segment in self.segments
            ],
            "path": self.where,
            "exchanges": self.exchanges.count,
        }

    async def _live(self) -> None:
        while True:
            await self._clock.sleep(_TICK)
            self._owe()
            while self._owed > _SLICE:
                self._owed -= _SLICE
                self.room.plant.advance(_SLICE)
                await asyncio.sleep(0)
            self.catch_up()

    def _owe(self) -> None:
        now = self._clock.monotonic()
        self._owed += 0.0 if self.paused else (now - self._looked) * self._speed
        self._looked = now

    def _now(self) -> float:
        """Tell the time of the modules: a web manager lives in that of its blocks, a bus in that of its line."""
        return self.room.plant.time if self.manager is not None else time.monotonic()


def _cables(room: Installation, options: BatteryOptions, place: Place) -> list[Segment]:
    """Lay the cables: sensors and boxes hang on the first."""
    bench, count = Bench(room), 1 + len(options.segments)
    each, more = divmod(options.blocks, count)
    links: list[list[Path | None]] = [[place.port]]
    links += [[path] for path in options.segments]
    if options.ring is not None:
        links[0].append(options.ring)
    cables, first = [], 1
    for index, ends in enumerate(links):
        last = first + each + (index < more)
        cables.append(
            Segment(bench, range(first, last), ends, boxes=index == 0, baud=place.baud, seed=options.seed + index)
        )
        first = last
    return cables


__all__ = ["DEVICES", "BatteryOptions", "BatterySimulation"]
