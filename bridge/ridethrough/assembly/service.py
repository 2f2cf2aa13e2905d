"""The running bridge: everything put together in order, and taken apart in the reverse one."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
import gc
import logging
from pathlib import Path

from ridethrough import __version__
from ridethrough.api import ApiServer, ApiStartError
from ridethrough.battery.keeper import Services
from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.clock import Clock, SystemClock
from ridethrough.config import BridgeConfig, ConfigError, Problem, profiles
from ridethrough.config.file import ConfigFile
from ridethrough.events import EdgeKind, Event, EventKind, JournalError, Orders, Recorder, tell_unfinished
from ridethrough.events.zone import zone_of
from ridethrough.feeds import Directory, FeedContext
from ridethrough.links import LinkContext, SerialPorts, TrapListener, check_link, check_links
from ridethrough.site import Commands, Device, Memories, Site, keep_expiring
from ridethrough.store import Store
from ridethrough.tasks import Supervisor

from .automation import Automation, AutomationContext
from .battery_log import entering, opened_log
from .charges import ChargeKeeper
from .configuration import Configuration
from .feeds import Feeds, mib_files
from .notes import Notes
from .plant import Plant

_LOGGER = logging.getLogger(__name__)

API_RETRY = 10.0
"""Seconds between two attempts to listen on an address that is not there yet."""
FAREWELL = 1.0
"""Seconds that stopping waits for commands under way."""
JOURNAL_PATIENCE = 5.0
"""Seconds that starting and stopping wait for the journal."""


def store_of(config: BridgeConfig) -> Path:
    """Return where the bridge keeps what it remembers."""
    return config.data / "ridethrough.db"


async def serve(path: Path, stop: asyncio.Event, reread: asyncio.Event, clock: Clock | None = None) -> None:
    """Be the bridge of this configuration file until `stop`; `reread` has it read the file again.

    It goes by `clock`, which is the machine's own but where hours are to pass in minutes. Raises what keeps it from starting: ConfigError, StoreError, ApiStartError, ValueError.
    """
    file = ConfigFile(path, check_link, check_links)
    config = await asyncio.to_thread(file.load)
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(store_of(config), clock))
        stack.enter_context(store.owned())
        site = Site(load_catalogue(), clock)
        traps = None if config.traps is None else TrapListener(clock, config.traps.listen, config.traps.port)
        context = LinkContext(clock, SerialPorts(clock), traps=traps, site=site)
        commands, memories = Commands(site), Memories(site)
        identities = store.identities
        bridge = Device(
            identities.bridge_id, "bridge", "bridge", config.name, model="Ridethrough", firmware=__version__
        )
        site.put(bridge)
        recorder = Recorder(site, store.journal, clock)
        stack.push_async_callback(recorder.close)
        await recorder.restore()
        known = await store.journal.devices()
        battery_log = await opened_log(config, clock, stack)
        notes = Notes(store.inventory, site)
        plant = Plant(
            bridge,
            site,
            commands,
            context,
            memories=memories,
            mint=identities.mint,
            known=known,
            charges=await store.charges.load(),
            services=Services(
                store.batteries,
                await store.batteries.load(),
                zone_of(config.jobs.time_zone),
                inventory=notes,
                log=None if battery_log is None else entering(battery_log),
            ),
        )
        keeper = ChargeKeeper(site, store.charges, clock)
        for device in config.devices:
            try:
                plant.add(device)
            except ValueError as error:
                raise ConfigError([Problem(path, 0, f"{device.key}: {error}")]) from error
        models = [(profile.key, profile.title) for profile in profiles().values()]
        orders = Orders(site, commands, recorder, clock, pending=store.pending)
        stack.push_async_callback(orders.stop, FAREWELL)
        feeds = Feeds(
            FeedContext(
                site=site,
                directory=Directory(site),
                orders=orders,
                events=recorder,
                clock=clock,
                numbers=store.numbers,
                facts=store.facts,
                bridge=bridge,
                version=__version__,
                data=config.data,
            ),
            commands,
            identities.mint,
        )
        automation = Automation(
            AutomationContext(site, commands, orders, recorder, store, clock, bridge, config.data), config
        )
        configuration = Configuration(
            file, config, plant, bridge, recorder, clock, models=models, feeds=feeds, automation=automation
        )
        supervisor = await stack.enter_async_context(Supervisor(clock))
        supervisor.start("The recorder of events", recorder.run)
        await tell_unfinished(store.pending, recorder, clock)
        if traps is not None:
            supervisor.start("The trap port", traps.run)
        supervisor.start("The watch over old readings", lambda: keep_expiring(site, clock))
        supervisor.start("The watch over the configuration", lambda: _reread(configuration, reread))
        supervisor.start("The keeper of charges", keeper.run)
        supervisor.start("The watch over notes", notes.run)
        if battery_log is not None:
            supervisor.start("The battery log", battery_log.run)
        stack.push_async_callback(plant.stop)
        stack.push_async_callback(keeper.save)
        for unit in plant.units.values():
            unit.start()
        await feeds.configure(config.feeds)
        stack.push_async_callback(feeds.stop)
        stack.push_async_callback(automation.stop, FAREWELL)
        await automation.start()
        if config.api.enabled:
            api = await stack.enter_async_context(Supervisor(clock))

            def server() -> ApiServer:
                return ApiServer(
                    config.api,
                    site,
                    commands,
                    recorder,
                    store.journal,
                    store.tokens,
                    clock,
                    bridge=bridge,
                    pending=store.pending,
                    memories=memories,
                    version=__version__,
                    data=config.data,
                    traces=plant,
                    configurator=configuration,
                    mibs=mib_files,
                    battery_log=battery_log,
                    inventory=notes,
                )

            decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            api.start("The API", lambda: _serve(server, clock, decided))
            await decided
        await _record("started", bridge, recorder, clock)
        # What exists now lives as long as the bridge: garbage collection need not look at it again and again.
        gc.collect()
        gc.freeze()
        _LOGGER.info(
            "Ridethrough %s runs: %s", __version__, ", ".join(unit for unit in plant.units) or "no devices yet"
        )
        await stop.wait()
        await _record("stopped", bridge, recorder, clock)


async def _reread(configuration: Configuration, wanted: asyncio.Event) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        await configuration.reload()


async def _serve(make: Callable[[], ApiServer], clock: Clock, decided: asyncio.Future[None]) -> None:
    """Serve the API until cancelled. After a power failure its address may come later than the bridge: wait for it.

    `decided` is told when it serves or waits, or why it never will.
    """
    while True:
        server = make()
        try:
            await server.start()
        except ApiStartError as error:
            if not error.may_pass and not decided.done():
                decided.set_exception(error)
                return
            if not decided.done():
                _LOGGER.warning("%s It is tried again until it works; the bridge does everything else.", error)
                decided.set_result(None)
            await clock.sleep(API_RETRY)
            continue
        if not decided.done():
            decided.set_result(None)
        try:
            await asyncio.Event().wait()
        finally:
            await server.stop()


async def _record(key: str, bridge: Device, recorder: Recorder, clock: Clock) -> None:
    """Note in the journal what the bridge did; a full disk neither keeps it from starting nor from stopping."""
    details = {"version": __version__}
    event = Event(clock.utc(), EventKind.SYSTEM, bridge.id, key, EdgeKind.OCCURRED, Severity.INFO, details)
    with suppress(TimeoutError, JournalError):
        async with asyncio.timeout(JOURNAL_PATIENCE):
            await recorder.record(event)


__all__ = ["serve", "store_of"]
