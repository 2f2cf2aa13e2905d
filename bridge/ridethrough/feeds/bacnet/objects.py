"""The objects that show points and conditions (ASHRAE 135 §12).

They are the library's objects, but lean: they hold what they have and nothing of the forty properties that they could
have, and each property is encoded once until it changes. What shows a point looks at the site when it is read: a change
that nobody watches costs it nothing.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
import struct
from typing import Any, ClassVar, Protocol

from bacpypes3.basetypes import (
    BinaryPV,
    DateTime,
    EngineeringUnits,
    EventState,
    Polarity,
    PriorityValue,
    PropertyIdentifier,
    Reliability,
    StatusFlags,
)
from bacpypes3.constructeddata import ArrayOf
from bacpypes3.errors import PropertyError
from bacpypes3.object import (
    AnalogInputObject,
    BinaryInputObject,
    BinaryOutputObject,
    BinaryValueObject,
    CharacterStringValueObject,
    DateTimeValueObject,
    MultiStateInputObject,
)
from bacpypes3.primitivedata import Boolean, CharacterString, Date, Null, Real, Time, Unsigned

from ridethrough.site import ConditionState, DeviceId, Quality, Reading, Value

from .encoding import an_unsigned

LONGEST_TEXT = 400
"""Characters of a text: a notification must fit in one packet."""
PRIORITIES = 16

_NORMAL = EventState("normal")
_SILENT = Reliability("communication-failure")
RELIABILITY = {
    Quality.GOOD: Reliability("no-fault-detected"),
    Quality.STALE: _SILENT,
    Quality.LOST: _SILENT,
    Quality.UNSUPPORTED: Reliability("no-sensor"),
}
_RELIABLE = RELIABILITY[Quality.GOOD]
_FLAGS = {
    (alarm, fault): StatusFlags([int(alarm), int(fault), 0, 0]) for alarm in (False, True) for fault in (False, True)
}
_INACTIVE, _ACTIVE = BinaryPV("inactive"), BinaryPV("active")
_NOT_LISTED = frozenset({"objectIdentifier", "objectName", "objectType", "propertyList"})
"""What every object has and Property_List leaves out (§12.1.1.4.1)."""
_ENUMERATIONS = ArrayOf(PropertyIdentifier)
_TEXTS = ArrayOf(CharacterString)
_COMMANDS = ArrayOf(PriorityValue, _length=PRIORITIES)


class Watching(Protocol):
    """Who wants to know when an object has changed: the application."""

    def object_changed(self, changed: Lean) -> None:
        """Hear of it; at most once for each change of a property that may be subscribed to."""


class Lean:
    """What all our objects have in common, in front of the library's class."""

    _REPORTED: ClassVar[frozenset[str]] = frozenset({"eventState"})
    """Properties that tell their application by themselves when somebody sets them."""

    _app: Watching | None
    _encoded: dict[str, bytes]
    _elements: ClassVar[dict[str, Any]]

    def __init__(self, **properties: object) -> None:
        """Set these properties; the object has no others but those that its class gives."""
        self._app = None
        self._encoded = {}
        for name, value in properties.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """Set a property, after which it is encoded anew."""
        super().__setattr__(name, value)
        if name.startswith("_"):
            return
        self._touch(name)
        if name in self._REPORTED and self._app is not None:
            self._app.object_changed(self)

    def __getattr__(self, name: str) -> Any:
        """Return None for a property that the object could have and has not."""
        if name.startswith("_") or name not in self._elements:
            raise AttributeError(name)
        return None

    def names(self) -> Iterator[str]:
        """Give the names of the properties that there are, as the library words them."""
        for name in self._elements:
            if self.__dict__.get(name) is not None or getattr(type(self), name, None) is not None:
                yield name

    @property
    def propertyList(self) -> Any:
        """Which properties there are, as numbers (§12.1.1.4.1)."""
        return _ENUMERATIONS([PropertyIdentifier(name) for name in self.names() if name not in _NOT_LISTED])

    async def read_property(self, attr: Any, index: int | None = None) -> Any:
        """Return a property as the library wants it. Raises PropertyError and AttributeError."""
        name = attr if isinstance(attr, str) else PropertyIdentifier(attr).attr
        if name not in self._elements:
            raise AttributeError(name)
        value = getattr(self, name)
        if index is None or value is None:
            return value
        return await self._elements[name].read_property(getter=lambda: value, index=index)

    def encoded(self, name: str, index: int | None = None) -> bytes:
        """Return a property or one of its elements as bytes. Raises PropertyError for what there is not."""
        if index is None:
            found = self._encoded.get(name)
            if found is not None:
                return found
        if name not in self._elements:
            raise PropertyError("unknownProperty")
        value = getattr(self, name)
        if value is None:
            raise PropertyError("unknownProperty")
        if index is not None:
            return _element(value, index)
        found = as_bytes(value)
        if not isinstance(getattr(type(self), name, None), property):
            self._encoded[name] = found
        return found

    def _touch(self, name: str) -> None:
        self._encoded.pop(name, None)


class Shown(Lean):
    """An object with a value, that shows a point, a condition or a command."""

    WATCHED: ClassVar[frozenset[str]] = frozenset({"presentValue", "statusFlags", "reliability", "eventState"})
    """What may be subscribed to by SubscribeCOVProperty."""
    watched = False
    """Whether somebody has subscribed to it."""
    _place: tuple[DeviceId, str] | None = None
    _source: Callable[[], Reading | None] | None = None
    _seen: Reading | None = None

    eventState = _NORMAL  # noqa: N815
    outOfService = Boolean(False)  # noqa: N815

    @property
    def statusFlags(self) -> Any:
        """In alarm while the event state is not normal; in fault while it is not reliable (§12.2.6)."""
        return _FLAGS[self.eventState != _NORMAL, self.reliability != _RELIABLE]

    @property
    def ridethrough_condition(self) -> tuple[DeviceId, str] | None:
        """The device and the condition that it shows, None for what is no condition."""
        return self._place

    def of_condition(self, device: DeviceId, key: str) -> None:
        """Remember which condition it shows."""
        self._place = device, key

    def follow(self, source: Callable[[], Reading | None]) -> None:
        """Look there from now on whenever it is read, so that nobody need show it what has changed."""
        self._source = source

    def refresh(self) -> None:
        """Show what the source knows now, if it has another reading than the one that is shown."""
        reading = None if self._source is None else self._source()
        if reading is not None and reading is not self._seen:
            self._seen = reading
            self.show(reading.value, reading.quality)

    async def read_property(self, attr: Any, index: int | None = None) -> Any:
        """Return a property as it is now. Raises PropertyError and AttributeError."""
        self.refresh()
        return await super().read_property(attr, index)

    def encoded(self, name: str, index: int | None = None) -> bytes:
        """Return a property as it is now, as bytes. Raises PropertyError for what there is not."""
        self.refresh()
        return super().encoded(name, index)

    def show(self, value: Value | None, quality: Quality) -> bool:
        """Show what is known now; with None the last value stays. Returns whether anything is different."""
        changed = value is not None and self._take(value)
        reliability = RELIABILITY[quality]
        if self.__dict__.get("reliability") is not reliability:
            self.__dict__["reliability"] = reliability
            self._encoded.pop("reliability", None)
            changed = True
        return changed

    def moved(self, since: Any, increment: float | None) -> bool:
        """Whether the present value has changed enough since then to be told (§13.1)."""
        return bool(self.presentValue != since)

    def _take(self, value: Value) -> bool:
        """Show a value; returns whether it is another one than before."""
        return self._set(self._worded(value))

    def _worded(self, value: Value) -> Any:
        """Put a value into the type of the present value."""
        raise NotImplementedError

    def _set(self, value: Any) -> bool:
        if self.__dict__.get("presentValue") == value:
            return False
        self.__dict__["presentValue"] = value
        self._encoded.pop("presentValue", None)
        return True


class AnalogInput(Shown, AnalogInputObject):
    """A number."""

    _scale: float = 1.0

    def scaled(self, scale: float) -> None:
        """Multiply what is shown from now on."""
        self._scale = scale

    def moved(self, since: Any, increment: float | None) -> bool:
        """Whether it is further away than the increment (§13.1.4)."""
        least = self.covIncrement if increment is None else increment
        return bool(self.presentValue != since and abs(self.presentValue - since) >= least * (1 - 1e-6))

    def _worded(self, value: Value) -> Any:
        number = float(value) * self._scale
        try:
            return Real(struct.unpack(">f", struct.pack(">f", number))[0])
        except OverflowError:
            return Real(float("inf") if number > 0 else float("-inf"))


class MultiStateInput(Shown, MultiStateInputObject):
    """One of several words."""

    _states: dict[str, int]

    def of_states(self, states: tuple[str, ...]) -> None:
        """Take the words in the order of the catalogue, from 1."""
        self._states = {state: place for place, state in enumerate(states, 1)}
        self.numberOfStates = len(states)
        self.stateText = _TEXTS(list(states))

    def _worded(self, value: Value) -> Any:
        return Unsigned(self._states[str(value)])


class _Binary(Shown):
    def _worded(self, value: Value) -> Any:
        return _ACTIVE if value else _INACTIVE


class BinaryInput(_Binary, BinaryInputObject):
    """Something that is or is not so."""

    polarity = Polarity("normal")


class BinaryValue(_Binary, BinaryValueObject):
    """A command that is given by writing; its value is whether it is being obeyed."""


class BinaryOutput(_Binary, BinaryOutputObject):
    """Something that is switched, with a priority array (§19.2).

    While nobody commands it, its value is how things stand: giving a command up switches nothing.
    """

    WATCHED = Shown.WATCHED | {"feedbackValue"}
    _commands: list[bool | None]
    polarity = Polarity("normal")

    def __init__(self, **properties: object) -> None:
        """Begin without a command."""
        self._commands = [None] * PRIORITIES
        super().__init__(**properties)

    @property
    def commands(self) -> tuple[bool | None, ...]:
        """What is commanded by whom, the most important first."""
        return tuple(self._commands)

    @property
    def commanded(self) -> bool | None:
        """What counts of it, None while nothing is commanded."""
        return next((command for command in self._commands if command is not None), None)

    @property
    def priorityArray(self) -> Any:
        """The commands as they are read (§12.7.16)."""
        return _COMMANDS(
            [
                PriorityValue(null=Null(()))
                if command is None
                else PriorityValue(enumerated=_ACTIVE if command else _INACTIVE)
                for command in self._commands
            ]
        )

    @property
    def currentCommandPriority(self) -> Any:
        """Which command counts, null for none."""
        place = next((place for place, command in enumerate(self._commands, 1) if command is not None), None)
        kind = self._elements["currentCommandPriority"]
        return kind(null=Null(())) if place is None else kind(unsigned=Unsigned(place))

    @property
    def relinquishDefault(self) -> Any:
        """What counts without a command: how things stand."""
        return self.feedbackValue

    def command(self, priority: int, command: bool | None) -> None:
        """Enter a command, or give it up with None; priority 1 to 16, 1 counts most."""
        self._commands[priority - 1] = command
        self._settle()

    def _take(self, value: Value) -> bool:
        feedback = self._worded(value)
        changed = self.__dict__.get("feedbackValue") != feedback
        if changed:
            self.__dict__["feedbackValue"] = feedback
            self._encoded.pop("feedbackValue", None)
        return self._settle() or changed

    def _settle(self) -> bool:
        commanded = self.commanded
        value = self.__dict__.get("feedbackValue") if commanded is None else self._worded(commanded)
        return value is not None and self._set(value)


class TextValue(Shown, CharacterStringValueObject):
    """A text."""

    def _worded(self, value: Value) -> Any:
        return CharacterString(str(value)[:LONGEST_TEXT])


class TimeValue(Shown, DateTimeValueObject):
    """An instant, in UTC."""

    isUTC = Boolean(True)  # noqa: N815

    def _worded(self, value: Value) -> Any:
        return date_time(datetime.fromisoformat(str(value)).astimezone(UTC))


class ConditionObserver(Protocol):
    """Who makes events of conditions."""

    def condition_changed(self, obj: BinaryInput, state: ConditionState) -> None:
        """Hear that a condition is or is not so, or is no longer known."""

    def detach(self, obj: BinaryInput) -> None:
        """Hear that an object is gone."""


class NoEvents:
    """Makes nothing of them."""

    def condition_changed(self, obj: BinaryInput, state: ConditionState) -> None:
        """Let it pass."""

    def detach(self, obj: BinaryInput) -> None:
        """Let it pass."""


def date_time(moment: datetime) -> Any:
    """Give a moment as the two values that BACnet makes of it (§21, BACnetDateTime)."""
    return DateTime(
        date=Date((moment.year - 1900, moment.month, moment.day, moment.isoweekday())),
        time=Time((moment.hour, moment.minute, moment.second, moment.microsecond // 10_000)),
    )


def as_bytes(value: Any) -> bytes:
    """Encode a value of the library's."""
    return bytes(value.encode().encode().pduData)


def _element(value: Any, index: int) -> bytes:
    """Encode one element of an array, or their number for 0 (§12.1.5)."""
    if not isinstance(value, list):
        raise PropertyError("propertyIsNotAnArray")
    if index == 0:
        return an_unsigned(len(value))
    if not 0 < index <= len(value):
        raise PropertyError("invalidArrayIndex")
    return as_bytes(value[index - 1])


__all__ = [
    "AnalogInput",
    "BinaryInput",
    "BinaryOutput",
    "BinaryValue",
    "ConditionObserver",
    "EngineeringUnits",
    "Lean",
    "MultiStateInput",
    "NoEvents",
    "Shown",
    "TextValue",
    "TimeValue",
    "Watching",
    "as_bytes",
    "date_time",
]
