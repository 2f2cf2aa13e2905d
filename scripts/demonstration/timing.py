"""How long a change takes from the last byte on the line to Home Assistant."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import math
import random

from .homeassistant import HomeAssistant, HomeAssistantError, Seen
from .simulator import Simulator

BUDGET = 0.100
"""p99 from the last byte on the line to the state, seconds (DESIGN §9)."""
UTILITY_FAIL = 0
"""Place of the utility-fail bit among the eight status bits of an answer to Q1, b7 first."""


@dataclass(frozen=True, slots=True)
class Times:
    """Sorted durations in seconds."""

    sorted: tuple[float, ...]

    @classmethod
    def of(cls, durations: list[float]) -> Times:
        """Sort them."""
        return cls(tuple(sorted(durations)))

    def quantile(self, share: float) -> float:
        """Return the smallest duration that at least this share does not exceed."""
        return self.sorted[max(0, math.ceil(share * len(self.sorted)) - 1)]

    def __str__(self) -> str:
        """For people, in milliseconds."""
        p50, p99, most = (1000 * value for value in (self.quantile(0.5), self.quantile(0.99), self.sorted[-1]))
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {most:.1f} ms of {len(self.sorted)} changes"


@dataclass(frozen=True, slots=True)
class Measured:
    """Both ends of the way: when Home Assistant had the state, and when its client (a browser) had it."""

    state: Times
    client: Times


async def wire_to_state(
    simulator: Simulator, home_assistant: HomeAssistant, entity: str, changes: int, seed: int = 1
) -> Measured:
    """Take the mains away and give it back `changes` times, and time each from the wire.

    Raises HomeAssistantError when a change does not arrive at all.
    """
    pause = random.Random(seed)
    state: list[float] = []
    client: list[float] = []
    on_battery = home_assistant.states[entity].state == "on"
    number = max((exchange.number for exchange in await simulator.exchanges()), default=0)

    for _ in range(changes):
        # Not in step with the polls, so that each moment between two polls gets its turn.
        await asyncio.sleep(pause.uniform(0.0, 0.4))
        on_battery = not on_battery
        await simulator.set(mains=not on_battery)
        seen = await home_assistant.wait_for(entity, _is("on" if on_battery else "off"), 10)
        bit = "1" if on_battery else "0"
        exchanges = await simulator.exchanges(after=number)
        told = (e for e in exchanges if e.status_bits is not None and e.status_bits[UTILITY_FAIL] == bit)
        first = next(told, None)
        if first is None:
            raise HomeAssistantError(f"{entity} changed, but no answer on the line has said so")
        number = exchanges[-1].number
        state.append(seen.changed - first.last_byte)
        client.append(seen.arrived - first.last_byte)
    return Measured(Times.of(state), Times.of(client))


def _is(state: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.state == state
