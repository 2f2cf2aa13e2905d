"""What the keeper is told: changes of the site, put on the board as they come. Costs a look in a table for each point."""

from collections.abc import Callable, Mapping

from ridethrough.config.battery import BatteryConfig
from ridethrough.site import Change, ConditionState, DeviceId, Quality, Reading, Site

from .board import Board, Column
from .isolation import BoxView
from .layout import SYSTEM, Place

LOST = "module.lost"
REMEMBERED = frozenset({LOST, "module.duplicate", "module.incompatible", "module.fuse_blown", "communications_lost"})
"""What a link said before a restart holds until it says otherwise: an alarm must not end only to begin again."""
_UPS = {"on_battery", "discharging", "charging", "test_in_progress"}
"""What is asked of the UPS that the blocks belong to."""


class Intake:
    """Keeps a board, and what conditions hold, from what is posted to the site."""

    def __init__(
        self,
        config: BatteryConfig,
        board: Board,
        site: Site,
        identities: Mapping[Place, DeviceId],
        ups: DeviceId | None,
        own: Callable[[Place, str], bool],
    ) -> None:
        """`identities` are those of the system and of all that belongs to it; `own` tells conditions found out here."""
        self._own = own
        self._site = site
        self._board = board
        self._ups = ups
        self._places = {device: place for place, device in identities.items()}
        self.others: dict[Place, set[str]] = {}
        """Conditions that hold by what links say, or the keeper's own cores but for the judge, wherever any does."""
        self.fresh = False
        """Whether anything has come since the last look; who looks sets it back."""
        self.absent: set[int] = set()
        """Blocks whose readings cannot be had at the moment."""
        self._columns: dict[tuple[DeviceId, str], tuple[Column, int]] = {}
        self._system = identities[SYSTEM]
        self._of_string = {place.number: one for place, one in identities.items() if place.kind == "battery_string"}
        self._sensors: dict[tuple[DeviceId, str], int] = {}
        self._boxes: dict[int, DeviceId] = {}
        self._strings = board.layout.strings
        self._one = config.sensors.count == "one"
        self._multiplier = config.sensors.multiplier if self._one else 1.0
        columns = {
            "module.voltage": board.voltage,
            "module.temperature": board.temperature,
            "module.impedance": board.impedance,
            "module.equalizing": board.duty,
        }
        for place, device in identities.items():
            if place.kind == "battery_module":
                self._columns |= {(device, key): (column, place.number) for key, column in columns.items()}
            elif place.kind == "io_box":
                self._boxes[place.number] = device
            elif place.kind == "current_sensor":
                self._sensors[device, "sensor.current"] = place.number

    def begin(self) -> Callable[[], None]:
        """Take what there is already, and hear of what comes; returns what ends that."""
        self._remember()
        for device, place in self._places.items():
            for key, reading in self._site.readings(device).items():
                self._take((device, key), reading)
            for key, state in self._site.conditions(device).items():
                self._note(place, key, state, remembered=key in REMEMBERED and state.active)
        return self._site.observe(self._heard)

    def _remember(self) -> None:
        """Take sensors and boxes for lost whose sum says so from before a restart, until they are heard of."""
        for place in self._places.values():
            if place.kind == "io_box":
                owner, summed = self._system, "io_box_lost"
            elif place.kind == "current_sensor":
                owner, summed = (self._system if self._one else self._of_string[place.number]), "current_sensor_lost"
            else:
                continue
            state = self._site.conditions(owner).get(summed)
            if state is not None and state.active and state.quality is not Quality.GOOD:
                _put(self.others, place, "communications_lost", active=True)

    def ups(self, condition: str) -> bool | None:
        """Whether a condition of the UPS holds; None while nobody knows."""
        state = None if self._ups is None else self._site.conditions(self._ups).get(condition)
        return None if state is None or state.quality is not Quality.GOOD else state.active

    def boxes(self) -> dict[int, BoxView]:
        """Return what the boxes that answer show."""
        found: dict[int, BoxView] = {}
        for number, device in self._boxes.items():
            sides: dict[str, dict[int, bool]] = {"input": {}, "output": {}}
            for key, reading in self._site.readings(device).items():
                side, _, contact = key.partition(".")
                if side in sides and contact.isdecimal() and reading.quality is Quality.GOOD:
                    sides[side][int(contact)] = bool(reading.value)
            if sides["output"]:
                found[number] = BoxView(sides["input"], sides["output"])
        return found

    def _heard(self, change: Change) -> None:
        for point, reading in change.points.items():
            self._take(point, reading)
        for (device, key), state in change.conditions.items():
            place = self._places.get(device)
            if place is not None:
                self._note(place, key, state)
            elif device == self._ups and key in _UPS:
                self.fresh = True

    def _take(self, point: tuple[DeviceId, str], reading: Reading) -> None:
        target = self._columns.get(point)
        if target is not None:
            column, number = target
            value = reading.value if reading.quality is Quality.GOOD else None
            column[number] = value if isinstance(value, float) else None if value is None else _number(value)
            self._board.changed.add(number)
            self.fresh = True
            board = self._board
            # A block whose measuring fuse has blown still has a temperature, and is watched by that.
            gone = board.voltage[number] is None and board.temperature[number] is None
            (self.absent.add if gone else self.absent.discard)(number)
        elif point in self._sensors:
            self._sense(self._sensors[point], reading)
        elif point[0] in self._boxes.values():
            self.fresh = True

    def _sense(self, sensor: int, reading: Reading) -> None:
        """Take a current. One sensor for all is multiplied, and its strings are taken to share it (manual M:5595)."""
        value = _number(reading.value) if reading.quality is Quality.GOOD else None
        self.fresh = True
        if not self._one:
            self._board.current[sensor] = value
            return
        share = None if value is None else value * self._multiplier / self._strings
        self._board.current[1:] = [share] * self._strings

    def found(self, place: Place, key: str, *, active: bool) -> None:
        """Take a condition that was found out here."""
        _put(self.others, place, key, active=active)

    def _note(self, place: Place, key: str, state: ConditionState, *, remembered: bool = False) -> None:
        if self._own(place, key):
            return
        # What was said by a link that is gone stays as it was known last.
        if state.quality is not Quality.GOOD and not remembered:
            return
        if not _put(self.others, place, key, active=state.active):
            return
        if key == LOST and place.kind == "battery_module":
            self._board.lost[place.number] = state.active
            self._board.changed.add(place.number)
        self.fresh = True


def _put(held: dict[Place, set[str]], place: Place, key: str, *, active: bool) -> bool:
    """Note whether a condition holds; returns whether that is different from before."""
    if active is (key in held.get(place, ())):
        return False
    if active:
        held.setdefault(place, set()).add(key)
    else:
        held[place].discard(key)
        if not held[place]:
            del held[place]
    return True


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


__all__ = ["LOST", "Intake"]
