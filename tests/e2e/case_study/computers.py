"""Who is in the case study (manual M:3080): ten computers in three groups, and two that nothing is to happen to."""

from dataclasses import dataclass
from typing import Literal

type Group = Literal["unimportant", "important", "core", "others"]


@dataclass(frozen=True, slots=True)
class Model:
    """One computer as it is bought."""

    key: str
    name: str
    group: Group
    takes: float
    """Seconds from its shutdown command until it is down."""

    @property
    def mac(self) -> str:
        """Its hardware address."""
        return f"02:00:00:00:00:{COMPUTERS.index(self) + 1:02x}"


COMPUTERS = (
    Model("pc-5", "Reception", "unimportant", 60.0),
    Model("pc-6", "Meeting room", "unimportant", 60.0),
    Model("office-1", "Accounts", "important", 90.0),
    Model("office-2", "Purchasing", "important", 90.0),
    Model("office-3", "Planning", "important", 90.0),
    Model("database", "Database", "core", 240.0),
    Model("files", "File server", "core", 180.0),
    Model("web", "Web server", "core", 180.0),
    Model("mail", "Mail server", "core", 180.0),
    Model("backup", "Backup server", "core", 180.0),
    Model("gate", "Gate control", "others", 60.0),
    Model("telephone", "Telephone system", "others", 60.0),
)
BOOT = 60.0
"""Seconds from the magic packet until a computer starts its agent."""

SCRIPT = 360.0
"""Seconds that the script takes which stops the database (M:3236), before it switches the computer off itself."""


def keys(*groups: Group) -> tuple[str, ...]:
    """Return the computers of these groups."""
    return tuple(one.key for one in COMPUTERS if one.group in groups)


CASE = keys("unimportant", "important", "core")
"""Those that the case study shuts down."""

__all__ = ["BOOT", "CASE", "COMPUTERS", "SCRIPT", "Group", "Model", "keys"]
