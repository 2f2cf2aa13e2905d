"""What a configuration file says of battery systems (manual M:5388–6776): blocks, strings, limits, equalising, breakers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Literal

from .device import DeviceConfig

type Chemistry = Literal["lead", "nicd", "lfp", "other"]
"""Of the blocks; of `other` no charge can be told (manual M:5424)."""

MODULES = 512
"""Most modules of one system."""
STRINGS = 16
BOXES = 4
OUTPUTS = 4
"""Of each box, and as many inputs."""


@dataclass(frozen=True, slots=True)
class BlockConfig:
    """What stands on the blocks, which are all alike (manual M:5400)."""

    voltage: float = 12.0
    """Nominal, V, of what one module measures: 1.2 (one NiCd cell), 2, 2.4 (two NiCd cells), 4, 6, 12, 16 or 24."""
    capacity: float = 7.0
    """Ah; under 150 Ah the power for equalising is limited (manual M:5434)."""
    chemistry: Chemistry = "lead"
    cells: int = 1
    """Jars per module; 2 for NiCd, where one module looks after two (manual M:5478)."""
    manufacturer: str | None = None
    type: str | None = None
    installed: date | None = None


@dataclass(frozen=True, slots=True)
class StringConfig:
    """One string: blocks in series, modules with consecutive numbers."""

    name: str
    modules: int
    """How many; the first string's begin with number 1."""


@dataclass(frozen=True, slots=True)
class Band:
    """Low and high limits, each with warning and alarm; None where nothing is watched."""

    low_alarm: float | None = None
    low_warning: float | None = None
    high_warning: float | None = None
    high_alarm: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A limit with two levels; None where nothing is watched."""

    warning: float | None = None
    alarm: float | None = None


@dataclass(frozen=True, slots=True)
class ImpedanceLimits:
    """Three ways of judging an impedance, which may hold together (manual M:6462)."""

    dynamic: Pair | None = Pair(25.0, 50.0)
    """Percent by which a block may differ from the mean of all (manual M:6440)."""
    static: Band | None = None
    """mΩ."""
    baseline: Pair | None = None
    """Percent by which a block may differ from what it had when new."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """All limits of a battery system (manual M:6392–6640)."""

    voltage: Band | None = None
    """V per block; None: the usual ones of the nominal voltage (`battery.limits.usual_voltage`)."""
    voltage_difference: float | None = None
    """V by which a block may differ from the mean of its string (manual M:6512)."""
    alarm_delay: float = 7200.0
    """Seconds after the end of a discharge for which low voltages raise nothing (manual M:6539)."""
    string_voltage: Band | None = None
    """V of a whole string."""
    temperature: Band = Band(5.0, 10.0, 32.0, 36.0)
    """°C (manual M:6560)."""
    impedance: ImpedanceLimits = ImpedanceLimits()
    string_charge: Pair | None = None
    """Percent (manual M:6575)."""
    module_charge: Pair | None = None
    current: Band | None = None
    """A per string; negative while discharging (manual M:5662)."""
    discharge_deviation: Pair | None = None
    """A by which the strings' currents may differ while discharging (manual M:5681)."""
    charge_deviation: Pair | None = None
    deviation_delay: float = 60.0
    """Seconds for which they may differ by more (manual M:5691)."""
    discharges: int | None = None
    """Number of discharges from which on they are told (manual M:7617)."""


@dataclass(frozen=True, slots=True)
class EqualisingConfig:
    """Equalising of block voltages (manual M:5499, M:7106)."""

    enabled: bool = False
    minimum: float | None = None
    """V per block from which on it works; None: the usual of the nominal voltage. One block outside stops it."""
    maximum: float | None = None
    give_up_after: float = 4.0
    """Days without effect after which it is switched off (manual M:7771)."""


@dataclass(frozen=True, slots=True)
class ImpedanceConfig:
    """When impedances are measured (manual M:5564)."""

    first: time = time(8, 0)
    """Local time of the first scheduled measurement after a start."""
    every: float = 12.0
    """Hours."""
    offset: float = 0.0
    """mΩ added to what is measured."""


@dataclass(frozen=True, slots=True)
class DischargeConfig:
    """How a discharge is noticed (manual M:5522)."""

    source: Literal["auto", "ups", "current", "modules"] = "auto"
    """`auto`: the UPS, else the current sensors, else the modules."""
    optimised_scan: bool = True
    """Whether only voltages are read while discharging, as fast as the bus allows (manual M:5511)."""
    discharging: float = -1.0
    """A; a current below this discharges (manual M:5704)."""
    charging: float = 1.0
    """A; a current above this charges, boost charge."""


@dataclass(frozen=True, slots=True)
class SensorsConfig:
    """Current sensors (manual M:5577)."""

    count: Literal["none", "one", "each"] = "none"
    """None at all, one for all strings, or one for each."""
    multiplier: float = 1.0
    """What the one sensor's current is multiplied by for the whole system (manual M:5595)."""


@dataclass(frozen=True, slots=True)
class RunawayConfig:
    """What counts as a thermal runaway, and which breakers open (manual M:6655)."""

    temperature_difference: float | None = None
    """K by which a block may be warmer than the mean of its string; None: nothing is watched."""
    current: float | None = None
    """A into a string that must flow as well; None: the temperature is enough."""
    hold: float = 60.0
    """Seconds for which that must be so."""
    breakers: Literal["none", "one", "each"] = "none"
    """No breaker, one for all strings, or one for each."""


@dataclass(frozen=True, slots=True)
class ContactConfig:
    """One input or output of a box."""

    name: str | None = None
    normally_closed: bool = False
    breaker: int | None = None
    """Of an input: the string whose breaker or fuse shows by this contact that it is open; 0, that of all strings."""


@dataclass(frozen=True, slots=True)
class BoxConfig:
    """One GX_R_AUX box: four inputs and four relay outputs (manual M:6146)."""

    inputs: Mapping[int, ContactConfig] = field(default_factory=dict)
    """By number, 1–4; what is not named is as a contact is by default."""
    outputs: Mapping[int, ContactConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatteryLogConfig:
    """The battery log (manual M:6777)."""

    enabled: bool = True
    interval: float = 180.0
    """Seconds between two entries in float operation."""
    interval_discharge: float = 1.0
    """The same while discharging, charging after it, or for what changes quickly."""
    size: float = 500.0
    """MB after which the oldest entries are dropped."""
    database: str | None = field(default=None, repr=False)
    """A PostgreSQL URL; None: SQLite in the folder of the bridge's data."""


@dataclass(frozen=True, slots=True)
class BatteryConfig(DeviceConfig):
    """One battery system, under `batteries:`."""

    kind: str = "battery_system"
    ups: str | None = None
    """Key of the UPS that these blocks belong to (manual M:4804)."""
    block: BlockConfig = BlockConfig()
    strings: tuple[StringConfig, ...] = ()
    numbering: Literal["system", "string"] = "string"
    """Whether people are shown a module's number in the system or its position in the string (manual M:6958)."""
    sensors: SensorsConfig = SensorsConfig()
    limits: LimitsConfig = LimitsConfig()
    equalising: EqualisingConfig = EqualisingConfig()
    impedance: ImpedanceConfig = ImpedanceConfig()
    discharge: DischargeConfig = DischargeConfig()
    runaway: RunawayConfig = RunawayConfig()
    boxes: tuple[BoxConfig, ...] = ()
    """In the order of their switches, from 1."""
    temperature_offset: float = 0.0
    """K added to what modules measure (manual M:6571)."""
    voltage_offset: float = 0.0
    """V added to what modules measure (manual M:5555)."""
    buzzer: tuple[int, int] | None = None
    """Box and output that sound with the general alarm (manual M:6358)."""
    relay: tuple[int, int] | None = None
    """Box and output of the relay that drops out with the general alarm (manual M:6364)."""
    log: BatteryLogConfig = BatteryLogConfig()
    location: str | None = None
    contact: str | None = None
    phone: str | None = None

    @property
    def modules(self) -> int:
        """How many modules there are."""
        return sum(string.modules for string in self.strings)

    @property
    def parts(self) -> Mapping[str, int]:
        """How many devices of each kind belong to it."""
        sensors = {"none": 0, "one": 1, "each": len(self.strings)}[self.sensors.count]
        return {
            "battery_string": len(self.strings),
            "battery_module": self.modules,
            "current_sensor": sensors,
            "io_box": len(self.boxes),
        }

    @property
    def breakers(self) -> tuple[tuple[int, int], ...]:
        """Box and output of each breaker."""
        count = {"none": 0, "one": 1, "each": len(self.strings)}[self.runaway.breakers]
        return reserved(count)


def reserved(count: int) -> tuple[tuple[int, int], ...]:
    """Return box and output of so many breakers, counted on from box 1, output 1 (manual M:6268)."""
    return tuple((index // OUTPUTS + 1, index % OUTPUTS + 1) for index in range(count))


__all__ = [
    "BOXES",
    "MODULES",
    "OUTPUTS",
    "STRINGS",
    "Band",
    "BatteryConfig",
    "BatteryLogConfig",
    "BlockConfig",
    "BoxConfig",
    "Chemistry",
    "ContactConfig",
    "DischargeConfig",
    "EqualisingConfig",
    "ImpedanceConfig",
    "ImpedanceLimits",
    "LimitsConfig",
    "Pair",
    "RunawayConfig",
    "SensorsConfig",
    "StringConfig",
    "reserved",
]
