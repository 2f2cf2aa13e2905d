"""A battery system in a site, whose link is played by the test: lanes for what it reads, a bus that notes what it is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ridethrough.battery.bus import Pace
from ridethrough.battery.keeper import Keeper, Services
from ridethrough.battery.layout import SYSTEM, Place, block, box, sensor, string
from ridethrough.battery.memory import MemoryFault
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.config.battery import BatteryConfig, StringConfig
from ridethrough.site import Commands, Device, DeviceId, Lane, Quality, Site, Value

CONFIG = BatteryConfig(
    "battery-1",
    "Batteries",
    "module_bus:/dev/ttyUSB0",
    "battery_system",
    strings=(StringConfig("Left", 4), StringConfig("Right", 4)),
    allow=frozenset({"battery", "beeper", "breaker", "equalizing", "output"}),
)
UPS = DeviceId("ups-1")


def mint(key: str) -> DeviceId:
    """Give a device its key as identity."""
    return DeviceId(key)


@dataclass
class NotingBus:
    """Notes what it is told; implements `Bus`."""

    paces: list[Pace] = field(default_factory=list)
    duties: dict[int, int] = field(default_factory=dict)
    measured: list[tuple[int, ...]] = field(default_factory=list)
    outputs: dict[tuple[int, int], bool] = field(default_factory=dict)
    safe: dict[tuple[int, int], bool] = field(default_factory=dict)

    def pace(self, pace: Pace) -> None:
        """See `Bus`."""
        self.paces.append(pace)

    def equalise(self, duties: Mapping[int, int]) -> None:
        """See `Bus`."""
        self.duties.update(duties)

    def measure(self, blocks: Iterable[int]) -> None:
        """See `Bus`."""
        self.measured.append(tuple(blocks))

    def switch(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self.outputs[box, output] = energised

    def fall_back(self, box: int, output: int, *, energised: bool) -> None:
        """See `Bus`."""
        self.safe[box, output] = energised


@dataclass
class Shelf:
    """Keeps texts as the store does; implements `Memory`."""

    texts: dict[DeviceId, dict[str, str]] = field(default_factory=dict)
    writes: int = 0
    full: bool = False

    async def keep(self, device: DeviceId, parts: Mapping[str, str]) -> None:
        """See `Memory`."""
        if self.full:
            raise MemoryFault("the disk is full")
        self.writes += 1
        self.texts.setdefault(device, {}).update(parts)


class Rig:
    """One system with its keeper; `pass_time` lets the keeper look as it would by itself."""

    def __init__(
        self,
        config: BatteryConfig = CONFIG,
        *,
        site: Site | None = None,
        clock: ManualClock | None = None,
        shelf: Shelf | None = None,
        services: Services | None = None,
        read_only: bool = False,
        judged: bool = False,
    ) -> None:
        self.clock = clock or ManualClock()
        self.site = site or Site(load_catalogue(), self.clock)
        self.commands = Commands(self.site)
        self.bus = NotingBus()
        self.shelf = shelf or Shelf()
        self.site.put(Device(UPS, "ups-1", "ups", "UPS"))
        self.system = mint(config.key)
        self.site.put(Device(self.system, config.key, "battery_system", config.name))
        services = services or Services()
        self.keeper = Keeper(
            config,
            self.system,
            self.site,
            self.commands,
            self.clock,
            bus=None if read_only else self.bus,
            mint=mint,
            judged=judged,
            services=replace(services, memory=self.shelf, kept=self.shelf.texts),
        )
        self._lanes: dict[Place, Lane] = {}
        self.config = config

    def lane(self, place: Place) -> Lane:
        """Return what the link writes with."""
        if place not in self._lanes:
            self._lanes[place] = self.site.lane(self.keeper.identities[place], None)
        return self._lanes[place]

    def read(self, place: Place, conditions: Mapping[str, bool] | None = None, **points: Value) -> None:
        """Have the link read something; `module_voltage` stands for `module.voltage`."""
        self.lane(place).post({key.replace("_", "."): value for key, value in points.items()}, conditions)

    def fill(self, voltage: float = 13.6, temperature: float = 22.0, impedance: float = 20.0) -> None:
        """Have all blocks read, alike."""
        with self.site.transaction():
            for number in range(1, self.config.modules + 1):
                self.read(
                    block(number),
                    {"module.lost": False},
                    module_voltage=voltage,
                    module_temperature=temperature,
                    module_impedance=impedance,
                )
            for number in range(1, self.keeper.layout.sensors + 1):
                self.read(sensor(number), sensor_current=0.0)

    def output(self, box: int, output: int) -> bool | None:
        """How the bus was told to have an output."""
        return self.bus.outputs.get((box, output))

    def value(self, place: Place, key: str) -> object:
        """Return a good value, else the quality of what there is."""
        reading = self.site.reading(self.keeper.identities[place], key)
        if reading is None:
            return None
        return reading.value if reading.quality is Quality.GOOD else str(reading.quality)

    def holds(self, place: Place, key: str) -> bool | None:
        """Whether a condition holds."""
        state = self.site.conditions(self.keeper.identities[place]).get(key)
        return None if state is None else state.active


__all__ = ["CONFIG", "SYSTEM", "UPS", "NotingBus", "Rig", "Shelf", "block", "box", "mint", "sensor", "string"]
