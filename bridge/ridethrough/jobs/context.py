"""What the bridge gives every job, and how long and how many at once jobs may be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ridethrough.catalogue import Role
from ridethrough.clock import Clock
from ridethrough.config.actions import Attachment
from ridethrough.config.agents import AgentsConfig
from ridethrough.config.jobs import JobsConfig
from ridethrough.events import Event, Orders
from ridethrough.events.steps import Occasion
from ridethrough.site import Device, Site
from ridethrough.wake import GAP

type Render = Callable[[str, Occasion], str]
"""Puts what they stand for in the place of a text's placeholders, `n/a` where nobody knows it."""


class Recording(Protocol):
    """Takes events for the journal: `events.Recorder`."""

    async def record(self, event: Event) -> object:
        """Write an event. Raises JournalError. Whoever gives up waiting does not take the event back."""


class Attachments(Protocol):
    """Makes what mails carry."""

    async def make(self, kind: Attachment) -> tuple[str, bytes]:
        """Return a file's name and content."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Times in seconds. Tests shorten them; nothing else should need to."""

    answer: float = 20.0
    """For one answer of a mail server, as slow as they are when they look senders up."""
    mail: float = 90.0
    """For a mail from the first to the last octet."""
    attach: float = 20.0
    """For one attachment to be made; a mail goes without it rather than not at all."""
    datagram: float = 10.0
    """For a name to be looked up and datagrams to be sent."""
    wake_gap: float = GAP
    """Between two magic packets to the same computer."""
    webhook: float = 15.0
    remote: float = 75.0
    """For another bridge, which itself waits for its device."""
    modem: float = 10.0
    """For a modem to answer a command that needs no network."""
    network: float = 60.0
    """For a modem to be registered, and for the network to take a message (3GPP TS 27.005 leaves that open)."""
    sms: float = 300.0
    order: float = 90.0
    """For a command to one device; it goes on when this is over."""
    record: float = 5.0
    """For the journal to take an event; it is written all the same when this is over."""
    orders: int = 1024
    """Orders to agents at once: a thousand computers are shut down in one moment. `Orders` takes 2,048 of everybody."""
    told: int = 512
    """Messages to agents at once, so that a message that is not taken never keeps a shutdown waiting."""
    waiting: int = 500
    """Actions of one kind that wait for their turn; more are refused at once, to be tried again."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What the bridge gives every job."""

    site: Site
    orders: Orders
    recorder: Recording
    clock: Clock
    bridge: Device
    """The bridge itself: mails come from it, and it is what cannot send them."""
    config: JobsConfig
    agents: AgentsConfig
    version: str
    render: Render
    attachments: Attachments | None = None
    limits: JobLimits = field(default_factory=JobLimits)

    def device_of(self, occasion: Occasion) -> Device | None:
        """Return the device of the event, None where there is none or it is gone."""
        event = occasion.event
        return None if event is None or event.device is None else self.site.devices.get(event.device)

    def ups_of(self, device: Device | None) -> Device | None:
        """Return the UPS that a device is or belongs to."""
        while device is not None and device.kind != "ups":
            device = None if device.parent is None else self.site.devices.get(device.parent)
        return device


@dataclass(frozen=True, slots=True)
class JobActor:
    """Who gives orders by way of a job. What the devices grant counts for it too; the configuration is its right."""

    name: str
    role: Role = Role.ADMIN


def actor_of(occasion: Occasion) -> JobActor:
    """Say for the journal who gives an order: `job:notify`, `job:notify, tested by Anna`."""
    if not occasion.actor:
        return JobActor(occasion.origin)
    return JobActor(f"{occasion.origin}, {'tested' if occasion.test else 'run'} by {occasion.actor}")


__all__ = ["Attachments", "JobActor", "JobContext", "JobLimits", "Recording", "Render", "actor_of"]
