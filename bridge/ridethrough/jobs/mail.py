"""Mails to people, and mail traps to machines (manual M:1407–1560)."""

import asyncio
from dataclasses import replace
import logging

from ridethrough.catalogue import Severity
from ridethrough.config.actions import Attachment, MailAction
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import Lane, Source

from .context import JobContext
from .letter import Enclosure, Letter, address_of, names, packed, write
from .log import enter
from .post_office import PostOffice, Receipt, TooLarge
from .report import report, trap, trap_subject
from .wording import one_line, told

_LOGGER = logging.getLogger(__name__)

CONDITION = "mail_failed"


class Mail:
    """Sends mails, and keeps the bridge's condition `mail_failed`: whether the last one could be sent."""

    def __init__(self, context: JobContext) -> None:
        """Nothing is opened yet."""
        self._context = context
        config = context.config.mail
        self._config = config
        self._office = None if config is None else PostOffice(config, context.limits)
        self._lane: Lane | None = None
        known = context.site.conditions(context.bridge.id).get(CONDITION)
        self._failed = known is not None and known.active and config is not None
        """Also of a time before the bridge, or this configuration, began: until a mail is sent nobody knows better."""
        if config is not None or known is not None:
            self._post(failed=self._failed)

    async def perform(self, action: MailAction, occasion: Occasion) -> str:
        """See `Performer`."""
        config, office = self._config, self._office
        if config is None or office is None:
            raise ActionError("There is no mail server: give the configuration a section mail.")
        try:
            letter = await self._letter(action, occasion, config.sender, action.to or config.receivers)
            receipt, missing = await self._send(office, letter)
        except ActionError as error:
            await self._tell_failed(str(error), occasion)
            raise
        said = self._said(letter, receipt) + missing
        await self._tell_sent(said, receipt, occasion)
        return said

    async def _letter(self, action: MailAction, occasion: Occasion, sender: str, receivers: tuple[str, ...]) -> Letter:
        if not receivers:
            raise ActionError("The mail has no receivers: give some in the section mail, or to the job.")
        try:
            addresses = tuple(address_of(receiver) for receiver in receivers)
            origin = address_of(sender)
        except ValueError as error:
            raise ActionError(str(error)) from error
        context = self._context
        if action.trap:
            subject, text = trap_subject(occasion), "\n".join(trap(occasion, context))
        else:
            subject = told(action.subject, occasion, context)
            text = told(action.text, occasion, context) if action.text else "\n".join(report(occasion, context))
        enclosures, missing = await self._enclosures(action)
        return Letter(origin, addresses, subject, text + missing + "\n", context.clock.utc(), enclosures)

    async def _enclosures(self, action: MailAction) -> tuple[tuple[Enclosure, ...], str]:
        """Make the attachments, and say which there are not: an alarm must not wait for a log that cannot be read."""
        made: list[Enclosure] = []
        missing = ""
        for kind in action.attach:
            try:
                made.append(await self._enclosure(kind))
            except Exception as error:  # noqa: BLE001 - whatever keeps an attachment back must not keep the mail back
                _LOGGER.warning("A mail goes without its attachment %s: %r", kind, error)
                missing += f"\n(The attachment {kind} could not be made: {one_line(str(error) or repr(error))[:200]})"
        return tuple(made), missing

    async def _enclosure(self, kind: Attachment) -> Enclosure:
        attachments = self._context.attachments
        if attachments is None:
            raise ActionError("nobody makes attachments here")
        async with asyncio.timeout(self._context.limits.attach):
            name, content = await attachments.make(kind)
        return await asyncio.to_thread(packed, Enclosure(name, content))

    async def _send(self, office: PostOffice, letter: Letter) -> tuple[Receipt, str]:
        """Hand it over; without its attachments when they make it too large. The second says that."""
        try:
            return await self._hand_over(office, letter), ""
        except TooLarge as error:
            if not letter.enclosures:
                raise
            note = f"(Without attachments: {error})"
            _LOGGER.warning("A mail goes without its attachments: %s", error)
        lighter = replace(letter, enclosures=(), text=f"{letter.text}{note}\n")
        return await self._hand_over(office, lighter), f" {note}"

    async def _hand_over(self, office: PostOffice, letter: Letter) -> Receipt:
        message = await asyncio.to_thread(write, letter, f"Ridethrough {self._context.version}")
        receivers = [address.addr_spec for address in letter.receivers]
        return await office.send(letter.sender.addr_spec, receivers, message, international=letter.international)

    @staticmethod
    def _said(letter: Letter, receipt: Receipt) -> str:
        taken = [address for address in letter.receivers if address.addr_spec not in receipt.refused]
        said = f"Sent to {names(taken)}."
        if receipt.refused:
            reasons = ", ".join(f"{receiver} ({answer})" for receiver, answer in receipt.refused.items())
            said += f" Refused for {reasons}."
        return said

    async def _tell_sent(self, said: str, receipt: Receipt, occasion: Occasion) -> None:
        if self._failed:
            _LOGGER.info("Mails are sent again")
        self._failed = False
        self._post(failed=False)
        if receipt.refused:
            await self._enter("mail_failed", said, occasion, Severity.WARNING, always=False)
        else:
            await self._enter("mail_sent", said, occasion, Severity.INFO, always=True)

    async def _tell_failed(self, why: str, occasion: Occasion) -> None:
        if not self._failed:
            _LOGGER.warning("A mail could not be sent: %s", why)
        self._failed = True
        self._post(failed=True)
        await self._enter("mail_failed", why, occasion, Severity.WARNING, always=False)

    async def _enter(self, key: str, text: str, occasion: Occasion, severity: Severity, *, always: bool) -> None:
        """Note it in the event log as far as the configuration wants that (manual M:1448)."""
        wanted = "never" if self._config is None else self._config.log
        if wanted == "never" or (always and wanted != "always"):
            return
        try:
            await enter(self._context, key, text, occasion, severity=severity)
        except ActionError as error:
            _LOGGER.warning("What became of a mail is not in the event log: %s", error)

    def _post(self, *, failed: bool) -> None:
        if self._lane is None or not self._lane.alive:
            self._lane = self._context.site.lane(self._context.bridge.id, None, Source.COMPUTED)
        self._lane.post(conditions={CONDITION: failed})


__all__ = ["Mail"]
