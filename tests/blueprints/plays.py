"""What may happen in a house, as words that scenarios are written with; and what a scenario is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.component.bridge_peer import UPS_ID

from .house import UPS_B_ID, House

type Act = Callable[[House], Awaitable[None]]

OUTAGE, FLAP, RESTART, STALE, LIMITS = "outage", "flap", "restart", "stale", "limits"
REQUIRED = frozenset({OUTAGE, FLAP, RESTART, STALE})
"""What every blueprint must be driven through."""


@dataclass(frozen=True)
class Scenario:
    """A blueprint with its inputs, what happens, and what it must have done in the end."""

    blueprint: str
    kind: str
    name: str
    inputs: Mapping[str, Any]
    acts: tuple[Act, ...]
    done: tuple[str, ...] = ()
    """What `did` wrote down, in order."""
    shows: Mapping[str, str] = field(default_factory=dict)
    """States of entities."""
    told: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    """Commands that reached the bridge."""
    calls: int = 0
    """How often a script is run right at the beginning."""


def power_fails(device_id: str = UPS_ID) -> Act:
    """Take mains from a UPS."""
    return lambda house: house.power(False, device_id)


def power_returns(device_id: str = UPS_ID) -> Act:
    """Give mains back to a UPS."""
    return lambda house: house.power(True, device_id)


def after(seconds: float, step: float = 10) -> Act:
    """Let time pass."""
    return lambda house: house.after(seconds, step)


def begins(key: str, device_id: str = UPS_ID) -> Act:
    """Let a condition begin."""
    return lambda house: house.condition(key, True, device_id)


def ends(key: str, device_id: str = UPS_ID) -> Act:
    """Let a condition end."""
    return lambda house: house.condition(key, False, device_id)


def reads(device_id: str = UPS_ID, **values: Any) -> Act:
    """Let readings change; None is lost."""
    return lambda house: house.reads(device_id, **values)


def line_is_lost(device_id: str = UPS_ID) -> Act:
    """Lose the line to a device."""
    return lambda house: house.lose(device_id)


def line_is_back(device_id: str = UPS_ID) -> Act:
    """Have the line to a device back."""
    return lambda house: house.find(device_id)


def connection_breaks() -> Act:
    """Break the connection to the bridge; Home Assistant connects again by itself."""

    async def play(house: House) -> None:
        connections = house.entry.runtime_data.client.counters["connections"]
        await house.bridge.close(1001)
        await house.settle()
        for _ in range(20):
            await house.after(5, 5)
            if (
                house.entry.runtime_data.online
                and house.entry.runtime_data.client.counters["connections"] > connections
            ):
                return
        raise AssertionError("Home Assistant did not connect again")

    return play


def restart(away: float = 60) -> Act:
    """Restart Home Assistant."""
    return lambda house: house.restart(away)


def restart_meanwhile(*acts: Act, away: float = 60) -> Act:
    """Restart Home Assistant; meanwhile something happens."""

    async def play(house: House) -> None:
        async with house.restarted(away):
            for act in acts:
                await act(house)

    return play


def somebody_switches(entity_id: str, on: bool) -> Act:
    """Switch something as a person does."""
    return lambda house: house.switch(entity_id, on)


def machines(*names: str, on: bool = True) -> Act:
    """Have machines on, or off."""

    async def play(house: House) -> None:
        for name in names:
            await house.switch(f"input_boolean.{name}", on)

    return play


def runs(script: str) -> Act:
    """Run a script, not waiting for its end."""

    async def play(house: House) -> None:
        await house.hass.services.async_call("script", "turn_on", {"entity_id": f"script.{script}"})
        await house.settle()

    return play


def together(*acts: Act) -> Act:
    """Do several things."""

    async def play(house: House) -> None:
        for act in acts:
            await act(house)

    return play


def flaps(times: int, out: float, back: float) -> Act:
    """Let power fail and return several times."""
    return together(*[power_fails(), after(out), power_returns(), after(back)] * times)


BOTH_FAIL = together(power_fails(), power_fails(UPS_B_ID))
