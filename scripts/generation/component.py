"""What the integration needs of the catalogue: its own copy, and Home Assistant's strings and icons."""

from collections.abc import Mapping, Sequence
import json
import re
from typing import Any

from ridethrough.catalogue import Catalogue, CommandType, ConditionType, Point, SwitchType, slug

from .locale import Locale

type Tree = dict[str, Any]
"""JSON as Home Assistant lays it down; its shape is checked by tests, not by types."""

EDGES = {
    "en": {"raised": "{name}: begun", "cleared": "{name}: over"},
    "de": {"raised": "{name}: begonnen", "cleared": "{name}: vorbei"},
}
"""What the event types of a condition are called."""

FORMAT = 1
"""The version of catalogue.json's layout."""


def strings(catalogue: Catalogue, locale: Locale) -> Tree:
    """Build `entity` of strings.json, by platform and translation key."""
    entity: Tree = {"binary_sensor": {}, "button": {}, "sensor": {}, "switch": {}}
    for point in catalogue.points:
        names: Tree = {"name": locale.points[point.key.text]}
        if point.options:
            names["state"] = {value: locale.option(point, value) for value in point.options}
        _put(entity[platform(point)], point.key.slug, names)
    for condition in catalogue.conditions:
        _put(entity["binary_sensor"], slug(condition.key), {"name": locale.conditions[condition.key]})
    for command in catalogue.commands:
        _put(entity["button"], slug(command.key), {"name": locale.commands[command.key]})
    for switch in catalogue.switches:
        _put(entity["switch"], slug(switch.key), {"name": locale.switches[switch.key]})
    return {"entity": entity | {"event": {"events": {"state_attributes": _event_types(catalogue, locale)}}}}


def icons(catalogue: Catalogue) -> Tree:
    """Build `entity` of icons.json; what has none takes its device class's."""
    entity: Tree = {"binary_sensor": {}, "button": {}, "sensor": {}, "switch": {}}
    for point in catalogue.points:
        if point.icon:
            entity[platform(point)][point.key.slug] = {"default": point.icon}
    rows: Sequence[tuple[str, Sequence[ConditionType | CommandType | SwitchType]]] = (
        ("binary_sensor", catalogue.conditions),
        ("button", catalogue.commands),
        ("switch", catalogue.switches),
    )
    for name, table in rows:
        for row in table:
            if row.icon:
                entity[name][slug(row.key)] = {"default": row.icon}
    return {"entity": entity}


def platform(point: Point) -> str:
    """Say where Home Assistant shows a point: what is yes or no is a binary sensor."""
    return "binary_sensor" if point.quantity.type == "bool" else "sensor"


def table(catalogue: Catalogue) -> Tree:
    """Build catalogue.json, the integration's copy of the tables."""
    return {
        "version": FORMAT,
        "kinds": dict(catalogue.kinds),
        "points": [_point(point) for point in catalogue.points],
        "conditions": [_condition(row) for row in catalogue.conditions],
        "commands": [_command(row) for row in catalogue.commands],
        "switches": [_switch(row) for row in catalogue.switches],
    }


def spread(written: Tree) -> Tree:
    """Give every type of subentry what is written once for all of them, under `*`."""
    types = dict(written.get("config_subentries", {}))
    common = types.pop("*", {})
    return written | {"config_subentries": {name: merge(words, common, f"{name}.") for name, words in types.items()}}


def merge(written: Tree, generated: Tree, where: str = "") -> Tree:
    """Join what is written by hand with what is generated; raises ValueError where both say something."""
    joined = dict(written)
    for key, value in generated.items():
        if key not in joined:
            joined[key] = value
        elif isinstance(joined[key], dict) and isinstance(value, dict):
            joined[key] = merge(joined[key], value, f"{where}{key}.")
        else:
            raise ValueError(f"{where}{key} is generated from the catalogue and must not be written by hand")
    return joined


def dump(tree: Tree) -> str:
    """Lay JSON out as Home Assistant does: sorted, two blanks."""
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def dump_table(tree: Tree) -> str:
    """Lay catalogue.json out with one row to a line, so that a change of one row is a change of one line."""
    parts = []
    for key, value in tree.items():
        if isinstance(value, list):
            lines = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in value)
            parts.append(f'  "{key}": [\n{lines}\n  ]')
        else:
            parts.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _event_types(catalogue: Catalogue, locale: Locale) -> Tree:
    names = {
        f"{slug(condition.key)}_{edge}": text.format(name=_plain(locale.conditions[condition.key]))
        for condition in catalogue.conditions
        for edge, text in EDGES[locale.language].items()
    }
    return {"event_type": {"state": names}}


def _plain(name: str) -> str:
    """Take the placeholders out of a name: an event type has none, the event's attributes say which it was."""
    return re.sub(r"\s*\{\w+\}", "", name).strip()


def _put(place: Tree, key: str, names: Tree) -> None:
    if place.setdefault(key, names) is not names:
        raise ValueError(f"The translation key {key} stands for two things of the catalogue")


def _point(point: Point) -> Mapping[str, object]:
    return {
        "key": point.key.text,
        "kinds": sorted(point.kinds),
        "translation_key": point.key.slug,
        "placeholders": {name: list(values) for name, values in point.key.placeholders.items()} or None,
        "unit": point.unit or None,
        "type": point.quantity.type,
        "precision": point.quantity.precision,
        "device_class": point.quantity.device_class,
        "state_class": point.state_class,
        "category": str(point.category),
        "enabled": point.enabled,
        "options": list(point.options),
    }


def _condition(row: ConditionType) -> Mapping[str, object]:
    return {
        "key": row.key,
        "kinds": sorted(row.kinds),
        "severity": str(row.severity),
        "translation_key": slug(row.key),
        "placeholders": {name: list(values) for name, values in row.template.placeholders.items()} or None,
        "device_class": row.device_class,
        "category": str(row.category),
        "enabled": row.enabled,
    }


def _command(row: CommandType) -> Mapping[str, object]:
    return {
        "key": row.key,
        "kinds": sorted(row.kinds),
        "group": row.group,
        "role": str(row.role),
        "translation_key": slug(row.key),
        "category": str(row.category),
        "enabled": row.enabled,
        "arguments": [
            {"name": a.name, "unit": a.unit, "minimum": a.minimum, "maximum": a.maximum, "default": a.default}
            for a in row.arguments
        ],
    }


def _switch(row: SwitchType) -> Mapping[str, object]:
    return {
        "key": row.key,
        "kinds": sorted(row.kinds),
        "on": row.on,
        "off": row.off,
        "condition": row.condition,
        "translation_key": slug(row.key),
        "category": str(row.category),
        "enabled": row.enabled,
    }
