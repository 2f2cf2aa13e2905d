"""What a person or a job may ask of a device, and how it ended."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from .reading import DeviceId, Value
from .site import Site

type Arguments = Mapping[str, Value]
type Performer = Callable[[str, Arguments], Awaitable[CommandResult]]
type Listener = Callable[[str, Arguments], None]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, in a sentence a person can read."""

    message: str
    confirmed: bool = True
    """False when the device has no way to confirm, or has not done so (yet)."""


class CommandError(Exception):
    """A command was not carried out. `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        """Codes: unknown_device, unknown_command, bad_argument, not_granted, forbidden, refused, no_answer, offline."""
        super().__init__(message)
        self.code = code


class Commands:
    """Finds who can carry out a command. Links offer themselves; nothing is sent without a grant."""

    def __init__(self, site: Site) -> None:
        """Create an empty switchboard for `site`."""
        self._site = site
        self._performers: dict[DeviceId, Performer] = {}
        self._own: dict[DeviceId, dict[str, Performer]] = {}
        """Of commands that someone else than the link carries out, by key."""
        self._listeners: dict[DeviceId, list[Listener]] = {}

    def offer(
        self, device: DeviceId, performer: Performer, commands: Iterable[str] | None = None
    ) -> Callable[[], None]:
        """Let `performer` carry out the commands of `device`; returns what withdraws the offer.

        With `commands` only those, which nobody else is asked for then: what the bridge itself does for a device beside
        what its link can do.
        """
        if commands is None:
            self._performers[device] = performer
        else:
            self._own.setdefault(device, {}).update(dict.fromkeys(commands, performer))

        def withdraw() -> None:
            if self._performers.get(device) is performer:
                del self._performers[device]
            kept = {key: one for key, one in self._own.pop(device, {}).items() if one is not performer}
            if kept:
                self._own[device] = kept

        return withdraw

    def listen(self, device: DeviceId, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every command at the moment it is given to the device; returns what ends that.

        Whether the device obeys is not known then.
        """
        listeners = self._listeners.setdefault(device, [])
        listeners.append(listener)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    async def perform(self, device_id: DeviceId, command: str, arguments: Arguments) -> CommandResult:
        """Carry out a command.

        Raises CommandError when the device or the command is unknown, an argument is wrong, the configuration
        does not grant it, or the device refuses or cannot be reached.
        """
        device = self._site.devices.get(device_id)
        if device is None:
            raise CommandError("unknown_device", f"There is no device {device_id}.")
        definition = self._site.catalogue.command(device.kind, command)
        if definition is None:
            raise CommandError("unknown_command", f"A {device.kind} has no command {command}.")
        try:
            definition.check(arguments)
        except ValueError as error:
            raise CommandError("bad_argument", str(error)) from error
        if command not in device.commands:
            raise CommandError(
                "not_granted",
                f"{device.name} does not offer {command}, or the configuration does not grant it: "
                f"see allow: under {device.key}.",
            )
        performer = self._own.get(device_id, {}).get(command) or self._performers.get(device_id)
        if performer is None:
            raise CommandError("offline", f"{device.name} cannot be reached at the moment.")
        for listener in tuple(self._listeners.get(device_id, ())):
            listener(command, arguments)
        # What was not given the device may have a setting for; only its link knows whether the default is needed.
        return await performer(command, arguments)
