"""Triggers that follow from how UPSes are fed: a time on battery, a runtime that is reached."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.trigger import Trigger, TriggerActionRunner, TriggerConfig, TriggerNotTriggeredReporter
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util
import probatio

from .bridge import Bridge
from .outages import SIGNAL_SUPPLY, TOLERANCE, Outage, Supply
from .selection import Fields, Selection, selected, with_target

CONF_FOR: Final = "for"
IGNORE_RETURNS: Final = "ignore_returns"
SECONDS: Final = "seconds"


class SupplyTrigger(Trigger):
    """Fires because of how a UPS is fed."""

    fields: ClassVar[Fields] = {}

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Check the target and the fields."""
        return with_target(cls.fields)(config)

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Take what was chosen."""
        super().__init__(hass, config)
        assert config.options is not None  # the schema demands them
        self.options: Mapping[str, Any] = config.options
        self._target = config.target or {}
        self._selection = Selection(hass, self._target)
        self._run: TriggerActionRunner | None = None

    @abstractmethod
    def look(self, bridge: Bridge, device: str, before: Supply | None, after: Supply) -> None:
        """Decide whether to fire for what is known of a UPS now, and was before (None: nothing)."""

    def attached(self) -> None:
        """Take note of how things are at the beginning."""

    def detached(self) -> None:
        """Let go of what was begun."""

    def fire(self, bridge: Bridge, device: str, description: str, **told: Any) -> None:
        """Run the actions."""
        assert self._run is not None  # nothing is looked at before
        name = bridge.mirror.devices[device].name
        payload = {"device_id": bridge.tree.registry_id(device), "device_name": name, **told}
        self._run(payload, f"{name} {description}")

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        """Begin to listen."""
        self._run = run_action

        @callback
        def changed(bridge: Bridge, device: str, before: Supply | None, after: Supply) -> None:
            if (bridge.id, device) in self._selection:
                self.look(bridge, device, before, after)

        ends: tuple[Callable[[], None], ...] = (
            self._selection.start(),
            async_dispatcher_connect(self._hass, SIGNAL_SUPPLY, changed),
        )
        self.attached()

        @callback
        def detach() -> None:
            for end in ends:
                end()
            self.detached()

        return detach


class RuntimeBelowTrigger(SupplyTrigger):
    """A UPS on battery has reached a runtime, or is below it when its outage begins."""

    fields: ClassVar[Fields] = {probatio.Required(SECONDS): probatio.All(probatio.Coerce(float), probatio.Range(min=0))}

    @override
    def look(self, bridge: Bridge, device: str, before: Supply | None, after: Supply) -> None:
        """Fire when it was not so when it was last known, and is so."""
        if before is None or before.drained is None or self._reached(before) or not self._reached(after):
            return
        limit = self.options[SECONDS]
        self.fire(bridge, device, f"has {after.runtime:.0f} s of runtime left", runtime=after.runtime, seconds=limit)

    def _reached(self, supply: Supply) -> bool:
        return bool(supply.drained) and supply.runtime is not None and supply.runtime <= self.options[SECONDS]


class OnBatteryForTrigger(SupplyTrigger):
    """A UPS has been on battery for a time; returns of power that are short enough do not begin it anew."""

    fields: ClassVar[Fields] = {
        probatio.Required(CONF_FOR): cv.positive_time_period,
        probatio.Optional(IGNORE_RETURNS, default=timedelta(0)): cv.positive_time_period,
    }

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Take what was chosen."""
        super().__init__(hass, config)
        self._length: float = self.options[CONF_FOR].total_seconds()
        self._ignored: float = self.options[IGNORE_RETURNS].total_seconds()
        self._timers: dict[str, CALLBACK_TYPE] = {}
        self._done: dict[str, float] = {}
        """Of each UPS, when the outage began for which it has fired."""
        self._left: dict[str, float] = {}
        """Of each UPS, until when its outages were for others: for this trigger before a restart, or for nobody."""

    @override
    def attached(self) -> None:
        """Leave alone what should have fired before; for what is still to come, the time runs."""
        for bridge, device in selected(self._hass, self._target):
            supply = bridge.outages.supply(device)
            if supply is None:
                continue
            outage = supply.outage(self._ignored)
            now = supply.seen if outage is None else outage.since + bridge.outages.elapsed(device, outage)
            self._left[device] = now
            self.look(bridge, device, supply, supply)

    @override
    def detached(self) -> None:
        """Stop the time."""
        for device in tuple(self._timers):
            self._stop(device)

    @override
    def look(self, bridge: Bridge, device: str, before: Supply | None, after: Supply) -> None:
        """Fire, or let the time run."""
        self._stop(device)
        known = before or after
        # What had not come to its end then, because power was back for a moment, is still to come.
        left = self._left.setdefault(device, known.seen if known.on_battery else 0.0)
        outage = after.outage(self._ignored)
        if outage is None:
            return
        last = after.outages[-1].since
        rest = self._length - bridge.outages.elapsed(device, outage)
        if self._done.get(device, 0.0) >= outage.since - TOLERANCE:
            self._done[device] = last
        elif rest > 0:
            self._run_time(bridge, device, outage, rest)
        elif outage.since + self._length > left:
            self._fire(bridge, device, outage, last)

    def _run_time(self, bridge: Bridge, device: str, outage: Outage, rest: float) -> None:
        @callback
        def over(_now: datetime) -> None:
            self._timers.pop(device, None)
            # While it is not known how the UPS is fed, what was known is no ground to act: it is looked at again then.
            if (supply := bridge.outages.supply(device)) is not None:
                self._fire(bridge, device, outage, supply.outages[-1].since)

        self._timers[device] = async_call_later(self._hass, rest, over)

    def _fire(self, bridge: Bridge, device: str, outage: Outage, last: float) -> None:
        self._done[device] = last
        since = dt_util.utc_from_timestamp(outage.since).isoformat(timespec="milliseconds")
        told = {CONF_FOR: self._length, "since": since}
        self.fire(bridge, device, f"has been on battery for {self._length:.0f} s", **told)

    def _stop(self, device: str) -> None:
        if (timer := self._timers.pop(device, None)) is not None:
            timer()
