"""The store: one private SQLite file in the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ridethrough.clock import Clock, SystemClock

from .batteries import Batteries
from .charges import Charges
from .database import Database, StoreError
from .facts import Facts
from .identities import Identities
from .inventory import Inventory
from .journal import KEEP, Journal
from .numbers import Numbers
from .pending import Pending
from .steps import Steps
from .tokens import Tokens


class Store:
    """Everything the bridge remembers.

        async with Store.open(config.data / "ridethrough.db") as store:
            await store.journal.append(…)

    SQLite in WAL mode with `synchronous=FULL`: a commit is on the disk when it returns, and another process may read
    and write beside the bridge.
    """

    journal: Journal
    batteries: Batteries
    charges: Charges
    facts: Facts
    numbers: Numbers
    pending: Pending
    steps: Steps
    identities: Identities
    inventory: Inventory
    tokens: Tokens

    def __init__(self, path: Path, clock: Clock, keep: int) -> None:
        """Use `open`."""
        self._path = path
        self._database = Database(path)
        self._clock = clock
        self._keep = keep

    @classmethod
    def open(cls, path: Path, clock: Clock | None = None, *, keep: int = KEEP) -> Self:
        """Return the store to enter with `async with`, which raises StoreError when it cannot be used.

        `keep` is the number of events the journal keeps at least.
        """
        return cls(path, clock or SystemClock(), keep)

    async def __aenter__(self) -> Self:
        """Open the file; make it, and its folder, when they do not exist."""
        await self._database.open()
        try:
            self.identities = await Identities.load(self._database)
        except BaseException:
            await self._database.close()
            raise
        self.journal = Journal(self._database, self._keep)
        self.charges = Charges(self._database)
        self.facts = Facts(self._database)
        self.inventory = Inventory(self.facts)
        self.batteries = Batteries(self.facts)
        self.numbers = Numbers(self._database)
        self.pending = Pending(self._database)
        self.steps = Steps(self._database)
        self.tokens = Tokens(self._database, self._clock)
        return self

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the only bridge that uses this store; `ridethrough token` may use it meanwhile. Raises StoreError.

        The folder itself is locked, which needs no space on the disk and ends with the process, however that ends.
        """
        folder = self._path.parent
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # a file system without locks must not keep the bridge from running
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    message = (
                        f"Another bridge uses {folder} already; end it, or give this one a folder of its own (data:)."
                    )
                    raise StoreError(message) from error
            yield
        finally:
            os.close(descriptor)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for writes under way and close."""
        await self.journal.close()
        await self.pending.close()
        await self._database.close()
