"""The feeds of the bridge, as the configuration has them and people switch them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from ridethrough.config.feeds import FeedConfig, FeedsConfig
from ridethrough.feeds import Feed, FeedContext, Service, Traffic
from ridethrough.site import Commands, DeviceId
from ridethrough.tasks import Supervisor


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a feed is found. It is imported when it is first needed: some of their libraries are large."""

    module: str
    """Has a `make(config, context, traffic)`, and a `prepare()` where there is something to load."""
    testable: bool = False


KINDS = {
    "modbus": Kind("ridethrough.feeds.modbus"),
    "snmp": Kind("ridethrough.feeds.snmp", testable=True),
    "bacnet": Kind("ridethrough.feeds.bacnet"),
    "syslog": Kind("ridethrough.feeds.syslog", testable=True),
    "nut": Kind("ridethrough.feeds.nut"),
}
"""By the name of their section."""


def mib_files() -> Mapping[str, str]:
    """Give the files that describe what the SNMP agent serves, by their names; takes a while the first time."""
    files: Mapping[str, str] = import_module("ridethrough.feeds.snmp.mib_file").mib_files()
    return files


class Feeds:
    """Owns the services, each with a task of its own."""

    def __init__(self, context: FeedContext, commands: Commands, mint: Callable[[str], DeviceId]) -> None:
        """Begin without feeds; `mint` gives a service its identity."""
        self._context = context
        self._commands = commands
        self._mint = mint
        self._running: dict[str, tuple[FeedConfig, bool, Service, Supervisor]] = {}

    def __iter__(self) -> Iterator[Service]:
        """Give the services that there are."""
        return (service for _, _, service, _ in self._running.values())

    async def configure(self, config: FeedsConfig) -> list[str]:
        """Have the feeds that the configuration has; those that it has not changed go on. Returns who changed."""
        wanted = {one.name: one for one in config}
        granted = "feed" in config.allow
        changed = []
        for name, (current, was_granted, _, _) in list(self._running.items()):
            if wanted.get(name) != current or was_granted != granted:
                changed.append(name)
                await self._end(name, for_good=name not in wanted)
        for name, one in wanted.items():
            if name not in self._running:
                self._start(one, granted=granted)
                changed.append(name)
        return sorted(set(changed))

    async def stop(self) -> None:
        """End all feeds."""
        for name in list(self._running):
            await self._end(name)

    def _start(self, config: FeedConfig, *, granted: bool) -> None:
        kind = KINDS[config.name]

        def make(traffic: Traffic) -> Feed:
            feed = import_module(kind.module).make(config, self._context, traffic)
            assert isinstance(feed, Feed)
            return feed

        service = Service(
            config.name,
            config.title,
            make,
            self._context,
            self._commands,
            self._mint(f"{self._context.bridge.key}/feed-{config.name}"),
            enabled=config.enabled,
            granted=granted,
            testable=kind.testable,
            prepare=lambda: _prepare(kind, self._context),
        )
        supervisor = Supervisor(self._context.clock)
        supervisor.start(f"The feed {config.title}", service.run)
        self._running[config.name] = config, granted, service, supervisor

    async def _end(self, name: str, *, for_good: bool = False) -> None:
        _, _, service, supervisor = self._running.pop(name)
        if for_good:
            service.retire()
        await supervisor.stop()


def _prepare(kind: Kind, context: FeedContext) -> None:
    """Load what a feed needs, which takes long when it is done for the first time."""
    context.site.catalogue.prepare()
    module = import_module(kind.module)
    getattr(module, "prepare", lambda: None)()


__all__ = ["KINDS", "Feeds", "Kind", "mib_files"]
