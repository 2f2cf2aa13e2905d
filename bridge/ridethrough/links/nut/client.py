"""A client of upsd: one connection, one request at a time, and nothing without an end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import ssl
from typing import Self

from ridethrough.links.base import Credentials, LinkError

from .protocol import LINE_LIMIT, ListAnswer, MalformedError, UpsdError, answer, decode, entries, request

PORT = 3493
"""Where upsd listens, by agreement with IANA."""


class NoAnswerError(LinkError):
    """Upsd has not answered in time."""


class GarbledError(LinkError):
    """What answers is not an upsd, or the line is broken."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where upsd is, how long it may take to answer, and how the connection is encrypted."""

    host: str
    port: int = PORT
    patience: float = 5.0
    """Seconds for a complete answer."""
    tls: ssl.SSLContext | None = None
    """None: in the clear."""

    def __str__(self) -> str:
        """Name it for messages."""
        return f"upsd at [{self.host}]:{self.port}" if ":" in self.host else f"upsd at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Variables:
    """The answer to LIST VAR or LIST RW: names and values as upsd words them."""

    values: dict[str, str]
    malformed: int
    """Rows that could not be read and are left out."""


class UpsdClient:
    """A connection to upsd. Use `UpsdClient.open`.

    Every method raises UpsdError for a refusal, which leaves the connection usable, and LinkError (NoAnswerError,
    GarbledError) otherwise, after which it is closed: nobody could say which request the next line answers.
    """

    def __init__(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wrap a connection that nobody has used yet."""
        self._address = address
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address, credentials: Credentials) -> AsyncIterator[Self]:
        """Connect, encrypt if the address says so, and log in if there are credentials.

        Raises LinkError when that fails. Upsd compares the password only when something needs it.
        """
        try:
            async with asyncio.timeout(address.patience):
                reader, writer = await asyncio.open_connection(address.host, address.port, limit=LINE_LIMIT)
        except TimeoutError as error:
            raise NoAnswerError(f"{address} cannot be reached within {address.patience:g} s") from error
        except OSError as error:
            raise LinkError(f"{address} cannot be reached: {error.strerror or error}") from error
        client = cls(address, reader, writer)
        if address.tls is not None:
            try:
                await client._encrypt(address.tls)
            except BaseException:
                client._abort()
                raise
        try:
            await client._log_in(credentials)
            yield client
            with suppress(OSError, RuntimeError):
                client._writer.write(request("LOGOUT"))
        finally:
            await client._close()

    async def version(self) -> str:
        """Ask how upsd calls itself, e.g. `Network UPS Tools upsd 2.8.0 - …`."""
        return " ".join(await self._ask("VER"))

    async def protocol_version(self) -> str:
        """Ask for the version of the protocol, e.g. `1.3`."""
        return " ".join(await self._ask("NETVER"))

    async def list_ups(self) -> dict[str, str]:
        """List the UPSes: name to description."""
        return (await self._list("UPS")).values

    async def list_variables(self, ups: str) -> Variables:
        """List all variables of a UPS."""
        return await self._list("VAR", ups)

    async def list_writable(self, ups: str) -> Variables:
        """List the variables of a UPS that can be set."""
        return await self._list("RW", ups)

    async def list_commands(self, ups: str) -> frozenset[str]:
        """List the instant commands of a UPS."""
        answered = await self._list_rows("CMD", ups)
        return frozenset(row[0] for row in answered.rows if len(row) == 1)

    async def variable(self, ups: str, name: str) -> str:
        """Get one variable."""
        words = await self._ask("GET", "VAR", ups, name)
        if words[:3] != ["VAR", ups, name] or len(words) != 4:
            self._abort()
            raise GarbledError(f"{self._address} answered {' '.join(words)[:60]!r} when asked for {name}")
        return words[3]

    async def set_variable(self, ups: str, name: str, value: str) -> str | None:
        """Set a variable; returns the number to track it by, None if it is not tracked."""
        return _tracking(await self._ask("SET", "VAR", ups, name, value))

    async def instant_command(self, ups: str, command: str, *arguments: str) -> str | None:
        """Give an instant command; returns the number to track it by, None if it is not tracked."""
        return _tracking(await self._ask("INSTCMD", ups, command, *arguments))

    async def track(self) -> bool:
        """Have commands and settings tracked from now on; False if upsd cannot (before 2.8) or will not."""
        try:
            await self._ask("SET", "TRACKING", "ON")
        except UpsdError:
            return False
        return True

    async def tracked(self, number: str) -> bool:
        """Tell whether what is tracked by this number has been done; False while it is pending.

        Raises UpsdError when it has failed.
        """
        return (await self._ask("GET", "TRACKING", number))[0] == "SUCCESS"

    # How it is done

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        try:
            await self._ask("STARTTLS")
        except UpsdError as error:
            raise LinkError(f"{self._address} does not encrypt: {error}; tls=no would do without") from error
        # A new reader, so that nothing which came in the clear is ever taken for part of the encrypted talk.
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport = await loop.start_tls(
                self._writer.transport,
                protocol,
                context,
                server_hostname=self._address.host,
                ssl_handshake_timeout=self._address.patience,
            )
        except ssl.SSLCertVerificationError as error:
            raise LinkError(
                f"The certificate of {self._address} cannot be trusted: {error.verify_message}; "
                "name its authority with ca=, or accept any with verify=no"
            ) from error
        except OSError as error:
            raise LinkError(f"{self._address} agreed to encrypt, and then failed to: {error}") from error
        if transport is None:  # it was closed meanwhile
            raise LinkError(f"{self._address} agreed to encrypt, and then closed the connection")
        protocol.connection_made(transport)
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _log_in(self, credentials: Credentials) -> None:
        try:
            if credentials.username is not None:
                await self._ask("USERNAME", credentials.username)
            if credentials.password is not None:
                await self._ask("PASSWORD", credentials.password)
        except (UpsdError, ValueError) as error:
            raise LinkError(f"{self._address} does not take the user name or the password: {error}") from error

    async def _list(self, *query: str) -> Variables:
        return Variables(*entries(await self._list_rows(*query)))

    async def _list_rows(self, *query: str) -> ListAnswer:
        answered = ListAnswer(query)
        await self._exchange(("LIST", *query), answered.feed)
        return answered

    async def _ask(self, *words: str) -> list[str]:
        heard: list[str] = []

        def take(line: str) -> bool:
            heard.extend(answer(line))
            return True

        await self._exchange(words, take)
        return heard

    async def _exchange(self, words: tuple[str, ...], take: Callable[[str], bool]) -> None:
        """Send a request and feed lines to `take` until it has enough."""
        told = request(*words)
        verb = " ".join(words[:2]) if words[0] in {"GET", "LIST", "SET"} else words[0]
        async with self._turn:
            try:
                async with asyncio.timeout(self._address.patience):
                    self._writer.write(told)
                    await self._writer.drain()
                    while not take(await self._line()):
                        pass
            except UpsdError:
                raise
            except TimeoutError as error:
                self._abort()
                message = f"{self._address} has not answered {verb} within {self._address.patience:g} s"
                raise NoAnswerError(message) from error
            except MalformedError as error:
                self._abort()
                raise GarbledError(f"{self._address} answered {verb} with {error}") from error
            except OSError as error:
                self._abort()
                raise LinkError(f"The connection to {self._address} is closed: {error}") from error
            except BaseException:
                # Cancelled: the answer may still be on its way.
                self._abort()
                raise

    async def _line(self) -> str:
        try:
            return decode(await self._reader.readuntil(b"\n"))
        except asyncio.LimitOverrunError as error:
            raise MalformedError(f"a line of more than {LINE_LIMIT} bytes") from error
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("upsd has ended it") from error

    def _abort(self) -> None:
        self._writer.transport.abort()

    async def _close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()


def _tracking(words: list[str]) -> str | None:
    return words[2] if words[:2] == ["OK", "TRACKING"] and len(words) == 3 else None


__all__ = ["PORT", "Address", "GarbledError", "NoAnswerError", "UpsdClient", "Variables"]
