"""How long power has been out, when it comes back for moments in between (manual M:3170).

A counter that begins anew with every short return warns people each time and never shuts anything down, while the
battery runs empty. This one stands still while power is back, and begins anew only when it has been back for long.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outage:
    """The time on battery of one UPS, in seconds of engine time."""

    counted: float = 0.0
    """Before `since`."""
    since: float | None = None
    """On battery without interruption since then; None while it is not."""
    returned: float | None = None
    """When power came back, while it is not certain that it stays."""

    @property
    def going_on(self) -> bool:
        """Whether power is out, or has come back so recently that the outage is not over."""
        return self.since is not None or self.returned is not None

    def seconds(self, now: float) -> float:
        """Return the seconds on battery so far, without those in which power was back."""
        return self.counted + (0.0 if self.since is None else max(0.0, now - self.since))

    def observed(self, on_battery: bool, now: float, window: float) -> Outage:
        """Take into account whether it is on battery now; `window`: seconds of power after which an outage is over."""
        if on_battery:
            if self.since is not None:
                return self
            over = self.returned is not None and now - self.returned >= window
            return Outage(0.0 if over else self.counted, now)
        if self.since is not None:
            return Outage(self.seconds(now), None, now) if window > 0.0 else Outage()
        if self.returned is not None and now - self.returned >= window:
            return Outage()
        return self


__all__ = ["Outage"]
