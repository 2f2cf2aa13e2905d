"""The outage, told step by step: what Home Assistant showed, and how long after the wire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from .homeassistant import HomeAssistant, Seen
from .simulator import Exchange, Simulator

ON_BATTERY = "binary_sensor.rack_ups_on_battery"
BATTERY_LOW = "binary_sensor.rack_ups_battery_low"
COMMUNICATION = "binary_sensor.rack_ups_communication_lost"
LINK_STATE = "sensor.rack_ups_link_state"
MODE = "sensor.rack_ups_mode"
CHARGE = "sensor.rack_ups_battery_charge"
RUNTIME = "sensor.rack_ups_runtime"
LOAD = "sensor.rack_ups_load"
EVENTS = "event.rack_ups_events"
PLAN = "sensor.rack_plan_state"
PLAN_ARMED = "switch.rack_plan_armed"
HURRY = 4
"""Seconds of the battery in one of ours while nothing else happens: nobody is to wait for that."""
WEB, NAS = "sensor.web_server_state", "sensor.nas_state"


@dataclass(slots=True)
class Story:
    """Prints each step and keeps what is needed to judge the whole."""

    simulator: Simulator
    home_assistant: HomeAssistant
    say: Callable[[str], None] = print
    steps: int = 0
    seen: dict[str, Seen] = field(default_factory=dict)

    async def step(
        self, title: str, entity: str, wanted: Callable[[Seen], bool], *, bit: int | None = None, seconds: float = 30
    ) -> Seen:
        """Wait for the state, print it with its time from the first answer on the wire that has status bit `bit`.

        Raises HomeAssistantError when it does not come.
        """
        before = max((exchange.number for exchange in await self.simulator.exchanges()), default=0)
        seen = await self.home_assistant.wait_for(entity, wanted, seconds)
        self.steps += 1
        self.seen[title] = seen
        unit = seen.attributes.get("unit_of_measurement", "")
        late = "" if bit is None else _late(seen, await self.simulator.exchanges(after=max(0, before - 3)), bit)
        self.say(f"  {title:<34} {entity:<44} {_short(seen.state):>9} {unit:<4}{late}")
        return seen


def _short(state: str) -> str:
    """Shorten a number or a moment for a line of text."""
    try:
        return f"{float(state):.4g}"
    except ValueError:
        return state[11:19] if state[10:11] == "T" else state


def _late(seen: Seen, exchanges: list[Exchange], bit: int) -> str:
    wanted = "1" if seen.state == "on" else "0"
    answers = [e for e in exchanges if e.status_bits is not None and e.last_byte <= seen.arrived]
    # The first answer of the last run of answers that say so.
    first = None
    for exchange in reversed(answers):
        assert exchange.status_bits is not None
        if exchange.status_bits[bit] != wanted:
            break
        first = exchange
    return "" if first is None else f" {1000 * (seen.arrived - first.last_byte):6.1f} ms after the wire"


async def tell(
    simulator: Simulator,
    home_assistant: HomeAssistant,
    at_the_depth: Callable[[], object] | None = None,
    say: Callable[[str], None] = print,
    *,
    measures: bool = True,
) -> Story:
    """Play a whole outage; `at_the_depth` is called (and awaited) while the battery is being discharged.

    `measures`: whether the UPS tells its load; without that nothing can follow it.

    Raises HomeAssistantError, naming what is missing, at the first thing Home Assistant does not show.
    """
    story = Story(simulator, home_assistant, say)
    say("The mains is there.")
    await story.step("the UPS is connected", COMMUNICATION, lambda seen: seen.state == "off")
    await story.step("on line", MODE, lambda seen: seen.state == "line")
    await story.step("not on battery", ON_BATTERY, lambda seen: seen.state == "off")
    if measures:
        full = await story.step("charge", CHARGE, _number)
        runtime = await story.step("runtime", RUNTIME, _number)
        await story.step("load", LOAD, _number)
    await story.step("the web server is up", WEB, lambda seen: seen.state == "up")
    await story.step("the NAS is up", NAS, lambda seen: seen.state == "up")
    await switch(home_assistant, PLAN_ARMED, on=True)
    await story.step("the plan is armed", PLAN_ARMED, lambda seen: seen.state == "on")
    events = home_assistant.states[EVENTS].state

    say("The mains fails.")
    await simulator.set(mains=False)
    await story.step("on battery", ON_BATTERY, lambda seen: seen.state == "on", bit=0)
    await story.step("mode", MODE, lambda seen: seen.state == "battery")
    await story.step("event", EVENTS, lambda seen: seen.state not in (events, "unknown", "unavailable"))

    say("The load rises, and the battery is discharged.")
    await simulator.set(load=0.9)
    if measures:
        await story.step("load rises", LOAD, lambda seen: _number(seen) and float(seen.state) > 85)
        await story.step(
            "runtime follows at once",
            RUNTIME,
            lambda seen: _number(seen) and float(seen.state) < 0.6 * float(runtime.state),
        )
        await simulator.speed(HURRY)
        await story.step(
            "charge falls",
            CHARGE,
            lambda seen: _number(seen) and float(seen.state) < float(full.state) - 20,
            seconds=60,
        )
        await simulator.speed(1)
    await story.step("the plan shuts down", PLAN, lambda seen: seen.state in ("shutting_down", "down"))
    if at_the_depth is not None:
        result = at_the_depth()
        if asyncio.iscoroutine(result):
            await result
    await story.step("the web server is down", WEB, lambda seen: seen.state == "down", seconds=60)
    await story.step("the NAS is down", NAS, lambda seen: seen.state == "down", seconds=60)
    await simulator.speed(HURRY)
    await story.step("battery low", BATTERY_LOW, lambda seen: seen.state == "on", bit=1, seconds=120)

    say("The mains returns.")
    await simulator.speed(1)
    await simulator.set(mains=True, load=0.35)
    await story.step("off battery", ON_BATTERY, lambda seen: seen.state == "off", bit=0)
    await story.step("on line", MODE, lambda seen: seen.state == "line")
    if measures:
        # The simulated charger takes hours; a UPS that tells whole percents would keep us waiting for the next.
        await simulator.speed(20)
        low = float(home_assistant.states[CHARGE].state)
        await story.step("charge rises", CHARGE, lambda seen: _number(seen) and float(seen.state) > low, seconds=60)
        await simulator.speed(1)
        await simulator.set(charge=0.95)
        await story.step("the NAS is started again", NAS, lambda seen: seen.state == "up", seconds=60)
        await story.step("the web server is started again", WEB, lambda seen: seen.state == "up", seconds=60)
        await story.step("the plan is ready again", PLAN, lambda seen: seen.state == "idle", seconds=60)
    await switch(home_assistant, PLAN_ARMED, on=False)
    return story


async def switch(home_assistant: HomeAssistant, entity: str, *, on: bool) -> None:
    """Switch something as a person does."""
    service = "turn_on" if on else "turn_off"
    await home_assistant.ask("call_service", domain="switch", service=service, target={"entity_id": entity})


def _number(seen: Seen) -> bool:
    try:
        float(seen.state)
    except ValueError:
        return False
    return True
