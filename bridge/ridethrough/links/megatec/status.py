"""What the status bits and the voltages of a Megatec UPS mean."""

from collections.abc import Mapping
from dataclasses import dataclass

from ridethrough.site import Value

from .answer import Parsed
from .table import Q1, Layout

OUTPUT_ON = 10.0
"""Volts; less than that on the output is the noise of an open relay."""


@dataclass(frozen=True, slots=True)
class Bits:
    """The status bits; None where the device does not say."""

    utility_fail: bool | None
    battery_low: bool | None
    bypass_or_boost: bool | None
    """Bypass of an online UPS; boost or trim of a line-interactive one."""
    failed: bool | None
    line_interactive: bool | None
    """Standby or line-interactive; False is online."""
    testing: bool | None
    shutting_down: bool | None
    """A shutdown is counting down, or the UPS waits to start again."""
    beeper: bool | None

    kind: str | None = None
    """How it is built: online, line-interactive or offline."""

    @classmethod
    def of(cls, text: str, layout: Layout = Q1.layout) -> Bits:
        """Read the characters of the word that has them."""

        def bit(position: int | None) -> bool | None:
            return None if position is None else {"0": False, "1": True}.get(text[position : position + 1])

        kind = layout.kinds.get(text[layout.kind])
        beeper = bit(layout.beeper)
        return cls(
            bit(layout.utility_fail),
            bit(layout.battery_low),
            bit(layout.bypass_or_boost),
            bit(layout.failed),
            None if kind is None else kind != "online",
            bit(layout.testing),
            bit(layout.shutting_down),
            beeper is not layout.beeper_off if beeper is not None else None,
            kind,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """One status poll, understood."""

    points: Mapping[str, Value | None]
    conditions: Mapping[str, bool]
    bits: Bits

    @property
    def output_on(self) -> bool | None:
        """Whether the output carries voltage; None when the device does not measure it."""
        return self.conditions.get("output_active")

    @property
    def eventful(self) -> bool:
        """Whether things may change quickly: on battery, low, testing or shutting down."""
        bits = self.bits
        return bool(bits.utility_fail or bits.battery_low or bits.testing or bits.shutting_down)


def understand(parsed: Parsed, packs: int = 1, layout: Layout = Q1.layout) -> Status:
    """Turn an answer to Q1 into points and conditions. What the device does not say is not posted.

    `packs`: how many times the battery voltage on the line makes the whole battery's.
    """
    bits = Bits.of(parsed.bits or "", layout)
    points: dict[str, Value | None] = dict(parsed.numbers)
    voltage = parsed.numbers.get("battery.voltage")
    if voltage is not None:
        points["battery.voltage"] = round(voltage * packs, 2)
    if bits.kind is not None:
        points["ups.type"] = bits.kind
    output = parsed.numbers.get("output.voltage")
    said = {
        "on_battery": bits.utility_fail,
        "battery_low": bits.battery_low,
        "general_fault": bits.failed,
        "test_in_progress": bits.testing,
        "shutdown_pending": bits.shutting_down,
        "beeper_enabled": bits.beeper,
        "output_active": None if output is None else output >= OUTPUT_ON,
        **_regulation(bits, parsed.numbers.get("input.voltage"), output),
    }
    return Status(points, {key: value for key, value in said.items() if value is not None}, bits)


def _regulation(bits: Bits, source: float | None, output: float | None) -> Mapping[str, bool | None]:
    """Bit 5 depends on bit 3: online UPSes go to bypass, the others raise or lower the voltage."""
    active = bits.bypass_or_boost
    if active is None or bits.line_interactive is None:
        return {}
    if not bits.line_interactive:
        return {"on_bypass": active}
    if not active:
        return {"on_bypass": False, "boost": False, "trim": False}
    if source is None or output is None or source < OUTPUT_ON or output < OUTPUT_ON:
        return {"on_bypass": False}
    return {"on_bypass": False, "boost": output >= source, "trim": output < source}


def packs_of(voltage: float, nominal: float) -> int | None:
    """How many of what was measured make the whole battery of `nominal` volts; None if that cannot be said.

    Online UPSes report one cell (2.27 V) or one block (13.6 V) of the battery. A lead cell has 2 V nominal and
    0.7–1.3 times that in use, so that cell (2 V), block (6 V, 12 V) and battery cannot be mistaken for one another.
    Half of the rated voltage is left as it is: it may be one block of two, or a battery that is dead.
    """
    if voltage >= 0.7 * nominal:
        return 1
    for unit in (12.0, 6.0, 2.0):
        number = round(nominal / unit)
        if number > 2 and 0.7 * unit <= voltage <= 1.3 * unit and abs(number * unit - nominal) < 0.01 * nominal:
            return number
    return None


__all__ = ["OUTPUT_ON", "Bits", "Status", "packs_of", "understand"]
