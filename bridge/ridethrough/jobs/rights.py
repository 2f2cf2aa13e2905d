"""What a person must be allowed to run a job by hand: as much as it takes to give the command that the job gives.

Of itself a job acts by the right of the configuration. A person who may not switch a load off must not be able to do
so by testing a job that does.
"""

from ridethrough.catalogue import Role
from ridethrough.config.actions import (
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    WakeOnLanAction,
    WebhookAction,
)

from .context import JobContext

LEAST = Role.ENGINEER
"""For `job.run` itself, and so for what only tells people something."""
_BY_HAND: tuple[type[Action], ...] = (WakeOnLanAction, WebhookAction)
"""They act, but those who may run jobs have commands `job.*` for the same."""


def needed(action: Action, context: JobContext) -> Role:
    """Return the least role that may run this by hand; what cannot be judged here takes an administrator."""
    match action:
        case AgentAction():
            return _of("agent", f"agent.{action.verb}", context)
        case CommandAction():
            device = context.site.device_by_key(action.device)
            return Role.ADMIN if device is None else _of(device.kind, action.command, context)
        case DatagramAction():
            # It only tells something, but computers shut down for it.
            return Role.ADMIN
    return LEAST if action.informs or isinstance(action, _BY_HAND) else Role.ADMIN


def _of(kind: str, command: str, context: JobContext) -> Role:
    definition = context.site.catalogue.command(kind, command)
    if definition is None:
        return Role.ADMIN
    return definition.role if definition.role.may(LEAST) else LEAST


__all__ = ["needed"]
