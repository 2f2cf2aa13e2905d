"""Jobs by hand: the bridge's own commands `job.*`, for people and for Home Assistant.

Only what the configuration reaches can be reached by them: its receivers of mails and text messages, its webhooks by
their names, its agents. A client with a token must not be able to write to the whole world by the bridge's mail server.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
import re

from ridethrough.addresses import hardware_address, plain
from ridethrough.config.actions import (
    Action,
    AgentAction,
    DatagramAction,
    LogAction,
    MailAction,
    SmsAction,
    SyslogAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.config.jobs import JobConfig
from ridethrough.events import giver
from ridethrough.events.steps import ActionError, Occasion, Performer
from ridethrough.site import Arguments, CommandError, CommandResult, Commands

from .context import JobContext
from .gsm_text import number_of
from .letter import address_of
from .rights import needed

GROUP = "job"
"""What grants them: `allow: [job]`."""
RUN = "job.run"
EVERYONE = "255.255.255.255"

type Find = Callable[[str], JobConfig]
"""Finds a job of the configuration by its key; raises ActionError."""
type Run = Callable[[JobConfig, str], Awaitable[str]]
"""Runs it now for somebody, marked as a test; raises ActionError."""


class JobDesk:
    """Takes the bridge's commands `job.*` and has the jobs carry them out."""

    def __init__(self, context: JobContext, jobs: Performer, commands: Commands, find: Find, run: Run) -> None:
        """Take nothing yet; `find` and `run` are for jobs of the configuration."""
        self._context = context
        self._jobs = jobs
        self._commands = commands
        self._find = find
        self._run = run
        self._withdraw: Callable[[], None] = lambda: None
        self._makers: Mapping[str, Callable[[Arguments], Action]] = {
            "job.log": lambda given: LogAction(text=_text(given, "text")),
            "job.mail": self._mail,
            "job.mail_trap": lambda given: MailAction(to=self._receivers(given), trap=True),
            "job.datagram": lambda given: DatagramAction(restored=bool(given.get("restored", 0))),
            "job.wake_on_lan": self._wake_on_lan,
            "job.sms": self._sms,
            "job.syslog": lambda given: SyslogAction(text=_text(given, "text")),
            "job.webhook": lambda given: WebhookAction(webhook=_text(given, "name")),
            "job.message": self._message,
        }

    def open(self) -> None:
        """Offer what the configuration grants and has the means for."""
        if GROUP not in self._context.config.allow:
            return
        self._grant(self._possible())
        self._withdraw = self._commands.offer(self._context.bridge.id, self.perform)

    def close(self) -> None:
        """Offer nothing any longer."""
        self._withdraw()
        self._grant(frozenset())

    async def perform(self, command: str, arguments: Arguments) -> CommandResult:
        """Carry out a command of the bridge. Raises CommandError."""
        try:
            if command == RUN:
                return CommandResult(await self._test(_text(arguments, "job")))
            action = self._makers[command](arguments)
            return CommandResult(await self._jobs.perform(action, Occasion("command")))
        except KeyError as error:
            raise CommandError("unknown_command", f"The bridge has no command {command}.") from error
        except ValueError as error:
            raise CommandError("bad_argument", str(error)) from error
        except ActionError as error:
            raise CommandError("no_answer" if error.again else "refused", str(error)) from error

    async def _test(self, key: str) -> str:
        """Run a job of the configuration for whoever asks, if they may do by themselves what it does."""
        job, who = self._find(key), giver()
        role = needed(job.action, self._context)
        if who is None or not who.role.may(role):
            raise CommandError(
                "forbidden",
                f"The job {key} does what takes a token of the role {role}; this one has {who.role if who else 'none'}.",
            )
        return await self._run(job, who.name)

    def _possible(self) -> frozenset[str]:
        """Return the commands that could ever be carried out."""
        config = self._context.config
        means = {
            "job.mail": config.mail is not None,
            "job.mail_trap": config.mail is not None,
            "job.datagram": self._context.agents.datagrams.enabled,
            "job.sms": config.sms is not None,
            "job.webhook": bool(config.webhooks),
            "job.message": bool(self._context.agents.computers),
        }
        kind = self._context.bridge.kind
        commands = self._context.site.catalogue.commands_of(kind)
        return frozenset(row.key for row in commands if row.group == GROUP and means.get(row.key, True))

    def _grant(self, commands: frozenset[str]) -> None:
        """Have the bridge offer these of the group, and what else it offers as before."""
        site = self._context.site
        bridge = site.devices.get(self._context.bridge.id)
        if bridge is not None:
            others = {key for key in bridge.commands if not key.startswith(f"{GROUP}.")}
            site.put(replace(bridge, commands=frozenset(others | commands)))

    # What is to be done

    def _mail(self, given: Arguments) -> MailAction:
        return MailAction(to=self._receivers(given), subject=_text(given, "subject"), text=_text(given, "text"))

    def _receivers(self, given: Arguments) -> tuple[str, ...]:
        """Return whom a mail goes to. Raises ValueError for strangers."""
        to = _words(_text(given, "to"))
        config = self._context.config.mail
        known = (
            {} if config is None else {_address(one): one for one in (*config.receivers, *self._everybody(MailAction))}
        )
        strangers = [one for one in to if _address(one) not in known]
        if strangers:
            raise ValueError(
                f"{', '.join(strangers)} is no receiver of the configuration; mails by hand go to "
                f"{', '.join(known.values()) or 'nobody, as there are none'}."
            )
        return tuple(to)

    def _sms(self, given: Arguments) -> SmsAction:
        to = [number_of(one) for one in re.split(r"[,;]", _text(given, "to")) if one.strip()]
        config = self._context.config.sms
        numbers = () if config is None else (*config.receivers, *self._everybody(SmsAction))
        known = {number_of(one) for one in numbers}
        strangers = [one for one in to if one not in known]
        if strangers:
            raise ValueError(
                f"{', '.join(strangers)} is no receiver of the configuration; text messages by hand go to "
                f"{', '.join(sorted(known)) or 'nobody, as there are none'}."
            )
        return SmsAction(to=tuple(to), text=_text(given, "text"))

    def _wake_on_lan(self, given: Arguments) -> WakeOnLanAction:
        address = _text(given, "address") or EVERYONE
        if address not in self._broadcasts() and not _near(address):
            raise ValueError(
                f"{address} is neither an address of a private network nor one of the configuration; magic packets by "
                f"hand go to {', '.join(sorted(self._broadcasts()))}."
            )
        port = given.get("port", 9)
        return WakeOnLanAction(macs=(hardware_address(_text(given, "mac")),), broadcast=address, port=int(port))

    def _message(self, given: Arguments) -> AgentAction:
        agents = tuple(_words(_text(given, "agents")))
        known = [computer.key for computer in self._context.agents.computers]
        if unknown := [key for key in agents if key not in known]:
            raise ValueError(f"There is no agent {', '.join(unknown)}; there is {', '.join(known) or 'none'}.")
        return AgentAction(verb="message", agents=agents, text=_text(given, "text"))

    # What the configuration reaches

    def _actions(self) -> Iterator[Action]:
        config = self._context.config
        yield from (job.action for job in config.jobs)
        yield from (job.action for job in config.schedule)

    def _everybody(self, sort: type[MailAction | SmsAction]) -> Iterator[str]:
        for action in self._actions():
            if isinstance(action, MailAction | SmsAction) and isinstance(action, sort):
                yield from action.to

    def _broadcasts(self) -> set[str]:
        jobs = (action.broadcast for action in self._actions() if isinstance(action, WakeOnLanAction))
        return {EVERYONE, *(computer.broadcast for computer in self._context.agents.computers), *jobs}


def _text(given: Arguments, name: str) -> str:
    return str(given.get(name, ""))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,;\s]+", text) if word]


def _address(text: str) -> str:
    """Return an address by which it is compared."""
    return address_of(text).addr_spec.lower()


def _near(address: str) -> bool:
    """Whether it is an address of a private network; names are not looked up for people at a distance."""
    try:
        return plain(address).is_private
    except ValueError:
        return False


__all__ = ["Find", "JobDesk", "Run"]
