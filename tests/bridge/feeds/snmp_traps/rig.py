"""An agent without GET and SET: the alarm table and the notifications of a UPS, as the agent puts them together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ridethrough.config.feeds import SnmpConfig, SnmpReceiver, SnmpUser
from ridethrough.feeds import Subject, Traffic
from ridethrough.feeds.snmp.alarm_table import AlarmChange, AlarmTable
from ridethrough.feeds.snmp.engine_identity import EngineIdentity, load_identity
from ridethrough.feeds.snmp.notifications import Notifications, is_altered
from tests.bridge.feeds.rig import World

from .trapd import USERS


@dataclass
class Telling:
    """What a test holds in its hands."""

    notifications: Notifications
    alarms: AlarmTable
    traffic: Traffic
    identity: EngineIdentity
    changes: list[AlarmChange] = field(default_factory=list)


@asynccontextmanager
async def telling(
    world: World, *receivers: SnmpReceiver, key: str = "ups-1", users: tuple[SnmpUser, ...] = USERS
) -> AsyncIterator[Telling]:
    """Tell these receivers of a UPS."""
    context = world.context
    identity = await load_identity(context)
    config = SnmpConfig(users=users, receivers=receivers)
    subject, traffic, changes = Subject(context.directory, key), Traffic(), list[AlarmChange]()

    def changed(change: AlarmChange) -> None:
        changes.append(change)
        notifications.alarm_changed(change)

    began = context.clock.monotonic()
    alarms = AlarmTable(context, subject, changed)
    notifications = Notifications(
        config,
        context,
        identity,
        subject,
        lambda: (alarms,),
        lambda: int((context.clock.monotonic() - began) * 100),
        traffic=traffic,
        cold=await is_altered(config, context),
    )
    end = [world.site.observe(alarms.follow), world.site.observe(notifications.follow)]
    task = asyncio.create_task(notifications.run())
    try:
        yield Telling(notifications, alarms, traffic, identity, changes)
    finally:
        for one in end:
            one()
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), outcome
