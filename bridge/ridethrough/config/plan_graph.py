"""The order of a plan's stages, as what comes after what gives it."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from .plans import StageConfig

type Graph = Mapping[str, frozenset[str]]
"""Keys of stages to those of the stages that must come first."""


def graph(stages: Iterable[StageConfig]) -> Graph:
    """Give the stages that each one comes directly after; names of stages that do not exist are left out."""
    stages = tuple(stages)
    known = {stage.key for stage in stages}
    return {stage.key: frozenset(stage.after) & known for stage in stages}


def cycle(stages: Iterable[StageConfig]) -> Sequence[str] | None:
    """Find stages that wait for one another, the first one again at the end; None where there are none."""
    try:
        TopologicalSorter(graph(stages)).prepare()
    except CycleError as error:
        # It names them from the one that waits to the one it waits for, reversed.
        return [str(key) for key in reversed(error.args[1])]
    return None


def in_order(stages: Iterable[StageConfig]) -> tuple[StageConfig, ...]:
    """Sort stages so that none comes before one it must come after, else as they stand. They must have no cycle."""
    stages = tuple(stages)
    after = graph(stages)
    done: list[StageConfig] = []
    while len(done) < len(stages):
        keys = {stage.key for stage in done}
        done.append(next(stage for stage in stages if stage.key not in keys and after[stage.key] <= keys))
    return tuple(done)


def before(stages: Iterable[StageConfig], key: str) -> frozenset[str]:
    """Give all stages that must come before this one, directly or not."""
    return _reach(graph(stages), key)


def behind(stages: Iterable[StageConfig], key: str) -> frozenset[str]:
    """Give all stages that must come after this one, directly or not."""
    after = graph(stages)
    return _reach({one: frozenset(other for other in after if one in after[other]) for one in after}, key)


def _reach(links: Graph, key: str) -> frozenset[str]:
    found: set[str] = set()
    ahead = list(links[key])
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += links[one]
    return frozenset(found)


__all__ = ["before", "behind", "cycle", "graph", "in_order"]
