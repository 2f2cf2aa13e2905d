"""When each UPS was on battery and how long its battery would have lasted: what triggers are worked out from.

Home Assistant, the bridge and the line to a UPS may each be away in the middle of an outage. So what was last known is
kept on disk and compared with what is known next; and the length of an outage is taken from the bridge, by its own
clock, which need not agree with ours.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypedDict

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.storage import Store
from homeassistant.util.signal_type import SignalType

from .const import DOMAIN
from .wire import Edge, Event, Quality

if TYPE_CHECKING:
    from .bridge import Bridge

UPS: Final = "ups"
ON_BATTERY: Final = "on_battery"
RUNTIME: Final = "battery.runtime"

STORE_VERSION = 1
SAVE_DELAY = 5.0
"""Seconds. Runtimes change all the time during an outage; after a crash at most this much is not known."""
KEPT = 32
"""Outages of a UPS that are remembered: more than that in a row are a fault of the mains, not short returns."""
TOLERANCE = 1.0
"""Seconds by which the time of an event may differ from that of the condition it tells of."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A time on battery, by the bridge's clock, in seconds since the epoch."""

    since: float
    ended: float | None = None
    """None while it lasts. When it ended unseen and unsaid, its beginning: the earliest that can be."""


@dataclass(frozen=True, slots=True)
class Supply:
    """What was last known of a UPS."""

    on_battery: bool
    outages: tuple[Outage, ...] = ()
    """Oldest first."""
    seen: float = 0.0
    """Until when this was known to be so, by the bridge's clock."""
    runtime: float | None = None
    """Seconds that the battery would last, when that was last known."""
    drained: bool | None = None
    """Whether it was on battery then; None where that was never known. On mains it is False, whatever the runtime."""

    def outage(self, ignored: float) -> Outage | None:
        """Return the outage that lasts, from its first beginning if returns of power up to `ignored` seconds are ignored."""
        if not self.on_battery or not self.outages:
            return None
        first = self.outages[-1]
        for earlier in reversed(self.outages[:-1]):
            if earlier.ended is None or first.since - earlier.ended > ignored:
                break
            first = earlier
        return Outage(first.since)


SIGNAL_SUPPLY: SignalType[Bridge, str, Supply | None, Supply] = SignalType(f"{DOMAIN}_supply")
"""A bridge, a UPS, what was known of it before and what is known now."""


class _Stored(TypedDict):
    supplies: dict[str, dict[str, Any]]


def outage_store(hass: HomeAssistant, bridge_id: str) -> Store[_Stored]:
    """Where it is kept what was last known of the UPSes of a bridge."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.{bridge_id}.outages", atomic_writes=True)


class Outages:
    """Follows the UPSes of one bridge, from when automations are armed."""

    def __init__(self, hass: HomeAssistant, bridge: Bridge) -> None:
        """Prepare; `load()` reads what was known, `begin()` starts."""
        self._hass = hass
        self._bridge = bridge
        self._store = outage_store(hass, bridge.id)
        self._supplies: dict[str, Supply] = {}
        self._began: dict[str, tuple[float, float]] = {}
        """Of the outage that lasts: its beginning by the bridge's clock, and by ours (the loop's)."""
        self._followed: dict[str, tuple[Callable[[], None], ...]] = {}
        self._begun = False
        self._to_save = False

    @property
    def supplies(self) -> Mapping[str, Supply]:
        """What was last known of every UPS."""
        return self._supplies

    async def load(self) -> None:
        """Read what was known when Home Assistant left off."""
        if (stored := await self._store.async_load()) is not None:
            self._supplies = {device: _supply(raw) for device, raw in stored["supplies"].items()}

    async def save(self) -> None:
        """Write now."""
        if self._begun:
            await self._store.async_save(self._data())

    @callback
    def begin(self) -> None:
        """Compare what is known with what was: automations are armed."""
        self._begun = True
        self._bridge.mirror.on_structure(self._on_structure)
        self._bridge.on_availability(self._on_availability)
        self._on_structure(self._bridge.mirror.devices.keys(), ())

    @callback
    def supply(self, device: str) -> Supply | None:
        """Return how a UPS is fed; None while that is not known."""
        if not self._begun or not self._is_known(device):
            return None
        self._stay(device)
        self._save_soon()
        return self._supplies.get(device)

    @callback
    def elapsed(self, device: str, outage: Outage) -> float:
        """Return for how many seconds an outage of this UPS has lasted."""
        since, began = self._began.get(device, (outage.since, self._hass.loop.time()))
        return self._hass.loop.time() - began + max(0.0, since - outage.since)

    @callback
    def note(self, event: Event) -> None:
        """Take from the journal how long a return of power was that nobody saw."""
        known = self._supplies.get(event.device or "")
        if known is None or event.key != ON_BATTERY or event.device is None:
            return
        outages = _retold(known.outages, event)
        if outages != known.outages:
            self._supplies[event.device] = replace(known, outages=outages)
            self._look(event.device)

    def _on_structure(self, grown: Iterable[str], removed: Iterable[str]) -> None:
        for device in removed:
            for end in self._followed.pop(device, ()):
                end()
            self._supplies.pop(device, None)
            self._began.pop(device, None)
        mirror = self._bridge.mirror
        for device in tuple(grown):
            if mirror.devices[device].kind != UPS or device in self._followed:
                continue

            def changed(ups: str = device) -> None:
                self._look(ups)

            self._followed[device] = (
                mirror.on_condition(device, ON_BATTERY, changed),
                mirror.on_point(device, RUNTIME, changed),
            )
            self._look(device)

    def _on_availability(self) -> None:
        for device in self._followed:
            self._look(device)

    def _is_known(self, device: str) -> bool:
        state = self._bridge.mirror.conditions(device).get(ON_BATTERY)
        return self._bridge.online and state is not None and state.quality is Quality.GOOD

    def _look(self, device: str) -> None:
        """Take over what the mirror says of a UPS, if it says anything for certain, and tell the triggers."""
        if not self._begun or not self._is_known(device):
            return
        state = self._bridge.mirror.conditions(device)[ON_BATTERY]
        before = self._supplies.get(device)
        outages = _continued(() if before is None else before.outages, on_battery=state.active, since=state.since)
        now = self._bridge_time(device, state.since, on_battery=state.active)
        runtime, drained = (None, None) if before is None else (before.runtime, before.drained)
        reading = self._bridge.mirror.points(device).get(RUNTIME)
        if reading is not None and reading.quality is Quality.GOOD and isinstance(reading.value, int | float):
            runtime, drained = float(reading.value), state.active
        elif not state.active:
            drained = False
        after = Supply(state.active, outages, max(now, state.since), runtime, drained)
        self._supplies[device] = after
        self._save_soon()
        async_dispatcher_send(self._hass, SIGNAL_SUPPLY, self._bridge, device, before, after)

    def _stay(self, device: str) -> None:
        """Note that an outage lasts until now, though nothing has been told: what is due has been done until then."""
        supply, began = self._supplies.get(device), self._began.get(device)
        if supply is not None and supply.on_battery and began is not None and self._is_known(device):
            now = began[0] + self._hass.loop.time() - began[1]
            self._supplies[device] = replace(supply, seen=max(supply.seen, now))

    def _bridge_time(self, device: str, since: float, *, on_battery: bool) -> float:
        """Tell the time by the bridge's clock, as far as its newest reading does; and since when an outage lasts."""
        newest = max((reading.at for reading in self._bridge.mirror.points(device).values()), default=since)
        if not on_battery:
            self._began.pop(device, None)
            return newest
        known_since, began = self._began.get(device, (None, 0.0))
        if known_since != since:
            began = self._hass.loop.time() - max(0.0, newest - since)
            self._began[device] = (since, began)
        return since + self._hass.loop.time() - began

    def _save_soon(self) -> None:
        # A delay that began anew with every change would never end during an outage.
        if not self._to_save:
            self._to_save = True
            self._store.async_delay_save(self._data, SAVE_DELAY)

    def _data(self) -> _Stored:
        self._to_save = False
        for device in tuple(self._began):
            self._stay(device)
        return {"supplies": {device: asdict(supply) for device, supply in self._supplies.items()}}


def _supply(raw: Mapping[str, Any]) -> Supply:
    outages = tuple(Outage(**outage) for outage in raw["outages"])
    return Supply(raw["on_battery"], outages, raw["seen"], raw["runtime"], raw["drained"])


def _continued(outages: tuple[Outage, ...], *, on_battery: bool, since: float) -> tuple[Outage, ...]:
    """Return the outages of a UPS that has been on battery, or on mains, since then."""
    last = outages[-1] if outages else None
    if not on_battery:
        if last is not None and last.ended is None:
            return (*outages[:-1], replace(last, ended=max(since, last.since)))
        return outages
    if last is not None and abs(since - last.since) <= TOLERANCE:
        return (*outages[:-1], replace(last, ended=None))
    if last is not None and last.ended is None:
        # Power was back meanwhile; the journal tells for how long.
        return (*outages[:-1], replace(last, ended=last.since), Outage(since))[-KEPT:]
    return (*outages, Outage(since))[-KEPT:]


def _retold(outages: tuple[Outage, ...], event: Event) -> tuple[Outage, ...]:
    """Return the outages with one that began, or ended, unseen."""
    if event.edge == Edge.RAISED:
        if any(abs(outage.since - event.at) <= TOLERANCE for outage in outages):
            return outages
        return tuple(sorted((*outages, Outage(event.at, event.at)), key=lambda outage: outage.since))[-KEPT:]
    for place in reversed(range(len(outages))):
        outage = outages[place]
        if outage.since <= event.at:
            # A return of power before the one that was seen ends it earlier.
            if outage.ended in (None, outage.since) or event.at < outage.ended:
                return (*outages[:place], replace(outage, ended=event.at), *outages[place + 1 :])
            return outages
    return outages
