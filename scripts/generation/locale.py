"""The catalogue's names in one language."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
import re
import tomllib
from typing import Self

from ridethrough.catalogue import Catalogue, Point

type Names = Mapping[str, str]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class LocaleError(ValueError):
    """A language lacks a name, or names what the catalogue does not have."""


@dataclass(frozen=True, slots=True)
class Locale:
    """Names by key. English takes them from the tables, other languages from their own file."""

    language: str
    kinds: Names
    points: Names
    conditions: Names
    commands: Names
    switches: Names
    options: Names
    """The values of enums, whichever point they belong to."""
    point_options: Mapping[str, Names]
    """Point to those of its values that are called differently there."""
    arguments: Names

    @classmethod
    def load(cls, catalogue: Catalogue, language: str) -> Self:
        """Read a language (`en`, `de`). Raises LocaleError when a name is missing or superfluous."""
        file = resources.files("ridethrough.catalogue") / "locale" / f"{language}.toml"
        read = tomllib.loads(file.read_text(encoding="utf-8"))
        point_options = read.pop("point_options", {})
        tables = english(catalogue) | read if language == "en" else read
        locale = cls(language=language, point_options=point_options, **tables)
        locale.check(catalogue)
        return locale

    def option(self, point: Point, value: str) -> str:
        """Give the name of one value of an enum."""
        return self.point_options.get(point.key.text, {}).get(value) or self.options[value]

    def check(self, catalogue: Catalogue) -> None:
        """Raise LocaleError unless exactly what the catalogue has is named, with the same placeholders."""
        for point in catalogue.points:
            name = self.points.get(point.key.text, "")
            if name and set(_PLACEHOLDER.findall(name)) != set(point.key.placeholders):
                raise LocaleError(f"locale/{self.language}.toml: {name!r} lacks a placeholder of {point.key.text}")
        own = {(point, value) for point, values in self.point_options.items() for value in values}
        wanted = {(point.key.text, value) for point in catalogue.points for value in point.options}
        for what, given, needed in (
            ("kinds", set(self.kinds), set(catalogue.kinds)),
            ("points", set(self.points), {point.key.text for point in catalogue.points}),
            ("conditions", set(self.conditions), {row.key for row in catalogue.conditions}),
            ("commands", set(self.commands), {row.key for row in catalogue.commands}),
            ("switches", set(self.switches), {row.key for row in catalogue.switches}),
            ("options", set(self.options), {value for point, value in wanted - own}),
            ("point_options", own, own & wanted),
            ("arguments", set(self.arguments), {a.name for row in catalogue.commands for a in row.arguments}),
        ):
            if given != needed:
                problem = f"missing {sorted(needed - given)}, superfluous {sorted(given - needed)}"
                raise LocaleError(f"locale/{self.language}.toml, [{what}]: {problem}")


def english(catalogue: Catalogue) -> dict[str, Names]:
    """Give the names that the tables themselves hold."""
    return {
        "kinds": catalogue.kinds,
        "points": {point.key.text: point.name for point in catalogue.points},
        "conditions": {row.key: row.name for row in catalogue.conditions},
        "commands": {row.key: row.name for row in catalogue.commands},
        "switches": {row.key: row.name for row in catalogue.switches},
    }
