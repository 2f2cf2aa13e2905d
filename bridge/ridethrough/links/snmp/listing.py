"""Everything that an agent has said, object by object, under the names that its MIBs have. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ridethrough.catalogue import Catalogue
from ridethrough.links.base import RawValue
from ridethrough.maps.objects import Child

from .inventory import Instance
from .phases import Readings
from .values import NOTHING, Raw, shown

type Owner = tuple[str, str] | None
"""Kind and number of a child, None for the UPS itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of an agent's objects, by their OIDs."""

    raw: Mapping[str, Raw]
    readings: Readings
    believed: Readings
    keys: Mapping[str, str | None]
    """The point that each object is."""


def owner_of(child: Child | None) -> Owner:
    """Name the device that a child stands for."""
    return None if child is None else (child.kind, child.number)


def listing(
    instances: Iterable[Instance], said: Said, children: frozenset[tuple[str, str]], catalogue: Catalogue
) -> tuple[RawValue, ...]:
    """List the objects; `children` are those that are there.

    The unit is that of the point; of what is none, the MIB's. An object that is not believed, because another one says
    the same, is listed with what it comes to as well.
    """
    everything = tuple(instances)
    chosen = _chosen(everything, said)
    values: list[RawValue] = []
    for instance in everything:
        child, owner = instance.child, owner_of(instance.child)
        there = child is None or child.always or (child.kind, child.number) in children
        key = said.keys.get(instance.oid)
        mine = there and key is not None and chosen[owner, key] == instance.oid
        about = key if mine else instance.row.key
        point = catalogue.point("ups" if child is None else child.kind, about) if about else None
        values.append(
            RawValue(
                instance.name,
                shown(said.raw.get(instance.oid)),
                instance.row.unit if point is None else point.unit,
                key if mine else None,
                owner if there else None,
                None if point is None else said.readings.get(instance.oid, NOTHING).value,
            )
        )
    return tuple(values)


def _chosen(instances: Iterable[Instance], said: Said) -> Mapping[tuple[Owner, str], str]:
    """Tell for each point which object it was taken from."""
    chosen: dict[tuple[Owner, str], str] = {}
    known: set[tuple[Owner, str]] = set()
    for instance in instances:
        key = said.keys.get(instance.oid)
        if key is None:
            continue
        place = (owner_of(instance.child), key)
        there = said.believed.get(instance.oid, NOTHING).value is not None
        if place not in chosen or (there and place not in known):
            chosen[place] = instance.oid
            if there:
                known.add(place)
    return chosen


__all__ = ["Owner", "Said", "listing", "owner_of"]
