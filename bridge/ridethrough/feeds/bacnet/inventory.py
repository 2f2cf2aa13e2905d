"""Which objects there are: one for each point and condition that a device has, and for what may be written.

The site is observed. A change that nobody watches costs a look-up: who reads the object sees what is so then. What is new,
subscribed to, a condition or the state of a command is noted and shown in slices, so that five hundred devices that
change at once do not stop the loop. An object keeps its number for ever, also when its device has been away.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
import hashlib
import logging
import time
from typing import Any, Protocol

from bacpypes3.basetypes import EngineeringUnits

from ridethrough.catalogue import Point
from ridethrough.feeds.base import FeedContext
from ridethrough.site import Change, ConditionState, Device, DeviceId, Quality, Reading

from .objects import (
    AnalogInput,
    BinaryInput,
    BinaryOutput,
    BinaryValue,
    ConditionObserver,
    Lean,
    MultiStateInput,
    Shown,
    TextValue,
    TimeValue,
)
from .orders import Writable
from .tables import CommandRow, load_commands, unit_of

_LOGGER = logging.getLogger(__name__)

TURN = 0.001
"""Seconds of the loop after which others have their turn."""
NOT_SHOWN = frozenset({"feed"})
"""Kinds of devices that are no business of a building's management: what serves it."""
LONGEST_NAME = 120
REVISION = "bacnet.database_revision"
"""The fact under which the revision is kept, with what it was the revision of."""
_NAMES = {
    AnalogInput: "analog-input",
    BinaryInput: "binary-input",
    BinaryOutput: "binary-output",
    BinaryValue: "binary-value",
    MultiStateInput: "multi-state-input",
    TextValue: "characterstring-value",
    TimeValue: "datetime-value",
}

type Item = tuple[DeviceId, str, str]
"""A device, one of the sorts below, and a key."""
POINT, CONDITION, COMMAND = "point", "condition", "command"


class Objects(Protocol):
    """Where the objects are: the application."""

    objectName: dict[str, Any]  # noqa: N815 (the library's names)
    objectIdentifier: dict[Any, Any]  # noqa: N815
    writables: dict[Any, Writable]
    device_object: Any

    def add_object(self, obj: Lean) -> None:
        """Have an object."""

    def delete_object(self, obj: Lean) -> None:
        """Have it no more."""

    def object_changed(self, changed: Lean) -> None:
        """Tell subscribers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An object that is to be made."""

    item: Item
    kind: type[Shown]
    point: Point | None = None
    row: CommandRow | None = None
    placeholders: Mapping[str, str] | None = None

    @property
    def scope(self) -> str:
        """Where its number is counted."""
        return f"bacnet.{_NAMES[self.kind].replace('-', '_')}"

    @property
    def number_name(self) -> str:
        """By what its number is remembered; the words never change."""
        device, sort, key = self.item
        return f"{device}/{key}" if sort == POINT else f"{device}/{sort}/{key}"


class Inventory:
    """The objects of all devices of the site."""

    def __init__(self, context: FeedContext, objects: Objects, events: ConditionObserver) -> None:
        """Nothing is shown yet."""
        self._context = context
        self._site = context.site
        self._objects = objects
        self._events = events
        self._shown: dict[Item, Shown] = {}
        self._commands: dict[Item, Plan] = {}
        """Of what may be written."""
        self._of_device: dict[DeviceId, dict[Item, None]] = {}
        self._names: dict[DeviceId, Device] = {}
        self._quiet: dict[tuple[DeviceId, str], Shown] = {}
        """Points whose changes matter to nobody but who reads them, or has subscribed to their objects."""
        self._changed: dict[Item, None] = {}
        self._devices: dict[DeviceId, None] = {}
        self._wake = asyncio.Event()
        self._unobserve = self._site.observe(self._observe)
        self._until = 0.0
        self._revision_due = False
        for device in self._site.devices.values():
            self._devices[device.id] = None

    def close(self) -> None:
        """Observe no longer."""
        self._unobserve()

    async def load(self) -> None:
        """Show what there is now, before anybody is answered."""
        self._begin()
        await self._work()
        await self._revise()

    async def run(self) -> None:
        """Show what changes, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._begin()
            await self._work()
            if self._revision_due:
                await self._revise()

    # Noting

    def _observe(self, change: Change) -> None:
        changed, quiet = self._changed, self._quiet
        for place in change.points:
            if (shown := quiet.get(place)) is None or shown.watched:
                changed[place[0], POINT, place[1]] = None
        for device, key in change.conditions:
            changed[device, CONDITION, key] = None
        for device in change.devices:
            self._devices[device] = None
        if changed or self._devices:
            self._wake.set()

    # Showing

    def _begin(self) -> None:
        self._until = time.perf_counter() + TURN

    async def _pause(self) -> None:
        """Let others have their turn, if ours has been long enough."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._begin()

    async def _work(self) -> None:
        while self._devices or self._changed:
            devices, self._devices = self._devices, {}
            for device in devices:
                await self._survey(device)
            changed, self._changed = self._changed, {}
            fresh = []
            for item in changed:
                if (shown := self._shown.get(item)) is not None:
                    self._show(item, shown)
                elif (plan := self._plan(item)) is not None:
                    fresh.append(plan)
                self._show_commands(item)
                await self._pause()
            await self._make(fresh)

    async def _survey(self, device_id: DeviceId) -> None:
        """Look at a device that has come, gone or been altered."""
        device = self._site.devices.get(device_id)
        old = self._names.get(device_id)
        if device is None or device.kind in NOT_SHOWN or (old is not None and old.key != device.key):
            await self._remove(list(self._of_device.get(device_id, ())))
            self._names.pop(device_id, None)
        if device is None or device.kind in NOT_SHOWN:
            return
        known = device_id in self._names
        self._names[device_id] = device
        if not known:
            for key in self._site.readings(device_id):
                self._changed[device_id, POINT, key] = None
            for key in self._site.conditions(device_id):
                self._changed[device_id, CONDITION, key] = None
        elif old is not None and old.name != device.name:
            for item in self._of_device.get(device_id, ()):
                plan = self._commands.get(item) or Plan(item, type(self._shown[item]))
                self._shown[item].description = self._description(device, plan)
                await self._pause()
        await self._offer(device)

    async def _offer(self, device: Device) -> None:
        """Have an object for each command of a device that it offers, and none for the others."""
        plans = {plan.item: plan for plan in self._commands_of(device)}
        there = [item for item in self._of_device.get(device.id, ()) if item[1] == COMMAND]
        await self._remove([item for item in there if item not in plans])
        await self._make([plan for item, plan in plans.items() if item not in self._shown])

    def _commands_of(self, device: Device) -> Iterator[Plan]:
        for row in load_commands():
            if device.kind not in row.kinds or row.on not in device.commands:
                continue
            kind = BinaryOutput if row.commandable else BinaryValue
            if not row.repeated:
                yield Plan((device.id, COMMAND, row.key.text), kind, None, row, {})
                continue
            for key in self._site.readings(device.id):
                found = row.state.match(key)
                if found is not None:
                    yield Plan((device.id, COMMAND, row.key.text.format(**found)), kind, None, row, found)

    def _plan(self, item: Item) -> Plan | None:
        device_id, sort, key = item
        device = self._names.get(device_id)
        if device is None or sort == COMMAND:
            return None
        if sort == CONDITION:
            return Plan(item, BinaryInput)
        reading = self._site.reading(device_id, key)
        point = self._site.catalogue.point(device.kind, key)
        # There is no object for what has never had a value: it would have to show an invented one.
        if reading is None or reading.value is None or point is None:
            return None
        return Plan(item, _kind_of(point), point)

    async def _make(self, plans: list[Plan]) -> None:
        """Give new objects their numbers and have them."""
        by_scope: dict[str, list[Plan]] = {}
        for plan in plans:
            by_scope.setdefault(plan.scope, []).append(plan)
        for scope, several in by_scope.items():
            numbers = await self._context.numbers.assign(scope, [plan.number_name for plan in several])
            self._begin()
            for plan in several:
                self._add(plan, numbers[plan.number_name])
                await self._pause()

    def _add(self, plan: Plan, number: int) -> None:
        device_id, sort, key = plan.item
        device = self._names.get(device_id)
        if device is None or plan.item in self._shown:
            return  # it has gone while the number was being written down, or come twice
        name = f"{device.key}.{key}" if sort != COMMAND else f"{device.key}.command.{key}"
        if name in self._objects.objectName:
            _LOGGER.warning("BACnet has no object for the %s %s of %s: its name is taken", sort, key, device.key)
            return
        shown = plan.kind(objectIdentifier=(_NAMES[plan.kind], number), objectName=name)
        self._dress(shown, plan, device)
        self._shown[plan.item] = shown
        self._of_device.setdefault(device_id, {})[plan.item] = None
        if sort == POINT:
            shown.follow(partial(self._site.reading, device_id, key))
            if not _states_a_command(device, key):
                self._quiet[device_id, key] = shown
        self._objects.add_object(shown)
        self._listed_anew()
        if plan.row is not None:
            self._commands[plan.item] = plan
            self._objects.writables[shown.objectIdentifier] = Writable(device_id, plan.row, plan.placeholders or {})
        self._show(plan.item, shown)

    def _dress(self, shown: Shown, plan: Plan, device: Device) -> None:
        """Give an object what never changes."""
        shown.description = self._description(device, plan)
        if isinstance(shown, AnalogInput) and plan.point is not None:
            unit = unit_of(plan.point.quantity)
            shown.scaled(unit.scale)
            shown.units = EngineeringUnits(unit.bacnet)
            shown.covIncrement = 10.0 ** -(plan.point.quantity.precision or 0) * unit.scale
        elif isinstance(shown, MultiStateInput) and plan.point is not None:
            shown.of_states(plan.point.options)
        elif isinstance(shown, BinaryInput | BinaryOutput | BinaryValue):
            shown.inactiveText, shown.activeText = ("off", "on") if plan.row else ("no", "yes")
            if plan.item[1] == CONDITION:
                shown.inactiveText, shown.activeText = "normal", "active"
                shown.of_condition(device.id, plan.item[2])

    def _show(self, item: Item, shown: Shown) -> None:
        """Show what the site knows now."""
        device, sort, key = item
        if sort == COMMAND:
            changed = self._show_state(self._commands[item], shown)
        elif sort == CONDITION:
            state = self._site.conditions(device).get(key)
            if state is None:
                return
            changed = shown.show(state.active, state.quality)
            if changed and isinstance(shown, BinaryInput):
                self._events.condition_changed(shown, state)
        else:
            shown.refresh()
            # Subscribers look themselves whether it is other than they know: whoever reads it may have been quicker.
            changed = True
        if changed:
            self._objects.object_changed(shown)

    def _show_state(self, plan: Plan, shown: Shown) -> bool:
        """Show how that stands which a command is about."""
        assert plan.row is not None
        if not plan.row.state.text:
            return shown.show(False, Quality.GOOD)
        device = plan.item[0]
        key = plan.row.state.text.format(**plan.placeholders or {})
        state = _state(self._site.conditions(device), self._site.readings(device), key)
        return shown.show(False, Quality.UNSUPPORTED) if state is None else shown.show(*state)

    def _show_commands(self, item: Item) -> None:
        """Show a change also where it is the state of a command."""
        device_id, _, key = item
        device = self._names.get(device_id)
        if device is None or not device.commands:
            return
        for row in load_commands():
            if device.kind in row.kinds and row.state.text:
                found = row.state.match(key)
                if found is None:
                    continue
                command = (device_id, COMMAND, row.key.text.format(**found))
                if (shown := self._shown.get(command)) is not None:
                    self._show(command, shown)
                elif row.repeated and row.on in device.commands:
                    self._devices[device_id] = None

    async def _remove(self, items: Iterable[Item]) -> None:
        for item in items:
            shown = self._shown.pop(item)
            if item[1] == POINT:
                self._quiet.pop((item[0], item[2]), None)
            self._commands.pop(item, None)
            del self._of_device[item[0]][item]
            self._objects.writables.pop(shown.objectIdentifier, None)
            self._objects.delete_object(shown)
            if isinstance(shown, BinaryInput) and shown.ridethrough_condition is not None:
                self._events.detach(shown)
            self._listed_anew()
            await self._pause()

    def _listed_anew(self) -> None:
        self._revision_due = True
        self._wake.set()

    async def _revise(self) -> None:
        """Count the revision of the objects, also from one run of the bridge to the next (§12.11.35)."""
        self._revision_due = False
        digest = hashlib.sha256()
        for name in sorted(self._objects.objectName):
            digest.update(f"{name}\n".encode())
            await self._pause()
        known, _, of = (await self._context.facts.get(REVISION) or "0").partition(" ")
        revision = int(known)
        if of != digest.hexdigest():
            revision += 1
            await self._context.facts.put(REVISION, f"{revision} {digest.hexdigest()}")
        self._begin()
        self._objects.device_object.databaseRevision = revision

    def _description(self, device: Device, plan: Plan) -> str:
        """Name the device and what is shown, as people know them."""
        _, sort, key = plan.item
        text, found = key, plan.placeholders or {}
        if plan.row is not None:
            text = plan.row.name
        elif sort == POINT and (point := self._site.catalogue.point(device.kind, key)) is not None:
            text, found = point.name, point.key.match(key) or {}
        elif sort == CONDITION and (condition := self._site.catalogue.condition(device.kind, key)) is not None:
            text, found = condition.name, condition.template.match(key) or {}
        for placeholder, value in found.items():
            text = text.replace(f"{{{placeholder}}}", value)
        return f"{device.name}: {text}"[:LONGEST_NAME]


def _states_a_command(device: Device, key: str) -> bool:
    """Whether a point of this kind of devices may be what a command is about."""
    rows = load_commands()
    return any(device.kind in row.kinds and row.state.text and row.state.match(key) is not None for row in rows)


def _kind_of(point: Point) -> type[Shown]:
    if point.options:
        return MultiStateInput
    match point.quantity.type:
        case "bool":
            return BinaryInput
        case "time":
            return TimeValue
        case "text":
            return TextValue
        case _:
            return AnalogInput


def _state(
    conditions: Mapping[str, ConditionState], readings: Mapping[str, Reading], key: str
) -> tuple[bool, Quality] | None:
    """Return what a condition or a point says of a switch, None for what nobody has said yet."""
    if (condition := conditions.get(key)) is not None:
        return condition.active, condition.quality
    reading = readings.get(key)
    return None if reading is None or reading.value is None else (bool(reading.value), reading.quality)


__all__ = ["Inventory", "Objects"]
