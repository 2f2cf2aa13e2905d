"""One UPS that lives: the holder of a state that is replaced as time goes by."""

from .dynamics import step
from .ups import Inputs, UpsDesign, UpsState


class Unit:
    """A UPS that lives: its design, what happens around it and its state, replaced as time goes by."""

    def __init__(self, design: UpsDesign) -> None:
        """Begin on good mains with a full battery."""
        self.design = design
        self.reset()

    def reset(self) -> None:
        """As it came from the factory: good mains, a full battery, nothing broken."""
        self.inputs = Inputs(mains_voltage=self.design.voltage, mains_frequency=self.design.frequency)
        self.state = UpsState()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.state = step(self.design, self.state, self.inputs, seconds)
