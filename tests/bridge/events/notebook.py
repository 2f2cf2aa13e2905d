"""A store of steps for tests of those who make them: SQLite, so that it survives a process that is killed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
import sqlite3

from ridethrough.events import JournalError
from ridethrough.events.steps import Step, StepState


class Notebook:
    """Keeps the keys of steps and what is to be remembered; the steps themselves only while it is open."""

    def __init__(self, path: Path) -> None:
        """Open it; what was committed before is there."""
        self._base = sqlite3.connect(path)
        self._base.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS step (key TEXT PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, text TEXT)"
        )
        self.steps: list[Step] = []
        self.commits = 0
        self.full = False

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    @property
    def keys(self) -> list[str]:
        """The keys of all steps there have ever been, in their order."""
        return [key for (key,) in self._base.execute("SELECT key FROM step ORDER BY rowid")]

    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Write all of it or nothing."""
        if self.full:
            raise JournalError("The disk is full.")
        self.commits += 1
        with self._base:
            write = self._base.execute
            fresh = [one for one in steps if write("INSERT OR IGNORE INTO step VALUES (?)", (one.key,)).rowcount]
            for key, text in memory.items():
                if text is None:
                    self._base.execute("DELETE FROM memory WHERE key = ?", (key,))
                else:
                    self._base.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (key, text))
        self.steps += fresh
        return fresh

    async def recall(self, prefix: str) -> Mapping[str, str]:
        """Return what is remembered."""
        if self.full:
            raise JournalError("The disk is full.")
        rows = self._base.execute("SELECT key, text FROM memory WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        return dict(rows.fetchall())

    async def begin(self, key: str) -> int:
        """Nobody does steps here."""
        raise NotImplementedError

    async def end(self, key: str, state: StepState, message: str) -> None:
        """Nobody does steps here."""
        raise NotImplementedError

    async def unfinished(self) -> Sequence[Step]:
        """All are: nobody does them here."""
        return self.steps

    async def of(self, origin: str, limit: int = 100) -> Sequence[Step]:
        """Return the last ones of an origin."""
        return [step for step in reversed(self.steps) if step.occasion.origin.startswith(origin)][:limit]

    async def seen(self) -> int | None:
        """No events are looked at."""
        return None
