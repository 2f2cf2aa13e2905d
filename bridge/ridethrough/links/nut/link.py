"""The link to a UPS behind upsd."""

from collections.abc import Awaitable, Callable, Mapping
import math
from typing import ClassVar

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import Credentials, Identity, Link, LinkError, LinkUrl, RawValue, Reach, Report, Secret
from ridethrough.links.context import LinkContext
from ridethrough.links.option import Option
from ridethrough.site import CommandError, CommandResult, Value

from .client import PORT, GarbledError, NoAnswerError, UpsdClient
from .commands import order, refusal, same
from .names import Place, place_command
from .options import OPTIONS, understand
from .protocol import UpsdError
from .status import DERIVABLE, outlet_on, read_status
from .values import Owner, Values

REDISCOVERY = 60.0
"""Seconds between two looks at what the UPS can be told; a driver may be exchanged while upsd runs."""
CONFIRMATION = 5.0
"""Seconds within which a driver must have done what it was told, to be called confirmed."""
TRACKING_INTERVAL = 0.1
"""Seconds between two questions for that."""
OUTLETS = 64
"""Outlets of one UPS at most; no product has half as many."""
NAME_LENGTH = 60
"""Characters of an outlet's description that its device is named by."""


class NutLink(Link):
    """Polls a UPS through upsd and gives it commands; `nut://host:3493/ups1?tls=yes`."""

    scheme: ClassVar[str] = "nut"
    title: ClassVar[str] = "Network UPS Tools (upsd)"
    example: ClassVar[str] = "nut://127.0.0.1:3493/ups1"
    reach: ClassVar[Reach] = Reach.HOST
    kind_is_certain: ClassVar[bool] = False
    port: ClassVar[int | None] = PORT
    options: ClassVar[tuple[Option, ...]] = OPTIONS
    secrets: ClassVar[tuple[Secret, ...]] = (Secret.USERNAME, Secret.PASSWORD)

    def __init__(self, url: LinkUrl, credentials: Credentials, context: LinkContext) -> None:
        """See `Link` and `options.understand`."""
        self._options = understand(url, self.example)
        self._credentials = credentials
        self._clock = context.clock
        self._session: Session | None = None
        self._seen: set[str] = set()
        self.deadline = max(5.0, 3 * self._options.poll + self._options.address.patience)

    async def run(self, report: Report) -> None:
        """Connect and poll until upsd, its driver or the UPS is lost (LinkError)."""
        address = self._options.address
        try:
            async with UpsdClient.open(address, self._credentials) as client:
                ups = await _find(client, self._options.ups, str(address))
                self._session = Session(client, ups, self._credentials.username, self._clock, report, self._seen)
                await self._session.run(self._options.poll)
        except NoAnswerError:
            report.count("timeouts")
            raise
        except GarbledError:
            report.count("malformed")
            raise
        except UpsdError as error:
            name = "" if self._options.ups is None else f"{self._options.ups} on "
            raise LinkError(f"{name}{address}: {error}") from error
        finally:
            if self._session is not None:
                self._session.over = True

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Give an instant command; confirmed when upsd tracks it and the driver has done it. Raises CommandError."""
        if self._session is None or self._session.over:
            raise CommandError("offline", f"There is no connection to {self._options.address} at the moment.")
        return await self._session.perform(Place(child, command), arguments)

    def remember(self, raised: frozenset[str]) -> None:
        """Take for seen what was raised before the bridge was restarted: an alarm may have gone meanwhile."""
        self._seen |= raised - DERIVABLE

    def raw(self) -> tuple[RawValue, ...]:
        """Give every variable of the last poll under its NUT name."""
        return () if self._session is None else self._session.values.raw()


class Session:
    """One connection to upsd, for one UPS."""

    def __init__(
        self, client: UpsdClient, ups: str, username: str | None, clock: Clock, report: Report, seen: set[str]
    ) -> None:
        """Nothing is asked until `run`.

        `seen` are the conditions that have been active before, in earlier connections too: an alarm that went while
        there was none must be known to be over.
        """
        self._client = client
        self._ups = ups
        self._username = username
        self._clock = clock
        self._report = report
        self._catalogue = load_catalogue()
        self.values = Values(self._catalogue)
        self.over = False
        """The connection has ended."""
        self._variables: Mapping[str, str] = {}
        self._writable: frozenset[str] = frozenset()
        self._commands: dict[Place, str] = {}
        self._outlets: dict[str, Report] = {}
        self._seen = seen
        self._unknown: frozenset[str] = frozenset()

    async def run(self, period: float) -> None:
        """Poll every `period` seconds. Raises LinkError or UpsdError when there is no more to be had."""
        if self._username is not None:
            await self._client.track()
        version = await self._client.version()
        due = -math.inf
        while True:
            answered = await self._client.list_variables(self._ups)
            now = self._clock.monotonic()
            if now >= due or answered.values.get("driver.name") != self._variables.get("driver.name"):
                due = now + REDISCOVERY
                await self._discover()
                self._identify(answered.values)
                self._report.details({"server.info": version})
            if answered.malformed:
                self._report.count("malformed", answered.malformed)
            self._report.count("answers")
            self._post(answered.values)
            await self._clock.sleep(period)

    async def perform(self, place: Place, arguments: Mapping[str, Value]) -> CommandResult:
        """Give a command and follow what becomes of it. Raises CommandError."""
        name = self._commands.get(place)
        if name is None:
            raise CommandError(
                "unknown_command", f"{self._ups} has no command {place.key}; upscmd -l shows what it has."
            )
        told = order(name, arguments, self._variables, self._writable)
        right = "actions = SET"
        try:
            for variable, value in told.settings:
                await self._set(variable, value)
            right = f"instcmds = {name} (or ALL)"
            parameter = () if told.parameter is None else (told.parameter,)
            confirmed = await self._confirmed(await self._client.instant_command(self._ups, name, *parameter))
        except UpsdError as error:
            self._report.count("refused")
            raise refusal(error, self._username, right) from error
        except LinkError as error:
            raise CommandError("no_answer", f"The connection was lost while giving {name}: {error}") from error
        if confirmed:
            return CommandResult(f"{self._ups} has carried out {name}.")
        return CommandResult(f"upsd has passed {name} on to the driver of {self._ups}.", confirmed=False)

    async def _set(self, variable: str, value: str) -> None:
        """Set a variable, and see that it is set: a shutdown must not come earlier than asked for."""
        number = await self._client.set_variable(self._ups, variable, value)
        if number is not None:
            done = await self._confirmed(number)
        else:
            done = await self._in_time(lambda: self._shows(variable, value))
        if not done:
            raise CommandError(
                "no_answer", f"{variable} was to be set to {value} first, and does not show it; nothing else was sent."
            )

    async def _shows(self, variable: str, value: str) -> bool:
        return same(await self._client.variable(self._ups, variable), value)

    async def _confirmed(self, number: str | None) -> bool:
        """Wait for what is tracked by this number; False if it is not, or not done in time. Raises UpsdError."""
        return number is not None and await self._in_time(lambda: self._client.tracked(number))

    async def _in_time(self, done: Callable[[], Awaitable[bool]]) -> bool:
        until = self._clock.monotonic() + CONFIRMATION
        while not await done():
            if self._clock.monotonic() >= until:
                return False
            await self._clock.sleep(TRACKING_INTERVAL)
        return True

    # What the UPS is

    async def _discover(self) -> None:
        """Ask what the UPS can be told."""
        self._writable = frozenset((await self._client.list_writable(self._ups)).values)
        self._commands = {
            place: name
            for name in sorted(await self._client.list_commands(self._ups))
            if (place := place_command(name)) is not None and self._catalogue.command(place.kind, place.key) is not None
        }

    def _identify(self, variables: Mapping[str, str]) -> None:
        def said(*names: str) -> str | None:
            return next((text for name in names if (text := variables.get(name, "").strip())), None)

        self._report.identified(
            Identity(
                manufacturer=said("device.mfr", "ups.mfr"),
                model=said("device.model", "ups.model"),
                serial=said("device.serial", "ups.serial"),
                firmware=said("ups.firmware", "ups.firmware.aux"),
                commands=self._offered(None),
            )
        )
        for number, outlet in self._outlets.items():
            outlet.identified(Identity(commands=self._offered(number)))

    def _offered(self, owner: Owner) -> frozenset[str]:
        return frozenset(place.key for place in self._commands if place.outlet == owner)

    # What it reads

    def _post(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        status = read_status(variables, frozenset(self._seen))
        if status.severed:
            raise LinkError(f"upsd answers, but the driver of {self._ups} has lost the UPS ({variables['ups.status']})")
        self._seen |= {condition for condition, active in status.conditions.items() if active}
        if news := set(status.unknown) - self._unknown:
            self._report.count("unknown", len(news))
        self._unknown = frozenset(status.unknown)
        reading = self.values.read(variables)
        if reading.malformed:
            self._report.count("malformed", reading.malformed)
        self._report.status(reading.points.get(None, {}), status.conditions)
        for number in sorted(reading.points.keys() - {None}, key=lambda number: int(number or 0)):
            if number is not None and (outlet := self._outlet(number)) is not None:
                on = outlet_on(variables, number)
                outlet.status(reading.points[number], {} if on is None else {"outlet_on": on})
        for owner, keys in reading.dropped.items():
            report = self._report if owner is None else self._outlets.get(owner)
            if report is not None:
                report.dropped(keys)

    def _outlet(self, number: str) -> Report | None:
        """Find the report of an outlet; None for one too many."""
        if number not in self._outlets:
            if len(self._outlets) >= OUTLETS:
                return None
            described = self._variables.get(f"outlet.{number}.desc", "").strip() or f"Outlet {number}"
            outlet = self._report.child("outlet", number, described[:NAME_LENGTH])
            outlet.identified(Identity(commands=self._offered(number)))
            self._outlets[number] = outlet
        return self._outlets[number]


async def _find(client: UpsdClient, wanted: str | None, where: str) -> str:
    """Find the UPS that is meant. Raises LinkError that names those there are."""
    there = await client.list_ups()
    names = ", ".join(sorted(there)) or "none"
    if wanted is None and len(there) != 1:
        raise LinkError(f"{where} has {len(there)} UPSes ({names}): the link must name one, as in {NutLink.example}")
    if wanted is not None and wanted not in there:
        raise LinkError(f"{where} has no UPS {wanted}; it has: {names}")
    return next(iter(there)) if wanted is None else wanted


__all__ = ["NutLink"]
