"""The NUT server as a feed."""

import asyncio
from collections.abc import Callable
from functools import partial
import ssl
from typing import ClassVar

from ridethrough.config.feeds import NutConfig
from ridethrough.config.tls import TlsConfig
from ridethrough.feeds.base import Feed, FeedContext, FeedError, Traffic

from .accounts import Accounts
from .connections import Connections
from .dialogue import Server
from .forced import Forced, boot
from .lines import Lines
from .queries import Queries
from .tracking import Tracking
from .ups import Upses


class NutFeed(Feed):
    """Serves every UPS and transfer switch to clients of Network UPS Tools."""

    name: ClassVar[str] = NutConfig.name

    def __init__(self, config: NutConfig, context: FeedContext, traffic: Traffic) -> None:
        """See `Feed`."""
        super().__init__(context, traffic)
        self._config = config

    async def serve(self, ready: Callable[[str], None]) -> None:
        """See `Feed`."""
        config, context = self._config, self.context
        tls = None if config.tls is None else await asyncio.to_thread(_certified, config.tls)
        forced = Forced(context.site, context.facts, context.clock, await asyncio.to_thread(boot))
        upses = Upses(context.directory, context.version, forced.__contains__)
        connections = Connections(config, self.traffic, context.clock, tls)
        server = Server(
            config=config,
            upses=upses,
            queries=Queries(upses, context.site.catalogue, context.version, connections.logins),
            accounts=Accounts(config.users, context.clock),
            forced=forced,
            tracking=Tracking(),
            orders=context.orders,
            encrypts=tls is not None,
        )
        await forced.load()
        accept = partial(connections.accept, server=server)
        listening = await _listen(config, lambda: Lines(accept))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(forced.run())
                host, port, *_ = listening.sockets[0].getsockname()
                ready(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        finally:
            listening.close()
            await connections.stop()
            for giving in server.giving:
                giving.cancel()


async def _listen(config: NutConfig, protocol: Callable[[], Lines]) -> asyncio.Server:
    where = f"{config.listen} port {config.port}"
    try:
        return await asyncio.get_running_loop().create_server(protocol, config.listen, config.port, reuse_address=True)
    except OSError as error:
        raise FeedError(
            f"The NUT server cannot listen at {where}: {error.strerror or error}. "
            "Does an upsd run on this computer? Choose another port: under feeds: nut: then."
        ) from error


def _certified(config: TlsConfig) -> ssl.SSLContext:
    """Make what a server needs to encrypt. It reads files: call it in a thread. Raises FeedError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(config.certificate, config.key, password="")
    except ssl.SSLError as error:
        raise FeedError(
            f"The NUT server's certificate {config.certificate} and its key {config.key} cannot be used: "
            f"{error.reason or error}. Both must be in PEM form, without a password, and belong together."
        ) from error
    except OSError as error:
        raise FeedError(
            f"The NUT server's certificate {config.certificate} or its key {config.key} cannot be read: {error.strerror}."
        ) from error
    return context


__all__ = ["NutFeed"]
