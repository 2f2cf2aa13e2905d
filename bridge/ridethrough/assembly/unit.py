"""One configured device and its link, as they run."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ridethrough.battery.children import children, corrections, layout_of
from ridethrough.battery.keeper import Keeper, Services
from ridethrough.clock import Clock
from ridethrough.config import DeviceConfig, UpsConfig
from ridethrough.config.battery import BatteryConfig
from ridethrough.links import Credentials, Link, LinkContext, LinkRunner, LinkState, LinkUrl, Parts, open_link
from ridethrough.site import Commands, Device, DeviceId, Memories, Site
from ridethrough.store import Charge
from ridethrough.tasks import Supervisor

from .derivations import work_out


def credentials(config: DeviceConfig) -> Credentials:
    """Return what the device's link needs for logging in."""
    return Credentials(config.username, config.password, config.community, config.privacy_password)


def build_link(config: DeviceConfig, context: LinkContext) -> Link:
    """Make a device's link, with its pipe; nothing is connected yet. Raises ValueError with a sentence."""
    if isinstance(config, BatteryConfig):
        context = replace(context, layout=layout_of(config))
    link = open_link(config.link, credentials(config), context)
    if isinstance(config, UpsConfig) and config.pipe is not None:
        link.pipe(config.pipe.port, config.pipe.allow)
    return link


class Unit:
    """A device of the configuration: puts it into the site, and owns the tasks of its link."""

    def __init__(
        self,
        config: DeviceConfig,
        link: Link,
        device: Device,
        site: Site,
        commands: Commands,
        clock: Clock,
        *,
        memories: Memories,
        mint: Callable[[str], DeviceId],
        known: bool,
        charge: Charge | None = None,
        services: Services | None = None,
    ) -> None:
        """Put the device into the site, with what the journal knows of it; `known`: it has been connected before.

        `charge` is the battery's last one that was worked out, `services` what battery systems need.
        """
        self.config = config
        self.id = device.id
        self._known = known
        self._supervisor = Supervisor(clock)
        self._over = False
        self._pauses = 0
        self.runner = LinkRunner(
            link,
            device,
            site,
            commands,
            clock,
            memories=memories,
            granted=config.allow,
            mint=mint,
            known=known,
            parts=parts(config),
        )
        self.keeper: Keeper | None = None
        if isinstance(config, BatteryConfig) and config.enabled:
            self.keeper = Keeper(
                config,
                device.id,
                site,
                commands,
                clock,
                bus=link.bus,
                mint=mint,
                judged=link.judges,
                services=services or Services(),
            )
        self._end_work = work_out(config, device.id, site, commands, clock, charge)

    @property
    def connected(self) -> bool:
        """Whether the device answers at the moment."""
        return self.runner.state is LinkState.CONNECTED

    @property
    def known(self) -> bool:
        """Whether it has ever been connected."""
        return self._known or self.runner.state in (LinkState.CONNECTED, LinkState.LOST)

    @property
    def port(self) -> str | None:
        """The serial port of its link; None when it has none."""
        return serial_port(self.config.link)

    def start(self) -> None:
        """Run the link, unless the configuration has switched the device off."""
        if self.config.enabled:
            if self.keeper is not None:
                self._supervisor.start(f"The keeper of {self.config.key}", self.keeper.run)
                self._supervisor.start(f"The memory of {self.config.key}", self.keeper.remember)
            self._supervisor.start(f"The link of {self.config.key}", self.runner.run)
        else:
            self.runner.disable()

    async def stop(self) -> Mapping[str, str]:
        """End the link; returns when its port is free, with what a battery system must not forget."""
        self._over = True
        await self._supervisor.stop()
        self.runner.close()
        self._end_work()
        return {} if self.keeper is None else await self.keeper.stop()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Leave the port to someone else for a while."""
        self._pauses += 1
        try:
            await self._supervisor.stop()
            yield
        finally:
            self._pauses -= 1
            if not self._over and not self._pauses:
                self.start()


def parts(config: DeviceConfig) -> Parts | None:
    """Return what the configuration says of the devices that belong to one; None where it says nothing."""
    if not isinstance(config, BatteryConfig):
        return None
    names = {(place.kind, str(place.number)): name for place, name in children(config)}
    return Parts(names, corrections(config))


def serial_port(link: str) -> str | None:
    """Return the path of the serial port that a link's URL names, None when it names none."""
    url = LinkUrl.parse(link)
    return url.path if url.path and not url.host and Path(url.path).is_absolute() else None


__all__ = ["Unit", "build_link", "credentials", "parts", "serial_port"]
