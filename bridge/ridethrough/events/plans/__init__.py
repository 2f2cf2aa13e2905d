"""Plans: stages that are shut down in order while power is out, and started again in the reverse order."""

from .machine import Machine, Refused, holds, running
from .state import MemberState, Phase, PlanState, StageState
from .turn import Due, Turn
from .view import Power, Seen, UpsView, View

__all__ = [
    "Due",
    "Machine",
    "MemberState",
    "Phase",
    "PlanState",
    "Power",
    "Refused",
    "Seen",
    "StageState",
    "Turn",
    "UpsView",
    "View",
    "holds",
    "running",
]
