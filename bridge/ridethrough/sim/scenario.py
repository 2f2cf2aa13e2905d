"""Scenarios: what happens to a simulated UPS or battery, and when. YAML files; some come with the package."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
import voluptuous as vol

from .change import CHANGES, Change, Check, change_from, complaints, explain, number, section, text

_LONGEST = 30.0 * 86400.0
SUFFIX = ".yaml"


class ScenarioError(Exception):
    """A scenario cannot be used; the message names the file, the line and what is permitted."""


@dataclass(frozen=True, slots=True)
class Moment[C = Change]:
    """What changes, and at which second of the scenario."""

    at: float
    change: C


@dataclass(frozen=True, slots=True)
class Scenario[C = Change]:
    """A story with a beginning and a timeline."""

    name: str
    description: str
    initial: C | None = None
    timeline: tuple[Moment[C], ...] = ()
    """In the order of time."""
    repeat: float | None = None
    """Seconds after which the timeline begins again."""

    def moments(self) -> Iterator[Moment[C]]:
        """Go through the timeline, for ever if it repeats."""
        begin = 0.0
        while True:
            for moment in self.timeline:
                yield Moment(begin + moment.at, moment.change)
            if self.repeat is None or not self.timeline:
                return
            begin += self.repeat


STEADY = Scenario("steady", "Nothing happens.")


@dataclass(frozen=True, slots=True)
class Words[C]:
    """What may happen in the scenarios of some kind of thing, and where those lie that come with the package."""

    changes: Mapping[str, Check]
    """What can be changed, and how it is checked."""
    build: Callable[[Mapping[str, object]], C]
    """Makes a change of what has been checked."""
    folder: str

    def scenarios(self) -> dict[str, Scenario[C]]:
        """Those that come with the package, by name."""
        found = [item for item in (files(__package__) / self.folder).iterdir() if item.name.endswith(SUFFIX)]
        loaded = {}
        for item in found:
            name = item.name.removesuffix(SUFFIX)
            loaded[name] = self.parse(item.read_text("utf-8"), name, item.name)
        return dict(sorted(loaded.items()))

    def find(self, name: str) -> Scenario[C]:
        """Find a scenario that comes with the package, or the one in a file. Raises ScenarioError."""
        if "/" not in name and not name.endswith((SUFFIX, ".yml")):
            known = self.scenarios()
            if name in known:
                return known[name]
            given = ", ".join(known)
            raise ScenarioError(f"There is no scenario {name!r}; there are {given}, or give the path of a file")
        path = Path(name)
        try:
            content = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{path}: cannot be read: {error}") from error
        return self.parse(content, path.stem, str(path))

    def parse(self, content: str, name: str, source: str) -> Scenario[C]:
        """Read a scenario from YAML; `source` is what messages call it. Raises ScenarioError."""
        try:
            data = YAML(typ="rt").load(content)
        except MarkedYAMLError as error:
            line = 0 if error.problem_mark is None else error.problem_mark.line
            raise ScenarioError(f"{source}:{line + 1}: not YAML: {error.problem}") from error
        except YAMLError as error:
            raise ScenarioError(f"{source}: not YAML: {error}") from error
        initial = section(self.changes)
        check = section(
            {
                "description": text,
                "initial": lambda value: self.build(initial(value)),
                "timeline": self._timeline,
                "repeat": number(0.1, _LONGEST),
            },
            required=["description"],
        )
        try:
            return self._scenario(name, check(data))
        except vol.Invalid as error:
            said = (f"{source}:{_line(data, each.path)}: {explain(each)}" for each in complaints(error))
            raise ScenarioError("\n".join(said)) from error

    def _timeline(self, value: object) -> list[Moment[C]]:
        if not isinstance(value, list):
            raise vol.Invalid(f"{value!r} must be a list of moments, each with at: and what changes")
        check = section({"at": number(0.0, _LONGEST), **self.changes}, required=["at"])
        moments: list[Moment[C]] = []
        errors: list[vol.Invalid] = []
        for index, item in enumerate(value):
            try:
                checked = check(item)
            except vol.Invalid as error:
                error.prepend([index])
                errors += complaints(error)
                continue
            at = checked.pop("at")
            assert isinstance(at, float)
            if moments and at < moments[-1].at:
                errors.append(
                    vol.Invalid(f"{at:g} comes after {moments[-1].at:g}; keep the order of time", path=[index, "at"])
                )
            moments.append(Moment(at, self.build(checked)))
        if errors:
            raise vol.MultipleInvalid(errors)
        return moments

    def _scenario(self, name: str, checked: Mapping[str, object]) -> Scenario[C]:
        scenario: Scenario[C] = Scenario(name, **checked)  # type: ignore[arg-type] # each has been checked
        scenario = replace(scenario, timeline=tuple(scenario.timeline))
        if scenario.repeat is not None and scenario.timeline and scenario.repeat < scenario.timeline[-1].at:
            last = scenario.timeline[-1].at
            raise vol.Invalid(f"{scenario.repeat:g} ends before the last moment, {last:g}", path=["repeat"])
        return scenario


UPS = Words(CHANGES, change_from, "scenarios")
"""Those of a simulated UPS."""


def scenarios() -> dict[str, Scenario]:
    """Those of a UPS that come with the package, by name."""
    return UPS.scenarios()


def find_scenario(name: str) -> Scenario:
    """Find a scenario of a UPS that comes with the package, or the one in a file. Raises ScenarioError."""
    return UPS.find(name)


def parse(content: str, name: str, source: str) -> Scenario:
    """Read a scenario of a UPS from YAML; `source` is what messages call it. Raises ScenarioError."""
    return UPS.parse(content, name, source)


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
