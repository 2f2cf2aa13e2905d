"""Automations in a real engine, and what they have done."""

from typing import Any, cast

from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import parse_yaml
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import DOMAIN

type Done = list[dict[str, Any]]


def registry_id(hass: HomeAssistant, entry: MockConfigEntry, device_id: str) -> str:
    """Return what Home Assistant calls a device of the bridge."""
    registry = dr.async_get(hass)
    child = registry.async_get_child_device_by_identifier((DOMAIN, device_id), entry.entry_id)
    found = child or registry.async_get_device_by_identifier((DOMAIN, device_id), entry.entry_id)
    assert found is not None
    return found.id


def notes(hass: HomeAssistant) -> Done:
    """Offer the action `test.note`; returns what it has been called with."""
    done: Done = []

    @callback
    def note(call: ServiceCall) -> None:
        done.append(dict(call.data))

    hass.services.async_register("test", "note", note)
    return done


async def automate(
    hass: HomeAssistant, trigger: str, target: dict[str, Any], options: str = "{}", conditions: str = "[]"
) -> Done:
    """Set an automation up as somebody would write it; returns what it does."""
    done = notes(hass)
    text = f"""
    automation:
      - id: one
        alias: one
        mode: queued
        max: 100
        triggers:
          - trigger: {trigger}
            target: {target}
            options: {options}
        conditions: {conditions}
        actions:
          - action: test.note
            data:
              trigger: "{{{{ trigger }}}}"
    """
    assert await async_setup_component(hass, "automation", cast("dict[str, Any]", parse_yaml(text)))
    await hass.async_block_till_done()
    found = hass.states.get("automation.one")
    assert found is not None
    assert found.state == "on"
    return done
