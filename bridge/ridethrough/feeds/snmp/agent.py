"""The SNMP agent as a feed: its port, what it shows to whom, and who is told by traps."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ClassVar

from ridethrough.config.feeds import SnmpConfig
from ridethrough.feeds.admission import Admission, Callers
from ridethrough.feeds.base import Feed, FeedContext, Traffic
from ridethrough.feeds.directory import Subject
from ridethrough.maps.objects import Mib, load_mibs
from ridethrough.site import Change, CommandError

from .access import Communities
from .alarm_table import BATTERIES
from .ber import Oid
from .counters import Counters
from .dispatcher import Dispatcher
from .engine_identity import EngineIdentity, load_identity
from .instances import Encoded
from .notifications import NO_TEST, Notifications, is_altered
from .system import system
from .transport import Transport
from .usm import Engine, users
from .view import View
from .writing import Address, Writing

SERVED = ("rfc1628", "extension", "modules", "bacs")
"""The MIBs that are served, of those that the maps know."""
SHOWN = frozenset({"ups", "transfer_switch", BATTERIES})
"""Kinds of devices that can be shown."""
_COUNT = 30.0
"""Seconds between two looks at who has not asked for long."""


def served() -> tuple[Mib, ...]:
    """Give the MIBs that are served."""
    return tuple(mib for mib in load_mibs() if mib.name in SERVED)


class SnmpFeed(Feed):
    """The SNMP agent (manual M:1857)."""

    name: ClassVar[str] = "snmp"

    def __init__(
        self, config: SnmpConfig, context: FeedContext, traffic: Traffic, mibs: tuple[Mib, ...] | None = None
    ) -> None:
        """Serve these MIBs, or those of `SERVED`."""
        super().__init__(context, traffic)
        self._config = config
        self._mibs = served() if mibs is None else mibs
        self._started = context.clock.monotonic()
        self._views: dict[str | None, View] = {}
        """By the key of the device; None for whoever does not say which."""
        self._first: dict[str, str | None] = {"ups": None, BATTERIES: None}
        """What is shown to whoever does not say which device."""
        self._moved = asyncio.Event()
        self._notifications: Notifications | None = None
        self._cold: bool | None = None
        """Whether it is a cold start, until that has been told."""
        self._transport: Transport | None = None
        self._common: Mapping[Oid, Encoded] = {}
        self.counters = Counters()

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Serve until cancelled. Raises FeedError when the port cannot be opened."""
        config, context = self._config, self.context
        identity = await load_identity(context)
        self._cold = await is_altered(config, context)
        # Each password is hashed a million times over: not on the loop's time.
        known = await asyncio.to_thread(users, config.users, identity.engine_id)
        self._started = context.clock.monotonic()
        self._common = {**system(config, context, identity, self.uptime), **self.counters.instances()}
        engine = Engine(identity, known, self.counters, self.uptime)
        callers = Callers(context.clock, self.traffic)
        writing = Writing(context.orders, context.site.catalogue, config.allow, self._send)
        dispatcher = Dispatcher(
            Communities(config.communities, self.counters),
            engine,
            self.counters,
            self.traffic,
            Admission(config.clients),
            callers,
            self._view,
            writing.begin,
        )
        writing.dispatcher = dispatcher
        forget = context.site.observe(self._observe)
        try:
            for key in {None, *self._configured}:
                view = self._view(key)
                assert view is not None
                await view.complete()
            transport = self._transport = Transport(config.listen, config.port, dispatcher.received)
            try:
                ready(transport.address)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._notify(identity))
                    tasks.create_task(self._count(callers))
            finally:
                self._transport = None
                transport.close()
                await writing.stop()
        finally:
            forget()
            for view in self._views.values():
                view.close()
            self._views.clear()

    async def test(self) -> str:
        """Send a test to everybody who is told by traps."""
        if self._notifications is None:
            raise CommandError("offline", "There is no device yet that the SNMP agent could tell of.")
        return await self._notifications.test()

    def uptime(self) -> float:
        """Seconds since the agent was started."""
        return self.context.clock.monotonic() - self._started

    def _send(self, data: bytes, address: Address) -> None:
        if self._transport is not None:
            self._transport.send(data, address)

    # The devices

    def _view(self, key: str | None) -> View | None:
        """Return what is shown of a device, of the agent's own for None; None for a device that is none."""
        view = self._views.get(key)
        if view is None and (key is None or key in self._configured or self._shown(key)):
            view = self._views[key] = View(self.context, self._mibs, self._common, self.uptime)
            self._choose()
        return view

    @property
    def _configured(self) -> frozenset[str]:
        return frozenset(one.device for one in self._config.communities if one.device is not None)

    def _shown(self, key: str) -> bool:
        device = self.context.directory.find(key)
        return device is not None and device.kind in SHOWN and device.parent == self.context.bridge.id

    def _choose(self) -> None:
        """Choose what is shown: to whoever does not say which, the first of each kind, as they stand in the file."""
        devices = self.context.site.devices.values()
        first, before = self._first, self._first["ups"]
        for kind in first:
            found = next((one.key for one in devices if one.kind == kind and self._shown(one.key)), None)
            # One that is no more may come back, with its alarms: until there is another one its place is kept.
            first[kind] = found or first[kind]
        if self._config.device is not None:
            first[self._as(self._config.device)] = self._config.device
        for key, view in list(self._views.items()):
            if key is not None and key not in self._configured and not self._shown(key):
                self._views.pop(key).close()
                continue
            for kind, otherwise in first.items():
                view.show(kind, otherwise if key is None else key if self._as(key) == kind else None)
        if first["ups"] != before or self._notifications is None:
            self._moved.set()
        else:
            self._listen(self._notifications)

    def _as(self, key: str) -> str:
        """Tell by which MIBs a device is shown: a transfer switch by those of a UPS."""
        device = self.context.directory.find(key)
        return BATTERIES if device is not None and device.kind == BATTERIES else "ups"

    def _observe(self, change: Change) -> None:
        for view in self._views.values():
            view.follow(change)
        if change.devices:
            self._choose()
        if self._notifications is not None:
            self._notifications.follow(change)

    async def _notify(self, identity: EngineIdentity) -> None:
        """Run the notifications of the agent's own devices, whichever these are."""
        view = self._views[None]
        while True:
            self._moved.clear()
            if not view.trees:
                await self._moved.wait()
                continue
            tree = view.own
            notifications = self._notifications = Notifications(
                self._config,
                self.context,
                identity,
                Subject(self.context.directory, "") if tree is None else tree.subject,
                lambda: [one.alarms for one in view.trees],
                lambda: int(self.uptime() * 100),
                traffic=self.traffic,
                cold=self._cold,
                test=(lambda: (NO_TEST, 0)) if tree is None else tree.last_test,
            )
            self._cold = None
            for one in view.trees:
                one.told = notifications.alarm_changed
            telling = asyncio.create_task(notifications.run())
            moving = asyncio.create_task(self._moved.wait())
            try:
                await asyncio.wait((telling, moving), return_when=asyncio.FIRST_COMPLETED)
                if telling.done():
                    telling.result()
                    await self._moved.wait()
            finally:
                self._notifications = None
                for one in view.trees:
                    one.told = None
                for task in (telling, moving):
                    task.cancel()
                await asyncio.gather(telling, moving, return_exceptions=True)

    def _listen(self, notifications: Notifications) -> None:
        """Have the alarms of devices told that have come since."""
        for tree in self._views[None].trees:
            if tree.told is None:
                tree.told = notifications.alarm_changed
                notifications.alarms_found(tree.alarms)

    async def _count(self, callers: Callers) -> None:
        while True:
            await self.context.clock.sleep(_COUNT)
            callers.count()


__all__ = ["SERVED", "SHOWN", "SnmpFeed", "served"]
