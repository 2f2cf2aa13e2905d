"""Every condition that the catalogue has for batteries is told by somebody."""

from dataclasses import replace

from ridethrough.battery.alarm import KINDS
from ridethrough.battery.board import Phase
from ridethrough.battery.judging.sums import own
from ridethrough.battery.layout import SYSTEM, block, box, sensor
from ridethrough.catalogue import load_catalogue
from ridethrough.config.battery import Band, BatteryConfig, BoxConfig, ImpedanceLimits, Pair, SensorsConfig

from .rig import Rig, configured

OTHERS = {
    "link": {
        "communications_lost": {"battery_system", "current_sensor", "io_box"},
        "input_alarm.{number}": {"io_box"},
        "module.lost": {"battery_module"},
        "module.fuse_blown": {"battery_module"},
        "module.incompatible": {"battery_module"},
        "module.duplicate": {"battery_module"},
        "module.addressing": {"battery_system"},
        "module.searching": {"battery_system"},
        "module.initializing": {"battery_system"},
        "module.polling": {"battery_system"},
        "programming": {"battery_system"},
    },
    # Nothing of ours measures an insulation: only equipment that says so itself.
    "equipment": {
        "ground_fault": {"battery_system", "battery_string"},
        "residual_current": {"battery_system", "battery_string"},
    },
    "discharge": {
        "charging": {"battery_system", "battery_string"},
        "discharging": {"battery_system", "battery_string"},
        "discharging_stopped": {"battery_system"},
        "float_charging": {"battery_system", "battery_string"},
    },
    "equaliser": {
        "equalizing": {"battery_system", "battery_string", "battery_module"},
        "equalizing_paused": {"battery_system"},
        "equalizing_error": {"battery_system", "battery_string", "battery_module"},
        "equalizing_deactivated": {"battery_system", "battery_string", "battery_module"},
    },
    "runaway": {"thermal_runaway": {"battery_system", "battery_string"}},
    "breakers": {
        "breaker_open": {"battery_system", "battery_string"},
        "breaker_tripped": {"battery_system", "battery_string"},
        "breaker_stuck": {"battery_system", "battery_string"},
    },
}
"""Who, beside the judge, tells what, of which kinds."""


def everything() -> BatteryConfig:
    """Watch all that can be watched."""
    config = configured(
        (4, 4, 4),
        voltage_difference=2.0,
        string_voltage=Band(40.0, 48.0, 58.0, 60.0),
        impedance=ImpedanceLimits(static=Band(1.0, 2.0, 8.0, 10.0), baseline=Pair(30.0, 60.0)),
        string_charge=Pair(60.0, 40.0),
        module_charge=Pair(60.0, 40.0),
        current=Band(-40.0, -30.0, 30.0, 40.0),
        discharge_deviation=Pair(5.0, 10.0),
        charge_deviation=Pair(5.0, 10.0),
        deviation_delay=0.0,
        discharges=1,
        sensors=SensorsConfig("each"),
    )
    return replace(config, boxes=(BoxConfig(),))


def test_everything_is_told_by_exactly_one() -> None:
    """By kind; a key that is neither here nor the judge's would stay unknown for ever."""
    told: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for kind, keys in own().items():
        told[kind] += [(key, "judge") for key in keys]
    for who, named in OTHERS.items():
        for key, kinds in named.items():
            for kind in kinds:
                told[kind].append((key, who))
    conditions = load_catalogue().conditions
    for kind in KINDS:
        # Own thresholds of a person are for devices of any kind.
        known = sorted(each.key for each in conditions if kind in each.kinds and not each.key.startswith("threshold"))
        assert sorted(key for key, _ in told[kind]) == known, kind


def test_the_judge_tells_all_that_is_its_own() -> None:
    """One after the other, with everything that can go wrong going wrong."""
    rig = Rig(everything())
    every = range(1, 13)
    rig.discharges = 1
    raised: set[tuple[str, str]] = set()

    def note() -> None:
        raised.update((kind, key) for (kind, _, key), holds in rig.conditions.items() if holds)

    rig.step(charge=dict.fromkeys(every, 10.0), string_charge={1: 10.0}, baseline=dict.fromkeys(every, 5.0))
    note()
    rig.step(voltage=dict.fromkeys(every, 16.0), temperature={1: 50.0}, impedance={1: 20.0}, current={1: 0.0, 2: 0.0})
    note()
    rig.step(voltage=dict.fromkeys(every, 9.0), temperature={1: -5.0}, impedance={1: 0.5})
    note()
    rig.step(voltage={1: 16.0})
    note()
    for phase, current in ((Phase.DISCHARGING, -50.0), (Phase.CHARGING, 50.0)):
        rig.board.phase = phase
        rig.step(current={1: current, 2: 0.0, 3: 0.0})
        note()
    rig.others = {
        block(1): {"module.duplicate", "module.incompatible", "module.fuse_blown"},
        sensor(1): {"communications_lost"},
        box(1): {"communications_lost"},
        SYSTEM: {"thermal_runaway"},
    }
    rig.step(lost={2: True})
    note()
    assert {(kind, key) for kind, keys in own().items() for key in keys} == raised
