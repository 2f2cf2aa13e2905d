"""The devices of the bridge's configuration as subentries of the config entry.

The bridge's file is what counts. Subentries follow it: they are added, changed and removed as `list` tells. The other
way goes what a person does in Home Assistant: the flow puts a device into the file, and removing a subentry removes
its device. A removal that the bridge does not carry out is taken back, with an issue that says why.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import logging
from types import MappingProxyType

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from . import configuration, issues
from .client import CONFIGURE, BridgeClient
from .configuration import ConfiguredDevice, Listing
from .errors import ConfigureFailed
from .link import without_secrets
from .wire import Device, MalformedMessage, Role

_LOGGER = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often a removal is tried when the file was changed by someone else in between."""


@dataclass(frozen=True, slots=True)
class _Removed:
    """A subentry that a person took away."""

    device: str
    name: str


def subentry_data(device: ConfiguredDevice) -> dict[str, str]:
    """Return what a subentry keeps of a device: no secrets, and nothing that decides anything."""
    return {"key": device.key, "kind": str(device.kind), "link": without_secrets(device.link)}


class Subentries:
    """Keeps the subentries of one bridge in step with its configuration."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, client: BridgeClient, settled: Callable[[frozenset[str]], None]
    ) -> None:
        """`settled` is called after each comparison, with the devices whose removal the bridge did not carry out."""
        self.lock = asyncio.Lock()
        """Held while the configuration is changed, so that a comparison sees it before or after."""
        self._hass = hass
        self._entry = entry
        self._client = client
        self._settled = settled
        self._known = self._present()
        self._kept = set[str]()
        self._due = False

    @property
    def possible(self) -> bool:
        """Whether the bridge tells its configuration to this token."""
        return CONFIGURE in self._client.features and self._client.role.may(Role.ENGINEER)

    def find(self, device: str) -> str | None:
        """Return the subentry of a device, by the bridge's id of it."""
        for subentry in self._entry.subentries.values():
            if subentry.unique_id == device:
                return subentry.subentry_id
        return None

    def has(self, device: Device) -> bool:
        """Whether there is a subentry that says the same as the device."""
        return any(
            (item.unique_id, item.subentry_type, item.title) == (device.id, device.kind, device.name)
            for item in self._entry.subentries.values()
        )

    @callback
    def watch(self) -> None:
        """Notice when a person removes a subentry, until the entry is unloaded."""
        self._known = self._present()
        self._entry.async_on_unload(
            async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry_changed)
        )

    @callback
    def request(self) -> None:
        """Compare soon. Many requests at once are one."""
        if not self._due:
            self._due = True
            self._entry.async_create_background_task(self._hass, self.compare(), "ridethrough subentries")

    async def compare(self) -> None:
        """Ask the bridge for its devices and have the subentries follow."""
        async with self.lock:
            self._due = False
            if self.possible:
                try:
                    listing = configuration.listing(await self._client.configure("list"))
                except (ConfigureFailed, MalformedMessage) as error:
                    # The next connection asks again; nothing that is shown depends on it.
                    _LOGGER.debug("The bridge did not tell its devices: %s", error)
                else:
                    self._follow(listing)
        if self._client.live:
            kept, self._kept = frozenset(self._kept), set()
            self._settled(kept)

    def _follow(self, listing: Listing) -> None:
        wanted = {device.device: device for device in listing.devices if device.device is not None}
        there: dict[str | None, ConfigSubentry] = {}
        for subentry in tuple(self._entry.subentries.values()):
            device = wanted.get(subentry.unique_id or "")
            if device is None or device.kind != subentry.subentry_type:
                # Forgotten first: what is removed here must not look like a person's doing.
                self._known.pop(subentry.subentry_id, None)
                self._hass.config_entries.async_remove_subentry(self._entry, subentry.subentry_id)
            else:
                there[subentry.unique_id] = subentry
        for device_id, device in wanted.items():
            data = subentry_data(device)
            if (known := there.get(device_id)) is not None:
                self._hass.config_entries.async_update_subentry(self._entry, known, data=data, title=device.name)
            else:
                self._hass.config_entries.async_add_subentry(
                    self._entry,
                    ConfigSubentry(
                        data=MappingProxyType(data),
                        subentry_type=str(device.kind),
                        title=device.name,
                        unique_id=device_id,
                    ),
                )
        issues.removals(self._hass, self._entry, wanted)

    def _present(self) -> dict[str, _Removed]:
        return {
            subentry.subentry_id: _Removed(subentry.unique_id, subentry.title)
            for subentry in self._entry.subentries.values()
            if subentry.unique_id is not None
        }

    @callback
    def _on_entry_changed(self, change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry is not self._entry or change is not ConfigEntryChange.UPDATED:
            return
        present = self._present()
        removed = [known for subentry_id, known in self._known.items() if subentry_id not in present]
        self._known = present
        for known in removed:
            self._entry.async_create_background_task(self._hass, self._remove(known), "ridethrough removal")

    async def _remove(self, removed: _Removed) -> None:
        """Remove a device from the bridge's configuration; if that fails it is shown again."""
        async with self.lock:
            try:
                await self._remove_at_bridge(removed.device)
            except (ConfigureFailed, MalformedMessage) as error:
                _LOGGER.warning("%s was not removed from the bridge: %s", removed.name, error)
                self._kept.add(removed.device)
                issues.removal_failed(self._hass, self._entry, removed.device, removed.name, str(error))
        self.request()

    async def _remove_at_bridge(self, device_id: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            listing = configuration.listing(await self._client.configure("list"))
            keys = [device.key for device in listing.devices if device.device == device_id]
            try:
                for key in keys:
                    await self._client.configure("remove", {"id": key, "revision": listing.revision})
            except ConfigureFailed as error:
                if error.code == "unknown_device":
                    return
                if error.code != "conflict" or attempt == ATTEMPTS:
                    raise
            else:
                return
