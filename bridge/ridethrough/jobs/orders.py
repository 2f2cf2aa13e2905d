"""Commands to devices: to one of the bridge's own, and to many shutdown agents side by side."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from ridethrough.config.actions import AgentAction, CommandAction, TrapAction
from ridethrough.events import Order
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import CommandError, Device, Value

from .context import JobContext, actor_of
from .wording import filled, told

REPEATABLE = frozenset({"shutdown", "wakeup", "start"})
"""What an agent may be told again for the sake of others: it does no more than the first time."""
SPARED = frozenset({"agent.shutdown", "agent.wakeup"})
"""What a computer that is down already is not told, however often it is repeated: there is nothing to do for it."""
LONGEST_TEXT, LONGEST_REASON = 500, 200
"""Characters that an agent takes (bridge/agent/PROTOCOL.md)."""
NAMED = 10
"""Agents whose outcome is told in full; of a thousand nobody reads all."""


class Command:
    """Gives a device one of its commands."""

    def __init__(self, context: JobContext) -> None:
        """Give orders by way of `context`."""
        self._context = context

    async def perform(self, action: CommandAction, occasion: Occasion) -> str:
        """See `Performer`."""
        device = self._device(action, occasion)
        arguments = filled(action.arguments, occasion, self._context)
        return await give(self._context, device, action.command, arguments, occasion)

    def _device(self, action: CommandAction, occasion: Occasion) -> Device:
        if action.device:
            device = self._context.site.device_by_key(action.device)
            if device is None:
                raise ActionError(f"There is no device {action.device} at the moment.", again=True)
            return device
        device = self._context.device_of(occasion)
        if device is None:
            raise ActionError(
                f"{action.command} is for the device of the event, but there is none: give the job a device."
            )
        return device


class Trap:
    """Has the SNMP feed send its test trap."""

    def __init__(self, context: JobContext) -> None:
        """Give orders by way of `context`."""
        self._context = context

    async def perform(self, action: TrapAction, occasion: Occasion) -> str:
        """See `Performer`."""
        feed = self._context.site.device_by_key(f"{self._context.bridge.key}/feed-snmp")
        if feed is None:
            raise ActionError("There is no SNMP feed: give the configuration a section snmp with receivers.")
        if "feed.test" not in feed.commands:
            raise ActionError("The SNMP feed may not be commanded: grant it by allow: [feed] in the section feeds.")
        return await give(self._context, feed, "feed.test", {}, occasion)


class Agents:
    """Has shutdown agents do something: all at once, and each of them for itself."""

    def __init__(self, context: JobContext) -> None:
        """Give orders by way of `context`."""
        self._context = context
        self._orders = asyncio.Semaphore(context.limits.orders)
        self._messages = asyncio.Semaphore(context.limits.told)

    async def perform(self, action: AgentAction, occasion: Occasion) -> str:
        """Do it, and say of each agent how it ended. Raises ActionError when none or only some of them have done it."""
        devices, missing = self._devices(action.agents)
        if not devices and not missing:
            raise ActionError("There are no agents: give the configuration the computers that are to be shut down.")
        verb, arguments = self._order(action, occasion)
        down = [device for device in devices if verb in SPARED and self._is_down(device)]
        devices = [device for device in devices if device not in down]
        turn = self._messages if action.verb == "message" else self._orders
        outcomes = await asyncio.gather(*(self._one(device, verb, arguments, occasion, turn) for device in devices))
        good = [device.name for device, error in zip(devices, outcomes, strict=True) if error is None]
        bad = [(key, "there is no such agent at the moment.") for key in missing]
        bad += [(device.name, str(error)) for device, error in zip(devices, outcomes, strict=True) if error is not None]
        said = _summary(verb, good, bad, [device.name for device in down])
        if bad:
            hope = bool(missing) or any(error is not None and error.again for error in outcomes)
            raise ActionError(said, again=hope and (not good or action.verb in REPEATABLE))
        return said

    def _is_down(self, device: Device) -> bool:
        reading = self._context.site.reading(device.id, "agent.state")
        return reading is not None and reading.value == "down"

    def _devices(self, keys: Sequence[str]) -> tuple[list[Device], list[str]]:
        agents = {device.key: device for device in self._context.site.devices.values() if device.kind == "agent"}
        if not keys:
            return list(agents.values()), []
        return [agents[key] for key in keys if key in agents], [key for key in keys if key not in agents]

    def _order(self, action: AgentAction, occasion: Occasion) -> tuple[str, dict[str, Value]]:
        """Return the command and its arguments; in a drill a shutdown is a rehearsal."""
        context = self._context
        match action.verb:
            case "message":
                return "agent.message", {"text": told(action.text, occasion, context)[:LONGEST_TEXT]}
            case "execute":
                return "agent.execute", {"program": action.program}
            case "shutdown" if occasion.drill:
                return "agent.drill", {}
            case "shutdown":
                reason = told(action.text, occasion, context)[:LONGEST_REASON]
                return "agent.shutdown", {"delay": action.delay, "reason": reason}
            case "wakeup" | "start" as verb:
                return f"agent.{verb}", {}

    async def _one(
        self,
        device: Device,
        verb: str,
        arguments: dict[str, Value],
        occasion: Occasion,
        turn: AbstractAsyncContextManager[None],
    ) -> ActionError | None:
        async with turn:
            try:
                await give(self._context, device, verb, arguments, occasion)
            except ActionError as error:
                return error
        return None


async def give(
    context: JobContext, device: Device, command: str, arguments: dict[str, Value], occasion: Occasion
) -> str:
    """Give a device a command and return what it has to say of it. Raises ActionError."""
    try:
        async with asyncio.timeout(context.limits.order):
            result = await context.orders.give(Order(device.id, command, arguments), actor_of(occasion))
    except TimeoutError as error:
        raise ActionError(f"{device.name} has not answered to {command} within {context.limits.order:g} s.") from error
    except CommandError as error:
        # Only what is certain not to have reached the device may be given once more without a mark.
        raise ActionError(_named(device, str(error)), again=error.code == "offline") from error
    return _named(device, result.message)


def _named(device: Device, said: str) -> str:
    """Say of whom it is, where it does not itself."""
    return said if said.startswith(device.name) else f"{device.name}: {said}"


def _summary(verb: str, good: Sequence[str], bad: Sequence[tuple[str, str]], down: Sequence[str]) -> str:
    said = [f"{verb}: {len(good)} of {len(good) + len(bad)} agents have taken it."] if good or bad else [f"{verb}:"]
    if down:
        said.append(f"{len(down)} {'is' if len(down) == 1 else 'are'} down already.")
    if good and len(good) <= NAMED:
        said.append(f"Taken by {', '.join(good)}.")
    said += [f"{name}: {reason.removeprefix(f'{name}: ')}" for name, reason in bad[:NAMED]]
    if len(bad) > NAMED:
        said.append(f"So it is with {len(bad) - NAMED} more: {', '.join(name for name, _ in bad[NAMED : 5 * NAMED])}.")
    return " ".join(said)


__all__ = ["Agents", "Command", "Trap", "give"]
