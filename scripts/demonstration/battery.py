"""The demonstration's battery room: its simulator, its part of the configuration, and what is done to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
import sys
from typing import Final

import aiohttp

from .homeassistant import HomeAssistant, Seen
from .process import Process
from .simulator import Simulator

KEY: Final = "room"
NAME: Final = "Battery room"
_STRINGS: Final = ((1, 1), (64, 2), (128, 4), (512, 16))
"""Up to so many blocks, so many strings."""
LEAST: Final = 8
MOST: Final = 512
BOX_OUTPUTS: Final = 4
AGED, LOST, HOT = 3, 5, 2
"""Blocks to which something happens; of the first string and there even in the smallest room."""
CHANGES: Final[Mapping[str, Mapping[str, float]]] = {
    "age": {"block": AGED, "factor": 2.5},
    "lose": {"block": LOST},
    "runaway": {"block": HOT, "current": 1000.0},
}
"""What the simulator is told for that."""
_SLUG: Final = "battery_room"
RUNAWAY: Final = f"binary_sensor.{_SLUG}_thermal_runaway"
GENERAL: Final = f"binary_sensor.{_SLUG}_general_alarm"
TRIPPED: Final = f"binary_sensor.{_SLUG}_battery_breaker_tripped_by_the_bridge"
MODULE_LOST: Final = f"binary_sensor.{_SLUG}_module_lost"
IMPEDANCE_HIGH: Final = f"binary_sensor.{_SLUG}_block_impedance_too_high"

_SETTINGS: Final = """\
# Every block watched, balanced and protected.
batteries:
  - id: {key}
    name: {name}
    link: module_bus:{line}
    block: {{voltage: 12 V, capacity: 100 Ah, manufacturer: Ridethrough, type: SIM-100}}
    strings: {strings}
    modules: {blocks}
    numbering: system
    sensors: each
    boxes: {boxes}
    equalising: {{enabled: yes}}
    runaway: {{temperature_difference: 15 K, hold: 5 s, breakers: each}}
    allow: [battery, beeper, breaker, equalizing, programmer]
"""


@dataclass(frozen=True, slots=True)
class Room:
    """So many blocks on one module bus."""

    blocks: int
    folder: Path
    control_port: int

    @property
    def strings(self) -> int:
        """How many strings they make."""
        return next(strings for blocks, strings in _STRINGS if self.blocks <= blocks)

    @property
    def boxes(self) -> int:
        """How many boxes the breakers take."""
        return -(-self.strings // BOX_OUTPUTS)

    @property
    def line(self) -> Path:
        """The simulated bus."""
        return self.folder / "ttyModules"

    @property
    def control_url(self) -> str:
        """Where the room is controlled."""
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def settings(self) -> str:
        """Return its part of the bridge's configuration."""
        return _SETTINGS.format(
            key=KEY, name=NAME, line=self.line, strings=self.strings, blocks=self.blocks, boxes=self.boxes
        )

    def example(self, change: str) -> dict[str, object]:
        """Return what makes a block fail in one of three ways."""
        return {change: CHANGES[change]}

    def simulator(self) -> Process:
        """Return the process that plays it."""
        return Process(
            "The simulator of the battery room",
            [
                *(sys.executable, "-m", "ridethrough.sim", "--device", "module-bus"),
                *("--battery", str(self.blocks), "--strings", str(self.strings), "--boxes", str(self.boxes)),
                *("--breakers", "each", "--port", str(self.line), "--control", f"127.0.0.1:{self.control_port}"),
            ],
            self.folder / "battery.log",
        )


async def tell(
    room: Room,
    home_assistant: HomeAssistant,
    say: Callable[[str], None] = print,
    look: Callable[[], object] | None = None,
) -> int:
    """Have a block age, a module fall silent and a block run away; return how many steps were seen.

    `look` is awaited when all of that shows. Raises HomeAssistantError, naming what is missing.
    """
    steps = 0

    async def step(title: str, entity: str, wanted: Callable[[Seen], bool], seconds: float = 90.0) -> None:
        nonlocal steps
        seen = await home_assistant.wait_for(entity, wanted, seconds)
        steps += 1
        say(f"  {title:<34} {entity:<62} {seen.state}")

    def on(seen: Seen) -> bool:
        return seen.state == "on"

    async with aiohttp.ClientSession() as session:
        simulator = Simulator(session, room.control_url)
        say(f"{room.blocks} blocks in {room.strings} strings are watched.")
        for number in (1, room.blocks):
            await step(f"block {number} has a voltage", f"sensor.{_SLUG}_block_{number}_voltage", _number)
        say(f"Block {AGED} has aged, module {LOST} falls silent, block {HOT} runs away.")
        for change in CHANGES:
            await simulator.set(**room.example(change))
        # The bridge would measure ten minutes after its start; eight blocks at a time, two seconds each.
        await home_assistant.ask(
            "call_service", domain="ridethrough", service="measure_impedance", target={"entity_id": RUNAWAY}
        )
        await step("a module is lost", MODULE_LOST, on)
        await step("thermal runaway", RUNAWAY, on)
        await step("its breaker opens", TRIPPED, on)
        await step("an impedance is too high", IMPEDANCE_HIGH, on, 60.0 + room.blocks / 2)
        await step("general alarm", GENERAL, on)
    if look is not None:
        result = look()
        if hasattr(result, "__await__"):
            await result
    return steps


def _number(seen: Seen) -> bool:
    try:
        float(seen.state)
    except ValueError:
        return False
    return True


__all__ = ["HOT", "LEAST", "MOST", "Room", "tell"]
