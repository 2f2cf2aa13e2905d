"""What jobs switch, start and stop: by this it is seen whether they contradict or undo one another (manual M:2783)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ridethrough.catalogue import load_catalogue

from .actions import Action, AgentAction, CommandAction, WakeOnLanAction
from .inventory import ALL, Inventory
from .jobs import Cause, Edge
from .model import BridgeConfig

RUNNING = "running"
"""What shutting down and starting does to a computer."""
STOPPING = frozenset({"shutdown.return", "shutdown.stayoff", "shutdown.default", "load.off", "outputs.off"})
"""Commands after which what a UPS feeds is without power."""
_PAIRS = (("shutdown.stop", "shutdown.return"), ("shutdown.stop", "shutdown.stayoff"), ("plan.abort", "plan.run"))
_PREFER = {"transfer.prefer.a": True, "transfer.prefer.b": False}


@dataclass(frozen=True, slots=True)
class Effect:
    """Something of a device is one way or the other afterwards."""

    device: str
    what: str
    on: bool

    @property
    def undone(self) -> Effect:
        """The opposite."""
        return Effect(self.device, self.what, not self.on)


def effects(action: Action, causes: tuple[Cause, ...], config: BridgeConfig, known: Inventory) -> frozenset[Effect]:
    """Return what an action does that another could undo; `causes` are the events that it is done for."""
    return frozenset(_effects(action, causes, config, known))


def _effects(action: Action, causes: tuple[Cause, ...], config: BridgeConfig, known: Inventory) -> Iterator[Effect]:
    match action:
        case AgentAction(verb="shutdown" | "start" | "wakeup"):
            for key in action.agents or tuple(agent.key for agent in config.agents.computers):
                yield Effect(key, RUNNING, action.verb != "shutdown")
        case WakeOnLanAction():
            names = {agent.mac: agent.key for agent in config.agents.computers if agent.mac is not None}
            for mac in action.macs:
                yield Effect(names.get(mac, mac), RUNNING, on=True)
        case CommandAction():
            devices = (
                {action.device}
                if action.device
                else {key for cause in causes for pattern in cause.devices for key, _ in known.matches(pattern)}
            )
            for device in devices:
                yield from _of_command(action, device)


def _of_command(action: CommandAction, device: str) -> Iterator[Effect]:
    command = action.command
    if command == "output.set":
        yield Effect(device, f"output {action.arguments['number']:g}", bool(action.arguments["state"]))
    elif command in ("agent.shutdown", "agent.start", "agent.wakeup"):
        yield Effect(device, RUNNING, command != "agent.shutdown")
    elif command in _PREFER:
        yield Effect(device, "transfer.prefer", _PREFER[command])
    else:
        for switch in load_catalogue().switches:
            if command in (switch.on, switch.off):
                yield Effect(device, switch.key, command == switch.on)
        for stop, start in _PAIRS:
            if command in (stop, start):
                yield Effect(device, start, command == start)


type Happening = tuple[str, str, Edge]
"""Key of a device, condition or `*`, edge."""


def happenings(causes: tuple[Cause, ...], known: Inventory) -> frozenset[Happening]:
    """Return the events that a job is for, one by one."""
    return frozenset(
        (key, condition, cause.edge)
        for cause in causes
        for pattern in cause.devices
        for key, _ in known.matches(pattern)
        for condition in cause.conditions
    )


def coincide(first: frozenset[Happening], second: frozenset[Happening]) -> bool:
    """Whether one event may be for both."""
    if not first.isdisjoint(second):
        return True
    wide = {(key, edge) for key, condition, edge in first if condition == ALL}
    wider = {(key, edge) for key, condition, edge in second if condition == ALL}
    return any((key, edge) in wide for key, _, edge in second) or any((key, edge) in wider for key, _, edge in first)


OPPOSITE: Mapping[Edge, Edge] = {Edge.RAISED: Edge.CLEARED, Edge.CLEARED: Edge.RAISED}

__all__ = ["OPPOSITE", "RUNNING", "STOPPING", "Effect", "Happening", "coincide", "effects", "happenings"]
