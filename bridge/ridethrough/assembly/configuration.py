"""What clients may see and change of the configuration, and how it comes into force while the bridge runs."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
import logging
from urllib.parse import unquote_plus

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock
from ridethrough.config import BridgeConfig, ConfigError, ConfigureError, DeviceConfig, Problem
from ridethrough.config.draft import SECRETS, SECTIONS, SETTINGS, DeviceDraft
from ridethrough.config.editor import Edit, Texts, put, remove
from ridethrough.config.file import ConfigFile
from ridethrough.events import EdgeKind, Event, EventKind, JournalError, Recorder
from ridethrough.links import LinkContext, LinkUrl
from ridethrough.site import Device, DeviceId

from . import offer
from .automation import Automation
from .feeds import Feeds
from .plant import Plant
from .trial import Trial
from .unit import build_link

_LOGGER = logging.getLogger(__name__)

JOURNAL_PATIENCE = 1.0
"""Seconds to wait until the journal has what was changed; it comes to know it later all the same."""
FILE = "the configuration file"
"""Who has changed something when nobody did through the API."""


class Configuration:
    """Keeps the file and the running devices together; implements the API's `Configurator`."""

    def __init__(
        self,
        file: ConfigFile,
        config: BridgeConfig,
        plant: Plant,
        bridge: Device,
        recorder: Recorder,
        clock: Clock,
        models: Sequence[tuple[str, str]] = (),
        feeds: Feeds | None = None,
        automation: Automation | None = None,
    ) -> None:
        """`config` is what the bridge was started with; `models` are ids and titles of the model profiles."""
        self._feeds = feeds
        self._automation = automation
        self._file = file
        self._config = config
        self._plant = plant
        self._bridge = bridge
        self._recorder = recorder
        self._clock = clock
        self._models = models
        self._trial = Trial(plant)
        self._turn = asyncio.Lock()
        """One change after the other, from reading the file to its coming into force."""

    # What the API asks for

    async def schemes(self) -> Mapping[str, object]:
        """See `Configurator`."""
        reason = await asyncio.to_thread(self._obstacle)
        return {
            "schemes": offer.schemes(),
            "groups": offer.groups(),
            "models": [{"id": key, "title": title} for key, title in self._models],
            "ports": await asyncio.to_thread(offer.serial_ports),
            "writable": reason is None,
            "reason": reason,
        }

    async def list(self, *, secrets: bool) -> Mapping[str, object]:
        """See `Configurator`."""
        texts, config = await asyncio.to_thread(self._read)
        devices = [self._shown(device, secrets=secrets) for device in config.editable]
        return {"revision": texts.revision, "devices": devices}

    async def test(self, draft: DeviceDraft) -> Mapping[str, object]:
        """See `Configurator`."""
        self._permit()
        config = await asyncio.to_thread(self._drafted, draft)
        return await self._trial.run(config)

    async def put(self, draft: DeviceDraft, revision: str, actor: str) -> Mapping[str, object]:
        """See `Configurator`."""
        self._permit()
        async with self._turn:
            config, after = await asyncio.to_thread(self._put, draft, revision)
            await self._apply(config, actor)
        return {"revision": after.revision, "device": self._plant.identity(config.key)}

    async def remove(self, key: str, revision: str, actor: str) -> Mapping[str, object]:
        """See `Configurator`."""
        self._permit()
        async with self._turn:
            after = await asyncio.to_thread(self._remove, key, revision)
            if key in self._plant.units:
                await self._end(key, actor)
        return {"revision": after.revision}

    # What a signal asks for

    async def reload(self) -> None:
        """Read the file again and let devices be as it says; one that cannot be used changes nothing."""
        async with self._turn:
            try:
                config = await asyncio.to_thread(self._file.load)
                for device in config.devices:
                    _prove(device, self._clock)
            except ConfigError as error:
                _LOGGER.error("The configuration is not taken over, everything stays as it was:\n%s", error)
                return
            except ConfigureError as error:
                _LOGGER.error("The configuration is not taken over, everything stays as it was: %s", error)
                return
            wanted = {device.key: device for device in config.devices}
            running = {key: unit.config for key, unit in self._plant.units.items()}
            for key in running.keys() - wanted.keys():
                await self._end(key, FILE)
            differing = [device for key, device in wanted.items() if running.get(key) != device]
            for device in differing:
                await self._apply(device, FILE)
            _LOGGER.info(
                "The configuration was read again; devices that are new or other: %s; gone: %s",
                ", ".join(device.key for device in differing) or "none",
                ", ".join(sorted(running.keys() - wanted.keys())) or "none",
            )
            if self._feeds is not None and (feeds := await self._feeds.configure(config.feeds)):
                _LOGGER.info("Feeds that are new, other or gone: %s", ", ".join(feeds))
            if self._automation is not None and (sections := await self._automation.configure(config)):
                _LOGGER.info("The configuration is other under: %s", ", ".join(sections))
            applied = {*SECTIONS.values(), "batteries", "feeds", "agents", "jobs", "plans"}
            rest = [one.name for one in fields(BridgeConfig) if one.name not in applied]
            other = [name for name in rest if getattr(config, name) != getattr(self._config, name)]
            if other:
                _LOGGER.warning("Restart the bridge for what has changed under: %s", ", ".join(other))

    # How it is done, in a thread

    def _obstacle(self) -> str | None:
        try:
            self._permit()
        except ConfigureError as error:
            return str(error)
        return self._file.obstacle()

    def _permit(self) -> None:
        if not self._config.api.configure:
            raise ConfigureError(
                "not_granted",
                f"The configuration does not grant it: write `configure: yes` under api: in {self._file.path} and "
                "restart the bridge.",
            )

    def _read(self) -> tuple[Texts, BridgeConfig]:
        try:
            texts = self._file.read()
            return texts, self._file.check(texts)
        except ConfigError as error:
            raise ConfigureError("invalid", f"The configuration file has mistakes: {error}") from error

    def _edit(self, texts: Texts, draft: DeviceDraft) -> tuple[Edit, DeviceConfig]:
        edit = put(texts, draft)
        try:
            config = self._file.check(edit.after)
        except ConfigError as error:
            raise _complaint(error.problems, draft) from error
        device = next(device for device in config.devices if device.key == draft.key)
        _prove(device, self._clock)
        return edit, device

    def _drafted(self, draft: DeviceDraft) -> DeviceConfig:
        texts, _ = self._read()
        return self._edit(texts, draft)[1]

    def _current(self, revision: str) -> Texts:
        texts, _ = self._read()
        if texts.revision != revision:
            raise ConfigureError("conflict", "The configuration was changed meanwhile; look at it again first.")
        return texts

    def _put(self, draft: DeviceDraft, revision: str) -> tuple[DeviceConfig, Texts]:
        texts = self._current(revision)
        edit, device = self._edit(texts, draft)
        self._file.write(texts, edit)
        return device, edit.after

    def _remove(self, key: str, revision: str) -> Texts:
        texts = self._current(revision)
        edit = remove(texts, key)
        try:
            self._file.check(edit.after)
        except ConfigError as error:
            raise ConfigureError("invalid", f"Without {key} the configuration would have mistakes: {error}") from error
        self._file.write(texts, edit)
        return edit.after

    # How it comes into force

    async def _apply(self, device: DeviceConfig, actor: str) -> None:
        unit = self._plant.units.get(device.key)
        if unit is None:
            self._plant.add(device).start()
            await self._note("device_added", device, actor)
        elif unit.config != device:
            if unit.config.kind != device.kind:
                await self._plant.remove(device.key)
                self._plant.add(device).start()
            else:
                await self._plant.change(device)
            await self._note("device_changed", device, actor)

    async def _end(self, key: str, actor: str) -> None:
        device = self._plant.units[key].config
        await self._plant.remove(key)
        await self._note("device_removed", device, actor)

    async def _note(self, key: str, device: DeviceConfig, actor: str) -> None:
        link = _without_secrets(device.link)
        details = {"actor": actor, "device": device.key, "name": device.name, "link": link}
        now = self._clock.utc()
        event = Event(now, EventKind.SYSTEM, self._bridge.id, key, EdgeKind.OCCURRED, Severity.INFO, details)
        _LOGGER.info("%s (%s): %s by %s", device.name, device.key, key.replace("_", " "), actor)
        with suppress(TimeoutError, JournalError):
            async with asyncio.timeout(JOURNAL_PATIENCE):
                await self._recorder.record(event)

    def _shown(self, device: DeviceConfig, *, secrets: bool) -> dict[str, object]:
        """`DeviceConfiguration` of the contract."""
        identity: DeviceId = self._plant.identity(device.key)
        return {
            "id": device.key,
            "kind": device.kind,
            "name": device.name,
            "link": device.link if secrets else _without_secrets(device.link),
            "enabled": device.enabled,
            "device": identity,
            "settings": {key: value for key in SETTINGS if (value := getattr(device, key, None)) is not None},
            "allow": sorted(device.allow),
            "secrets": [key for key in SECRETS if getattr(device, key) is not None],
        }


def _prove(device: DeviceConfig, clock: Clock) -> None:
    """Raise ConfigureError when no such link can be made."""
    try:
        build_link(device, LinkContext.alone(clock))
    except ValueError as error:
        raise ConfigureError("invalid", str(error), _link_field(device.link)) from error


def _complaint(problems: Sequence[Problem], draft: DeviceDraft) -> ConfigureError:
    """Say what is wrong with a draft; what is wrong with the file around it only when that is all."""
    for problem in problems:
        words = [step for step in problem.place if isinstance(step, str)]
        if len(words) < 2:
            continue
        message = problem.message.removeprefix(f"{'.'.join(words)}: ")
        field = words[1]
        if field == "link":
            field = _link_field(draft.fields.get("link") or "")
        return ConfigureError("invalid", message, field)
    return ConfigureError("invalid", "; ".join(str(problem) for problem in problems))


def _without_secrets(link: str) -> str:
    """Leave out what a person has written into a link although it is better kept under a key of its own."""
    place, _, options = link.partition("?")
    kept = [option for option in options.split("&") if unquote_plus(option.partition("=")[0]) not in SECRETS]
    return f"{place}?{'&'.join(kept)}" if any(kept) else place


def _link_field(link: str) -> str:
    try:
        url = LinkUrl.parse(link)
    except ValueError:
        return "link"
    option = offer.wrong_option(url.scheme, url.options)
    return "link" if option is None else f"option.{option}"


__all__ = ["Configuration"]
