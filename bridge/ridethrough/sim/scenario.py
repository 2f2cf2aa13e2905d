"""Scenarios: what happens to a simulated UPS, and when. YAML files; some come with the package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
import voluptuous as vol

from .change import CHANGES, Change, change_from, complaints, explain, number, parse_change, section, text

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

_moment = section({"at": number(0.0, _LONGEST), **CHANGES}, required=["at"])


def _timeline(value: object) -> list[Moment]:
    if not isinstance(value, list):
        raise vol.Invalid(f"{value!r} must be a list of moments, each with at: and what changes")
    moments: list[Moment] = []
    errors: list[vol.Invalid] = []
    for index, item in enumerate(value):
        try:
            checked = _moment(item)
        except vol.Invalid as error:
            error.prepend([index])
            errors += complaints(error)
            continue
        at = checked["at"]
        assert isinstance(at, float)
        if moments and at < moments[-1].at:
            errors.append(
                vol.Invalid(f"{at:g} comes after {moments[-1].at:g}; keep the order of time", path=[index, "at"])
            )
        moments.append(Moment(at, change_from(checked)))
    if errors:
        raise vol.MultipleInvalid(errors)
    return moments


_scenario = section(
    {"description": text, "initial": parse_change, "timeline": _timeline, "repeat": number(0.1, _LONGEST)},
    required=["description"],
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
        return _build(name, _scenario(data))
    except vol.Invalid as error:
        said = (f"{source}:{_line(data, each.path)}: {explain(each)}" for each in complaints(error))
        raise ScenarioError("\n".join(said)) from error


def _build(name: str, checked: Mapping[str, object]) -> Scenario:
    scenario = Scenario(name, **checked)  # type: ignore[arg-type] # each has been checked
    scenario = replace(scenario, timeline=tuple(scenario.timeline))
    if scenario.repeat is not None and scenario.timeline and scenario.repeat < scenario.timeline[-1].at:
        last = scenario.timeline[-1].at
        raise vol.Invalid(f"{scenario.repeat:g} ends before the last moment, {last:g}", path=["repeat"])
    return scenario


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
