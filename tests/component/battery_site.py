"""A battery system at the scripted bridge, as the real one tells of it."""

from typing import Any

from .bridge_peer import BridgePeer, Message, device, reading, state

SYSTEM_ID = "0b1d6e0e-0000-4000-8000-00000000b000"

MODULE_CONDITIONS = (
    "general_alarm", "module.lost", "module.voltage_high", "module.voltage_low", "module.voltage_high_warning",
    "module.voltage_low_warning", "module.temperature_high", "module.temperature_low", "module.temperature_high_warning",
    "module.temperature_low_warning", "module.impedance_high", "module.impedance_low", "module.impedance_high_warning",
    "module.impedance_low_warning", "module.impedance_risen", "module.impedance_risen_warning", "module.charge_low",
    "module.charge_low_warning", "module.fuse_blown", "module.incompatible", "module.duplicate", "equalizing",
    "equalizing_error", "equalizing_deactivated",
)  # fmt: skip
"""All that the catalogue knows of a block."""
MODULE_COMMANDS = (
    "baseline.clear",
    "baseline.set",
    "impedance.measure",
    "inventory.note",
    "module.find",
    "module.release",
)
SYSTEM_COMMANDS = (
    "breaker.test",
    "breaker.reset",
    "equalizing.pause",
    "equalizing.resume",
    "impedance.measure",
    "baseline.set",
)


def module_id(number: int) -> str:
    """Return the bridge's id of a block's module."""
    return f"0b1d6e0e-0000-4000-8000-00000001{number:04}"


def string_id(number: int) -> str:
    """Return the bridge's id of a string."""
    return f"0b1d6e0e-0000-4000-8000-00000000b{number:03}"


def module_points(number: int, string: int, position: int) -> Message:
    """Make all values of a block."""
    return {
        "module.id": reading(number),
        "module.string": reading(string),
        "module.position": reading(position),
        "module.voltage": reading(13.5),
        "module.temperature": reading(24.1),
        "module.impedance": reading(4.61),
        "module.impedance.baseline": reading(4.5),
        "module.state": reading("normal"),
        "module.charge": reading(99.0),
        "module.equalizing": reading(12.0),
        "module.type": reading("C41"),
        "module.hardware": reading("1.3"),
        "module.firmware": reading("2.20"),
        "module.serial": reading(str(10_000 + number)),
    }


def add_battery(peer: BridgePeer, strings: int, blocks: int, name: str = "Battery") -> None:
    """Give a bridge a battery system with so many strings of so many blocks."""

    def put(device_id: str, kind: str, called: str, parent: str, tail: str, points: Message, **more: Any) -> None:
        peer.devices[device_id] = device(device_id, kind, called, parent, key=f"battery-1{tail}", **more)
        peer.points[device_id] = points

    system = {
        "battery.charger.status": reading("floating"),
        "battery.discharges": reading(14),
        "battery.ripple": reading(0.0214),
        "module.voltage.low.critical": reading(11.9),
        "module.voltage.high.critical": reading(14.8),
        "equalizing.voltage.minimum": reading(13.2),
        "link.state": reading("connected"),
    }
    put(SYSTEM_ID, "battery_system", name, peer.id, "", system, commands=sorted(SYSTEM_COMMANDS))
    peer.conditions[SYSTEM_ID] = {"thermal_runaway": state(False), "general_alarm": state(False)}
    for string in range(1, strings + 1):
        values = {
            "string.voltage": reading(13.5 * blocks),
            "string.voltage.target": reading(13.55),
            "string.current": reading(0.14),
            "battery.charger.status": reading("floating"),
        }
        put(string_id(string), "battery_string", f"String {string}", SYSTEM_ID, f"/battery_string-{string}", values)
        peer.conditions[string_id(string)] = {"thermal_runaway": state(False), "charging": state(False)}
        for position in range(1, blocks + 1):
            number = (string - 1) * blocks + position
            put(
                module_id(number), "battery_module", f"Block {number}", SYSTEM_ID, f"/battery_module-{number}",
                module_points(number, string, position), commands=list(MODULE_COMMANDS),
            )  # fmt: skip
            peer.conditions[module_id(number)] = {key: state(False) for key in MODULE_CONDITIONS}
