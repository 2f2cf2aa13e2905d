"""How long the battery lasts and how full it is, where the protocol does not tell (manual M:2215, M:2247–2275, M:2730).

Known are the UPS's rating, the hold time at full load, the load and how long the battery has been giving or taking.
Everything errs on the safe side: a runtime that is too short costs a shutdown a little early, one that is too long
costs data.

Runtime. The manual only says that at half the load the hold time is longer, and by how much in an example: 4 minutes
at full load become 7.5 at half (M:2738). That is linear in the load plus a fourteenth of the rating that the UPS itself
draws; so that is the rule up to full load. Peukert's law would promise more (2.2 times at half the load with an exponent of 1.15), so it is used
only above full load, where it promises less. All remaining time is in proportion to the charge, so a change of load
moves it at once.

Charge. The device's own value if it gives one; else what the battery gave and took since it was last known. The first
guess is the battery's voltage on a straight line between empty and full, at most 90 %: nobody can see from a float
voltage how long it has been there. On battery, a voltage that is too low for the counted charge pulls it down; none
pulls it up; nor is there more than a tenth left when the UPS itself says that the battery is low. Without voltage the charge is known only after a whole recharge time on mains. Without either there is none.

Restarts. The charge of before the bridge was restarted holds, less what full load would have taken since then: a
restart of seconds costs next to nothing, and after longer than the battery would have lasted the charge is unknown.

What this cannot know: that a battery has lost capacity, or was half empty when the bridge started. Then the first
minutes promise what the hold time says, until the voltage sags and brings charge and runtime to 0 before the end. At
light loads a sound battery lasts longer than promised, at a fifth of full load up to twice as long.
"""

from dataclasses import dataclass, replace
import math

OWN_DRAW = 1 / 14
"""What the UPS itself draws, as a share of its rating (M:2738)."""
OVERLOAD_EXPONENT = 1.3
"""Peukert's exponent above full load: the worst of sealed lead batteries, which have 1.05 to 1.3."""
EMPTY_BLOCK = 10.4
FULL_BLOCK = 13.0
"""Volts of a 12 V lead block between which the first guess lies on a straight line, as NUT's drivers have it."""
FIRST_GUESS_LIMIT = 0.9
"""The charge that a first guess from the voltage gives at most."""
SAG_BLOCK = 0.6
"""Volts that a 12 V block's voltage drops at full load in the first moment."""
SPENT_BLOCK = 11.0
SOUND_BLOCK = 12.2
"""Volts of a discharging 12 V block, sag added back, at which it is certainly empty, and from which up it may be full."""
LOW_CHARGE = 0.1
"""Charge that is left at most when a UPS that tells no charge says that the battery is low: NUT's drivers draw the line
here, and a UPS without one has but a minute or two."""
RECHARGE_TIME = 10 * 3600.0
"""Seconds that a recharge is taken to last when nobody has said; lead batteries take 4 to 10 hours."""


@dataclass(frozen=True, slots=True)
class UpsSettings:
    """What a person has said about a UPS (manual M:2247–2275); None for what nobody has."""

    power: float | None = None
    """Rated apparent power, VA."""
    load: float | None = None
    """Apparent power drawn when the protocol does not tell, VA."""
    hold_time: float | None = None
    """Minutes on battery at full load with a full battery."""
    recharge_time: float | None = None
    """Hours to charge an empty battery."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be: nothing here is zero or negative."""
        for name in ("power", "load", "hold_time", "recharge_time"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"{name} must be more than 0, not {value!r}")

    @property
    def hold_seconds(self) -> float | None:
        """The hold time in seconds, None if unknown."""
        return None if self.hold_time is None else self.hold_time * 60.0

    @property
    def recharge_seconds(self) -> float:
        """The recharge time in seconds."""
        return RECHARGE_TIME if self.recharge_time is None else self.recharge_time * 3600.0


@dataclass(frozen=True, slots=True)
class AutonomyInputs:
    """What is known of the UPS at a moment; None for what is not."""

    discharging: bool | None
    """Whether the battery carries the load, for lack of mains or for a test."""
    load: float | None = None
    """Load as a share of the rating: 1.0 is full load."""
    charge: float | None = None
    """The device's own word on the charge, 0–1."""
    block_voltage: float | None = None
    """Volts per 12 V of a lead battery."""
    low: bool = False
    """The device's own word that the battery is low."""
    charger: bool = True
    """False when the charger is known not to charge."""


@dataclass(frozen=True, slots=True)
class AutonomyState:
    """What is remembered from one moment to the next."""

    at: float | None = None
    """Monotonic time of the last step, s."""
    discharging: bool | None = None
    """As last known; None once it was on mains and is not known to be any more."""
    load: float | None = None
    charge: float | None = None
    """The estimate, 0–1."""
    charging_since: float | None = None
    """Since when there has been mains and a charger without a break."""


@dataclass(frozen=True, slots=True)
class ChargeBefore:
    """The charge that was known before the bridge was restarted."""

    charge: float
    """0–1."""
    age: float
    """Seconds since then."""


@dataclass(frozen=True, slots=True)
class Autonomy:
    """What came of it; None for what cannot be known."""

    charge: float | None = None
    """0–1."""
    runtime: float | None = None
    """Seconds until the battery is empty at the present load; on mains: were it to fail now."""


def step(
    settings: UpsSettings, state: AutonomyState, inputs: AutonomyInputs, now: float
) -> tuple[AutonomyState, Autonomy]:
    """Go on to `now` (monotonic seconds, never before the last step) with what is known then."""
    charge = _counted(settings, state, inputs, now)
    charging_since = None
    if inputs.discharging is False and inputs.charger:
        charging_since = now if state.charging_since is None else state.charging_since
        recharge = settings.recharge_time
        if charge is None and recharge is not None and now - charging_since >= recharge * 3600.0:
            charge = 1.0
    if inputs.charge is not None:
        charge = _share(inputs.charge)
    elif inputs.block_voltage is not None and inputs.discharging is not None:
        charge = _anchored(charge, inputs.block_voltage, inputs.discharging, inputs.load)
    if inputs.charge is None and charge is not None and inputs.discharging and inputs.low:
        charge = min(charge, LOW_CHARGE)
    after = AutonomyState(now, inputs.discharging, inputs.load, charge, charging_since)
    if inputs.discharging is None:
        # What was discharging is taken to go on doing so until somebody knows better.
        return replace(after, discharging=state.discharging or None, load=state.load), Autonomy()
    return after, Autonomy(charge, _runtime(settings, charge, inputs.load))


def after_restart(settings: UpsSettings, before: ChargeBefore, now: float) -> AutonomyState:
    """Go on with the charge of before, as if the battery had carried full load ever since: nobody has seen it.

    If it were empty by now, or nobody knows how fast it goes, then nothing is known of it.
    """
    hold = settings.hold_seconds
    if before.age < 0.0 or hold is None or before.age >= hold * before.charge:
        return AutonomyState()
    return AutonomyState(at=now - before.age, discharging=True, charge=before.charge)


def stretch(load: float) -> float:
    """Say how many times the hold time a full battery lasts at this load (a share of the rating, 0 or more).

    1 at full load, 1.875 at half, 15 at none; never more than a battery that follows Peukert's law would give.
    """
    if load <= 1.0:
        return (1.0 + OWN_DRAW) / (max(0.0, load) + OWN_DRAW)
    return math.pow(load, -OVERLOAD_EXPONENT)


def first_guess(block_voltage: float) -> float:
    """Guess the charge (0–1) from nothing but the volts per 12 V of a lead battery."""
    return min(FIRST_GUESS_LIMIT, _share((block_voltage - EMPTY_BLOCK) / (FULL_BLOCK - EMPTY_BLOCK)))


def highest(block_voltage: float, load: float | None) -> float:
    """Say how much charge (0–1) a discharging lead battery can have at most at this voltage and load."""
    rest = block_voltage + SAG_BLOCK * min(1.0, 0.0 if load is None else load)
    return _share((rest - SPENT_BLOCK) / (SOUND_BLOCK - SPENT_BLOCK))


def _counted(settings: UpsSettings, state: AutonomyState, inputs: AutonomyInputs, now: float) -> float | None:
    """Count what the battery gave or took since the last step."""
    if state.charge is None or state.at is None:
        return state.charge
    seconds = max(0.0, now - state.at)
    if state.discharging is False:
        gained = seconds / settings.recharge_seconds if state.charging_since is not None else 0.0
        return _share(state.charge + gained)
    if state.discharging is None and inputs.discharging is not True:
        return state.charge
    if settings.hold_seconds is None:
        # How fast it goes is not known, so after a while nothing is.
        return None if seconds > 0.0 else state.charge
    loads = [load for load in (state.load, inputs.load if state.discharging is None else None) if load is not None]
    return _share(state.charge - seconds / (settings.hold_seconds * stretch(max(loads, default=1.0))))


def _anchored(charge: float | None, block_voltage: float, discharging: bool, load: float | None) -> float:
    if charge is None:
        charge = first_guess(block_voltage)
    return min(charge, highest(block_voltage, load)) if discharging else charge


def _runtime(settings: UpsSettings, charge: float | None, load: float | None) -> float | None:
    if settings.hold_seconds is None or charge is None or load is None:
        return None
    return settings.hold_seconds * stretch(load) * charge


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
