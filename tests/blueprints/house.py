"""A house with a UPS: a real Home Assistant that runs blueprints, a scripted bridge, and time moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory, real_monotonic
from homeassistant import loader
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import MATCH_ALL
from homeassistant.core import CoreState, Event, HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import frame, restore_state, translation
from homeassistant.helpers.json import json_bytes
from homeassistant.setup import async_setup_component
from homeassistant.util.async_ import get_scheduled_timer_handles
from pytest_homeassistant_custom_component.common import async_fire_time_changed, async_test_home_assistant

from tests.component.bridge_peer import BRIDGE_ID, OUTLET_ID, UPS_ID, BridgePeer, device, reading, state
from tests.component.conftest import entry_for
from tests.heartbeats import cancel_heartbeats

ROOT = Path(__file__).parents[2]
BLUEPRINTS = ROOT / "blueprints"

UPS_B_ID = "0b1d6e0e-0000-4000-8000-000000000012"
OUTLET_2_ID = "0b1d6e0e-0000-4000-8000-000000000013"
BATTERY_ID = "0b1d6e0e-0000-4000-8000-000000000014"
PLAN_ID = "0b1d6e0e-0000-4000-8000-000000000015"

BEGIN = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
"""A Tuesday."""
DEADLINE = 20.0
"""Seconds of real time that anything may take."""

HELPERS: Mapping[str, Mapping[str, Any]] = {
    "input_boolean": {
        name: {"name": name}
        for name in ("memory", "warning", "alarm", "acknowledged", "desk", "lab", "storage", "core", "fan", "siren")
    },
    "input_text": {"outage": {"name": "outage"}},
}
"""Home Assistant's own things that automations switch; like real ones they are what they were after a restart."""

DONE = "test.done"
"""An action that writes down what was done: `what`, any text."""


def did(what: str) -> list[dict[str, Any]]:
    """Write an action that writes down `what` when it is done."""
    return [{"action": DONE, "data": {"what": what}}]


@dataclass(eq=False)
class House:
    """What the tests play with."""

    bridge: BridgePeer
    freezer: FrozenDateTimeFactory
    folder: Path
    hass: HomeAssistant = field(init=False)
    done: list[str] = field(default_factory=list)
    """What `test.done` was called with, over all restarts."""
    told: list[str] = field(default_factory=list)
    """Titles and messages of all notifications."""
    ordered: list[str] = field(default_factory=list)
    """Commands that reached the bridge."""
    fails: set[str] = field(default_factory=set)
    """What `test.done` cannot do."""
    tried: list[str] = field(default_factory=list)
    """What it could not do, when it was asked."""
    automations: list[dict[str, Any]] = field(default_factory=list)
    scripts: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_battery_since: dict[str, float] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _remembered: bytes | None = None
    _happened: int = 0
    """Counts what happens in Home Assistant."""

    # Home Assistant

    async def open(self, *, integration: bool = True) -> None:
        """Start Home Assistant with the automations and scripts, what it remembers, and the integration."""
        self.hass = await self._stack.enter_async_context(
            async_test_home_assistant(config_dir=str(self.folder), initial_state=CoreState.not_running)
        )
        self.hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        frame.async_setup(self.hass)
        await translation.async_load_integrations(self.hass, {"homeassistant"})
        if self._remembered is not None:
            states = [restore_state.StoredState.from_dict(each) for each in json.loads(self._remembered)]
            restore_state.async_get(self.hass).last_states = {each.state.entity_id: each for each in states}
        self.hass.bus.async_listen(MATCH_ALL, self._note)
        self.hass.services.async_register("test", "done", self._do)
        self.hass.services.async_register("notify", "send_message", self._tell)
        self._write_configuration()
        for domain, config in HELPERS.items():
            assert await async_setup_component(self.hass, domain, {domain: config})
        assert await async_setup_component(self.hass, "homeassistant", {})
        assert await async_setup_component(self.hass, "script", {"script": self.scripts})
        assert await async_setup_component(self.hass, "automation", {"automation": self.automations})
        self.entry = entry_for(self.bridge)
        self.entry.add_to_hass(self.hass)
        if integration:
            assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self._turns()
        await self.hass.async_start()
        await self.settle()

    async def close(self) -> None:
        """Stop Home Assistant, which writes down what it remembers."""
        stored = restore_state.async_get(self.hass).async_get_stored_states()
        self._remembered = json_bytes([each.as_dict() for each in stored])
        if self.entry.state is ConfigEntryState.LOADED:
            await self.hass.config_entries.async_unload(self.entry.entry_id)
        await self.hass.async_stop(force=True)
        await self._stack.aclose()
        # Its process would be gone, and what it had still planned with it.
        for handle in get_scheduled_timer_handles(asyncio.get_running_loop()):
            if type(getattr(handle, "_callback", None)).__module__.startswith("homeassistant."):
                handle.cancel()
        cancel_heartbeats()
        await self._turns()

    @asynccontextmanager
    async def restarted(self, away: float = 60) -> AsyncIterator[None]:
        """Restart Home Assistant; what is done inside happens while it is away, for `away` seconds in all."""
        await self.close()
        yield
        self.freezer.tick(away)
        await self._grow_older()
        await self.open()

    async def restart(self, away: float = 60) -> None:
        """Restart Home Assistant."""
        async with self.restarted(away):
            pass

    async def reload(self) -> None:
        """Have the automations read anew, as after a change of any of them."""
        self._write_configuration()
        await self.hass.services.async_call("automation", "reload", blocking=True)
        await self.settle()

    def _write_configuration(self) -> None:
        # What is JSON is YAML too.
        configuration = json.dumps({"automation": self.automations, "script": self.scripts})
        (self.folder / "configuration.yaml").write_text(configuration, encoding="utf-8")

    # Time

    async def after(self, seconds: float, step: float = 10) -> None:
        """Let time pass, at most `step` seconds at once."""
        while seconds > 0:
            cancel_heartbeats()
            self.freezer.tick(timedelta(seconds=min(step, seconds)))
            seconds -= step
            await self._grow_older()
            async_fire_time_changed(self.hass)
            await self.settle()

    async def settle(self) -> None:
        """Wait until Home Assistant knows what the bridge knows, and has done what follows."""
        deadline = real_monotonic() + DEADLINE
        while not self._in_step():
            assert real_monotonic() < deadline, "Home Assistant did not hear of it"
            await asyncio.sleep(0)
        await self._turns()

    async def _turns(self, count: int = 40) -> None:
        # A run that waits must not be waited for: only as long as something new happens.
        quiet = 0
        while quiet < count:
            before = self._happened
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._happened == before else 0

    @callback
    def _note(self, _: Event) -> None:
        self._happened += 1

    def _in_step(self) -> bool:
        if self.entry.state is not ConfigEntryState.LOADED or not self.entry.runtime_data.online:
            return not self.bridge.connections
        journal = self.entry.runtime_data.journal
        return bool(
            self.entry.runtime_data.mirror.revision == self.bridge.revision
            and (journal.delivered or 0) == len(self.bridge.journal)
        )

    async def _grow_older(self) -> None:
        """Have the bridge count the time on battery, as it does each second."""
        now = self.now
        counted = {
            ups: {"battery.runtime.elapsed": reading(int(now - since), at=now)}
            for ups, since in self.on_battery_since.items()
            if self.bridge.points[ups]["battery.runtime.elapsed"]["quality"] == "good"
        }
        if counted:
            await self.bridge.change(points=counted)

    @property
    def now(self) -> float:
        """The time, seconds since the epoch."""
        return datetime.now(UTC).timestamp()

    # What happens

    async def condition(self, key: str, active: bool, device_id: str = UPS_ID, *, settle: bool = True) -> None:
        """Let a condition begin or end at the bridge, with its event."""
        await self.bridge.change(conditions={device_id: {key: state(active, since=self.now)}})
        await self.bridge.happen(key, "raised" if active else "cleared", device_id, at=self.now)
        if settle and self.hass.is_running:
            await self.settle()

    async def power(self, on: bool, device_id: str = UPS_ID) -> None:
        """Take mains away or give it back."""
        elapsed = {"battery.runtime.elapsed": reading(0, at=self.now)}
        if on:
            self.on_battery_since.pop(device_id, None)
        else:
            self.on_battery_since[device_id] = self.now
        await self.bridge.change(points={device_id: elapsed | {"ups.mode": reading("line" if on else "battery")}})
        await self.condition("on_battery", not on, device_id)

    async def reads(self, device_id: str = UPS_ID, **values: Any) -> None:
        """Let readings change; `__` stands for the dot in a key, None is lost."""
        points = {
            key.replace("__", "."): reading(0, "lost") if value is None else reading(value, at=self.now)
            for key, value in values.items()
        }
        await self.bridge.change(points={device_id: points})
        if self.hass.is_running:
            await self.settle()

    async def lose(self, device_id: str = UPS_ID) -> None:
        """Lose the line to a device: everything about it is what was last known, and no more."""
        await self._retell(device_id, "lost")

    async def find(self, device_id: str = UPS_ID) -> None:
        """Have the line back."""
        await self._retell(device_id, "good")

    async def _retell(self, device_id: str, quality: str) -> None:
        points = {key: value | {"quality": quality} for key, value in self.bridge.points.get(device_id, {}).items()}
        conditions = {key: value | {"quality": quality} for key, value in self.bridge.conditions[device_id].items()}
        await self.bridge.change(points={device_id: points}, conditions={device_id: conditions})
        await self.settle()

    # What one sees

    def shows(self, entity_id: str) -> str:
        """Return the state of an entity."""
        found = self.hass.states.get(entity_id)
        assert found is not None, f"no {entity_id} in {sorted(self.hass.states.async_entity_ids())}"
        return found.state

    async def switch(self, entity_id: str, on: bool) -> None:
        """Switch something as a person does."""
        await self.hass.services.async_call(
            "homeassistant", "turn_on" if on else "turn_off", {"entity_id": entity_id}, blocking=True
        )
        await self.settle()

    @callback
    def _do(self, call: ServiceCall) -> None:
        what = str(call.data["what"])
        if what in self.fails:
            self.tried.append(what)
            raise HomeAssistantError(f"{what} cannot be done")
        self.done.append(what)

    @callback
    def _tell(self, call: ServiceCall) -> None:
        self.told.append(f"{call.data.get('title', '')}: {call.data['message']}")

    # What is in it

    def use(self, path: str, **inputs: Any) -> House:
        """Make an automation or a script of a blueprint."""
        domain, name = path.split("/")
        made = {"use_blueprint": {"path": f"ridethrough/{name}.yaml", "input": inputs}}
        if domain == "script":
            self.scripts[name] = made
        else:
            number = len(self.automations) + 1
            self.automations.append({"id": str(number), "alias": name, **made})
        return self


def furnish(bridge: BridgePeer, freezer: FrozenDateTimeFactory, folder: Path) -> House:
    """Put a house in order: two UPSes, two outlets, a battery and a plan."""
    shutil.copytree(BLUEPRINTS, folder / "blueprints")
    house = House(bridge, freezer, folder)
    now = house.now
    bridge.devices[UPS_B_ID] = device(UPS_B_ID, "ups", "Second UPS", BRIDGE_ID)
    bridge.devices[OUTLET_2_ID] = device(
        OUTLET_2_ID, "outlet", "Outlet 2", UPS_ID, commands=["outlet.on", "outlet.off"]
    )
    bridge.devices[BATTERY_ID] = device(BATTERY_ID, "battery_system", "Battery room", BRIDGE_ID)
    bridge.devices[PLAN_ID] = device(
        PLAN_ID, "plan", "Night plan", BRIDGE_ID, commands=["plan.arm", "plan.disarm", "plan.drill", "plan.abort"]
    )
    bridge.points = {
        ups: {
            "battery.charge": reading(100, at=now),
            "battery.runtime": reading(1800, at=now),
            "battery.runtime.elapsed": reading(0, at=now),
            "ups.load": reading(40, at=now),
            "ups.temperature": reading(25, at=now),
            "ups.mode": reading("line", at=now),
            "ups.test.state": reading("none", at=now),
        }
        for ups in (UPS_ID, UPS_B_ID)
    }
    bridge.points[PLAN_ID] = {"plan.state": reading("idle", at=now), "plan.drill.result": reading("passed", at=now)}
    bridge.conditions = {
        ups: {
            key: state(False, since=now)
            for key in ("on_battery", "battery_low", "overload", "test_in_progress", "test_failed", "general_fault")
        }
        for ups in (UPS_ID, UPS_B_ID)
    }
    bridge.conditions |= {
        OUTLET_ID: {"outlet_on": state(True, since=now)},
        OUTLET_2_ID: {"outlet_on": state(True, since=now)},
        BATTERY_ID: {"thermal_runaway": state(False, since=now), "general_alarm": state(False, since=now)},
        PLAN_ID: {
            "plan_armed": state(True, since=now), "plan_drilling": state(False, since=now),
            "plan_running": state(False, since=now), "plan_failed": state(False, since=now),
        },
    }  # fmt: skip

    def answer(message: Mapping[str, Any]) -> dict[str, Any]:
        house.ordered.append(f"{bridge.devices[message['device']]['name']}: {message['command']}")
        return {"ok": True, "message": "Done.", "confirmed": True}

    bridge.answer = answer
    return house


type Play = Callable[[House], Any]
