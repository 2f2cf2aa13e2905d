"""Text messages by a GSM modem (manual M:2536)."""

import asyncio
import itertools

from ridethrough.config.actions import SmsAction
from ridethrough.events.steps import ActionError, Occasion

from .context import JobContext
from .gsm_text import number_of, pdus
from .modem import Modem
from .wording import told


class Sms:
    """Sends text messages, one after the other: a modem does one thing at a time."""

    def __init__(self, context: JobContext) -> None:
        """Nothing is opened yet."""
        self._context = context
        self._config = context.config.sms
        self._modem = None if self._config is None else Modem(self._config, context.limits)
        self._turn = asyncio.Lock()
        self._references = itertools.count(1)

    async def perform(self, action: SmsAction, occasion: Occasion) -> str:
        """See `Performer`."""
        config, modem = self._config, self._modem
        if config is None or modem is None:
            raise ActionError("There is no modem for text messages: give the configuration a section sms.")
        receivers = action.to or config.receivers
        if not receivers:
            raise ActionError("The text message has no receivers: give some in the section sms, or to the job.")
        try:
            numbers = [number_of(receiver) for receiver in receivers]
        except ValueError as error:
            raise ActionError(str(error)) from error
        text = told(action.text, occasion, self._context)
        sent: list[str] = []
        problems: dict[str, ActionError] = {}
        try:
            async with asyncio.timeout(self._context.limits.sms), self._turn, modem:
                for number in numbers:
                    try:
                        for part in pdus(number, text, next(self._references)):
                            await modem.send(part)
                    except ActionError as error:
                        problems[number] = error
                    else:
                        sent.append(number)
        except TimeoutError as error:
            if not sent:
                raise ActionError("The modem took too long; a message may have been sent.") from error
        left = [number for number in numbers if number not in sent and number not in problems]
        reasons = [f"{number}: {error}" for number, error in problems.items()]
        reasons += [f"{number}: there was no time left." for number in left]
        if not sent:
            raise ActionError(" ".join(reasons), again=all(error.again for error in problems.values()))
        return " ".join([f"Sent to {', '.join(sent)}.", *reasons])


__all__ = ["Sms"]
