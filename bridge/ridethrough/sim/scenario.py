"""Scenarios: what happens to a simulated UPS, and when. YAML files; some come with the package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
import voluptuous as vol

from .change import CHANGE_ROWS, Change, change_from, explain, number, text

_LONGEST = 30.0 * 86400.0
SUFFIX = ".yaml"


class ScenarioError(Exception):
    """A scenario cannot be used; the message names the file, the line and what is permitted."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What changes, and at which second of the scenario."""

    at: float
    change: Change


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story with a beginning and a timeline."""

    name: str
    description: str
    initial: Change = Change()
    timeline: tuple[Moment, ...] = ()
    """In the order of time."""
    repeat: float | None = None
    """Seconds after which the timeline begins again."""

    def moments(self) -> Iterator[Moment]:
        """Go through the timeline, for ever if it repeats."""
        begin = 0.0
        while True:
            for moment in self.timeline:
                yield Moment(begin + moment.at, moment.change)
            if self.repeat is None or not self.timeline:
                return
            begin += self.repeat


STEADY = Scenario("steady", "Nothing happens.")

_SCHEMA = vol.Schema(
    {
        vol.Required("description"): text,
        vol.Optional("initial", default=dict): CHANGE_ROWS,
        vol.Optional("timeline", default=list): [{vol.Required("at"): number(0.0, _LONGEST), **CHANGE_ROWS}],
        vol.Optional("repeat"): number(0.1, _LONGEST),
    }
)


def scenarios() -> dict[str, Scenario]:
    """Those that come with the package, by name."""
    folder = files(__package__) / "scenarios"
    found = [item for item in folder.iterdir() if item.name.endswith(SUFFIX)]
    names = [item.name.removesuffix(SUFFIX) for item in found]
    loaded = {name: parse(item.read_text("utf-8"), name, item.name) for name, item in zip(names, found, strict=True)}
    return dict(sorted(loaded.items()))


def find_scenario(name: str) -> Scenario:
    """Find a scenario that comes with the package, or the one in a file. Raises ScenarioError."""
    if "/" not in name and not name.endswith((SUFFIX, ".yml")):
        known = scenarios()
        if name in known:
            return known[name]
        raise ScenarioError(f"There is no scenario {name!r}; there are {', '.join(known)}, or give the path of a file")
    path = Path(name)
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    return parse(content, path.stem, str(path))


def parse(content: str, name: str, source: str) -> Scenario:
    """Read a scenario from YAML; `source` is what messages call it. Raises ScenarioError."""
    try:
        data = YAML(typ="rt").load(content)
    except MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line
        raise ScenarioError(f"{source}:{line + 1}: not YAML: {error.problem}") from error
    except YAMLError as error:
        raise ScenarioError(f"{source}: not YAML: {error}") from error
    try:
        checked = _SCHEMA(data)
    except vol.MultipleInvalid as error:
        raise ScenarioError("\n".join(f"{source}:{_line(data, e.path)}: {explain(e)}" for e in error.errors)) from error
    timeline = tuple(Moment(row["at"], change_from(row)) for row in checked["timeline"])
    for index, (before, after) in enumerate(pairwise(timeline), start=1):
        if after.at < before.at:
            line = _line(data, ["timeline", index])
            raise ScenarioError(f"{source}:{line}: at {after.at:g} comes after {before.at:g}; keep the order of time")
    repeat = checked.get("repeat")
    if repeat is not None and timeline and repeat < timeline[-1].at:
        raise ScenarioError(
            f"{source}:{_line(data, ['repeat'])}: repeat: {repeat:g} ends before the last moment, {timeline[-1].at:g}"
        )
    return Scenario(name, checked["description"], change_from(checked["initial"]), timeline, repeat)


def _line(data: object, path: Sequence[object]) -> int:
    """Find the line (from 1) of the innermost node on the path of which the file knows one."""
    line = 0
    for part in path:
        if isinstance(data, Mapping) and part in data and hasattr(data, "lc"):
            line = data.lc.key(part)[0]
            data = data[part]
        elif isinstance(data, Sequence) and not isinstance(data, str) and hasattr(data, "lc"):
            assert isinstance(part, int)
            line = data.lc.item(part)[0]
            data = data[part]
        else:
            break
    return line + 1
