"""The protected computers: pairing with their shutdown agents, and the connections to them.

The bridge's side of `bridge/agent/PROTOCOL.md`.
"""

from .connection import Limits
from .roster import AgentContext, Roster

__all__ = ["AgentContext", "Limits", "Roster"]
