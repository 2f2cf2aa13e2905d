"""One feed as people see it: on or off, whether it serves, what it counts. It is a device below the bridge's."""

import asyncio
from collections.abc import Callable
import logging
import random

from ridethrough.site import Arguments, CommandError, CommandResult, Commands, Device, DeviceId, Lane, Source
from ridethrough.tasks import Backoff

from .base import Feed, FeedContext, FeedError, Traffic

_LOGGER = logging.getLogger(__name__)

PUBLISH = 10.0
"""Seconds between two looks at the counters: they are for people, who need no more."""
KIND = "feed"
START, STOP, TEST = "feed.start", "feed.stop", "feed.test"
_ON, _OFF = "on", "off"
_RETRIES = Backoff(first=1.0, cap=60.0)

type MakeFeed = Callable[[Traffic], Feed]


class Service:
    """Runs one feed, or not. A feed that fails is tried again with back-off and takes nothing else with it."""

    def __init__(
        self,
        name: str,
        title: str,
        make: MakeFeed,
        context: FeedContext,
        commands: Commands,
        device_id: DeviceId,
        *,
        enabled: bool,
        granted: bool,
        testable: bool = False,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Run nothing yet. `enabled` is what the configuration says; what a person has switched since goes before it.

        `granted`: whether clients of the API may switch it, and have it send a test where it is `testable`.
        `prepare` is called in a thread before `make`.
        """
        self.name = name
        self.title = title
        self._make = make
        self._prepare = prepare
        self._context = context
        self._commands = commands
        self._clock = context.clock
        self._enabled = enabled
        self._on = enabled
        self._switched = asyncio.Event()
        self._turn = asyncio.Lock()
        self._withdraw: Callable[[], None] = lambda: None
        self.traffic = Traffic()
        self.device = Device(
            device_id,
            f"{context.bridge.key}/{KIND}-{name}",
            KIND,
            title,
            parent=context.bridge.id,
            commands=frozenset({START, STOP, TEST} if testable else {START, STOP}) if granted else frozenset(),
        )
        self._lane: Lane | None = None
        """What it posts by while it is one of the site's devices."""
        self._problem: str | None = None
        self._feed: Feed | None = None
        """What serves at the moment."""

    @property
    def on(self) -> bool:
        """Whether it is to serve."""
        return self._on

    @property
    def problem(self) -> str | None:
        """Why it does not serve although it is to, or what it cannot do although it serves."""
        return self._problem if self._feed is None else self._problem or self._feed.problem

    async def run(self) -> None:
        """Be this service until cancelled."""
        context = self._context
        context.site.put(self.device)
        self._lane = context.site.lane(self.device.id, None, Source.COMPUTED)
        self._withdraw = self._commands.offer(self.device.id, self._perform)
        try:
            self._on = await self._remembered()
            self._post(serving=False, address="")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish())
                while True:
                    self._switched.clear()
                    if self._on:
                        await self._serve_until_switched()
                    else:
                        await self._switched.wait()
        finally:
            self._withdraw()
            context.site.remove(self.device.id)

    async def switch(self, *, on: bool) -> None:
        """Switch it on or off; that outlasts a restart, until the configuration says something new.

        Raises what the store raises when it cannot be remembered; it is switched all the same.
        """
        async with self._turn:
            if on == self._on:
                return
            try:
                await self._context.facts.put(self._fact, f"{_word(on)} {_word(self._enabled)}")
            finally:
                self._on = on
                self._switched.set()
                self._post()

    def retire(self) -> None:
        """Let nothing be raised of it when it ends: the configuration no longer has it."""
        self._on = False

    async def _perform(self, command: str, arguments: Arguments) -> CommandResult:
        if command == TEST:
            if self._feed is None:
                raise CommandError("offline", f"{self.title} does not serve at the moment.")
            return CommandResult(await self._feed.test())
        try:
            await self.switch(on=command == START)
        except Exception as error:  # noqa: BLE001 - with a full disk people must be able to switch a feed off
            _LOGGER.warning("That %s is switched %s does not outlast a restart: %s", self.title, _word(self._on), error)
            return CommandResult(f"{self.title} is switched {_word(self._on)}, but only until the bridge restarts.")
        return CommandResult(f"{self.title} is switched {_word(self._on)}.")

    # How it is done

    @property
    def _fact(self) -> str:
        return f"feed.{self.name}"

    async def _remembered(self) -> bool:
        """Whether it is on: what was switched last counts as long as the configuration says the same as it did then."""
        switched, _, then = (await self._context.facts.get(self._fact) or "").partition(" ")
        return switched == _ON if switched and then == _word(self._enabled) else self._enabled

    async def _serve_until_switched(self) -> None:
        serving = asyncio.create_task(self._keep_serving(), name=f"The feed {self.name}")
        switched = asyncio.create_task(self._switched.wait())
        try:
            await asyncio.wait((serving, switched), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, switched):
                task.cancel()
            await asyncio.gather(serving, switched, return_exceptions=True)
            self._feed = self._problem = None
            self.traffic.clients = 0
            self._post(serving=False, address="")

    async def _keep_serving(self) -> None:
        failures = 0

        def ready(address: str) -> None:
            nonlocal failures
            _LOGGER.info("%s serves %s%s", self.title, address, " again" if failures else "")
            failures = 0
            self._problem = None
            self._post(serving=True, address=address)

        while True:
            try:
                # Large libraries and tables: on a thread's time, not on the loop's.
                await asyncio.to_thread(self._prepare)
                self._feed = self._make(self.traffic)
                await self._feed.serve(ready)
                problem = f"{self.title} has ended by itself."
            except FeedError as error:
                problem = str(error)
            except Exception as error:
                problem = f"{self.title} failed in a way nobody foresaw: {error!r:.200}"
                if not failures:
                    _LOGGER.exception("%s failed and is started again", self.title)
            failures += 1
            if failures == 1:
                _LOGGER.warning("%s It is tried again until it works.", problem)
            self._problem = problem
            self._feed = None
            self.traffic.clients = 0
            self._post(serving=False, address="")
            await self._clock.sleep(_RETRIES.delay(failures, random.random()))

    async def _publish(self) -> None:
        while True:
            await self._clock.sleep(PUBLISH)
            self._post()

    def _post(self, *, serving: bool | None = None, address: str | None = None) -> None:
        if self._lane is None:
            return
        points: dict[str, str | int] = {
            "feed.requests": self.traffic.requests,
            "feed.errors": self.traffic.errors,
            "feed.clients": self.traffic.clients,
            "feed.problem": self.problem or "",
        }
        if address is not None:
            points["feed.address"] = address
        conditions = {"feed_enabled": self._on, "feed_failed": self.problem is not None}
        if serving is not None:
            conditions["feed_serving"] = serving
        self._lane.post(points, conditions)


def _word(on: bool) -> str:
    return _ON if on else _OFF


__all__ = ["KIND", "START", "STOP", "Service"]
