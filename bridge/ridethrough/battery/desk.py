"""What people and jobs may ask of a battery system itself, beside what its link can do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from ridethrough.clock import Clock
from ridethrough.config.battery import OUTPUTS, BatteryConfig
from ridethrough.site import Arguments, CommandError, CommandResult, Commands, DeviceId, Site

from .board import Board, Findings, Phase
from .breakers import BreakerError
from .bus import Bus
from .cores import Cores
from .impedance import BaselineChange
from .layout import SYSTEM, Place
from .memory import MemoryFault
from .records import RecordsError

type _Handler = Callable[[int, Arguments], CommandResult]
"""Takes the number of the string, module or box, 0 for the system."""

PAUSE = 24.0
"""Hours for which equalising pauses when nothing is said."""


class Inventory(Protocol):
    """What people note of each block, in five columns (manual M:7077)."""

    async def note(self, system: DeviceId, module: int, column: int, text: str) -> None:
        """Note something about a block; an empty text takes it away. Raises MemoryFault or RecordsError."""

    async def name(self, system: DeviceId, column: int, text: str) -> None:
        """Name a column. Raises MemoryFault or RecordsError."""


class Desk:
    """Offers the commands that can be carried out and are granted, and carries them out."""

    def __init__(
        self,
        config: BatteryConfig,
        site: Site,
        commands: Commands,
        clock: Clock,
        identities: Mapping[Place, DeviceId],
        board: Board,
        *,
        cores: Cores | None,
        bus: Bus | None,
        inventory: Inventory | None,
        say: Callable[[Findings], None],
    ) -> None:
        """Nothing is offered before `open`."""
        self._config = config
        self._site = site
        self._commands = commands
        self._clock = clock
        self._identities = identities
        self._board = board
        self._cores = cores
        self._bus = bus
        self._inventory = inventory
        self._say = say
        self._asked: Callable[[], None] = lambda: None
        self._withdraw: list[Callable[[], None]] = []
        self._handlers = self._possible()

    def open(self, asked: Callable[[], None]) -> None:
        """Offer everything; `asked` is called after each command, as something may have changed."""
        self._asked = asked
        catalogue = self._site.catalogue
        with self._site.transaction():
            for place, device_id in self._identities.items():
                granted = {
                    row.key
                    for row in catalogue.commands_of(place.kind)
                    if (place.kind, row.key) in self._handlers and row.group in self._config.allow
                }
                if granted:
                    device = self._site.devices[device_id]
                    self._site.put(replace(device, commands=device.commands | granted))
                    self._withdraw.append(self._commands.offer(device_id, self._performer(place), granted))

    def close(self) -> None:
        """Offer nothing any longer."""
        while self._withdraw:
            self._withdraw.pop()()

    def _possible(self) -> dict[tuple[str, str], _Handler]:
        """List what can be done with this configuration and link, by kind of device and command."""
        found: dict[tuple[str, str], _Handler] = {}
        cores, bus = self._cores, self._bus
        if cores is not None:
            found["battery_system", "discharges.reset"] = self._reset_discharges
            for kind in ("battery_system", "battery_module"):
                found[kind, "baseline.set"] = self._set_baseline
                found[kind, "baseline.clear"] = self._clear_baseline
        if cores is not None and bus is not None:
            for kind in ("battery_system", "battery_module"):
                found[kind, "impedance.measure"] = self._measure
            found["io_box", "output.set"] = self._switch
            if self._config.equalising.enabled:
                found["battery_system", "equalizing.pause"] = self._pause
                found["battery_system", "equalizing.resume"] = self._resume
            if self._config.buzzer is not None:
                found["battery_system", "alarm.mute"] = self._mute
            if self._config.relay is not None:
                found["battery_system", "alarm.reset"] = self._close_relay
            if self._config.breakers:
                for kind in ("battery_system", "battery_string"):
                    found[kind, "breaker.test"] = self._test_breaker
                    found[kind, "breaker.reset"] = self._reset_breaker
        if self._inventory is not None:
            # Carried out by `_noted`, since a store takes its time.
            found["battery_module", "inventory.note"] = found["battery_system", "inventory.column"] = _later
        return found

    def _performer(self, place: Place) -> Callable[[str, Arguments], Awaitable[CommandResult]]:
        async def perform(command: str, arguments: Arguments) -> CommandResult:
            if command.startswith("inventory.") and self._inventory is not None:
                return await self._noted(self._inventory, place, arguments)
            handler = self._handlers[place.kind, command]
            try:
                return handler(place.number, arguments)
            except BreakerError as error:
                raise CommandError("refused", str(error)) from error
            finally:
                self._asked()

        return perform

    # Equalising and impedances

    @property
    def _must(self) -> Cores:
        assert self._cores is not None, "offered only where there are any"
        return self._cores

    def _pause(self, _: int, arguments: Arguments) -> CommandResult:
        hours = float(arguments.get("duration", PAUSE))
        self._must.equaliser.pause(3600.0 * hours, self._clock.monotonic())
        self._keep()
        return CommandResult(f"Equalising pauses for {hours:g} h.")

    def _resume(self, _: int, __: Arguments) -> CommandResult:
        self._must.equaliser.resume(self._clock.monotonic())
        self._keep()
        return CommandResult("Equalising goes on as soon as it can.")

    def _measure(self, number: int, _: Arguments) -> CommandResult:
        self._must.impedance.request([number] if number else None)
        what = f"The impedance of block {number} is" if number else "All impedances are"
        return CommandResult(f"{what} measured as soon as the batteries are at rest or in float.", confirmed=False)

    def _set_baseline(self, number: int, _: Arguments) -> CommandResult:
        early = not self._must.impedance.comparable(self._clock.monotonic())
        change = self._must.impedance.set_baseline(self._board, [number] if number else None)
        self._change_baseline(change)
        if number and change.missing:
            raise CommandError("refused", f"The impedance of block {number} is not known yet.")
        unknown = f" Not known yet: {_numbers(change.missing)}." if change.missing else ""
        hint = " The bridge has measured for less than an hour, so do it again later." if early else ""
        return CommandResult(f"Taken for {len(change.findings.points)} blocks.{unknown}{hint}")

    def _clear_baseline(self, number: int, _: Arguments) -> CommandResult:
        change = self._must.impedance.clear_baseline(self._board, [number] if number else None)
        self._change_baseline(change)
        return CommandResult(f"Forgotten for {len(change.findings.points)} blocks.")

    def _change_baseline(self, change: BaselineChange) -> None:
        self._say(change.findings)
        self._must.keep("impedance", self._must.impedance.state())

    # Counters, alarm, breakers, outputs

    def _reset_discharges(self, _: int, __: Arguments) -> CommandResult:
        self._say(self._must.discharge.reset())
        self._must.keep("discharge", self._must.discharge.state())
        return CommandResult("The discharge counter is 0.")

    def _mute(self, _: int, __: Arguments) -> CommandResult:
        self._must.alarm.mute(self._clock.monotonic())
        return CommandResult("The buzzer is silent for a while, or until something else happens.")

    def _close_relay(self, _: int, __: Arguments) -> CommandResult:
        self._must.alarm.close()
        return CommandResult("The alarm relay closes, unless there is an alarm.")

    def _test_breaker(self, number: int, _: Arguments) -> CommandResult:
        message = self._must.breakers.test(number, discharging=self._board.phase is Phase.DISCHARGING)
        self._must.keep("breakers", self._must.breakers.state())
        return CommandResult(message, confirmed=False)

    def _reset_breaker(self, number: int, _: Arguments) -> CommandResult:
        message = self._must.breakers.reset(number)
        self._must.keep("breakers", self._must.breakers.state())
        return CommandResult(message, confirmed=False)

    def _switch(self, box: int, arguments: Arguments) -> CommandResult:
        output, on = int(arguments["number"]), bool(arguments["state"])
        if output > OUTPUTS:
            raise CommandError("bad_argument", f"A box has outputs 1 to {OUTPUTS}.")
        reserved = {*self._config.breakers, self._config.buzzer, self._config.relay}
        if (box, output) in reserved:
            raise CommandError("refused", f"Output {output} of box {box} is reserved; nobody may switch it by hand.")
        assert self._bus is not None, "offered only where there is one"
        self._bus.switch(box, output, energised=on is not self._must.normally_closed(box, output))
        return CommandResult(f"Output {output} of box {box} is switched {'on' if on else 'off'}.", confirmed=False)

    # Inventory

    async def _noted(self, inventory: Inventory, place: Place, arguments: Arguments) -> CommandResult:
        column, text = int(arguments["column"]), str(arguments["text"])
        system = self._identities[SYSTEM]
        try:
            if place != SYSTEM:
                await inventory.note(system, place.number, column, text)
                return CommandResult("Noted." if text else "The note is gone.")
            await inventory.name(system, column, text)
        except (MemoryFault, RecordsError) as error:
            raise CommandError("refused", f"Nothing can be noted: {error}") from error
        return CommandResult(f"Column {column} is called {text!r}." if text else f"Column {column} has no name.")

    def _keep(self) -> None:
        now, wall = self._clock.monotonic(), self._clock.utc().timestamp()
        self._must.keep("equaliser", self._must.equaliser.state(now, wall))


def _later(_: int, __: Arguments) -> CommandResult:
    raise NotImplementedError


def _numbers(numbers: tuple[int, ...], most: int = 10) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"


__all__ = ["PAUSE", "Desk", "Inventory"]
