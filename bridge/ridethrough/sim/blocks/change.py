"""What may happen to a battery while it is simulated: one row per verb, the same words for the control and scenarios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import voluptuous as vol

from ridethrough.sim.change import Check, complaints, flag, number, section
from ridethrough.sim.line import LINE_DELAY

from .answers import HIGHEST_NUMBER
from .installation import CONTACTS, Installation
from .plant import Failure
from .segment import Segment
from .web_manager import WebManager

type Given = Mapping[str, object]
"""The keys of a verb, checked; those that are not required may be missing."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a change can reach."""

    room: Installation
    segments: Sequence[Segment] = ()
    manager: WebManager | None = None


type Act = Callable[[Scene, Given], None]


def parse_changes(scene: Scene, data: object) -> list[Callable[[], None]]:
    """Check what came as JSON or YAML, all of it before anything is done. Raises vol.Invalid."""
    given = _changes(data)
    wrong = [
        vol.Invalid(f"{value} is not there, only 1 to {most[key]}", path=[verb, key])
        for most in (_most(scene),)
        for verb, value_or_verbs in given.items()
        for each in (value_or_verbs if isinstance(value_or_verbs, list) else [])
        for key, value in each.items()
        if key in most and isinstance(value, int) and value > most[key]
    ]
    if wrong:
        raise vol.MultipleInvalid(wrong)
    return list(chain.from_iterable(_acts(scene, verb, value) for verb, value in given.items()))


def _acts(scene: Scene, verb: str, value: object) -> list[Callable[[], None]]:
    if verb in _PLAIN:
        return [lambda: _PLAIN[verb][1](scene, value)]
    assert isinstance(value, list)
    return [lambda each=each: _VERBS[verb][1](scene, each) for each in value]  # type: ignore[misc] # bound at once


def _most(scene: Scene) -> dict[str, int]:
    return {
        "block": scene.room.plant.blocks,
        "string": scene.room.plant.strings,
        "sensor": scene.room.sensors,
        "box": len(scene.room.boxes),
        "segment": len(scene.segments),
        "behind": scene.room.plant.blocks,
    }


def whole(low: int, high: int) -> Check:
    """Make a validator: a whole number within these limits."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise vol.Invalid(f"{value!r} must be a whole number from {low} to {high}")
        return value

    return check


def choice(*permitted: str) -> Check:
    """Make a validator: one of these words."""

    def check(value: object) -> str:
        if value not in permitted:
            raise vol.Invalid(f"{value!r} must be one of {', '.join(permitted)}")
        return str(value)

    return check


def nothing_or(check: Check) -> Check:
    """Make a validator: null, or what the other accepts."""
    return lambda value: None if value is None else check(value)


def one_or_many(check: Check) -> Check:
    """Make a validator: one section or a list of them; always gives a list."""

    def checked(value: object) -> list[object]:
        if not isinstance(value, list):
            return [check(value)]
        errors: list[vol.Invalid] = []
        found = []
        for index, each in enumerate(value):
            try:
                found.append(check(each))
            except vol.Invalid as error:
                error.prepend([index])
                errors += complaints(error)
        if errors:
            raise vol.MultipleInvalid(errors)
        return found

    return checked


def _mains(scene: Scene, value: object) -> None:
    scene.room.plant.mains = bool(value)


def _charger(scene: Scene, value: object) -> None:
    scene.room.plant.charger.on = bool(value)


def _load(scene: Scene, value: object) -> None:
    assert isinstance(value, float)
    scene.room.plant.load = value


def _ambient(scene: Scene, value: object) -> None:
    assert isinstance(value, float)
    scene.room.plant.surround(value)


def _line(scene: Scene, value: object) -> None:
    assert isinstance(value, dict)
    fields = {key: value[key] for key in value if key != "plugged"}
    for segment in scene.segments:
        segment.faults = replace(segment.faults, **fields)
    if scene.manager is not None:
        scene.manager.faults = replace(scene.manager.faults, **fields)
    plugged = value.get("plugged")
    for segment in scene.segments:
        if plugged is not None:
            (segment.plug if plugged else segment.unplug)()
    if scene.manager is not None and plugged is not None:
        scene.manager.set_plugged(plugged)


def _age(scene: Scene, given: Given) -> None:
    scene.room.plant.wear(_block(given), _float(given, "factor"))


def _weaken(scene: Scene, given: Given) -> None:
    scene.room.plant.weaken(_block(given), _float(given, "share"))


def _fail(scene: Scene, given: Given) -> None:
    scene.room.plant.fail(_block(given), Failure(str(given.get("how", Failure.SHORT))))


def _runaway(scene: Scene, given: Given) -> None:
    usual = 2.0 * scene.room.plant.design.capacity
    scene.room.plant.run_away(_block(given), _float(given, "current", usual))


def _dry_out(scene: Scene, given: Given) -> None:
    scene.room.plant.dry_out(_int(given, "string"), _float(given, "factor"), _float(given, "cooling", 1.0))


def _loosen(scene: Scene, given: Given) -> None:
    scene.room.plant.loosen(_block(given), _float(given, "milliohm") / 1000.0)


def _set(scene: Scene, given: Given) -> None:
    string, index = scene.room.plant.at(_block(given))
    if "charge" in given:
        string.charge[index] = _float(given, "charge")
    if "temperature" in given:
        string.temperature[index] = _float(given, "temperature")


def _lose(scene: Scene, given: Given) -> None:
    scene.room.module(_block(given)).lost = bool(given.get("lost", True))


def _press(scene: Scene, given: Given) -> None:
    scene.room.module(_block(given)).press()


def _restart(scene: Scene, given: Given) -> None:
    scene.room.module(_block(given)).restart()


def _renumber(scene: Scene, given: Given) -> None:
    scene.room.module(_block(given)).number = _int(given, "number")


def _module(scene: Scene, given: Given) -> None:
    module = scene.room.module(_block(given))
    module.fuse_blown = bool(given.get("fuse_blown", module.fuse_blown))
    module.faulty = bool(given.get("faulty", module.faulty))
    module.sensor_broken = bool(given.get("sensor_broken", module.sensor_broken))
    own = module.identity
    hardware = given.get("hardware", own.hardware)
    assert isinstance(hardware, tuple)
    voltage = _int(given, "voltage", own.voltage)
    calibrated = bool(given.get("calibrated", own.calibrated))
    module.identity = replace(own, hardware=hardware, voltage=voltage, calibrated=calibrated)


def _sensor(scene: Scene, given: Given) -> None:
    for key, there in (("broken", scene.room.broken_sensors), ("lost", scene.room.lost_sensors)):
        if key in given:
            (there.add if given[key] else there.discard)(_int(given, "sensor"))


def _box(scene: Scene, given: Given) -> None:
    box = scene.room.boxes[_int(given, "box") - 1]
    box.lost = bool(given.get("lost", box.lost))
    if "input" in given:
        bit = 1 << _int(given, "input") - 1
        box.inputs = box.inputs | bit if given.get("closed", True) else box.inputs & ~bit


def _breaker(scene: Scene, given: Given) -> None:
    scene.room.plant.closed[_int(given, "string") - 1] = bool(given["closed"])


def _cut(scene: Scene, given: Given) -> None:
    behind = given["behind"]
    assert behind is None or isinstance(behind, int)
    for segment in scene.segments:
        segment.cut = behind if behind is not None and behind in segment.blocks else None


def _plug(scene: Scene, given: Given) -> None:
    segment = scene.segments[_int(given, "segment") - 1]
    end = _int(given, "end", 1) - 1
    (segment.plug if given["plugged"] else segment.unplug)(end)


def _block(given: Given) -> int:
    return _int(given, "block")


def _int(given: Given, key: str, usual: int = 0) -> int:
    value = given.get(key, usual)
    assert isinstance(value, int)
    return value


def _float(given: Given, key: str, usual: float = 0.0) -> float:
    value = given.get(key, usual)
    assert isinstance(value, float)
    return value


def _hardware(value: object) -> tuple[int, int]:
    major, _, minor = str(value).partition(".")
    if not (isinstance(value, str) and major.isdecimal() and minor.isdecimal() and max(int(major), int(minor)) < 256):
        raise vol.Invalid(f'{value!r} must be a revision in quotes, e.g. "1.3"')
    return int(major), int(minor)


_ANY = whole(1, HIGHEST_NUMBER)
_SHARE = number(0.0, 1.0)
_LINE: dict[str, Check] = {
    "garble": _SHARE,
    "truncate": _SHARE,
    "silent": flag,
    "delay": number(0.0, LINE_DELAY),
    "flood": flag,
    "plugged": flag,
}
_PLAIN: dict[str, tuple[Check, Callable[[Scene, object], None]]] = {
    "mains": (flag, _mains),
    "charger": (flag, _charger),
    "load": (number(0.0, 1e7), _load),
    "ambient": (number(-20.0, 80.0), _ambient),
    "line": (section(_LINE), _line),
}
"""Of the whole: the mains (off is an outage), the charger, the load in W, °C of the room, and all lines."""
_VERBS: dict[str, tuple[Check, Act]] = {
    "age": (section({"block": _ANY, "factor": number(0.1, 100.0)}, ["block", "factor"]), _age),
    "weaken": (section({"block": _ANY, "share": number(0.01, 1.5)}, ["block", "share"]), _weaken),
    "fail": (section({"block": _ANY, "how": choice(*Failure)}, ["block"]), _fail),
    "runaway": (section({"block": _ANY, "current": number(0.0, 1000.0)}, ["block"]), _runaway),
    "dry_out": (
        section({"string": _ANY, "factor": number(0.1, 1000.0), "cooling": number(0.01, 1.0)}, ["string", "factor"]),
        _dry_out,
    ),
    "loosen": (section({"block": _ANY, "milliohm": number(0.0, 1e6)}, ["block", "milliohm"]), _loosen),
    "block": (section({"block": _ANY, "charge": _SHARE, "temperature": number(-20.0, 120.0)}, ["block"]), _set),
    "lose": (section({"block": _ANY, "lost": flag}, ["block"]), _lose),
    "press": (section({"block": _ANY}, ["block"]), _press),
    "restart": (section({"block": _ANY}, ["block"]), _restart),
    "renumber": (section({"block": _ANY, "number": whole(0, HIGHEST_NUMBER)}, ["block", "number"]), _renumber),
    "module": (
        section(
            {
                "block": _ANY,
                "fuse_blown": flag,
                "faulty": flag,
                "sensor_broken": flag,
                "calibrated": flag,
                "hardware": _hardware,
                "voltage": whole(2, 24),
            },
            ["block"],
        ),
        _module,
    ),
    "sensor": (section({"sensor": _ANY, "broken": flag, "lost": flag}, ["sensor"]), _sensor),
    "box": (section({"box": _ANY, "lost": flag, "input": whole(1, CONTACTS), "closed": flag}, ["box"]), _box),
    "breaker": (section({"string": _ANY, "closed": flag}, ["string", "closed"]), _breaker),
    "cut": (section({"behind": nothing_or(_ANY)}, ["behind"]), _cut),
    "plug": (section({"segment": _ANY, "end": whole(1, 2), "plugged": flag}, ["segment", "plugged"]), _plug),
}
"""Of one thing each; a list does it to several. Two modules with one number are made by `renumber`."""
CHANGES: dict[str, Check] = {
    **{verb: check for verb, (check, _) in _PLAIN.items()},
    **{verb: one_or_many(check) for verb, (check, _) in _VERBS.items()},
}
"""What can happen, and in which words."""
_changes = section(CHANGES)


__all__ = ["CHANGES", "Scene", "parse_changes"]
