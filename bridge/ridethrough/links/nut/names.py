"""Where NUT's names belong in the catalogue: a variable or command of outlet 2 is one of the child device 2. Pure."""

from dataclasses import dataclass
import re

OUTLET_COMMANDS: tuple[tuple[str, str], ...] = (
    # After `outlet.n.` in NUT, and of the outlet in the catalogue.
    ("load.on", "outlet.on"),
    ("load.off", "outlet.off"),
    ("load.cycle", "outlet.cycle"),
    ("load.on.delay", "outlet.on.delay"),
    ("load.off.delay", "outlet.off.delay"),
    ("shutdown.return", "outlet.shutdown.return"),
)

_OUTLET = re.compile(r"outlet\.(\d{1,3})\.(.+)", re.ASCII)
_COMMANDS = dict(OUTLET_COMMANDS)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose point or command a name is, and its key there."""

    outlet: str | None
    """The outlet's number; None for the UPS itself."""
    key: str

    @property
    def kind(self) -> str:
        """The kind of device in the catalogue."""
        return "ups" if self.outlet is None else "outlet"


def place_variable(name: str) -> Place:
    """Find the place of a variable. `outlet.0` is what `outlet` is: all outlets together, a matter of the UPS."""
    found = _OUTLET.fullmatch(name)
    if found is None:
        return Place(None, name)
    number, rest = str(int(found[1])), found[2]
    return Place(None if number == "0" else number, f"outlet.{rest}")


def place_command(name: str) -> Place | None:
    """Find the place of an instant command; None for one of an outlet that the catalogue has no like of."""
    found = _OUTLET.fullmatch(name)
    if found is None:
        return Place(None, name)
    number, key = str(int(found[1])), _COMMANDS.get(found[2])
    return None if key is None or number == "0" else Place(number, key)


__all__ = ["OUTLET_COMMANDS", "Place", "place_command", "place_variable"]
