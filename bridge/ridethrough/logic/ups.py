"""What is worked out about one UPS from what it tells, and what is made of everything that is known in the end."""

from collections.abc import Mapping
from dataclasses import dataclass
import math

from ridethrough.catalogue import Catalogue, Value, load_catalogue

from .autonomy import Autonomy, AutonomyInputs, AutonomyState, ChargeBefore, UpsSettings, after_restart, step
from .derivation import Derivation, Derived, View, number
from .phases import phases_load
from .ups_status import UpsConditions, conditions_of, derived_conditions, discharging, mode, rfc1628_alarms, status_word

TICK = 1.0
"""Seconds between two derivations on battery, where time alone changes something."""
SLOW_TICK = 10.0
"""The same while the battery charges."""


@dataclass(frozen=True, slots=True)
class UpsState:
    """What is remembered of a UPS from one moment to the next."""

    autonomy: AutonomyState = AutonomyState()
    on_battery_since: float | None = None
    """Monotonic seconds."""
    on_battery_before: float = 0.0
    """Seconds that an outage had lasted when the bridge started."""
    charge_before: ChargeBefore | None = None
    """The charge that was known before the bridge was restarted, until the battery is heard of again."""
    started: float | None = None
    """When this was first worked out, monotonic seconds."""


def ups_derivation(
    settings: UpsSettings, *, on_battery_before: float = 0.0, charge_before: ChargeBefore | None = None
) -> Derivation:
    """Make the derivation of one UPS; see `derive`. It remembers the battery's charge between calls.

    `on_battery_before` is for a bridge that was restarted during an outage: the seconds since the journal has it begin.
    `charge_before` is the charge that was worked out before the restart.
    """
    state = UpsState(on_battery_before=max(0.0, on_battery_before), charge_before=charge_before)

    def derivation(view: View, now: float) -> Derived:
        nonlocal state
        state, derived = derive(settings, state, view, now)
        return derived

    return derivation


def summary_derivation(catalogue: Catalogue | None = None) -> Derivation:
    """Make what puts all conditions of a UPS into a few words: mode, status word, number of alarms. It runs last."""
    table = load_catalogue() if catalogue is None else catalogue

    def derivation(view: View, _now: float) -> Derived:
        conditions = conditions_of(view.active, view.known)
        alarms = rfc1628_alarms(conditions, table)
        words: Mapping[str, Value | None] = {
            "ups.mode": mode(conditions),
            "ups.status.word": status_word(conditions, table),
            "alarms.present": None if alarms is None else len(alarms),
        }
        return Derived({key: word for key, word in words.items() if word is not None and key not in view.values})

    return derivation


def derive(settings: UpsSettings, state: UpsState, view: View, now: float) -> tuple[UpsState, Derived]:
    """Work out load, time on battery, charge and runtime, and conditions that follow from what the UPS tells.

    `now` is the monotonic time in seconds. What the device tells itself is not worked out, what is not known is left
    out.
    """
    told = conditions_of(view.active, view.known)
    load = load_share(settings, view.values)
    started = now if state.started is None else state.started
    inputs = _inputs(told, view.values, load)
    earlier, charge_before = state.autonomy, state.charge_before
    if charge_before is not None and inputs.discharging is not None:
        age = charge_before.age + now - started
        earlier, charge_before = after_restart(settings, ChargeBefore(charge_before.charge, age), now), None
    autonomy, known = step(settings, earlier, inputs, now)
    points = {key: value for key, value in _battery(known).items() if key not in view.values}
    measured = measured_load(settings, view.values)
    if measured is not None and "ups.load" not in view.values:
        points["ups.load"] = round(100.0 * measured, 1)

    follows = derived_conditions(told, {**points, **view.values})
    since, before = state.on_battery_since, state.on_battery_before
    match told.get("on_battery"):
        case True:
            # The outage of before went on while nobody knew of it yet.
            resumed = started - before if before else now
            since, before = (resumed if since is None else since), 0.0
            points["battery.runtime.elapsed"] = float(math.floor(now - since))
        case False:
            since, before = None, 0.0
            points["battery.runtime.elapsed"] = 0.0
    again = TICK if told.get("on_battery") else None
    if again is None and autonomy.charging_since is not None and "battery.charge" not in view.values:
        again = SLOW_TICK
    given = {key: value for key, value in points.items() if key not in view.values}
    return UpsState(autonomy, since, before, charge_before, started), Derived(given, follows, again)


def load_share(settings: UpsSettings, values: Mapping[str, Value]) -> float | None:
    """Find the load as a share of the rating: as measured, or as a person has entered it."""
    measured = measured_load(settings, values)
    if measured is not None:
        return measured
    rating = settings.power or number(values, "ups.power.nominal")
    return None if settings.load is None or not rating else settings.load / rating


def measured_load(settings: UpsSettings, values: Mapping[str, Value]) -> float | None:
    """Find the load as a share of the rating: told, or the mean of the phases, or from the apparent power."""
    percent = number(values, "ups.load")
    if percent is None:
        percent = phases_load(values)
    if percent is not None:
        return max(0.0, percent / 100.0)
    power, rating = number(values, "ups.power"), settings.power or number(values, "ups.power.nominal")
    return None if power is None or not rating else max(0.0, power / rating)


def block_voltage(values: Mapping[str, Value]) -> float | None:
    """Find the volts per 12 V of a lead battery; None where the rating, or that it is lead, is not known well enough."""
    voltage, nominal = number(values, "battery.voltage"), number(values, "battery.voltage.nominal")
    chemistry = str(values.get("battery.type", "lead")).lower()
    if voltage is None or nominal is None or nominal <= 0.0 or "li" in chemistry or "ni" in chemistry:
        return None
    block = 12.0 * voltage / nominal
    # Anything else is a rating that does not belong to this voltage.
    return block if 8.0 <= block <= 16.0 else None


def _inputs(conditions: UpsConditions, values: Mapping[str, Value], load: float | None) -> AutonomyInputs:
    charge = number(values, "battery.charge")
    return AutonomyInputs(
        discharging=discharging(conditions),
        load=load,
        charge=None if charge is None else charge / 100.0,
        block_voltage=block_voltage(values),
        low="battery_low" in conditions.active,
        charger="charger_failed" not in conditions.active,
    )


def _battery(known: Autonomy) -> dict[str, Value]:
    """Round down: neither charge nor runtime may promise more than there is."""
    points: dict[str, Value] = {}
    if known.charge is not None:
        points["battery.charge"] = math.floor(1000.0 * known.charge + 1e-6) / 10.0
    if known.runtime is not None:
        points["battery.runtime"] = float(math.floor(known.runtime + 1e-6))
    return points
