"""Equalising: the blocks of a string are brought to one voltage by drawing a little power from those that stand higher.

`Equaliser` decides whether and why not, `regulator` how much, `effect` whether it is of use, `echo` whether modules obey.
"""

from .equaliser import Decision, Equaliser
from .working_range import Range, usual_range
from .workings import Why

__all__ = ["Decision", "Equaliser", "Range", "Why", "usual_range"]
