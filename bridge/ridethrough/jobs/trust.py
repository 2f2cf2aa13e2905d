"""Whom to trust: the authorities of the system, and those of a file beside them."""

import asyncio
from pathlib import Path
import ssl

from ridethrough.events.steps import ActionError


class Trust:
    """Makes the TLS context of one peer when it is first needed, and anew after `doubt`."""

    def __init__(self, ca: Path | None) -> None:
        """Trust the certificates in `ca`, authorities' or the peer's own, beside those of the system."""
        self._ca = ca
        self._context: ssl.SSLContext | None = None

    async def context(self) -> ssl.SSLContext:
        """Return the context: TLS 1.2 at least, certificate and name checked. Raises ActionError."""
        if self._context is None:
            # Reading all authorities of a system takes some ten milliseconds.
            self._context = await asyncio.to_thread(self._make)
        return self._context

    def doubt(self) -> None:
        """Read the file again the next time: somebody may have mended it."""
        self._context = None

    def _make(self) -> ssl.SSLContext:
        # Not `create_default_context`: its strictness refuses what the authorities of many a house sign.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if self._ca is not None:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            try:
                context.load_verify_locations(self._ca)
            except ssl.SSLError as error:
                raise ActionError(f"{self._ca} holds no certificates in PEM form.") from error
            except OSError as error:
                raise ActionError(f"{self._ca} cannot be read: {error.strerror}.") from error
        return context


__all__ = ["Trust"]
