"""Which zeros of an agent are not to be believed: a load without a current, an output without power. Pure."""

from collections.abc import Iterable

from .inventory import Instance
from .phases import Readings
from .values import NOTHING, Converter, Reading

LOAD = 5.0
"""Percent of load from which a current and a power must be more than zero."""


class Doubts:
    """Remembers which objects have only ever said zero while there was a load."""

    def __init__(self, converter: Converter) -> None:
        """Believe everything at first."""
        self._converter = converter
        self._doubted: set[str] = set()
        self._proven: set[str] = set()

    def apply(self, instances: Iterable[Instance], readings: Readings) -> dict[str, Reading]:
        """Give the readings without the zeros that are not to be believed."""
        believed = dict(readings)
        known = [instance for instance in instances if instance.oid in believed]
        loads: dict[int, float] = {}
        for instance in known:
            number = believed[instance.oid].value
            if instance.row.key == "ups.load" and isinstance(number, int | float):
                line = instance.line or 0
                loads[line] = max(loads.get(line, 0.0), float(number))
        supplied = not any((believed[instance.oid].conditions or {}).get("on_battery") for instance in known)
        for instance in known:
            if not self._converter.idle(instance.row):
                continue
            reading = believed[instance.oid]
            load = max(loads.values(), default=0.0)
            if not instance.row.name.startswith(("upsInput", "xupsInput")):
                load = loads.get(instance.line or 0, load)
            elif not supplied:
                load = 0.0
            if reading.number:
                self._proven.add(instance.oid)
                self._doubted.discard(instance.oid)
            elif reading.number == 0 and load >= LOAD and instance.oid not in self._proven:
                self._doubted.add(instance.oid)
        # What is not measured on one phase is not measured on the others, however little they are loaded.
        unmeasured = {instance.row.oid for instance in known if instance.oid in self._doubted}
        for instance in known:
            if instance.oid in self._doubted or (
                instance.row.oid in unmeasured
                and believed[instance.oid].number == 0
                and loads.get(instance.line or 0, 0.0) > 0
                and instance.oid not in self._proven
            ):
                believed[instance.oid] = NOTHING
        return believed


__all__ = ["Doubts"]
