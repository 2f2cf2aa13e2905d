"""The two stories: an outage as it is planned for, and one in which everything goes wrong on the way."""

from dataclasses import dataclass, field
from pathlib import Path

from .computers import CASE, keys
from .configuration import PLAN, Way
from .forecast import Planned, forecast
from .rig import Journal, Mark, Rig
from .timeline import Accepted, Line, accepted, lines

CALM = 40.0
"""Speed of what has to do with the start of processes, which takes as long as ever."""
CLOSE = 60.0
"""Speed while something is due."""
FAR = 240.0
"""Speed of the long hours between."""
SLOW = 4.0
"""Speed before the bridge is killed when it has just acted: its journal is to have the second that it takes in earnest."""
RECHARGING = 1300.0
"""Seconds of recharging in which nothing is due for certain."""
AWAY = {"office-2": "stopped", "web": "ended", "backup": "swallowed"}
"""Who is unreachable in the hard story, and how."""
FLAPS = ((130.0, 50.0),) * 4
"""Seconds without power and with it: none of these outages is long, together they are more than eight minutes."""
ABSENT = "office-3"
"""Whose user has gone home and switched it off, in the easy story."""


@dataclass(slots=True)
class Told:
    """What came of a story."""

    way: Way
    hard: bool
    began: float
    """The second at which power failed for the first time."""
    ended: float
    marks: list[Mark]
    planned: list[Planned]
    lines: list[Line]
    journal: Journal
    orders: dict[str, list[Accepted]]
    """What each computer has accepted, by its own log."""
    up: set[str] = field(default_factory=set)
    """Who is on in the end."""
    down: set[str] = field(default_factory=set)
    """Who was off when the last stage was over."""

    @property
    def computers(self) -> list[str]:
        """Everybody."""
        return list(self.orders)

    @property
    def unreachable(self) -> set[str]:
        """Who could not be reached on the way."""
        return {mark.who for mark in self.marks if mark.what.startswith("unreachable")}

    def seconds(self, what: str, who: str = "") -> list[float]:
        """Return when something happened, in seconds after power failed for the first time."""
        return [mark.second - self.began for mark in self.marks if mark.what == what and (not who or mark.who == who)]


async def tell(folder: Path, way: Way, network: str, papers: Path, *, hard: bool) -> Told:
    """Tell a story from the beginning to the end."""
    rig = Rig(folder, way, network)
    try:
        await rig.start(papers)
        return await (_hard(rig) if hard else _easy(rig))
    finally:
        await rig.stop()


async def _prepare(rig: Rig) -> None:
    """Arm the plan, and let the bridge be sure that the battery is full."""
    if rig.way == "plan":
        await rig.command(f"bridge/plan-{PLAN}", "plan.arm")
    await rig.speed(FAR)
    await rig.wait(600.0)
    await rig.speed(CLOSE)


async def _easy(rig: Rig) -> Told:
    await _prepare(rig)
    await rig.switch_off(ABSENT)
    await rig.wait(60.0)
    await rig.mains(on=False)
    began = rig.pace.now()
    await _off(rig, keys("unimportant"), 900.0)
    await rig.speed(FAR)
    await rig.wait(600.0)
    await rig.speed(CALM)
    await rig.switch_on("pc-5")
    await rig.until(lambda: "pc-5" not in rig.up(), 300.0)
    await rig.speed(FAR)
    await _until_command(rig, keys("important"), 3600.0)
    await rig.speed(CLOSE)
    await _off(rig, keys("important"), 300.0)
    await rig.speed(FAR)
    await _until_command(rig, ("database",), 3600.0)
    await rig.speed(CLOSE)
    await _off(rig, keys("core"), 900.0)
    return await _return(rig, began)


async def _hard(rig: Rig) -> Told:
    await _prepare(rig)
    began = rig.pace.now()
    for number, (without, power) in enumerate(FLAPS):
        await rig.mains(on=False)
        if number == 1:
            await rig.wait(60.0)
            await rig.kill_bridge()
            await _rest(rig, without)
        elif number == 2:
            await rig.cut_off("office-2", AWAY["office-2"])
            await rig.wait(without)
        elif number == 3:
            # Eight minutes are over in the middle of this one: kill it just before.
            await rig.wait(84.0)
            await rig.kill_bridge()
            await _rest(rig, without)
        else:
            await rig.wait(without)
        await rig.mains(on=True)
        await rig.wait(power)
    await rig.mains(on=False)
    await rig.wait(60.0)
    for key in ("web", "backup"):
        await rig.cut_off(key, AWAY[key])
    await rig.wait(120.0)
    await rig.speed(FAR)
    await _until_command(rig, keys("important"), 3600.0)
    await rig.kill_bridge()
    await rig.speed(CLOSE)
    await _off(rig, keys("important"), 600.0)
    await rig.speed(FAR)
    await _until_command(rig, ("database",), 3600.0)
    await rig.kill_bridge()
    await rig.speed(CLOSE)
    await _off(rig, keys("core"), 900.0)
    return await _return(rig, began, hard=True)


async def _rest(rig: Rig, seconds: float) -> None:
    """Wait until the present outage has lasted so long."""
    failed = next(mark.second for mark in reversed(rig.marks) if mark.what == "mains fails")
    await rig.wait(max(0.0, failed + seconds - rig.pace.now()))


async def _return(rig: Rig, began: float, *, hard: bool = False) -> Told:
    """Let the bridge notice who is down, give power back, and wait until everything runs that is to run."""
    await rig.wait(300.0)
    down = set(rig.computers) - rig.up()
    await rig.mains(on=True)
    await rig.speed(FAR)
    await rig.wait(RECHARGING)
    await rig.speed(CLOSE)
    await rig.until(lambda: any(mark.what == "magic packet" for mark in rig.marks), 7200.0)
    if hard:
        await rig.speed(SLOW)
        await rig.wait(SLOW)
        await rig.kill_bridge()
    await rig.speed(CALM)
    wanted = set(CASE) - ({ABSENT} if rig.way == "plan" and not hard else set())
    await rig.until(lambda: wanted <= rig.up(), 1200.0)
    # Nobody is started a second time, and the plan is over.
    await rig.speed(FAR)
    await rig.wait(900.0)
    return await _told(rig, began, hard=hard, down=down)


async def _told(rig: Rig, began: float, *, hard: bool, down: set[str]) -> Told:
    fails = [mark.second - began for mark in rig.marks if mark.what == "mains fails"]
    returns = [mark.second - began for mark in rig.marks if mark.what == "mains returns"]
    away = set(AWAY) if hard else {ABSENT}
    planned = forecast(rig.way, list(zip(fails, returns, strict=True)), away, off=() if hard else (ABSENT,))
    journal = await rig.events()
    return Told(
        rig.way,
        hard,
        began,
        rig.pace.now(),
        rig.marks,
        planned,
        lines(rig, planned, began),
        journal,
        {key: accepted(rig, key) for key in rig.computers},
        rig.up(),
        down,
    )


async def _until_command(rig: Rig, who: tuple[str, ...], seconds: float) -> None:
    """Wait until one of these has been told to shut down."""
    await rig.until(lambda: any(rig.computers[key].going for key in who), seconds)


async def _off(rig: Rig, who: tuple[str, ...], seconds: float) -> None:
    """Wait until all of these are off that can be reached."""
    await rig.until(lambda: not any(rig.computers[key].reachable for key in rig.up() & set(who)), seconds)


__all__ = ["ABSENT", "AWAY", "Told", "tell"]
