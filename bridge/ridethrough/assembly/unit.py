"""One configured device and its link, as they run."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ridethrough.clock import Clock
from ridethrough.config import DeviceConfig, UpsConfig
from ridethrough.links import Credentials, Link, LinkContext, LinkRunner, LinkState, LinkUrl, open_link
from ridethrough.site import Commands, Device, DeviceId, Memories, Site
from ridethrough.store import Charge
from ridethrough.tasks import Supervisor

from .derivations import work_out


def credentials(config: DeviceConfig) -> Credentials:
    """Return what the device's link needs for logging in."""
    return Credentials(config.username, config.password, config.community, config.privacy_password)


def build_link(config: DeviceConfig, context: LinkContext) -> Link:
    """Make a device's link, with its pipe; nothing is connected yet. Raises ValueError with a sentence."""
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
    ) -> None:
        """Put the device into the site, with what the journal knows of it; `known`: it has been connected before.

        `charge` is the battery's last one that was worked out.
        """
        self.config = config
        self.id = device.id
        self._known = known
        self._supervisor = Supervisor(clock)
        self._over = False
        self._pauses = 0
        self.runner = LinkRunner(
            link, device, site, commands, clock, memories=memories, granted=config.allow, mint=mint, known=known
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
            self._supervisor.start(f"The link of {self.config.key}", self.runner.run)
        else:
            self.runner.disable()

    async def stop(self) -> None:
        """End the link; returns when its port is free."""
        self._over = True
        await self._supervisor.stop()
        self.runner.close()
        self._end_work()

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


def serial_port(link: str) -> str | None:
    """Return the path of the serial port that a link's URL names, None when it names none."""
    url = LinkUrl.parse(link)
    return url.path if url.path and not url.host and Path(url.path).is_absolute() else None


__all__ = ["Unit", "build_link", "credentials", "serial_port"]
