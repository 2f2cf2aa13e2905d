"""A GSM modem on a serial port: AT commands, and what its errors mean (3GPP TS 27.005, TS 27.007)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
import re
from typing import Self

import serial

from ridethrough.config.jobs import SmsConfig
from ridethrough.events.steps import ActionError
from ridethrough.serial_line import LineSettings, PortError, opened, set_free

from .context import JobLimits
from .gsm_text import Pdu

CME: Mapping[int, str] = {
    3: "it does not allow that",
    4: "it does not know that",
    10: "there is no SIM in it",
    11: "the SIM wants its PIN: give pin: in the section sms",
    12: "the SIM wants its PUK: unlock it in a telephone",
    13: "the SIM is broken",
    14: "the SIM is busy",
    15: "it does not take this SIM",
    16: "the PIN is wrong",
    17: "the SIM wants its PIN2",
    18: "the SIM wants its PUK2",
    30: "it has no network",
    31: "the network did not answer",
    32: "the network permits emergency calls only",
}
"""TS 27.007 §9.2."""
CMS: Mapping[int, str] = {
    1: "the number is not assigned",
    8: "the operator bars it",
    10: "the number is barred",
    21: "the network refuses the message",
    27: "the receiver is out of service",
    28: "the network does not know this SIM",
    29: "the network refuses the service",
    30: "the network does not know the receiver",
    38: "the network is out of order",
    41: "the network has failed for a moment",
    42: "the network is congested",
    47: "the network is short of resources",
    50: "this SIM has not subscribed to messages",
    69: "the network does not offer messages",
    300: "it has failed",
    302: "it does not allow that",
    304: "it does not take the message",
    310: "there is no SIM in it",
    311: "the SIM wants its PIN: give pin: in the section sms",
    313: "the SIM is broken",
    314: "the SIM is busy",
    315: "it does not take this SIM",
    316: "the SIM wants its PUK: unlock it in a telephone",
    322: "its memory is full",
    330: "the SIM does not know the number of its service centre",
    331: "it has no network",
    332: "the network did not answer",
}
"""TS 27.005 §3.2.5; below 128 those of TS 24.011."""
PASSING_CME = frozenset({14, 30, 31, 32})
PASSING_CMS = frozenset({38, 41, 42, 47, 300, 314, 331, 332})
"""What may be over in a while."""
REGISTERED = frozenset({1, 5, 6, 7})
"""At home or roaming, 6 and 7 for messages only (TS 27.007 §7.2)."""
DENIED = 3
LOOK = 0.5
"""Seconds between two looks whether the modem is registered."""
READY = 20
"""Looks whether the SIM is ready after its PIN: some take seconds to read it."""
LONGEST_LINE = 1024
MOST_WAITING = 64 * 1024
"""Octets that a modem may say before anybody has looked at them."""
_ERROR = re.compile(rb"\+(CM[SE]) ERROR: *(\d+|.*)")
_REGISTRATION = re.compile(rb"\+CREG: *\d+, *(\d+)")
_SENT = re.compile(rb"\+CMGS: *(\d+)")


class WrongPin(ActionError):
    """The SIM refuses the PIN; after three such refusals it is locked."""


class Line:
    """A serial port as lines, with the prompt `> ` as one of them. What nobody fetches is dropped."""

    def __init__(self, device: serial.Serial) -> None:
        """Read from now on."""
        self._device = device
        self._heard = bytearray()
        self._changed = asyncio.Event()
        self._gone: OSError | None = None
        asyncio.get_running_loop().add_reader(device.fd, self._read)

    def close(self) -> None:
        """Leave the port to others."""
        asyncio.get_running_loop().remove_reader(self._device.fd)
        set_free(self._device)
        self._device.close()

    def forget(self) -> None:
        """Drop what has been said."""
        self._heard.clear()

    async def say(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            taken = self._device.write(data)
            data = data[taken:]
            if data:
                # As long as some forty characters take; a line that is held up ends with the command's time-out.
                await asyncio.sleep(0.01)

    async def line(self) -> bytes:
        """Return the next line that is not empty, or the prompt."""
        while True:
            self._changed.clear()
            if (line := self._next()) is not None:
                if line:
                    return line
                continue
            if self._gone is not None:
                raise self._gone
            await self._changed.wait()

    def _next(self) -> bytes | None:
        if self._heard.lstrip(b"\r\n").startswith(b"> "):
            self._heard = self._heard.lstrip(b"\r\n")[2:]
            return b">"
        end = self._heard.find(b"\n")
        if end < 0 and len(self._heard) > LONGEST_LINE:
            end = LONGEST_LINE
        if end < 0:
            return None
        line = bytes(self._heard[:end]).strip()
        del self._heard[: end + 1]
        return line

    def _read(self) -> None:
        try:
            self._heard += self._device.read(4096)
        except OSError as error:
            self._gone = error
            asyncio.get_running_loop().remove_reader(self._device.fd)
        if len(self._heard) > MOST_WAITING:
            del self._heard[:-LONGEST_LINE]
        self._changed.set()


class Modem:
    """One modem, opened for as long as messages are sent; others may use the port in between."""

    def __init__(self, config: SmsConfig, limits: JobLimits) -> None:
        """Nothing is opened yet."""
        self._config = config
        self._limits = limits
        self._line: Line | None = None
        self._pin_refused = False

    async def __aenter__(self) -> Self:
        """Open the port, and wait until the modem is in a network. Raises ActionError."""
        path = self._config.port
        try:
            real = await asyncio.to_thread(lambda: str(Path(path).resolve()))
            device = await opened(path, real, LineSettings(self._config.baud, dtr=True, rts=True))
        except PortError as error:
            raise ActionError(str(error), again=True) from error
        self._line = Line(device)
        try:
            await self._prepare()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def send(self, pdu: Pdu) -> None:
        """Send one part of a message. Raises ActionError; when it says nothing any more, nobody knows."""
        await self._ask(f"AT+CMGS={pdu.length}", prompt=True)
        said = await self._ask(f"{pdu.text}\x1a", end=b"", patience=self._limits.network, sending=True)
        if not any(_SENT.match(line) for line in said):
            raise ActionError(f"The modem on {self._config.port} does not say that the message was sent.")

    async def _prepare(self) -> None:
        # Out of a prompt that somebody has left it in.
        await self._wake()
        await self._ask("ATE0")
        await self._ask("AT+CMEE=1")
        await self._unlock()
        await self._register()
        await self._ask("AT+CMGF=0")

    async def _wake(self) -> None:
        """Find out whether anybody is there: modems that sleep miss the first characters."""
        assert self._line is not None
        await self._line.say(b"\x1b\r")
        for last in (False, False, True):
            try:
                await self._ask("AT", patience=self._limits.modem / 4)
            except ActionError:
                if last:
                    raise
            else:
                return

    async def _unlock(self) -> None:
        state = await self._sim()
        if state == b"READY":
            return
        if state != b"SIM PIN":
            said = state.decode("ascii", "replace")
            raise ActionError(f"The SIM in the modem on {self._config.port} wants {said or 'something unknown'}.")
        if self._config.pin is None:
            raise ActionError(f"{self._named(CME[11])}")
        if not re.fullmatch(r"[0-9]{4,8}", self._config.pin):
            raise ActionError("A PIN has four to eight digits: see pin: in the section sms.")
        if self._pin_refused:
            raise WrongPin(
                "The SIM has not accepted the PIN; it is not tried again, as the SIM locks itself after three times. "
                "Correct pin: in the section sms."
            )
        self._pin_refused = True
        await self._ask(f'AT+CPIN="{self._config.pin}"')
        self._pin_refused = False
        for _ in range(READY):
            if await self._sim() == b"READY":
                return
            await asyncio.sleep(LOOK)

    async def _sim(self) -> bytes:
        for line in await self._ask("AT+CPIN?"):
            if line.startswith(b"+CPIN:"):
                return line.removeprefix(b"+CPIN:").strip()
        return b""

    async def _register(self) -> None:
        try:
            async with asyncio.timeout(self._limits.network):
                while True:
                    said = await self._ask("AT+CREG?")
                    state = next((int(found[1]) for line in said if (found := _REGISTRATION.match(line))), None)
                    if state in REGISTERED:
                        return
                    if state == DENIED:
                        raise ActionError(self._named("the network refuses this SIM"), again=True)
                    await asyncio.sleep(LOOK)
        except TimeoutError as error:
            raise ActionError(self._named(CME[30]), again=True) from error

    async def _ask(
        self,
        command: str,
        *,
        end: bytes = b"\r",
        prompt: bool = False,
        patience: float | None = None,
        sending: bool = False,
    ) -> list[bytes]:
        """Send a command and return what the modem answers up to OK, or up to the prompt. Raises ActionError."""
        line = self._line
        assert line is not None
        line.forget()
        heard: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.modem if patience is None else patience):
                await line.say(command.encode("ascii") + end)
                while True:
                    said = await line.line()
                    if said == b"OK" or (prompt and said == b">"):
                        return heard
                    if said == b"ERROR" or _ERROR.match(said):
                        raise self._error(said)
                    # Calls, arrived messages and the like are said at any time.
                    heard = [*heard[-31:], said]
        except TimeoutError as error:
            doubt = " The message may have been sent." if sending else ""
            raise ActionError(f"The modem on {self._config.port} does not answer.{doubt}", again=not sending) from error
        except OSError as error:
            doubt = " The message may have been sent." if sending else ""
            raise ActionError(f"The modem on {self._config.port} has gone.{doubt}", again=not sending) from error

    def _error(self, said: bytes) -> ActionError:
        found = _ERROR.match(said)
        if found is None:
            return ActionError(self._named("it refuses without a reason"))
        family, code = found[1], found[2].decode("ascii", "replace")
        if not code.isdigit():
            return ActionError(self._named(f"it says {code[:100]}"))
        number = int(code)
        table, passing = (CMS, PASSING_CMS) if family == b"CMS" else (CME, PASSING_CME)
        reason = table.get(number, "it gives a reason that is not known here")
        sort = WrongPin if family == b"CME" and number == 16 else ActionError
        return sort(self._named(f"{reason} (+{family.decode()} ERROR: {number})"), again=number in passing)

    def _named(self, reason: str) -> str:
        return f"The modem on {self._config.port} cannot send: {reason}."


__all__ = ["CME", "CMS", "Modem", "WrongPin"]
