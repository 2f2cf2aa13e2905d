"""Triggers for automations: what the bridge's journal tells, and what follows from it as time passes.

An event of the journal comes once and in order, also when it happened while Home Assistant was away. So no trigger is
worked out from an entity that becomes unavailable and comes back.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.trigger import Trigger, TriggerActionRunner, TriggerConfig, TriggerNotTriggeredReporter
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util
import probatio

from .bridge import SIGNAL_EVENT, Bridge
from .const import DOMAIN
from .outages import ON_BATTERY, TOLERANCE, UPS
from .selection import Fields, Selection, with_target
from .supply_trigger import OnBatteryForTrigger, RuntimeBelowTrigger
from .wire import Device, Edge, Event, EventKind, Quality, Severity

ANY: Final = "any"

INCLUDE_PAST: Final = "include_past"
EDGES: Final = (Edge.RAISED, Edge.CLEARED)
STAGE_STATES: Final = ("waiting", "announced", "running", "done", "failed", "skipped", "starting", "started")
ORDERS: Final[Mapping[str, str | None]] = {"shutdown": "plan_running", "start": "plan_restarting", "withdraw": None}
"""What a plan may ask of a script, and the condition of the plan without which it does not mean it any more."""

EDGE_FIELD: Final[Fields] = {
    probatio.Optional("edge", default=str(Edge.RAISED)): probatio.In([str(edge) for edge in EDGES])
}
SEVERITY_FIELD: Final[Fields] = {
    probatio.Optional("severity", default=ANY): probatio.In([ANY, str(Severity.WARNING), str(Severity.ALARM)])
}


def _texts(value: Any) -> list[str]:
    return [cv.string(text) for text in (value if isinstance(value, list) else [value])]


def _some_of(choices: tuple[str, ...]) -> probatio.All[Any]:
    return probatio.All(_texts, [probatio.In(choices)])


class JournalTrigger(Trigger):
    """Fires for events of the journal."""

    fields: ClassVar[Fields] = {}
    """What is asked besides the target and `include_past`."""
    kinds: ClassVar[frozenset[str] | None] = None
    """Kinds of device; None for all. Where a part repeats what the whole says, only one of them is heard."""

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Check the target and the fields."""
        return with_target({**cls.fields, probatio.Optional(INCLUDE_PAST, default=False): cv.boolean})(config)

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Take what was chosen."""
        super().__init__(hass, config)
        self.options: Mapping[str, Any] = config.options or {}
        self._selection = Selection(hass, config.target or {})

    @abstractmethod
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Return what the automation is told besides what it is of every event; None to let the event pass."""

    def holds(self, bridge: Bridge, event: Event) -> bool:
        """Whether what happened while we were away is still so, as far as that is known."""
        return _holds(bridge, event)

    def meant(self, bridge: Bridge, device: Device) -> bool:
        """Whether the target means this device."""
        return (bridge.id, device.id) in self._selection

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        """Begin to listen."""

        @callback
        def happened(bridge: Bridge, event: Event, past: bool) -> None:
            device = bridge.mirror.devices.get(event.device or bridge.id)
            if device is None or (self.kinds is not None and device.kind not in self.kinds):
                return
            more = self.told(bridge, device, event)
            if more is None or not self.meant(bridge, device):
                return
            if past and not self.options[INCLUDE_PAST] and not self.holds(bridge, event):
                return
            told = {**_payload(self._hass, bridge, device, event, past), **more}
            run_action(told, f"{device.name}: {event.key} {event.edge}")

        ends: tuple[Callable[[], None], ...] = (
            self._selection.start(),
            async_dispatcher_connect(self._hass, SIGNAL_EVENT, happened),
        )

        @callback
        def detach() -> None:
            for end in ends:
                end()

        return detach


class ConditionTrigger(JournalTrigger):
    """Fires for an edge of one condition."""

    condition: ClassVar[str]
    edge: ClassVar[Edge] = Edge.RAISED

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let that edge of that condition through."""
        wanted = self.options.get("edge", self.edge)
        return {} if _is_edge(event) and event.key == self.condition and event.edge == wanted else None


class PowerLostTrigger(ConditionTrigger):
    """A UPS goes on battery."""

    kinds = frozenset({UPS})
    condition = ON_BATTERY


class PowerRestoredTrigger(ConditionTrigger):
    """A UPS has mains power again."""

    kinds = frozenset({UPS})
    condition = ON_BATTERY
    edge = Edge.CLEARED


class BatteryLowTrigger(ConditionTrigger):
    """The battery of a UPS is low."""

    kinds = frozenset({UPS})
    condition = "battery_low"


class AgentLostTrigger(ConditionTrigger):
    """A shutdown agent is lost, or back."""

    fields = EDGE_FIELD
    kinds = frozenset({"agent"})
    condition = "agent_lost"


class ThresholdTrigger(JournalTrigger):
    """A threshold is crossed. `threshold.ups.load.warning` is that of severity `warning` with the name `ups.load`."""

    fields: ClassVar[Fields] = {**EDGE_FIELD, **SEVERITY_FIELD, probatio.Optional("name"): cv.string}

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let the thresholds through that are meant."""
        prefix, _, rest = event.key.partition(".")
        name, _, severity = rest.rpartition(".")
        if not _is_edge(event) or prefix != "threshold" or event.edge != self.options["edge"]:
            return None
        if self.options["severity"] not in (ANY, severity) or self.options.get("name", name) not in (name, ""):
            return None
        return {"name": name, "severity": severity}


class ModuleAlarmTrigger(JournalTrigger):
    """A battery module has a warning or an alarm. Its string and its system say the same of all modules together."""

    fields: ClassVar[Fields] = {**EDGE_FIELD, **SEVERITY_FIELD}
    kinds = frozenset({"battery_module"})

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let through what is no mere information."""
        severity = _severity(bridge, device, event)
        if not _is_edge(event) or not event.key.startswith("module.") or event.edge != self.options["edge"]:
            return None
        wanted = self.options["severity"]
        return {} if severity == wanted or (wanted == ANY and severity != Severity.INFO) else None


class EventTrigger(JournalTrigger):
    """Any edge of any condition."""

    fields: ClassVar[Fields] = {
        probatio.Optional("condition", default=list): _texts,
        probatio.Optional("edge", default=ANY): probatio.In([ANY, *(str(edge) for edge in EDGES)]),
        probatio.Optional("severity", default=ANY): probatio.In([ANY, *(str(severity) for severity in Severity)]),
    }

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let through what is meant."""
        keys = self.options["condition"]
        if not _is_edge(event) or (keys and event.key not in keys):
            return None
        if self.options["edge"] not in (ANY, event.edge):
            return None
        return {} if self.options["severity"] in (ANY, _severity(bridge, device, event)) else None


class PlanStageTrigger(JournalTrigger):
    """A stage of a plan is in another state."""

    fields: ClassVar[Fields] = {
        probatio.Optional("stage"): cv.string,
        probatio.Optional("state", default=list): _some_of(STAGE_STATES),
    }
    kinds = frozenset({"plan"})

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let through the stages and states that are meant."""
        stage, state = event.details.get("stage"), event.details.get("state")
        if event.kind != EventKind.SYSTEM or event.key != "plan_stage":
            return None
        if self.options.get("stage", stage) not in (stage, ""):
            return None
        states = self.options["state"]
        return {"stage": stage, "state": state} if not states or state in states else None

    @override
    def holds(self, bridge: Bridge, event: Event) -> bool:
        """Whether the stage is in that state now; where that is not known, it may be."""
        stage = _stage(bridge, event)
        reading = None if stage is None else bridge.mirror.points(stage.id).get("stage.state")
        known = reading is not None and reading.quality is Quality.GOOD
        return not known or reading is None or reading.value == event.details.get("state")


class PlanScriptTrigger(JournalTrigger):
    """A plan asks a script in Home Assistant to act."""

    fields: ClassVar[Fields] = {
        probatio.Optional("script"): cv.string,
        probatio.Optional("order", default=list): _some_of(tuple(ORDERS)),
    }
    kinds = frozenset({"plan"})

    @override
    def told(self, bridge: Bridge, device: Device, event: Event) -> Mapping[str, Any] | None:
        """Let through the scripts and orders that are meant."""
        script, order = event.details.get("script"), event.details.get("order")
        if event.kind != EventKind.SYSTEM or event.key != "plan_script":
            return None
        if self.options.get("script", script) not in (script, ""):
            return None
        if self.options["order"] and order not in self.options["order"]:
            return None
        return {"script": script, "order": order, "stage": event.details.get("stage")}

    @override
    def holds(self, bridge: Bridge, event: Event) -> bool:
        """Whether the plan is still at what it asked for; where that is not known, it may be."""
        needed = ORDERS.get(str(event.details.get("order")))
        state = bridge.mirror.conditions(event.device or "").get(needed or "")
        return state is None or state.quality is not Quality.GOOD or state.active


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "power_lost": PowerLostTrigger,
    "power_restored": PowerRestoredTrigger,
    "battery_low": BatteryLowTrigger,
    "runtime_below": RuntimeBelowTrigger,
    "on_battery_for": OnBatteryForTrigger,
    "threshold": ThresholdTrigger,
    "module_alarm": ModuleAlarmTrigger,
    "agent_lost": AgentLostTrigger,
    "plan_stage": PlanStageTrigger,
    "plan_script": PlanScriptTrigger,
    "event": EventTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers of this integration."""
    return TRIGGERS


def _is_edge(event: Event) -> bool:
    return event.kind == EventKind.CONDITION and event.edge in EDGES


def _severity(bridge: Bridge, device: Device, event: Event) -> str:
    found = bridge.catalogue.condition(device.kind, event.key)
    return event.severity if found is None else found[0].severity


def _holds(bridge: Bridge, event: Event) -> bool:
    state = bridge.mirror.conditions(event.device or bridge.id).get(event.key)
    if state is None or state.quality is not Quality.GOOD:
        return True
    # One of an earlier time has been over since.
    return state.active == (event.edge == Edge.RAISED) and event.at >= state.since - TOLERANCE


def _stage(bridge: Bridge, event: Event) -> Device | None:
    """Find the stage of a plan that an event is about; its key ends with what the configuration calls it."""
    key = str(event.details.get("stage"))
    for device in bridge.mirror.devices.values():
        if device.parent == event.device and device.key.rpartition("/")[2] == key:
            return device
    return None


def _payload(hass: HomeAssistant, bridge: Bridge, device: Device, event: Event, past: bool) -> dict[str, Any]:
    entity_id = er.async_get(hass).async_get_entity_id("binary_sensor", DOMAIN, f"{device.id}-{event.key}")
    return {
        "device_id": bridge.tree.registry_id(device.id),
        "device_name": device.name,
        "entity_id": entity_id,
        "key": event.key,
        "edge": event.edge,
        "severity": _severity(bridge, device, event),
        "seq": event.seq,
        "happened_at": dt_util.utc_from_timestamp(event.at).isoformat(timespec="milliseconds"),
        "past": past,
        "details": dict(event.details),
    }
