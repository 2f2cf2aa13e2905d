"""What is wrong with a configuration: where, what, and what would be right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, as a person is told: `bridge.yaml:7: …`."""

    file: Path
    line: int
    """Counted from 1; 0 when it concerns the file as a whole."""
    message: str
    place: tuple[str | int, ...] = field(default=(), compare=False)
    """What of the file it is: ups, 0, link; empty when it is nothing in particular."""

    def __str__(self) -> str:
        """`file:line: message`, as compilers write it, so that editors jump to it."""
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds everything that is wrong with it, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Carry the problems, in the order of the lines."""
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigureError(Exception):
    """What a client wants of the configuration cannot be done. `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        """Codes: forbidden, not_granted, invalid, conflict, unknown_device, unreachable, not_writable, busy.

        `field` is what of a device is wrong: a key of it, or `option.<name>` for an option of its link.
        """
        super().__init__(message)
        self.code = code
        self.field = field
