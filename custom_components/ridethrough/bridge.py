"""One bridge in Home Assistant: its connection, its state, its devices and its events."""

from collections.abc import Callable, Iterable

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, Event as HassEvent, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.start import async_at_started
from homeassistant.util.signal_type import SignalType

from . import issues
from .catalogue import Catalogue
from .client import Address, BridgeClient, Callbacks
from .configuration import Kind
from .const import CONF_FINGERPRINT, CONF_TLS, DOMAIN
from .device_issues import DeviceIssues
from .devices import DeviceTree, main_ancestor
from .entity import RidethroughEntity
from .errors import RidethroughError, TokenRefused
from .journal import Journal
from .mirror import Mirror
from .outages import Outages
from .subentries import Subentries
from .wire import Device, Event

type RidethroughConfigEntry = ConfigEntry[Bridge]
type EntityFactory = Callable[[], RidethroughEntity]
type EntityBuilder = Callable[[Bridge, Device], Iterable[tuple[str, EntityFactory]]]
"""Says which entities a device should have now: a key that is unique among them, and how to make each."""

SIGNAL_EVENT: SignalType[Bridge, Event, bool] = SignalType(f"{DOMAIN}_event")
"""A bridge, an event of its journal, and whether that happened while we were away."""


def address_of(entry: ConfigEntry) -> Address:
    """Where the bridge of a config entry is."""
    return Address(entry.data[CONF_HOST], entry.data[CONF_PORT], entry.data[CONF_TLS], entry.data.get(CONF_FINGERPRINT))


class Bridge:
    """What the platforms work with; the runtime data of a config entry."""

    def __init__(self, hass: HomeAssistant, entry: RidethroughConfigEntry, catalogue: Catalogue) -> None:
        """Prepare; `connect()` starts it."""
        assert entry.unique_id is not None  # the config flow sets it
        self.id = entry.unique_id
        self.catalogue = catalogue
        self.mirror = Mirror()
        self.journal = Journal(hass, self.id, self._on_delivered)
        self.outages = Outages(hass, self)
        self.client = BridgeClient(
            async_get_clientsession(hass),
            address_of(entry),
            entry.data[CONF_TOKEN],
            self.mirror,
            Callbacks(
                events_after=lambda: self.journal.received,
                snapshot=self._on_snapshot,
                event=self._on_event,
                state=self._on_state,
                failed=self._on_failed,
            ),
            bridge_id=self.id,
        )
        self.subentries = Subentries(hass, entry, self.client, self._on_settled)
        self.tree = DeviceTree(hass, entry, self.id, self.subentries.find)
        self._hass = hass
        self._entry = entry
        self._held: set[str] = set()
        """New devices that wait until it is known to which subentry they belong."""
        self._begun = False
        self._handing_on = False
        self._availability: list[Callable[[], None]] = []
        self._platforms: list[_Platform] = []
        self.mirror.on_structure(self._on_structure)
        self.device_issues = DeviceIssues(hass, entry, self.mirror)

    @property
    def online(self) -> bool:
        """Whether the bridge is connected and its state is known."""
        return self.client.live

    async def connect(self) -> None:
        """Connect, wait for the first snapshot and stay connected until the entry is unloaded.

        Raises what `BridgeClient.start` raises.
        """
        await self.journal.load()
        await self.outages.load()
        await self.client.start(
            lambda coroutine, name: self._entry.async_create_background_task(self._hass, coroutine, name)
        )
        # What happens while Home Assistant stops is told to the next one; what happened before it had started, to
        # automations that are armed.
        self._entry.async_on_unload(self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, self._on_stop))

    async def settle(self) -> None:
        """Bring subentries and devices in step before the first entity is created, and keep them so."""
        await self.subentries.compare()
        if self._held:
            # The connection broke meanwhile.
            self._on_settled(frozenset())
        self._begun = True
        self.subentries.watch()

    async def disconnect(self) -> None:
        """Close the connection and write down which events were seen."""
        await self.outages.save()
        await self.client.stop()
        await self.journal.save()

    @callback
    def begin_events(self) -> None:
        """Hand on events as soon as Home Assistant has started and the entry counts as set up: targets mean it then."""
        self._entry.async_on_unload(async_at_started(self._hass, self._on_ready))
        self._entry.async_on_unload(self._entry.async_on_state_change(self._on_ready))

    @callback
    def on_availability(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when the connection becomes live or ceases to be."""
        self._availability.append(listener)
        return lambda: self._availability.remove(listener)

    @callback
    def add_platform(self, builder: EntityBuilder, add_entities: AddConfigEntryEntitiesCallback) -> None:
        """Create the entities of all devices now, and of new devices, points and commands as they appear."""
        platform = _Platform(self, builder, add_entities)
        self._platforms.append(platform)
        platform.grow(self.mirror.devices.keys() - self._held)

    def _on_snapshot(self, seq: int) -> None:
        self.tree.remove_others(self.mirror.devices)
        self.journal.synchronise(seq)

    def _on_event(self, event: Event) -> None:
        self.journal.receive(event)

    def _on_delivered(self, event: Event, past: bool) -> None:
        self.outages.note(event)
        async_dispatcher_send(self._hass, SIGNAL_EVENT, self, event, past)

    def _on_state(self) -> None:
        if self.online:
            assert self.client.hello is not None
            issues.connected(self._hass, self._entry, self.client.hello)
            self._forget_reauth()
            # Another role may allow other commands.
            for platform in self._platforms:
                platform.grow(self.mirror.devices.keys() - self._held)
            if self._begun:
                self.subentries.request()
        for listener in tuple(self._availability):
            listener()

    def _on_failed(self, error: RidethroughError) -> None:
        if isinstance(error, TokenRefused):
            self._entry.async_start_reauth(self._hass)
        issues.report(self._hass, self._entry, error)

    def _forget_reauth(self) -> None:
        """Ask for no other token any more: this one is accepted (again)."""
        for flow in tuple(self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})):
            self._hass.config_entries.flow.async_abort(flow["flow_id"])

    def _on_structure(self, grown: frozenset[str], removed: frozenset[str]) -> None:
        for device in removed:
            self.tree.remove(device)
        self._held -= removed
        if self.subentries.possible:
            self._held |= {device for device in grown if self._is_new(device)}
            if self.online and (removed or any(map(self._is_told_otherwise, grown))):
                self.subentries.request()
        grown -= self._held
        self.tree.update(self.mirror.devices, grown)
        for platform in self._platforms:
            platform.forget(removed)
            platform.grow(grown)

    def _is_new(self, device_id: str) -> bool:
        """Whether a device belongs to a subentry that is not there yet."""
        device = self.mirror.devices[device_id]
        whole = main_ancestor(device, self.mirror.devices) or device
        return (
            whole.kind in list(Kind) and not self.tree.registered(whole.id) and self.subentries.find(whole.id) is None
        )

    def _is_told_otherwise(self, device_id: str) -> bool:
        """Whether the bridge's configuration must have another device than the subentries say."""
        device = self.mirror.devices[device_id]
        return device.kind in list(Kind) and not self.subentries.has(device)

    def _on_settled(self, kept: frozenset[str]) -> None:
        """Show what was held back, and again what a person removed in vain."""
        devices = self.mirror.devices
        again = {key for key, device in devices.items() if (main_ancestor(device, devices) or device).id in kept}
        show, self._held = self._held | again, set()
        if not self._begun:
            # No entity runs yet: what is not where it belongs can be moved.
            show |= self.tree.adopt() & devices.keys()
        self.tree.update(devices, show)
        for platform in self._platforms:
            platform.forget(again)
            platform.grow(show)

    @callback
    def _on_ready(self, _hass: HomeAssistant | None = None) -> None:
        started = self._hass.state is CoreState.running
        if started and self._entry.state is ConfigEntryState.LOADED and not self._handing_on:
            self._handing_on = True
            self.journal.release()
            self.outages.begin()

    async def _on_stop(self, _event: HassEvent) -> None:
        await self.outages.save()
        await self.client.stop()


class _Platform:
    """Creates the entities of one platform, each once."""

    def __init__(self, bridge: Bridge, builder: EntityBuilder, add_entities: AddConfigEntryEntitiesCallback) -> None:
        self._bridge = bridge
        self._builder = builder
        self._add_entities = add_entities
        self._added: dict[str, set[str]] = {}

    def grow(self, devices: Iterable[str]) -> None:
        """Create what these devices have and we have not."""
        new: dict[str | None, list[RidethroughEntity]] = {}
        for device_id in devices:
            added = self._added.setdefault(device_id, set())
            for key, create in self._builder(self._bridge, self._bridge.mirror.devices[device_id]):
                if key not in added:
                    added.add(key)
                    new.setdefault(self._bridge.tree.subentry(device_id), []).append(create())
        for subentry, entities in new.items():
            self._add_entities(entities, config_subentry_id=subentry)

    def forget(self, devices: Iterable[str]) -> None:
        """Forget devices that are gone; should they come back, they get new entities."""
        for device_id in devices:
            self._added.pop(device_id, None)
