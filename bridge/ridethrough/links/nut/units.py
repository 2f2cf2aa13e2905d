"""The unit of a variable the catalogue does not know, where NUT's naming rules leave no doubt."""

import re

_LIMITS = r"(\.(nominal|maximum|minimum|peak|total))?(\.(low|high))?(\.(warning|critical|min|max))?"

UNITS: tuple[tuple[str, str], ...] = (
    # A name, and what NUT counts it in (NUT docs/nut-names.txt). The first row that matches decides.
    # What is the driver's own, or has no agreed name yet, is in whatever unit it likes.
    (r"(driver|server|experimental|unmapped|vendor|ups\.powersummary|ups\.debug)\..*", ""),
    (r".*\.power(\.(maximum|minimum))?\.percent", "%"),
    (rf".*\.voltage{_LIMITS}", "V"),
    (r"input\.transfer(\.(boost|trim))?\.(low|high)(\.(min|max))?", "V"),
    (rf".*\.current{_LIMITS}", "A"),
    (rf".*\.frequency{_LIMITS}", "Hz"),
    (rf".*\.power{_LIMITS}", "VA"),
    (rf".*\.realpower{_LIMITS}", "W"),
    (rf".*\.temperature{_LIMITS}", "°C"),
    (rf".*\.humidity{_LIMITS}", "%"),
    (r"(ups|input|output)(\..+)?\.load(\.high)?", "%"),
    (r".*\.charge(\.(low|warning|restart))?", "%"),
    (r"ups\.efficiency", "%"),
    (r"battery(\.\d+)?\.capacity(\.nominal)?", "Ah"),
    (r"battery(\.\d+)?\.runtime(\.(low|restart))?", "s"),
    (r".*\.(delay|timer)\.(shutdown|start|reboot)", "s"),
    (r"ups\.test\.interval|device\.uptime|input\.transfer\.delay", "s"),
)

_COMPILED = tuple((re.compile(pattern), unit) for pattern, unit in UNITS)


def unit_of(name: str) -> str:
    """Tell the unit of a NUT variable by its name; empty where the name alone does not make it certain."""
    return next((unit for pattern, unit in _COMPILED if pattern.fullmatch(name)), "")
