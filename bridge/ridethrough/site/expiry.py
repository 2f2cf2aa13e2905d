"""Lets readings expire on time, and sleeps in between."""

from ridethrough.clock import Clock

from .site import Site

SHORTEST = 0.05
"""Seconds between two looks at least: a reading is stale soon enough, and the loop is not kept busy."""
LONGEST = 1.0
"""Seconds at most: a lane with a shorter deadline may have been opened meanwhile."""


async def keep_expiring(site: Site, clock: Clock) -> None:
    """Mark what has become too old as stale, for ever. Costs next to nothing while nothing is due."""
    while True:
        following = site.expire()
        await clock.sleep(LONGEST if following is None else min(LONGEST, max(SHORTEST, following)))
