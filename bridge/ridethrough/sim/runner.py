"""Running a simulation from the command line: its options, and the whole of `ridethrough simulate`."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
import sys
from typing import TextIO

from .blocks import CHEMISTRIES, BlockDesign
from .blocks.segment import BAUD
from .blocks.simulation import DEVICES as BATTERY_DEVICES, BatteryOptions, BatterySimulation
from .control import serve_control
from .designs import DEFAULT_DESIGN, DESIGNS
from .face import LOOPBACK, Address, Place
from .scenario import ScenarioError, find_scenario, scenarios
from .simulation import DEVICES, Simulation
from .speed import SPEEDS

_BAUD = 2400


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What to simulate."""

    device: str = "megatec"
    """A key of `DEVICES`, or one of those of a battery."""
    scenario: str | None = None
    """The name of a scenario, or the path of a file; None: nothing happens."""
    port: Path | None = None
    """The name to give to the serial line; None: only that of the pseudo terminal."""
    speed: float = 1.0
    """Simulated seconds per second."""
    control: Address | None = None
    """Host and port of the control; None: no control."""
    baud_pacing: bool = True
    """Whether bytes take their time."""
    design: str = DEFAULT_DESIGN
    """A key of `DESIGNS`."""
    list_scenarios: bool = False
    """Only say which scenarios there are."""
    address: Address | None = None
    """Host and port of a device on the network; None: a free port of the loopback."""
    trap: Address | None = None
    """Host and port that get its traps; None: none are sent."""
    battery: BatteryOptions = BatteryOptions()
    """The battery of the devices that are one."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of `simulate` to a parser."""
    parser.add_argument(
        "--device", choices=[*DEVICES, *BATTERY_DEVICES], default="megatec", help="the protocol (default: megatec)"
    )
    parser.add_argument("--design", choices=list(DESIGNS), default=DEFAULT_DESIGN, help="the UPS to simulate")
    parser.add_argument("--scenario", metavar="NAME|FILE", help="what happens to it; see --list")
    parser.add_argument("--port", type=Path, metavar="PATH", help="the name under which the serial line appears")
    parser.add_argument("--address", type=_address, metavar="[HOST:]PORT", help="where a device on the network listens")
    parser.add_argument("--trap", type=_address, metavar="[HOST:]PORT", help="where an SNMP device sends its traps")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="FACTOR", help="simulated seconds per second")
    parser.add_argument("--control", type=_address, metavar="[HOST:]PORT", help="listen for control over HTTP")
    parser.add_argument("--no-pacing", action="store_true", help="answer at once instead of at the pace of the line")
    parser.add_argument("--battery", type=int, default=40, metavar="BLOCKS", help="blocks of a battery (default: 40)")
    parser.add_argument("--strings", type=int, default=1, metavar="N", help="strings of a battery (default: 1)")
    parser.add_argument("--chemistry", choices=list(CHEMISTRIES), default="lead", help="of its blocks (default: lead)")
    parser.add_argument("--block-voltage", type=float, default=12.0, metavar="V", help="of a block (default: 12)")
    parser.add_argument("--capacity", type=float, default=7.0, metavar="AH", help="of a block (default: 7)")
    parser.add_argument("--boxes", type=int, choices=range(5), default=0, help="input and output boxes of a battery")
    parser.add_argument(
        "--breakers", choices=("none", "one", "each"), default="none", help="what the outputs of the boxes trip"
    )
    parser.add_argument("--no-sensors", action="store_true", help="a battery without current sensors")
    parser.add_argument("--noise", type=float, default=1.0, metavar="MV", help="of measured voltages (default: 1)")
    parser.add_argument("--ring", type=Path, metavar="PATH", help="the name of the other end of a module bus")
    parser.add_argument(
        "--segment", type=Path, action="append", default=[], metavar="PATH", help="another cable of a module bus"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")


def options_from(arguments: Namespace) -> SimulateOptions:
    """Take over what `add_arguments` has parsed."""
    return SimulateOptions(
        device=arguments.device,
        scenario=arguments.scenario,
        port=arguments.port,
        speed=arguments.speed,
        control=arguments.control,
        baud_pacing=not arguments.no_pacing,
        design=arguments.design,
        list_scenarios=arguments.list,
        address=arguments.address,
        trap=arguments.trap,
        battery=BatteryOptions(
            blocks=arguments.battery,
            strings=arguments.strings,
            design=BlockDesign(arguments.block_voltage, arguments.capacity, arguments.chemistry),
            boxes=arguments.boxes,
            breakers=arguments.breakers,
            sensors=not arguments.no_sensors,
            ring=arguments.ring,
            noise=arguments.noise / 1000.0,
            segments=tuple(arguments.segment),
        ),
    )


async def simulate(options: SimulateOptions, out: TextIO | None = None) -> None:
    """Simulate until cancelled. Prints where it is, then `ready`.

    Raises ScenarioError for a scenario or a battery that cannot be, OSError when a name or an address is taken.
    """
    out = out or sys.stdout
    if options.list_scenarios:
        out.write(listing())
        return
    simulation = _simulation(options)
    simulation.open()
    async with AsyncExitStack() as stack:
        stack.callback(simulation.close)
        control = "no control"
        if options.control is not None:
            control = f"control {await stack.enter_async_context(serve_control(simulation, *options.control))}"
        out.write(f"{options.device} on {simulation.where or options.port}, {control}\nready\n")
        out.flush()
        await simulation.run()


def _simulation(options: SimulateOptions) -> Simulation | BatterySimulation:
    if options.device in BATTERY_DEVICES:
        place = Place(options.port, BAUD if options.baud_pacing else None, options.address)
        try:
            return BatterySimulation(options.battery, device=options.device, place=place, speed=options.speed)
        except ValueError as error:
            raise ScenarioError(str(error)) from error
    return Simulation(
        DESIGNS[options.design],
        find_scenario(options.scenario or "steady"),
        device=options.device,
        place=Place(options.port, _BAUD if options.baud_pacing else None, options.address, options.trap),
        speed=options.speed,
    )


def listing() -> str:
    """List the scenarios that come with the package, one line each."""
    found = scenarios()
    width = max(len(name) for name in found)
    return "".join(f"{name:<{width}}  {scenario.description}\n" for name, scenario in found.items())


def _speed(given: str) -> float:
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not SPEEDS[0] <= factor <= SPEEDS[1]:
        raise ArgumentTypeError(f"{given!r} must be a number from {SPEEDS[0]:g} to {SPEEDS[1]:g}")
    return factor


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ArgumentTypeError(f"{given!r} must be a port or host:port, e.g. 8481 or {LOOPBACK}:8481")
    return host.strip("[]") or LOOPBACK, int(port)
