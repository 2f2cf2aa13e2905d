"""`ridethrough battery`: numbering modules, finding them and checking their line, without a bridge (manual M:5716–6145)."""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from ridethrough.links.context import LinkContext
from ridethrough.serial_line import LineSettings

from .frames import NUMBERS
from .options import BAUDS, End, end
from .programmer import LineCheck, Programmer, ProgrammerError
from .wire import Wire

type Say = Callable[[str], None]

GUARD = 0.02
"""Seconds by which answers may come later: nothing is in a hurry here."""
LOOK = 0.5
"""Seconds from one look whether a module still blinks to the next."""

EPILOG = """\
To number the modules of a new installation:
  1. stop the bridge, or have it let go of the port: one program at a time can use it,
  2. run `ridethrough battery reset PORT 1 512` if the modules have been used elsewhere,
  3. run `ridethrough battery assign PORT 1 LAST` and press the buttons of the modules one after the other, shortly,
     in the order of the blocks, string by string. Each shows by its slow green light that it has its number.
  4. look at the result with `ridethrough battery list PORT`.

PORT is a serial port as /dev/ttyUSB1, or the raw TCP port of a device server as 192.0.2.7:4001. For one end of a ring,
pull the cable off the other, or give it with --ring.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what may stand after `ridethrough battery`."""
    parser.epilog = EPILOG
    parser.formatter_class = RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _action(actions.add_parser("list", help="show all modules that answer"))
    find = _action(actions.add_parser("find", help="have a module blink until its button is pressed"))
    find.add_argument("number", type=int, help="its number, 0 for all that have none")
    assign = _action(actions.add_parser("assign", help="number modules one by one, by pressing their buttons"))
    assign.add_argument("first", type=int, help="the number of the first")
    assign.add_argument("last", type=int, help="the number of the last")
    assign.add_argument("--sound", action="store_true", help="have each press answered by a beep")
    change = _action(actions.add_parser("change", help="give a module another number"))
    change.add_argument("old", type=int, help="the number it has, 0 for none")
    change.add_argument("new", type=int, help="the number it shall have, 0 for none")
    reset = _action(actions.add_parser("reset", help="take the numbers away from modules"))
    reset.add_argument("first", type=int, help="the lowest number")
    reset.add_argument("last", type=int, help="the highest number")
    check = _action(actions.add_parser("check", help="send frames to a module and count what does not come back"))
    check.add_argument("number", type=int, help="its number; 0 has all modules show a light instead, on and off")
    check.add_argument("--frames", type=int, default=300, help="how many, 300 if not given")


def _action(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("port", metavar="PORT", help="the serial port of the bus, or host:port of a device server")
    parser.add_argument("--ring", metavar="PORT", help="the port at the other end of a ring")
    parser.add_argument("--baud", choices=BAUDS, default="115200", help="the speed of the line, 115200 if not given")
    return parser


def check_arguments(options: Namespace) -> None:
    """Raise ValueError, with a sentence, for what cannot be meant."""
    for port in filter(None, (options.port, options.ring)):
        end(port)
    zero = {"find": ("number",), "change": ("old", "new"), "check": ("number",)}.get(options.action, ())
    for name in ("first", "last", "old", "new", "number"):
        number = getattr(options, name, None)
        lowest = 0 if name in zero else 1
        if number is not None and not lowest <= number <= NUMBERS:
            raise ValueError(f"{number} is no number of a module; permitted: {lowest} to {NUMBERS}.")
    if getattr(options, "first", 1) > getattr(options, "last", NUMBERS):
        raise ValueError("The first number must not be above the last.")
    if getattr(options, "frames", 1) < 1:
        raise ValueError("At least one frame must be sent.")


async def work(options: Namespace, context: LinkContext, say: Say) -> None:
    """Do what was asked for; `say` is given what a person shall read.

    Raises LinkError with a sentence when the port cannot be used or something cannot be done.
    """
    line = LineSettings(baud=int(options.baud))
    async with AsyncExitStack() as stack:
        ring: list[Wire] = []
        for port in filter(None, (options.port, options.ring)):
            wire = _wire(end(port), line, context)
            stack.push_async_callback(wire.close)
            await wire.open()
            if ring:
                wire.beside(ring[0])
            ring += [wire]
        await _carry_out(options, Programmer([ring]), say)


def _wire(port: End, line: LineSettings, context: LinkContext) -> Wire:
    if port.path:
        return Wire.serial(context.ports, port.path, line, GUARD)
    return Wire.tcp(context.ports, port.host, port.port, line, GUARD)


async def _carry_out(options: Namespace, programmer: Programmer, say: Say) -> None:
    match options.action:
        case "list":
            await _list(programmer, say)
        case "find":
            await _find(programmer, options.number, say)
        case "assign":
            await _assign(programmer, options, say)
        case "change":
            serial = await programmer.change(options.old, options.new)
            was = f"Module {options.old}" if options.old else "The module without a number"
            told = f" (serial number {serial})" if serial else ""
            say(f"{was} is {options.new} now{told}." if options.new else f"{was} has no number now.")
        case "reset":
            left = await programmer.reset(options.first, options.last)
            if left:
                raise ProgrammerError(
                    f"Still there: {', '.join(map(str, left))}. Check the line to them, or hold their buttons for 20 s."
                )
            say(f"No module answers to the numbers from {options.first} to {options.last} any longer.")
        case "check":
            await _check(programmer, options, say)


async def _list(programmer: Programmer, say: Say) -> None:
    count = 0
    async for module in programmer.modules():
        count += 1
        say(
            f"{module.number:>3}  {module.type:>2} V  hardware {module.hardware:<6} firmware {module.firmware:<6} "
            f"serial number {module.serial}{'' if module.calibrated else '  NOT CALIBRATED'}"
        )
    if count:
        say(f"{count} modules answer.")
    async for number, holders in programmer.shared():
        count += 1
        say(f"{number:>3}  several modules have this number: {holders}")
    if not count:
        say("No module answers: check supply, wiring and --baud.")


async def _find(programmer: Programmer, number: int, say: Say) -> None:
    try:
        count = await programmer.find(number)
        if number == 0:
            say("All modules without a number blink. Ctrl-C ends it.")
        elif count > 1:
            say(f"{count} modules have number {number} and blink: one of them must lose it. Ctrl-C ends it.")
        else:
            say(f"Module {number} blinks until its button is pressed. Ctrl-C ends it.")
        while number == 0 or count > 1 or await programmer.blinking(number):
            await asyncio.sleep(LOOK)
        say("Its button has been pressed.")
    finally:
        await programmer.release(number)


async def _assign(programmer: Programmer, options: Namespace, say: Say) -> None:
    first, last = options.first, options.last

    def progress(number: int) -> None:
        if number >= first:
            say(f"Module {number} has its number ({number - first + 1} of {last - first + 1}).")
        if number < last:
            say(f"Press the button of module {number + 1}, shortly. Ctrl-C ends it.")

    await programmer.assign(first, last, sound=options.sound, progress=progress)


async def _check(programmer: Programmer, options: Namespace, say: Say) -> None:
    if options.number == 0:
        say("All modules shall be alight and dark in turns: look for those that are not. Ctrl-C ends it.")
        lit = True
        try:
            while True:
                await programmer.show(lit=lit)
                await asyncio.sleep(1.0)
                lit = not lit
        finally:
            await programmer.show(lit=False)

    def progress(check: LineCheck) -> None:
        if check.sent % 50 == 0 and check.sent < options.frames:
            say(str(check))

    say(str(await programmer.check(options.number, options.frames, progress)))


__all__ = ["add_arguments", "check_arguments", "work"]
