"""What masters may write: which address asks for which command, read from `writes.csv`, and how that is carried out."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from ridethrough.events.orders import Order
from ridethrough.feeds.base import Client, FeedContext
from ridethrough.feeds.directory import Part
from ridethrough.site import CommandError, Device, DeviceId, Value

from .exceptions import ACKNOWLEDGE, BUSY, DEVICE_FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE

PATIENCE = 0.8
"""Seconds for a device to obey before the master is told to ask again later: masters wait for a second as a rule."""
_COLUMNS = ("map", "functions", "addresses", "values", "device", "command", "arguments", "note", "source")
_EXCEPTIONS = {
    "bad_argument": ILLEGAL_VALUE,
    "unknown_device": ILLEGAL_ADDRESS,
    "unknown_command": ILLEGAL_ADDRESS,
    "not_granted": ILLEGAL_ADDRESS,
    "forbidden": ILLEGAL_ADDRESS,
}
"""By the code of a CommandError; any other means that the device has failed to obey."""


@dataclass(frozen=True, slots=True)
class Writable:
    """An address that can be written, and what that asks for."""

    values: tuple[int, ...]
    part: Part | None
    """Of whom; None: the unit's device itself."""
    command: str
    arguments: tuple[tuple[str, str], ...]
    """Name and number; `{value}` is what is written."""

    def filled(self, value: int) -> Mapping[str, Value]:
        """Return the arguments for what is written."""
        return {name: int(text.replace("{value}", str(value))) for name, text in self.arguments}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value for an address."""

    writable: Writable
    value: int


@cache
def writable(profile: str) -> Mapping[tuple[int, int], Writable]:
    """Return what can be written by a map: function and address to what it asks for."""
    text = resources.files(__package__).joinpath("writes.csv").read_text(encoding="utf-8")
    return {
        (function, address): one for name, function, address, one in _unfolded(text.splitlines()) if name == profile
    }


def _unfolded(lines: Sequence[str]) -> Iterator[tuple[str, int, int, Writable]]:
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    assert tuple(reader.fieldnames or ()) == _COLUMNS
    for row in reader:
        first, _, last = row["addresses"].partition("-")
        kind, _, number = row["device"].partition(":")
        for n, address in enumerate(range(int(first), int(last or first) + 1), 1):
            one = Writable(
                tuple(int(word) for word in row["values"].split()),
                Part(kind, number) if kind else None,
                row["command"],
                tuple(
                    (name, text.replace("{n}", str(n)))
                    for name, _, text in (word.partition("=") for word in row["arguments"].split())
                ),
            )
            for function in row["functions"].split():
                yield row["map"], int(function), address, one


@dataclass(frozen=True, slots=True)
class Write:
    """Something to be written that is permitted as far as can be told; what it asks for is not done yet."""

    device: str
    """Key of the unit's device."""
    assignments: tuple[Assignment, ...]
    done: bytes
    """What the master is answered when it is done."""


def permitted(context: FeedContext, device: Device | None, one: Writable, granted: frozenset[str]) -> bool:
    """Whether an address is one that may be written: the feed and the device both grant what it asks for."""
    part = None if device is None else context.directory.part(device, one.part)
    if part is None or one.command not in part.commands:
        return False
    definition = context.site.catalogue.command(part.kind, one.command)
    return definition is not None and definition.group in granted


@dataclass(slots=True)
class Writer:
    """Carries out what is written, one master's after the other for each device."""

    context: FeedContext
    _under_way: set[DeviceId] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def carry_out(self, write: Write, master: str) -> int | None:
        """Ask the devices; return the exception's code, or None when it is done.

        BUSY while what was written to a device before is still under way; ACKNOWLEDGE when it takes longer than the
        patience: it goes on, and the master may look later what has become of it.
        """
        directory = self.context.directory
        unit = directory.find(write.device)
        orders: list[Order] = []
        for one in write.assignments:
            device = None if unit is None else directory.part(unit, one.writable.part)
            if device is None:
                return DEVICE_FAILURE
            orders.append(Order(device.id, one.writable.command, one.writable.filled(one.value)))
        devices = {order.device for order in orders}
        if devices & self._under_way:
            return BUSY
        self._under_way |= devices
        task = asyncio.create_task(self._give(orders, Client(f"Modbus {master}")), name=f"Modbus write by {master}")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._under_way.difference_update(devices)
            if not task.cancelled():
                task.exception()

        task.add_done_callback(ended)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        if not done:
            return ACKNOWLEDGE
        error = None if task.cancelled() else task.exception()
        if isinstance(error, CommandError):
            return _EXCEPTIONS.get(error.code, DEVICE_FAILURE)
        return None if error is None and not task.cancelled() else DEVICE_FAILURE

    async def _give(self, orders: Sequence[Order], client: Client) -> None:
        """Give them in turn; what the first that fails leaves undone stays so."""
        for order in orders:
            await self.context.orders.give(order, client)

    async def stop(self) -> None:
        """Wait no longer for what is under way; orders that have been given go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


__all__ = ["PATIENCE", "Assignment", "Writable", "Write", "Writer", "permitted", "writable"]
