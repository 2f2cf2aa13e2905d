"""Battery breakers on the relay outputs of boxes: reserved, tripped by a thermal runaway, tested and released by people.

So batteries that run away can be taken off their charger, as the International Fire Code 608.3 asks for (manual M:6158).
The first breaker is output 1 of box 1, and so on (M:6268). What is tripped stays so, over restarts too, until somebody
releases it; a string that has run away cannot be released until it is known to be cool. Nothing trips while it is
withheld: in a drill, or while the programmer has paused the bus.

An output trips by being energised (shunt release). One that is configured as normally closed is energised always and
trips by letting go (undervoltage release); the manual warns against that (M:6263), since a box without power then
opens the breaker, so it is said. A box that hears nothing keeps its relays as they are: were it to open a breaker, a
loose bus plug in a mains failure would drop the load; were it to close one, it would put a burning battery back on
its charger. What it should have done meanwhile is done when it answers again.

After a start, and after its box has been away, an output that is found energised is taken for a tripped breaker, even
if nobody remembers why: a box may have been told to open it by itself, and somebody may have tripped it by hand.
"""

from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ridethrough.config.battery import BatteryConfig, ContactConfig, reserved

from .board import Findings
from .changes import Changes
from .isolation import Boxes, Contacts
from .layout import SYSTEM, Layout, string
from .saved import JSON, flag, numbered, text

FOLLOWS: Final = 5.0
"""Seconds within which a relay, and the contact of its breaker, must follow."""
ANSWERS: Final = 10.0
"""Seconds after which a trip that nobody confirms is one that has failed."""


class Cause(StrEnum):
    """Why a breaker is tripped."""

    RUNAWAY = "thermal_runaway"
    TEST = "test"
    FOUND = "found"
    """Its output was found so after a start, or when its box came back."""


class BreakerError(Exception):
    """A command to a breaker cannot be obeyed; the message says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a relay should do, until the next order (`Bus.switch`)."""

    box: int
    output: int
    energised: bool


@dataclass(frozen=True, slots=True)
class SafeState:
    """What a box should do when it hears nothing: function 107 of the open module protocol."""

    box: int
    mask: int
    state: int
    seconds: int
    """0: never, so that the outputs keep their position."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What is to be done, and what is so."""

    orders: tuple[Order, ...] = ()
    open: frozenset[int] = frozenset()
    """Strings whose breaker is tripped and whose box confirms it."""
    said: tuple[str, ...] = ()
    """Sentences for the log about what is new."""
    urgent: bool = False
    """Whether `state()` has changed and must be kept at once."""
    findings: Findings = field(default_factory=Findings)


@dataclass(slots=True)
class _Breaker:
    number: int
    """Of its string; 0: of all."""
    box: int
    output: int
    name: str
    normally_closed: bool
    cause: Cause | None = None
    fresh: bool = True
    """Whether nobody has told its output anything since the start, or its box has been away since."""
    changed: bool = False
    """Whether it has been tripped or released since the start."""
    ordered: float | None = None
    """When its output was told what it should do now; None: not yet."""
    asked: float = 0.0
    """When it was told so last."""
    wrong: float | None = None
    """From when on it is known not to follow."""
    confirmed: bool = False
    stuck: bool = False

    @property
    def energised(self) -> bool:
        """What its output should be."""
        return (self.cause is not None) is not self.normally_closed

    @property
    def place(self) -> str:
        return f"output {self.output} of box {self.box}"


class Breakers:
    """The breakers of one battery system."""

    def __init__(self, config: BatteryConfig, layout: Layout, saved: Mapping[str, JSON] | None = None) -> None:
        """Reserve the outputs; go on from what `state()` gave."""
        self._layout = layout
        self._contacts = Contacts(config, layout)
        self._changes = Changes()
        self._breakers = {breaker.number: breaker for breaker in _reserve(config, layout)}
        self._hot: AbstractSet[int] = frozenset()
        """Strings that run away, or have and are not known to be cool."""
        self._withheld: str | None = None
        self._answering: AbstractSet[int] = frozenset()
        self._held: set[int] = set()
        """Strings that would have tripped, were it not withheld."""
        self._urgent = False
        self._remember(numbered({} if saved is None else saved, "breakers", layout.strings))

    @property
    def labels(self) -> Mapping[tuple[int, int], str]:
        """Name of each reserved output by box and output; nobody else may switch or rename it (M:6265)."""
        return {(breaker.box, breaker.output): breaker.name for breaker in self._breakers.values()}

    @property
    def safe_states(self) -> tuple[SafeState, ...]:
        """What boxes should be told once at the start: to keep the outputs of breakers when they hear nothing."""
        masks: dict[int, int] = {}
        for breaker in self._breakers.values():
            masks[breaker.box] = masks.get(breaker.box, 0) | 1 << (breaker.output - 1)
        return tuple(SafeState(box, mask, 0, 0) for box, mask in sorted(masks.items()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the configuration for the log at the start."""
        return tuple(
            f"{breaker.name}: {breaker.place} is normally closed, so it opens whenever its box has no power. "
            "Breakers should trip by an output that closes."
            for breaker in self._breakers.values()
            if breaker.normally_closed
        )

    @property
    def opened(self) -> frozenset[int]:
        """Strings whose breaker is tripped, whether its box has confirmed that or not."""
        tripped = (self._strings(breaker) for breaker in self._breakers.values() if breaker.cause is not None)
        return frozenset().union(*tripped)

    @property
    def tripped(self) -> Mapping[int, Cause]:
        """Why breakers are tripped, by the number of their string; 0: that of all strings."""
        return {number: breaker.cause for number, breaker in self._breakers.items() if breaker.cause is not None}

    def see(
        self,
        running: AbstractSet[int],
        boxes: Boxes,
        now: float,
        withheld: str | None = None,
        *,
        alarmed: AbstractSet[int] = frozenset(),
    ) -> Handling:
        """Trip what must be.

        `running` are the strings that run away by what is measured now, `alarmed` those that have and are not known to
        be cool: a current that was to be seen as well ends with the trip, the heat does not. `withheld` is why nothing
        may trip now.
        """
        self._hot, self._withheld, self._answering = running | alarmed, withheld, frozenset(boxes)
        said = list(self._trip(running, withheld))
        orders: list[Order] = []
        shown = self._contacts.opened(boxes)
        opened: set[int] = set()
        for breaker in self._breakers.values():
            output = boxes[breaker.box].outputs.get(breaker.output) if breaker.box in boxes else None
            said += self._found(breaker, output)
            said += self._follow(breaker, output, [shown.get(index) for index in self._strings(breaker)], now)
            if self._due(breaker, output, now):
                orders.append(Order(breaker.box, breaker.output, breaker.energised))
            if breaker.cause is not None and breaker.confirmed:
                opened.update(self._strings(breaker))
        self._say()
        urgent, self._urgent = self._urgent, False
        return Handling(tuple(orders), frozenset(opened), tuple(said), urgent, self._changes.take())

    def test(self, number: int = 0, *, discharging: bool = False) -> str:
        """Open the breaker of a string (0: of all) with the next look; it must be released afterwards (M:6727).

        Returns a sentence that says what happens. Raises BreakerError, also while the batteries carry the load: what
        opens then may drop it.
        """
        if self._withheld is not None:
            raise BreakerError(f"No breaker is tested now: {self._withheld}.")
        if discharging:
            raise BreakerError("No breaker is tested now: the batteries carry the load.")
        breaker = self._breaker(number)
        if breaker.cause is not None:
            raise BreakerError(f"{breaker.name} is tripped already. Release it first.")
        self._within_reach(breaker)
        self._set(breaker, Cause.TEST)
        return f"{breaker.name} opens by {breaker.place}. Release it when that has been seen."

    def reset(self, number: int = 0) -> str:
        """Release the breaker of a string; 0: the one of all, or every one that is tripped and may be.

        Returns a sentence that says what happens. Raises BreakerError.
        """
        if number or not self._breakers or 0 in self._breakers:
            breakers = [self._breaker(number)]
        else:
            breakers = list(self._breakers.values())
        tripped = [breaker for breaker in breakers if breaker.cause is not None]
        if not tripped:
            raise BreakerError("No breaker is tripped." if len(breakers) > 1 else f"{breakers[0].name} is not tripped.")
        cool = [breaker for breaker in tripped if self._hot.isdisjoint(self._strings(breaker))]
        if not cool:
            raise BreakerError(
                f"{tripped[0].name} stays open: a block still runs away, or is not known to be cool again. "
                "Let it cool down first."
            )
        for breaker in cool:
            self._within_reach(breaker)
        for breaker in cool:
            self._set(breaker, None)
        return f"Released: {', '.join(breaker.name for breaker in cool)}."

    def state(self) -> dict[str, JSON]:
        """Return what must survive a restart."""
        return {
            "breakers": {
                str(number): {"cause": breaker.cause.value, "confirmed": breaker.confirmed}
                for number, breaker in self._breakers.items()
                if breaker.cause is not None
            }
        }

    # Tripping

    def _trip(self, running: AbstractSet[int], withheld: str | None) -> Iterable[str]:
        self._held &= running
        for breaker in self._breakers.values():
            causes = running & self._strings(breaker)
            # A test is over when it becomes earnest.
            if not causes or breaker.cause is Cause.RUNAWAY:
                continue
            if withheld is None:
                if breaker.cause is None:
                    self._set(breaker, Cause.RUNAWAY)
                    yield f"{breaker.name} is tripped by {breaker.place}: thermal runaway."
                else:
                    breaker.cause, self._urgent = Cause.RUNAWAY, True
            elif not causes <= self._held:
                self._held |= causes
                if breaker.cause is None:
                    yield f"{breaker.name} would be tripped because of a thermal runaway, but {withheld}."

    def _set(self, breaker: _Breaker, cause: Cause | None) -> None:
        breaker.cause, self._urgent, breaker.fresh, breaker.changed = cause, True, False, True
        breaker.ordered, breaker.wrong, breaker.confirmed = None, None, False

    def _found(self, breaker: _Breaker, output: bool | None) -> Iterable[str]:
        """Take an output that is energised after a start for a breaker that was tripped."""
        if breaker.cause is not None or breaker.normally_closed:
            return
        if output is None:
            breaker.fresh = breaker.fresh or breaker.confirmed
        elif breaker.fresh and output:
            self._set(breaker, Cause.FOUND)
            breaker.changed = False
            yield f"{breaker.name}: {breaker.place} is energised, so it has been tripped. Release it if it may be."

    def _due(self, breaker: _Breaker, output: bool | None, now: float) -> bool:
        """Whether to tell an output what it should do: once, and again when it is known to do something else."""
        if breaker.ordered is None:
            # An output that nobody knows yet may belong to a breaker that was tripped.
            if breaker.fresh and output is None and breaker.cause is None and not breaker.normally_closed:
                return False
            breaker.ordered = now
        elif breaker.wrong is None or output is breaker.energised or now - max(breaker.wrong, breaker.asked) < FOLLOWS:
            return False
        breaker.asked = now
        return True

    # Whether it follows

    def _follow(self, breaker: _Breaker, output: bool | None, contacts: list[bool | None], now: float) -> Iterable[str]:
        if breaker.ordered is None:
            return
        tripped = breaker.cause is not None
        if output is None:
            breaker.wrong = None
            if tripped and not breaker.confirmed and now - breaker.ordered >= ANSWERS:
                yield from self._hang(breaker, f"its box {breaker.box} does not answer")
            return
        switched = output is breaker.energised
        breaker.fresh = False
        # A contact that still shows a closed breaker after the relay has switched: the breaker itself hangs.
        if switched and not (tripped and any(shown is False for shown in contacts)):
            news = breaker.changed and not breaker.confirmed
            self._urgent |= tripped and not breaker.confirmed
            breaker.confirmed = True
            if news:
                yield f"{breaker.name}: {breaker.place} has {'opened' if tripped else 'released'} it."
            breaker.stuck, breaker.wrong = False, None
            return
        if breaker.wrong is None:
            breaker.wrong = now
        if now - breaker.wrong >= FOLLOWS:
            self._urgent |= tripped and breaker.confirmed and not switched
            breaker.confirmed = breaker.confirmed and switched
            hangs = "its contact shows that it is closed"
            yield from self._hang(breaker, hangs if switched else f"{breaker.place} has not switched")

    @staticmethod
    def _hang(breaker: _Breaker, why: str) -> Iterable[str]:
        if not breaker.stuck:
            breaker.stuck = True
            yield f"{breaker.name} does not follow: {why}."

    def _within_reach(self, breaker: _Breaker) -> None:
        """Refuse what would only happen later, when its box answers again and nobody expects it."""
        if breaker.box not in self._answering:
            raise BreakerError(f"{breaker.name} cannot be reached: box {breaker.box} does not answer.")

    # What is said

    def _say(self) -> None:
        tripped: set[int] = set()
        stuck: set[int] = set()
        for breaker in self._breakers.values():
            if breaker.cause is not None:
                tripped |= self._strings(breaker)
            if breaker.stuck:
                stuck |= self._strings(breaker)
        for key, which in (("breaker_tripped", tripped), ("breaker_stuck", stuck)):
            for index in range(1, self._layout.strings + 1):
                self._changes.condition(string(index), key, index in which)
            self._changes.condition(SYSTEM, key, bool(which))

    # Which

    def _strings(self, breaker: _Breaker) -> AbstractSet[int]:
        return frozenset(range(1, self._layout.strings + 1)) if breaker.number == 0 else frozenset((breaker.number,))

    def _breaker(self, number: int) -> _Breaker:
        """Find the breaker of a string, which may be that of all."""
        if not self._breakers:
            raise BreakerError("No breaker is configured.")
        breaker = self._breakers.get(0) or self._breakers.get(number)
        if breaker is None:
            raise BreakerError("Each string has a breaker of its own: name the string.")
        return breaker

    def _remember(self, saved: Mapping[int, Mapping[str, JSON]]) -> None:
        """Trip again what was tripped; if the arrangement has been changed since, rather too many than too few."""
        for number, what in saved.items():
            cause = next((one for one in Cause if one.value == text(what, "cause")), Cause.FOUND)
            own = self._breakers.get(number) or self._breakers.get(0)
            for breaker in self._breakers.values() if own is None else (own,):
                breaker.cause = cause
                # It stays so until its box says otherwise; nothing is new in that.
                breaker.confirmed = own is not None and flag(what, "confirmed")


def _reserve(config: BatteryConfig, layout: Layout) -> Iterable[_Breaker]:
    kind = config.runaway.breakers
    numbers = {"none": range(0), "one": range(1), "each": range(1, layout.strings + 1)}[kind]
    for number, (box, output) in zip(numbers, reserved(len(numbers)), strict=True):
        boxes = config.boxes
        contact = boxes[box - 1].outputs.get(output, ContactConfig()) if box <= len(boxes) else ContactConfig()
        name = f"Battery breaker string {number}" if number else "Battery breaker"
        yield _Breaker(number, box, output, name, contact.normally_closed)


__all__ = ["BreakerError", "Breakers", "Cause", "Handling", "Order", "SafeState"]
