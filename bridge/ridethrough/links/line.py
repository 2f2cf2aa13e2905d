"""How a link URL sets a serial line."""

from collections.abc import Mapping

import serial

from ridethrough.serial_line import PARITIES, LineSettings

from .option import choice

CHOICES: Mapping[str, Mapping[str, int | str | bool]] = {
    "baud": {str(baud): baud for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)},
    "parity": PARITIES,
    "stop": {"1": serial.STOPBITS_ONE, "2": serial.STOPBITS_TWO},
    "dtr": {"on": True, "off": False},
    "rts": {"on": True, "off": False},
}
"""The options of a link URL that set the line, and what each may be."""


LINE_OPTIONS = (
    choice("baud", "characters' bits per second", CHOICES["baud"], "2400"),
    choice("parity", "the parity bit", CHOICES["parity"], "none"),
    choice("stop", "stop bits", CHOICES["stop"], "1"),
    choice("dtr", "the DTR line, which supplies many interface cables", CHOICES["dtr"], "on"),
    choice("rts", "the RTS line", CHOICES["rts"], "off"),
)
"""The same for people, with Megatec's defaults."""


def line_settings(options: Mapping[str, str], defaults: LineSettings | None = None) -> LineSettings:
    """Read the line's settings from a link URL's options; other options are left to the link.

    Raises ValueError with a sentence that names the permitted values.
    """

    def chosen(option: str, default: int | str | bool) -> int | str | bool:
        text = options.get(option)
        if text is None:
            return default
        if text not in CHOICES[option]:
            raise ValueError(f"{option}={text} is not possible; permitted: {', '.join(CHOICES[option])}.")
        return CHOICES[option][text]

    base = defaults or LineSettings()
    return LineSettings(
        baud=int(chosen("baud", base.baud)),
        parity=str(chosen("parity", base.parity)),
        stop_bits=int(chosen("stop", base.stop_bits)),
        dtr=bool(chosen("dtr", base.dtr)),
        rts=bool(chosen("rts", base.rts)),
    )


__all__ = ["CHOICES", "LINE_OPTIONS", "line_settings"]
