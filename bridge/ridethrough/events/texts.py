"""Puts what they stand for in the place of the placeholders of a text (manual M:2690); `config/placeholders.py` has them.

What is not known, or no longer known, is `n/a`: never an old value as if it were new. What is put in is a text of one
line that is not looked at again, so nothing that a device or a stranger says can bring in a placeholder, a line or a
header of a mail.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.config import BridgeConfig
from ridethrough.config.placeholders import Placeholder, parts
from ridethrough.site import Device, Quality, Site, Value

from .controls import without_controls
from .event import EdgeKind, Event
from .sentence import condition_name, sentence
from .steps import Occasion

UNKNOWN = "n/a"
LONGEST = 500
"""Characters that one placeholder becomes at most."""
MOST_ALARMS = 20
UPS = "ups"
_EDGES: Mapping[EdgeKind, str] = {EdgeKind.RAISED: "begun", EdgeKind.CLEARED: "over", EdgeKind.OCCURRED: "occurred"}
_TIME = "%Y-%m-%d %H:%M:%S"


class Texts:
    """Fills in placeholders from the live state of the site."""

    def __init__(self, site: Site, config: BridgeConfig, clock: Clock, zone: tzinfo, bridge: Device) -> None:
        """Write times as those of `zone`; `config` says about which UPS the texts of a job are where its event does not."""
        self._site = site
        self._clock = clock
        self._zone = zone
        self._bridge = bridge
        self._subjects = {f"job:{job.key}": job.ups for job in config.jobs.jobs if job.ups is not None}
        self._subjects |= {f"plan:{plan.key}": plan.ups[0] for plan in config.plans if plan.ups}

    def render(self, text: str, occasion: Occasion) -> str:
        """Return a text with its placeholders filled in."""
        return "".join(
            part if isinstance(part, str) else _one_line(self._filled(part, occasion)) for part in parts(text)
        )

    def _filled(self, placeholder: Placeholder, occasion: Occasion) -> str:
        if placeholder.is_word:
            found = self._word(placeholder.key, occasion)
            return UNKNOWN if found is None else found
        if placeholder.device is not None:
            device = self._site.device_by_key(placeholder.device)
            return UNKNOWN if device is None else self._value(device, placeholder.key)
        for device in self._around(occasion):
            if self._site.reading(device.id, placeholder.key) is not None:
                return self._value(device, placeholder.key)
        return UNKNOWN

    def _word(self, word: str, occasion: Occasion) -> str | None:
        """Return what a word of the table stands for, None where nobody knows."""
        match word:
            case "now":
                return self._local(self._clock.utc())
            case "job":
                return occasion.origin.partition(":")[2] or occasion.origin
            case "test":
                return "Test" if occasion.test else ""
            case "bridge":
                return self._bridge.name
            case "ups":
                subject = self._subject(occasion)
                return subject.name if subject is not None and subject.kind == UPS else None
            case "alarms":
                return self._alarms(occasion)
            case "manufacturer" | "model" | "serial" | "firmware":
                subject = self._subject(occasion)
                found: str | None = None if subject is None else getattr(subject, word)
                return found
        return None if occasion.event is None else self._word_of(word, occasion.event)

    def _word_of(self, word: str, event: Event) -> str | None:
        """Return what a word stands for that is about the event."""
        device = None if event.device is None else self._site.devices.get(event.device)
        match word:
            case "event":
                whole = None if device is None or not device.parent else self._site.devices.get(device.parent)
                return sentence(event, device, self._site.catalogue, whole)
            case "condition":
                return condition_name(event.key, device, self._site.catalogue)
            case "key":
                return event.key
            case "edge":
                return _EDGES.get(event.edge)
            case "severity":
                return event.severity
            case "number":
                return str(event.seq) if event.seq else None
            case "message":
                return str(event.details["message"]) if "message" in event.details else None
            case "device":
                return None if device is None else device.name
            case "id":
                return None if device is None else device.key
            case "time":
                return self._local(event.at)
        raise ValueError(f"nobody knows the placeholder {word}")

    # Which device a text is about

    def _device(self, occasion: Occasion) -> Device | None:
        event = occasion.event
        return None if event is None or event.device is None else self._site.devices.get(event.device)

    def _around(self, occasion: Occasion) -> Iterator[Device]:
        """Give the device of the event and those it belongs to, then the UPS that the job is about, or the only one."""
        device = self._device(occasion)
        while device is not None:
            yield device
            device = None if device.parent is None else self._site.devices.get(device.parent)
        origin = occasion.origin.partition("/")[0]
        key = self._subjects.get(origin)
        named = None if key is None else self._site.device_by_key(key)
        if named is not None:
            yield named
        elif len(only := [one for one in self._site.devices.values() if one.kind == UPS]) == 1:
            yield only[0]

    def _subject(self, occasion: Occasion) -> Device | None:
        """Return the UPS that a text is about; where there is none, the device."""
        around = tuple(self._around(occasion))
        return next((device for device in around if device.kind == UPS), around[0] if around else None)

    # What is put in

    def _value(self, device: Device, key: str) -> str:
        reading = self._site.reading(device.id, key)
        point = self._site.catalogue.point(device.kind, key)
        if reading is None or point is None or not reading.good or reading.value is None:
            return UNKNOWN
        return f"{self._written(reading.value, point.quantity.type, point.quantity.precision)} {point.unit}".strip()

    def _written(self, value: Value, kind: str, precision: int | None) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:g}" if precision is None else f"{value:.{precision}f}"
        if kind == "time" and isinstance(value, str):
            return self._local(datetime.fromisoformat(value))
        return str(value)

    def _local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime(_TIME)

    def _alarms(self, occasion: Occasion) -> str | None:
        device = self._subject(occasion)
        if device is None:
            return None
        states = self._site.conditions(device.id)
        known = [key for key, state in states.items() if state.quality is Quality.GOOD]
        if not known:
            return None
        names = []
        for key in known:
            found = self._site.catalogue.condition(device.kind, key)
            if states[key].active and found is not None and found.severity is not Severity.INFO:
                names.append(condition_name(key, device, self._site.catalogue))
        more = [f"{len(names) - MOST_ALARMS} more"] if len(names) > MOST_ALARMS else []
        return ", ".join(names[:MOST_ALARMS] + more) or "none"


def _one_line(text: str) -> str:
    text = without_controls(text).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


__all__ = ["UNKNOWN", "Texts"]
