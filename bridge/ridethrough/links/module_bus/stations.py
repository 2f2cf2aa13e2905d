"""Current sensors and boxes of contacts: what they say, and how the outputs are to stand."""

from collections.abc import Mapping
from dataclasses import dataclass

from ridethrough.links.base import Report
from ridethrough.site import Value

from .frames import BOX, CURRENT, Question, safe_state, switch

CONTACTS = 4
BROKEN, OUT_OF_RANGE = 0x01, 0x02
EVERY = 4.0
"""Seconds after which a value is told although it has not changed."""
FALL_BACK = 60
"""Seconds after which a box that hears nothing sets its outputs by itself."""
CURRENT_NOISE = 20
"""mA by which a current may differ from what was told."""


@dataclass(frozen=True, slots=True)
class Safe:
    """How a box sets its outputs when it has heard nothing for so many seconds."""

    mask: int
    state: int
    seconds: int


class Sensors:
    """The current sensors of a bus."""

    def __init__(self, report: Report, count: int) -> None:
        """Nothing is known yet."""
        self._reports = {
            number: report.child("current_sensor", str(number), f"Current sensor {number}")
            for number in range(1, count + 1)
        }
        self._told: dict[int, tuple[int, int, int]] = {}
        self._at: dict[int, float] = {}
        self.lost: set[int] = set()

    def meet(self, report: Report, number: int) -> None:
        """Report of a sensor that nobody has said to be there."""
        if number not in self._reports:
            self._reports[number] = report.child("current_sensor", str(number), f"Current sensor {number}")

    def read(self, frame: bytes, now: float) -> int:
        """Take an answer; returns the number."""
        number, status, direct, alternating = CURRENT.unpack(frame)
        report = self._reports.get(number)
        if report is None:
            return int(number)
        told, at = self._told.get(number), self._at.get(number, 0.0)
        news = told is None or told[0] != status or abs(told[1] - direct) > CURRENT_NOISE or told[2] != alternating
        if not news and now - at < EVERY:
            return int(number)
        self._told[number], self._at[number] = (status, direct, alternating), now
        if status & BROKEN:
            self.lost.add(number)
        else:
            self.lost.discard(number)
        if status & (BROKEN | OUT_OF_RANGE):
            # The values mean nothing: none is better than a wrong one.
            report.dropped(["sensor.current", "sensor.current.ac"])
            report.status({}, {"communications_lost": bool(status & BROKEN)})
        else:
            points: dict[str, Value | None] = {
                "sensor.current": direct / 1000,
                "sensor.current.ac": alternating / 100,
            }
            report.status(points, {"communications_lost": False})
        return int(number)

    def lose(self, number: int) -> None:
        """Note that a sensor does not answer any longer."""
        self._told.pop(number, None)
        self._at.pop(number, None)
        self.lost.add(number)
        self._reports[number].dropped(["sensor.current", "sensor.current.ac"])

    def confirm(self, now: float) -> None:
        """Tell again who is lost."""
        for number in self.lost:
            if now - self._at.get(number, -EVERY) >= EVERY:
                self._at[number] = now
                self._reports[number].status({}, {"communications_lost": True})


class Boxes:
    """The boxes of a bus. What an output was set to is kept, and set again when its box has been away."""

    def __init__(self, count: int, safe: Mapping[int, Safe]) -> None:
        """No output is to stand in any way: it stays as it is."""
        self.count = count
        self._safe = dict(safe)
        self._reports: dict[int, Report] = {}
        self._mask = [0] * (count + 1)
        self._state = [0] * (count + 1)
        self._outputs: list[int | None] = [None] * (count + 1)
        """As the box has said; None while that is not known."""
        self._safe_told: set[int] = set()
        self._told: dict[int, tuple[int, int]] = {}
        self._at: dict[int, float] = {}
        self.lost: set[int] = set()

    def present(self, report: Report) -> None:
        """Report to this from now on."""
        self._told.clear()
        self._reports.clear()
        for number in range(1, self.count + 1):
            self._outputs[number] = None
            self.meet(report, number)

    def meet(self, report: Report, number: int) -> None:
        """Report of a box."""
        if number not in self._reports:
            self._reports[number] = report.child("io_box", str(number), f"I/O box {number}")

    def switch(self, box: int, output: int, *, energised: bool) -> None:
        """Have an output stand like this. Raises ValueError for one that there is not."""
        if not (1 <= box <= self.count and 1 <= output <= CONTACTS):
            raise ValueError(f"There is no output {output} of box {box}.")
        bit = 1 << output - 1
        self._mask[box] |= bit
        self._state[box] = self._state[box] | bit if energised else self._state[box] & ~bit

    def fall_back(self, box: int, output: int, *, energised: bool) -> None:
        """Have a box set an output like this when it hears nothing, unless that is configured for this output."""
        safe, bit = self._safe.get(box, Safe(0, 0, FALL_BACK)), 1 << output - 1
        if not safe.mask & bit:
            self._safe[box] = Safe(safe.mask | bit, safe.state | (bit if energised else 0), safe.seconds)
            self._safe_told.discard(box)

    def due(self, number: int) -> Question | None:
        """Give what a box has to be told before it is asked how it stands; None if nothing."""
        outputs = self._outputs[number]
        if outputs is None or number in self.lost:
            return None
        if number in self._safe and number not in self._safe_told:
            safe = self._safe[number]
            return safe_state(number, safe.mask, safe.state, safe.seconds)
        if (outputs ^ self._state[number]) & self._mask[number]:
            return switch(number, self._mask[number], self._state[number])
        return None

    def urgent(self, numbers: set[int]) -> list[int]:
        """Say which of these boxes have outputs that do not stand as they should."""
        return [number for number in sorted(numbers) if self.due(number) is not None]

    def safe_told(self, number: int) -> None:
        """Note that a box has confirmed its safe state."""
        self._safe_told.add(number)

    def read(self, frame: bytes, now: float) -> int:
        """Take how a box stands; returns its number."""
        number, inputs, outputs = BOX.unpack(frame)
        if not 1 <= number <= self.count or number not in self._reports:
            return int(number)
        self._outputs[number] = outputs
        self.lost.discard(number)
        if self._told.get(number) != (inputs, outputs) or now - self._at.get(number, -EVERY) >= EVERY:
            self._told[number], self._at[number] = (inputs, outputs), now
            points: dict[str, Value | None] = {}
            for contact in range(CONTACTS):
                points[f"input.{contact + 1}"] = bool(inputs >> contact & 1)
                points[f"output.{contact + 1}"] = bool(outputs >> contact & 1)
            self._reports[number].status(points, {"communications_lost": False})
        return int(number)

    def lose(self, number: int) -> None:
        """Note that a box does not answer any longer: it may have set its outputs itself, or lost its supply."""
        self.lost.add(number)
        self._outputs[number] = None
        self._safe_told.discard(number)
        self._told.pop(number, None)
        self._at.pop(number, None)
        self._reports[number].dropped([f"{way}.{n}" for way in ("input", "output") for n in range(1, CONTACTS + 1)])

    def confirm(self, now: float) -> None:
        """Tell again who is lost."""
        for number in self.lost:
            if now - self._at.get(number, -EVERY) >= EVERY:
                self._at[number] = now
                self._reports[number].status({}, {"communications_lost": True})


__all__ = ["CONTACTS", "Boxes", "Safe", "Sensors"]
