"""The command `ridethrough-agent`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
import os
from pathlib import Path
import subprocess
import sys

from . import VERSION
from .boot import boot_identity
from .bridges import Bridges, PairingError, fault
from .configuration import Configuration, ConfigurationError, read_configuration
from .installation import for_this_system
from .logs import set_up
from .memory import Memory
from .pairing import pair, read_host
from .service import AlreadyRunning, lock, serve
from .systems import configuration_path, guard_own_folder
from .texts import clean
from .votes import Votes

EPILOGUE = """\
first steps:
  on the bridge:       ridethrough agent invite nas        (prints a code)
  on this computer:    ridethrough-agent pair bridge.local ABCD-EFGH-IJKL-MNOP-QRST-UVWX
                       ridethrough-agent check
                       ridethrough-agent run --dry-run     (try it: the shutdown command is only logged)
                       ridethrough-agent install           (started with the computer from now on)

The configuration is optional; everything that may be in it is in the README.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ridethrough-agent",
        description="Shuts this computer down when the Ridethrough bridges that it is paired with say so.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ridethrough-agent {VERSION}")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"the configuration ({configuration_path()}, which need not exist)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add = commands.add_parser("pair", help="pair with a bridge that has an invitation open")
    add.add_argument("host", metavar="HOST[:PORT]", help="where the bridge is (port 6005 when not given)")
    add.add_argument("code", nargs="+", help="what `ridethrough agent invite` printed there")
    add.add_argument("--name", help="what this computer calls itself (else its host name, or the configuration's)")
    end = commands.add_parser("unpair", help="take no more commands from a bridge")
    end.add_argument("bridge", help="its name or id, as `status` shows it")
    run = commands.add_parser("run", help="work, until stopped")
    run.add_argument("--dry-run", action="store_true", help="only log the shutdown command; all else is done")
    commands.add_parser("status", help="show pairings, votes, and whether the agent runs")
    commands.add_parser("check", help="check configuration, programs and pairings")
    install = commands.add_parser("install", help="have the system start the agent (systemd, launchd, Windows task)")
    install.add_argument("--print", action="store_true", dest="show", help="only show what would be written and run")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; returns the exit code: 2 for what was asked wrongly, 1 for what failed."""
    if sys.version_info < (3, 9):
        print("ridethrough-agent needs Python 3.9 or newer", file=sys.stderr)
        return 2
    options = _parser().parse_args(arguments)
    try:
        path = options.config or configuration_path()
        configuration = read_configuration(path, must_exist=options.config is not None)
        return _do(options, configuration)
    except ConfigurationError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return 2
    except (PairingError, AlreadyRunning) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{options.command} failed: {error}", file=sys.stderr)
        return 1


def _do(options: argparse.Namespace, configuration: Configuration) -> int:
    bridges = Bridges(configuration.state / "bridges")
    if options.command == "run":
        return _run(configuration, options.dry_run)
    if options.command == "pair":
        guard_own_folder()
        host, port = read_host(options.host)
        name = clean(options.name or configuration.name, 64)
        bridge = pair(bridges, host, port, "".join(options.code), name, configuration.port)
        print(f"Paired with {bridge.name} ({bridge.id}).")
        return 0
    if options.command == "unpair":
        ended = bridges.remove(options.bridge)
        for bridge in ended:
            print(f"No longer paired with {bridge.name} ({bridge.id}).")
        if not ended:
            raise PairingError(f"not paired with {options.bridge}; `ridethrough-agent status` shows the bridges")
        return 0
    if options.command == "install":
        return _install(options)
    return _check(configuration, bridges) if options.command == "check" else _status(configuration, bridges)


def _run(configuration: Configuration, dry_run: bool) -> int:
    if dry_run:
        configuration = replace(configuration, dry_run=True)
    os.umask(0o077)
    set_up(configuration)
    asyncio.run(serve(configuration))
    return 0


def _check(configuration: Configuration, bridges: Bridges) -> int:
    """Tell what will not work; the configuration itself was read without a mistake."""
    faults = configuration.warnings()
    paired = bridges.read()
    faults += [found for bridge in paired if (found := fault(bridge)) is not None]
    senders = len(paired) + (len(configuration.datagrams.senders) if configuration.datagrams.enabled else 0)
    if not senders:
        faults.append("not paired with any bridge: ridethrough-agent pair HOST CODE")
    elif configuration.needed > senders:
        faults.append(f"[senders] needed = {configuration.needed}, but there are {senders}: it will never shut down")
    for line in faults:
        print(line)
    if not faults:
        print(f"All is well. The shutdown command is: {' '.join(configuration.command)}")
    return 1 if faults else 0


def _status(configuration: Configuration, bridges: Bridges) -> int:
    remembered = Memory(configuration.state / "state.json", boot_identity()).load(put_aside=False)
    try:
        held = lock(configuration.state)
        running = False
        if held is not None:
            held.close()
    except AlreadyRunning:
        running = True
    print(f"The agent {'runs' if running else 'does not run'} as {configuration.name}.")
    for bridge in bridges.read():
        known, vote = remembered.senders.get(bridge.id), remembered.votes.get(bridge.id)
        parts = ["connected" if running and known is not None and known.connected else "not connected"]
        if known is not None and known.on_battery:
            parts.append("on battery when it was last heard")
        if vote is not None:
            parts.append(f"wants a shutdown{f' ({vote.reason})' if vote.reason else ''}")
        print(f"  {bridge.name} ({bridge.id}): {', '.join(parts)}")
    votes = Votes(configuration.needed, remembered.votes)
    print(f"{len(votes.names)} want a shutdown, {votes.needed} must.")
    return 0


def _install(options: argparse.Namespace) -> int:
    started = Path(sys.argv[0]).resolve()
    # The one file is started by its path, an installed package by its name.
    this = [str(started)] if started.suffix == ".pyz" else ["-m", __package__ or "ridethrough_agent"]
    config = ["--config", str(options.config.resolve())] if options.config else []
    installation = for_this_system([sys.executable, *this, *config, "run"])
    if options.show:
        print(f"would write {installation.path}:\n\n{installation.text}\nand run:")
        for command in installation.commands:
            print(f"  {subprocess.list2cmdline(command)}")
        return 0
    guard_own_folder()
    installation.install()
    print(f"Written: {installation.path}. The agent runs from now on, and is started with the computer.")
    return 0


__all__ = ["main"]
