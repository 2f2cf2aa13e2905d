"""The command line."""

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
import json
import logging
import os
from pathlib import Path
import signal
import sys

import aiohttp

from ridethrough import __version__
from ridethrough.agents import commandline as agents
from ridethrough.agents.pairing import PairingError
from ridethrough.api import ApiStartError
from ridethrough.api.certificate import CertificateError, identity, served_fingerprint
from ridethrough.assembly.feeds import mib_files
from ridethrough.assembly.service import serve, store_of
from ridethrough.catalogue import Role
from ridethrough.clock import SystemClock
from ridethrough.config import EXAMPLE, BridgeConfig, ConfigError, advise, load
from ridethrough.config.listing import action_in_words, as_data, columns, listed, table
from ridethrough.config.placeholders import EXPLAINED as PLACEHOLDERS
from ridethrough.events import JournalError
from ridethrough.events.schedule import next_run
from ridethrough.events.zone import zone_of
from ridethrough.links import LINKS, Credentials, LinkContext, LinkError, check_link, check_links
from ridethrough.links.module_bus import commandline as module_bus
from ridethrough.links.probe import probe, render_table, to_json
from ridethrough.sim.runner import add_arguments, options_from, simulate
from ridethrough.sim.scenario import ScenarioError
from ridethrough.store import Store, StoreError

DEFAULT_CONFIG = "ridethrough.yaml"
CONFIG_VARIABLE = "RIDETHROUGH_CONFIG"
PASSWORD_VARIABLE = "RIDETHROUGH_PASSWORD"
PRIVACY_VARIABLE = "RIDETHROUGH_PRIVACY_PASSWORD"
COMMUNITY_VARIABLE = "RIDETHROUGH_COMMUNITY"
TOKEN_VARIABLE = "RIDETHROUGH_TOKEN"
_EXPECTED = (
    ApiStartError,
    CertificateError,
    ConfigError,
    JournalError,
    LinkError,
    OSError,
    PairingError,
    ScenarioError,
    StoreError,
    ValueError,
)
"""What a person can do something about: its message says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 1 when it did not, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # It says two lines for every statement, of which nobody wants to know.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    try:
        return asyncio.run(_work(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `ridethrough trace … | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


async def _work(options: argparse.Namespace) -> int:
    """Do what was asked for; when told to end, end in order, and say so by the code that shells expect."""
    task = asyncio.current_task()
    assert task is not None
    terminated = asyncio.Event()

    def terminate() -> None:
        terminated.set()
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return int(await options.work(options))
    except asyncio.CancelledError:
        if terminated.is_set():
            return 128 + signal.SIGTERM
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ridethrough", description="UPS and battery management: the bridge that owns the links to the equipment."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is of interest when something is odd")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, work: Callable[[argparse.Namespace], object], told: str) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
        child.set_defaults(work=work)
        return child

    config = os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)
    told = f"the configuration file (default: ${CONFIG_VARIABLE} or {DEFAULT_CONFIG})"

    child = command("run", _run, "run the bridge until it is told to stop")
    child.add_argument("config", nargs="?", type=Path, default=Path(config), help=told)

    child = command("check", _check, "check a configuration file and name every mistake in it")
    child.add_argument("config", nargs="?", type=Path, default=Path(config), help=told)
    child.add_argument("--example", action="store_true", help="print a configuration with every setting explained")

    child = command("jobs", _jobs, "list events with the jobs that a configuration file has for them")
    child.add_argument("config", nargs="?", type=Path, default=Path(config), help=told)
    child.add_argument(
        "--search", default="", metavar="TEXT", help="events whose device, condition or name contains this"
    )
    child.add_argument("--count", type=int, metavar="N", help="events that have so many jobs; 0: those without any")
    child.add_argument("--event", metavar="CONDITION", help="events of this condition, e.g. on_battery")
    child.add_argument("--placeholders", action="store_true", help="explain what may stand in braces in texts, and end")
    child.add_argument("--json", action="store_true", help="print JSON instead of a table")
    child.epilog = "Without --search, --count and --event: all events that have jobs, and the schedule."

    child = command("probe", _probe, "connect once to a device and print every point it reads")
    child.add_argument("url", help=f"e.g. {', '.join(kind.example for kind in LINKS.values())}")
    child.add_argument("--json", action="store_true", help="print JSON instead of a table")
    child.add_argument(
        "--username",
        help=f"user name, if the device wants one; the password comes from ${PASSWORD_VARIABLE}, "
        f"that for encryption with SNMPv3 from ${PRIVACY_VARIABLE}",
    )
    child.add_argument("--community", help=f"of SNMP v1 and v2c (default: ${COMMUNITY_VARIABLE} or public)")
    child.add_argument("--timeout", type=float, default=15.0, metavar="SECONDS", help="how long to try (default: 15)")

    child = command("simulate", _simulate, "simulate a UPS on a serial line or on the network, with outages to order")
    add_arguments(child)

    child = command("trace", _trace, "show what goes over the line of a running bridge's device")
    child.add_argument("device", help="the id of the device in the configuration, e.g. ups-1")
    child.add_argument("--url", help="the bridge's API (default: as the configuration file says)")
    child.add_argument("--config", type=Path, default=Path(config), help=told)
    child.add_argument("--save", type=Path, metavar="FILE", help="write it to a file as well")
    child.add_argument("--fingerprint", help="SHA-256 of the bridge's certificate, when it is self-signed and far away")

    child = command("agent", _agent, "pair the shutdown agents of protected computers, list and forget them")
    agents.add_arguments(child)
    child.add_argument("--config", type=Path, default=Path(config), help=told)

    child = command("battery", _battery, "number, find and check battery modules on their bus, without a bridge")
    module_bus.add_arguments(child)

    child = command("mibs", _mibs, "list, print or save the MIB files that describe the SNMP agent to managers")
    child.add_argument("name", nargs="?", help="print this file")
    child.add_argument("--save", type=Path, metavar="FOLDER", help="write all of them into this folder")

    child = command("token", _token, "make, list and revoke the tokens that clients of the API need")
    child.add_argument("action", choices=("create", "list", "revoke"))
    child.add_argument("name", nargs="?", help="a name for the token, e.g. home-assistant")
    child.add_argument("--role", type=Role, choices=list(Role), default=Role.CUSTOMER, help="default: customer")
    child.add_argument("--config", type=Path, default=Path(config), help=told)
    return parser


def _config(options: argparse.Namespace) -> BridgeConfig:
    return load(options.config, check_link, check_links)


async def _check(options: argparse.Namespace) -> int:
    if options.example:
        print(EXAMPLE, end="")
        return 0
    config = _config(options)
    now = datetime.now(zone_of(config.jobs.time_zone)).replace(tzinfo=None) if config.jobs.schedule else None
    for problem in advise(options.config, config, now):
        print(problem)
    devices = "1 device" if len(config.devices) == 1 else f"{len(config.devices)} devices"
    print(f"{options.config}: no mistakes; {config.name}, {devices}")
    return 0


async def _jobs(options: argparse.Namespace) -> int:
    if options.placeholders:
        print(columns([(f"{{{word}}}", told) for word, told in PLACEHOLDERS.items()]))
        return 0
    config = _config(options)
    events = listed(config, search=options.search, count=options.count, condition=options.event)
    everything = not options.search and options.count is None and options.event is None
    schedule = _schedule(config) if everything else []
    if options.json:
        print(json.dumps({"events": as_data(events), "schedule": schedule}, indent=2, ensure_ascii=False))
        return 0
    if events:
        print(table(events))
    elif not schedule:
        print("No event has a job." if everything else "There are no such events.")
    if schedule:
        rows = [[str(one[key]) for key in ("id", "repeat", "next", "what")] for one in schedule]
        print(("\n" if events else "") + columns([("SCHEDULE", "REPEAT", "NEXT", "WHAT"), *rows]))
    return 0


def _schedule(config: BridgeConfig) -> list[dict[str, object]]:
    """Return the scheduled jobs with when they are due next, in local time."""
    zone, now = zone_of(config.jobs.time_zone), SystemClock().utc()
    runs = ((one, next_run(one, zone, now) if one.enabled else None) for one in config.jobs.schedule)
    return [
        {
            "id": one.key,
            "name": one.name,
            "enabled": one.enabled,
            "repeat": one.repeat,
            "late": one.late,
            "next": "never" if run is None else run.at.astimezone(zone).isoformat(" ", "minutes"),
            "action": one.action.name,
            "what": action_in_words(one.action),
        }
        for one, run in runs
    ]


async def _probe(options: argparse.Namespace) -> int:
    credentials = Credentials(
        options.username,
        os.environ.get(PASSWORD_VARIABLE),
        options.community or os.environ.get(COMMUNITY_VARIABLE),
        os.environ.get(PRIVACY_VARIABLE),
    )
    result = await probe(options.url, credentials, LinkContext.alone(SystemClock()), timeout=options.timeout)
    print(to_json(result) if options.json else render_table(result))
    return 0


async def _simulate(options: argparse.Namespace) -> int:
    await simulate(options_from(options))
    return 0


async def _token(options: argparse.Namespace) -> int:
    if options.action != "list" and not options.name:
        raise ValueError(f"ridethrough token {options.action} needs the token's name")
    config = _config(options)
    async with Store.open(store_of(config)) as store:
        match options.action:
            case "create":
                secret = await store.tokens.create(options.name, options.role)
                print(f"The token of {options.name} ({options.role}); it is shown only this once:", file=sys.stderr)
                print(secret)
                own = await asyncio.to_thread(identity, config.api, config.data, SystemClock())
                if own is not None:
                    print(f"Clients will be shown this fingerprint of the bridge: {own.fingerprint}", file=sys.stderr)
            case "list":
                for token in await store.tokens.list():
                    used = (
                        "never used" if token.last_used is None else f"last used {token.last_used:%Y-%m-%d %H:%M} UTC"
                    )
                    print(f"{token.name:<24} {token.role:<9} {used}")
            case "revoke":
                if not await store.tokens.revoke(options.name):
                    raise ValueError(f"There is no token called {options.name}")
                print(f"The token {options.name} is revoked; whoever is connected with it is disconnected.")
    return 0


async def _agent(options: argparse.Namespace) -> int:
    agents.check_arguments(options)
    config = _config(options)
    async with Store.open(store_of(config)) as store:
        await agents.work(options, config, store, SystemClock(), lambda text: print(text, flush=True))
    return 0


async def _battery(options: argparse.Namespace) -> int:
    module_bus.check_arguments(options)
    context = LinkContext.alone(SystemClock())
    try:
        await module_bus.work(options, context, lambda text: print(text, flush=True))
    finally:
        await context.ports.close()
    return 0


async def _mibs(options: argparse.Namespace) -> int:
    files = mib_files()
    if options.save is not None:
        for path in await asyncio.to_thread(_save, options.save, files):
            print(path)
    elif options.name is None:
        print(*files, sep="\n")
    elif options.name in files:
        print(files[options.name], end="")
    else:
        raise ValueError(f"There is no MIB file {options.name}; there are {', '.join(files)}")
    return 0


def _save(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files; one that is there already and not our own stays, for it may be the original of a standard module."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and not name.startswith("RIDETHROUGH-"):
            continue
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


async def _trace(options: argparse.Namespace) -> int:
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise ValueError(f"Put a token of the role engineer into ${TOKEN_VARIABLE} (ridethrough token create …)")
    base, fingerprint = options.url, options.fingerprint
    if base is None:
        config = _config(options)
        own = served_fingerprint(config.api, config.data)
        fingerprint = fingerprint or own
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.api.listen, config.api.listen).strip("[]")
        base = f"{'http' if own is None else 'https'}://{f'[{host}]' if ':' in host else host}:{config.api.port}"
    url = f"{base.rstrip('/')}/api/v1/trace/{options.device}"
    try:
        await _follow(url, token, fingerprint, options.save)
    except aiohttp.ServerFingerprintMismatch as error:
        raise ValueError(f"{url} shows another certificate than expected: {error.got.hex()}") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise ValueError(f"{error}; --fingerprint accepts one that is self-signed") from error
    except aiohttp.ClientError as error:
        raise ValueError(f"{url}: {error}") from error
    return 0


async def _follow(url: str, token: str, fingerprint: str | None, save: Path | None) -> None:
    """Print a trace until the bridge ends it."""
    pinned: aiohttp.Fingerprint | bool = True
    if fingerprint:
        try:
            pinned = aiohttp.Fingerprint(bytes.fromhex(fingerprint.replace(":", "")))
        except ValueError as error:
            raise ValueError(
                f"{fingerprint!r} is no SHA-256 fingerprint; the bridge logs its own when it starts"
            ) from error
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, timeout=timeout) as session,
        session.get(url, ssl=pinned) as response,
    ):
        if response.status != 200:
            raise ValueError(f"{url} answered {response.status}: {(await response.text()).strip()}")
        async for line in response.content:
            text = line.decode("utf-8", "replace")
            print(text, end="", flush=True)
            if save:
                await asyncio.to_thread(_append, save, text)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


async def _run(options: argparse.Namespace) -> int:
    stop, reread = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reread.set)
    await serve(options.config, stop, reread)
    return 0
