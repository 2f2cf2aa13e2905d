"""One battery module: what it remembers, what it reports of its block, and what it does when it is told to."""

from dataclasses import dataclass
from random import Random
import struct

from .plant import Plant

MEASURING = 2.0
"""Seconds that an impedance takes."""
DUTY_LASTS = 60.0
"""Seconds after which a duty ends that is not set again."""
HOTTEST = 60.0
"""°C of the block from which on a module stops equalising."""
UNMEASURED, TOO_HIGH, NO_SENSOR = 0xFFFF, 0xFFFE, 0x7FFF
_IMPEDANCE_NOISE = 0.003
"""Standard deviation of what is measured, as a share."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is burnt into a module."""

    serial: int
    voltage: int
    """Nominal, V: 2, 4, 6, 12, 16 or 24."""
    hardware: tuple[int, int] = (1, 2)
    firmware: tuple[int, int] = (1, 0)
    calibrated: bool = True


class Module:
    """The module at one block. Its number can be changed; its block stays."""

    def __init__(self, plant: Plant, block: int, identity: Identity, *, seed: int = 0, noise: float = 0.0) -> None:
        """Sit at a block, by its number from 1, which is the module's number until it is told another one.

        `noise` is the standard deviation of its voltages, V.
        """
        self._plant = plant
        self.block = block
        self.identity = identity
        self.number = block
        self.fuse_blown = False
        self.lost = False
        """Whether it is without power or its plug is out: it hears and says nothing."""
        self.faulty = False
        self.sensor_broken = False
        self.blinking = False
        self.offered: int | None = None
        """The number that it would take at a press of its button; None: not in addressing mode."""
        self.taken = False
        """Whether it has taken the number announced last."""
        self.light = False
        """What a line check has shown last."""
        self.duty = 0
        self._duty_until = 0.0
        self._measured_at: float | None = None
        self._impedance = UNMEASURED
        self._fresh = False
        self._started = True
        self._pressed = False
        self._noise = noise
        self._chance = Random(seed * 1000 + block)

    def restart(self) -> None:
        """Lose what is not burnt in, as after a loss of power; the number is kept."""
        self._set_duty(0)
        self.blinking = self.taken = self._pressed = self._fresh = False
        self.offered = self._measured_at = None
        self._impedance, self._started = UNMEASURED, True

    @property
    def measuring(self) -> bool:
        """Whether an impedance is under way."""
        return self._measured_at is not None

    def look(self, now: float) -> None:
        """Finish what is due at this time (monotonic seconds)."""
        if self._measured_at is not None and now >= self._measured_at:
            self._measured_at, self._fresh = None, True
            string, index = self._plant.at(self.block)
            noise = 1.0 + self._chance.gauss(0.0, _IMPEDANCE_NOISE)
            hundredths = round(string.impedance(index) * noise * 1e5)
            self._impedance = UNMEASURED if self.fuse_blown else min(hundredths, TOO_HIGH)
        if self.duty and (now >= self._duty_until or self._hot()):
            self._set_duty(0)

    def order_duty(self, percent: int, now: float) -> None:
        """Draw so much of the equalising power."""
        self._duty_until = now + DUTY_LASTS
        self._set_duty(0 if self._hot() or self.fuse_blown else percent)

    def measure(self, now: float) -> None:
        """Begin to measure the impedance, unless that is under way."""
        if self._measured_at is None:
            self._measured_at = now + MEASURING

    def press(self) -> None:
        """Press its button: it takes the number on offer, or tells of the press with its next answer."""
        if self.lost:
            return
        if self.number == 0 and self.offered:
            self.number, self.offered, self.taken = self.offered, None, True
            return
        self.blinking = False
        self._pressed = True

    def voltage(self) -> int:
        """Measure the voltage, mV."""
        if self.fuse_blown:
            return UNMEASURED
        string, index = self._plant.at(self.block)
        volts = string.voltage[index]
        if self._noise:
            volts += self._chance.gauss(0.0, self._noise)
        return min(max(round(volts * 1000.0), 0), 0xFFFE)

    def temperature(self) -> int:
        """Measure the temperature, 0.1 °C."""
        if self.sensor_broken:
            return NO_SENSOR
        string, index = self._plant.at(self.block)
        return round(string.temperature[index] * 10.0)

    def report(self, now: float) -> bytes:
        """Answer to a reading; what is new is told once."""
        self.look(now)
        status = (
            (self._measured_at is not None)
            | self._fresh << 1
            | self.fuse_blown << 2
            | (not self.identity.calibrated) << 3
            | self._hot() << 4
            | self._started << 5
            | self.blinking << 6
            | self._pressed << 7
            | self.faulty << 8
        )
        self._fresh = self._started = self._pressed = False
        return struct.pack(
            ">HHHhHB", self.number, status, self.voltage(), self.temperature(), self._impedance, self.duty
        )

    def introduce(self) -> bytes:
        """Answer to a question for its identity."""
        own = self.identity
        return struct.pack(
            ">HBBBBBIB", self.number, own.voltage, *own.hardware, *own.firmware, own.serial, int(own.calibrated)
        )

    def sign(self) -> bytes:
        """Give number and serial."""
        return struct.pack(">HI", self.number, self.identity.serial)

    def _set_duty(self, percent: int) -> None:
        if percent != self.duty:
            self.duty = percent
            self._plant.equalise(self.block, percent / 100.0)

    def _hot(self) -> bool:
        string, index = self._plant.at(self.block)
        return string.temperature[index] >= HOTTEST
